//! Deployments, replica sets, replication controllers and pod templates (`pkg/apis/apps/v1/defaults.go`).

use super::container::unsupported;
use super::meta::{condition, conditions, labels, names, namespaced, spec_of};
use super::{Decoded, FieldError, Within, defaults, label_selector, pod_spec};
use crate::model::workload::{DeploymentStatus, IntOrPercent, ReplicaSetStatus, Strategy};
use crate::model::{Deployment, PodTemplate, ReplicaSet, ReplicationController, Selector};
use k8s_openapi::api::apps::v1 as apps;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) fn deployment(from: apps::Deployment) -> Decoded<Deployment> {
    let meta = namespaced(&from.metadata)?;
    let mut spec = spec_of(from.spec)?;
    spec.replicas.get_or_insert(1);
    spec.revision_history_limit.get_or_insert(10);
    spec.progress_deadline_seconds.get_or_insert(600);
    let strategy = strategy(spec.strategy.get_or_insert_default()).within("spec.strategy")?;
    let status = deployment_status(&from.status.unwrap_or_default());
    Ok(Deployment {
        meta,
        replicas: spec.replicas.unwrap_or(1),
        selector: selector(&spec.selector).within("spec.selector")?,
        raw: Some(selector_text(&spec.selector)?),
        template: Arc::new(template(spec.template).within("spec.template")?),
        strategy,
        min_ready_seconds: spec.min_ready_seconds.unwrap_or(0),
        revision_history_limit: spec.revision_history_limit.unwrap_or(10),
        // The largest number means that there is no deadline (`deployment_util.go`, `HasProgressDeadline`).
        progress_deadline_seconds: spec.progress_deadline_seconds.filter(|seconds| *seconds != i32::MAX),
        paused: spec.paused.unwrap_or(false),
        status,
    })
}

pub(super) fn replica_set(from: apps::ReplicaSet) -> Decoded<ReplicaSet> {
    let meta = namespaced(&from.metadata)?;
    let mut spec = spec_of(from.spec)?;
    spec.replicas.get_or_insert(1);
    Ok(ReplicaSet {
        meta,
        replicas: spec.replicas.unwrap_or(1),
        selector: selector(&spec.selector).within("spec.selector")?,
        raw: Some(selector_text(&spec.selector)?),
        template: Arc::new(template(spec.template.unwrap_or_default()).within("spec.template")?),
        min_ready_seconds: spec.min_ready_seconds.unwrap_or(0),
        status: replica_set_status(&from.status.unwrap_or_default()),
    })
}

pub(super) fn replication_controller(from: core::ReplicationController) -> Decoded<ReplicationController> {
    let mut meta = namespaced(&from.metadata)?;
    let spec = spec_of(from.spec)?;
    let template = template(spec.template.unwrap_or_default()).within("spec.template")?;
    // What is not written is that of the template (`pkg/apis/core/v1/defaults.go`).
    let mut selector = labels(&spec.selector);
    if selector.is_empty() {
        selector = template.labels.clone();
    }
    if meta.labels.is_empty() {
        meta.labels = template.labels.clone();
    }
    Ok(ReplicationController {
        meta,
        replicas: spec.replicas.unwrap_or(1),
        selector,
        template: Arc::new(template),
        min_ready_seconds: spec.min_ready_seconds.unwrap_or(0),
        status: replication_controller_status(&from.status.unwrap_or_default()),
    })
}

/// A pod template with the defaults that templates get; its compiled wish has those of its pods too.
pub(super) fn template(from: core::PodTemplateSpec) -> Decoded<PodTemplate> {
    let meta = from.metadata.unwrap_or_default();
    // That a template has containers is for validation to see to.
    let mut kept = from.spec.unwrap_or_default();
    defaults::pod_spec_defaults(&mut kept);
    let mut effective = kept.clone();
    defaults::pod_defaults(&mut effective);
    Ok(PodTemplate {
        labels: labels(&meta.labels),
        annotations: labels(&meta.annotations),
        finalizers: names(&meta.finalizers),
        spec: Arc::new(pod_spec::compile(&effective, &kept).within("spec")?),
    })
}

