//! How the cluster recovered from each incident, step by step and pod by pod.
//!
//! ```text
//! fault ▶ node Unknown ▶ NoSchedule ▶ NoExecute ▶ endpoint removed ▶ evicted
//!       ▶ replacement created ▶ scheduled ▶ pulled ▶ started ▶ ready ▶ endpoint added
//! ```
//!
//! A lost pod and its replacement are matched in order: the pods of a workload that were lost first get the
//! pods created first, each created no earlier than the loss it makes good.

use super::record::{IncidentRecord, NodeMark, PodRecord, Record, Rollout, first};
use super::series::together;
use crate::model::{Effect, Key, Kind, Name};
use crate::time::{SimDuration, SimTime};
use std::collections::{BTreeMap, BTreeSet};

/// The recovery from one incident.
#[derive(Clone, PartialEq, Debug)]
pub struct Recovery {
    /// Which: an index into [`Record::incidents`].
    pub incident: usize,
    /// When the incident began.
    pub started: SimTime,
    /// The nodes it hit.
    pub nodes: Vec<NodeRecovery>,
    /// The pods it hit.
    pub pods: Vec<PodRecovery>,
    /// What it meant to each workload.
    pub impacts: Vec<Impact>,
}

/// What Kubernetes did about a node.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NodeRecovery {
    /// Its name.
    pub name: Name,
    /// Ready turned Unknown (or False).
    pub unknown: Option<SimTime>,
    /// The `NoSchedule` taint.
    pub no_schedule: Option<SimTime>,
    /// The `NoExecute` taint.
    pub no_execute: Option<SimTime>,
    /// Ready turned True again.
    pub back: Option<SimTime>,
}

/// The way from a lost pod to its replacement, or of a pod back into service.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PodRecovery {
    /// The pod that was hit: an index into [`Record::pods`].
    pub pod: usize,
    /// The pod that took its place.
    pub replacement: Option<usize>,
    /// It ceased to be a ready endpoint.
    pub endpoint_removed: Option<SimTime>,
    /// Its deletion was asked for.
    pub evicted: Option<SimTime>,
    /// It has failed for good.
    pub failed: Option<SimTime>,
    /// The replacement was created.
    pub created: Option<SimTime>,
    /// The replacement was bound.
    pub scheduled: Option<SimTime>,
    /// The replacement's image was present.
    pub pulled: Option<SimTime>,
    /// The replacement's containers ran; without replacement: its own ran again.
    pub started: Option<SimTime>,
    /// The replacement (or the pod itself) was ready.
    pub ready: Option<SimTime>,
    /// The replacement (or the pod itself) was a ready endpoint.
    pub endpoint_added: Option<SimTime>,
    /// How long it had run in vain, if it is a job's.
    pub work_lost: SimDuration,
}

/// What an incident meant to one workload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Impact {
    /// Which: an index into [`Record::workloads`].
    pub workload: usize,
    /// Pods serving just before.
    pub before: i64,
    /// The fewest pods serving until full strength (or the end).
    pub lowest: i64,
    /// When as many served again as were wished; `None` if never, or if none was ever missing.
    pub full_strength: Option<SimTime>,
    /// Wished and not serving, in replica × nanoseconds, until full strength (or the end).
    pub unavailable: i128,
    /// The rollout that a user's action began.
    pub rollout: Option<Rollout>,
}

impl PodRecovery {
    /// Whether the pod is gone for good, rather than started anew in its place.
    pub fn is_lost(&self) -> bool {
        self.replacement.is_some() || self.evicted.is_some() || self.failed.is_some()
    }
}

impl Impact {
    /// The share of those that served just before which was gone at the worst moment, in millionths.
    pub fn blast(&self) -> i64 {
        (self.before - self.lowest).max(0) * 1_000_000 / self.before.max(1)
    }
}

/// Smallest, middle and largest of some times.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Spread {
    /// How many.
    pub count: usize,
    /// Smallest.
    pub min: SimDuration,
    /// Middle; of an even number the mean of the two in the middle.
    pub median: SimDuration,
    /// Largest.
    pub max: SimDuration,
}

