//! Stateful sets, daemon sets and controller revisions (`pkg/apis/apps/v1/defaults.go`).

use super::container::unsupported;
use super::meta::{condition, conditions, name, namespaced, spec_of};
use super::workload::{int_or_percent, selector, selector_text, template};
use super::{Decoded, Within, defaults, storage};
use crate::model::sets::{
    ClaimRetention, DaemonSetStatus, DaemonSetUpdate, RevisionData, StatefulSetPartition, StatefulSetStatus,
    StatefulSetUpdate,
};
use crate::model::workload::IntOrPercent;
use crate::model::{ControllerRevision, DaemonSet, PersistentVolumeClaim, StatefulSet};
use k8s_openapi::api::apps::v1 as apps;
use k8s_openapi::api::core::v1 as core;
use serde::Deserialize;
use std::sync::Arc;

pub(super) fn stateful_set(from: apps::StatefulSet) -> Decoded<StatefulSet> {
    let meta = namespaced(&from.metadata)?;
    let spec = spec_of(from.spec)?;
    let claims = spec.volume_claim_templates.into_iter().flatten().enumerate();
    let claims = claims.map(|(at, claim)| claim_template(claim).within(&format!("spec.volumeClaimTemplates[{at}]")));
    Ok(StatefulSet {
        meta,
        replicas: spec.replicas.unwrap_or(1),
        selector: selector(&spec.selector).within("spec.selector")?,
        raw: Some(selector_text(&spec.selector)?),
        template: Arc::new(template(spec.template).within("spec.template")?),
        claim_templates: claims.collect::<Decoded<_>>()?,
        service_name: name(&spec.service_name),
        parallel: match spec.pod_management_policy.as_deref().unwrap_or_default() {
            "" | "OrderedReady" => false,
            "Parallel" => true,
            other => return Err(unsupported("spec.podManagementPolicy", other, &["OrderedReady", "Parallel"])),
        },
        update: stateful_set_update(spec.update_strategy.unwrap_or_default()).within("spec.updateStrategy")?,
        revision_history_limit: spec.revision_history_limit.unwrap_or(10),
        min_ready_seconds: spec.min_ready_seconds.unwrap_or(0),
        retention: Some(
            retention(&spec.persistent_volume_claim_retention_policy.unwrap_or_default())
                .within("spec.persistentVolumeClaimRetentionPolicy")?,
        ),
        start: spec.ordinals.map(|ordinals| ordinals.start.unwrap_or(0)),
        status: stateful_set_status(&from.status.unwrap_or_default()),
    })
}

/// A claim without a place of its own: it gets the namespace of its set.
fn claim_template(from: core::PersistentVolumeClaim) -> Decoded<Arc<PersistentVolumeClaim>> {
    let namespace = name(&from.metadata.namespace);
    let mut claim = storage::claim(from)?;
    claim.meta.namespace = namespace;
    Ok(Arc::new(claim))
}

/// A `rollingUpdate` that is not written is there only if the type is not written either.
fn stateful_set_update(mut from: apps::StatefulSetUpdateStrategy) -> Decoded<StatefulSetUpdate> {
    if from.type_.as_deref().unwrap_or_default().is_empty() {
        defaults::text(&mut from.type_, "RollingUpdate");
        from.rolling_update.get_or_insert_default();
    }
    match from.type_.as_deref().unwrap_or_default() {
        "OnDelete" => Ok(StatefulSetUpdate::OnDelete),
        "RollingUpdate" => {
            let rolling = from.rolling_update.map(|rolling| {
                let limit = rolling.max_unavailable.as_ref().map(int_or_percent).transpose();
                let max_unavailable = limit.within("rollingUpdate.maxUnavailable")?;
                Ok(StatefulSetPartition { partition: rolling.partition.unwrap_or(0), max_unavailable })
            });
            Ok(StatefulSetUpdate::RollingUpdate(rolling.transpose()?))
        }
        other => Err(unsupported("type", other, &["OnDelete", "RollingUpdate"])),
    }
}

