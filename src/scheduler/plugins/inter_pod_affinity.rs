//! InterPodAffinity: near some pods, away from others, and so for those already there
//! (`pkg/scheduler/framework/plugins/interpodaffinity/{filtering,scoring}.go`).
//!
//! `matchLabelKeys` are not seen here: the API server merged them into the selectors at creation.

use crate::model::{Labels, Name, Node, Pod};
use crate::name;
use crate::scheduler::hint::{Hint, Occasion};
use crate::scheduler::plugin::{
    Candidates, Code, Cycle, MAX_NODE_SCORE, NodeId, Plugin, Point, PreFilter, PreScore, State, state_of, state_of_mut,
};
use crate::scheduler::pod_info::{PodInfo, Term};
use crate::scheduler::snapshot::{Group, TopologyId};
use crate::scheduler::tally::{Adds, Identity, Purpose, Rule, Sums};
use smallvec::SmallVec;
use std::rc::Rc;

/// The plugin with its arguments.
#[derive(Clone, Debug)]
pub struct InterPodAffinity {
    /// What a required affinity term of an existing pod that matches is worth.
    pub hard_weight: i64,
    /// Do not score for pods without preferred terms of their own.
    pub ignore_preferred_terms_of_existing_pods: bool,
}

impl Default for InterPodAffinity {
    fn default() -> Self {
        InterPodAffinity { hard_weight: 1, ignore_preferred_terms_of_existing_pods: false }
    }
}

const AFFINITY: Name = name!("node(s) didn't match pod affinity rules");
const ANTI_AFFINITY: Name = name!("node(s) didn't match pod anti-affinity rules");
const EXISTING: Name = name!("node(s) didn't satisfy existing pods anti-affinity rules");

#[derive(Clone, Debug)]
struct Filtering {
    affinity: Rc<Sums>,
    anti_affinity: Rc<Sums>,
    existing: Rc<Sums>,
}

/// Whether a term of the pending pod means a pod of this namespace with these labels. Namespaces that do
/// not exist are not among those that a selector finds.
fn own_term(cycle: Cycle<'_>, term: &Term, namespace: &str, labels: &Labels) -> bool {
    let all = term.namespace_selector.as_ref().is_some_and(|selector| selector.is_empty());
    match cycle.snapshot.listers.namespaces.get(namespace) {
        Some(found) => term.matches(cycle.pod.namespace(), namespace, found, labels),
        None if all => term.selector.as_ref().is_some_and(|selector| selector.matches(labels)),
        None => {
            let by_name = Term { namespace_selector: None, ..term.clone() };
            (term.namespace_selector.is_none() || !term.namespaces.is_empty())
                && by_name.matches(cycle.pod.namespace(), namespace, &Labels::EMPTY, labels)
        }
    }
}

fn all_own_terms(cycle: Cycle<'_>, terms: &[Term], namespace: &str, labels: &Labels) -> bool {
    !terms.is_empty() && terms.iter().all(|term| own_term(cycle, term, namespace, labels))
}

/// Whether a term of an existing pod of `owner_namespace` means the pending pod.
fn their_term(cycle: Cycle<'_>, term: &Term, owner_namespace: &str) -> bool {
    let namespace = cycle.pod.namespace();
    let found = cycle.snapshot.listers.namespace_labels(namespace);
    term.matches(owner_namespace, namespace, found, cycle.pod.labels())
}

/// One of the plugin's sums: what a pod of a group adds, by a function of the group.
struct Counted<F>(F, bool);

impl<F: Fn(&Group) -> Adds> Rule for Counted<F> {
    fn adds(&self, group: &Group) -> Adds {
        (self.0)(group)
    }

    fn of_terms_only(&self) -> bool {
        self.1
    }
}

/// The sums of one purpose. They depend on the pod's namespace, on its labels where others' terms are meant, and on
/// its spec where its own are.
fn sums(cycle: Cycle<'_>, purpose: Purpose, (own, theirs): (bool, bool), adds: impl Fn(&Group) -> Adds) -> Rc<Sums> {
    let identity = Identity {
        purpose,
        spec: if own { cycle.pod.spec.id } else { 0 },
        namespace: cycle.pod.namespace().clone(),
        labels: if theirs { cycle.pod.labels().clone() } else { Labels::EMPTY },
        owner: Default::default(),
    };
    cycle.snapshot.sums(identity, &Counted(adds, !own))
}

impl InterPodAffinity {
    /// What a pod of `group` adds to the score of its domains.
    fn score_of(&self, cycle: Cycle<'_>, group: &Group) -> Adds {
        let own = cycle.pod.spec.preferred.iter();
        let mut all: Adds = own
            .filter(|term| own_term(cycle, term, &group.namespace, &group.labels))
            .map(|term| (term.topology, term.weight))
            .collect();
        if let Some(theirs) = &group.terms {
            let matching = |term: &&Term| their_term(cycle, term, &group.namespace);
            if self.hard_weight > 0 {
                all.extend(theirs.affinity.iter().filter(matching).map(|term| (term.topology, self.hard_weight)));
            }
            all.extend(theirs.preferred.iter().filter(matching).map(|term| (term.topology, term.weight)));
        }
        all
    }
}

