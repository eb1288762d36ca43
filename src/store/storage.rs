//! What the API server adds to volumes and claims, and which changes of them it refuses.

use super::errors::StoreError;
use super::slots::Store;
use crate::model::storage::{CLAIM_PROTECTION, ClaimPhase, VOLUME_PROTECTION};
use crate::model::{Meta, Name, Object, PersistentVolume, PersistentVolumeClaim, StorageClass};
use serde_json::Value;
use std::cmp::Reverse;

impl Store {
    /// Completes a new claim.
    pub(super) fn admit_claim(&self, claim: &mut PersistentVolumeClaim) {
        self.give_class(claim);
        protect(&mut claim.meta, CLAIM_PROTECTION);
    }

    /// Admission plugin DefaultStorageClass: of several default classes the newest, then the first by name
    /// (`plugin/pkg/admission/storage/storageclass/setdefault/admission.go`).
    fn give_class(&self, claim: &mut PersistentVolumeClaim) {
        if claim.class.is_none() && claim.class().is_empty() {
            let classes = self.live().list::<StorageClass>().filter(|class| class.is_default());
            let newest = classes.min_by_key(|class| (Reverse(class.meta.created), class.meta.name.clone()));
            claim.class = newest.map(|class| class.meta.name.clone());
        }
    }

    /// Fields of volumes, claims and classes that do not change (`pkg/apis/core/validation/validation.go`,
    /// `ValidatePersistentVolumeClaimUpdate`, `ValidatePersistentVolumeUpdate`;
    /// `pkg/apis/storage/validation/validation.go`, `ValidateStorageClassUpdate`).
    pub(super) fn validate_storage(
        &self,
        old: &Object,
        new: &Object,
        errors: &mut Vec<String>,
    ) -> Result<(), StoreError> {
        match (old, new) {
            (Object::PersistentVolumeClaim(old), Object::PersistentVolumeClaim(new)) => {
                validate_claim(old, new, errors);
                self.may_grow(old, new)?;
            }
            (Object::PersistentVolume(old), Object::PersistentVolume(new)) => {
                if source(&old.raw) != source(&new.raw) {
                    let why = "spec.persistentvolumesource is immutable after creation";
                    errors.push(format!("spec.persistentvolumesource: Forbidden: {why}"));
                }
                if old.block != new.block {
                    errors.push("spec.volumeMode: Invalid value: field is immutable".to_string());
                }
                if old.node_affinity.is_some() && old.node_affinity != new.node_affinity {
                    errors.push("spec.nodeAffinity: Invalid value: field is immutable, except for updating from beta label to GA".to_string());
                }
            }
            (Object::StorageClass(old), Object::StorageClass(new)) => {
                if old.raw.get("parameters") != new.raw.get("parameters") {
                    errors.push("parameters: Forbidden: updates to parameters are forbidden.".to_string());
                }
                if old.provisioner != new.provisioner {
                    errors.push("provisioner: Forbidden: updates to provisioner are forbidden.".to_string());
                }
                if old.reclaim != new.reclaim {
                    errors.push("reclaimPolicy: Forbidden: updates to reclaimPolicy are forbidden.".to_string());
                }
                if old.wait_for_first_consumer != new.wait_for_first_consumer {
                    let mode = if new.wait_for_first_consumer { "WaitForFirstConsumer" } else { "Immediate" };
                    errors.push(format!("volumeBindingMode: Invalid value: {mode:?}: field is immutable"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Admission plugin PersistentVolumeClaimResize: a class must allow its claims to grow
    /// (`plugin/pkg/admission/storage/persistentvolume/resize/admission.go`).
    fn may_grow(&self, old: &PersistentVolumeClaim, new: &PersistentVolumeClaim) -> Result<(), StoreError> {
        if new.request <= old.request || old.phase != ClaimPhase::Bound {
            return Ok(());
        }
        let class = self.live().fetch::<StorageClass>(&Name::new(), &old.class());
        if class.is_some_and(|class| class.expands) {
            return Ok(());
        }
        let why = "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize";
        let key = Object::from(new.clone()).key();
        Err(StoreError::Forbidden(key, why.to_string()))
    }
}

/// Completes a new volume.
pub(super) fn admit_volume(volume: &mut PersistentVolume) {
    protect(&mut volume.meta, VOLUME_PROTECTION);
}

/// Admission plugin StorageObjectInUseProtection: a volume or claim in use is not deleted
/// (`plugin/pkg/admission/storage/storageobjectinuseprotection/admission.go`).
fn protect(meta: &mut Meta, finalizer: Name) {
    if !meta.finalizers.contains(&finalizer) {
        meta.finalizers.push(finalizer);
    }
}

fn validate_claim(old: &PersistentVolumeClaim, new: &PersistentVolumeClaim, errors: &mut Vec<String>) {
    // An unbound claim may still be given its volume, and a class where it had none.
    let bound_since = old.volume.is_empty() || old.volume == new.volume;
    let classed_since = old.class == new.class || old.class.is_none() && old.volume.is_empty();
    let size_alone = new.request == old.request || !old.volume.is_empty();
    let same = bound_since
        && classed_since
        && size_alone
        && old.access_modes == new.access_modes
        && old.selector == new.selector
        && old.block == new.block;
    if !same {
        let why =
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
        errors.push(format!("spec: Forbidden: {why}"));
    } else if new.request < old.request && new.request < new.capacity {
        errors
            .push("spec.resources.requests.storage: Forbidden: field can not be less than status.capacity".to_string());
    }
}

/// What is behind a volume: its spec without what is common to all sources.
fn source(raw: &Value) -> Value {
    const COMMON: [&str; 9] = [
        "accessModes",
        "capacity",
        "claimRef",
        "mountOptions",
        "nodeAffinity",
        "persistentVolumeReclaimPolicy",
        "storageClassName",
        "volumeAttributesClassName",
        "volumeMode",
    ];
    let mut spec = raw.get("spec").cloned().unwrap_or_default();
    if let Some(fields) = spec.as_object_mut() {
        fields.retain(|field, _| !COMMON.contains(&field.as_str()));
    }
    spec
}