impl Spread {
    /// Of these times; `None` of none.
    pub fn of(mut times: Vec<SimDuration>) -> Option<Spread> {
        times.sort_unstable();
        let (min, max) = (*times.first()?, *times.last()?);
        let middle = (times.len() - 1) / 2;
        let median = SimDuration((times[middle].0 + times[times.len() / 2].0) / 2);
        Some(Spread { count: times.len(), min, median, max })
    }
}

/// One step of a recovery, measured from the incident.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    /// Its name, for people.
    pub name: &'static str,
    /// Its name, for programs.
    pub id: &'static str,
    /// Over the nodes or pods it concerns; `None` if it never happened.
    pub spread: Option<Spread>,
}

type OfNode = fn(&NodeRecovery) -> Option<SimTime>;
type OfPod = fn(&PodRecovery) -> Option<SimTime>;

const NODE_STEPS: [(&str, &str, OfNode); 3] = [
    ("node Unknown", "nodeUnknown", |node| node.unknown),
    ("NoSchedule taint", "noScheduleTaint", |node| node.no_schedule),
    ("NoExecute taint", "noExecuteTaint", |node| node.no_execute),
];

const POD_STEPS: [(&str, &str, OfPod); 8] = [
    ("endpoint removed", "endpointRemoved", |pod| pod.endpoint_removed),
    ("pod evicted", "evicted", |pod| pod.evicted),
    ("replacement created", "replacementCreated", |pod| pod.created),
    ("scheduled", "scheduled", |pod| pod.scheduled),
    ("image pulled", "imagePulled", |pod| pod.pulled),
    ("containers started", "started", |pod| pod.started),
    ("ready", "ready", |pod| pod.ready),
    ("endpoint added", "endpointAdded", |pod| pod.endpoint_added),
];

impl Recovery {
    /// All steps in their usual order, those that never happened too.
    pub fn steps(&self) -> Vec<Step> {
        let since = |time: SimTime| time - self.started;
        let nodes = NODE_STEPS.iter().map(|(name, id, of)| {
            let times = self.nodes.iter().filter_map(of).map(since).collect();
            Step { name, id, spread: Spread::of(times) }
        });
        let pods = POD_STEPS.iter().map(|(name, id, of)| {
            let times = self.pods.iter().filter_map(of).map(since).collect();
            Step { name, id, spread: Spread::of(times) }
        });
        nodes.chain(pods).collect()
    }

    /// From the incident until Kubernetes knew of the last node, or of the last pod where no node was hit.
    pub fn detection(&self) -> Option<SimDuration> {
        let nodes = self.nodes.iter().filter_map(|node| node.unknown).max();
        let pods = self.pods.iter().filter_map(|pod| pod.endpoint_removed).max();
        if self.nodes.is_empty() { pods } else { nodes }.map(|at| at - self.started)
    }

    /// From the incident until Kubernetes had decided to replace the last pod that it replaced: its deletion was asked for.
    pub fn decision(&self) -> Option<SimDuration> {
        self.pods.iter().filter_map(|pod| pod.evicted).max().map(|at| at - self.started)
    }

    /// Pods that it took for good.
    pub fn lost(&self) -> usize {
        self.pods.iter().filter(|pod| pod.is_lost()).count()
    }

    /// Pods that started anew in their places.
    pub fn restarted(&self) -> usize {
        self.pods.iter().filter(|pod| !pod.is_lost() && pod.started.is_some()).count()
    }

    /// Pods whose replacement has found a node.
    pub fn rescheduled(&self) -> usize {
        self.pods.iter().filter(|pod| pod.replacement.is_some() && pod.scheduled.is_some()).count()
    }

    /// Time that pods of jobs had run in vain.
    pub fn work_lost(&self) -> SimDuration {
        SimDuration(self.pods.iter().map(|pod| pod.work_lost.0).sum())
    }

