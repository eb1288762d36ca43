//! Stateful sets, daemon sets, and the revisions of their templates.

use super::workload::IntOrPercent;
use super::{Condition, Meta, Name, PersistentVolumeClaim, PodTemplate, Selector};
use serde_json::Value;
use std::sync::Arc;

/// Labels and annotations that the controllers of these kinds keep (`staging/src/k8s.io/api/apps/v1/types.go`).
pub mod keys {
    use super::Name;
    /// The revision that a pod was made from: by name for stateful sets, by hash for daemon sets.
    pub const REVISION_HASH: Name = crate::name!("controller-revision-hash");
    /// The hash of a revision's content.
    pub const HISTORY_HASH: Name = crate::name!("controller.kubernetes.io/hash");
    /// The name of a stateful set's pod.
    pub const POD_NAME: Name = crate::name!("statefulset.kubernetes.io/pod-name");
    /// The ordinal of a stateful set's pod.
    pub const POD_INDEX: Name = crate::name!("apps.kubernetes.io/pod-index");
    /// How often a daemon set's template changed: a label of its pods.
    pub const TEMPLATE_GENERATION: Name = crate::name!("pod-template-generation");
    /// The same, as an annotation of the daemon set (`pkg/apis/apps/v1/conversion.go`).
    pub const DAEMON_SET_GENERATION: Name = crate::name!("deprecated.daemonset.template.generation");
}

/// `spec.updateStrategy` of a stateful set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StatefulSetUpdate {
    /// Pods are replaced when somebody deletes them.
    OnDelete,
    /// From the highest ordinal down; without the field `rollingUpdate` there is no partition.
    RollingUpdate(Option<StatefulSetPartition>),
}

/// `spec.updateStrategy.rollingUpdate` of a stateful set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StatefulSetPartition {
    /// Pods below this place keep the current revision.
    pub partition: i32,
    /// How many may be away at a time; heeded only behind the feature gate `MaxUnavailableStatefulSet`.
    pub max_unavailable: Option<IntOrPercent>,
}

/// `spec.persistentVolumeClaimRetentionPolicy`: whether claims are deleted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ClaimRetention {
    /// With the set (`whenDeleted: Delete`).
    pub delete_when_deleted: bool,
    /// With the pod that a smaller set gives up (`whenScaled: Delete`).
    pub delete_when_scaled: bool,
}

/// A stateful set.
#[derive(Clone, PartialEq, Debug)]
pub struct StatefulSet {
    /// Metadata.
    pub meta: Meta,
    /// Wished pods.
    pub replicas: i32,
    /// Which pods are its own.
    pub selector: Selector,
    /// What they look like.
    pub template: Arc<PodTemplate>,
    /// Claims that each pod gets for itself.
    pub claim_templates: Vec<Arc<PersistentVolumeClaim>>,
    /// The service that gives the pods their names; may be empty.
    pub service_name: Name,
    /// `podManagementPolicy: Parallel` rather than `OrderedReady`.
    pub parallel: bool,
    /// How pods are replaced.
    pub update: StatefulSetUpdate,
    /// Old revisions kept.
    pub revision_history_limit: i32,
    /// How long Ready before available.
    pub min_ready_seconds: i32,
    /// What becomes of claims; absent only in objects of before.
    pub retention: Option<ClaimRetention>,
    /// `spec.ordinals.start`.
    pub start: Option<i32>,
    /// What the controller reports.
    pub status: StatefulSetStatus,
    /// How the original wrote its selector: `{selector}`.
    pub raw: Option<Arc<Value>>,
}

/// `status` of a stateful set.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct StatefulSetStatus {
    /// Generation last acted on.
    pub observed_generation: i64,
    /// Pods that exist.
    pub replicas: i32,
    /// Ready pods.
    pub ready: i32,
    /// Available pods.
    pub available: i32,
    /// Pods of the current revision.
    pub current: i32,
    /// Pods of the update revision.
    pub updated: i32,
    /// The revision that pods below the partition have.
    pub current_revision: Name,
    /// The revision of the template.
    pub update_revision: Name,
    /// Hash collisions so far.
    pub collision_count: Option<i32>,
    /// No controller of Kubernetes writes any.
    pub conditions: Vec<Condition>,
}

impl StatefulSet {
    /// The lowest ordinal.
    pub fn first_ordinal(&self) -> i32 {
        self.start.unwrap_or(0)
    }
}

/// `spec.updateStrategy` of a daemon set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DaemonSetUpdate {
    /// Pods are replaced when somebody deletes them.
    OnDelete,
    /// Node by node.
    RollingUpdate {
        /// Nodes that may be without an available pod.
        max_unavailable: IntOrPercent,
        /// Nodes that may have two.
        max_surge: IntOrPercent,
    },
}

/// A daemon set.
#[derive(Clone, PartialEq, Debug)]
pub struct DaemonSet {
    /// Metadata.
    pub meta: Meta,
    /// Which pods are its own.
    pub selector: Selector,
    /// What they look like.
    pub template: Arc<PodTemplate>,
    /// How pods are replaced.
    pub update: DaemonSetUpdate,
    /// Old revisions kept.
    pub revision_history_limit: i32,
    /// How long Ready before available.
    pub min_ready_seconds: i32,
    /// What the controller reports.
    pub status: DaemonSetStatus,
    /// How the original wrote its selector: `{selector}`.
    pub raw: Option<Arc<Value>>,
}

/// `status` of a daemon set. Its numbers count nodes.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct DaemonSetStatus {
    /// Generation last acted on.
    pub observed_generation: i64,
    /// That should have a pod.
    pub desired: i32,
    /// That should and do.
    pub current: i32,
    /// That should not and do.
    pub misscheduled: i32,
    /// With a ready pod.
    pub ready: i32,
    /// With a pod of the newest template.
    pub updated: i32,
    /// With an available pod.
    pub available: i32,
    /// That should have an available pod and do not.
    pub unavailable: i32,
    /// Hash collisions so far.
    pub collision_count: Option<i32>,
    /// No controller of Kubernetes writes any.
    pub conditions: Vec<Condition>,
}

/// What a revision keeps.
#[derive(Clone, PartialEq, Debug)]
pub enum RevisionData {
    /// `{"spec": {"template": …}}`: all that stateful sets and daemon sets keep.
    Template(Arc<PodTemplate>),
    /// Anything else that somebody wrote.
    Other(Arc<Value>),
}

/// A past template of a stateful set or daemon set.
#[derive(Clone, PartialEq, Debug)]
pub struct ControllerRevision {
    /// Metadata.
    pub meta: Meta,
    /// Its number; the highest is the newest.
    pub revision: i64,
    /// What it keeps.
    pub data: RevisionData,
}
