//! VolumeBinding: a node must reach the pod's bound volumes, and the unbound ones must find or get a volume that
//! it reaches (`pkg/scheduler/framework/plugins/volumebinding/volume_binding.go`, `binder.go`).
//!
//! Upstream looks through volumes in the order of a map; of equally small ones the first by name is taken here.
//! Storage capacity tracking (`CSIStorageCapacity`) and the scoring by capacity, off by default, do not exist.

use crate::model::storage::{ClaimPhase, MIGRATED_PLUGINS, NO_PROVISIONER, SELECTED_NODE, VolumePhase};
use crate::model::{Name, Node, Object, PersistentVolume, PersistentVolumeClaim};
use crate::name;
use crate::scheduler::hint::{Hint, Occasion};
use crate::scheduler::plugin::{Candidates, Code, Cycle, Plugin, Point, PreFilter, PreScore, Reasons, State, state_of};
use crate::scheduler::pod_info::PodInfo;
use crate::scheduler::storage::{Storage, not_found, uses};
use std::sync::Arc;

/// The plugin.
pub struct VolumeBinding;

/// A pod's claims.
#[derive(Clone, Default)]
struct Claims {
    /// The volumes of bound claims; `None` for one that does not exist.
    bound: Vec<Option<Arc<PersistentVolume>>>,
    /// Claims that wait for the pod's node, smallest first.
    delayed: Vec<Arc<PersistentVolumeClaim>>,
}

/// The pod's claims; `Err` says why they cannot be told yet.
fn claims(cycle: Cycle<'_>) -> Result<Vec<Arc<PersistentVolumeClaim>>, Name> {
    let pod = &cycle.pod.pod;
    let storage = &cycle.snapshot.listers.storage;
    let mut found = Vec::new();
    for (name, ephemeral) in pod.claims() {
        let Some(claim) = storage.claim(cycle.pod.namespace(), &name) else {
            return Err(match ephemeral {
                false => not_found("persistentvolumeclaim", &name),
                true => Name::from(format!(
                    "waiting for ephemeral volume controller to create the persistentvolumeclaim {:?}",
                    name.as_str()
                )),
            });
        };
        if claim.phase == ClaimPhase::Lost {
            return Err(Name::from(format!(
                "persistentvolumeclaim {:?} bound to non-existent persistentvolume {:?}",
                name.as_str(),
                claim.volume.as_str()
            )));
        }
        if claim.meta.deleting() {
            return Err(Name::from(format!("persistentvolumeclaim {:?} is being deleted", name.as_str())));
        }
        if ephemeral && claim.meta.controller().is_none_or(|owner| owner.uid != pod.meta.uid) {
            return Err(Name::from(format!(
                "PVC {}/{name} was not created for pod {}/{} (pod is not owner)",
                claim.meta.namespace, pod.meta.namespace, pod.meta.name
            )));
        }
        found.push(claim.clone());
    }
    Ok(found)
}

