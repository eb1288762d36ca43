//! PodTopologySpread: pods of a kind evenly over domains
//! (`pkg/scheduler/framework/plugins/podtopologyspread/{common,filtering,scoring}.go`).
//!
//! Worked example: zones a and b hold 3 and 1 matching pods, `maxSkew: 1`. A node in a gives 3 + 1 - 1 = 3
//! and is rejected; one in b gives 1 + 1 - 1 = 1 and fits.

use super::node_affinity;
use super::taint_toleration::tolerated;
use crate::model::pod_spec::SpreadConstraint;
use crate::model::{Labels, Name, Node, Pod};
use crate::name;
use crate::scheduler::hint::{Hint, Occasion};
use crate::scheduler::plugin::{
    Candidates, Code, Cycle, MAX_NODE_SCORE, NodeId, Plugin, Point, PreFilter, PreScore, State, state_of, state_of_mut,
};
use crate::scheduler::pod_info::{PodInfo, Spread};
use crate::scheduler::snapshot::{Group, Snapshot, Topology, TopologyId};
use crate::scheduler::tally::{Adds, EACH_NODE, Identity, Purpose, Rule, Sums};
use smallvec::SmallVec;
use std::rc::Rc;
use std::sync::Arc;

/// The plugin with the constraints that a profile gives to pods without their own.
#[derive(Clone, Debug)]
pub struct TopologySpread {
    /// Constraints for pods that have none; their selectors come from services and owners.
    pub defaults: Vec<SpreadConstraint>,
    /// They are the system's (`defaultingType: System`): nodes without the labels take part.
    pub system: bool,
}

impl Default for TopologySpread {
    fn default() -> Self {
        let soft = |topology_key, max_skew| SpreadConstraint {
            max_skew,
            topology_key,
            hard: false,
            selector: None,
            min_domains: None,
            honor_affinity: true,
            honor_taints: false,
            match_label_keys: Vec::new(),
        };
        TopologySpread {
            defaults: vec![soft(name!("kubernetes.io/hostname"), 3), soft(name!("topology.kubernetes.io/zone"), 5)],
            system: true,
        }
    }
}

const MISMATCH: Name = name!("node(s) didn't match pod topology spread constraints");
const NO_LABEL: Name = name!("node(s) didn't match pod topology spread constraints (missing required label)");

impl TopologySpread {
    /// The pod's own constraints of one hardness, or the profile's.
    fn constraints(&self, cycle: Cycle<'_>, hard: bool) -> Arc<Vec<Spread>> {
        let spec = &cycle.pod.spec;
        let own = if hard { &spec.hard_spread } else { &spec.soft_spread };
        if !spec.spec.spread.is_empty() || !self.defaults.iter().any(|constraint| constraint.hard == hard) {
            return own.clone();
        }
        let selector = cycle.snapshot.listers.default_selector(&cycle.pod.pod);
        if selector.is_empty() {
            return own.clone();
        }
        let compile = |c: &SpreadConstraint| Spread {
            max_skew: i64::from(c.max_skew),
            topology: cycle.snapshot.topology_id(&c.topology_key).expect("the profile's keys are registered"),
            by_hostname: c.topology_key == "kubernetes.io/hostname",
            hard,
            selector: Some(selector.clone()),
            min_domains: usize::try_from(c.min_domains.unwrap_or(1)).unwrap_or(1),
            honor_affinity: c.honor_affinity,
            honor_taints: c.honor_taints,
        };
        Arc::new(self.defaults.iter().filter(|constraint| constraint.hard == hard).map(compile).collect())
    }
}

/// Whether the node counts for the constraint, as far as affinity and taints go.
fn included(constraint: &Spread, cycle: Cycle<'_>, node: &Node) -> bool {
    let spec = &cycle.pod.spec.spec;
    (!constraint.honor_affinity || node_affinity::matches(spec, node))
        && (!constraint.honor_taints || tolerated(spec, node))
}

fn domain(snapshot: &Snapshot, constraint: &Spread, node: NodeId) -> u32 {
    snapshot.topology_of(constraint.topology).of[node.at()]
}

fn has_all_keys(snapshot: &Snapshot, constraints: &[Spread], node: NodeId) -> bool {
    constraints.iter().all(|constraint| domain(snapshot, constraint, node) != Topology::NONE)
}

