//! Pods and the workloads they belong to.
//!
//! Counts follow the pods, not the workload's own status: a status lags behind, and says nothing of a
//! machine that died a second ago. Only `updated` is taken from the status.

use super::record::{PodRecord, Record, Rollout, RolloutState, WorkloadRecord};
use super::series::Series;
use crate::model::sets::{DaemonSetUpdate, StatefulSetUpdate};
use crate::model::{ContainerState, Deployment, Name, Object, Pod, PodTemplate, Truth, Uid, condition};
use crate::store::Change;
use crate::time::{SimDuration, SimTime};
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Who belongs to whom, and who becomes available when.
#[derive(Debug, Default)]
pub(super) struct Workloads {
    /// Rows of workloads by the uid of the object that controls pods.
    by_controller: FxHashMap<Uid, usize>,
    by_uid: FxHashMap<Uid, usize>,
    min_ready: Vec<SimDuration>,
    pods: FxHashMap<Uid, usize>,
    /// Ready pods that are not yet available: when they will be.
    maturing: BTreeSet<(SimTime, Uid)>,
}

/// How one version of a pod counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Standing {
    workload: Option<usize>,
    row: usize,
    active: bool,
    ready: bool,
    serving: bool,
    ready_since: Option<SimTime>,
}

impl Workloads {
    /// The workload of a pod that was seen.
    pub(super) fn of_pod(&self, uid: Uid, record: &Record) -> Option<usize> {
        self.pods.get(&uid).and_then(|at| record.pods[*at].workload)
    }

    /// A pod of a job has run so long in vain.
    pub(super) fn lost_work(&self, uid: Uid, lost: SimDuration, record: &mut Record) {
        if let Some(at) = self.pods.get(&uid) {
            record.pods[*at].work_lost = Some(lost);
        }
    }

    /// Lets pods become available whose time has come.
    pub(super) fn pass_time(&mut self, now: SimTime, record: &mut Record) {
        while let Some((time, uid)) = self.maturing.first().copied().filter(|first| first.0 <= now) {
            self.maturing.remove(&(time, uid));
            let workload = self.pods.get(&uid).and_then(|at| record.pods[*at].workload);
            if let Some(workload) = workload {
                add_available(time, &mut record.workloads[workload], 1);
            }
        }
    }

    /// A workload changed.
    pub(super) fn workload(&mut self, change: &Change, record: &mut Record) {
        let now = change.time;
        match change.object() {
            Object::Deployment(new) => {
                let at = self.row(change.object(), new.min_ready_seconds, record);
                self.min_ready[at] = SimDuration::from_secs(i64::from(new.min_ready_seconds));
                let old = change.old.as_ref().and_then(Object::as_kind::<Deployment>);
                let row = &mut record.workloads[at];
                let alive = change.new.is_some();
                wish(now, row, if alive { i64::from(new.replicas) } else { 0 });
                row.updated.set(now, if alive { i64::from(new.status.updated) } else { 0 });
                if old.is_none_or(|old| old.template.spec != new.template.spec || old.template != new.template) {
                    let image = new.template.spec.containers.first().map(|c| c.image.clone()).unwrap_or_default();
                    row.rollouts.push(Rollout { started: now, completed: None, stalled: None, image });
                }
                follow_rollout(now, row, new);
            }
            Object::ReplicaSet(set) => {
                let owner = set.meta.controller().and_then(|owner| self.by_uid.get(&owner.uid)).copied();
                let row = match (self.by_controller.get(&set.meta.uid).copied(), owner) {
                    (Some(known), _) => known,
                    (None, Some(owner)) => {
                        self.by_controller.insert(set.meta.uid, owner);
                        owner
                    }
                    (None, None) => self.row(change.object(), set.min_ready_seconds, record),
                };
                let row = &mut record.workloads[row];
                if row.uid == set.meta.uid {
                    wish(now, row, if change.new.is_some() { i64::from(set.replicas) } else { 0 });
                    row.updated.set(now, row.current.last());
                }
            }
            Object::ReplicationController(set) => {
                let at = self.row(change.object(), set.min_ready_seconds, record);
                let row = &mut record.workloads[at];
                wish(now, row, if change.new.is_some() { i64::from(set.replicas) } else { 0 });
                row.updated.set(now, row.current.last());
            }
            _ => {
                if let Some(course) = Course::of(change) {
                    let at = self.row(change.object(), course.min_ready_seconds, record);
                    self.min_ready[at] = SimDuration::from_secs(i64::from(course.min_ready_seconds));
                    follow_course(now, &mut record.workloads[at], change, &course);
                }
            }
        }
    }

