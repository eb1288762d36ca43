//! One look at a volume (`pv_controller.go`, `syncVolume`, `reclaimVolume`, `deleteVolumeOperation`).

use super::SOURCE;
use crate::model::storage::{BOUND_BY_CONTROLLER, PROVISIONED_BY, ReclaimPolicy, VolumePhase};
use crate::model::{Name, Object, PersistentVolume, PersistentVolumeClaim, Resource, Uid};
use crate::runtime::Cx;
use crate::store::Write;
use std::sync::Arc;

/// Looks at a volume.
pub(super) fn sync(volume: &Arc<PersistentVolume>, cx: &mut Cx<'_>) {
    let Some(reference) = volume.claim.as_ref().filter(|reference| reference.uid != Uid::default()) else {
        return set_phase(volume, VolumePhase::Available, cx);
    };
    let found = cx.view.fetch::<PersistentVolumeClaim>(&reference.namespace, &reference.name);
    match found.filter(|claim| claim.meta.uid == reference.uid).cloned() {
        None => release(volume, cx),
        Some(claim) if claim.volume.is_empty() => {
            if claim.block != volume.block {
                mismatch(volume, &claim, cx);
            }
            // The claim itself binds: it is woken with the volume.
        }
        Some(claim) if claim.volume == volume.meta.name => set_phase(volume, VolumePhase::Bound, cx),
        Some(_)
            if volume.meta.annotations.get(&PROVISIONED_BY).is_some() && volume.reclaim == ReclaimPolicy::Delete =>
        {
            // Made for a claim that took another volume meanwhile.
            release(volume, cx);
        }
        Some(_) => unbind(volume, cx),
    }
}

fn mismatch(volume: &Arc<PersistentVolume>, claim: &Arc<PersistentVolumeClaim>, cx: &mut Cx<'_>) {
    let text = |object: &str, name: &str| format!("Cannot bind {object} {name:?} due to incompatible volumeMode");
    let reason = crate::name!("VolumeMismatch");
    let (pv, pvc) = (Object::PersistentVolume(volume.clone()), Object::PersistentVolumeClaim(claim.clone()));
    let to_claim = text("PersistentVolume to requested PersistentVolumeClaim", &claim.meta.name);
    let to_volume = text("PersistentVolumeClaim to requested PersistentVolume", &volume.meta.name);
    cx.event(&pv, true, SOURCE, reason.clone(), to_claim);
    cx.event(&pvc, true, SOURCE, reason, to_volume);
}

fn set_phase(volume: &Arc<PersistentVolume>, phase: VolumePhase, cx: &mut Cx<'_>) {
    if volume.phase == phase {
        return;
    }
    let mut changed = PersistentVolume::clone(volume);
    (changed.phase, changed.message) = (phase, Name::new());
    cx.write(Write::UpdateStatus(changed.into_object()));
}

/// The claim is gone.
fn release(volume: &Arc<PersistentVolume>, cx: &mut Cx<'_>) {
    if volume.phase != VolumePhase::Released && volume.phase != VolumePhase::Failed {
        return set_phase(volume, VolumePhase::Released, cx);
    }
    if volume.phase == VolumePhase::Failed {
        return;
    }
    match volume.reclaim {
        ReclaimPolicy::Retain => {}
        ReclaimPolicy::Recycle => {
            let why = "No recycler plugin found for the volume!".to_string();
            fail(volume, crate::name!("VolumeFailedRecycle"), why, cx);
        }
        // The driver that made it deletes it.
        ReclaimPolicy::Delete if volume.meta.annotations.get(&PROVISIONED_BY).is_some() => {}
        ReclaimPolicy::Delete => {
            let name = volume.meta.name.as_str();
            let why =
                format!("error getting deleter volume plugin for volume {name:?}: no deletable volume plugin matched");
            fail(volume, crate::name!("VolumeFailedDelete"), why, cx);
        }
    }
}

fn fail(volume: &Arc<PersistentVolume>, reason: Name, why: String, cx: &mut Cx<'_>) {
    let mut failed = PersistentVolume::clone(volume);
    (failed.phase, failed.message) = (VolumePhase::Failed, Name::from(why.as_str()));
    cx.write(Write::UpdateStatus(failed.into_object()));
    cx.event(&Object::PersistentVolume(volume.clone()), true, SOURCE, reason, why);
}

/// Takes back a promise that the claim has no use for: all of it if a controller gave it, else the uid alone.
fn unbind(volume: &Arc<PersistentVolume>, cx: &mut Cx<'_>) {
    let mut free = PersistentVolume::clone(volume);
    if free.meta.annotations.get(&BOUND_BY_CONTROLLER).is_some() {
        free.claim = None;
        free.meta.annotations = free.meta.annotations.without(&BOUND_BY_CONTROLLER);
    } else if let Some(reference) = &mut free.claim {
        reference.uid = Uid::default();
    }
    cx.write(Write::Update(free.clone().into_object()));
    free.meta.resource_version = 0;
    free.phase = VolumePhase::Available;
    cx.write(Write::UpdateStatus(free.into_object()));
}
