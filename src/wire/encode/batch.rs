//! Jobs and cron jobs.

use super::meta::{labels, list, meta, text, time, uid};
use super::workload::{template, written_selector};
use super::{from_raw, nonzero};
use crate::model::batch::{FailureRule, FailureTest, JobSpec, JobStatus, JobTemplate};
use crate::model::{CronJob, Job, Kind, Name, Uid};
use k8s_openapi::api::batch::v1 as batch;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

pub(super) fn job(from: &Job) -> batch::Job {
    batch::Job { metadata: meta(&from.meta), spec: Some(spec(&from.spec)), status: Some(status(&from.status)) }
}

fn spec(from: &JobSpec) -> batch::JobSpec {
    let replacement = if from.replace_only_failed { "Failed" } else { "TerminatingOrFailed" };
    let selected = from.raw.is_some() || !from.selector.is_empty();
    batch::JobSpec {
        parallelism: Some(from.parallelism),
        completions: from.completions,
        completion_mode: Some(if from.indexed { "Indexed" } else { "NonIndexed" }.to_string()),
        active_deadline_seconds: from.active_deadline_seconds,
        backoff_limit: Some(from.backoff_limit),
        backoff_limit_per_index: from.backoff_limit_per_index,
        max_failed_indexes: from.max_failed_indexes,
        pod_failure_policy: from
            .pod_failure_policy
            .as_ref()
            .map(|rules| batch::PodFailurePolicy { rules: rules.iter().map(failure_rule).collect() }),
        success_policy: from.success_policy.as_ref().map(|rules| batch::SuccessPolicy {
            rules: rules
                .iter()
                .map(|rule| batch::SuccessPolicyRule {
                    succeeded_count: rule.count,
                    succeeded_indexes: rule.indexes.as_ref().map(Name::to_string),
                })
                .collect(),
        }),
        pod_replacement_policy: Some(replacement.to_string()),
        ttl_seconds_after_finished: from.ttl_seconds_after_finished,
        suspend: Some(from.suspend),
        managed_by: text(&from.managed_by),
        manual_selector: Some(from.manual_selector),
        selector: selected.then(|| written_selector(&from.raw, &from.selector)),
        template: template(&from.template),
    }
}

fn failure_rule(from: &FailureRule) -> batch::PodFailurePolicyRule {
    let mut rule = batch::PodFailurePolicyRule { action: from.action.as_str().to_string(), ..Default::default() };
    match &from.test {
        FailureTest::ExitCodes { container, not_in, values } => {
            rule.on_exit_codes = Some(batch::PodFailurePolicyOnExitCodesRequirement {
                container_name: container.as_ref().map(Name::to_string),
                operator: if *not_in { "NotIn" } else { "In" }.to_string(),
                values: values.clone(),
            });
        }
        FailureTest::Conditions(patterns) => {
            rule.on_pod_conditions = list(patterns, |(kind, status)| batch::PodFailurePolicyOnPodConditionsPattern {
                type_: kind.to_string(),
                status: Some(status.as_str().to_string()),
            });
        }
    }
    rule
}

fn status(from: &JobStatus) -> batch::JobStatus {
    let uids = |all: &[Uid]| list(all, |uid| uid.to_string());
    batch::JobStatus {
        active: nonzero(from.active),
        ready: from.ready,
        terminating: from.terminating,
        succeeded: nonzero(from.succeeded),
        failed: nonzero(from.failed),
        completed_indexes: text(&from.completed_indexes),
        failed_indexes: from.failed_indexes.as_ref().map(Name::to_string),
        uncounted_terminated_pods: from.uncounted.as_ref().map(|pods| batch::UncountedTerminatedPods {
            succeeded: uids(&pods.succeeded),
            failed: uids(&pods.failed),
        }),
        start_time: from.start_time.map(time),
        completion_time: from.completion_time.map(time),
        conditions: list(&from.conditions, |c| batch::JobCondition {
            type_: c.kind.to_string(),
            status: c.status.as_str().to_string(),
            reason: text(&c.reason),
            message: text(&c.message),
            last_transition_time: Some(time(c.last_transition)),
            last_probe_time: Some(time(c.last_update)),
        }),
    }
}

pub(super) fn cron_job(from: &CronJob) -> batch::CronJob {
    let spec = batch::CronJobSpec {
        schedule: from.schedule.to_string(),
        time_zone: from.time_zone.as_ref().map(Name::to_string),
        starting_deadline_seconds: from.starting_deadline_seconds,
        concurrency_policy: Some(from.concurrency.as_str().to_string()),
        suspend: Some(from.suspend),
        successful_jobs_history_limit: Some(from.successful_limit),
        failed_jobs_history_limit: Some(from.failed_limit),
        job_template: job_template(&from.template),
    };
    let status = batch::CronJobStatus {
        active: list(&from.status.active, |(job, id)| ObjectReference {
            api_version: Some(Kind::Job.api_version()),
            kind: Some(Kind::Job.to_string()),
            namespace: text(&from.meta.namespace),
            name: text(job),
            uid: uid(*id),
            ..ObjectReference::default()
        }),
        last_schedule_time: from.status.last_schedule.map(time),
        last_successful_time: from.status.last_successful.map(time),
    };
    batch::CronJob { metadata: meta(&from.meta), spec, status: Some(status) }
}

fn job_template(from: &JobTemplate) -> batch::JobTemplateSpec {
    let metadata =
        ObjectMeta { labels: labels(&from.labels), annotations: labels(&from.annotations), ..ObjectMeta::default() };
    batch::JobTemplateSpec { metadata: Some(metadata), spec: Some(from_raw(Some(&from.raw))) }
}
