//! Which volume fits a claim best (`pkg/controller/volume/persistentvolume/index.go`;
//! `staging/src/k8s.io/component-helpers/storage/volume/pv_helpers.go`, `FindMatchingVolume`).

use crate::model::storage::VolumePhase;
use crate::model::{Name, PersistentVolume, PersistentVolumeClaim};
use std::cmp::Reverse;
use std::sync::Arc;

/// The best of `volumes` for the claim: of those that can do what it asks, the ones that can do the least else come
/// first, and of these the smallest that is large enough. A volume that is promised to the claim is taken at once.
/// A claim that waits for its pod (`delayed`) takes no other.
pub(super) fn best<'a>(
    claim: &PersistentVolumeClaim,
    volumes: impl Iterator<Item = &'a Arc<PersistentVolume>>,
    delayed: bool,
) -> Option<&'a Arc<PersistentVolume>> {
    let able = volumes.filter(|volume| can(claim, volume));
    let rank = |volume: &&'a Arc<PersistentVolume>| {
        let modes: Vec<Name> = volume.access_modes.clone();
        (Reverse(volume.is_for(claim)), modes.len(), modes, volume.capacity, volume.meta.name.clone())
    };
    able.filter(|volume| volume.is_for(claim) || (!delayed && free(claim, volume))).min_by_key(rank)
}

/// Whether the volume can hold what the claim asks for.
fn can(claim: &PersistentVolumeClaim, volume: &PersistentVolume) -> bool {
    let modes = claim.access_modes.iter().all(|mode| volume.access_modes.contains(mode));
    modes && volume.capacity >= claim.request && volume.block == claim.block && !volume.meta.deleting()
}

/// Whether the claim may have the volume, which is promised to nobody.
fn free(claim: &PersistentVolumeClaim, volume: &PersistentVolume) -> bool {
    volume.claim.is_none()
        && volume.phase == VolumePhase::Available
        && *volume.class() == claim.class()
        && claim.selector.as_ref().is_none_or(|selector| selector.matches(&volume.meta.labels))
}
