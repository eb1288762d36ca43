//! Jobs and cron jobs (`pkg/apis/batch/v1/defaults.go`).

use super::container::unsupported;
use super::meta::{condition, labels, name, namespaced, some_name, some_time, spec_of, truth, uid};
use super::storage::one;
use super::workload::{selector_text, template};
use super::{Decoded, FieldError, Within, defaults, each, label_selector};
use crate::model::batch::{
    Concurrency, CronJob, CronJobStatus, FailureAction, FailureRule, FailureTest, Job, JobSpec, JobStatus, JobTemplate,
    SuccessRule, Uncounted,
};
use crate::model::{Name, Truth, Uid};
use k8s_openapi::api::batch::v1 as batch;
use std::sync::Arc;

pub(super) fn job(from: batch::Job) -> Decoded<Job> {
    let mut meta = namespaced(&from.metadata)?;
    let spec = job_spec(spec_of(from.spec)?).within("spec")?;
    if meta.labels.is_empty() {
        meta.labels = spec.template.labels.clone();
    }
    Ok(Job { meta, spec: Arc::new(spec), status: job_status(&from.status.unwrap_or_default()) })
}

fn job_spec(from: batch::JobSpec) -> Decoded<JobSpec> {
    let indexed = match from.completion_mode.as_deref().unwrap_or("NonIndexed") {
        "Indexed" => true,
        "NonIndexed" => false,
        other => return Err(unsupported("completionMode", other, &["NonIndexed", "Indexed"])),
    };
    let failure_policy = from.pod_failure_policy.as_ref();
    let pod_failure_policy =
        failure_policy.map(|policy| each(&Some(policy.rules.clone()), "rules", failure_rule)).transpose();
    let replacement = from.pod_replacement_policy.as_deref();
    // With a failure policy only an ended pod can be judged.
    let replace_only_failed = match replacement.unwrap_or(if failure_policy.is_some() { "Failed" } else { "" }) {
        "Failed" => true,
        "" | "TerminatingOrFailed" => false,
        other => return Err(unsupported("podReplacementPolicy", other, &["Failed", "TerminatingOrFailed"])),
    };
    let success_policy = from.success_policy.as_ref().map(|policy| {
        let rule = |rule: &batch::SuccessPolicyRule| SuccessRule {
            indexes: some_name(&rule.succeeded_indexes),
            count: rule.succeeded_count,
        };
        policy.rules.iter().map(rule).collect()
    });
    let backoff_limit = from.backoff_limit.unwrap_or(if from.backoff_limit_per_index.is_some() { i32::MAX } else { 6 });
    Ok(JobSpec {
        parallelism: from.parallelism.unwrap_or(1),
        completions: from.completions.or(from.parallelism.is_none().then_some(1)),
        indexed,
        active_deadline_seconds: from.active_deadline_seconds,
        backoff_limit,
        backoff_limit_per_index: from.backoff_limit_per_index,
        max_failed_indexes: from.max_failed_indexes,
        pod_failure_policy: pod_failure_policy.within("podFailurePolicy")?,
        success_policy,
        replace_only_failed,
        ttl_seconds_after_finished: from.ttl_seconds_after_finished,
        suspend: from.suspend.unwrap_or(false),
        managed_by: name(&from.managed_by),
        manual_selector: from.manual_selector.unwrap_or(false),
        selector: label_selector(from.selector.as_ref()).within("selector")?.unwrap_or_default(),
        template: Arc::new(template(from.template).within("template")?),
        raw: from.selector.as_ref().map(selector_text).transpose()?,
    })
}