    /// The worst share of a workload's replicas that it took at one moment, in millionths.
    pub fn blast(&self) -> i64 {
        self.impacts.iter().map(Impact::blast).max().unwrap_or(0)
    }

    /// From the incident until the last pod that was hit was made good.
    pub fn time_to_replace(&self) -> Option<SimDuration> {
        let all: Option<Vec<SimTime>> = self.pods.iter().map(|pod| pod.ready).collect();
        all?.into_iter().max().map(|at| at - self.started)
    }

    /// From the incident until the last workload was at full strength again.
    pub fn time_to_full_strength(&self) -> Option<SimDuration> {
        let hit = self.impacts.iter().filter(|impact| impact.unavailable > 0);
        let all: Option<Vec<SimTime>> = hit.map(|impact| impact.full_strength).collect();
        all?.into_iter().max().map(|at| at - self.started)
    }

    /// Wished and not serving, in replica × nanoseconds, over all workloads.
    pub fn unavailable(&self) -> i128 {
        self.impacts.iter().map(|impact| impact.unavailable).sum()
    }
}

/// The recoveries from all incidents that had an effect.
///
/// Where several lasted at a time each pod is one incident's: of those that end processes or silence machines the first,
/// and only what they leave is laid at the door of the others.
pub fn all(record: &Record) -> Vec<Recovery> {
    let mut taken = Taken::default();
    let mut order: Vec<usize> = (0..record.incidents.len()).collect();
    order.sort_by_key(|at| (is_gentle(&record.incidents[*at]), *at));
    let mut all: Vec<Recovery> =
        order.into_iter().filter_map(|at| one(record, at, &record.incidents[at], &mut taken)).collect();
    all.sort_by_key(|recovery| recovery.incident);
    all
}

/// What is accounted for.
#[derive(Default)]
struct Taken {
    /// Pods that stand for another.
    replacements: BTreeSet<usize>,
    /// Pods that an incident took from service, and until when: for good, or until they were back.
    hit: BTreeMap<usize, SimTime>,
}

/// Whether an incident ends no process and silences no machine by itself.
fn is_gentle(incident: &IncidentRecord) -> bool {
    let kinds = ["clock-skew", "disk-full", "memory-hog", "slow-node", "slow-start"];
    matches!(incident.fault.effect, Effect::Link(_) | Effect::Cut(_)) || kinds.contains(&incident.fault.kind)
}

fn one(record: &Record, at: usize, incident: &IncidentRecord, taken: &mut Taken) -> Option<Recovery> {
    let started = incident.started;
    let mut recovery = Recovery { incident: at, started, nodes: Vec::new(), pods: Vec::new(), impacts: Vec::new() };
    let mut hit: Vec<usize> = Vec::new();
    let fault = &incident.fault;
    match &fault.effect {
        Effect::UserAction { target } => {
            let rolls = |key: &&Key| matches!(key.kind, Kind::Deployment | Kind::StatefulSet | Kind::DaemonSet);
            let target = target.as_ref().filter(rolls)?;
            let row = |w: &super::WorkloadRecord| {
                w.kind == target.kind && w.name == target.name && w.namespace == target.namespace
            };
            let workload = record.workloads.iter().position(row)?;
            recovery.impacts.push(impact_of_action(record, workload, started)?);
            return Some(recovery);
        }
        // What runs on the machines goes on.
        Effect::Process { .. } | Effect::Hindrance(_) | Effect::Cloud { .. } => return None,
        _ => {
            recovery.nodes = fault.nodes.iter().map(|name| node_recovery(record, name, incident)).collect();
            let named = |pod: &PodRecord| fault.pods.iter().any(|k| k.name == pod.name && k.namespace == pod.namespace);
            let there = |pod: &PodRecord| (fault.nodes.contains(&pod.node) || named(pod)) && pod.alive_before(started);
            let free = |pod: &usize| taken.hit.get(pod).is_none_or(|until| *until <= started);
            hit.extend((0..record.pods.len()).filter(|pod| there(&record.pods[*pod]) && free(pod)));
        }
    }
    if hit.is_empty() && recovery.nodes.is_empty() {
        return None;
    }
    recovery.pods = match_replacements(record, &hit, incident, &mut taken.replacements);
    let felt = |pod: &&PodRecovery| pod.is_lost() || pod.started.is_some() || pod.endpoint_removed.is_some();
    for pod in recovery.pods.iter().filter(felt) {
        let until = if pod.is_lost() { record.end } else { pod.ready.or(pod.started).unwrap_or(record.end) };
        taken.hit.entry(pod.pod).and_modify(|known| *known = until.max(*known)).or_insert(until);
    }
    let gentle = is_gentle(incident);
    let concerned = recovery.pods.iter().filter(|pod| !gentle || felt(pod)).map(|pod| pod.pod);
    let workloads: BTreeSet<usize> = concerned.filter_map(|pod| record.pods[pod].workload).collect();
    recovery.impacts = workloads.into_iter().map(|workload| impact(record, workload, started)).collect();
    Some(recovery)
}

