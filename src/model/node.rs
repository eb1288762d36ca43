//! A node as the API server knows it, and the machine behind it as only the simulation knows it.

use super::fault::Hold;
use super::machine::{KubeletSetup, Troubles};
use super::{Condition, Meta, Name, Resources};
use crate::time::SimTime;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::net::Ipv4Addr;
use std::sync::Arc;

/// What a taint does to pods that do not tolerate it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Deserialize, JsonSchema)]
pub enum TaintEffect {
    /// No new pods.
    NoSchedule,
    /// New pods only if there is no other place.
    PreferNoSchedule,
    /// No new pods, and the running ones are evicted.
    NoExecute,
}

impl TaintEffect {
    /// All effects.
    pub const ALL: [TaintEffect; 3] = [TaintEffect::NoSchedule, TaintEffect::PreferNoSchedule, TaintEffect::NoExecute];

    /// As Kubernetes writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            TaintEffect::NoSchedule => "NoSchedule",
            TaintEffect::PreferNoSchedule => "PreferNoSchedule",
            TaintEffect::NoExecute => "NoExecute",
        }
    }

    /// Reads Kubernetes' form.
    pub fn parse(text: &str) -> Option<Self> {
        TaintEffect::ALL.into_iter().find(|effect| effect.as_str() == text)
    }
}

/// A taint.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Taint {
    /// Key.
    pub key: Name,
    /// Value; may be empty.
    pub value: Name,
    /// Effect.
    pub effect: TaintEffect,
    /// When a `NoExecute` taint was added.
    pub added: Option<SimTime>,
}

/// An image that a node has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeImage {
    /// Every name it goes by.
    pub names: Vec<Name>,
    /// Bytes.
    pub size: i64,
}

/// A node.
#[derive(Clone, PartialEq, Debug)]
pub struct Node {
    /// Metadata; labels carry zone, region, host name.
    pub meta: Meta,
    /// `spec.unschedulable`.
    pub unschedulable: bool,
    /// `spec.taints`.
    pub taints: Vec<Taint>,
    /// `spec.providerID`; may be empty.
    pub provider_id: Name,
    /// What the machine has.
    pub capacity: Resources,
    /// What pods may use.
    pub allocatable: Resources,
    /// Images present.
    pub images: Arc<Vec<NodeImage>>,
    /// Ready, MemoryPressure, DiskPressure, PIDPressure, …
    pub conditions: Vec<Condition>,
    /// `InternalIP`.
    pub address: Option<Ipv4Addr>,
    /// `status.volumesAttached`: what the attach and detach controller has attached, by unique name.
    pub volumes_attached: Vec<Name>,
    /// `status.volumesInUse`: what the kubelet has mounted or is about to.
    pub volumes_in_use: Vec<Name>,
    /// What a manifest says beyond the fields above, as `{spec, status}`.
    pub raw: Option<Arc<Value>>,
}

impl Node {
    /// The topology zone; empty without the label.
    pub fn zone(&self) -> Name {
        self.meta.labels.get("topology.kubernetes.io/zone").cloned().unwrap_or_default()
    }

    /// The Ready condition's status.
    pub fn ready(&self) -> super::Truth {
        super::condition::find(&self.conditions, "Ready").map_or(super::Truth::Unknown, |ready| ready.status)
    }

    /// Whether it is a control-plane node.
    pub fn is_control_plane(&self) -> bool {
        self.meta.labels.get("node-role.kubernetes.io/control-plane").is_some()
    }
}

/// The machine behind a node: the truth that no Kubernetes component can see. Faults change it, its
/// kubelet lives by it, and the node's heartbeats follow from it.
#[derive(Clone, PartialEq, Debug)]
pub struct Machine {
    /// Metadata; the name is the node's name.
    pub meta: Meta,
    /// The pool it belongs to; may be empty.
    pub pool: Name,
    /// The node object its kubelet registers.
    pub node: Arc<Node>,
    /// Power and network are there: the kubelet works and is heard.
    pub up: bool,
    /// When the kubelet last began to work and to be heard: its heartbeats count from here.
    pub up_since: SimTime,
    /// When it last stopped; meaningful while not `up`.
    pub down_since: SimTime,
    /// Counts boots: containers of an earlier boot are gone.
    pub boot: u32,
    /// How its kubelet is set up.
    pub setup: Arc<KubeletSetup>,
    /// What is wrong with it.
    pub troubles: Troubles,
    /// The faults that hold it down or cut it off; `up` while there are none.
    pub holds: Vec<Hold>,
    /// Price of an hour in millionths of the currency unit.
    pub price_per_hour_micros: i64,
}

impl Machine {
    /// Whether its containers run and can be reached, whether or not its kubelet is heard.
    pub fn serves(&self) -> bool {
        match self.holds.as_slice() {
            [] => self.up,
            holds => holds.iter().all(|hold| hold.runs),
        }
    }

    /// A fault holds it down from now on.
    pub fn hold(&mut self, hold: Hold, now: SimTime) {
        if self.up {
            self.down_since = now;
        }
        self.up = false;
        self.holds.retain(|have| have.incident != hold.incident);
        self.holds.push(hold);
    }

    /// A fault lets go of it: it is back if that was the last one.
    pub fn release(&mut self, incident: &Name, now: SimTime) {
        self.troubles.remove(incident);
        let Some(at) = self.holds.iter().position(|hold| hold.incident == *incident) else { return };
        let hold = self.holds.remove(at);
        self.boot += u32::from(hold.reboots);
        if self.holds.is_empty() {
            self.up = true;
            self.up_since = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::builder;

    #[test]
    fn a_machine_is_back_when_the_last_fault_lets_go() {
        let mut machine = Machine {
            meta: Meta::named("", "n"),
            pool: Name::new(),
            node: Arc::new(builder::node("n", 1, 1, 5)),
            up: true,
            up_since: SimTime::ZERO,
            down_since: SimTime::ZERO,
            boot: 0,
            setup: Default::default(),
            troubles: Default::default(),
            holds: Vec::new(),
            price_per_hour_micros: 0,
        };
        let hold = |incident: &str, runs: bool, reboots: bool| Hold { incident: Name::from(incident), runs, reboots };
        let at = SimTime::from_secs;
        // (what happens, when, then: up, runs, down since, up since, boots)
        machine.hold(hold("cut", true, false), at(10));
        assert_eq!(
            (machine.up, machine.serves(), machine.down_since),
            (false, true, at(10)),
            "a cut leaves it running"
        );
        machine.hold(hold("crash", false, true), at(20));
        assert_eq!((machine.up, machine.serves(), machine.down_since), (false, false, at(10)), "silent since the cut");
        machine.release(&crate::name!("cut"), at(30));
        assert_eq!((machine.up, machine.serves(), machine.boot), (false, false, 0), "the crash still holds it");
        machine.release(&crate::name!("crash"), at(40));
        assert_eq!((machine.up, machine.up_since, machine.boot), (true, at(40), 1), "the last one lets go");
        machine.release(&crate::name!("crash"), at(50));
        assert_eq!((machine.up_since, machine.boot), (at(40), 1), "nobody lets go twice");
    }
}
