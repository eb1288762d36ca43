//! Nothing in use is deleted: the finalizers of claims and volumes (`pkg/controller/volume/pvcprotection/`,
//! `pkg/controller/volume/pvprotection/`).
//!
//! A worked example: `kubectl delete pvc data` while a pod uses it → the claim is marked for deletion and stays →
//! the pod is gone → the finalizer goes, and the claim with it.

use crate::model::storage::{CLAIM_PROTECTION, VOLUME_PROTECTION, VolumePhase};
use crate::model::{Key, Kind, Name, Object, PersistentVolume, PersistentVolumeClaim, Pod};
use crate::runtime::{ActorSettings, Controller, Cx, Requeue, Wake};
use crate::store::{Change, Patch, Preconditions, View, Write};

/// Keeps claims that pods use.
#[derive(Debug, Default)]
pub struct ClaimProtection;

/// Keeps volumes that claims are bound to.
#[derive(Debug, Default)]
pub struct VolumeProtection;

/// The machinery of both: one worker.
pub fn settings() -> ActorSettings {
    ActorSettings { workers: 1, ..ActorSettings::default() }
}

fn let_go(object: &Object, finalizer: Name, cx: &mut Cx<'_>) {
    let preconditions = Preconditions::uid(object.meta().uid);
    cx.write(Write::Patch(object.key(), Patch::RemoveFinalizer(finalizer), preconditions));
}

fn waits(object: &Object, finalizer: &Name) -> bool {
    object.meta().deleting() && object.meta().finalizers.contains(finalizer)
}

impl Controller for ClaimProtection {
    fn name(&self) -> &'static str {
        "persistentvolumeclaim-protection-controller"
    }

    fn watches(&self) -> &'static [Kind] {
        &[Kind::PersistentVolumeClaim, Kind::Pod]
    }

    fn follows(&self, change: &Change) -> bool {
        match change.object() {
            Object::Pod(pod) => change.new.is_none() && pod.claims().next().is_some(),
            _ => change.new.as_ref().is_some_and(|claim| waits(claim, &CLAIM_PROTECTION)),
        }
    }

    fn wake(&mut self, change: &Change, _: View<'_>, wake: &mut Wake<'_>) {
        match change.object() {
            Object::Pod(pod) => {
                for (claim, _) in pod.claims() {
                    wake.add(Key::new(Kind::PersistentVolumeClaim, pod.meta.namespace.clone(), claim));
                }
            }
            _ => wake.add(change.key.clone()),
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        let Some(claim) = cx.view.fetch_key::<PersistentVolumeClaim>(key) else { return Requeue::Done };
        let claim = Object::PersistentVolumeClaim(claim.clone());
        // Kubelets start no pod with a claim that is being deleted, so one without a node does not count. What the
        // watch has not shown yet is asked for.
        let uses = |pod: &Pod| pod.node.is_some() && pod.claims().any(|(name, _)| name == key.name);
        let used = |view: View<'_>| view.list_in::<Pod>(&key.namespace).any(|pod| uses(pod));
        if waits(&claim, &CLAIM_PROTECTION) && !used(cx.view) && !used(cx.live()) {
            let_go(&claim, CLAIM_PROTECTION, cx);
        }
        Requeue::Done
    }
}

impl Controller for VolumeProtection {
    fn name(&self) -> &'static str {
        "persistentvolume-protection-controller"
    }

    fn watches(&self) -> &'static [Kind] {
        &[Kind::PersistentVolume]
    }

    fn wake(&mut self, change: &Change, _: View<'_>, wake: &mut Wake<'_>) {
        if change.new.as_ref().is_some_and(|volume| waits(volume, &VOLUME_PROTECTION)) {
            wake.add(change.key.clone());
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        let Some(volume) = cx.view.fetch_key::<PersistentVolume>(key).cloned() else { return Requeue::Done };
        let bound = volume.phase == VolumePhase::Bound;
        let volume = Object::PersistentVolume(volume);
        if waits(&volume, &VOLUME_PROTECTION) && !bound {
            let_go(&volume, VOLUME_PROTECTION, cx);
        }
        Requeue::Done
    }
}