/// The pods that one constraint counts, by domain.
struct Matching<'a> {
    cycle: Cycle<'a>,
    constraints: &'a [Spread],
    at: usize,
    /// Nodes must have the keys of all constraints.
    all_keys: bool,
}

impl Matching<'_> {
    fn constraint(&self) -> &Spread {
        &self.constraints[self.at]
    }

    /// Scores count the pods of a host on the node itself.
    fn on_each_node(&self) -> bool {
        self.constraint().by_hostname && !self.constraint().hard
    }

    fn sums(&self) -> Rc<Sums> {
        let constraint = self.constraint();
        let own = !self.cycle.pod.spec.spec.spread.is_empty();
        let meta = &self.cycle.pod.pod.meta;
        let owner = meta.controller().map(|owner| (Name::from(owner.kind.as_str()), owner.name.clone()));
        let owner = owner.unwrap_or_default();
        let purpose = Purpose::Spread {
            at: self.at,
            hard: constraint.hard,
            topology: constraint.topology,
            policy: [constraint.honor_affinity, constraint.honor_taints, self.all_keys],
        };
        let identity = Identity {
            purpose,
            spec: self.cycle.pod.spec.id,
            namespace: self.cycle.pod.namespace().clone(),
            labels: if own { Labels::EMPTY } else { self.cycle.pod.labels().clone() },
            owner: match own {
                true => Default::default(),
                false => (owner.0, owner.1, self.cycle.snapshot.listers.selector_changes),
            },
        };
        self.cycle.snapshot.sums(identity, self)
    }
}

impl Rule for Matching<'_> {
    /// An empty selector counts nothing here.
    fn adds(&self, group: &Group) -> Adds {
        let selector = self.constraint().selector.as_ref().filter(|selector| !selector.is_empty());
        let counts = !group.terminating
            && group.namespace == *self.cycle.pod.namespace()
            && selector.is_some_and(|selector| selector.matches(&group.labels));
        let topology = if self.on_each_node() { EACH_NODE } else { self.constraint().topology };
        counts.then_some((topology, 1)).into_iter().collect()
    }

    fn counts(&self, node: NodeId) -> bool {
        let snapshot = self.cycle.snapshot;
        self.on_each_node()
            || (!self.all_keys || has_all_keys(snapshot, self.constraints, node))
                && included(self.constraint(), self.cycle, snapshot.node(node))
    }

    fn domains_of(&self) -> Option<TopologyId> {
        self.constraint().hard.then_some(self.constraint().topology)
    }
}

/// The sums of all constraints.
fn all_sums(cycle: Cycle<'_>, constraints: &[Spread], all_keys: bool) -> Vec<Rc<Sums>> {
    (0..constraints.len()).map(|at| Matching { cycle, constraints, at, all_keys }.sums()).collect()
}

#[derive(Clone, Debug)]
struct Filtering {
    constraints: Arc<Vec<Spread>>,
    /// By constraint: pods by domain.
    sums: Vec<Rc<Sums>>,
}

impl Filtering {
    /// The fewest pods in a domain that counts.
    fn least(&self, at: usize) -> i64 {
        let (constraint, sums) = (&self.constraints[at], &self.sums[at]);
        if sums.present().len() < constraint.min_domains.max(1) {
            return 0;
        }
        let column = sums.column(constraint.topology);
        let each = sums.present().iter().map(|domain| column.get(*domain as usize).copied().unwrap_or(0));
        each.min().unwrap_or(0)
    }
}

#[derive(Clone, Debug)]
struct Scoring {
    constraints: Arc<Vec<Spread>>,
    /// By constraint: pods by domain, or by node for host names.
    sums: Vec<Rc<Sums>>,
    weights: Vec<f64>,
    /// Nodes that lack a key do not take part, and there is one.
    some_lack_keys: bool,
}

impl Scoring {
    fn ignores(&self, snapshot: &Snapshot, node: NodeId) -> bool {
        self.some_lack_keys && !has_all_keys(snapshot, &self.constraints, node)
    }

