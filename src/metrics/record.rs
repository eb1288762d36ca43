//! The record of a run: plain data, with nothing in it that points back into the cluster.

use super::jobs::JobRecord;
use super::recovery::Recovery;
use super::resilience::{BudgetRecord, Objective};
use super::scaling::LoadRecord;
use super::series::{Series, together};
use super::traffic::TrafficRecord;
use crate::model::{Fault, Key, Kind, Name, Phase, Uid};
use crate::time::{SimDuration, SimTime};
use smallvec::SmallVec;

/// Everything that was recorded of one run.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Record {
    /// When the run ended.
    pub end: SimTime,
    /// Deployments, stateful sets, daemon sets (and what else makes pods and is owned by nobody), in order of creation.
    pub workloads: Vec<WorkloadRecord>,
    /// Jobs, in order of creation.
    pub jobs: Vec<JobRecord>,
    /// Services with a selector, in order of creation.
    pub services: Vec<ServiceRecord>,
    /// Nodes, in order of registration.
    pub nodes: Vec<NodeRecord>,
    /// Pods, in order of creation.
    pub pods: Vec<PodRecord>,
    /// Pods by phase: Pending, Running, Succeeded, Failed; those being deleted count as Terminating.
    pub phases: [Series; 5],
    /// Spread of the requested share over the worker nodes: coefficient of variation in millionths, of cpu and memory.
    pub imbalance: [Series; 2],
    /// Kubernetes events, in order of their first time.
    pub events: Vec<EventRow>,
    /// Faults and the user's actions, in order.
    pub incidents: Vec<IncidentRecord>,
    /// Disruption budgets, in order of creation.
    pub budgets: Vec<BudgetRecord>,
    /// What the scenario promises of its workloads.
    pub objectives: Vec<Objective>,
    /// How the cluster recovered, one for each incident that had an effect.
    pub recoveries: Vec<Recovery>,
    /// What became of requests, if the scenario has traffic.
    pub traffic: Option<TrafficRecord>,
    /// Loads that pods shared.
    pub loads: Vec<LoadRecord>,
}

/// Names of the rows of [`Record::phases`].
pub const PHASES: [&str; 5] = ["Pending", "Running", "Succeeded", "Failed", "Terminating"];

impl Record {
    /// Price of all machines for the time they were up, in millionths of the currency unit.
    pub fn cost_micros(&self) -> i128 {
        self.nodes.iter().map(|node| node.cost(self.end)).sum::<Cost>().micros()
    }

    /// The workload of that name, in whatever namespace comes first.
    pub fn workload(&self, name: &str) -> Option<&WorkloadRecord> {
        self.workloads.iter().find(|workload| workload.name == name)
    }
}

/// One workload over time. All counts are of pods as the API shows them, except `serving`.
#[derive(Clone, PartialEq, Debug)]
pub struct WorkloadRecord {
    /// Deployment, StatefulSet, DaemonSet, ReplicationController, or ReplicaSet for one without owner.
    pub kind: Kind,
    /// Its uid.
    pub uid: Uid,
    /// Namespace.
    pub namespace: Name,
    /// Name.
    pub name: Name,
    /// Wished replicas; 0 once it is gone.
    pub desired: Series,
    /// Pods neither terminal nor being deleted.
    pub current: Series,
    /// Pods of the newest template, as its controller reports.
    pub updated: Series,
    /// Pods whose Ready condition is True.
    pub ready: Series,
    /// Pods ready for `minReadySeconds`.
    pub available: Series,
    /// Wished and not available.
    pub unavailable: Series,
    /// Ready pods whose machine really is up: what users feel before Kubernetes notices.
    pub serving: Series,
    /// Container restarts of its pods so far.
    pub restarts: Series,
    /// The state of its rollout, from each instant on; deployments, stateful sets and daemon sets only.
    pub rollout: Vec<(SimTime, RolloutState)>,
    /// When rollouts were complete (updated, available and current equal the wish), one entry each.
    pub rollouts: Vec<Rollout>,
}

/// How a deployment's newest template spreads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RolloutState {
    /// Every pod is of it and available.
    Complete,
    /// Not yet.
    Progressing,
    /// The progress deadline passed.
    Failed,
    /// It waits.
    Paused,
}

impl RolloutState {
    /// `complete`, …
    pub const fn as_str(self) -> &'static str {
        match self {
            RolloutState::Complete => "complete",
            RolloutState::Progressing => "progressing",
            RolloutState::Failed => "failed",
            RolloutState::Paused => "paused",
        }
    }
}

/// One change of a workload's template and how long it took to spread.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rollout {
    /// When the wish changed.
    pub started: SimTime,
    /// When all pods were of the new template, available, and no old one left.
    pub completed: Option<SimTime>,
    /// When the progress deadline passed without progress.
    pub stalled: Option<SimTime>,
    /// The first image of the new template.
    pub image: Name,
}

