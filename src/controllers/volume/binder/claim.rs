//! One look at a claim (`pv_controller.go`, `syncUnboundClaim`, `syncBoundClaim`, `bind`, `provisionClaim`).

use super::{SOURCE, matching};
use crate::model::storage::{
    BIND_COMPLETED, BOUND_BY_CONTROLLER, ClaimPhase, ClaimReference, OLD_PROVISIONER, PROVISIONER, SELECTED_NODE,
    VolumePhase, csi_driver,
};
use crate::model::{Name, Object, PersistentVolume, PersistentVolumeClaim, Pod, Resource, StorageClass, Uid};
use crate::runtime::Cx;
use crate::store::{Patch, Preconditions, Write};
use std::sync::Arc;

const FAILED_BINDING: Name = crate::name!("FailedBinding");

/// Looks at a claim.
pub(super) fn sync(claim: &Arc<PersistentVolumeClaim>, cx: &mut Cx<'_>) {
    match claim.meta.annotations.get(&BIND_COMPLETED) {
        Some(_) => sync_bound(claim, cx),
        None if claim.volume.is_empty() => find(claim, cx),
        None => sync_chosen(claim, cx),
    }
}

fn tell(claim: &Arc<PersistentVolumeClaim>, warning: bool, reason: Name, message: impl Into<Name>, cx: &mut Cx<'_>) {
    cx.event(&Object::PersistentVolumeClaim(claim.clone()), warning, SOURCE, reason, message);
}

/// A claim that has no volume yet gets one, or somebody is asked to make one.
fn find(claim: &Arc<PersistentVolumeClaim>, cx: &mut Cx<'_>) {
    let class = cx.view.fetch::<StorageClass>(&Name::new(), &claim.class()).cloned();
    let delayed = class.as_ref().is_some_and(|class| class.wait_for_first_consumer);
    if let Some(volume) = matching::best(claim, cx.view.list::<PersistentVolume>(), delayed).cloned() {
        return bind(&volume, claim, cx);
    }
    if delayed && claim.meta.annotations.get(&SELECTED_NODE).is_none() {
        return wait_for_pod(claim, cx);
    }
    match claim.class().as_str() {
        "" => {
            let none = "no persistent volumes available for this claim and no storage class is set";
            tell(claim, false, FAILED_BINDING, none, cx);
        }
        name => provision(claim, name, class.as_deref(), cx),
    }
}

/// `emitEventForUnboundDelayBindingClaim`.
fn wait_for_pod(claim: &Arc<PersistentVolumeClaim>, cx: &mut Cx<'_>) {
    let uses = |pod: &&Arc<Pod>| pod.node.is_none() && pod.claims().any(|(name, _)| name == claim.meta.name);
    let pods = cx.view.list_in::<Pod>(&claim.meta.namespace).filter(uses);
    let names: Vec<String> = pods.map(|pod| pod.meta.name.to_string()).collect();
    let (reason, message) = match names.as_slice() {
        [] => {
            let message = "waiting for first consumer to be created before binding".to_string();
            (crate::name!("WaitForFirstConsumer"), message)
        }
        [one] => (crate::name!("WaitForPodScheduled"), format!("waiting for pod {one} to be scheduled")),
        many => (crate::name!("WaitForPodScheduled"), format!("waiting for pods {} to be scheduled", many.join(","))),
    };
    tell(claim, false, reason, message, cx);
}

/// Asks the class's driver for a volume.
fn provision(claim: &Arc<PersistentVolumeClaim>, name: &str, class: Option<&StorageClass>, cx: &mut Cx<'_>) {
    let failed = crate::name!("ProvisioningFailed");
    let Some(class) = class else {
        return tell(claim, true, failed, format!("storageclass.storage.k8s.io {name:?} not found"), cx);
    };
    let driver = csi_driver(&class.provisioner);
    if driver.starts_with("kubernetes.io/") {
        let message = format!("no volume plugin matched name: {driver}");
        return tell(claim, true, failed, message, cx);
    }
    if claim.meta.annotations.get(&PROVISIONER) != Some(&driver) {
        let marks = vec![(OLD_PROVISIONER, Some(driver.clone())), (PROVISIONER, Some(driver.clone()))];
        cx.write(Write::Patch(claim.key(), Patch::Annotations(marks), Preconditions::uid(claim.meta.uid)));
    }
    let message = format!(
        "Waiting for a volume to be created either by the external provisioner '{driver}' or manually by the system \
         administrator. If volume creation is delayed, please verify that the provisioner is running and correctly \
         registered."
    );
    tell(claim, false, crate::name!("ExternalProvisioning"), message, cx);
}

