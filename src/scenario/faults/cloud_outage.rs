//! A provider whose interface does not answer: no volumes, no load balancers, no machines, no news of machines.
//!
//! ```yaml
//! - at: 2m
//!   for: 10m
//!   cloudOutage: {apis: [disks]}
//! ```

use super::{Checks, Form};
use crate::model::gate::Gate;
use crate::model::{Effect, Name};
use crate::time::SimDuration;
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;

/// A part of the provider's interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum CloudApi {
    /// Volumes are neither made nor attached, detached, enlarged or deleted.
    Disks,
    /// Load balancers are neither made nor changed.
    LoadBalancers,
    /// Machines are neither made nor taken back, and nobody can tell whether one still exists.
    Machines,
}

/// The provider's interface does not answer.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CloudOutage {
    /// Which parts; all if absent.
    pub apis: Vec<CloudApi>,
}

/// How long a call waits before it is given up.
pub const TIMEOUT: SimDuration = SimDuration::from_secs(10);

impl CloudOutage {
    fn hits(&self, api: CloudApi) -> bool {
        self.apis.is_empty() || self.apis.contains(&api)
    }
}

impl Form for CloudOutage {
    fn kind(&self) -> &'static str {
        "cloud-outage"
    }
    fn at_large(&self) -> bool {
        true
    }
    fn effect(&self) -> Effect {
        let disks = ["csi-provisioner", "csi-attacher", "csi-resizer"];
        let balancers = ["service-controller"];
        let disks = disks.iter().filter(|_| self.hits(CloudApi::Disks));
        let balancers = balancers.iter().filter(|_| self.hits(CloudApi::LoadBalancers));
        let writers = disks.chain(balancers).map(|name| Name::from(*name));
        let message = crate::name!("rpc error: code = DeadlineExceeded desc = context deadline exceeded");
        let writers: Vec<Name> = writers.collect();
        // A gate for nobody in particular would be one for all.
        let gate = (!writers.is_empty())
            .then(|| Arc::new(Gate { writers, events: false, ..Gate::shut(TIMEOUT, 504, message) }));
        Effect::Cloud { gate, machines: self.hits(CloudApi::Machines) }
    }
    fn describe(&self, _: &str) -> String {
        let what = |api: &CloudApi| match api {
            CloudApi::Disks => "disks",
            CloudApi::LoadBalancers => "load balancers",
            CloudApi::Machines => "machines",
        };
        let parts: Vec<&str> = self.apis.iter().map(what).collect();
        if parts.is_empty() {
            "the cloud's interface does not answer".to_string()
        } else {
            format!("the cloud's interface for {} does not answer", parts.join(" and "))
        }
    }
    fn check(&self, _: &mut Checks<'_>) {}
}
