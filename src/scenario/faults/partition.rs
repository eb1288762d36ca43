//! The network between some machines and the rest is cut; the machines run on.
//!
//! Cut off from the control plane (the default), a kubelet is not heard: its lease goes stale, the node turns Unknown and
//! its pods are evicted in the API, while their containers run on and serve until the network is back. Two zones cut from
//! each other keep their kubelets; what crosses the cut is for the network to refuse.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer};

use super::target::{NodeTarget, on_nodes};
use super::{Checks, Form, Holding};
use crate::model::fault::Side;
use crate::model::{Effect, Name};

on_nodes! {
    /// The network between these machines and another part of the cluster is cut.
    pub struct Partition {
        /// From what they are cut off: `controlPlane`, `everything`, or a zone. Default `controlPlane`.
        pub from: OtherSide,
    }
}

/// The other side of a partition.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum OtherSide {
    /// The API servers.
    #[default]
    ControlPlane,
    /// Everything that is not of this side.
    Everything,
    /// The machines of a zone.
    Zone(String),
}

impl<'de> Deserialize<'de> for OtherSide {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match String::deserialize(deserializer)?.as_str() {
            "controlPlane" => OtherSide::ControlPlane,
            "everything" => OtherSide::Everything,
            zone => OtherSide::Zone(zone.to_string()),
        })
    }
}

impl JsonSchema for OtherSide {
    fn schema_name() -> Cow<'static, str> {
        "PartitionFrom".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The other side: controlPlane, everything, or the name of a zone.",
            "type": "string",
            "examples": ["controlPlane", "everything", "zone-b"],
        })
    }
}

impl Form for Partition {
    fn kind(&self) -> &'static str {
        "partition"
    }
    fn nodes(&self) -> Option<NodeTarget> {
        Some(self.target())
    }
    fn holds(&self) -> Option<Holding> {
        match self.from {
            OtherSide::ControlPlane => Some(Holding { runs: true, reboots: false }),
            // Nobody outside reaches what they serve.
            OtherSide::Everything => Some(Holding { runs: false, reboots: false }),
            OtherSide::Zone(_) => None,
        }
    }
    fn effect(&self) -> Effect {
        Effect::Partition(match &self.from {
            OtherSide::ControlPlane => Side::ControlPlane,
            OtherSide::Everything => Side::Everything,
            OtherSide::Zone(zone) => Side::Zone(Name::from(zone.as_str())),
        })
    }
    fn describe(&self, who: &str) -> String {
        let (count, list) = who.split_once(": ").map_or((who, String::new()), |(n, list)| (n, format!(": {list}")));
        let verb = if list.is_empty() { "is" } else { "are" };
        match &self.from {
            OtherSide::ControlPlane => format!("{count} {verb} cut off from the control plane{list}"),
            OtherSide::Everything => format!("{count} {verb} cut off from everything{list}"),
            OtherSide::Zone(zone) => format!("{count} {verb} cut off from {zone}{list}"),
        }
    }
    fn check(&self, checks: &mut Checks<'_>) {
        if let OtherSide::Zone(zone) = &self.from {
            let known = checks.scenario.cluster.zones();
            if !known.contains(&zone.as_str()) {
                let known: Vec<&str> = ["controlPlane", "everything"].into_iter().chain(known).collect();
                checks.unknown("from", "side", zone, &known);
            }
        }
    }
}
