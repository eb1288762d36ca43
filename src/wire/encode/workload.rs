//! Deployments, replica sets, replication controllers and pod templates.

use super::meta::{labels, list, meta, selector, text, texts, time};
use super::{from_raw, nonzero};
use crate::model::workload::{IntOrPercent, Strategy};
use crate::model::{Deployment, PodTemplate, ReplicaSet, ReplicationController, Selector};
use crate::wire::decode::label_selector;
use k8s_openapi::api::apps::v1 as apps;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::Value;
use std::sync::Arc;

pub(super) fn deployment(from: &Deployment) -> apps::Deployment {
    let spec = apps::DeploymentSpec {
        replicas: Some(from.replicas),
        selector: written_selector(&from.raw, &from.selector),
        template: template(&from.template),
        strategy: Some(strategy(from.strategy)),
        min_ready_seconds: nonzero(from.min_ready_seconds),
        revision_history_limit: Some(from.revision_history_limit),
        progress_deadline_seconds: Some(from.progress_deadline_seconds.unwrap_or(i32::MAX)),
        paused: nonzero(from.paused),
    };
    let status = &from.status;
    let status = apps::DeploymentStatus {
        observed_generation: nonzero(status.observed_generation),
        replicas: nonzero(status.replicas),
        updated_replicas: nonzero(status.updated),
        ready_replicas: nonzero(status.ready),
        available_replicas: nonzero(status.available),
        unavailable_replicas: nonzero(status.unavailable),
        terminating_replicas: status.terminating,
        collision_count: status.collision_count,
        conditions: list(&status.conditions, |c| apps::DeploymentCondition {
            type_: c.kind.to_string(),
            status: c.status.as_str().to_string(),
            reason: text(&c.reason),
            message: text(&c.message),
            last_transition_time: Some(time(c.last_transition)),
            last_update_time: Some(time(c.last_update)),
        }),
    };
    apps::Deployment { metadata: meta(&from.meta), spec: Some(spec), status: Some(status) }
}

pub(super) fn replica_set(from: &ReplicaSet) -> apps::ReplicaSet {
    let spec = apps::ReplicaSetSpec {
        replicas: Some(from.replicas),
        selector: written_selector(&from.raw, &from.selector),
        template: Some(template(&from.template)),
        min_ready_seconds: nonzero(from.min_ready_seconds),
    };
    let status = &from.status;
    let status = apps::ReplicaSetStatus {
        observed_generation: nonzero(status.observed_generation),
        replicas: status.replicas,
        fully_labeled_replicas: nonzero(status.fully_labeled),
        ready_replicas: nonzero(status.ready),
        available_replicas: nonzero(status.available),
        terminating_replicas: status.terminating,
        conditions: list(&status.conditions, |c| apps::ReplicaSetCondition {
            type_: c.kind.to_string(),
            status: c.status.as_str().to_string(),
            reason: text(&c.reason),
            message: text(&c.message),
            last_transition_time: Some(time(c.last_transition)),
        }),
    };
    apps::ReplicaSet { metadata: meta(&from.meta), spec: Some(spec), status: Some(status) }
}

pub(super) fn replication_controller(from: &ReplicationController) -> core::ReplicationController {
    let spec = core::ReplicationControllerSpec {
        replicas: Some(from.replicas),
        selector: labels(&from.selector),
        template: Some(template(&from.template)),
        min_ready_seconds: nonzero(from.min_ready_seconds),
    };
    let status = &from.status;
    let status = core::ReplicationControllerStatus {
        observed_generation: nonzero(status.observed_generation),
        replicas: status.replicas,
        fully_labeled_replicas: nonzero(status.fully_labeled),
        ready_replicas: nonzero(status.ready),
        available_replicas: nonzero(status.available),
        conditions: list(&status.conditions, |c| core::ReplicationControllerCondition {
            type_: c.kind.to_string(),
            status: c.status.as_str().to_string(),
            reason: text(&c.reason),
            message: text(&c.message),
            last_transition_time: Some(time(c.last_transition)),
        }),
    };
    core::ReplicationController { metadata: meta(&from.meta), spec: Some(spec), status: Some(status) }
}

pub(super) fn template(from: &PodTemplate) -> core::PodTemplateSpec {
    let metadata = ObjectMeta {
        labels: labels(&from.labels),
        annotations: labels(&from.annotations),
        finalizers: texts(&from.finalizers),
        ..ObjectMeta::default()
    };
    core::PodTemplateSpec { metadata: Some(metadata), spec: Some(from_raw(Some(&from.spec.raw))) }
}

/// The selector as it was written, as long as that still says the same.
pub(super) fn written_selector(raw: &Option<Arc<Value>>, current: &Selector) -> LabelSelector {
    let written: Option<LabelSelector> =
        raw.as_ref().and_then(|raw| raw.get("selector")).map(|text| from_raw(Some(text)));
    match label_selector(written.as_ref()) {
        Ok(Some(says)) if says == *current => written.unwrap_or_default(),
        _ => selector(current),
    }
}

fn strategy(from: Strategy) -> apps::DeploymentStrategy {
    match from {
        Strategy::Recreate => apps::DeploymentStrategy { type_: Some("Recreate".to_string()), rolling_update: None },
        Strategy::RollingUpdate { max_surge, max_unavailable } => apps::DeploymentStrategy {
            type_: Some("RollingUpdate".to_string()),
            rolling_update: Some(apps::RollingUpdateDeployment {
                max_surge: Some(int_or_percent(max_surge)),
                max_unavailable: Some(int_or_percent(max_unavailable)),
            }),
        },
    }
}

pub(super) fn int_or_percent(from: IntOrPercent) -> IntOrString {
    match from {
        IntOrPercent::Int(number) => IntOrString::Int(number),
        IntOrPercent::Percent(percent) => IntOrString::String(format!("{percent}%")),
    }
}
