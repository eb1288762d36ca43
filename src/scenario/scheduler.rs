//! The schedulers of a scenario: how kube-scheduler is configured, and others beside it.
//!
//! ```yaml
//! scheduler: {config: kube-scheduler.yaml}
//! scheduler:
//!   config:
//!     apiVersion: kubescheduler.config.k8s.io/v1
//!     kind: KubeSchedulerConfiguration
//!     percentageOfNodesToScore: 100
//!   schedulers:
//!   - {schedulerName: batch, config: batch-scheduler.yaml}
//! ```

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::manifests::ManifestDocument;

/// The most schedulers beside the first.
pub const MAX_SCHEDULERS: usize = 16;

/// kube-scheduler, and schedulers beside it.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Scheduling {
    /// The configuration of kube-scheduler: a file, or written in place. Without one it has all defaults.
    pub config: Option<SchedulerConfig>,
    /// Schedulers beside it, each a process of its own with a queue and a client of its own.
    pub schedulers: Vec<OtherScheduler>,
}

/// A scheduler beside kube-scheduler.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct OtherScheduler {
    /// The `schedulerName` of the pods it serves, where its configuration does not say one.
    pub scheduler_name: Option<String>,
    /// Its configuration: a file, or written in place. Without one it has all defaults.
    pub config: Option<SchedulerConfig>,
}

/// A `KubeSchedulerConfiguration`, by the name of its file or in place.
#[derive(Clone, PartialEq, Debug)]
pub struct SchedulerConfig {
    /// As the scenario says it.
    pub written: WrittenConfig,
    /// The document, after loading.
    pub document: Option<ManifestDocument>,
}

/// Where a configuration stands.
#[derive(Clone, PartialEq, Debug)]
pub enum WrittenConfig {
    /// In a file, relative to the scenario.
    File(String),
    /// In place.
    Inline(Value),
}

impl<'de> Deserialize<'de> for SchedulerConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ConfigVisitor;
        impl<'de> Visitor<'de> for ConfigVisitor {
            type Value = WrittenConfig;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a file or a KubeSchedulerConfiguration; write config: kube-scheduler.yaml")
            }
            fn visit_str<E>(self, file: &str) -> Result<WrittenConfig, E> {
                Ok(WrittenConfig::File(file.to_string()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<WrittenConfig, A::Error> {
                let map = Map::<String, Value>::deserialize(MapAccessDeserializer::new(map))?;
                Ok(WrittenConfig::Inline(Value::Object(map)))
            }
        }
        let written = deserializer.deserialize_any(ConfigVisitor)?;
        Ok(SchedulerConfig { written, document: None })
    }
}

impl JsonSchema for SchedulerConfig {
    fn schema_name() -> Cow<'static, str> {
        "SchedulerConfig".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A KubeSchedulerConfiguration (kubescheduler.config.k8s.io/v1): a file relative to the scenario, or written in place.",
            "anyOf": [{ "type": "string" }, { "type": "object" }],
        })
    }
}

impl Scheduling {
    /// Every configuration with its path in the scenario.
    pub fn configs_mut(&mut self) -> impl Iterator<Item = (String, &mut SchedulerConfig)> {
        let others = self.schedulers.iter_mut().enumerate();
        let others = others.map(|(at, other)| (format!("scheduler.schedulers[{at}].config"), &mut other.config));
        let first = std::iter::once(("scheduler.config".to_string(), &mut self.config));
        first.chain(others).filter_map(|(path, config)| config.as_mut().map(|config| (path, config)))
    }

    /// Each scheduler's path in the scenario and the names by which pods can choose it, kube-scheduler first.
    pub fn names(&self) -> Vec<(String, Vec<String>)> {
        let first = ("scheduler.config".to_string(), profile_names(self.config.as_ref(), "default-scheduler"));
        let others = self.schedulers.iter().enumerate().map(|(at, other)| {
            let name = other.scheduler_name.as_deref().unwrap_or("default-scheduler");
            (format!("scheduler.schedulers[{at}].schedulerName"), profile_names(other.config.as_ref(), name))
        });
        std::iter::once(first).chain(others).collect()
    }
}

/// The names of a configuration's profiles; `default` for the only one without a name.
fn profile_names(config: Option<&SchedulerConfig>, default: &str) -> Vec<String> {
    let document = config.and_then(|config| config.document.as_ref());
    let profiles = document.and_then(|document| document.value["profiles"].as_array()).filter(|list| !list.is_empty());
    let Some(profiles) = profiles else { return vec![default.to_string()] };
    profiles.iter().map(|profile| profile["schedulerName"].as_str().unwrap_or(default).to_string()).collect()
}
