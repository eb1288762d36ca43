//! DefaultPreemption: which pods of lower priority would have to go so that this one fits
//! (`pkg/scheduler/framework/plugins/defaultpreemption/default_preemption.go`,
//! `pkg/scheduler/framework/preemption/preemption.go`).
//!
//! The dry run begins at a random one of the possible nodes, as upstream; it shows only where there are more of
//! them than are looked at (from a hundred on). One deviation, where upstream leaves it to the order of a map: the
//! last tie goes to the smaller name.

use super::cycle::{Framework, Prepared, run_filters};
use super::fit_error::FitError;
use super::nominated::Nominated;
use super::plugin::{Code, Cycle, NodeId, Plugin, Point, Reasons, Why};
use super::pod_info::PodInfo;
use super::snapshot::Snapshot;
use crate::model::{Labels, Name, Pod, PodDisruptionBudget, Selector, condition};
use crate::name;
use crate::time::SimTime;
use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The plugin: it marks in a profile that preemption is on. The work is the framework's.
pub struct DefaultPreemption;

impl Plugin for DefaultPreemption {
    fn name(&self) -> &'static str {
        "DefaultPreemption"
    }

    fn points(&self) -> &'static [Point] {
        &[Point::PostFilter]
    }
}

/// A PodDisruptionBudget as preemption sees it.
#[derive(Clone, Debug)]
pub struct Budget {
    /// Which pods of its namespace; an empty selector matches nothing here.
    pub selector: Selector,
    /// `status.disruptionsAllowed`.
    pub allowed: i64,
    /// Names in `status.disruptedPods`: already counted.
    pub disrupted: Vec<Name>,
}

impl Budget {
    /// What counts of a budget.
    pub fn of(budget: &PodDisruptionBudget) -> Self {
        Budget {
            selector: budget.selector.clone().unwrap_or_default(),
            allowed: i64::from(budget.status.disruptions_allowed),
            disrupted: budget.status.disrupted.iter().map(|(pod, _)| pod.clone()).collect(),
        }
    }
}

/// A node on which the pod would fit without some pods.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The node.
    pub node: NodeId,
    /// Who has to go, most important first.
    pub victims: Vec<Arc<PodInfo>>,
    /// How many of them a budget protects.
    pub violations: usize,
}

/// What preemption found.
#[derive(Clone, Debug, Default)]
pub struct Preemption {
    /// Whether the pod may preempt at all.
    pub eligible: bool,
    /// What a user is told if nothing was found; empty otherwise.
    pub message: String,
    /// The nodes of the dry run.
    pub potential: Vec<NodeId>,
    /// Where it would help.
    pub candidates: Vec<Candidate>,
    /// The chosen candidate.
    pub chosen: Option<usize>,
}

/// How many candidates to look for before choosing (`DefaultPreemptionArgs`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CandidateLimits {
    /// `minCandidateNodesPercentage`: the least share of the potential nodes.
    pub percentage: usize,
    /// `minCandidateNodesAbsolute`: the fewest.
    pub absolute: usize,
}

impl Default for CandidateLimits {
    fn default() -> Self {
        CandidateLimits { percentage: 10, absolute: 100 }
    }
}

/// Earlier start counts as more important; a pod that has not started counts as started now.
fn started(pod: &Pod) -> SimTime {
    pod.status.start_time.unwrap_or(SimTime::MAX)
}

/// Most important first (`pkg/scheduler/util/utils.go`, `MoreImportantPod`).
fn by_importance(a: &Arc<PodInfo>, b: &Arc<PodInfo>) -> Ordering {
    let key = |pod: &PodInfo| (Reverse(pod.pod.spec.priority), started(&pod.pod));
    key(a).cmp(&key(b))
}

