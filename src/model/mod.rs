//! The nouns of Kubernetes as compact plain data. Nothing here reads JSON or YAML, or a clock.
//!
//! Objects are shared by [`std::sync::Arc`] and never changed in place: a write makes a new version.
//! What a manifest says beyond what the simulation uses is kept beside (`raw`), so the full object can
//! be given back.

pub mod access;
pub mod autoscaling;
pub mod batch;
pub mod builder;
pub mod condition;
pub mod core;
pub mod cpu;
pub mod curve;
pub mod custom;
pub mod fault;
pub mod field_selector;
pub mod gate;
pub mod hash;
pub mod ingress;
pub mod kind;
pub mod label_keys;
pub mod label_syntax;
pub mod labels;
pub mod machine;
pub mod managed;
pub mod meta;
pub mod network_policy;
pub mod node;
pub mod object;
pub mod plain;
pub mod pod;
pub mod pod_spec;
pub mod policy;
pub mod provision;
pub mod proxy;
pub mod quantity;
pub mod quota;
pub mod rbac;
pub mod resources;
pub mod schedule;
pub mod selector;
pub mod selector_parse;
pub mod service;
pub mod sets;
pub mod spec_edit;
pub mod storage;
pub mod vertical;
pub mod vertical_bounds;
pub mod workload;

/// A name, label, reason or message: shared text, one word wide.
pub type Name = arcstr::ArcStr;

/// A literal [`Name`] that costs nothing to make.
#[macro_export]
macro_rules! name {
    ($text:literal) => {
        ::arcstr::literal!($text)
    };
}

pub use batch::{CronJob, Job};
pub use condition::{Condition, Truth};
pub use custom::{CustomResource, CustomResourceDefinition};
pub use fault::{Effect, Fault};
pub use kind::{Key, Kind, KindSet};
pub use labels::Labels;
pub use managed::{FieldSet, ManagedEntry};
pub use meta::{Deletion, Meta, OwnerReference, Uid};
pub use node::{Machine, Node, Taint, TaintEffect};
pub use object::{Object, Resource};
pub use pod::{ContainerState, ContainerStatus, Phase, Pod, PodStatus, Terminated};
pub use pod_spec::{Container, PodSpec, PodTemplate, Probe, PullPolicy, RestartPolicy, Toleration};
pub use policy::PodDisruptionBudget;
pub use resources::Resources;
pub use selector::{NodeSelector, Selector};
pub use sets::{ControllerRevision, DaemonSet, StatefulSet};
pub use storage::{CSIDriver, CSINode, PersistentVolume, PersistentVolumeClaim, StorageClass, VolumeAttachment};
pub use workload::{Deployment, ReplicaSet, ReplicationController};
