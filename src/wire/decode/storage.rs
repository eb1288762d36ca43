//! Volumes, claims, storage classes and CSI nodes (`pkg/apis/core/v1/defaults.go`, `pkg/apis/storage/v1/defaults.go`).

use super::container::unsupported;
use super::defaults::text;
use super::meta::{meta, name, names, namespaced, uid};
use super::quantity::{ResourceList, canonical, resources};
use super::small::rest;
use super::{Decoded, FieldError, Within, label_selector, node_selector};
use crate::model::VolumeAttachment;
use crate::model::selector::{NodeSelectorTerm, Operator, Requirement};
use crate::model::storage::{CSIDriverOnNode, ClaimPhase, ClaimReference, ReclaimPolicy, VolumePhase};
use crate::model::{CSIDriver, CSINode, Name, NodeSelector, PersistentVolume, PersistentVolumeClaim, StorageClass};
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::storage::v1 as storage;
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) fn volume(from: core::PersistentVolume) -> Decoded<PersistentVolume> {
    let meta = meta(&from.metadata)?;
    let (mut spec, mut status) = (from.spec.unwrap_or_default(), from.status.unwrap_or_default());
    text(&mut spec.persistent_volume_reclaim_policy, "Retain");
    canonical(&mut spec.capacity);
    let block = block(&mut spec.volume_mode).within("spec.volumeMode")?;
    let claim = spec.claim_ref.take().map(|reference| ClaimReference {
        namespace: name(&reference.namespace),
        name: name(&reference.name),
        uid: uid(&reference.uid),
    });
    let required = spec.node_affinity.as_ref().and_then(|affinity| affinity.required.as_ref());
    let (phase, message) = (status.phase.take(), status.message.take());
    let phase = one(&VolumePhase::ALL, VolumePhase::as_str, phase.as_deref()).within("status.phase")?;
    Ok(PersistentVolume {
        meta,
        capacity: bytes(spec.capacity.as_ref()).within("spec.capacity")?,
        access_modes: names(&spec.access_modes),
        class: name(&spec.storage_class_name),
        block,
        claim,
        node_affinity: required
            .map(node_selector)
            .transpose()
            .map_err(|error| FieldError::new("spec.nodeAffinity.required", error))?,
        driver: spec.csi.as_ref().map(|csi| Name::from(csi.driver.as_str())).unwrap_or_default(),
        handle: spec.csi.as_ref().map(|csi| Name::from(csi.volume_handle.as_str())).unwrap_or_default(),
        reclaim: reclaim(spec.persistent_volume_reclaim_policy.as_deref())
            .within("spec.persistentVolumeReclaimPolicy")?,
        phase,
        message: name(&message),
        raw: both(&spec, &status)?,
    })
}

fn reclaim(policy: Option<&str>) -> Decoded<ReclaimPolicy> {
    one(&ReclaimPolicy::ALL, ReclaimPolicy::as_str, policy)
}

pub(super) fn claim(from: core::PersistentVolumeClaim) -> Decoded<PersistentVolumeClaim> {
    let meta = namespaced(&from.metadata)?;
    let (mut spec, mut status) = (from.spec.unwrap_or_default(), from.status.unwrap_or_default());
    if let Some(resources) = &mut spec.resources {
        canonical(&mut resources.requests);
        canonical(&mut resources.limits);
    }
    canonical(&mut status.capacity);
    let block = block(&mut spec.volume_mode).within("spec.volumeMode")?;
    let requests = spec.resources.as_ref().and_then(|resources| resources.requests.as_ref());
    let request = bytes(requests).within("spec.resources.requests")?;
    let (class, volume) = (spec.storage_class_name.take(), spec.volume_name.take());
    let phase = status.phase.take();
    let bound_modes = status.access_modes.take();
    Ok(PersistentVolumeClaim {
        meta,
        request,
        access_modes: names(&spec.access_modes),
        class: class.map(Name::from),
        volume: name(&volume),
        selector: label_selector(spec.selector.as_ref()).within("spec.selector")?,
        block,
        phase: one(&ClaimPhase::ALL, ClaimPhase::as_str, phase.as_deref()).within("status.phase")?,
        capacity: bytes(status.capacity.as_ref()).within("status.capacity")?,
        bound_modes: names(&bound_modes),
        raw: both(&spec, &status)?,
    })
}