    fn row(&mut self, object: &Object, min_ready_seconds: i32, record: &mut Record) -> usize {
        let meta = object.meta();
        if let Some(at) = self.by_uid.get(&meta.uid) {
            return *at;
        }
        let at = record.workloads.len();
        self.by_uid.insert(meta.uid, at);
        self.by_controller.insert(meta.uid, at);
        self.min_ready.push(SimDuration::from_secs(i64::from(min_ready_seconds)));
        record.workloads.push(WorkloadRecord {
            kind: object.kind(),
            uid: meta.uid,
            namespace: meta.namespace.clone(),
            name: meta.name.clone(),
            desired: Series::default(),
            current: Series::default(),
            updated: Series::default(),
            ready: Series::default(),
            available: Series::default(),
            unavailable: Series::default(),
            serving: Series::default(),
            restarts: Series::default(),
            rollout: Vec::new(),
            rollouts: Vec::new(),
        });
        at
    }

    /// A pod changed; `up` says whether the machine under the old and the new version is up.
    pub(super) fn pod(
        &mut self,
        now: SimTime,
        (old, new): (Option<&Arc<Pod>>, Option<&Arc<Pod>>),
        up: [bool; 2],
        record: &mut Record,
    ) {
        let before = old.map(|pod| self.standing(pod, up[0]));
        let after = new.map(|pod| self.standing(pod, up[1]));
        if before != after {
            let Some(uid) = new.or(old).map(|pod| pod.meta.uid) else { return };
            self.count(now, uid, before, -1, record);
            self.count(now, uid, after, 1, record);
        }
        match (old, new) {
            (None, Some(pod)) => {
                self.pods.insert(pod.meta.uid, record.pods.len());
                record.pods.push(new_row(now, pod, after.and_then(|standing| standing.workload)));
                self.update_row(now, None, pod, record);
            }
            (Some(old), Some(new)) => self.update_row(now, Some(old), new, record),
            (Some(old), None) => {
                if let Some(at) = self.pods.get(&old.meta.uid).copied() {
                    let row = &mut record.pods[at];
                    row.gone = Some(now);
                    row.deleted.get_or_insert(now);
                    turn(&mut row.ready, now, false);
                }
            }
            (None, None) => {}
        }
    }

    fn standing(&self, pod: &Pod, up: bool) -> Standing {
        let owner = pod.meta.controller().and_then(|owner| self.by_controller.get(&owner.uid)).copied();
        let active = pod.is_active();
        // In whole seconds, as the API keeps it: `minReadySeconds` counts from there.
        let ready_since = pod.ready_since().map(SimTime::truncated).filter(|_| active);
        let row = if pod.is_terminating() { 4 } else { pod.status.phase as usize };
        Standing {
            workload: owner,
            row,
            active,
            ready: ready_since.is_some(),
            serving: ready_since.is_some() && up,
            ready_since,
        }
    }

    fn count(&mut self, now: SimTime, uid: Uid, standing: Option<Standing>, sign: i64, record: &mut Record) {
        let Some(standing) = standing else { return };
        record.phases[standing.row].add(now, sign);
        let Some(at) = standing.workload else { return };
        let row = &mut record.workloads[at];
        row.current.add(now, sign * i64::from(standing.active));
        row.ready.add(now, sign * i64::from(standing.ready));
        row.serving.add(now, sign * i64::from(standing.serving));
        if let Some(since) = standing.ready_since {
            let matures = since + self.min_ready[at];
            match (self.min_ready[at] > SimDuration::ZERO, sign) {
                (true, 1) if matures > now => {
                    self.maturing.insert((matures, uid));
                }
                (true, -1) if self.maturing.remove(&(matures, uid)) => {}
                _ => add_available(now, row, sign),
            }
        }
    }

    /// The machine under a pod stopped or came back.
    pub(super) fn machine_turned(&mut self, now: SimTime, pod: &Pod, up: bool, record: &mut Record) {
        let standing = self.standing(pod, true);
        if let (true, Some(at)) = (standing.serving, standing.workload) {
            record.workloads[at].serving.add(now, if up { 1 } else { -1 });
        }
    }

