//! InterPodAffinity: near some pods, away from others, and so for those already there
//! (`pkg/scheduler/framework/plugins/interpodaffinity/{filtering,scoring}.go`).
//!
//! `matchLabelKeys` are not seen here: the API server merged them into the selectors at creation.

use crate::model::{Labels, Name, Node, Pod};
use crate::name;
use crate::scheduler::hint::{Hint, Occasion};
use crate::scheduler::plugin::{
    Candidates, Code, Cycle, MAX_NODE_SCORE, NodeId, Plugin, Point, PreFilter, PreScore, Reasons, State, state_of,
    state_of_mut,
};
use crate::scheduler::pod_info::{PodInfo, Term};
use crate::scheduler::snapshot::{Group, GroupId, Snapshot, Topology, TopologyId};
use smallvec::SmallVec;

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

/// Sums by topology and domain.
#[derive(Clone, Debug, Default)]
struct Sums(SmallVec<[(TopologyId, Vec<i64>); 2]>);

impl Sums {
    /// Adds to the node's domain. Whether the node has one.
    fn add(&mut self, snapshot: &Snapshot, topology: TopologyId, node: NodeId, amount: i64) -> bool {
        let domains = snapshot.topology_of(topology);
        let domain = domains.of[node.at()];
        if domain == Topology::NONE {
            return false;
        }
        let at = self.0.iter().position(|(known, _)| *known == topology).unwrap_or_else(|| {
            self.0.push((topology, vec![0; domains.values.len()]));
            self.0.len() - 1
        });
        self.0[at].1[domain as usize] += amount;
        true
    }

    /// The sum in the node's domain; `None` if the node has none.
    fn get(&self, snapshot: &Snapshot, topology: TopologyId, node: NodeId) -> Option<i64> {
        let domain = snapshot.topology_of(topology).of[node.at()];
        let sums = self.0.iter().find(|(known, _)| *known == topology);
        (domain != Topology::NONE).then(|| sums.map_or(0, |(_, sums)| sums[domain as usize]))
    }

    fn all_zero(&self) -> bool {
        self.0.iter().all(|(_, sums)| sums.iter().all(|sum| *sum == 0))
    }
}

