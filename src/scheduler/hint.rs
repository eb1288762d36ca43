//! What happened in the cluster, as far as it may let a waiting pod in
//! (`staging/src/k8s.io/kube-scheduler/framework/types.go`, `pkg/scheduler/framework/events.go`).

use crate::model::{Node, Object, Pod, Resources};
use std::sync::Arc;

/// Whether to try a pod again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hint {
    /// Try it again.
    Queue,
    /// Nothing changed for it.
    Skip,
}

impl From<bool> for Hint {
    fn from(helps: bool) -> Self {
        if helps { Hint::Queue } else { Hint::Skip }
    }
}

/// A change that may help. Updates say what changed in them.
#[derive(Clone, Debug)]
pub enum Occasion<'a> {
    /// A node appeared.
    NodeAdd(&'a Arc<Node>),
    /// A node changed in one of the ways that matter.
    NodeUpdate {
        /// Before.
        old: &'a Arc<Node>,
        /// After.
        new: &'a Arc<Node>,
        /// What changed.
        what: NodeChange,
    },
    /// A node went.
    NodeDelete(&'a Arc<Node>),
    /// A pod appeared, assigned or not; told only where a plugin follows all pods.
    PodSeen(&'a Arc<Pod>),
    /// An assigned pod appeared.
    PodAdd(&'a Arc<Pod>),
    /// An assigned pod, or the waiting pod itself, changed.
    PodUpdate {
        /// Before.
        old: &'a Arc<Pod>,
        /// After.
        new: &'a Arc<Pod>,
        /// What changed.
        what: PodChange,
    },
    /// A pod went (or ended).
    PodDelete(&'a Arc<Pod>),
    /// A volume, a claim, a storage class or the drivers of a node changed.
    Storage {
        /// Before; `None` if it is new.
        old: Option<&'a Object>,
        /// After; `None` if it went.
        new: Option<&'a Object>,
    },
    /// A service, replica set or namespace changed.
    Other(crate::model::Kind),
    /// Anything: a flush.
    Wildcard,
}

/// An [`Occasion`] to keep.
#[derive(Clone, Debug)]
pub enum Kept {
    /// A node appeared.
    NodeAdd(Arc<Node>),
    /// A node changed.
    NodeUpdate(Arc<Node>, Arc<Node>, NodeChange),
    /// A node went.
    NodeDelete(Arc<Node>),
    /// A pod appeared.
    PodSeen(Arc<Pod>),
    /// An assigned pod appeared.
    PodAdd(Arc<Pod>),
    /// A pod changed.
    PodUpdate(Arc<Pod>, Arc<Pod>, PodChange),
    /// A pod went.
    PodDelete(Arc<Pod>),
    /// Something about volumes.
    Storage(Option<Object>, Option<Object>),
    /// A service, replica set or namespace changed.
    Other(crate::model::Kind),
    /// Anything.
    Wildcard,
}

impl Occasion<'_> {
    /// The same, to keep.
    pub fn keep(&self) -> Kept {
        match self {
            Occasion::NodeAdd(node) => Kept::NodeAdd(Arc::clone(node)),
            Occasion::NodeUpdate { old, new, what } => Kept::NodeUpdate(Arc::clone(old), Arc::clone(new), *what),
            Occasion::NodeDelete(node) => Kept::NodeDelete(Arc::clone(node)),
            Occasion::PodSeen(pod) => Kept::PodSeen(Arc::clone(pod)),
            Occasion::PodAdd(pod) => Kept::PodAdd(Arc::clone(pod)),
            Occasion::PodUpdate { old, new, what } => Kept::PodUpdate(Arc::clone(old), Arc::clone(new), *what),
            Occasion::PodDelete(pod) => Kept::PodDelete(Arc::clone(pod)),
            Occasion::Storage { old, new } => Kept::Storage(old.cloned(), new.cloned()),
            Occasion::Other(kind) => Kept::Other(*kind),
            Occasion::Wildcard => Kept::Wildcard,
        }
    }
}

impl Kept {
    /// The same, to ask about.
    pub fn occasion(&self) -> Occasion<'_> {
        match self {
            Kept::NodeAdd(node) => Occasion::NodeAdd(node),
            Kept::NodeUpdate(old, new, what) => Occasion::NodeUpdate { old, new, what: *what },
            Kept::NodeDelete(node) => Occasion::NodeDelete(node),
            Kept::PodSeen(pod) => Occasion::PodSeen(pod),
            Kept::PodAdd(pod) => Occasion::PodAdd(pod),
            Kept::PodUpdate(old, new, what) => Occasion::PodUpdate { old, new, what: *what },
            Kept::PodDelete(pod) => Occasion::PodDelete(pod),
            Kept::Storage(old, new) => Occasion::Storage { old: old.as_ref(), new: new.as_ref() },
            Kept::Other(kind) => Occasion::Other(*kind),
            Kept::Wildcard => Occasion::Wildcard,
        }
    }
}

/// What changed in a node; several at once are possible.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NodeChange {
    /// Allocatable.
    pub allocatable: bool,
    /// Labels.
    pub labels: bool,
    /// Taints, or schedulable again.
    pub taints: bool,
    /// Conditions (type and status).
    pub conditions: bool,
    /// Annotations.
    pub annotations: bool,
}

impl NodeChange {
    /// What differs between two versions (`pkg/scheduler/framework/events.go`, `NodeSchedulingPropertiesChange`).
    pub fn between(old: &Node, new: &Node) -> Self {
        let statuses = |node: &Node| node.conditions.iter().map(|c| (c.kind.clone(), c.status)).collect::<Vec<_>>();
        NodeChange {
            allocatable: old.allocatable != new.allocatable,
            labels: old.meta.labels != new.meta.labels,
            taints: old.taints != new.taints || (old.unschedulable && !new.unschedulable),
            conditions: old.conditions != new.conditions && statuses(old) != statuses(new),
            annotations: old.meta.annotations != new.meta.annotations,
        }
    }

    /// Whether anything changed.
    pub fn any(self) -> bool {
        self != NodeChange::default()
    }
}

/// What changed in a pod.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PodChange {
    /// Labels.
    pub labels: bool,
    /// A request went down.
    pub scale_down: bool,
    /// Tolerations.
    pub tolerations: bool,
    /// The last scheduling gate went.
    pub gates_gone: bool,
}

impl PodChange {
    /// What differs between two versions (`pkg/scheduler/framework/events.go`, `PodSchedulingPropertiesChange`).
    pub fn between(old: &Pod, new: &Pod) -> Self {
        let same_spec = Arc::ptr_eq(&old.spec, &new.spec);
        PodChange {
            labels: old.meta.labels != new.meta.labels,
            scale_down: !same_spec && shrinks(old.requests(), new.requests()),
            tolerations: !same_spec && old.spec.tolerations != new.spec.tolerations,
            gates_gone: !old.spec.scheduling_gates.is_empty() && new.spec.scheduling_gates.is_empty(),
        }
    }

    /// Whether anything changed.
    pub fn any(self) -> bool {
        self != PodChange::default()
    }
}

fn shrinks(old: &Resources, new: &Resources) -> bool {
    new.milli_cpu < old.milli_cpu
        || new.memory < old.memory
        || new.ephemeral_storage < old.ephemeral_storage
        || old.scalar.iter().any(|(name, amount)| new.get(name) < *amount)
}
