//! Volumes, claims, storage classes, CSI nodes and disruption budgets.

use super::meta::{list, meta, selector, text, texts, time, uid};
use super::workload::int_or_percent;
use super::{from_raw, nonzero};
use crate::model::policy::PodDisruptionBudget;
use crate::model::storage::ClaimReference;
use crate::model::{CSIDriver, CSINode, Name, PersistentVolume, PersistentVolumeClaim, StorageClass, VolumeAttachment};
use crate::wire::decode::quantity::{ResourceList, printed, resources};
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::policy::v1 as policy;
use k8s_openapi::api::storage::v1 as storage;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

pub(super) fn volume(from: &PersistentVolume) -> core::PersistentVolume {
    let mut spec: core::PersistentVolumeSpec = from_raw(from.raw.get("spec"));
    spec.claim_ref = from.claim.as_ref().map(reference);
    amount(&mut spec.capacity, from.capacity);
    let mut status: core::PersistentVolumeStatus = from_raw(from.raw.get("status"));
    status.phase = Some(from.phase.as_str().to_string());
    status.message = text(&from.message);
    core::PersistentVolume { metadata: meta(&from.meta), spec: Some(spec), status: Some(status) }
}

fn reference(from: &ClaimReference) -> core::ObjectReference {
    core::ObjectReference {
        api_version: Some("v1".to_string()),
        kind: Some("PersistentVolumeClaim".to_string()),
        name: text(&from.name),
        namespace: text(&from.namespace),
        uid: uid(from.uid),
        ..core::ObjectReference::default()
    }
}

pub(super) fn claim(from: &PersistentVolumeClaim) -> core::PersistentVolumeClaim {
    let mut spec: core::PersistentVolumeClaimSpec = from_raw(from.raw.get("spec"));
    spec.storage_class_name = from.class.as_ref().map(Name::to_string);
    spec.volume_name = text(&from.volume);
    let mut status: core::PersistentVolumeClaimStatus = from_raw(from.raw.get("status"));
    status.phase = Some(from.phase.as_str().to_string());
    status.access_modes = texts(&from.bound_modes);
    amount(&mut status.capacity, from.capacity);
    core::PersistentVolumeClaim { metadata: meta(&from.meta), spec: Some(spec), status: Some(status) }
}

/// Writes the amount of storage, unless it is what the list says.
fn amount(list: &mut Option<ResourceList>, bytes: i64) {
    let written = resources(list.as_ref()).map(|(written, _)| written.get("storage"));
    if bytes > 0 && written != Ok(bytes) {
        list.get_or_insert_default().insert("storage".to_string(), printed("storage", bytes));
    }
}

pub(super) fn driver(from: &CSIDriver) -> storage::CSIDriver {
    storage::CSIDriver { metadata: meta(&from.meta), ..from_raw(Some(&from.raw)) }
}

pub(super) fn attachment(from: &VolumeAttachment) -> storage::VolumeAttachment {
    let mut spec: storage::VolumeAttachmentSpec = from_raw(from.raw.get("spec"));
    spec.attacher = from.attacher.to_string();
    spec.node_name = from.node.to_string();
    spec.source.persistent_volume_name = text(&from.volume);
    let mut status: storage::VolumeAttachmentStatus = from_raw(from.raw.get("status"));
    let error = |message: &Name| {
        text(message).map(|message| storage::VolumeError { message: Some(message), ..storage::VolumeError::default() })
    };
    status.attached = from.attached;
    status.attach_error = error(&from.attach_error);
    status.detach_error = error(&from.detach_error);
    storage::VolumeAttachment { metadata: meta(&from.meta), spec, status: Some(status) }
}

pub(super) fn class(from: &StorageClass) -> storage::StorageClass {
    storage::StorageClass { metadata: meta(&from.meta), ..from_raw(Some(&from.raw)) }
}

pub(super) fn csi_node(from: &CSINode) -> storage::CSINode {
    let drivers = from.drivers.iter().map(|driver| storage::CSINodeDriver {
        name: driver.name.to_string(),
        node_id: driver.node_id.to_string(),
        topology_keys: texts(&driver.topology_keys),
        allocatable: driver.count.map(|count| storage::VolumeNodeResources { count: Some(count) }),
    });
    storage::CSINode { metadata: meta(&from.meta), spec: storage::CSINodeSpec { drivers: drivers.collect() } }
}

pub(super) fn budget(from: &PodDisruptionBudget) -> policy::PodDisruptionBudget {
    let spec = policy::PodDisruptionBudgetSpec {
        min_available: from.min_available.map(int_or_percent),
        max_unavailable: from.max_unavailable.map(int_or_percent),
        selector: from.selector.as_ref().map(selector),
        unhealthy_pod_eviction_policy: from.unhealthy.map(|policy| policy.as_str().to_string()),
    };
    let status = &from.status;
    let disrupted = status.disrupted.iter().map(|(pod, since)| (pod.to_string(), time(*since)));
    let status = policy::PodDisruptionBudgetStatus {
        observed_generation: nonzero(status.observed_generation),
        disruptions_allowed: Some(status.disruptions_allowed),
        current_healthy: Some(status.current_healthy),
        desired_healthy: Some(status.desired_healthy),
        expected_pods: Some(status.expected_pods),
        disrupted_pods: nonzero(disrupted.collect()),
        conditions: list(&status.conditions, |c| Condition {
            type_: c.kind.to_string(),
            status: c.status.as_str().to_string(),
            reason: c.reason.to_string(),
            message: c.message.to_string(),
            last_transition_time: time(c.last_transition),
            observed_generation: nonzero(from.status.observed_generation),
        }),
    };
    policy::PodDisruptionBudget { metadata: meta(&from.meta), spec: Some(spec), status: Some(status) }
}