fn failure_rule(from: &batch::PodFailurePolicyRule) -> Decoded<FailureRule> {
    let action = match one(&FailureAction::ALL, FailureAction::as_str, Some(&from.action)) {
        Ok(action) if !from.action.is_empty() => action,
        _ => return Err(unsupported("action", &from.action, &FailureAction::ALL.map(FailureAction::as_str))),
    };
    let test = match (&from.on_exit_codes, &from.on_pod_conditions) {
        (Some(codes), _) => FailureTest::ExitCodes {
            container: some_name(&codes.container_name),
            not_in: match codes.operator.as_str() {
                "In" => false,
                "NotIn" => true,
                other => return Err(unsupported("onExitCodes.operator", other, &["In", "NotIn"])),
            },
            values: codes.values.clone(),
        },
        (None, patterns) => {
            let pattern = |pattern: &batch::PodFailurePolicyOnPodConditionsPattern| {
                let status = pattern.status.as_deref().filter(|text| !text.is_empty());
                (Name::from(pattern.type_.as_str()), status.map_or(Truth::True, truth))
            };
            FailureTest::Conditions(patterns.iter().flatten().map(pattern).collect())
        }
    };
    Ok(FailureRule { action, test })
}

fn job_status(from: &batch::JobStatus) -> JobStatus {
    let uids =
        |all: &Option<Vec<String>>| all.iter().flatten().map(|text| uid(&Some(text.clone()))).collect::<Vec<Uid>>();
    JobStatus {
        active: from.active.unwrap_or(0),
        ready: from.ready,
        terminating: from.terminating,
        succeeded: from.succeeded.unwrap_or(0),
        failed: from.failed.unwrap_or(0),
        completed_indexes: name(&from.completed_indexes),
        failed_indexes: from.failed_indexes.as_deref().map(Name::from),
        uncounted: from
            .uncounted_terminated_pods
            .as_ref()
            .map(|pods| Uncounted { succeeded: uids(&pods.succeeded), failed: uids(&pods.failed) }),
        start_time: some_time(&from.start_time),
        completion_time: some_time(&from.completion_time),
        conditions: {
            let conditions = from.conditions.iter().flatten();
            conditions
                .map(|c| {
                    let times = (&c.last_transition_time, &c.last_probe_time);
                    condition((&c.type_, &c.status), &c.reason, &c.message, times.0, times.1)
                })
                .collect()
        },
    }
}

pub(super) fn cron_job(from: batch::CronJob) -> Decoded<CronJob> {
    let meta = namespaced(&from.metadata)?;
    let spec = from.spec;
    let jobs = spec.job_template.metadata.unwrap_or_default();
    let mut wish = spec.job_template.spec.unwrap_or_default();
    if let Some(pods) = &mut wish.template.spec {
        defaults::pod_spec_defaults(pods);
    }
    let raw =
        serde_json::to_value(&wish).map_err(|error| FieldError::new("spec.jobTemplate.spec", error.to_string()))?;
    let concurrency = one(&Concurrency::ALL, Concurrency::as_str, spec.concurrency_policy.as_deref());
    Ok(CronJob {
        meta,
        schedule: Name::from(spec.schedule.as_str()),
        time_zone: spec.time_zone.as_deref().map(Name::from),
        starting_deadline_seconds: spec.starting_deadline_seconds,
        concurrency: concurrency.within("spec.concurrencyPolicy")?,
        suspend: spec.suspend.unwrap_or(false),
        successful_limit: spec.successful_jobs_history_limit.unwrap_or(3),
        failed_limit: spec.failed_jobs_history_limit.unwrap_or(1),
        template: Arc::new(JobTemplate {
            labels: labels(&jobs.labels),
            annotations: labels(&jobs.annotations),
            spec: Arc::new(job_spec(wish).within("spec.jobTemplate.spec")?),
            raw: Arc::new(raw),
        }),
        status: cron_job_status(&from.status.unwrap_or_default()),
    })
}

fn cron_job_status(from: &batch::CronJobStatus) -> CronJobStatus {
    CronJobStatus {
        active: from.active.iter().flatten().map(|job| (name(&job.name), uid(&job.uid))).collect(),
        last_schedule: some_time(&from.last_schedule_time),
        last_successful: some_time(&from.last_successful_time),
    }
}