pub(super) fn class(mut from: storage::StorageClass) -> Decoded<StorageClass> {
    text(&mut from.reclaim_policy, "Delete");
    text(&mut from.volume_binding_mode, "Immediate");
    let terms = from.allowed_topologies.iter().flatten();
    let requirements = |term: &core::TopologySelectorTerm| {
        let expressions = term.match_label_expressions.iter().flatten();
        let requirement = |expression: &core::TopologySelectorLabelRequirement| {
            let key = Name::from(expression.key.as_str());
            let values = expression.values.iter().map(|value| Name::from(value.as_str())).collect();
            Requirement { key, operator: Operator::In, values }
        };
        NodeSelectorTerm { expressions: expressions.map(requirement).collect(), fields: Vec::new() }
    };
    let wait_for_first_consumer = match from.volume_binding_mode.as_deref().unwrap_or_default() {
        "Immediate" => false,
        "WaitForFirstConsumer" => true,
        other => return Err(unsupported("volumeBindingMode", other, &["Immediate", "WaitForFirstConsumer"])),
    };
    Ok(StorageClass {
        meta: meta(&from.metadata)?,
        provisioner: Name::from(from.provisioner.as_str()),
        wait_for_first_consumer,
        allowed_topologies: NodeSelector { terms: terms.map(requirements).collect() },
        reclaim: reclaim(from.reclaim_policy.as_deref()).within("reclaimPolicy")?,
        expands: from.allow_volume_expansion.unwrap_or(false),
        raw: rest(&from, &[])?,
    })
}

/// With the API server's defaults (`pkg/apis/storage/v1/defaults.go`).
pub(super) fn driver(mut from: storage::CSIDriver) -> Decoded<CSIDriver> {
    let spec = &mut from.spec;
    let attach_required = *spec.attach_required.get_or_insert(true);
    spec.pod_info_on_mount.get_or_insert(false);
    spec.storage_capacity.get_or_insert(false);
    spec.requires_republish.get_or_insert(false);
    spec.se_linux_mount.get_or_insert(false);
    text(&mut spec.fs_group_policy, "ReadWriteOnceWithFSType");
    spec.volume_lifecycle_modes.get_or_insert_with(|| vec!["Persistent".to_string()]);
    Ok(CSIDriver { meta: meta(&from.metadata)?, attach_required, raw: rest(&from, &[])? })
}

pub(super) fn attachment(mut from: storage::VolumeAttachment) -> Decoded<VolumeAttachment> {
    let mut status = from.status.take().unwrap_or_default();
    let message = |error: Option<storage::VolumeError>| name(&error.and_then(|error| error.message));
    Ok(VolumeAttachment {
        meta: meta(&from.metadata)?,
        attacher: Name::from(from.spec.attacher.as_str()),
        node: Name::from(from.spec.node_name.as_str()),
        volume: name(&from.spec.source.persistent_volume_name),
        attached: status.attached,
        attach_error: message(status.attach_error.take()),
        detach_error: message(status.detach_error.take()),
        raw: both(&from.spec, &status)?,
    })
}

pub(super) fn csi_node(from: storage::CSINode) -> Decoded<CSINode> {
    let driver = |driver: &storage::CSINodeDriver| CSIDriverOnNode {
        name: Name::from(driver.name.as_str()),
        node_id: Name::from(driver.node_id.as_str()),
        topology_keys: names(&driver.topology_keys),
        count: driver.allocatable.as_ref().and_then(|allocatable| allocatable.count),
    };
    Ok(CSINode { meta: meta(&from.metadata)?, drivers: from.spec.drivers.iter().map(driver).collect() })
}

/// `Filesystem` unless `Block` is written.
fn block(mode: &mut Option<String>) -> Decoded<bool> {
    text(mode, "Filesystem");
    match mode.as_deref().unwrap_or_default() {
        "Block" => Ok(true),
        "Filesystem" => Ok(false),
        other => Err(unsupported("", other, &["Block", "Filesystem"])),
    }
}

/// The amount of `storage`.
fn bytes(list: Option<&ResourceList>) -> Decoded<i64> {
    Ok(resources(list)?.0.get("storage"))
}

/// The value that is written so; the first one if nothing is.
pub(super) fn one<T: Copy>(all: &[T], written: impl Fn(T) -> &'static str, text: Option<&str>) -> Decoded<T> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(all[0]) };
    let supported: Vec<&'static str> = all.iter().map(|value| written(*value)).collect();
    let found = all.iter().copied().find(|value| written(*value) == text);
    found.ok_or_else(|| unsupported("", text, &supported))
}

/// What the model does not hold of spec and status.
pub(super) fn both(spec: &impl Serialize, status: &impl Serialize) -> Decoded<Arc<Value>> {
    let spec = serde_json::to_value(spec);
    let both = spec.and_then(|spec| Ok(json!({"spec": spec, "status": serde_json::to_value(status)?})));
    both.map(Arc::new).map_err(|error| FieldError::new("", error.to_string()))
}