/// A selector of `apps/v1`, which is never missing.
pub(super) fn selector(from: &LabelSelector) -> Decoded<Selector> {
    Ok(label_selector(Some(from))?.unwrap_or_default())
}

/// How the selector is written: the only part of a spec that the model does not hold whole.
pub(super) fn selector_text(selector: &LabelSelector) -> Decoded<Arc<Value>> {
    let text = serde_json::to_value(selector).map_err(|error| FieldError::new("spec.selector", error.to_string()))?;
    Ok(Arc::new(json!({"selector": text})))
}

fn strategy(from: &mut apps::DeploymentStrategy) -> Decoded<Strategy> {
    defaults::text(&mut from.type_, "RollingUpdate");
    match from.type_.as_deref().unwrap_or_default() {
        "Recreate" => Ok(Strategy::Recreate),
        "RollingUpdate" => {
            let rolling = from.rolling_update.get_or_insert_default();
            let quarter = || IntOrString::String("25%".to_string());
            Ok(Strategy::RollingUpdate {
                max_unavailable: int_or_percent(rolling.max_unavailable.get_or_insert_with(quarter))
                    .within("rollingUpdate.maxUnavailable")?,
                max_surge: int_or_percent(rolling.max_surge.get_or_insert_with(quarter))
                    .within("rollingUpdate.maxSurge")?,
            })
        }
        other => Err(unsupported("type", other, &["Recreate", "RollingUpdate"])),
    }
}

pub(super) fn int_or_percent(from: &IntOrString) -> Decoded<IntOrPercent> {
    match from {
        IntOrString::Int(number) => Ok(IntOrPercent::Int(*number)),
        IntOrString::String(text) => {
            let percent = text.strip_suffix('%').and_then(|digits| digits.parse().ok());
            let wrong = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or \
                         '93%', regex used for validation is '[0-9]+%')";
            percent
                .map(IntOrPercent::Percent)
                .ok_or_else(|| FieldError::new("", format!("Invalid value: {text:?}: {wrong}")))
        }
    }
}

fn deployment_status(from: &apps::DeploymentStatus) -> DeploymentStatus {
    let conditions = from.conditions.iter().flatten();
    DeploymentStatus {
        observed_generation: from.observed_generation.unwrap_or(0),
        replicas: from.replicas.unwrap_or(0),
        updated: from.updated_replicas.unwrap_or(0),
        ready: from.ready_replicas.unwrap_or(0),
        available: from.available_replicas.unwrap_or(0),
        unavailable: from.unavailable_replicas.unwrap_or(0),
        terminating: from.terminating_replicas,
        collision_count: from.collision_count,
        conditions: conditions
            .map(|c| {
                let times = (&c.last_transition_time, &c.last_update_time);
                condition((&c.type_, &c.status), &c.reason, &c.message, times.0, times.1)
            })
            .collect(),
    }
}

fn replication_controller_status(from: &core::ReplicationControllerStatus) -> ReplicaSetStatus {
    ReplicaSetStatus {
        observed_generation: from.observed_generation.unwrap_or(0),
        replicas: from.replicas,
        fully_labeled: from.fully_labeled_replicas.unwrap_or(0),
        ready: from.ready_replicas.unwrap_or(0),
        available: from.available_replicas.unwrap_or(0),
        terminating: None,
        conditions: conditions!(from.conditions),
    }
}

fn replica_set_status(from: &apps::ReplicaSetStatus) -> ReplicaSetStatus {
    ReplicaSetStatus {
        observed_generation: from.observed_generation.unwrap_or(0),
        replicas: from.replicas,
        fully_labeled: from.fully_labeled_replicas.unwrap_or(0),
        ready: from.ready_replicas.unwrap_or(0),
        available: from.available_replicas.unwrap_or(0),
        terminating: from.terminating_replicas,
        conditions: conditions!(from.conditions),
    }
}