fn node_recovery(record: &Record, name: &Name, incident: &IncidentRecord) -> NodeRecovery {
    let started = incident.started;
    let mut recovery = NodeRecovery { name: name.clone(), ..NodeRecovery::default() };
    let Some(node) = record.nodes.iter().find(|node| node.name == *name) else { return recovery };
    // What happens after the node works again belongs to another story.
    let back = node.marks.iter().find(|(time, mark)| *mark == NodeMark::Ready && *time > started);
    let harder = |other: &&IncidentRecord| {
        is_gentle(incident) && !is_gentle(other) && other.started >= started && other.fault.nodes.contains(name)
    };
    let next = record.incidents.iter().filter(harder).map(|other| other.started).min();
    let until = back.map(|back| back.0).into_iter().chain(next).min().unwrap_or(record.end);
    let within = |mark: NodeMark| node.first_mark(mark, started, until);
    recovery.unknown = within(NodeMark::Unknown).or(within(NodeMark::NotReady));
    recovery.no_schedule = within(NodeMark::NoSchedule);
    recovery.no_execute = within(NodeMark::NoExecute);
    recovery.back = back.map(|back| back.0);
    recovery
}

/// When a pod was lost to an incident: deleted or ended while it was unready or the incident lasted. A pod that came
/// back into service first and went later belongs to another story.
fn lost_to(row: &PodRecord, incident: &IncidentRecord) -> Option<SimTime> {
    // One that has done its work is not lost.
    let lost = match (row.deleted, row.ended.filter(|_| row.has_failed())) {
        (Some(deleted), Some(ended)) => deleted.min(ended),
        (deleted, ended) => deleted.or(ended)?,
    };
    let unready = first(&row.ready, false, incident.started);
    let back = unready.and_then(|at| first(&row.ready, true, at));
    let came_back = back.is_some_and(|back| back < lost);
    let concerned = unready.is_some_and(|at| at <= lost) || incident.ended.is_none_or(|ended| lost <= ended);
    (concerned && !came_back).then_some(lost)
}

