//! What a job's pods come to at one instant: the first half of a sync (`pkg/controller/job/job_controller.go`,
//! `syncJob`).

use super::backoff::{BackoffRecord, finished_at};
use super::indexes::{Indexes, failures_before, index_of, indexes_of};
use super::policy::judge;
use crate::model::batch::{FailureAction, JOB_TRACKING};
use crate::model::{Job, Phase, Pod, RestartPolicy};
use crate::time::SimTime;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A job with its pods, counted.
pub struct Count<'a> {
    /// The job as the watch has shown it.
    pub job: &'a Arc<Job>,
    /// Its pods; those of an indexed job by index.
    pub pods: Vec<&'a Arc<Pod>>,
    /// Those that run or are about to.
    pub active: Vec<&'a Arc<Pod>>,
    /// Active and ready ones.
    pub ready: i32,
    /// Pods that are being deleted and have not ended.
    pub terminating: i32,
    /// Successes, counted and about to be.
    pub succeeded: i32,
    /// Failures, counted and about to be.
    pub failed: i32,
    /// Indexes that had succeeded before.
    pub known_indexes: Indexes,
    /// Those and the ones of pods that ended since.
    pub succeeded_indexes: Indexes,
    /// Failed indexes, where they are counted.
    pub failed_indexes: Option<Indexes>,
    /// The failed pod of each index that waits for its replacement.
    pub delayed: BTreeMap<i32, &'a Arc<Pod>>,
    /// Failures since the last success.
    pub backoff: BackoffRecord,
}

impl<'a> Count<'a> {
    /// Counts `pods`, with the failures that were known before.
    pub fn of(job: &'a Arc<Job>, mut pods: Vec<&'a Arc<Pod>>, before: BackoffRecord) -> Self {
        if job.spec.indexed {
            pods.sort_by_key(|pod| index_of(pod).unwrap_or(-1));
        }
        let active: Vec<&Arc<Pod>> = pods.iter().copied().filter(|pod| pod.is_active()).collect();
        let mut count = Count {
            job,
            ready: active.iter().filter(|pod| pod.is_ready()).count() as i32,
            terminating: pods.iter().filter(|pod| pod.is_terminating()).count() as i32,
            pods,
            active,
            succeeded: 0,
            failed: 0,
            known_indexes: Indexes::default(),
            succeeded_indexes: Indexes::default(),
            failed_indexes: None,
            delayed: BTreeMap::new(),
            backoff: before,
        };
        let uncounted = job.status.uncounted.clone().unwrap_or_default();
        let rules = job.spec.pod_failure_policy.as_deref();
        let succeeded = count.valid(|pod| !uncounted.succeeded.contains(&pod.meta.uid) && has_succeeded(pod));
        let failed = count.valid(|pod| !uncounted.failed.contains(&pod.meta.uid) && has_failed(job, pod));
        count.succeeded = job.status.succeeded + succeeded.len() as i32 + uncounted.succeeded.len() as i32;
        let counted = failed.iter().filter(|pod| judge(rules, pod).counts).count();
        count.failed = job.status.failed + counted as i32 + uncounted.failed.len() as i32;
        let ends = |pods: &[&Arc<Pod>]| pods.iter().map(|pod| finished_at(pod)).collect::<Vec<SimTime>>();
        count.backoff = before.after(&ends(&succeeded), &ends(&failed));
        if job.spec.indexed {
            count.indexes();
        }
        count
    }

