//! Jobs and cron jobs (`pkg/apis/batch/validation/validation.go`).

use k8s_openapi::api::batch::v1::{
    CronJob, Job, JobSpec, PodFailurePolicyOnExitCodesRequirement as ExitCodes, PodFailurePolicyRule, SuccessPolicyRule,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use std::collections::BTreeSet;

use super::meta::selects;
use super::{ErrorType, FieldError, Findings, Validate};
use crate::model::schedule::{Schedule, Zone};
use crate::wire::names;

/// A job's name ends with a dash and ten digits of its run.
const MOST_CRON_JOB_NAME: usize = 52;
/// Limits of `pkg/apis/batch/validation/validation.go`.
const MOST_PARALLELISM_INDEXED: i32 = 100_000;
const MOST_FAILED_INDEXES: i32 = 100_000;
const MANY_COMPLETIONS: i32 = 100_000;
const MOST_WITH_MANY_COMPLETIONS: i32 = 10_000;
const MOST_RULES: usize = 20;
const MOST_EXIT_CODES: usize = 255;
const MOST_PATTERNS: usize = 20;
const MOST_MANAGED_BY: usize = 63;

const ACTIONS: &[&str] = &["Count", "FailIndex", "FailJob", "Ignore"];
const OPERATORS: &[&str] = &["In", "NotIn"];
const TRUTHS: &[&str] = &["False", "True", "Unknown"];

impl Validate for Job {
    fn validate(&self) -> Vec<FieldError> {
        let mut findings = Findings::default();
        findings.metadata(&self.metadata, true, names::dns_subdomain);
        let Some(spec) = &self.spec else {
            findings.required("spec.template.spec.containers", "");
            return findings.0;
        };
        findings.job_spec("spec", spec);
        // Without its own selector the job gets one that fits its template.
        if let (Some(true), Some(selector)) = (spec.manual_selector, &spec.selector) {
            findings.label_selector("spec.selector", selector);
            let labels = spec.template.metadata.as_ref().and_then(|metadata| metadata.labels.clone());
            let labels = labels.unwrap_or_default();
            if !selects(selector, &labels) {
                let detail = "`selector` does not match template `labels`";
                findings.invalid_value("spec.template.metadata.labels", &labels, detail);
            }
        } else if spec.manual_selector == Some(true) {
            findings.required("spec.selector", "");
        } else if let Some(selector) = spec.selector.as_ref().filter(|selector| !generated(selector, &self.metadata)) {
            findings.invalid_value("spec.selector", selector, "`selector` not auto-generated");
        }
        let name = self.metadata.name.as_deref().unwrap_or_default();
        if let Some(last) = spec.completions.filter(|n| *n > 0 && indexed(spec)).map(|n| n - 1) {
            let hostname = format!("{name}-{last}");
            if !name.is_empty() && !names::dns_label(&hostname).is_empty() {
                let detail = format!("will not able to create pod with invalid DNS label: {hostname}");
                findings.invalid("metadata.name", name, detail);
            }
        }
        findings.0
    }
}

/// Whether it is the selector that the API server gave this job (`ValidateGeneratedSelector`).
fn generated(selector: &LabelSelector, metadata: &ObjectMeta) -> bool {
    let labels = selector.match_labels.as_ref();
    let said = labels.and_then(|labels| labels.get("batch.kubernetes.io/controller-uid"));
    said.is_some() && said == metadata.uid.as_ref()
}

impl Validate for CronJob {
    fn validate(&self) -> Vec<FieldError> {
        let mut findings = Findings::default();
        findings.metadata(&self.metadata, true, names::dns_subdomain);
        let spec = &self.spec;
        match spec.schedule.as_str() {
            "" => findings.required("spec.schedule", ""),
            schedule => {
                if let Err(why) = Schedule::parse(schedule) {
                    findings.invalid("spec.schedule", schedule, why);
                }
                if schedule.contains("TZ") {
                    let detail = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
                    findings.invalid("spec.schedule", schedule, detail);
                }
            }
        }
        findings.not_negative("spec.startingDeadlineSeconds", spec.starting_deadline_seconds);
        if let Some(zone) = &spec.time_zone {
            findings.time_zone(zone);
        }
        let policies = &["Allow", "Forbid", "Replace"];
        findings.one_of("spec.concurrencyPolicy", spec.concurrency_policy.as_ref(), policies);
        findings.job_spec("spec.jobTemplate.spec", &spec.job_template.spec.clone().unwrap_or_default());
        if let Some(job) = &spec.job_template.spec {
            let path = "spec.jobTemplate.spec";
            if let Some(selector) = &job.selector {
                findings.invalid_value(format!("{path}.selector"), selector, "`selector` will be auto-generated");
            }
            if job.manual_selector == Some(true) {
                let kind = ErrorType::not_supported("true", &["nil", "false"]);
                findings.add(format!("{path}.manualSelector"), kind, "");
            }
        }
        findings.not_negative("spec.successfulJobsHistoryLimit", spec.successful_jobs_history_limit);
        findings.not_negative("spec.failedJobsHistoryLimit", spec.failed_jobs_history_limit);
        let name = self.metadata.name.as_deref().unwrap_or_default();
        if name.len() > MOST_CRON_JOB_NAME {
            let detail = format!("must be no more than {MOST_CRON_JOB_NAME} characters");
            findings.invalid("metadata.name", name, detail);
        }
        findings.0
    }
}

fn indexed(spec: &JobSpec) -> bool {
    spec.completion_mode.as_deref() == Some("Indexed")
}

impl Findings {
    /// The spec of a job, wherever it stands (`validateJobSpec`).
    pub(super) fn job_spec(&mut self, path: &str, spec: &JobSpec) {
        let at = |field: &str| format!("{path}.{field}");
        self.not_negative(at("parallelism"), spec.parallelism);
        self.not_negative(at("completions"), spec.completions);
        self.not_negative(at("activeDeadlineSeconds"), spec.active_deadline_seconds);
        self.not_negative(at("backoffLimit"), spec.backoff_limit);
        self.not_negative(at("ttlSecondsAfterFinished"), spec.ttl_seconds_after_finished);
        self.not_negative(at("backoffLimitPerIndex"), spec.backoff_limit_per_index);
        self.not_negative(at("maxFailedIndexes"), spec.max_failed_indexes);
        if spec.max_failed_indexes.is_some() && spec.backoff_limit_per_index.is_none() {
            self.required(at("backoffLimitPerIndex"), "when maxFailedIndexes is specified");
        }
        if let Some(manager) = &spec.managed_by {
            self.managed_by(&at("managedBy"), manager);
        }
        self.one_of(at("completionMode"), spec.completion_mode.as_ref(), &["Indexed", "NonIndexed"]);
        match indexed(spec) {
            true => self.indexed_job(path, spec),
            false => {
                let detail = "requires indexed completion mode";
                for (field, number) in [
                    ("backoffLimitPerIndex", spec.backoff_limit_per_index),
                    ("maxFailedIndexes", spec.max_failed_indexes),
                ] {
                    if let Some(number) = number {
                        self.invalid_value(at(field), &number, detail);
                    }
                }
                if let Some(policy) = &spec.success_policy {
                    self.invalid_value(at("successPolicy"), policy, detail);
                }
            }
        }
        self.failure_policy(path, spec);
        self.pod_template(&at("template"), &spec.template);
        self.job_restart_policy(path, spec);
    }

    fn time_zone(&mut self, zone: &str) {
        let path = "spec.timeZone";
        let shaped = |part: &str| {
            let letter = |b: u8| b.is_ascii_alphanumeric() || b".-_+".contains(&b);
            (1..=14).contains(&part.len()) && part.bytes().all(letter) && !part.starts_with('-')
        };
        if zone.is_empty() {
            self.invalid(path, zone, "timeZone must be nil or non-empty string");
        } else if !zone.split('/').all(|part| shaped(part) && part != "." && part != "..") {
            self.invalid(path, zone, format!("unknown time zone {zone}"));
        } else if zone.eq_ignore_ascii_case("local") {
            let detail = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
            self.invalid(path, zone, detail);
        } else if let Err(why) = Zone::load(zone) {
            self.invalid(path, zone, why);
        }
    }

    fn managed_by(&mut self, path: &str, manager: &str) {
        match manager.split_once('/') {
            Some((domain, rest)) if !rest.is_empty() => self.invalid_each(path, domain, names::dns_subdomain(domain)),
            _ => {
                let detail = "must be a domain-prefixed path (such as \"acme.io/foo\")";
                self.invalid(path, manager, detail);
            }
        }
        if manager.len() > MOST_MANAGED_BY {
            self.add(path, ErrorType::TooLong, format!("may not be more than {MOST_MANAGED_BY} bytes"));
        }
    }

    fn indexed_job(&mut self, path: &str, spec: &JobSpec) {
        let at = |field: &str| format!("{path}.{field}");
        if spec.completions.is_none() {
            self.required(at("completions"), "when completion mode is Indexed");
        }
        if let Some(number) = spec.parallelism.filter(|number| *number > MOST_PARALLELISM_INDEXED) {
            let detail =
                format!("must be less than or equal to {MOST_PARALLELISM_INDEXED} when completion mode is Indexed");
            self.invalid_value(at("parallelism"), &number, &detail);
        }
        let completions = spec.completions.unwrap_or(i32::MAX);
        if let Some(number) = spec.max_failed_indexes {
            if number > completions {
                self.invalid_value(at("maxFailedIndexes"), &number, "must be less than or equal to completions");
            }
            if number > MOST_FAILED_INDEXES {
                let detail = format!("must be less than or equal to {MOST_FAILED_INDEXES}");
                self.invalid_value(at("maxFailedIndexes"), &number, &detail);
            }
        }
        if spec.completions.is_some_and(|n| n > MANY_COMPLETIONS) && spec.backoff_limit_per_index.is_some() {
            self.many_completions(path, spec);
        }
        if let Some(policy) = &spec.success_policy {
            let path = at("successPolicy.rules");
            if policy.rules.is_empty() {
                let detail = "at least one rules must be specified when the successPolicy is specified";
                self.required(path.as_str(), detail);
            }
            self.too_many(&path, policy.rules.len(), MOST_RULES);
            for (index, rule) in policy.rules.iter().enumerate() {
                self.success_rule(&format!("{path}[{index}]"), rule, completions);
            }
        }
    }

    fn many_completions(&mut self, path: &str, spec: &JobSpec) {
        if spec.max_failed_indexes.is_none() {
            let detail = format!("must be specified when completions is above {MANY_COMPLETIONS}");
            self.required(format!("{path}.maxFailedIndexes"), &detail);
        }
        let detail = format!(
            "must be less than or equal to {MOST_WITH_MANY_COMPLETIONS} when completions are above {MANY_COMPLETIONS} and used with backoff limit per index"
        );
        for (field, number) in [("parallelism", spec.parallelism), ("maxFailedIndexes", spec.max_failed_indexes)] {
            if let Some(number) = number.filter(|number| *number > MOST_WITH_MANY_COMPLETIONS) {
                self.invalid_value(format!("{path}.{field}"), &number, &detail);
            }
        }
    }

    fn success_rule(&mut self, path: &str, rule: &SuccessPolicyRule, completions: i32) {
        if rule.succeeded_count.is_none() && rule.succeeded_indexes.is_none() {
            self.required(path, "at least one of succeededCount or succeededIndexes must be specified");
        }
        let mut total = None;
        if let Some(indexes) = &rule.succeeded_indexes {
            match count_indexes(indexes, completions) {
                Ok(count) => total = Some(count),
                Err(why) => {
                    let detail = format!("error parsing succeededIndexes: {why}");
                    self.invalid(format!("{path}.succeededIndexes"), indexes, detail);
                    total = Some(0);
                }
            }
        }
        let Some(count) = rule.succeeded_count else { return };
        let path = format!("{path}.succeededCount");
        self.not_negative(path.as_str(), Some(count));
        if count > completions {
            let detail = format!("must be less than or equal to {completions} (the number of specified completions)");
            self.invalid_value(path.as_str(), &count, &detail);
        }
        if let Some(total) = total.filter(|total| count > *total) {
            let detail = format!(
                "must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)"
            );
            self.invalid_value(path.as_str(), &count, &detail);
        }
    }

    fn too_many(&mut self, path: &str, count: usize, most: usize) {
        if count > most {
            self.add(path, ErrorType::TooMany(count), format!("must have at most {most} items"));
        }
    }

    fn failure_policy(&mut self, path: &str, spec: &JobSpec) {
        let replacement = spec.pod_replacement_policy.as_ref();
        if let Some(policy) = &spec.pod_failure_policy {
            let path = format!("{path}.podFailurePolicy.rules");
            self.too_many(&path, policy.rules.len(), MOST_RULES);
            let pods = spec.template.spec.as_ref();
            let containers = pods.into_iter().flat_map(|pods| {
                pods.containers.iter().chain(pods.init_containers.iter().flatten()).map(|one| one.name.as_str())
            });
            let containers: BTreeSet<&str> = containers.collect();
            for (index, rule) in policy.rules.iter().enumerate() {
                self.failure_rule(&format!("{path}[{index}]"), rule, spec, &containers);
            }
        }
        let supported: &[&str] =
            if spec.pod_failure_policy.is_some() { &["Failed"] } else { &["Failed", "TerminatingOrFailed"] };
        self.one_of(format!("{path}.podReplacementPolicy"), replacement, supported);
    }

    fn failure_rule(&mut self, path: &str, rule: &PodFailurePolicyRule, spec: &JobSpec, containers: &BTreeSet<&str>) {
        let action = format!("{path}.action");
        match rule.action.as_str() {
            "FailIndex" if spec.backoff_limit_per_index.is_none() => {
                self.invalid(action, &rule.action, "requires the backoffLimitPerIndex to be set");
            }
            _ => self.one_of_required(&action, &rule.action, ACTIONS),
        }
        let patterns = rule.on_pod_conditions.as_deref().unwrap_or_default();
        if let Some(codes) = &rule.on_exit_codes {
            self.exit_codes(&format!("{path}.onExitCodes"), codes, containers);
        }
        self.too_many(&format!("{path}.onPodConditions"), patterns.len(), MOST_PATTERNS);
        for (index, pattern) in patterns.iter().enumerate() {
            let path = format!("{path}.onPodConditions[{index}]");
            self.invalid_each(&format!("{path}.type"), &pattern.type_, names::qualified_name(&pattern.type_));
            self.one_of(format!("{path}.status"), pattern.status.as_ref().filter(|text| !text.is_empty()), TRUTHS);
        }
        match (rule.on_exit_codes.is_some(), patterns.is_empty()) {
            (true, false) => {
                self.invalid_whole(path, "specifying both OnExitCodes and OnPodConditions is not supported")
            }
            (false, true) => self.invalid_whole(path, "specifying one of OnExitCodes and OnPodConditions is required"),
            _ => {}
        }
    }

    /// A structure that is invalid as a whole; its value is not printed.
    fn invalid_whole(&mut self, path: &str, detail: &str) {
        self.add(path, ErrorType::Invalid(detail.to_string()), "");
    }

    /// A word that must be there and be one of `supported`.
    fn one_of_required(&mut self, path: &str, value: &str, supported: &[&'static str]) {
        match value {
            "" => {
                let values = supported.iter().map(|value| format!("{value:?}")).collect::<Vec<_>>().join(" ");
                self.required(path, &format!("valid values: [{values}]"));
            }
            value => self.one_of(path, Some(&value.to_string()), supported),
        }
    }

    fn exit_codes(&mut self, path: &str, codes: &ExitCodes, containers: &BTreeSet<&str>) {
        self.one_of_required(&format!("{path}.operator"), &codes.operator, OPERATORS);
        if let Some(name) = codes.container_name.as_deref().filter(|name| !containers.contains(name)) {
            let detail = "must be one of the container or initContainer names in the pod template";
            self.invalid(format!("{path}.containerName"), name, detail);
        }
        let values = format!("{path}.values");
        if codes.values.is_empty() {
            self.invalid_value(values.as_str(), &codes.values, "at least one value is required");
        }
        self.too_many(&values, codes.values.len(), MOST_EXIT_CODES);
        let mut seen = BTreeSet::new();
        for (index, value) in codes.values.iter().enumerate() {
            let path = format!("{values}[{index}]");
            if codes.operator == "In" && *value == 0 {
                self.invalid_value(path.as_str(), value, "must not be 0 for the In operator");
            }
            if !seen.insert(value) {
                self.add(path, ErrorType::Duplicate(value.to_string()), "");
            }
        }
        if !codes.values.is_sorted() {
            self.invalid_value(values.as_str(), &codes.values, "must be ordered");
        }
    }

    fn job_restart_policy(&mut self, path: &str, spec: &JobSpec) {
        let path = format!("{path}.template.spec.restartPolicy");
        let policy = spec.template.spec.as_ref().and_then(|pods| pods.restart_policy.as_deref()).unwrap_or_default();
        match policy {
            "" | "Always" => self.required(path, "valid values: \"OnFailure\", \"Never\""),
            "OnFailure" if spec.pod_failure_policy.is_some() => {
                self.invalid(path, policy, "only \"Never\" is supported when podFailurePolicy is specified");
            }
            "Never" | "OnFailure" => {}
            // What no pod may have has been said of the pod.
            _ => self.one_of(path, Some(&policy.to_string()), &["OnFailure", "Never"]),
        }
    }
}

/// How many indexes a list names (`validateIndexesFormat`).
fn count_indexes(text: &str, completions: i32) -> Result<i32, String> {
    let (mut total, mut before) = (0, None);
    for piece in text.split(',').filter(|_| !text.is_empty()) {
        let limits: Vec<&str> = piece.split('-').collect();
        if limits.len() > 2 {
            return Err(format!(
                "the fragment {piece:?} violates the requirement that an index interval can have at most two parts separated by '-'"
            ));
        }
        let number = |text: &str| match text.parse::<i32>() {
            Err(_) => Err(format!("cannot convert string to integer for index: {text:?}")),
            Ok(index) if index >= completions => Err(format!("too large index: {text:?}")),
            Ok(index) => Ok(index),
        };
        let first = number(limits[0])?;
        let last = limits.get(1).map_or(Ok(first), |text| number(text))?;
        let decreasing = |before: i32, now: i32| format!("non-increasing order, previous: {before}, current: {now}");
        if limits.len() == 2 && first >= last {
            return Err(decreasing(first, last));
        }
        if let Some(before) = before.filter(|before| *before >= first) {
            return Err(decreasing(before, first));
        }
        total += last - first + 1;
        before = Some(last);
    }
    Ok(total)
}
