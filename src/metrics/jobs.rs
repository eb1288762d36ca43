//! Jobs over time: how many of their pods ended well and badly, how long they took, and what work was lost.
//!
//! A worked example: a pod of a job runs 40 s and is killed with its node, its replacement runs 60 s and ends well: 60 s
//! of work, 40 s lost.

use super::record::{NodeMark, Record};
use super::series::Series;
use crate::model::batch::{Job, JobEnd};
use crate::model::{ContainerState, Name, Object, Phase, Pod, Uid};
use crate::store::Change;
use crate::time::{SimDuration, SimTime};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// One job over time.
#[derive(Clone, PartialEq, Debug)]
pub struct JobRecord {
    /// Its uid.
    pub uid: Uid,
    /// Namespace.
    pub namespace: Name,
    /// Name.
    pub name: Name,
    /// The cron job that made it; may be empty.
    pub cron: Name,
    /// Successes wished, if that is said.
    pub completions: Option<i32>,
    /// When it was made.
    pub created: SimTime,
    /// Since when it is active, for the last time.
    pub started: Option<SimTime>,
    /// When it was removed.
    pub gone: Option<SimTime>,
    /// Pods that run or are about to, as its status says.
    pub active: Series,
    /// Pods that ended well.
    pub succeeded: Series,
    /// Pods that ended badly.
    pub failed: Series,
    /// What it does, from each instant on.
    pub states: Vec<(SimTime, JobState)>,
    /// Why it failed; empty if it did not.
    pub reason: Name,
    /// Time that its pods ran to a good end.
    pub work: SimDuration,
    /// Time that its pods ran in vain.
    pub lost: SimDuration,
}

/// What a job does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JobState {
    /// It is on its way.
    Running,
    /// It waits.
    Suspended,
    /// It has ended well.
    Complete,
    /// It has ended badly.
    Failed,
    /// It was removed before its end.
    Removed,
}

impl JobState {
    /// `running`, …
    pub const fn as_str(self) -> &'static str {
        match self {
            JobState::Running => "running",
            JobState::Suspended => "suspended",
            JobState::Complete => "complete",
            JobState::Failed => "failed",
            JobState::Removed => "removed",
        }
    }

    /// Whether it is over.
    pub const fn over(self) -> bool {
        matches!(self, JobState::Complete | JobState::Failed)
    }
}

impl JobRecord {
    /// What it does at the end of the record.
    pub fn state(&self) -> JobState {
        self.states.last().map_or(JobState::Running, |last| last.1)
    }

    /// When it ended, if it did.
    pub fn ended(&self) -> Option<SimTime> {
        self.states.last().filter(|last| last.1.over()).map(|last| last.0)
    }

    /// From its creation to its end.
    pub fn duration(&self) -> Option<SimDuration> {
        self.ended().map(|ended| ended - self.created)
    }
}

/// Whose pod runs since when.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    by_uid: FxHashMap<Uid, usize>,
    running: FxHashMap<Uid, Run>,
}

/// A pod at work.
#[derive(Clone, Debug)]
struct Run {
    job: usize,
    since: SimTime,
    /// When the processes that run now were started.
    started: SimTime,
    node: Name,
}

impl Run {
    /// When its processes ended, as far as its machine's power tells: at `over`, or before.
    fn cut_off(&self, over: SimTime, record: &Record) -> SimTime {
        let node = record.nodes.iter().find(|node| node.name == self.node);
        node.and_then(|node| node.first_mark(NodeMark::Down, self.started, over)).unwrap_or(over)
    }
}

impl Jobs {
    /// A job changed.
    pub(super) fn job(&mut self, change: &Change, record: &mut Record) {
        let Object::Job(job) = change.object() else { return };
        let now = change.time;
        let at = *self.by_uid.entry(job.meta.uid).or_insert_with(|| {
            record.jobs.push(new_record(job, now));
            record.jobs.len() - 1
        });
        let row = &mut record.jobs[at];
        if change.new.is_none() {
            row.gone = Some(now);
            row.active.set(now, 0);
            if !row.state().over() {
                row.states.push((now, JobState::Removed));
            }
            return;
        }
        row.completions = job.spec.completions;
        row.started = job.status.start_time.or(row.started);
        row.active.set(now, i64::from(job.status.active));
        row.succeeded.set(now, i64::from(job.status.succeeded));
        row.failed.set(now, i64::from(job.status.failed));
        let state = match job.finished() {
            Some((JobEnd::Complete, _)) => JobState::Complete,
            Some((JobEnd::Failed, _)) => JobState::Failed,
            None if job.spec.suspend => JobState::Suspended,
            None => JobState::Running,
        };
        if row.states.last().map(|last| last.1) != Some(state) {
            row.states.push((now, state));
        }
        if state == JobState::Failed {
            let failed = crate::model::condition::find(&job.status.conditions, "Failed");
            row.reason = failed.map(|failed| failed.reason.clone()).unwrap_or_default();
        }
    }