    /// A pod became, or ceased to be, a ready endpoint.
    pub(super) fn endpoint(&mut self, now: SimTime, uid: Uid, value: bool, record: &mut Record) {
        if let Some(at) = self.pods.get(&uid) {
            turn(&mut record.pods[*at].endpoint, now, value);
        }
    }

    /// An image of a pod is present.
    pub(super) fn pulled(&mut self, uid: Uid, at: SimTime, record: &mut Record) {
        if let Some(row) = self.pods.get(&uid).map(|at| &mut record.pods[*at])
            && row.started.is_none_or(|started| at <= started)
        {
            row.pulled = Some(at);
        }
    }

    fn update_row(&mut self, now: SimTime, old: Option<&Arc<Pod>>, pod: &Arc<Pod>, record: &mut Record) {
        let Some(row) = self.pods.get(&pod.meta.uid).map(|at| &mut record.pods[*at]) else { return };
        if let (None, Some(node)) = (row.scheduled, &pod.node) {
            row.scheduled = Some(now);
            row.node = node.clone();
        }
        if row.deleted.is_none() && pod.meta.deleting() {
            row.deleted = Some(now);
        }
        if row.started.is_none() {
            row.started = all_started(pod).map(|at| at.min(now));
        }
        for _ in row.restarts..pod.restarts() {
            row.restarts_at.push(now);
            if let Some(workload) = row.workload {
                record.workloads[workload].restarts.add(now, 1);
            }
        }
        row.restarts = row.restarts.max(pod.restarts());
        if pod.status.phase.terminal() {
            row.ended.get_or_insert(now);
        }
        if row.phases.last().map(|last| last.1) != Some(pod.status.phase) {
            row.phases.push((now, pod.status.phase));
        }
        row.evicted |= condition::is_true(&pod.status.conditions, "DisruptionTarget");
        if old.is_none_or(|old| old.status != pod.status) {
            row.reason = reason(pod);
        }
        turn(&mut row.ready, now, pod.is_ready());
    }
}

fn new_row(now: SimTime, pod: &Pod, workload: Option<usize>) -> PodRecord {
    PodRecord {
        uid: pod.meta.uid,
        namespace: pod.meta.namespace.clone(),
        name: pod.meta.name.clone(),
        workload,
        owner: pod.meta.controller().map(|owner| owner.name.clone()).unwrap_or_default(),
        image: pod.spec.containers.first().map(|container| container.image.clone()).unwrap_or_default(),
        priority: pod.spec.priority,
        milli_cpu: pod.requests().milli_cpu,
        memory: pod.requests().memory,
        created: now,
        ..PodRecord::default()
    }
}

/// Notes a turn to `value`, unless it is so already.
fn turn<const N: usize>(turns: &mut smallvec::SmallVec<[(SimTime, bool); N]>, now: SimTime, value: bool) {
    if turns.last().is_some_and(|last| last.1) != value {
        turns.push((now, value));
    }
}

fn wish(now: SimTime, row: &mut WorkloadRecord, desired: i64) {
    row.desired.set(now, desired);
    row.unavailable.set(now, (desired - row.available.last()).max(0));
}

fn add_available(now: SimTime, row: &mut WorkloadRecord, sign: i64) {
    row.available.add(now, sign);
    row.unavailable.set(now, (row.desired.last() - row.available.last()).max(0));
}

/// Notes the state of a deployment's rollout, ends the newest one when its deployment says it is complete
/// (`pkg/controller/deployment/util/deployment_util.go`, `DeploymentComplete`), or notes that it stalled.
fn follow_rollout(now: SimTime, row: &mut WorkloadRecord, deployment: &Deployment) {
    let Some(rollout) = row.rollouts.last_mut() else { return };
    let status = &deployment.status;
    let wished = deployment.replicas;
    let observed = status.observed_generation > 0 && status.observed_generation >= deployment.meta.generation;
    let complete = observed && (status.updated, status.replicas, status.available) == (wished, wished, wished);
    let progressing = condition::find(&status.conditions, "Progressing");
    let late = |c: &crate::model::Condition| c.status == Truth::False && c.reason == "ProgressDeadlineExceeded";
    let stalled = observed && progressing.is_some_and(late);
    let state = match () {
        () if complete => RolloutState::Complete,
        () if deployment.paused => RolloutState::Paused,
        () if stalled => RolloutState::Failed,
        () => RolloutState::Progressing,
    };
    if complete {
        rollout.completed.get_or_insert(now);
    } else if stalled {
        rollout.stalled.get_or_insert(now);
    }
    if row.rollout.last().map(|last| last.1) != Some(state) {
        row.rollout.push((now, state));
    }
}

