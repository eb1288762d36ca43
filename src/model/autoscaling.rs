//! Horizontal pod autoscalers.

use super::{Condition, Meta, Name};
use crate::time::{SimDuration, SimTime};
use serde_json::Value;
use std::sync::Arc;

/// A horizontal pod autoscaler (`staging/src/k8s.io/api/autoscaling/v2/types.go`).
#[derive(Clone, PartialEq, Debug)]
pub struct HorizontalPodAutoscaler {
    /// Metadata.
    pub meta: Meta,
    /// `apiVersion` of what it scales.
    pub target_version: Name,
    /// Kind of what it scales.
    pub target_kind: Name,
    /// Name of what it scales.
    pub target_name: Name,
    /// Replicas at least; `None` for the default, 1.
    pub min_replicas: Option<i32>,
    /// Replicas at most.
    pub max_replicas: i32,
    /// What it looks at.
    pub metrics: Vec<MetricSpec>,
    /// How fast it acts; `None` for the rules that there were before this field.
    pub behavior: Option<ScalingBehavior>,
    /// What the controller reports.
    pub status: AutoscalerStatus,
    /// `spec` as written.
    pub raw: Arc<Value>,
}

impl HorizontalPodAutoscaler {
    /// Replicas at least.
    pub fn least(&self) -> i32 {
        self.min_replicas.unwrap_or(1)
    }
}

/// One metric and what it should be.
#[derive(Clone, PartialEq, Debug)]
pub struct MetricSpec {
    /// Where it comes from.
    pub source: MetricSource,
    /// What it should be.
    pub target: MetricTarget,
}

/// Where a metric comes from.
#[derive(Clone, PartialEq, Debug)]
pub enum MetricSource {
    /// `cpu` or `memory` of the pods.
    Resource(Name),
    /// The same of one container of each pod: resource, container.
    ContainerResource(Name, Name),
    /// A metric that each pod has.
    Pods(Name),
    /// A metric of one object: metric, kind and name of the object, and the metric's selector as Go prints it.
    Object(Name, Name, Name, Name),
    /// A metric of something outside: metric, and its selector as Go prints it.
    External(Name, Name),
}

/// What a metric should be. Amounts are in thousandths.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MetricTarget {
    /// Percent of the request.
    Utilization(i32),
    /// On average over the pods.
    AverageValue(i64),
    /// In all.
    Value(i64),
}

/// `spec.behavior`, with its defaults filled in.
#[derive(Clone, PartialEq, Debug)]
pub struct ScalingBehavior {
    /// Upwards.
    pub up: ScalingRules,
    /// Downwards.
    pub down: ScalingRules,
}

/// How fast one direction goes.
#[derive(Clone, PartialEq, Debug)]
pub struct ScalingRules {
    /// How long recommendations are remembered; `None` for the controller's own window.
    pub window: Option<SimDuration>,
    /// Which policy counts.
    pub select: PolicySelect,
    /// Limits of the rate.
    pub policies: Vec<ScalingPolicy>,
    /// How far off the target nothing is done, in millionths; `None` for the controller's own tolerance.
    pub tolerance: Option<i64>,
}

/// Which of several policies counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum PolicySelect {
    /// The one that allows the largest change.
    #[default]
    Max,
    /// The one that allows the smallest change.
    Min,
    /// No change in this direction.
    Disabled,
}

/// One limit of the rate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ScalingPolicy {
    /// `Percent` rather than `Pods`.
    pub percent: bool,
    /// How many, or what share.
    pub value: i32,
    /// In this time.
    pub period: SimDuration,
}

/// `status` of an autoscaler.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct AutoscalerStatus {
    /// Generation last acted on.
    pub observed_generation: Option<i64>,
    /// When it last changed the number of replicas.
    pub last_scale: Option<SimTime>,
    /// Replicas it found.
    pub current: i32,
    /// Replicas it wants.
    pub desired: i32,
    /// What each metric was, in the order of the spec; `None` where it could not be had.
    pub metrics: Vec<Option<MetricValue>>,
    /// AbleToScale, ScalingActive, ScalingLimited.
    pub conditions: Vec<Condition>,
}

/// What a metric was.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MetricValue {
    /// Percent of the request, where the target is one.
    pub utilization: Option<i32>,
    /// The value in thousandths: on average or in all, like the target.
    pub value: i64,
}
