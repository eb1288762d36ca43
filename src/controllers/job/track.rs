//! Counting ended pods exactly once: their uids go into the status, their finalizers go, then they are counted
//! (`pkg/controller/job/job_controller.go`, `trackJobStatusAndRemoveFinalizers`).
//!
//! A worked example: a pod succeeded → status with its uid under `uncountedTerminatedPods` → its finalizer is removed
//! → status with `succeeded` one higher and no uid.

use super::count::{Count, has_failed, is_tracked};
use super::policy::judge;
use super::verdict::End;
use crate::model::batch::{JobStatus, Uncounted};
use crate::model::{Condition, Name, Phase, Pod, Truth, Uid, condition};
use crate::time::SimTime;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Most uids in the status (`MaxUncountedPods`).
const MOST_UNCOUNTED: usize = 500;

/// What to write, in order.
#[derive(Default)]
pub struct Tracked<'a> {
    /// The status before finalizers go.
    pub first: Option<JobStatus>,
    /// Pods whose finalizer goes.
    pub remove: Vec<&'a Arc<Pod>>,
    /// The status after.
    pub last: Option<JobStatus>,
    /// Whether the job is then over.
    pub finished: bool,
}

/// Brings `status` up to the pods of `count`. `flush`: it differs already.
pub fn track<'a>(
    count: &Count<'a>,
    mut status: JobStatus,
    end: Option<&End>,
    mut flush: bool,
    now: SimTime,
) -> Tracked<'a> {
    let mut uncounted = status.uncounted.take().unwrap_or_default();
    let known = uncounted.clone();
    let tracked = || count.pods.iter().copied().filter(|pod| is_tracked(pod));
    let mut carriers: BTreeSet<Uid> = tracked().map(|pod| pod.meta.uid).collect();
    flush |= settle(&mut status, &mut uncounted, &carriers);
    let (mut remove, mut indexes) = (Vec::new(), Vec::new());
    let mut full = false;
    for pod in tracked().filter(|pod| may_go(count, pod, end)) {
        remove.push(pod);
        match entry(count, pod, &known, end) {
            Entry::Index(index) => indexes.push(index),
            Entry::Succeeded => uncounted.succeeded.push(pod.meta.uid),
            Entry::Failed => uncounted.failed.push(pod.meta.uid),
            Entry::Nothing => continue,
        }
        flush = true;
        full = indexes.len() + uncounted.len() >= MOST_UNCOUNTED;
        if full {
            break;
        }
    }
    if count.job.spec.indexed {
        let succeeded = count.succeeded_indexes.with(indexes);
        let (completed, failed) = (written(&succeeded), count.failed_indexes.as_ref().map(written));
        flush |= completed != status.completed_indexes || failed != status.failed_indexes;
        status.succeeded = succeeded.total() as i32;
        (status.completed_indexes, status.failed_indexes) = (completed, failed);
    }
    if let Some(end) = end.filter(|end| !end.announced) {
        status.conditions.push(end.interim(now));
        flush = true;
    }
    let first = flush.then(|| JobStatus { uncounted: Some(uncounted.clone()), ..status.clone() });
    remove.iter().for_each(|pod| _ = carriers.remove(&pod.meta.uid));
    let mut again = settle(&mut status, &mut uncounted, &carriers);
    let over = end.filter(|_| !full && uncounted.is_empty() && status.terminating.unwrap_or(0) == 0);
    if let Some(end) = over {
        if end.success {
            status.completion_time = Some(now);
        }
        ensure(&mut status.conditions, end.terminal(now));
        again = true;
    }
    status.uncounted = Some(uncounted);
    Tracked { first, remove, last: again.then_some(status), finished: over.is_some() }
}

fn written(indexes: &super::indexes::Indexes) -> Name {
    Name::from(indexes.to_string())
}

/// Whether the pod's finalizer may go: its end will be in the status (`canRemoveFinalizer`).
fn may_go(count: &Count<'_>, pod: &Pod, end: Option<&End>) -> bool {
    if count.job.meta.deleting() || end.is_some() || pod.status.phase == Phase::Succeeded {
        return true;
    }
    let waits =
        || count.index(pod).and_then(|index| count.delayed.get(&index)).is_some_and(|d| d.meta.uid == pod.meta.uid);
    has_failed(count.job, pod) && !waits()
}

/// What a pod's end adds to the status.
enum Entry {
    Nothing,
    Index(i32),
    Succeeded,
    Failed,
}

fn entry(count: &Count<'_>, pod: &Pod, known: &Uncounted, end: Option<&End>) -> Entry {
    let (indexed, uid) = (count.job.spec.indexed, &pod.meta.uid);
    let index = count.index(pod);
    if pod.status.phase == Phase::Succeeded && !known.failed.contains(uid) {
        return match index {
            // The index is enough to count it once only.
            Some(index) if indexed && !count.known_indexes.has(index) => Entry::Index(index),
            _ if !indexed && !known.succeeded.contains(uid) => Entry::Succeeded,
            _ => Entry::Nothing,
        };
    }
    // Once the job has failed, whatever still ran has failed too.
    let failed = has_failed(count.job, pod) || end.is_some_and(|end| !end.success);
    let counts = || judge(count.job.spec.pod_failure_policy.as_deref(), pod).counts;
    match failed && !known.failed.contains(uid) && (!indexed || index.is_some()) && counts() {
        true => Entry::Failed,
        false => Entry::Nothing,
    }
}

/// Moves uids whose finalizer is gone into the counters; whether there were any
/// (`cleanUncountedPodsWithoutFinalizers`).
fn settle(status: &mut JobStatus, uncounted: &mut Uncounted, carriers: &BTreeSet<Uid>) -> bool {
    let before = uncounted.len();
    for (counter, uids) in
        [(&mut status.succeeded, &mut uncounted.succeeded), (&mut status.failed, &mut uncounted.failed)]
    {
        let had = uids.len();
        uids.retain(|uid| carriers.contains(uid));
        *counter += (had - uids.len()) as i32;
    }
    uncounted.len() != before
}

/// Sets a condition; one that says False is not added. Whether anything changed (`ensureJobConditionStatus`).
pub fn ensure(conditions: &mut Vec<Condition>, new: Condition) -> bool {
    let same = |old: &Condition| (old.status, &old.reason, &old.message) == (new.status, &new.reason, &new.message);
    match condition::find(conditions, &new.kind).map(same) {
        Some(true) => return false,
        None if new.status == Truth::False => return false,
        _ => {}
    }
    match conditions.iter_mut().find(|old| old.kind == new.kind) {
        Some(old) => *old = new,
        None => conditions.push(new),
    }
    true
}