impl Plugin for InterPodAffinity {
    fn name(&self) -> &'static str {
        "InterPodAffinity"
    }

    fn points(&self) -> &'static [Point] {
        &[Point::PreFilter, Point::Filter, Point::PreScore, Point::Score]
    }

    fn pre_filter(&self, cycle: Cycle<'_>) -> PreFilter {
        let (snapshot, spec) = (cycle.snapshot, &cycle.pod.spec);
        let mut state = Filtering { affinity: Rc::default(), anti_affinity: Rc::default(), existing: Rc::default() };
        if !snapshot.term_groups.is_empty() {
            state.existing = sums(cycle, Purpose::Existing, (false, true), |group| {
                let terms = group.terms.iter().flat_map(|terms| &terms.anti_affinity);
                terms.filter(|term| their_term(cycle, term, &group.namespace)).map(|term| (term.topology, 1)).collect()
            });
        }
        if spec.affinity.is_empty() && spec.anti_affinity.is_empty() && state.existing.is_empty() {
            return PreFilter::Skip;
        }
        if !spec.affinity.is_empty() {
            state.affinity = sums(cycle, Purpose::Near, (true, false), |group| {
                match all_own_terms(cycle, &spec.affinity, &group.namespace, &group.labels) {
                    true => spec.affinity.iter().map(|term| (term.topology, 1)).collect(),
                    false => Adds::new(),
                }
            });
        }
        if !spec.anti_affinity.is_empty() {
            state.anti_affinity = sums(cycle, Purpose::Away, (true, false), |group| {
                let matching = |term: &&Term| own_term(cycle, term, &group.namespace, &group.labels);
                spec.anti_affinity.iter().filter(matching).map(|term| (term.topology, 1)).collect()
            });
        }
        PreFilter::Run(Some(Box::new(state)))
    }

    fn add_pod(&self, cycle: Cycle<'_>, state: &mut State, other: &PodInfo, node: NodeId) {
        adjust(cycle, state, other, node, 1);
    }

    fn remove_pod(&self, cycle: Cycle<'_>, state: &mut State, other: &PodInfo, node: NodeId) {
        adjust(cycle, state, other, node, -1);
    }

    fn filter(&self, cycle: Cycle<'_>, state: &State, nodes: &mut Candidates<'_>) {
        let Some(state) = state_of::<Filtering>(state) else { return };
        let (snapshot, spec) = (cycle.snapshot, &cycle.pod.spec);
        let first = !spec.affinity.is_empty()
            && state.affinity.is_empty()
            && all_own_terms(cycle, &spec.affinity, cycle.pod.namespace(), cycle.pod.labels());
        const WHY: [(Code, Name); 3] =
            [(Code::Unresolvable, AFFINITY), (Code::Unschedulable, ANTI_AFFINITY), (Code::Unschedulable, EXISTING)];
        let existing: SmallVec<[TopologyId; 2]> = state.existing.topologies().collect();
        nodes.retain_by(&WHY, |node| {
            let some = |sums: &Sums, topology| sums.get(snapshot, topology, node).is_some_and(|n| n > 0);
            let near = |term: &Term| match state.affinity.get(snapshot, term.topology, node) {
                None => false,
                Some(count) => count > 0 || first,
            };
            if !spec.affinity.iter().all(near) {
                Some(0)
            } else if spec.anti_affinity.iter().any(|term| some(&state.anti_affinity, term.topology)) {
                Some(1)
            } else {
                existing.iter().any(|topology| some(&state.existing, *topology)).then_some(2)
            }
        });
    }

    fn pre_score(&self, cycle: Cycle<'_>, _: &[NodeId]) -> PreScore {
        let snapshot = cycle.snapshot;
        let own = !cycle.pod.spec.preferred.is_empty();
        if !own && (self.ignore_preferred_terms_of_existing_pods || snapshot.term_groups.is_empty()) {
            return PreScore::Skip;
        }
        let purpose = Purpose::Liked(self.hard_weight);
        let sums = sums(cycle, purpose, (own, true), |group| self.score_of(cycle, group));
        match sums.is_empty() {
            true => PreScore::Skip,
            false => PreScore::Run(Some(Box::new(sums))),
        }
    }

    fn score(&self, cycle: Cycle<'_>, state: &State, nodes: &[NodeId], out: &mut [i64]) {
        let Some(sums) = state_of::<Rc<Sums>>(state) else { return };
        for topology in sums.topologies() {
            let domains = &cycle.snapshot.topology_of(topology).of;
            for (node, score) in nodes.iter().zip(&mut *out) {
                *score += sums.in_domain(topology, domains[node.at()]);
            }
        }
    }

    fn normalize(&self, _: Cycle<'_>, _: &State, _: &[NodeId], scores: &mut [i64]) {
        let min = scores.iter().copied().min().unwrap_or(0);
        let range = scores.iter().copied().max().unwrap_or(0) - min;
        for score in scores {
            let share = if range > 0 { (*score - min) as f64 / range as f64 } else { 0.0 };
            *score = (MAX_NODE_SCORE as f64 * share) as i64;
        }
    }

    fn helps(&self, pod: &PodInfo, occasion: &Occasion<'_>) -> Hint {
        match occasion {
            Occasion::PodUpdate { new, what, .. } if new.meta.uid == pod.pod.meta.uid => Hint::from(what.labels),
            Occasion::PodAdd(other) => Hint::from(meant_by_all(pod, other)),
            Occasion::PodUpdate { old, new, what } if what.labels => Hint::from(
                (!meant_by_all(pod, old) && meant_by_all(pod, new)) || (in_the_way(pod, old) && !in_the_way(pod, new)),
            ),
            Occasion::PodDelete(other) => Hint::from(in_the_way(pod, other)),
            Occasion::NodeAdd(node) => Hint::from(has_a_key(pod, node)),
            Occasion::NodeUpdate { old, new, what } if what.labels => Hint::from(keys_changed(pod, old, new)),
            _ => Hint::Skip,
        }
    }
}

