//! A network that loses or delays packets, services that cannot reach each other, a cluster without names.
//!
//! ```yaml
//! - at: 2m
//!   for: 5m
//!   slowNetwork: {zone: zone-a, latency: 80ms, loss: 2%}
//! - at: 2m
//!   for: 5m
//!   servicePartition: {service: db, from: api}
//! - at: 2m
//!   for: 5m
//!   dnsOutage: {}
//! ```
//!
//! They are felt by the requests of `traffic`. Kubelets talk to the API server over connections that stay open, and TCP
//! sends again what was lost: four leases in a row would have to be late for anybody to notice.

use super::super::timeline::default_namespace;
use super::super::units::Duration;
use super::target::{NodeTarget, Share, on_nodes};
use super::{Checks, Form};
use crate::model::Effect;
use crate::model::fault::Link;
use schemars::JsonSchema;
use serde::Deserialize;

on_nodes! {
    /// Packets from and to these machines are late or lost.
    pub struct SlowNetwork {
        /// So much later, each way. Default 100ms, if nothing is said of losses.
        pub latency: Option<Duration>,
        /// Up to so much later still, drawn for each packet.
        pub jitter: Option<Duration>,
        /// The share of packets that is lost.
        pub loss: Option<Share>,
    }
}

/// How late packets are if nothing is said.
const LATE: Duration = Duration::millis(100);

/// The pods behind two services do not reach each other.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServicePartition {
    /// The service whose pods are cut off.
    pub service: String,
    /// From the pods of this service; from everybody if absent.
    #[serde(default)]
    pub from: Option<String>,
    /// The namespace of both.
    #[serde(default = "default_namespace")]
    pub namespace: String,
}

/// The cluster's DNS does not answer.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DnsOutage {}

impl SlowNetwork {
    fn link(&self) -> Link {
        let latency = self.latency.or((self.loss.is_none() && self.jitter.is_none()).then_some(LATE));
        let time = |time: Option<Duration>| time.map_or(crate::time::SimDuration::ZERO, |time| time.0);
        Link { latency: time(latency), jitter: time(self.jitter), loss: self.loss.map_or(0, |share| share.0) }
    }
}

impl Form for SlowNetwork {
    fn kind(&self) -> &'static str {
        "slow-network"
    }
    fn nodes(&self) -> Option<NodeTarget> {
        Some(self.target())
    }
    fn effect(&self) -> Effect {
        Effect::Link(self.link())
    }
    fn describe(&self, who: &str) -> String {
        let Link { latency, jitter, loss } = self.link();
        let mut parts = Vec::new();
        if latency.0 > 0 {
            parts.push(format!("{latency} later each way"));
        }
        if jitter.0 > 0 {
            parts.push(format!("up to {jitter} later by chance"));
        }
        if loss > 0 {
            parts.push(format!("{} % lost", f64::from(loss) / 10_000.0));
        }
        format!("packets of {who}: {}", parts.join(", "))
    }
    fn check(&self, checks: &mut Checks<'_>) {
        for (field, time) in [("latency", self.latency), ("jitter", self.jitter)] {
            if time.is_some_and(|time| time.0.0 <= 0) {
                checks.add(field, "the time must be positive", format!("write {field}: 100ms"));
            }
        }
        if self.loss == Some(Share(1_000_000)) {
            let help = "write partition: {node: …, from: everything}";
            checks.add("loss", "a network that loses everything is cut", help);
        }
    }
}

impl Form for ServicePartition {
    fn kind(&self) -> &'static str {
        "service-partition"
    }
    fn at_large(&self) -> bool {
        true
    }
    fn describe(&self, _: &str) -> String {
        match &self.from {
            Some(from) => format!("services {} and {from} do not reach each other", self.service),
            None => format!("nobody reaches service {}", self.service),
        }
    }
    fn check(&self, checks: &mut Checks<'_>) {
        if self.from.as_ref() == Some(&self.service) {
            checks.add("from", "a service cannot be cut off from itself", "name another one, or leave it out");
        }
    }
    fn references(&self, services: &[(String, String)], checks: &mut Checks<'_>) {
        let here = services.iter().filter(|(namespace, _)| *namespace == self.namespace);
        let known: Vec<&str> = here.map(|(_, name)| name.as_str()).collect();
        for (field, name) in [("service", Some(&self.service)), ("from", self.from.as_ref())] {
            if let Some(name) = name.filter(|name| !known.contains(&name.as_str())) {
                checks.unknown(field, "service", name, &known);
            }
        }
    }
}

impl Form for DnsOutage {
    fn kind(&self) -> &'static str {
        "dns-outage"
    }
    fn at_large(&self) -> bool {
        true
    }
    fn effect(&self) -> Effect {
        Effect::NoNames
    }
    fn describe(&self, _: &str) -> String {
        "the cluster's DNS does not answer".to_string()
    }
    fn check(&self, _: &mut Checks<'_>) {}
}
