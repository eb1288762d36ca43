//! How many pods a job should have now, and which (`pkg/controller/job/job_controller.go`, `manageJob`).

use super::super::shared::rank::Candidate;
use super::backoff::{finished_at, remaining};
use super::count::{Count, all_failures};
use super::indexes::{failures_before, index_of, indexes_of};
use super::policy::judge;
use crate::model::Pod;
use crate::time::{SimDuration, SimTime};
use std::cmp::Reverse;
use std::sync::Arc;

/// Most pods created or deleted in one sync (`MaxPodCreateDeletePerSync`).
const MOST_PER_SYNC: usize = 500;

/// What brings the job nearer to its wish.
#[derive(Clone, Debug)]
pub enum Step<'a> {
    /// Nothing.
    Rest,
    /// These pods go.
    Delete(Vec<&'a Arc<Pod>>),
    /// A pod for each of these; `None` where pods have no index.
    Create(Vec<Option<i32>>),
    /// New pods wait so long after the last failure.
    Wait(SimDuration),
}

/// The next step of a job that goes on.
pub fn step<'a>(count: &Count<'a>, now: SimTime) -> Step<'a> {
    let spec = &count.job.spec;
    let active = count.active.len() as i32;
    if spec.suspend {
        return Step::Delete(surplus(count, active as usize));
    }
    let wanted = match spec.completions {
        None if count.succeeded > 0 => active,
        None => spec.parallelism,
        Some(completions) => (completions - count.succeeded).min(spec.parallelism).max(0),
    };
    let mut doomed = surplus(count, (active - wanted).max(0) as usize);
    if !doomed.is_empty() {
        doomed.truncate(MOST_PER_SYNC);
        return Step::Delete(doomed);
    }
    let waits_for_end = spec.replace_only_failed || spec.pod_failure_policy.is_some();
    let missing = wanted - active - if waits_for_end { count.terminating } else { 0 };
    if missing <= 0 {
        return Step::Rest;
    }
    let missing = (missing as usize).min(MOST_PER_SYNC);
    let per_index = spec.backoff_limit_per_index.is_some();
    let wait = if per_index { SimDuration::ZERO } else { count.backoff.remaining(now) };
    match (wait > SimDuration::ZERO, spec.indexed) {
        (true, _) => Step::Wait(wait),
        (false, false) => Step::Create(vec![None; missing]),
        (false, true) => create_indexes(count, missing, waits_for_end, now),
    }
}

fn create_indexes<'a>(count: &Count<'a>, missing: usize, waits_for_end: bool, now: SimTime) -> Step<'a> {
    let taken = indexes_of(count.active.iter().map(|pod| &***pod));
    let mut busy = count.succeeded_indexes.with(taken);
    if waits_for_end {
        let ending = count.pods.iter().filter(|pod| pod.is_terminating());
        busy = busy.with(indexes_of(ending.map(|pod| &***pod)));
    }
    if let Some(failed) = &count.failed_indexes {
        busy = busy.merged(failed.runs());
    }
    let pending = busy.first_missing(missing, count.completions());
    let wait = |index: &i32| count.delayed.get(index).map_or(SimDuration::ZERO, |pod| index_wait(pod, now));
    let ready: Vec<Option<i32>> =
        pending.iter().filter(|index| wait(index) == SimDuration::ZERO).map(|index| Some(*index)).collect();
    match (ready.is_empty(), pending.iter().map(wait).min()) {
        (true, Some(shortest)) => Step::Wait(shortest),
        _ => Step::Create(ready),
    }
}

/// How long an index waits after this failed pod of it (`getRemainingTimePerIndex`).
fn index_wait(pod: &Pod, now: SimTime) -> SimDuration {
    remaining(all_failures(pod).saturating_add(1), finished_at(pod), now)
}

/// The failure counts, counted and ignored, that a new pod of an index takes over (`getNewIndexFailureCounts`).
pub fn inherited_failures(count: &Count<'_>, index: i32) -> (i32, i32) {
    let Some(pod) = count.delayed.get(&index) else { return (0, 0) };
    let (counted, ignored) = failures_before(pod);
    match judge(count.job.spec.pod_failure_policy.as_deref(), pod).counts {
        true => (counted + 1, ignored),
        false => (counted, ignored + 1),
    }
}

/// The pods that go when at least `least` must (`activePodsForRemoval`).
pub fn surplus<'a>(count: &Count<'a>, least: usize) -> Vec<&'a Arc<Pod>> {
    let completions = count.job.spec.indexed.then(|| count.completions());
    removal(&count.active, completions, least)
}

/// Of active pods: those without a proper index, all but one of each index, and then the least far on.
pub fn removal<'a>(active: &[&'a Arc<Pod>], completions: Option<i32>, least: usize) -> Vec<&'a Arc<Pod>> {
    let Some(completions) = completions else {
        return least_far_on(active).into_iter().take(least).collect();
    };
    let mut indexed: Vec<(i32, &Arc<Pod>)> = active.iter().map(|pod| (index_of(pod).unwrap_or(-1), *pod)).collect();
    indexed.sort_by_key(|(index, _)| *index);
    let (mut doomed, mut left) = (Vec::new(), Vec::new());
    let mut beyond = Vec::new();
    for group in indexed.chunk_by(|a, b| a.0 == b.0) {
        let pods: Vec<&Arc<Pod>> = group.iter().map(|(_, pod)| *pod).collect();
        match group[0].0 {
            -1 => doomed.extend(pods),
            index if index >= completions => beyond.extend(pods),
            _ => {
                let mut ranked = least_far_on(&pods);
                left.extend(ranked.pop());
                doomed.extend(ranked);
            }
        }
    }
    doomed.extend(beyond);
    let more = least.saturating_sub(doomed.len());
    doomed.extend(least_far_on(&left).into_iter().take(more));
    doomed
}

/// Pods in the order in which they go (`pkg/controller/controller_utils.go`, `ActivePods`): like those of a replica
/// set, without cost and company, and with plain ages.
fn least_far_on<'a>(pods: &[&'a Arc<Pod>]) -> Vec<&'a Arc<Pod>> {
    let mut ranked = pods.to_vec();
    ranked.sort_by_cached_key(|pod| {
        let of = Candidate::of(pod, 0);
        let restarts = (Reverse(of.restarts), Reverse(of.sidecar_restarts));
        (
            of.assigned,
            of.phase,
            of.ready_since.is_some(),
            Reverse(of.ready_since),
            restarts,
            Reverse(of.created),
            of.uid,
        )
    });
    ranked
}
