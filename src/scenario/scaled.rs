//! Workloads that an external metric scales to zero and back, as KEDA does.

use schemars::JsonSchema;
use serde::Deserialize;

use super::units::{Duration, ObjectRef, Quantity};
use crate::error::Problem;
use crate::model::Kind;
use crate::wire::places::Places;

/// A workload that follows a queue (`ScaledObject` of `keda.sh/v1alpha1`): an operator switches it on and off, an
/// autoscaler of its own, `keda-hpa-<name>`, does the rest.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScaledObject {
    /// The Deployment, StatefulSet or ReplicaSet.
    pub target: ObjectRef,
    /// Its namespace.
    #[serde(default = "default_namespace")]
    pub namespace: String,
    /// The external metric, one of those under `load`.
    pub metric: String,
    /// How much of it one pod is to have.
    pub threshold: Quantity,
    /// Above this much the workload is switched on (`activationThreshold`).
    #[serde(default)]
    pub activation: Quantity,
    /// Pods at least.
    #[serde(default)]
    pub min_replicas: i32,
    /// Pods at most.
    #[serde(default = "hundred")]
    pub max_replicas: i32,
    /// How often the metric is looked at while the workload is off, and whether it is to be switched off.
    #[serde(default = "polling")]
    pub polling_interval: Duration,
    /// How long the metric must be low before the workload is switched off.
    #[serde(default = "cooldown")]
    pub cooldown_period: Duration,
}

fn default_namespace() -> String {
    "default".to_string()
}
fn hundred() -> i32 {
    100
}
fn polling() -> Duration {
    Duration::secs(30)
}
fn cooldown() -> Duration {
    Duration::secs(300)
}

impl ScaledObject {
    /// What is wrong with it. It stands at `path` of the scenario; `metrics` are the external ones that there are.
    pub fn problems(&self, path: &str, places: &Places, metrics: &[&str]) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut add = |field: &str, message: String, help: String| {
            problems.push(places.problem(&format!("{path}.{field}"), message, help));
        };
        if ![Kind::Deployment, Kind::StatefulSet, Kind::ReplicaSet].contains(&self.target.kind) {
            let help = "name a Deployment, StatefulSet or ReplicaSet".to_string();
            add("target", format!("a {} cannot be scaled so", self.target.kind), help);
        }
        if self.threshold.0.nano <= 0 {
            add("threshold", "the threshold must be positive".into(), "write how much one pod is to have: 5".into());
        }
        if self.min_replicas < 0 || self.max_replicas < self.min_replicas.max(1) {
            let help = "let minReplicas be 0 or more and maxReplicas at least 1".to_string();
            add("maxReplicas", format!("{} to {} replicas", self.min_replicas, self.max_replicas), help);
        }
        if self.polling_interval.0.0 <= 0 {
            add("pollingInterval", "the interval must be positive".into(), "write a duration such as 30s".into());
        }
        if !metrics.contains(&self.metric.as_str()) {
            let near = crate::error::did_you_mean(&self.metric, metrics.iter().copied());
            let known = format!("the external metrics under `load` are: {}", metrics.join(", "));
            let help = near.map_or(known, |near| format!("did you mean `{near}`?"));
            add("metric", format!("unknown external metric {:?}", self.metric), help);
        }
        problems
    }
}