impl Plugin for VolumeBinding {
    fn name(&self) -> &'static str {
        "VolumeBinding"
    }

    fn points(&self) -> &'static [Point] {
        &[Point::PreFilter, Point::Filter, Point::PreScore, Point::Score]
    }

    fn pre_filter(&self, cycle: Cycle<'_>) -> PreFilter {
        if !cycle.pod.spec.has_claims {
            return PreFilter::Skip;
        }
        let reject = |reason| PreFilter::Reject(Code::Unresolvable, Reasons::from_elem(reason, 1));
        let all = match claims(cycle) {
            Ok(all) => all,
            Err(reason) => return reject(reason),
        };
        let storage = &cycle.snapshot.listers.storage;
        let mut sorted = Claims::default();
        for claim in all {
            if claim.bound() {
                sorted.bound.push(storage.volume(&claim.volume).cloned());
            } else if claim.volume.is_empty()
                && storage.class(&claim.class()).is_some_and(|class| class.wait_for_first_consumer)
            {
                sorted.delayed.push(claim);
            } else {
                return reject(name!("pod has unbound immediate PersistentVolumeClaims"));
            }
        }
        sorted.delayed.sort_by_key(|claim| claim.request);
        PreFilter::Run(Some(Box::new(sorted)))
    }

    fn filter(&self, cycle: Cycle<'_>, state: &State, nodes: &mut Candidates<'_>) {
        let Some(claims) = state_of::<Claims>(state) else { return };
        let storage = &cycle.snapshot.listers.storage;
        let anywhere = |volume: &Option<Arc<PersistentVolume>>| {
            volume.as_ref().is_some_and(|volume| volume.node_affinity.is_none())
        };
        if claims.delayed.is_empty() && claims.bound.iter().all(anywhere) {
            return;
        }
        nodes.retain_or(|node| {
            let node = cycle.snapshot.node(node);
            let mut reasons = Reasons::new();
            // The first bound claim that is in the way is the one that counts.
            let bad = claims.bound.iter().find(|volume| volume.as_ref().is_none_or(|volume| !reaches(node, volume)));
            if matches!(bad, Some(Some(_))) {
                reasons.push(name!("node(s) didn't match PersistentVolume's node affinity"));
            }
            if !all_find(storage, &claims.delayed, node) {
                reasons.push(name!("node(s) didn't find available persistent volumes to bind"));
            }
            if matches!(bad, Some(None)) {
                reasons.push(name!("node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"));
            }
            (!reasons.is_empty()).then_some((Code::Unresolvable, reasons))
        });
    }

    fn pre_score(&self, _: Cycle<'_>, _: &[crate::scheduler::plugin::NodeId]) -> PreScore {
        PreScore::Skip
    }

    fn helps(&self, pod: &PodInfo, occasion: &Occasion<'_>) -> Hint {
        match occasion {
            Occasion::NodeAdd(_) => Hint::Queue,
            Occasion::NodeUpdate { what, .. } => Hint::from(what.labels),
            Occasion::Storage { old, new: Some(new) } => match (old, new) {
                (_, Object::PersistentVolume(_)) => Hint::Queue,
                (_, Object::PersistentVolumeClaim(claim)) => Hint::from(uses(pod, claim)),
                (Some(Object::StorageClass(old)), Object::StorageClass(new)) => {
                    Hint::from(old.allowed_topologies != new.allowed_topologies)
                }
                (Some(Object::CSINode(old)), Object::CSINode(new)) => {
                    let moved = |node: &crate::model::CSINode| node.meta.annotations.get(&MIGRATED_PLUGINS).cloned();
                    Hint::from(moved(old) != moved(new))
                }
                (None, Object::StorageClass(_) | Object::CSINode(_)) => Hint::Queue,
                _ => Hint::Skip,
            },
            _ => Hint::Skip,
        }
    }
}

/// Whether the node can use the volume.
fn reaches(node: &Node, volume: &PersistentVolume) -> bool {
    volume.node_affinity.as_ref().is_none_or(|affinity| affinity.matches(node))
}

/// Whether every claim finds a volume for the node, or can get one made there.
fn all_find(storage: &Storage, claims: &[Arc<PersistentVolumeClaim>], node: &Node) -> bool {
    let chosen_node = |claim: &PersistentVolumeClaim| claim.meta.annotations.get(&SELECTED_NODE).cloned();
    if claims.iter().filter_map(|claim| chosen_node(claim)).any(|chosen| chosen != node.meta.name) {
        return false;
    }
    let mut taken: Vec<&Name> = Vec::new();
    claims.iter().all(|claim| {
        let found = match chosen_node(claim) {
            Some(_) => None,
            None => matching_volume(storage, claim, node, &taken),
        };
        taken.extend(found.map(|volume| &volume.meta.name));
        found.is_some() || can_be_made(storage, claim, node)
    })
}

/// The smallest volume that the claim can have on the node
/// (`staging/src/k8s.io/component-helpers/storage/volume/pv_helpers.go`, `FindMatchingVolume`).
fn matching_volume<'a>(
    storage: &'a Storage,
    claim: &PersistentVolumeClaim,
    node: &Node,
    taken: &[&Name],
) -> Option<&'a Arc<PersistentVolume>> {
    let mut smallest: Option<&Arc<PersistentVolume>> = None;
    for volume in storage.volumes_of(&claim.class()) {
        let possible = !taken.contains(&&volume.meta.name)
            && (volume.claim.is_none() || volume.is_for(claim))
            && volume.capacity >= claim.request
            && volume.block == claim.block
            && !volume.meta.deleting();
        if !possible {
            continue;
        }
        if volume.is_for(claim) {
            return reaches(node, volume).then_some(volume);
        }
        let free = volume.phase == VolumePhase::Available
            && claim.selector.as_ref().is_none_or(|selector| selector.matches(&volume.meta.labels))
            && reaches(node, volume)
            && claim.access_modes.iter().all(|mode| volume.access_modes.contains(mode));
        if free && smallest.is_none_or(|smallest| smallest.capacity > volume.capacity) {
            smallest = Some(volume);
        }
    }
    smallest
}

/// Whether the claim's class makes volumes for the node.
fn can_be_made(storage: &Storage, claim: &PersistentVolumeClaim, node: &Node) -> bool {
    storage.class(&claim.class()).is_some_and(|class| {
        !class.provisioner.is_empty() && class.provisioner != NO_PROVISIONER && class.allows(&node.meta.labels)
    })
}
