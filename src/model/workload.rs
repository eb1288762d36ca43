//! Deployments, replica sets and replication controllers.

use super::{Condition, Labels, Meta, Name, PodTemplate, Selector};
use serde_json::Value;
use std::sync::Arc;

/// An absolute number or a percentage (`intstr.IntOrString`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IntOrPercent {
    /// A number.
    Int(i32),
    /// A percentage.
    Percent(i32),
}

impl IntOrPercent {
    /// Of `total`, rounded up.
    pub fn up(self, total: i32) -> i32 {
        match self {
            IntOrPercent::Int(n) => n,
            IntOrPercent::Percent(p) => ((i64::from(p) * i64::from(total) + 99) / 100) as i32,
        }
    }

    /// Of `total`, rounded down.
    pub fn down(self, total: i32) -> i32 {
        match self {
            IntOrPercent::Int(n) => n,
            IntOrPercent::Percent(p) => (i64::from(p) * i64::from(total) / 100) as i32,
        }
    }
}

/// How a deployment replaces pods.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Strategy {
    /// All old ones first.
    Recreate,
    /// Step by step.
    RollingUpdate {
        /// How many more than wished.
        max_surge: IntOrPercent,
        /// How many fewer than wished.
        max_unavailable: IntOrPercent,
    },
}

/// A deployment.
#[derive(Clone, PartialEq, Debug)]
pub struct Deployment {
    /// Metadata.
    pub meta: Meta,
    /// Wished pods.
    pub replicas: i32,
    /// Which pods are its own.
    pub selector: Selector,
    /// What they look like.
    pub template: Arc<PodTemplate>,
    /// How they are replaced.
    pub strategy: Strategy,
    /// How long Ready before available.
    pub min_ready_seconds: i32,
    /// Old replica sets kept.
    pub revision_history_limit: i32,
    /// Seconds without progress that count as failure; `None` for never.
    pub progress_deadline_seconds: Option<i32>,
    /// Whether rollouts wait.
    pub paused: bool,
    /// What the controller reports.
    pub status: DeploymentStatus,
    /// How the original wrote its selector: `{selector}`.
    pub raw: Option<Arc<Value>>,
}

/// `status` of a deployment.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct DeploymentStatus {
    /// Generation last acted on.
    pub observed_generation: i64,
    /// Pods that exist.
    pub replicas: i32,
    /// Pods of the newest template.
    pub updated: i32,
    /// Ready pods.
    pub ready: i32,
    /// Available pods.
    pub available: i32,
    /// Wished but not available.
    pub unavailable: i32,
    /// Terminating pods, once known.
    pub terminating: Option<i32>,
    /// Hash collisions so far.
    pub collision_count: Option<i32>,
    /// Available, Progressing, ReplicaFailure.
    pub conditions: Vec<Condition>,
}

/// A replica set.
#[derive(Clone, PartialEq, Debug)]
pub struct ReplicaSet {
    /// Metadata.
    pub meta: Meta,
    /// Wished pods.
    pub replicas: i32,
    /// Which pods are its own.
    pub selector: Selector,
    /// What they look like.
    pub template: Arc<PodTemplate>,
    /// How long Ready before available.
    pub min_ready_seconds: i32,
    /// What the controller reports.
    pub status: ReplicaSetStatus,
    /// How the original wrote its selector: `{selector}`.
    pub raw: Option<Arc<Value>>,
}

/// `status` of a replica set.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ReplicaSetStatus {
    /// Generation last acted on.
    pub observed_generation: i64,
    /// Pods that exist.
    pub replicas: i32,
    /// Pods with every label of the template.
    pub fully_labeled: i32,
    /// Ready pods.
    pub ready: i32,
    /// Available pods.
    pub available: i32,
    /// Terminating pods, once known.
    pub terminating: Option<i32>,
    /// ReplicaFailure.
    pub conditions: Vec<Condition>,
}

/// A replication controller.
#[derive(Clone, PartialEq, Debug)]
pub struct ReplicationController {
    /// Metadata.
    pub meta: Meta,
    /// Wished pods.
    pub replicas: i32,
    /// Labels of the pods that are its own.
    pub selector: Labels,
    /// What they look like.
    pub template: Arc<PodTemplate>,
    /// How long Ready before available.
    pub min_ready_seconds: i32,
    /// What the controller reports: never terminating pods.
    pub status: ReplicaSetStatus,
}

/// Annotation and label keys that the deployment controller keeps (`pkg/controller/deployment/util/deployment_util.go`).
pub mod keys {
    use super::Name;
    /// The template hash label.
    pub const POD_TEMPLATE_HASH: Name = crate::name!("pod-template-hash");
    /// The revision annotation.
    pub const REVISION: Name = crate::name!("deployment.kubernetes.io/revision");
    /// Earlier revisions of a replica set that came back.
    pub const REVISION_HISTORY: Name = crate::name!("deployment.kubernetes.io/revision-history");
    /// The deployment's replicas when the replica set was last scaled.
    pub const DESIRED_REPLICAS: Name = crate::name!("deployment.kubernetes.io/desired-replicas");
    /// Replicas plus surge at that time.
    pub const MAX_REPLICAS: Name = crate::name!("deployment.kubernetes.io/max-replicas");
    /// The old rollback request.
    pub const ROLLBACK_TO: Name = crate::name!("deprecated.deployment.rollback.to");
    /// What `kubectl apply` keeps.
    pub const LAST_APPLIED: Name = crate::name!("kubectl.kubernetes.io/last-applied-configuration");
}
