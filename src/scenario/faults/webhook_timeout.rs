//! An admission webhook whose server does not answer
//! (`staging/src/k8s.io/apiserver/pkg/admission/plugin/webhook/`).
//!
//! ```yaml
//! - at: 2m
//!   for: 5m
//!   webhookTimeout: {name: policy.example.com, kinds: [Pod], operations: [CREATE], failurePolicy: Fail, timeout: 10s}
//! ```

use super::super::units::Duration;
use super::{Checks, Form};
use crate::model::gate::{Gate, Operation};
use crate::model::{Effect, Kind, Name};
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;

/// `failurePolicy` of a webhook.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
pub enum FailurePolicy {
    /// What it cannot be asked about is refused.
    #[default]
    Fail,
    /// What it cannot be asked about is let through.
    Ignore,
}

/// An operation that a webhook is asked about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum WebhookOperation {
    /// Creations.
    Create,
    /// Changes.
    Update,
    /// Deletions.
    Delete,
}

/// A webhook does not answer: matching writes wait for its timeout, and then its `failurePolicy` decides.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebhookTimeout {
    /// Its name.
    #[serde(default = "default_name")]
    pub name: String,
    /// The kinds that it is asked about; Pod if absent.
    #[serde(default = "default_kinds")]
    pub kinds: Vec<String>,
    /// The operations that it is asked about; CREATE if absent.
    #[serde(default = "default_operations")]
    pub operations: Vec<WebhookOperation>,
    /// Only in these namespaces; in all if absent.
    #[serde(default)]
    pub namespaces: Vec<String>,
    /// Not in these namespaces. Default kube-system.
    #[serde(default = "default_except")]
    pub except_namespaces: Vec<String>,
    /// `Fail` or `Ignore`. Default Fail.
    #[serde(default)]
    pub failure_policy: FailurePolicy,
    /// `timeoutSeconds`: 1 s to 30 s. Default 10s.
    #[serde(default = "default_timeout")]
    pub timeout: Duration,
}

fn default_name() -> String {
    "webhook.example.com".to_string()
}

fn default_kinds() -> Vec<String> {
    vec!["Pod".to_string()]
}

fn default_operations() -> Vec<WebhookOperation> {
    vec![WebhookOperation::Create]
}

fn default_except() -> Vec<String> {
    vec!["kube-system".to_string()]
}

fn default_timeout() -> Duration {
    Duration(crate::time::SimDuration::from_secs(10))
}

impl Form for WebhookTimeout {
    fn kind(&self) -> &'static str {
        "webhook-timeout"
    }
    fn at_large(&self) -> bool {
        true
    }
    fn effect(&self) -> Effect {
        let names = |list: &[String]| list.iter().map(|name| Name::from(name.as_str())).collect();
        let operation = |operation: &WebhookOperation| match operation {
            WebhookOperation::Create => Operation::Create,
            WebhookOperation::Update => Operation::Update,
            WebhookOperation::Delete => Operation::Delete,
        };
        let seconds = self.timeout.0.0 / 1_000_000_000;
        let message = format!(
            "Internal error occurred: failed calling webhook \"{0}\": failed to call webhook: Post \
             \"https://webhook.default.svc:443/?timeout={seconds}s\": context deadline exceeded",
            self.name
        );
        let fails = self.failure_policy == FailurePolicy::Fail;
        Effect::Hindrance(Arc::new(Gate {
            kinds: self.kinds.iter().filter_map(|kind| Kind::parse(kind)).collect(),
            namespaces: names(&self.namespaces),
            except: names(&self.except_namespaces),
            operations: self.operations.iter().map(operation).collect(),
            delay: (self.timeout.0, self.timeout.0),
            refusal: fails.then(|| (500, Name::from(message))),
            permille: if fails { 1000 } else { 0 },
            ..Gate::default()
        }))
    }
    fn describe(&self, _: &str) -> String {
        let what = self.kinds.join(", ");
        let end = match self.failure_policy {
            FailurePolicy::Fail => "are refused",
            FailurePolicy::Ignore => "go through",
        };
        format!("webhook {} does not answer: writes of {what} wait {} and {end}", self.name, self.timeout.0)
    }
    fn check(&self, checks: &mut Checks<'_>) {
        for (at, kind) in self.kinds.iter().enumerate() {
            if Kind::parse(kind).is_none_or(|found| !found.is_api()) {
                let known: Vec<&str> = ["Pod", "Deployment", "Service", "ConfigMap", "Secret", "Job", "Node"].to_vec();
                checks.unknown(&format!("kinds[{at}]"), "kind", kind, &known);
            }
        }
        let seconds = crate::time::SimDuration::from_secs;
        if self.timeout.0 < seconds(1) || self.timeout.0 > seconds(30) {
            checks.add("timeout", "a webhook's timeout is between 1s and 30s", "write a duration such as 10s");
        }
    }
}
