//! What pods have to do without a client to ask for it: loads that the pods of a workload share.

use schemars::JsonSchema;
use serde::Deserialize;

use super::amount::Amount;
use super::selector::Selector;
use super::units::{ObjectRef, Quantity};
use crate::error::Problem;
use crate::wire::places::Places;

/// A load over time. It is shared evenly by the pods that run and are ready; each takes at most its CPU limit, and what
/// nobody takes is lost. A pod has its part in the first load that selects it.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Load {
    /// The pods, by label.
    pub selector: Selector,
    /// Their namespace.
    #[serde(default = "default_namespace")]
    pub namespace: String,
    /// The container that has the work; absent for the first one.
    #[serde(default)]
    pub container: Option<String>,
    /// Processor time in all, in cores. It comes on top of what `behavior` says of each container.
    #[serde(default)]
    pub cpu: Option<Amount>,
    /// Memory in all, on top of what `behavior` says of each container.
    #[serde(default)]
    pub memory: Option<Amount>,
    /// Metrics beside processor and memory, for autoscalers.
    #[serde(default)]
    pub metrics: Vec<Metric>,
}

/// A metric. Exactly one of `pods`, `object` and `external` says of what.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metric {
    /// Its name.
    pub name: String,
    /// Where autoscalers find it.
    pub of: MetricOf,
    /// The object it is of, if it is of one.
    #[serde(default)]
    pub object: Option<ObjectRef>,
    /// The amount in all; metrics of pods are shared evenly.
    #[serde(default)]
    pub value: Option<Amount>,
    /// Instead of `value`: the number of items in a queue that these pods work off.
    #[serde(default)]
    pub queue: Option<Queue>,
}

/// Of what a metric is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum MetricOf {
    /// Of each pod (`type: Pods`).
    Pods,
    /// Of an object (`type: Object`).
    Object,
    /// Of something outside (`type: External`).
    External,
}

/// A queue.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Queue {
    /// Items that come in a second.
    pub arrivals: Amount,
    /// Items that one pod works off in a second.
    pub per_pod: Quantity,
}

fn default_namespace() -> String {
    "default".to_string()
}

impl Load {
    /// Its amounts with their paths below the load.
    pub fn amounts_mut(&mut self) -> Vec<(String, &mut Amount)> {
        let own = [("cpu", &mut self.cpu), ("memory", &mut self.memory)];
        let mut all: Vec<(String, &mut Amount)> =
            own.into_iter().filter_map(|(name, amount)| Some((name.to_string(), amount.as_mut()?))).collect();
        for (index, metric) in self.metrics.iter_mut().enumerate() {
            if let Some(amount) = &mut metric.value {
                all.push((format!("metrics[{index}].value"), amount));
            }
            if let Some(queue) = &mut metric.queue {
                all.push((format!("metrics[{index}].queue.arrivals"), &mut queue.arrivals));
            }
        }
        all
    }

    /// What is wrong with it. It stands at `path` of the scenario.
    pub fn problems(&self, path: &str, places: &Places) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut add = |at: &str, message: &str, help: &str| {
            problems.push(places.problem(&format!("{path}{at}"), message.to_string(), help));
        };
        if self.cpu.is_none() && self.memory.is_none() && self.metrics.is_empty() {
            add("", "a load of nothing", "add `cpu:`, `memory:` or `metrics:`");
        }
        if self.selector.0.requirements.is_empty() {
            add(".selector", "the selector matches every pod", "name the labels of the pods: app=web");
        }
        for (at, amount) in self.clone().amounts_mut() {
            if let Some((message, help)) = amount.fault() {
                add(&format!(".{at}"), message, help);
            }
        }
        for (index, metric) in self.metrics.iter().enumerate() {
            let at = format!(".metrics[{index}]");
            if metric.value.is_some() == metric.queue.is_some() {
                add(&at, "exactly one of `value` and `queue` says how much it is", "write value: 100");
            }
            if (metric.of == MetricOf::Object) != metric.object.is_some() {
                add(&at, "`object` goes with `of: object`", "write of: object and object: service/web");
            }
            if metric.queue.as_ref().is_some_and(|queue| queue.per_pod.0.nano <= 0) {
                add(&format!("{at}.queue.perPod"), "a pod that works nothing off", "write a rate such as 0.5");
            }
        }
        problems
    }
}