impl WorkloadRecord {
    /// Wished and not serving, in replica × nanoseconds.
    pub fn missing(&self, from: SimTime, to: SimTime) -> i128 {
        together([&self.desired, &self.serving], from, to)
            .map(|(_, length, [desired, serving])| i128::from((desired - serving).max(0)) * i128::from(length.0))
            .sum()
    }

    /// When as many served as were wished, for the first time: the way up from nothing is no loss.
    pub fn first_whole(&self) -> Option<SimTime> {
        let whole = |time: SimTime| self.serving.at(time) >= self.desired.at(time) && self.desired.at(time) > 0;
        let turns = self.serving.points.iter().chain(&self.desired.points).map(|point| point.0);
        turns.filter(|time| whole(*time)).min()
    }
}

/// The endpoints of one service over time.
#[derive(Clone, PartialEq, Debug)]
pub struct ServiceRecord {
    /// Namespace.
    pub namespace: Name,
    /// Name.
    pub name: Name,
    /// Endpoints that take new connections.
    pub ready: Series,
}

/// What happened to a node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum NodeMark {
    /// Ready turned True.
    Ready,
    /// Ready turned False.
    NotReady,
    /// Ready turned Unknown.
    Unknown,
    /// A `NoSchedule` taint for a lost or unready node was added.
    NoSchedule,
    /// A `NoExecute` taint for a lost or unready node was added.
    NoExecute,
    /// Cordoned.
    Cordoned,
    /// Uncordoned.
    Uncordoned,
    /// The machine stopped.
    Down,
    /// The machine came back.
    Up,
}

/// One node over time.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct NodeRecord {
    /// Name.
    pub name: Name,
    /// Pool; may be empty.
    pub pool: Name,
    /// Zone; may be empty.
    pub zone: Name,
    /// Whether it belongs to the control plane. Such nodes are left out of the cluster's utilization.
    pub control_plane: bool,
    /// Price of an hour in millionths.
    pub price_per_hour_micros: i64,
    /// When its machine was asked for, if that was during the run.
    pub asked: Option<SimTime>,
    /// The API knows it: 1 or 0.
    pub registered: Series,
    /// Machine is up: 1 or 0.
    pub up: Series,
    /// Ready is True: 1 or 0.
    pub ready: Series,
    /// Pods bound and not terminal.
    pub pods: Series,
    /// Allocatable milli-CPU while registered.
    pub allocatable_cpu: Series,
    /// Allocatable bytes while registered.
    pub allocatable_memory: Series,
    /// Pod slots while registered.
    pub allocatable_pods: Series,
    /// Requested milli-CPU of bound pods.
    pub requested_cpu: Series,
    /// Requested bytes of bound pods.
    pub requested_memory: Series,
    /// Used milli-CPU; nothing while the machine is down.
    pub used_cpu: Series,
    /// Used bytes; nothing while the machine is down.
    pub used_memory: Series,
    /// What happened to it, in order.
    pub marks: Vec<(SimTime, NodeMark)>,
}

/// Money, exactly: in millionths an hour × nanoseconds. Only what is shown is rounded, so that sums are right.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Cost(i128);

impl Cost {
    /// The price of a time.
    pub fn of(nanoseconds: i128, price_per_hour_micros: i64) -> Cost {
        Cost(nanoseconds * i128::from(price_per_hour_micros))
    }

    /// The nearest number of millionths.
    pub fn micros(self) -> i128 {
        const HOUR: i128 = 3_600_000_000_000;
        (self.0 + HOUR / 2).div_euclid(HOUR)
    }
}

impl std::ops::AddAssign for Cost {
    fn add_assign(&mut self, other: Cost) {
        self.0 += other.0;
    }
}

impl std::iter::Sum for Cost {
    fn sum<I: Iterator<Item = Cost>>(all: I) -> Cost {
        Cost(all.map(|one| one.0).sum())
    }
}

impl NodeRecord {
    /// What there is and what is asked for: cpu, memory and pods allocatable, then the same requested.
    pub fn load(&self) -> [&Series; 6] {
        [
            &self.allocatable_cpu,
            &self.allocatable_memory,
            &self.allocatable_pods,
            &self.requested_cpu,
            &self.requested_memory,
            &self.pods,
        ]
    }

    /// Price of the time its machine was up.
    pub fn cost(&self, end: SimTime) -> Cost {
        Cost::of(self.up.integral(SimTime::ZERO, end), self.price_per_hour_micros)
    }

    /// The first time of `mark` in a span (both ends included).
    pub fn first_mark(&self, mark: NodeMark, from: SimTime, to: SimTime) -> Option<SimTime> {
        self.marks.iter().find(|(time, have)| *have == mark && (from..=to).contains(time)).map(|(time, _)| *time)
    }
}

