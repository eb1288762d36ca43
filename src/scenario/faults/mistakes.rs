//! What people do wrong: a quota that is used up, a configuration that does not work.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::timeline::default_namespace;
use super::super::units::{ObjectRef, Quantity};
use super::{Checks, Form};
use crate::model::Kind;

/// A namespace's quota of pods is used up: no new pod is accepted while it lasts.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct QuotaExhaustion {
    /// Which namespace.
    pub namespace: String,
}

impl Default for QuotaExhaustion {
    fn default() -> Self {
        QuotaExhaustion { namespace: default_namespace() }
    }
}

/// A bad configuration is rolled out to a workload, and taken back when the fault ends.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BadRollout {
    /// Which Deployment, StatefulSet or DaemonSet.
    pub object: ObjectRef,
    /// Its namespace.
    #[serde(default = "default_namespace")]
    pub namespace: String,
    /// Its containers get this image; `behavior` can say that the registry does not have it, or how it fails.
    #[serde(default)]
    pub image: Option<String>,
    /// Its containers get these variables.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Its containers request this much.
    #[serde(default)]
    pub requests: BTreeMap<String, Quantity>,
}

impl Form for QuotaExhaustion {
    fn kind(&self) -> &'static str {
        "quota-exhaustion"
    }
    fn at_large(&self) -> bool {
        true
    }
    fn describe(&self, _: &str) -> String {
        format!("the quota of namespace {} is used up", self.namespace)
    }
    fn check(&self, _: &mut Checks<'_>) {}
}

impl Form for BadRollout {
    fn kind(&self) -> &'static str {
        "bad-rollout"
    }
    fn at_large(&self) -> bool {
        true
    }
    fn describe(&self, _: &str) -> String {
        format!("a bad configuration is rolled out to {}", self.object)
    }
    fn check(&self, checks: &mut Checks<'_>) {
        if !matches!(self.object.kind, Kind::Deployment | Kind::StatefulSet | Kind::DaemonSet) {
            let message = format!("a {} has no rollouts", self.object.kind);
            checks.add("object", message, "name a deployment, statefulset or daemonset");
        }
        if self.image.is_none() && self.env.is_empty() && self.requests.is_empty() {
            checks.add("", "nothing says what is bad", "write image, env or requests: {cpu: \"1000\"}");
        }
    }
}
