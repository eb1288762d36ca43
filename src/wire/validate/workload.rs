//! Deployments and ReplicaSets (`pkg/apis/apps/validation/validation.go`).

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, ReplicaSet};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::meta::selects;
use super::{FieldError, Findings, Validate};
use crate::wire::names;

impl Validate for Deployment {
    fn validate(&self) -> Vec<FieldError> {
        let missing = &["spec.selector", "spec.template.spec.containers"];
        let check = Findings::deployment_spec;
        Findings::of(&self.metadata, names::dns_subdomain, self.spec.as_ref(), missing, check)
    }
}

impl Validate for ReplicaSet {
    fn validate(&self) -> Vec<FieldError> {
        Findings::of(&self.metadata, names::dns_subdomain, self.spec.as_ref(), &["spec.selector"], |findings, spec| {
            findings.not_negative("spec.replicas", spec.replicas);
            findings.not_negative("spec.minReadySeconds", spec.min_ready_seconds);
            findings.selector(&spec.selector, "deployment");
            match &spec.template {
                Some(template) => findings.template(&spec.selector, template, "ReplicaSet"),
                None => findings.required("spec.template", ""),
            }
        })
    }
}

impl Findings {
    fn deployment_spec(&mut self, spec: &DeploymentSpec) {
        self.not_negative("spec.replicas", spec.replicas);
        self.selector(&spec.selector, "deployment");
        self.template(&spec.selector, &spec.template, "ReplicaSet");
        if let Some(strategy) = &spec.strategy {
            self.strategy(strategy);
        }
        self.not_negative("spec.minReadySeconds", spec.min_ready_seconds);
        self.not_negative("spec.revisionHistoryLimit", spec.revision_history_limit);
        if let Some(deadline) = spec.progress_deadline_seconds {
            self.not_negative("spec.progressDeadlineSeconds", Some(deadline));
            if deadline <= spec.min_ready_seconds.unwrap_or(0) {
                let detail = "must be greater than minReadySeconds";
                self.invalid_value("spec.progressDeadlineSeconds", &deadline, detail);
            }
        }
    }

    pub(super) fn selector(&mut self, selector: &LabelSelector, kind: &str) {
        self.label_selector("spec.selector", selector);
        let empty = selector.match_labels.as_ref().is_none_or(|labels| labels.is_empty())
            && selector.match_expressions.as_ref().is_none_or(Vec::is_empty);
        if empty {
            let detail = format!("empty selector is invalid for {kind}");
            self.invalid_value("spec.selector", selector, &detail);
        }
    }

    /// The template of a workload whose pods never end by themselves; `kind` is what the message calls it.
    pub(super) fn template(&mut self, selector: &LabelSelector, template: &PodTemplateSpec, kind: &str) {
        let labels = template.metadata.as_ref().and_then(|metadata| metadata.labels.clone()).unwrap_or_default();
        if !selects(selector, &labels) {
            let detail = "`selector` does not match template `labels`";
            self.invalid_value("spec.template.metadata.labels", &labels, detail);
        }
        self.pod_template("spec.template", template);
        let Some(spec) = &template.spec else { return };
        if ["Never", "OnFailure"].contains(&spec.restart_policy.as_deref().unwrap_or("")) {
            self.one_of("spec.template.spec.restartPolicy", spec.restart_policy.as_ref(), &["Always"]);
        }
        if spec.active_deadline_seconds.is_some() {
            let detail = format!("activeDeadlineSeconds in {kind} is not Supported");
            self.forbidden("spec.template.spec.activeDeadlineSeconds", &detail);
        }
    }

    /// The template of any workload.
    pub(super) fn pod_template(&mut self, path: &str, template: &PodTemplateSpec) {
        let metadata = template.metadata.as_ref();
        let (labels, annotations) = (
            metadata.and_then(|metadata| metadata.labels.as_ref()),
            metadata.and_then(|metadata| metadata.annotations.as_ref()),
        );
        self.labels(&format!("{path}.labels"), &format!("{path}.metadata.labels"), labels);
        self.annotations(&format!("{path}.annotations"), &format!("{path}.metadata.annotations"), annotations);
        match &template.spec {
            Some(spec) => self.pod_spec(&format!("{path}.spec"), spec, false),
            None => self.required(format!("{path}.spec.containers"), ""),
        }
    }

    fn strategy(&mut self, strategy: &DeploymentStrategy) {
        let path = "spec.strategy.rollingUpdate";
        self.one_of("spec.strategy.type", strategy.type_.as_ref(), &["Recreate", "RollingUpdate"]);
        let Some(rolling) = &strategy.rolling_update else { return };
        if strategy.type_.as_deref() == Some("Recreate") {
            self.forbidden(path, "may not be specified when strategy `type` is 'Recreate'");
            return;
        }
        let (unavailable, surge) = (rolling.max_unavailable.as_ref(), rolling.max_surge.as_ref());
        self.number_or_percent(&format!("{path}.maxUnavailable"), unavailable);
        self.number_or_percent(&format!("{path}.maxSurge"), surge);
        // An absent one has the default 25 %.
        if let (Some(value), Some(0)) = (unavailable.filter(|u| amount(u) == Some(0)), surge.and_then(amount)) {
            let detail = "may not be 0 when `maxSurge` is 0";
            self.invalid_value(format!("{path}.maxUnavailable"), value, detail);
        }
        unavailable.into_iter().for_each(|value| self.at_most_all(&format!("{path}.maxUnavailable"), value));
    }

    pub(super) fn number_or_percent(&mut self, path: &str, value: Option<&IntOrString>) {
        match value {
            Some(IntOrString::Int(number)) => self.not_negative(path, Some(*number)),
            Some(IntOrString::String(text)) if amount(&IntOrString::String(text.clone())).is_none() => {
                let detail = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or \
                              '93%', regex used for validation is '[0-9]+%')";
                self.invalid(path, text, detail);
            }
            _ => {}
        }
    }

    /// A percentage beyond 100 (`IsNotMoreThan100Percent`).
    pub(super) fn at_most_all(&mut self, path: &str, value: &IntOrString) {
        if let IntOrString::String(text) = value
            && amount(value).is_some_and(|percent| percent > 100)
        {
            self.invalid(path, text, "must not be greater than 100%");
        }
    }
}

/// The number, or the number before `%`.
pub(super) fn amount(value: &IntOrString) -> Option<i32> {
    match value {
        IntOrString::Int(number) => Some(*number),
        IntOrString::String(text) => {
            let digits = text.strip_suffix('%')?;
            digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
        }
    }
}
