//! Jobs and cron jobs (`staging/src/k8s.io/api/batch/v1/types.go`).

use super::{Condition, Labels, Meta, Name, PodTemplate, Selector, Truth, Uid, condition};
use crate::time::SimTime;
use serde_json::Value;
use std::sync::Arc;

/// A job: pods that run to their end.
#[derive(Clone, PartialEq, Debug)]
pub struct Job {
    /// Metadata.
    pub meta: Meta,
    /// The wish, shared with the cron job it came from.
    pub spec: Arc<JobSpec>,
    /// What the controller reports.
    pub status: JobStatus,
}

/// `spec` of a job, defaults applied.
#[derive(Clone, PartialEq, Debug)]
pub struct JobSpec {
    /// Most pods at once.
    pub parallelism: i32,
    /// Successes wished; `None`: the first success ends it.
    pub completions: Option<i32>,
    /// `completionMode: Indexed`: each success has its own number.
    pub indexed: bool,
    /// Seconds it may be active.
    pub active_deadline_seconds: Option<i64>,
    /// Failures it bears.
    pub backoff_limit: i32,
    /// Failures each index bears.
    pub backoff_limit_per_index: Option<i32>,
    /// Failed indexes it bears.
    pub max_failed_indexes: Option<i32>,
    /// What a failed pod means.
    pub pod_failure_policy: Option<Vec<FailureRule>>,
    /// Which successes are enough.
    pub success_policy: Option<Vec<SuccessRule>>,
    /// `podReplacementPolicy: Failed`: pods are replaced only once they have ended.
    pub replace_only_failed: bool,
    /// Seconds it is kept once finished.
    pub ttl_seconds_after_finished: Option<i32>,
    /// Whether it waits.
    pub suspend: bool,
    /// Which controller looks after it; empty for the built-in one.
    pub managed_by: Name,
    /// Whether the selector is the user's own.
    pub manual_selector: bool,
    /// Which pods are its own.
    pub selector: Selector,
    /// What they look like.
    pub template: Arc<PodTemplate>,
    /// How the original wrote its selector: `{selector}`.
    pub raw: Option<Arc<Value>>,
}

/// What a matching rule does with a failed pod.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FailureAction {
    /// The job fails.
    FailJob,
    /// The index fails.
    FailIndex,
    /// The failure does not count.
    Ignore,
    /// The failure counts.
    Count,
}

impl FailureAction {
    /// All of them, in the order in which Kubernetes lists them.
    pub const ALL: [FailureAction; 4] =
        [FailureAction::Count, FailureAction::FailIndex, FailureAction::FailJob, FailureAction::Ignore];

    /// As Kubernetes writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            FailureAction::FailJob => "FailJob",
            FailureAction::FailIndex => "FailIndex",
            FailureAction::Ignore => "Ignore",
            FailureAction::Count => "Count",
        }
    }
}

/// When a rule matches a failed pod.
#[derive(Clone, PartialEq, Debug)]
pub enum FailureTest {
    /// By the exit code of a container.
    ExitCodes {
        /// Only this container.
        container: Option<Name>,
        /// `NotIn` rather than `In`.
        not_in: bool,
        /// The codes.
        values: Vec<i32>,
    },
    /// By a condition of the pod.
    Conditions(Vec<(Name, Truth)>),
}

/// A rule of a pod failure policy.
#[derive(Clone, PartialEq, Debug)]
pub struct FailureRule {
    /// What is done.
    pub action: FailureAction,
    /// When.
    pub test: FailureTest,
}

/// A rule of a success policy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SuccessRule {
    /// Indexes that count; `None` for all.
    pub indexes: Option<Name>,
    /// How many of them are enough; `None` for all.
    pub count: Option<i32>,
}

/// Ended pods whose end is not in the counters yet.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Uncounted {
    /// By success.
    pub succeeded: Vec<Uid>,
    /// By failure.
    pub failed: Vec<Uid>,
}

impl Uncounted {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.succeeded.len() + self.failed.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// `status` of a job.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct JobStatus {
    /// Pods that run or are about to.
    pub active: i32,
    /// Ready pods, once known.
    pub ready: Option<i32>,
    /// Pods being deleted, once known.
    pub terminating: Option<i32>,
    /// Pods that ended well.
    pub succeeded: i32,
    /// Pods that ended badly.
    pub failed: i32,
    /// Indexes that succeeded: `1,3-5,7`.
    pub completed_indexes: Name,
    /// Indexes that failed, where they are counted.
    pub failed_indexes: Option<Name>,
    /// Ended pods that still carry the finalizer; `None` before the first look.
    pub uncounted: Option<Uncounted>,
    /// Since when it is active.
    pub start_time: Option<SimTime>,
    /// When it completed.
    pub completion_time: Option<SimTime>,
    /// Suspended, SuccessCriteriaMet, FailureTarget, Complete, Failed.
    pub conditions: Vec<Condition>,
}

/// How a job ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JobEnd {
    /// Well.
    Complete,
    /// Badly.
    Failed,
}

impl JobEnd {
    /// The type of the condition that says so.
    pub const fn as_str(self) -> &'static str {
        match self {
            JobEnd::Complete => "Complete",
            JobEnd::Failed => "Failed",
        }
    }
}