    /// A pod changed: its time counts as work or as lost once it has ended. Gives what of it is lost for good.
    pub(super) fn pod(
        &mut self,
        now: SimTime,
        old: Option<&Arc<Pod>>,
        new: Option<&Arc<Pod>>,
        record: &mut Record,
    ) -> Option<SimDuration> {
        let pod = new.or(old)?;
        let at = pod.meta.controller().and_then(|owner| self.by_uid.get(&owner.uid)).copied()?;
        let uid = pod.meta.uid;
        match new.map(|pod| pod.status.phase) {
            Some(Phase::Pending) => None,
            Some(Phase::Running) => {
                let started = first_start(pod).map_or(now, |start| start.min(now));
                let node = || pod.node.clone().unwrap_or_default();
                let run = || Run { job: at, since: started, started, node: node() };
                self.running.entry(uid).or_insert_with(run).started = started;
                Some(SimDuration::ZERO)
            }
            ended => {
                let run = self.running.remove(&uid)?;
                let begun = run.since;
                let over = last_end(pod).map_or(now, |end| end.clamp(begun, now));
                // One that was asked to end ended well too early.
                let lost = if ended == Some(Phase::Succeeded) && !pod.meta.deleting() {
                    // What ran before the last restart was in vain.
                    let useful = last_start(pod).map_or(begun, |start| start.clamp(begun, over));
                    record.jobs[at].work += over - useful;
                    useful - begun
                } else {
                    run.cut_off(over, record) - begun
                };
                record.jobs[at].lost += lost;
                Some(lost)
            }
        }
    }

    /// The record ends: what was on machines that are down and are not waited for is lost. Gives which pods, and how
    /// much.
    pub(super) fn finish(&mut self, record: &mut Record) -> Vec<(Uid, SimDuration)> {
        let mut left: Vec<(Uid, Run)> = self.running.drain().collect();
        left.sort_by_key(|(uid, _)| *uid);
        let mut lost = Vec::new();
        for (uid, run) in left {
            let over = run.cut_off(record.end, record);
            if over < record.end {
                record.jobs[run.job].lost += over - run.since;
                lost.push((uid, over - run.since));
            }
        }
        lost
    }
}

fn new_record(job: &Job, now: SimTime) -> JobRecord {
    let cron = job.meta.controller().filter(|owner| owner.kind == crate::model::Kind::CronJob);
    JobRecord {
        uid: job.meta.uid,
        namespace: job.meta.namespace.clone(),
        name: job.meta.name.clone(),
        cron: cron.map(|owner| owner.name.clone()).unwrap_or_default(),
        completions: job.spec.completions,
        created: now,
        started: None,
        gone: None,
        active: Series::default(),
        succeeded: Series::default(),
        failed: Series::default(),
        states: Vec::new(),
        reason: Name::new(),
        work: SimDuration::ZERO,
        lost: SimDuration::ZERO,
    }
}

/// When the container that was started last was started.
fn last_start(pod: &Pod) -> Option<SimTime> {
    let start = |state: &ContainerState| match state {
        ContainerState::Terminated(ended) => Some(ended.started),
        _ => None,
    };
    pod.status.containers.iter().filter_map(|container| start(&container.state)).max()
}

/// When its first container was started that runs or ended.
fn first_start(pod: &Pod) -> Option<SimTime> {
    let start = |state: &ContainerState| match state {
        ContainerState::Terminated(ended) => Some(ended.started),
        ContainerState::Running { started } => Some(*started),
        ContainerState::Waiting { .. } => None,
    };
    pod.status.containers.iter().filter_map(|container| start(&container.state)).min()
}

/// When its last container ended, if all have and somebody saw it.
fn last_end(pod: &Pod) -> Option<SimTime> {
    let end = |state: &ContainerState| match state {
        ContainerState::Terminated(ended) => Some(ended.finished),
        _ => None,
    };
    let ends: Option<Vec<SimTime>> = pod.status.containers.iter().map(|container| end(&container.state)).collect();
    ends?.into_iter().max()
}