/// Whether each pod's eviction would violate a budget, counted in this order.
fn violations(pods: &[Arc<PodInfo>], budgets: &BTreeMap<(Name, Name), Budget>) -> Vec<bool> {
    let mut allowed: Vec<i64> = budgets.values().map(|budget| budget.allowed).collect();
    let mut violates = |pod: &Pod, labels: &Labels| {
        let mut violated = false;
        for (((namespace, _), budget), allowed) in budgets.iter().zip(&mut allowed) {
            let meant = *namespace == pod.meta.namespace
                && !labels.is_empty()
                && !budget.selector.is_empty()
                && budget.selector.matches(labels)
                && !budget.disrupted.contains(&pod.meta.name);
            if meant {
                *allowed -= 1;
                violated |= *allowed < 0;
            }
        }
        violated
    };
    pods.iter().map(|pod| violates(&pod.pod, pod.labels())).collect()
}

/// Why the pod may not preempt at all.
fn ineligible(snapshot: &Snapshot, pod: &Pod, fit: &FitError) -> &'static str {
    if !pod.spec.preempts {
        return "not eligible due to preemptionPolicy=Never.";
    }
    let Some(node) = pod.status.nominated_node.as_ref().and_then(|name| snapshot.find(name)) else { return "" };
    let leaving = |other: &Arc<PodInfo>| {
        let by_preemption = condition::find(&other.pod.status.conditions, "DisruptionTarget")
            .is_some_and(|target| target.reason == "PreemptionByScheduler");
        other.pod.spec.priority < pod.spec.priority && other.pod.meta.deleting() && by_preemption
    };
    match fit.code(node) == Code::Unschedulable && snapshot.pods[node.at()].iter().any(leaving) {
        true => "not eligible due to a terminating pod on the nominated node.",
        false => "",
    }
}

impl Framework {
    /// Looks for a node where lower-priority pods could make room.
    pub(super) fn preempt(
        &mut self,
        snapshot: &mut Snapshot,
        nominated: &Nominated,
        pod: &PodInfo,
        prepared: &Prepared,
        fit: &FitError,
    ) -> Preemption {
        let message = ineligible(snapshot, &pod.pod, fit);
        let mut found = Preemption { eligible: message.is_empty(), message: message.into(), ..Preemption::default() };
        if !found.eligible {
            return found;
        }
        let open = |(_, why): &&(NodeId, Why)| fit.verdicts.get(*why).is_some_and(|r| r.code == Code::Unschedulable);
        found.potential = fit.rejected.iter().filter(open).map(|(node, _)| *node).collect();
        let CandidateLimits { percentage, absolute } = self.profile.candidates;
        let wanted = (found.potential.len() * percentage / 100).max(absolute);
        let mut hopeless = FitError { nodes: fit.nodes, ..FitError::default() };
        let offset = match &mut self.offsets {
            Some(stream) if !found.potential.is_empty() => stream.below(found.potential.len() as u64) as usize,
            _ => 0,
        };
        let (before, after) = found.potential.split_at(offset);
        for node in after.iter().chain(before) {
            if found.candidates.len() == wanted {
                break;
            }
            match self.dry_run(snapshot, nominated, pod, prepared, *node) {
                Ok(candidate) => found.candidates.push(candidate),
                Err(why) => hopeless.rejected.push((*node, why)),
            }
        }
        found.chosen = choose(snapshot, &found.candidates);
        if found.chosen.is_none() {
            let reason = name!("Preemption is not helpful for scheduling");
            let absent = super::plugin::Rejection {
                code: Code::Unresolvable,
                plugin: "",
                reasons: Reasons::from_elem(reason, 1),
            };
            hopeless.absent = Some(absent);
            hopeless.verdicts = self.memory.verdicts().clone();
            found.message = hopeless.to_string();
        }
        found
    }