impl Job {
    /// How and when it finished, by the first of its conditions that says so
    /// (`pkg/controller/job/util/utils.go`, `FinishedCondition`).
    pub fn finished(&self) -> Option<(JobEnd, SimTime)> {
        self.status.conditions.iter().find_map(|condition| {
            let end = [JobEnd::Complete, JobEnd::Failed].into_iter().find(|end| condition.kind == end.as_str())?;
            (condition.status == Truth::True).then_some((end, condition.last_transition))
        })
    }

    /// Whether the built-in controller leaves it to another.
    pub fn managed_elsewhere(&self) -> bool {
        !self.spec.managed_by.is_empty() && self.spec.managed_by != JOB_CONTROLLER
    }

    /// Whether a condition of that type is True.
    pub fn has(&self, kind: &str) -> bool {
        condition::is_true(&self.status.conditions, kind)
    }
}

impl JobSpec {
    /// The same, for a job of that name and uid: the labels and the selector by which it knows its pods
    /// (`pkg/registry/batch/job/strategy.go`, `generateSelector`).
    pub fn labelled(&self, name: &Name, uid: Uid) -> JobSpec {
        if self.manual_selector {
            return self.clone();
        }
        let uid = Name::from(uid.to_string());
        let mut template = PodTemplate::clone(&self.template);
        for (key, value) in
            [(JOB_NAME, name), (LEGACY_JOB_NAME, name), (CONTROLLER_UID, &uid), (LEGACY_CONTROLLER_UID, &uid)]
        {
            template.labels = template.labels.with(key, value.clone());
        }
        let selector = Selector::from_labels(&Labels::from_iter([(CONTROLLER_UID, uid)]));
        JobSpec { template: Arc::new(template), selector, raw: None, ..self.clone() }
    }
}

/// The built-in job controller, as `spec.managedBy` names it.
pub const JOB_CONTROLLER: Name = crate::name!("kubernetes.io/job-controller");
/// The finalizer by which ended pods wait to be counted.
pub const JOB_TRACKING: Name = crate::name!("batch.kubernetes.io/job-tracking");
/// The label with the job's name.
pub const JOB_NAME: Name = crate::name!("batch.kubernetes.io/job-name");
/// The label with the job's uid.
pub const CONTROLLER_UID: Name = crate::name!("batch.kubernetes.io/controller-uid");
/// The index of a pod: an annotation and a label.
pub const COMPLETION_INDEX: Name = crate::name!("batch.kubernetes.io/job-completion-index");
/// How often the index had failed when the pod was made.
pub const INDEX_FAILURES: Name = crate::name!("batch.kubernetes.io/job-index-failure-count");
/// How often it had failed without counting.
pub const INDEX_IGNORED_FAILURES: Name = crate::name!("batch.kubernetes.io/job-index-ignored-failure-count");
/// When a cron job's job was due.
pub const SCHEDULED_AT: Name = crate::name!("batch.kubernetes.io/cronjob-scheduled-timestamp");
const LEGACY_JOB_NAME: Name = crate::name!("job-name");
const LEGACY_CONTROLLER_UID: Name = crate::name!("controller-uid");

/// A cron job: a job at every tick of a schedule.
#[derive(Clone, PartialEq, Debug)]
pub struct CronJob {
    /// Metadata.
    pub meta: Meta,
    /// When.
    pub schedule: Name,
    /// Where the clock of the schedule hangs; `None` for the controller's own, UTC.
    pub time_zone: Option<Name>,
    /// How late a job may still start.
    pub starting_deadline_seconds: Option<i64>,
    /// What becomes of jobs that still run.
    pub concurrency: Concurrency,
    /// Whether it waits.
    pub suspend: bool,
    /// Finished jobs kept.
    pub successful_limit: i32,
    /// Failed jobs kept.
    pub failed_limit: i32,
    /// What the jobs look like.
    pub template: Arc<JobTemplate>,
    /// What the controller reports.
    pub status: CronJobStatus,
}

/// The jobs of a cron job.
#[derive(Clone, PartialEq, Debug)]
pub struct JobTemplate {
    /// Labels that the jobs get.
    pub labels: Labels,
    /// Annotations that the jobs get.
    pub annotations: Labels,
    /// The wish itself, with the defaults that a job of it gets.
    pub spec: Arc<JobSpec>,
    /// The wish as stored, without those.
    pub raw: Arc<Value>,
}

/// `concurrencyPolicy`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Concurrency {
    /// Jobs may overlap.
    Allow,
    /// A new one is left out while an old one runs.
    Forbid,
    /// A new one takes the place of the old one.
    Replace,
}

impl Concurrency {
    /// All of them.
    pub const ALL: [Concurrency; 3] = [Concurrency::Allow, Concurrency::Forbid, Concurrency::Replace];

    /// As Kubernetes writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Concurrency::Allow => "Allow",
            Concurrency::Forbid => "Forbid",
            Concurrency::Replace => "Replace",
        }
    }
}

/// `status` of a cron job.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CronJobStatus {
    /// Jobs that run: name and uid.
    pub active: Vec<(Name, Uid)>,
    /// The last tick for which a job was made.
    pub last_schedule: Option<SimTime>,
    /// When a job last completed.
    pub last_successful: Option<SimTime>,
}
