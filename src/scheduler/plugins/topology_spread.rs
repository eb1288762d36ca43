//! PodTopologySpread: pods of a kind evenly over domains
//! (`pkg/scheduler/framework/plugins/podtopologyspread/{common,filtering,scoring}.go`).
//!
//! Worked example: zones a and b hold 3 and 1 matching pods, `maxSkew: 1`. A node in a gives 3 + 1 - 1 = 3
//! and is rejected; one in b gives 1 + 1 - 1 = 1 and fits.

use super::node_affinity;
use super::taint_toleration::tolerated;
use crate::model::pod_spec::SpreadConstraint;
use crate::model::{Labels, Name, Node, Pod, Selector};
use crate::name;
use crate::scheduler::hint::{Hint, Occasion};
use crate::scheduler::plugin::{
    Candidates, Code, Cycle, MAX_NODE_SCORE, NodeId, Plugin, Point, PreFilter, PreScore, Reasons, State, state_of,
    state_of_mut,
};
use crate::scheduler::pod_info::{PodInfo, Spread};
use crate::scheduler::snapshot::{Snapshot, Topology};

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
    fn constraints(&self, cycle: Cycle<'_>, hard: bool) -> Vec<Spread> {
        let own = &cycle.pod.spec.spread;
        if !own.is_empty() {
            return own.iter().filter(|constraint| constraint.hard == hard).cloned().collect();
        }
        let wanted: Vec<&SpreadConstraint> =
            self.defaults.iter().filter(|constraint| constraint.hard == hard).collect();
        if wanted.is_empty() {
            return Vec::new();
        }
        let selector = cycle.snapshot.listers.default_selector(&cycle.pod.pod);
        if selector.is_empty() {
            return Vec::new();
        }
        let compile = |c: &&SpreadConstraint| Spread {
            max_skew: i64::from(c.max_skew),
            topology: cycle.snapshot.topology_id(&c.topology_key).expect("the profile's keys are registered"),
            by_hostname: c.topology_key == "kubernetes.io/hostname",
            hard,
            selector: Some(selector.clone()),
            min_domains: usize::try_from(c.min_domains.unwrap_or(1)).unwrap_or(1),
            honor_affinity: c.honor_affinity,
            honor_taints: c.honor_taints,
        };
        wanted.iter().map(compile).collect()
    }
}

/// Pods per domain of one constraint.
#[derive(Clone, Debug)]
struct Counts {
    /// Matching pods by domain; `None` for domains that were not counted.
    by_domain: Vec<Option<i64>>,
    /// Whether the pod counts itself.
    own: i64,
}

impl Counts {
    fn min(&self, min_domains: usize) -> i64 {
        let counted = self.by_domain.iter().flatten();
        if counted.clone().count() < min_domains.max(1) { 0 } else { counted.min().copied().unwrap_or(0) }
    }
}

#[derive(Clone, Debug)]
struct Filtering {
    constraints: Vec<Spread>,
    counts: Vec<Counts>,
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

/// By group: whether its pods count. An empty selector counts nothing here.
fn counted_groups(cycle: Cycle<'_>, selector: &Option<Selector>) -> Vec<bool> {
    let Some(selector) = selector.as_ref().filter(|selector| !selector.is_empty()) else { return Vec::new() };
    let groups = cycle.snapshot.group_table.iter();
    groups
        .map(|group| {
            group.count > 0
                && !group.terminating
                && group.namespace == *cycle.pod.namespace()
                && selector.matches(&group.labels)
        })
        .collect()
}

fn count_on(snapshot: &Snapshot, node: NodeId, groups: &[bool]) -> i64 {
    let there = snapshot.groups[node.at()].iter();
    there.filter(|(group, _)| groups.get(group.0 as usize) == Some(&true)).map(|(_, count)| i64::from(*count)).sum()
}

#[derive(Clone, Debug)]
struct Scoring {
    constraints: Vec<Spread>,
    /// By constraint: pods by domain (empty for host names).
    counts: Vec<Vec<i64>>,
    /// By constraint: the groups that count, for host names.
    groups: Vec<Vec<bool>>,
    weights: Vec<f64>,
    /// Nodes that lack a key do not take part.
    all_keys: bool,
}

impl Scoring {
    fn ignores(&self, snapshot: &Snapshot, node: NodeId) -> bool {
        self.all_keys && !has_all_keys(snapshot, &self.constraints, node)
    }