/// What a version of a stateful set or daemon set says of its rollout.
struct Course<'a> {
    min_ready_seconds: i32,
    template: &'a PodTemplate,
    desired: i32,
    updated: i32,
    complete: bool,
}

impl<'a> Course<'a> {
    /// As `kubectl rollout status` judges it (`staging/src/k8s.io/kubectl/pkg/polymorphichelpers/rollout_status.go`).
    fn of(change: &'a Change) -> Option<Self> {
        match change.object() {
            Object::StatefulSet(set) => {
                let (status, generation) = (&set.status, set.meta.generation);
                let observed = status.observed_generation > 0 && status.observed_generation >= generation;
                let rolled = match set.update {
                    StatefulSetUpdate::OnDelete => true,
                    StatefulSetUpdate::RollingUpdate(Some(rolling)) => {
                        status.updated >= set.replicas - rolling.partition
                    }
                    StatefulSetUpdate::RollingUpdate(_) => status.update_revision == status.current_revision,
                };
                Some(Course {
                    min_ready_seconds: set.min_ready_seconds,
                    template: &set.template,
                    desired: set.replicas,
                    updated: status.updated,
                    complete: observed && rolled && status.available >= set.replicas,
                })
            }
            Object::DaemonSet(set) => {
                let status = &set.status;
                let observed = status.observed_generation > 0 && status.observed_generation >= set.meta.generation;
                let rolled = status.updated >= status.desired || set.update == DaemonSetUpdate::OnDelete;
                Some(Course {
                    min_ready_seconds: set.min_ready_seconds,
                    template: &set.template,
                    desired: status.desired,
                    updated: status.updated,
                    complete: observed && rolled && status.available >= status.desired,
                })
            }
            _ => None,
        }
    }
}

/// Follows a stateful set or daemon set: its wish, and whether its newest rollout has come to its end.
fn follow_course(now: SimTime, row: &mut WorkloadRecord, change: &Change, course: &Course<'_>) {
    let alive = change.new.is_some();
    wish(now, row, if alive { i64::from(course.desired) } else { 0 });
    row.updated.set(now, if alive { i64::from(course.updated) } else { 0 });
    let before = change.old.as_ref().and_then(|old| match old {
        Object::StatefulSet(set) => Some(&set.template),
        Object::DaemonSet(set) => Some(&set.template),
        _ => None,
    });
    if before.is_none_or(|before| **before != *course.template) {
        let image = course.template.spec.containers.first().map(|c| c.image.clone()).unwrap_or_default();
        row.rollouts.push(Rollout { started: now, completed: None, stalled: None, image });
    }
    let state = if course.complete { RolloutState::Complete } else { RolloutState::Progressing };
    if let Some(rollout) = row.rollouts.last_mut().filter(|_| course.complete) {
        rollout.completed.get_or_insert(now);
    }
    if row.rollout.last().map(|last| last.1) != Some(state) {
        row.rollout.push((now, state));
    }
}

/// When the last app container of a pod started, if all run.
fn all_started(pod: &Pod) -> Option<SimTime> {
    let mut last = None;
    for container in &pod.status.containers {
        match container.state {
            ContainerState::Running { started } => last = last.max(Some(started)),
            _ => return None,
        }
    }
    last.filter(|_| pod.status.containers.len() == pod.spec.containers.len())
}

/// Why a pod is not simply running.
fn reason(pod: &Pod) -> Name {
    let of_container = |state: &ContainerState| match state {
        ContainerState::Waiting { reason, .. } if reason != "ContainerCreating" && reason != "PodInitializing" => {
            Some(reason.clone())
        }
        ContainerState::Terminated(ended) if ended.exit_code != 0 => Some(ended.reason.clone()),
        _ => None,
    };
    if !pod.status.reason.is_empty() {
        return pod.status.reason.clone();
    }
    let containers = pod.status.init_containers.iter().chain(&pod.status.containers);
    containers.filter_map(|container| of_container(&container.state)).next().unwrap_or_default()
}
