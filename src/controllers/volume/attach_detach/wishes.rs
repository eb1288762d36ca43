//! Which volumes are wanted on a node, and by whom (`pkg/controller/volume/attachdetach/util/util.go`).

use super::{attachable, volume_of};
use crate::model::{ContainerState, Name, PersistentVolume, PersistentVolumeClaim, Pod};
use crate::store::View;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A volume that is wanted on a node.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    /// The volume.
    pub volume: Arc<PersistentVolume>,
    /// The pods that use it.
    pub pods: Vec<Arc<Pod>>,
}

/// The volumes that a node's pods want attached, by name.
pub(super) fn wishes(node: &Name, view: View<'_>) -> BTreeMap<Name, Wish> {
    let mut wishes: BTreeMap<Name, Wish> = BTreeMap::new();
    for pod in view.pods_on(node).filter(|pod| !ended(pod)) {
        for volume in volumes_of(pod, view).filter(|volume| attachable(&volume.driver, view)) {
            let name = volume.meta.name.clone();
            let wish = wishes.entry(name).or_insert_with(|| Wish { volume, pods: Vec::new() });
            wish.pods.push(pod.clone());
        }
    }
    wishes
}

/// The volumes behind the claims of a pod, as far as they are bound.
pub(super) fn volumes_of<'a>(pod: &'a Pod, view: View<'a>) -> impl Iterator<Item = Arc<PersistentVolume>> + use<'a> {
    pod.claims().filter_map(move |(name, ephemeral)| {
        let claim = view.fetch::<PersistentVolumeClaim>(&pod.meta.namespace, &name)?;
        let own = claim.meta.controller().is_some_and(|owner| owner.uid == pod.meta.uid);
        volume_of(claim, view).filter(|_| own || !ephemeral)
    })
}

/// Whether a pod needs its volumes no more: it has ended, or is being deleted and nothing of it runs
/// (`pkg/volume/util/util.go`, `IsPodTerminated`).
pub(super) fn ended(pod: &Pod) -> bool {
    let stopped = |state: &ContainerState| matches!(state, ContainerState::Terminated(_));
    let status = &pod.status;
    let all = || status.init_containers.iter().chain(&status.containers);
    status.phase.terminal()
        || pod.meta.deleting() && all().all(|container| stopped(&container.state) || waits_unstarted(&container.state))
}

fn waits_unstarted(state: &ContainerState) -> bool {
    matches!(state, ContainerState::Waiting { .. })
}