    fn new(cycle: Cycle<'_>, constraints: Vec<Spread>, feasible: &[NodeId], all_keys: bool) -> Scoring {
        let snapshot = cycle.snapshot;
        let groups: Vec<Vec<bool>> = constraints.iter().map(|c| counted_groups(cycle, &c.selector)).collect();
        let mut new = Scoring { constraints, counts: Vec::new(), groups, weights: Vec::new(), all_keys };
        let taking_part: Vec<NodeId> = feasible.iter().copied().filter(|node| !new.ignores(snapshot, *node)).collect();
        for (constraint, groups) in new.constraints.iter().zip(&new.groups) {
            let topology = snapshot.topology_of(constraint.topology);
            let (counts, size) = match constraint.by_hostname {
                true => (Vec::new(), taking_part.len()),
                false => count_domains(cycle, constraint, topology, groups, &taking_part, |node| {
                    all_keys && !has_all_keys(snapshot, &new.constraints, node)
                }),
            };
            new.counts.push(counts);
            new.weights.push(libm::log((size + 2) as f64));
        }
        new
    }
}

/// Pods by domain, over the domains of `taking_part`; and how many domains these are. Nodes without the
/// label make a domain of their own.
fn count_domains(
    cycle: Cycle<'_>,
    constraint: &Spread,
    topology: &Topology,
    groups: &[bool],
    taking_part: &[NodeId],
    ignored: impl Fn(NodeId) -> bool,
) -> (Vec<i64>, usize) {
    let slot = |node: NodeId| match topology.of[node.at()] {
        Topology::NONE => topology.values.len(),
        domain => domain as usize,
    };
    let mut wanted = vec![false; topology.values.len() + 1];
    taking_part.iter().for_each(|node| wanted[slot(*node)] = true);
    let mut counts = vec![0; wanted.len()];
    if groups.contains(&true) {
        for node in cycle.snapshot.order().iter() {
            let at = slot(*node);
            let count = if wanted[at] { count_on(cycle.snapshot, *node, groups) } else { 0 };
            if count > 0 && !ignored(*node) && included(constraint, cycle, cycle.snapshot.node(*node)) {
                counts[at] += count;
            }
        }
    }
    (counts, wanted.iter().filter(|wanted| **wanted).count())
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
        let snapshot = cycle.snapshot;
        let groups: Vec<Vec<bool>> = constraints.iter().map(|c| counted_groups(cycle, &c.selector)).collect();
        let mut counts: Vec<Counts> = constraints
            .iter()
            .map(|constraint| Counts {
                by_domain: vec![None; snapshot.topology_of(constraint.topology).values.len()],
                own: constraint.selector.as_ref().is_some_and(|s| s.matches(cycle.pod.labels())).into(),
            })
            .collect();
        for node in snapshot.order().iter().filter(|node| has_all_keys(snapshot, &constraints, **node)) {
            for (at, constraint) in constraints.iter().enumerate() {
                if included(constraint, cycle, snapshot.node(*node)) {
                    let domain = domain(snapshot, constraint, *node) as usize;
                    *counts[at].by_domain[domain].get_or_insert(0) += count_on(snapshot, *node, &groups[at]);
                }
            }
        }
        PreFilter::Run(Some(Box::new(Filtering { constraints, counts })))
    }

    fn add_pod(&self, cycle: Cycle<'_>, state: &mut State, other: &PodInfo, node: NodeId) {
        adjust(cycle, state, other, node, 1);
    }

    fn remove_pod(&self, cycle: Cycle<'_>, state: &mut State, other: &PodInfo, node: NodeId) {
        adjust(cycle, state, other, node, -1);
    }

    fn filter(&self, cycle: Cycle<'_>, state: &State, nodes: &mut Candidates<'_>) {
        let Some(state) = state_of::<Filtering>(state) else { return };
        let pairs = || state.constraints.iter().zip(&state.counts);
        let least: Vec<i64> = pairs().map(|(constraint, counts)| counts.min(constraint.min_domains)).collect();
        nodes.retain_or(|node| {
            for ((constraint, counts), least) in pairs().zip(&least) {
                let domain = domain(cycle.snapshot, constraint, node);
                if domain == Topology::NONE {
                    return Some((Code::Unresolvable, Reasons::from_elem(NO_LABEL, 1)));
                }
                let there = counts.by_domain.get(domain as usize).copied().flatten().unwrap_or(0);
                if there + counts.own - least > constraint.max_skew {
                    return Some((Code::Unschedulable, Reasons::from_elem(MISMATCH, 1)));
                }
            }
            None
        });
    }

    fn pre_score(&self, cycle: Cycle<'_>, feasible: &[NodeId]) -> PreScore {
        let constraints = self.constraints(cycle, false);
        if constraints.is_empty() {
            return PreScore::Skip;
        }
        let all_keys = !cycle.pod.spec.spread.is_empty() || !self.system;
        PreScore::Run(Some(Box::new(Scoring::new(cycle, constraints, feasible, all_keys))))
    }

    fn score(&self, cycle: Cycle<'_>, state: &State, nodes: &[NodeId], out: &mut [i64]) {
        let Some(state) = state_of::<Scoring>(state) else { return };
        let snapshot = cycle.snapshot;
        for (node, score) in nodes.iter().zip(out) {
            if state.ignores(snapshot, *node) {
                continue;
            }
            let mut sum = 0.0;
            for (at, constraint) in state.constraints.iter().enumerate() {
                let count = match domain(snapshot, constraint, *node) {
                    Topology::NONE => continue,
                    _ if constraint.by_hostname => count_on(snapshot, *node, &state.groups[at]),
                    domain => state.counts[at][domain as usize],
                };
                sum += count as f64 * state.weights[at] + (constraint.max_skew - 1) as f64;
            }
            *score = sum.round() as i64;
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
    for (constraint, counts) in state.constraints.iter().zip(&mut state.counts) {
        let selected = constraint.selector.as_ref().is_some_and(|s| s.matches(other.labels()));
        if selected && included(constraint, cycle, snapshot.node(node)) {
            *counts.by_domain[domain(snapshot, constraint, node) as usize].get_or_insert(0) += by;
        }
    }
}