    /// Takes all lower-priority pods off the node; if the pod fits then, puts back what can stay.
    fn dry_run(
        &mut self,
        snapshot: &mut Snapshot,
        nominated: &Nominated,
        pod: &PodInfo,
        prepared: &Prepared,
        node: NodeId,
    ) -> Result<Candidate, Why> {
        let lower = |other: &&Arc<PodInfo>| other.pod.spec.priority < pod.pod.spec.priority;
        let mut lower: Vec<Arc<PodInfo>> = snapshot.pods[node.at()].iter().filter(lower).cloned().collect();
        if lower.is_empty() {
            let reason = Reasons::from_elem(name!("No preemption victims found for incoming pod"), 1);
            return Err(self.memory.verdicts_mut().1.number("", Code::Unresolvable, reason));
        }
        let saved = snapshot.save(node);
        let mut state = prepared.duplicate();
        for other in &lower {
            self.take_away(snapshot, pod, &mut state, other, node);
        }
        let why = self.judge_one(snapshot, nominated, pod, &state, node);
        if !why.fits() {
            snapshot.restore(saved);
            return Err(why);
        }
        lower.sort_by(by_importance);
        let violating = violations(&lower, &snapshot.listers.budgets);
        let mut candidate = Candidate { node, victims: Vec::new(), violations: 0 };
        for protected in [true, false] {
            for (other, _) in lower.iter().zip(&violating).filter(|(_, violates)| **violates == protected) {
                self.put_back(snapshot, pod, &mut state, other, node);
                if !self.judge_one(snapshot, nominated, pod, &state, node).fits() {
                    self.take_away(snapshot, pod, &mut state, other, node);
                    candidate.victims.push(other.clone());
                    candidate.violations += usize::from(protected);
                }
            }
        }
        candidate.victims.sort_by(by_importance);
        snapshot.restore(saved);
        Ok(candidate)
    }

    /// Takes a pod off the node, and out of what the plugins prepared (`RunPreFilterExtensionRemovePod`).
    fn take_away(
        &self,
        snapshot: &mut Snapshot,
        pod: &PodInfo,
        state: &mut Prepared,
        other: &Arc<PodInfo>,
        node: NodeId,
    ) {
        snapshot.remove_from_node(node, other);
        let cycle = Cycle { pod, snapshot };
        for (at, plugin) in self.profile.at(Point::PreFilter) {
            if !state.skip[at] {
                plugin.remove_pod(cycle, &mut state.states[at], other, node);
            }
        }
    }

    /// Undoes [`Self::take_away`] (`RunPreFilterExtensionAddPod`).
    fn put_back(
        &self,
        snapshot: &mut Snapshot,
        pod: &PodInfo,
        state: &mut Prepared,
        other: &Arc<PodInfo>,
        node: NodeId,
    ) {
        snapshot.add_to_node(node, other);
        let cycle = Cycle { pod, snapshot };
        for (at, plugin) in self.profile.at(Point::PreFilter) {
            if !state.skip[at] {
                plugin.add_pod(cycle, &mut state.states[at], other, node);
            }
        }
    }

    /// All filters on one node as the snapshot has it now, without what is remembered of it.
    fn judge_one(
        &mut self,
        snapshot: &mut Snapshot,
        nominated: &Nominated,
        pod: &PodInfo,
        state: &Prepared,
        node: NodeId,
    ) -> Why {
        self.why[node.at()] = Why::FITS;
        let all: Vec<usize> = self.profile.order.get(&Point::Filter).cloned().unwrap_or_default();
        let (_, verdicts) = self.memory.verdicts_mut();
        let cycle = Cycle { pod, snapshot };
        run_filters(&self.profile, &all, cycle, state, &mut vec![node], &mut self.why, verdicts);
        if !nominated.is_empty() {
            self.judge_with_nominated(snapshot, nominated, pod, state, node);
        }
        self.why[node.at()]
    }
}

/// The best candidate: fewest violations, lowest highest victim, smallest sum of priorities, fewest victims,
/// latest start among the highest victims, smallest name (`pickOneNodeForPreemption`).
fn choose(snapshot: &Snapshot, candidates: &[Candidate]) -> Option<usize> {
    let key = |candidate: &Candidate| {
        let victims = &candidate.victims;
        let highest = victims.first().map(|victim| victim.pod.spec.priority);
        let sum: i64 = victims.iter().map(|victim| i64::from(victim.pod.spec.priority) + (1 << 31)).sum();
        let top = victims.iter().filter(|victim| Some(victim.pod.spec.priority) == highest);
        let earliest = top.map(|victim| started(&victim.pod)).min();
        let name = snapshot.name(candidate.node).clone();
        (candidate.violations, highest, sum, victims.len(), Reverse(earliest), name)
    };
    (0..candidates.len()).min_by_key(|at| key(&candidates[*at]))
}
