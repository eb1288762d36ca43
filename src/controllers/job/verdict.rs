//! Whether a job is over, and why (`pkg/controller/job/job_controller.go`, `syncJob`).

use super::count::{Count, has_failed};
use super::policy::{enough, judge};
use crate::model::{Condition, Job, Name, Truth, condition};
use crate::time::{SimDuration, SimTime};

/// The success policy was met, or enough pods succeeded.
pub const SUCCESS: Name = crate::name!("SuccessCriteriaMet");
/// The job has failed and its pods are being ended.
pub const FAILURE: Name = crate::name!("FailureTarget");
/// It has failed.
pub const FAILED: Name = crate::name!("Failed");
/// It has completed.
pub const COMPLETE: Name = crate::name!("Complete");
/// It waits.
pub const SUSPENDED: Name = crate::name!("Suspended");

/// Why a job ends: the condition that says so first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct End {
    /// Whether it is a success.
    pub success: bool,
    /// Why, in one word.
    pub reason: Name,
    /// Why, in a sentence.
    pub message: Name,
    /// Whether the interim condition stands already.
    pub announced: bool,
}

impl End {
    fn new(success: bool, reason: Name, message: impl Into<Name>) -> Self {
        End { success, reason, message: message.into(), announced: false }
    }

    /// Enough pods succeeded.
    pub fn completed() -> Self {
        let message = "Reached expected number of succeeded pods";
        End::new(true, crate::name!("CompletionsReached"), message)
    }

    /// The condition that is written before the finalizers go.
    pub fn interim(&self, now: SimTime) -> Condition {
        let kind = if self.success { SUCCESS } else { FAILURE };
        Condition::new(kind, Truth::True, self.reason.clone(), self.message.clone(), now)
    }

    /// The condition that is written when everything is counted.
    pub fn terminal(&self, now: SimTime) -> Condition {
        let kind = if self.success { COMPLETE } else { FAILED };
        Condition::new(kind, Truth::True, self.reason.clone(), self.message.clone(), now)
    }
}

/// Why the job must end now, if it must.
pub fn end(count: &Count<'_>, now: SimTime) -> Option<End> {
    let job = count.job;
    let standing = |kind: &Name| condition::find(&job.status.conditions, kind).filter(|c| c.status == Truth::True);
    for (kind, success) in [(SUCCESS, true), (FAILURE, false)] {
        if let Some(said) = standing(&kind) {
            return Some(End { announced: true, ..End::new(success, said.reason.clone(), said.message.clone()) });
        }
    }
    by_policy(count).or_else(|| by_limits(count, now)).or_else(|| by_indexes(count))
}

fn by_policy(count: &Count<'_>) -> Option<End> {
    let rules = count.job.spec.pod_failure_policy.as_deref()?;
    let failed = count.pods.iter().filter(|pod| has_failed(count.job, pod));
    let message = failed.filter_map(|pod| judge(Some(rules), pod).fail_job).next()?;
    Some(End::new(false, crate::name!("PodFailurePolicy"), message))
}

fn by_limits(count: &Count<'_>, now: SimTime) -> Option<End> {
    if count.failed > count.job.spec.backoff_limit || count.restarted_too_often() {
        let message = "Job has reached the specified backoff limit";
        return Some(End::new(false, crate::name!("BackoffLimitExceeded"), message));
    }
    let left = time_left(count.job, count.job.status.start_time, now)?;
    let message = "Job was active longer than specified deadline";
    (left <= SimDuration::ZERO).then(|| End::new(false, crate::name!("DeadlineExceeded"), message))
}

/// How long the job may still be active, if that is limited.
pub fn time_left(job: &Job, start: Option<SimTime>, now: SimTime) -> Option<SimDuration> {
    let seconds = job.spec.active_deadline_seconds.filter(|_| !job.spec.suspend)?;
    Some(SimDuration::from_secs(seconds) - (now - start?.truncated()))
}

fn by_indexes(count: &Count<'_>) -> Option<End> {
    if !count.job.spec.indexed {
        return None;
    }
    if let Some(failed) = &count.failed_indexes {
        if count.job.spec.max_failed_indexes.is_some_and(|most| failed.total() > i64::from(most)) {
            let message = "Job has exceeded the specified maximal number of failed indexes";
            return Some(End::new(false, crate::name!("MaxFailedIndexesExceeded"), message));
        }
        if failed.total() > 0 && failed.total() + count.succeeded_indexes.total() >= i64::from(count.completions()) {
            return Some(End::new(false, crate::name!("FailedIndexes"), "Job has failed indexes"));
        }
    }
    let rules = count.job.spec.success_policy.as_deref();
    let message = enough(rules, count.completions(), &count.succeeded_indexes)?;
    Some(End::new(true, crate::name!("SuccessPolicy"), message))
}