    /// Pods that still carry the finalizer, with a proper index if indexes count (`getValidPodsWithFilter`).
    fn valid(&self, wanted: impl Fn(&Arc<Pod>) -> bool) -> Vec<&'a Arc<Pod>> {
        let proper = |pod: &&Arc<Pod>| !self.job.spec.indexed || self.index(pod).is_some();
        self.pods.iter().copied().filter(|pod| is_tracked(pod)).filter(proper).filter(|pod| wanted(pod)).collect()
    }

    /// The index of a pod, if the job has such an index.
    pub fn index(&self, pod: &Pod) -> Option<i32> {
        index_of(pod).filter(|index| *index < self.completions())
    }

    /// How many successes an indexed job wishes.
    pub fn completions(&self) -> i32 {
        self.job.spec.completions.unwrap_or(0)
    }

    fn indexes(&mut self) {
        let completions = self.completions();
        let succeeded = self.valid(|pod| has_succeeded(pod));
        self.known_indexes = Indexes::parse(&self.job.status.completed_indexes, completions);
        let now = succeeded.iter().filter_map(|pod| self.index(pod));
        self.succeeded_indexes = self.known_indexes.with(now);
        self.succeeded = self.succeeded_indexes.total() as i32;
        if self.job.spec.backoff_limit_per_index.is_some() {
            let before = self.job.status.failed_indexes.as_deref().unwrap_or("");
            let failed = self.valid(|pod| index_fails(self.job, pod));
            let now = failed.iter().filter_map(|pod| self.index(pod));
            let failed = Indexes::parse(before, completions).with(now);
            self.delayed = self.delayed_by_index(&failed);
            self.failed_indexes = Some(failed);
        }
    }

    /// The last failed pod of each index that is neither over nor active: it keeps its finalizer until its
    /// replacement has taken over its failure count (`getPodsWithDelayedDeletionPerIndex`).
    fn delayed_by_index(&self, failed: &Indexes) -> BTreeMap<i32, &'a Arc<Pod>> {
        let active = indexes_of(self.active.iter().map(|pod| &***pod));
        let mut delayed: BTreeMap<i32, &'a Arc<Pod>> = BTreeMap::new();
        for pod in self.valid(|pod| has_failed(self.job, pod)) {
            let Some(index) = self.index(pod) else { continue };
            if self.succeeded_indexes.has(index) || failed.has(index) || active.contains(&index) {
                continue;
            }
            let later =
                |last: &&Arc<Pod>| all_failures(last) <= all_failures(pod) && finished_at(pod) >= finished_at(last);
            if delayed.get(&index).is_none_or(later) {
                delayed.insert(index, pod);
            }
        }
        delayed
    }

    /// Whether containers were restarted too often: only where they are restarted (`pastBackoffLimitOnFailure`).
    pub fn restarted_too_often(&self) -> bool {
        let alive = |pod: &&&Arc<Pod>| matches!(pod.status.phase, Phase::Running | Phase::Pending);
        let restarts = self.pods.iter().filter(alive).map(|pod| pod.restarts()).sum();
        past_backoff_limit(self.job.spec.template.spec.restart_policy, self.job.spec.backoff_limit, restarts)
    }
}

/// Whether so many restarts are too many.
pub fn past_backoff_limit(policy: RestartPolicy, limit: i32, restarts: u32) -> bool {
    policy == RestartPolicy::OnFailure && restarts > 0 && i64::from(restarts) >= i64::from(limit)
}

/// Whether the pod waits to be counted.
pub fn is_tracked(pod: &Pod) -> bool {
    pod.meta.finalizers.contains(&JOB_TRACKING)
}

fn has_succeeded(pod: &Pod) -> bool {
    pod.status.phase == Phase::Succeeded
}

/// Whether a pod counts as failed: one being deleted does too, unless its replacement waits for its end
/// (`isPodFailed`).
pub fn has_failed(job: &Job, pod: &Pod) -> bool {
    let waits = job.spec.replace_only_failed || job.spec.pod_failure_policy.is_some();
    pod.status.phase == Phase::Failed || (!waits && pod.meta.deleting() && !has_succeeded(pod))
}

/// Whether a pod's failure is its index's (`isIndexFailed`).
fn index_fails(job: &Job, pod: &Pod) -> bool {
    if !has_failed(job, pod) {
        return false;
    }
    let verdict = judge(job.spec.pod_failure_policy.as_deref(), pod);
    let limit = job.spec.backoff_limit_per_index.unwrap_or(i32::MAX);
    verdict.action == Some(FailureAction::FailIndex) || (verdict.counts && failures_before(pod).0 >= limit)
}

/// Failures of a pod's index before it, counted or not.
pub fn all_failures(pod: &Pod) -> i32 {
    let (counted, ignored) = failures_before(pod);
    counted.saturating_add(ignored)
}