    fn new(cycle: Cycle<'_>, constraints: Arc<Vec<Spread>>, feasible: &[NodeId], all_keys: bool) -> Scoring {
        let snapshot = cycle.snapshot;
        let sums = all_sums(cycle, &constraints, all_keys);
        let lacks = |node: &NodeId| !has_all_keys(snapshot, &constraints, *node);
        let some_lack_keys = all_keys && feasible.iter().any(lacks);
        let mut new = Scoring { constraints, sums, weights: Vec::new(), some_lack_keys };
        let taking_part = || feasible.iter().filter(|node| !new.ignores(snapshot, **node));
        let weigh = |constraint: &Spread| {
            let size = match constraint.by_hostname {
                true => taking_part().count(),
                false => domain_count(snapshot.topology_of(constraint.topology), taking_part()),
            };
            libm::log((size + 2) as f64)
        };
        new.weights = new.constraints.iter().map(weigh).collect();
        new
    }
}

/// How many domains these nodes are in. Nodes without the label make one of their own.
fn domain_count<'a>(topology: &Topology, nodes: impl Iterator<Item = &'a NodeId>) -> usize {
    let mut seen = vec![false; topology.values.len() + 1];
    nodes.for_each(|node| seen[(topology.of[node.at()] as usize).min(topology.values.len())] = true);
    seen.iter().filter(|seen| **seen).count()
}