fn match_replacements(
    record: &Record,
    hit: &[usize],
    incident: &IncidentRecord,
    taken: &mut BTreeSet<usize>,
) -> Vec<PodRecovery> {
    let fault = incident.started;
    let lost_at = |pod: usize| lost_to(&record.pods[pod], incident);
    let mut order: Vec<usize> = hit.to_vec();
    order.sort_by_key(|pod| (lost_at(*pod).unwrap_or(SimTime::MAX), *pod));
    let first_candidate = record.pods.partition_point(|pod| pod.created < fault);
    let mut recoveries: Vec<PodRecovery> = order
        .into_iter()
        .map(|pod| {
            let row = &record.pods[pod];
            // Pods of jobs belong to no workload that serves: they have an owner in common.
            let kin = |other: &PodRecord| {
                let same = (&other.namespace, &other.owner) == (&row.namespace, &row.owner);
                other.workload == row.workload && (row.workload.is_some() || same)
            };
            let fits = |lost: SimTime, other: &PodRecord| kin(other) && other.created >= lost;
            let replacement = match (lost_at(pod), row.workload.is_some() || !row.owner.is_empty()) {
                (Some(lost), true) => (first_candidate..record.pods.len())
                    .find(|other| fits(lost, &record.pods[*other]) && !taken.contains(other)),
                _ => None,
            };
            taken.extend(replacement);
            let recovery = pod_recovery(record, pod, replacement, fault);
            PodRecovery {
                evicted: row.deleted.filter(|at| *at >= fault && lost_at(pod).is_some()),
                failed: row.ended.filter(|at| *at >= fault && lost_at(pod).is_some() && row.has_failed()),
                work_lost: work_lost(row, lost_at(pod), &recovery),
                ..recovery
            }
        })
        .collect();
    recoveries.sort_by_key(|recovery| recovery.pod);
    recoveries
}

/// What a fault made of a job's pod that had run: everything if it ended by it, else what ran before its new start.
fn work_lost(row: &PodRecord, lost: Option<SimTime>, recovery: &PodRecovery) -> SimDuration {
    let Some(in_vain) = row.work_lost else { return SimDuration::ZERO };
    match (lost, recovery.started) {
        (Some(_), _) => in_vain,
        (None, Some(again)) => {
            let before = row.restarts_at.iter().rev().find(|at| **at < again).copied().or(row.started);
            before.map_or(SimDuration::ZERO, |before| again - before)
        }
        (None, None) => SimDuration::ZERO,
    }
}

fn pod_recovery(record: &Record, pod: usize, replacement: Option<usize>, fault: SimTime) -> PodRecovery {
    let row = &record.pods[pod];
    let mut recovery = PodRecovery {
        pod,
        replacement,
        endpoint_removed: first(&row.endpoint, false, fault),
        ..PodRecovery::default()
    };
    if let Some(new) = replacement.map(|at| &record.pods[at]) {
        recovery.created = Some(new.created);
        recovery.scheduled = new.scheduled;
        recovery.pulled = new.pulled;
        recovery.started = new.started;
        recovery.ready = new.first_ready();
        recovery.endpoint_added = new.first_endpoint();
    } else {
        recovery.started = row.restarts_at.iter().copied().find(|at| *at >= fault);
        recovery.ready = first(&row.ready, false, fault).and_then(|lost| first(&row.ready, true, lost));
        recovery.endpoint_added = recovery.endpoint_removed.and_then(|lost| first(&row.endpoint, true, lost));
    }
    recovery
}

fn impact(record: &Record, workload: usize, started: SimTime) -> Impact {
    let row = &record.workloads[workload];
    let before = row.serving.before(started);
    let mut impact = Impact { workload, before, lowest: before, full_strength: None, unavailable: 0, rollout: None };
    let mut short = false;
    for (time, length, [desired, serving]) in together([&row.desired, &row.serving], started, record.end) {
        if short && serving >= desired {
            impact.full_strength = Some(time);
            break;
        }
        short |= serving < desired;
        impact.lowest = impact.lowest.min(serving);
        impact.unavailable += i128::from((desired - serving).max(0)) * i128::from(length.0);
    }
    impact
}

/// A user's action counts where it changed the wish: a rollout began or the number of replicas changed.
fn impact_of_action(record: &Record, workload: usize, started: SimTime) -> Option<Impact> {
    const SOON: SimDuration = SimDuration::from_secs(1);
    let row = &record.workloads[workload];
    let soon = started..=started + SOON;
    let rollout = row.rollouts.iter().find(|rollout| soon.contains(&rollout.started));
    let scaled = row.desired.points.iter().any(|point| soon.contains(&point.0));
    if rollout.is_none() && !scaled {
        return None;
    }
    Some(Impact { rollout: rollout.cloned(), ..impact(record, workload, started) })
}
