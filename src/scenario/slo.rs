//! What is promised of the workloads: how much of the time, or of the replica time, they serve.
//!
//! ```yaml
//! slo:
//! - {workload: web, availability: 99.9%}                     # of the replica time
//! - {workload: statefulset/db, availability: 99%, of: budget} # of the time with as many as the budget wants
//! ```

use schemars::JsonSchema;
use serde::Deserialize;

use super::faults::target::Share;
use super::timeline::default_namespace;
use crate::metrics::{Availability, Objective};
use crate::model::{Kind, Name};

/// A promise about one workload.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Slo {
    /// Which: `web` or `deployment/web`.
    pub workload: String,
    /// Its namespace.
    #[serde(default = "default_namespace")]
    pub namespace: String,
    /// How much: 99.9% or 0.999.
    pub availability: Share,
    /// Of what.
    #[serde(default)]
    pub of: Of,
}

/// What counts as available.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Of {
    /// The replica time that was served: the integral of serving / desired.
    #[default]
    Served,
    /// The time in which all replicas served.
    Whole,
    /// The time in which as many served as the disruption budget wants.
    Budget,
}

impl Slo {
    /// As the record keeps it.
    pub fn objective(&self) -> Objective {
        let (kind, name) = match self.workload.split_once('/') {
            Some((kind, name)) => (Kind::parse(kind), name),
            None => (None, self.workload.as_str()),
        };
        Objective {
            namespace: Name::from(self.namespace.as_str()),
            kind,
            name: Name::from(name),
            promise: i64::from(self.availability.0),
            of: match self.of {
                Of::Served => Availability::Served,
                Of::Whole => Availability::Whole,
                Of::Budget => Availability::Budget,
            },
        }
    }
}