#[derive(Clone, Debug)]
struct Filtering {
    affinity: Sums,
    anti_affinity: Sums,
    existing: Sums,
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

/// What one pod of each group adds, by topology; groups that add nothing are empty.
type Contributions = Vec<SmallVec<[(TopologyId, i64); 2]>>;

/// Adds up over all nodes what the pods there contribute. Whether anything was added.
fn sum_over_nodes(snapshot: &Snapshot, by_group: &Contributions, sums: &mut Sums) -> bool {
    if by_group.iter().all(|each| each.is_empty()) {
        return false;
    }
    let mut any = false;
    for node in snapshot.order().iter() {
        for (group, count) in &snapshot.groups[node.at()] {
            for (topology, weight) in &by_group[group.0 as usize] {
                any |= sums.add(snapshot, *topology, *node, weight * i64::from(*count));
            }
        }
    }
    any
}

fn contributions(
    snapshot: &Snapshot,
    each: impl Fn(GroupId, &Group) -> SmallVec<[(TopologyId, i64); 2]>,
) -> Contributions {
    let groups = snapshot.group_table.iter().enumerate();
    groups.map(|(at, group)| if group.count == 0 { SmallVec::new() } else { each(GroupId(at as u32), group) }).collect()
}

/// What groups with terms of their own add; the rest add nothing.
fn term_contributions(snapshot: &Snapshot, each: impl Fn(&Group) -> SmallVec<[(TopologyId, i64); 2]>) -> Contributions {
    let mut all: Contributions = vec![SmallVec::new(); snapshot.group_table.len()];
    for id in &snapshot.term_groups {
        all[id.0 as usize] = each(snapshot.group(*id));
    }
    all
}

impl InterPodAffinity {
    /// What a pod of `group` adds to the score of its domains.
    fn score_of(&self, cycle: Cycle<'_>, group: &Group) -> SmallVec<[(TopologyId, i64); 2]> {
        let own = cycle.pod.spec.preferred.iter();
        let mut all: SmallVec<[(TopologyId, i64); 2]> = own
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
        let mut state =
            Filtering { affinity: Sums::default(), anti_affinity: Sums::default(), existing: Sums::default() };
        let theirs = term_contributions(snapshot, |group| {
            let terms = group.terms.iter().flat_map(|terms| &terms.anti_affinity);
            terms.filter(|term| their_term(cycle, term, &group.namespace)).map(|term| (term.topology, 1)).collect()
        });
        sum_over_nodes(snapshot, &theirs, &mut state.existing);
        if spec.affinity.is_empty() && spec.anti_affinity.is_empty() && state.existing.0.is_empty() {
            return PreFilter::Skip;
        }
        if !spec.affinity.is_empty() {
            let by_group = contributions(snapshot, |_, group| {
                match all_own_terms(cycle, &spec.affinity, &group.namespace, &group.labels) {
                    true => spec.affinity.iter().map(|term| (term.topology, 1)).collect(),
                    false => SmallVec::new(),
                }
            });
            sum_over_nodes(snapshot, &by_group, &mut state.affinity);
        }
        if !spec.anti_affinity.is_empty() {
            let by_group = contributions(snapshot, |_, group| {
                let matching = |term: &&Term| own_term(cycle, term, &group.namespace, &group.labels);
                spec.anti_affinity.iter().filter(matching).map(|term| (term.topology, 1)).collect()
            });
            sum_over_nodes(snapshot, &by_group, &mut state.anti_affinity);
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
            && state.affinity.all_zero()
            && all_own_terms(cycle, &spec.affinity, cycle.pod.namespace(), cycle.pod.labels());
        nodes.retain_or(|node| {
            let near = |term: &Term| match state.affinity.get(snapshot, term.topology, node) {
                None => false,
                Some(count) => count > 0 || first,
            };
            let reject = |code, reason| Some((code, Reasons::from_elem(reason, 1)));
            if !spec.affinity.iter().all(near) {
                return reject(Code::Unresolvable, AFFINITY);
            }
            let close = |term: &Term| state.anti_affinity.get(snapshot, term.topology, node).is_some_and(|n| n > 0);
            if spec.anti_affinity.iter().any(close) {
                return reject(Code::Unschedulable, ANTI_AFFINITY);
            }
            let mut topologies = state.existing.0.iter().map(|(topology, _)| *topology);
            if topologies.any(|topology| state.existing.get(snapshot, topology, node).is_some_and(|n| n > 0)) {
                return reject(Code::Unschedulable, EXISTING);
            }
            None
        });
    }

    fn pre_score(&self, cycle: Cycle<'_>, _: &[NodeId]) -> PreScore {
        let snapshot = cycle.snapshot;
        let own = !cycle.pod.spec.preferred.is_empty();
        if !own && (self.ignore_preferred_terms_of_existing_pods || snapshot.term_groups.is_empty()) {
            return PreScore::Skip;
        }
        let by_group = match own {
            true => contributions(snapshot, |_, group| self.score_of(cycle, group)),
            false => term_contributions(snapshot, |group| self.score_of(cycle, group)),
        };
        let mut sums = Sums::default();
        match sum_over_nodes(snapshot, &by_group, &mut sums) {
            true => PreScore::Run(Some(Box::new(sums))),
            false => PreScore::Skip,
        }
    }

    fn score(&self, cycle: Cycle<'_>, state: &State, nodes: &[NodeId], out: &mut [i64]) {
        let Some(sums) = state_of::<Sums>(state) else { return };
        for (node, score) in nodes.iter().zip(out) {
            let each = sums.0.iter().filter_map(|(topology, _)| sums.get(cycle.snapshot, *topology, *node));
            *score = each.sum();
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
        state.existing.add(snapshot, term.topology, node, by);
    }
    if all_own_terms(cycle, &spec.affinity, other.namespace(), other.labels()) {
        for term in &spec.affinity {
            state.affinity.add(snapshot, term.topology, node, by);
        }
    }
    let matching = |term: &&Term| own_term(cycle, term, other.namespace(), other.labels());
    for term in spec.anti_affinity.iter().filter(matching) {
        state.anti_affinity.add(snapshot, term.topology, node, by);
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