/// A claim that names its volume but is not bound to it yet.
fn sync_chosen(claim: &Arc<PersistentVolumeClaim>, cx: &mut Cx<'_>) {
    let Some(volume) = cx.view.fetch::<PersistentVolume>(&Name::new(), &claim.volume).cloned() else {
        return;
    };
    if volume.claim.is_none() || volume.is_for(claim) {
        return bind(&volume, claim, cx);
    }
    let message = format!("volume {:?} already bound to a different claim.", volume.meta.name.as_str());
    tell(claim, true, FAILED_BINDING, message, cx);
}

/// A claim that was bound: is it still?
fn sync_bound(claim: &Arc<PersistentVolumeClaim>, cx: &mut Cx<'_>) {
    let lost = crate::name!("ClaimLost");
    if claim.volume.is_empty() {
        let message = "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!";
        return lose(claim, lost, message, cx);
    }
    let Some(volume) = cx.view.fetch::<PersistentVolume>(&Name::new(), &claim.volume).cloned() else {
        let message = "Bound claim has lost its PersistentVolume. Data on the volume is lost!";
        return lose(claim, lost, message, cx);
    };
    match &volume.claim {
        Some(reference) if reference.uid != claim.meta.uid && reference.uid != Uid::default() => {
            let message = "Two claims are bound to the same volume, this one is bound incorrectly";
            lose(claim, crate::name!("ClaimMisbound"), message, cx);
        }
        _ => bind(&volume, claim, cx),
    }
}

fn lose(claim: &Arc<PersistentVolumeClaim>, reason: Name, message: &'static str, cx: &mut Cx<'_>) {
    if claim.phase == ClaimPhase::Lost {
        return;
    }
    let mut lost = PersistentVolumeClaim::clone(claim);
    (lost.phase, lost.capacity, lost.bound_modes) = (ClaimPhase::Lost, 0, Vec::new());
    cx.write(Write::UpdateStatus(lost.into_object()));
    tell(claim, true, reason, message, cx);
}

/// Volume first, claim second, each with its status: whatever is already so is left out.
fn bind(volume: &Arc<PersistentVolume>, claim: &Arc<PersistentVolumeClaim>, cx: &mut Cx<'_>) {
    let mut promised = PersistentVolume::clone(volume);
    if promised.claim.is_none() {
        promised.meta.annotations = promised.meta.annotations.with(BOUND_BY_CONTROLLER, "yes");
    }
    let reference =
        ClaimReference { namespace: claim.meta.namespace.clone(), name: claim.meta.name.clone(), uid: claim.meta.uid };
    promised.claim = Some(reference);
    if promised != **volume {
        cx.write(Write::Update(promised.clone().into_object()));
        promised.meta.resource_version = 0;
    }
    if volume.phase != VolumePhase::Bound {
        promised.phase = VolumePhase::Bound;
        cx.write(Write::UpdateStatus(promised.into_object()));
    }
    let mut bound = PersistentVolumeClaim::clone(claim);
    if bound.volume.is_empty() {
        bound.meta.annotations = bound.meta.annotations.with(BOUND_BY_CONTROLLER, "yes");
        bound.volume = volume.meta.name.clone();
    }
    if bound.meta.annotations.get(&BIND_COMPLETED).is_none() {
        bound.meta.annotations = bound.meta.annotations.with(BIND_COMPLETED, "yes");
    }
    if bound != **claim {
        cx.write(Write::Update(bound.clone().into_object()));
        bound.meta.resource_version = 0;
    }
    // What a claim got does not shrink or grow by itself afterwards: that is the resizer's to say.
    if claim.phase != ClaimPhase::Bound {
        bound.phase = ClaimPhase::Bound;
        bound.capacity = volume.capacity;
        bound.bound_modes = volume.access_modes.clone();
        cx.write(Write::UpdateStatus(bound.into_object()));
    }
}