impl Plugin for TopologySpread {
    fn name(&self) -> &'static str {
        "PodTopologySpread"
    }

    fn points(&self) -> &'static [Point] {
        &[Point::PreFilter, Point::Filter, Point::PreScore, Point::Score]
    }

    fn topology_keys(&self) -> Vec<Name> {
        self.defaults.iter().map(|constraint| constraint.topology_key.clone()).collect()
    }

    fn pre_filter(&self, cycle: Cycle<'_>) -> PreFilter {
        let constraints = self.constraints(cycle, true);
        if constraints.is_empty() {
            return PreFilter::Skip;
        }
        let sums = all_sums(cycle, &constraints, true);
        PreFilter::Run(Some(Box::new(Filtering { constraints, sums })))
    }

    fn add_pod(&self, cycle: Cycle<'_>, state: &mut State, other: &PodInfo, node: NodeId) {
        adjust(cycle, state, other, node, 1);
    }

    fn remove_pod(&self, cycle: Cycle<'_>, state: &mut State, other: &PodInfo, node: NodeId) {
        adjust(cycle, state, other, node, -1);
    }

    fn filter(&self, cycle: Cycle<'_>, state: &State, nodes: &mut Candidates<'_>) {
        let Some(state) = state_of::<Filtering>(state) else { return };
        const WHY: [(Code, Name); 2] = [(Code::Unresolvable, NO_LABEL), (Code::Unschedulable, MISMATCH)];
        // By constraint: the most pods that may be in a domain already, its domains, its sums.
        let limit = |at: usize| {
            let constraint = &state.constraints[at];
            let own = constraint.selector.as_ref().is_some_and(|s| s.matches(cycle.pod.labels()));
            let most = constraint.max_skew + state.least(at) - i64::from(own);
            (most, &cycle.snapshot.topology_of(constraint.topology).of, state.sums[at].column(constraint.topology))
        };
        let limits: SmallVec<[_; 2]> = (0..state.constraints.len()).map(limit).collect();
        nodes.retain_by(&WHY, |node| {
            limits.iter().find_map(|(most, domains, sums)| match domains[node.at()] {
                Topology::NONE => Some(0),
                domain => (sums.get(domain as usize).copied().unwrap_or(0) > *most).then_some(1),
            })
        });
    }

    fn pre_score(&self, cycle: Cycle<'_>, feasible: &[NodeId]) -> PreScore {
        let constraints = self.constraints(cycle, false);
        if constraints.is_empty() {
            return PreScore::Skip;
        }
        let all_keys = !cycle.pod.spec.spec.spread.is_empty() || !self.system;
        PreScore::Run(Some(Box::new(Scoring::new(cycle, constraints, feasible, all_keys))))
    }

    fn score(&self, cycle: Cycle<'_>, state: &State, nodes: &[NodeId], out: &mut [i64]) {
        let Some(state) = state_of::<Scoring>(state) else { return };
        let snapshot = cycle.snapshot;
        let mut exact = vec![0.0; nodes.len()];
        for (at, constraint) in state.constraints.iter().enumerate() {
            let domains = &snapshot.topology_of(constraint.topology).of;
            let column = state.sums[at].column(if constraint.by_hostname { EACH_NODE } else { constraint.topology });
            let (weight, skew) = (state.weights[at], (constraint.max_skew - 1) as f64);
            for (node, sum) in nodes.iter().zip(&mut exact) {
                let domain = match domains[node.at()] {
                    Topology::NONE => continue,
                    _ if constraint.by_hostname => node.0,
                    domain => domain,
                };
                *sum += column.get(domain as usize).copied().unwrap_or(0) as f64 * weight + skew;
            }
        }
        for ((node, score), exact) in nodes.iter().zip(out).zip(exact) {
            *score = if state.ignores(snapshot, *node) { 0 } else { exact.round() as i64 };
        }
    }

    fn normalize(&self, cycle: Cycle<'_>, state: &State, nodes: &[NodeId], scores: &mut [i64]) {
        let Some(state) = state_of::<Scoring>(state) else { return };
        let ignored: Vec<bool> = nodes.iter().map(|node| state.ignores(cycle.snapshot, *node)).collect();
        let counted = || scores.iter().zip(&ignored).filter(|(_, ignored)| !**ignored).map(|(score, _)| *score);
        let (min, max) = (counted().min().unwrap_or(0), counted().max().unwrap_or(0));
        for (score, ignored) in scores.iter_mut().zip(&ignored) {
            *score = match (ignored, max) {
                (true, _) => 0,
                (false, 0) => MAX_NODE_SCORE,
                (false, _) => MAX_NODE_SCORE * (max + min - *score) / max,
            };
        }
    }

    fn helps(&self, pod: &PodInfo, occasion: &Occasion<'_>) -> Hint {
        let constraints: Vec<&SpreadConstraint> = match pod.spec.spec.spread.is_empty() {
            true => self.defaults.iter().filter(|c| c.hard).collect(),
            false => pod.spec.spec.spread.iter().filter(|c| c.hard).collect(),
        };
        let defaults = pod.spec.spec.spread.is_empty();
        let selects = |labels: &Labels| {
            constraints.iter().any(|c| defaults || c.selector.as_ref().is_some_and(|s| s.matches(labels)))
        };
        let same_namespace = |other: &Pod| other.meta.namespace == *pod.namespace();
        let keys = |node: &Node| constraints.iter().map(|c| node.meta.labels.get(&c.topology_key).cloned()).collect();
        match occasion {
            Occasion::PodAdd(other) | Occasion::PodDelete(other) => {
                Hint::from(same_namespace(other) && selects(&other.meta.labels))
            }
            Occasion::PodUpdate { old, new, what } => {
                let own = new.meta.uid == pod.pod.meta.uid;
                let tolerations = own && what.tolerations && constraints.iter().any(|c| c.honor_taints);
                let labels = what.labels && same_namespace(new);
                let turned = labels
                    && constraints.iter().any(|c| {
                        let matches = |p: &Pod| c.selector.as_ref().is_some_and(|s| s.matches(&p.meta.labels));
                        defaults || own || matches(old) != matches(new)
                    });
                Hint::from(tolerations || turned)
            }
            Occasion::NodeAdd(node) | Occasion::NodeDelete(node) => {
                let values: Vec<Option<Name>> = keys(node);
                Hint::from(values.iter().all(Option::is_some))
            }
            Occasion::NodeUpdate { old, new, what } => {
                let (before, after): (Vec<Option<Name>>, Vec<Option<Name>>) = (keys(old), keys(new));
                let complete = |values: &[Option<Name>]| values.iter().all(Option::is_some);
                let moved = what.labels && before != after && (complete(&before) || complete(&after));
                Hint::from(moved || (what.taints && complete(&after)))
            }
            _ => Hint::Skip,
        }
    }
}

/// Changes the counts by one pod. As upstream, without the exceptions of the first count: a terminating
/// pod and an empty selector count here (`filtering.go`, `updateWithPod`).
fn adjust(cycle: Cycle<'_>, state: &mut State, other: &PodInfo, node: NodeId, by: i64) {
    let Some(state) = state_of_mut::<Filtering>(state) else { return };
    let snapshot = cycle.snapshot;
    if other.namespace() != cycle.pod.namespace() || !has_all_keys(snapshot, &state.constraints, node) {
        return;
    }
    for (constraint, sums) in state.constraints.iter().zip(&mut state.sums) {
        let selected = constraint.selector.as_ref().is_some_and(|s| s.matches(other.labels()));
        if selected && included(constraint, cycle, snapshot.node(node)) {
            Rc::make_mut(sums).add(snapshot, constraint.topology, node, 1, by);
        }
    }
}
