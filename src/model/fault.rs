//! What goes wrong: whom it hits and what it does to them.
//!
//! A fault stands in the log as an [`super::core::Incident`] from its beginning to its end. Who is concerned reads it
//! there: the kubelet ends containers, services lose their way. Only machines carry what holds them down with them,
//! see [`Hold`].

use super::gate::Gate;
use super::machine::RegistryFault;
use super::{Key, Labels, Name, Selector};
use crate::time::SimDuration;
use std::sync::Arc;

/// What was done, to whom.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Fault {
    /// Its kind, as reports name it: `node-crash`.
    pub kind: &'static str,
    /// The machines that it hits.
    pub nodes: Vec<Name>,
    /// The pods that it hits.
    pub pods: Vec<Key>,
    /// What it does to them beyond what its kind says.
    pub effect: Effect,
}

/// What a fault does, as those who are concerned need to know it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Effect {
    /// What the kind says, and no more.
    #[default]
    Plain,
    /// Containers of the pods end with this exit code.
    End {
        /// Which container; all of them if absent.
        container: Option<Name>,
        /// The exit code.
        exit_code: i32,
    },
    /// Containers of the pods answer nothing and do not end.
    Hang {
        /// Which container; all of them if absent.
        container: Option<Name>,
    },
    /// Containers of the pods use more and more memory.
    Leak {
        /// Which container; all of them if absent.
        container: Option<Name>,
        /// So many bytes
        by: i64,
        /// in this time,
        each: SimDuration,
        /// up to this.
        most: i64,
    },
    /// Containers that start take longer until they serve.
    SlowStart {
        /// Those of these pods; of all if absent.
        selector: Option<Selector>,
        /// In this namespace; in all if absent.
        namespace: Option<Name>,
        /// So much longer.
        extra: SimDuration,
    },
    /// The registry has lost the images of this pattern.
    BadImage {
        /// `*` stands for any text.
        pattern: Name,
    },
    /// Something is wrong with the registry.
    Registry(RegistryFault),
    /// The network between the machines and this side is cut.
    Partition(Side),
    /// The machines are rebooted one after the other, with a drain before.
    Maintenance(Maintenance),
    /// The machines are taken back by the provider.
    Reclaim(Reclaim),
    /// Processes of the control plane end, on the machines or, where there are none, everywhere.
    Process {
        /// Which: `kube-scheduler`.
        component: Name,
        /// Killed, rather than asked to stop.
        kill: bool,
    },
    /// Packets from and to the machines are late or lost.
    Link(Link),
    /// Pods do not reach each other.
    Cut(Cut),
    /// The cluster's names are not resolved.
    NoNames,
    /// Requests to the API server, or of some who ask, are held up or turned away.
    Hindrance(Arc<Gate>),
    /// The provider's interface does not answer: those who ask it are held up, and machines neither come nor go.
    Cloud {
        /// Who asks it by requests that stand for theirs.
        gate: Option<Arc<Gate>>,
        /// Whether machines are concerned.
        machines: bool,
    },
    /// Something the scripted user did: `kubectl apply`, `kubectl scale`, …
    UserAction {
        /// The object it concerned, where there is one.
        target: Option<Key>,
    },
}

/// What is wrong with the network of machines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Link {
    /// So much later, each way.
    pub latency: SimDuration,
    /// Up to so much later still, by chance.
    pub jitter: SimDuration,
    /// So many packets of a million are lost.
    pub loss: u32,
}

/// Pods that do not reach each other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cut {
    /// The namespace of all of them.
    pub namespace: Name,
    /// The labels of those that are cut off.
    pub pods: Labels,
    /// From those with these labels; from everybody if absent.
    pub from: Option<Labels>,
}

/// How planned maintenance is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Maintenance {
    /// How long a machine is down.
    pub reboot_time: SimDuration,
    /// After which a drain is given up.
    pub drain_timeout: Option<SimDuration>,
    /// From one node to the next.
    pub pause: SimDuration,
    /// How many at a time.
    pub at_once: u32,
}

/// How a machine is taken back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reclaim {
    /// How long before it is known.
    pub notice: SimDuration,
    /// Whether someone acts on the notice.
    pub drain: bool,
    /// When another comes, counted from its end.
    pub replacement_after: Option<SimDuration>,
}

/// The other side of a partition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Side {
    /// The API servers.
    ControlPlane,
    /// Everything else.
    Everything,
    /// The machines of a zone.
    Zone(Name),
}

impl Fault {
    /// Something a user did.
    pub fn user_action(target: Option<Key>) -> Fault {
        Fault { kind: "user-action", effect: Effect::UserAction { target }, ..Fault::default() }
    }

    /// Something that goes wrong, rather than an action of the user.
    pub fn is_fault(&self) -> bool {
        !matches!(self.effect, Effect::UserAction { .. })
    }
}

/// What holds a machine down, or cuts it off: one entry for each fault that is in force. It is back when the last one
/// has let go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hold {
    /// The incident.
    pub incident: Name,
    /// Its containers run on, and what they serve is reachable: only the kubelet is silent.
    pub runs: bool,
    /// Containers start anew when it lets go.
    pub reboots: bool,
}