fn adjust(cycle: Cycle<'_>, state: &mut State, other: &PodInfo, node: NodeId, by: i64) {
    let Some(state) = state_of_mut::<Filtering>(state) else { return };
    let (snapshot, spec) = (cycle.snapshot, &cycle.pod.spec);
    for term in other.spec.anti_affinity.iter().filter(|term| their_term(cycle, term, other.namespace())) {
        Rc::make_mut(&mut state.existing).add(snapshot, term.topology, node, 1, by);
    }
    if all_own_terms(cycle, &spec.affinity, other.namespace(), other.labels()) {
        for term in &spec.affinity {
            Rc::make_mut(&mut state.affinity).add(snapshot, term.topology, node, 1, by);
        }
    }
    let matching = |term: &&Term| own_term(cycle, term, other.namespace(), other.labels());
    for term in spec.anti_affinity.iter().filter(matching) {
        Rc::make_mut(&mut state.anti_affinity).add(snapshot, term.topology, node, 1, by);
    }
}

/// For hints, namespace selectors are taken to match: to try once too often is harmless.
fn may_mean(term: &crate::model::pod_spec::PodAffinityTerm, owner: &Pod, other: &Pod) -> bool {
    let here = match (&term.namespace_selector, term.namespaces.is_empty()) {
        (None, true) => owner.meta.namespace == other.meta.namespace,
        (selector, _) => selector.is_some() || term.namespaces.contains(&other.meta.namespace),
    };
    here && term.selector.as_ref().is_some_and(|selector| selector.matches(&other.meta.labels))
}

fn meant_by_all(pod: &PodInfo, other: &Pod) -> bool {
    let terms = pod.spec.spec.affinity.as_ref().map_or(&[][..], |affinity| &affinity.pod_required);
    !terms.is_empty() && terms.iter().all(|term| may_mean(term, &pod.pod, other))
}

fn in_the_way(pod: &PodInfo, other: &Pod) -> bool {
    fn anti(pod: &Pod) -> &[crate::model::pod_spec::PodAffinityTerm] {
        pod.spec.affinity.as_ref().map_or(&[], |affinity| &affinity.anti_required)
    }
    anti(&pod.pod).iter().any(|term| may_mean(term, &pod.pod, other))
        || anti(other).iter().any(|term| may_mean(term, other, &pod.pod))
}

/// The topology keys of required affinity and of required anti-affinity.
fn keys(pod: &PodInfo) -> (Vec<&Name>, Vec<&Name>) {
    let Some(affinity) = &pod.spec.spec.affinity else { return (Vec::new(), Vec::new()) };
    let near = affinity.pod_required.iter().map(|term| &term.topology_key).collect();
    (near, affinity.anti_required.iter().map(|term| &term.topology_key).collect())
}

fn has_a_key(pod: &PodInfo, node: &Node) -> bool {
    let (near, away) = keys(pod);
    near.iter().any(|key| node.meta.labels.get(key).is_some()) || !away.is_empty() || near.is_empty()
}

fn keys_changed(pod: &PodInfo, old: &Node, new: &Node) -> bool {
    let (near, away) = keys(pod);
    let differs = |key: &&&Name| old.meta.labels.get(key) != new.meta.labels.get(key);
    near.iter().filter(differs).any(|key| new.meta.labels.get(key).is_some())
        || away.iter().any(|key| differs(&key))
        || (near.is_empty() && away.is_empty())
}