/// The life of one pod.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct PodRecord {
    /// Its uid.
    pub uid: Uid,
    /// Namespace.
    pub namespace: Name,
    /// Name.
    pub name: Name,
    /// Its workload: an index into [`Record::workloads`].
    pub workload: Option<usize>,
    /// Its controller's name (a replica set's, usually); may be empty.
    pub owner: Name,
    /// Where it is bound; empty if never.
    pub node: Name,
    /// First image.
    pub image: Name,
    /// Priority.
    pub priority: i32,
    /// Requested milli-CPU.
    pub milli_cpu: i64,
    /// Requested bytes.
    pub memory: i64,
    /// Created.
    pub created: SimTime,
    /// Bound to its node.
    pub scheduled: Option<SimTime>,
    /// Last image present, before the containers first ran.
    pub pulled: Option<SimTime>,
    /// All app containers ran for the first time.
    pub started: Option<SimTime>,
    /// Turns of the Ready condition.
    pub ready: SmallVec<[(SimTime, bool); 2]>,
    /// Turns of being a ready endpoint of some service.
    pub endpoint: SmallVec<[(SimTime, bool); 2]>,
    /// Container starts after the first ones.
    pub restarts_at: SmallVec<[SimTime; 0]>,
    /// Deletion was asked for.
    pub deleted: Option<SimTime>,
    /// Removed from the API.
    pub gone: Option<SimTime>,
    /// When the phase became Succeeded or Failed.
    pub ended: Option<SimTime>,
    /// Restarts of all containers.
    pub restarts: u32,
    /// How long it ran in vain, as far as it has ended; none if it never ran for a job.
    pub work_lost: Option<SimDuration>,
    /// Its phase, from each instant on.
    pub phases: SmallVec<[(SimTime, Phase); 2]>,
    /// It was evicted: by a taint, a drain or preemption (condition `DisruptionTarget`).
    pub evicted: bool,
    /// Why: `status.reason`, or the waiting or termination reason of a container; empty usually.
    pub reason: Name,
}

impl PodRecord {
    /// When it first was ready.
    pub fn first_ready(&self) -> Option<SimTime> {
        first(&self.ready, true, SimTime::ZERO)
    }

    /// When it first was a ready endpoint.
    pub fn first_endpoint(&self) -> Option<SimTime> {
        first(&self.endpoint, true, SimTime::ZERO)
    }

    /// The last phase seen.
    pub fn phase(&self) -> Phase {
        self.phases.last().map_or(Phase::Pending, |last| last.1)
    }

    /// From creation to binding.
    pub fn queue_delay(&self) -> Option<SimDuration> {
        self.scheduled.map(|at| at - self.created)
    }

    /// Whether it has failed for good.
    pub fn has_failed(&self) -> bool {
        self.phases.last().is_some_and(|(_, phase)| *phase == Phase::Failed)
    }

    /// Whether it was there (bound, not gone, not ended, not being deleted) just before `time`.
    pub fn alive_before(&self, time: SimTime) -> bool {
        let not_yet = |mark: Option<SimTime>| mark.is_none_or(|at| at >= time);
        self.scheduled.is_some_and(|at| at < time) && not_yet(self.gone) && not_yet(self.ended) && not_yet(self.deleted)
    }
}

/// The first turn to `value` at or after `from`.
pub fn first(turns: &[(SimTime, bool)], value: bool, from: SimTime) -> Option<SimTime> {
    turns.iter().find(|(time, have)| *time >= from && *have == value).map(|(time, _)| *time)
}

/// One Kubernetes event.
#[derive(Clone, PartialEq, Debug)]
pub struct EventRow {
    /// First time.
    pub first: SimTime,
    /// Last time.
    pub last: SimTime,
    /// How often.
    pub count: u32,
    /// `Warning` rather than `Normal`.
    pub warning: bool,
    /// What it is about.
    pub object: Key,
    /// One word.
    pub reason: Name,
    /// A sentence.
    pub message: Name,
    /// The component that reported.
    pub source: Name,
}

/// Something that was done to the cluster.
#[derive(Clone, PartialEq, Debug)]
pub struct IncidentRecord {
    /// What kind.
    pub fault: Fault,
    /// A sentence for people.
    pub description: Name,
    /// When it began.
    pub started: SimTime,
    /// When it ended, if it did.
    pub ended: Option<SimTime>,
    /// What the user's command printed beyond success.
    pub output: Vec<(SimTime, Name)>,
}

impl IncidentRecord {
    /// A fault rather than an action of the user.
    pub fn is_fault(&self) -> bool {
        self.fault.is_fault()
    }
}