fn retention(from: &apps::StatefulSetPersistentVolumeClaimRetentionPolicy) -> Decoded<ClaimRetention> {
    let delete = |field: &str, policy: &Option<String>| match policy.as_deref().unwrap_or_default() {
        "" | "Retain" => Ok(false),
        "Delete" => Ok(true),
        other => Err(unsupported(field, other, &["Delete", "Retain"])),
    };
    Ok(ClaimRetention {
        delete_when_deleted: delete("whenDeleted", &from.when_deleted)?,
        delete_when_scaled: delete("whenScaled", &from.when_scaled)?,
    })
}

fn stateful_set_status(from: &apps::StatefulSetStatus) -> StatefulSetStatus {
    StatefulSetStatus {
        observed_generation: from.observed_generation.unwrap_or(0),
        replicas: from.replicas,
        ready: from.ready_replicas.unwrap_or(0),
        available: from.available_replicas.unwrap_or(0),
        current: from.current_replicas.unwrap_or(0),
        updated: from.updated_replicas.unwrap_or(0),
        current_revision: name(&from.current_revision),
        update_revision: name(&from.update_revision),
        collision_count: from.collision_count,
        conditions: conditions!(from.conditions),
    }
}

pub(super) fn daemon_set(from: apps::DaemonSet) -> Decoded<DaemonSet> {
    let meta = namespaced(&from.metadata)?;
    let spec = spec_of(from.spec)?;
    Ok(DaemonSet {
        meta,
        selector: selector(&spec.selector).within("spec.selector")?,
        raw: Some(selector_text(&spec.selector)?),
        template: Arc::new(template(spec.template).within("spec.template")?),
        update: daemon_set_update(spec.update_strategy.unwrap_or_default()).within("spec.updateStrategy")?,
        revision_history_limit: spec.revision_history_limit.unwrap_or(10),
        min_ready_seconds: spec.min_ready_seconds.unwrap_or(0),
        status: daemon_set_status(&from.status.unwrap_or_default()),
    })
}

fn daemon_set_update(mut from: apps::DaemonSetUpdateStrategy) -> Decoded<DaemonSetUpdate> {
    defaults::text(&mut from.type_, "RollingUpdate");
    match from.type_.as_deref().unwrap_or_default() {
        "OnDelete" => Ok(DaemonSetUpdate::OnDelete),
        "RollingUpdate" => {
            let rolling = from.rolling_update.unwrap_or_default();
            let unavailable = rolling.max_unavailable.as_ref().map_or(Ok(IntOrPercent::Int(1)), int_or_percent);
            let surge = rolling.max_surge.as_ref().map_or(Ok(IntOrPercent::Int(0)), int_or_percent);
            Ok(DaemonSetUpdate::RollingUpdate {
                max_unavailable: unavailable.within("rollingUpdate.maxUnavailable")?,
                max_surge: surge.within("rollingUpdate.maxSurge")?,
            })
        }
        other => Err(unsupported("type", other, &["OnDelete", "RollingUpdate"])),
    }
}

fn daemon_set_status(from: &apps::DaemonSetStatus) -> DaemonSetStatus {
    DaemonSetStatus {
        observed_generation: from.observed_generation.unwrap_or(0),
        desired: from.desired_number_scheduled,
        current: from.current_number_scheduled,
        misscheduled: from.number_misscheduled,
        ready: from.number_ready,
        updated: from.updated_number_scheduled.unwrap_or(0),
        available: from.number_available.unwrap_or(0),
        unavailable: from.number_unavailable.unwrap_or(0),
        collision_count: from.collision_count,
        conditions: conditions!(from.conditions),
    }
}

pub(super) fn controller_revision(from: apps::ControllerRevision) -> Decoded<ControllerRevision> {
    let value = from.data.unwrap_or_default();
    // What the controllers write is a template to be put in the place of another, and nothing else.
    let kept = value.0.pointer("/spec/template").filter(|kept| kept.get("$patch").is_some_and(|how| how == "replace"));
    let kept = kept.and_then(|kept| core::PodTemplateSpec::deserialize(kept).ok());
    Ok(ControllerRevision {
        meta: namespaced(&from.metadata)?,
        revision: from.revision,
        data: match kept {
            Some(kept) => RevisionData::Template(Arc::new(template(kept).within("data.spec.template")?)),
            None => RevisionData::Other(Arc::new(value.0)),
        },
    })
}
