//! VolumeBinding: a node must reach the pod's bound volumes, and the unbound ones must find or get a volume that
//! it reaches (`pkg/scheduler/framework/plugins/volumebinding/volume_binding.go`, `binder.go`).
//!
//! Upstream looks through volumes in the order of a map; of equally small ones the first by name is taken here.
//! Storage capacity tracking (`CSIStorageCapacity`) and the scoring by capacity, off by default, do not exist.
//!
//! What is decided for a pod that is not bound yet counts at once: another pod does not get the same volume.

use crate::model::storage::{
    BOUND_BY_CONTROLLER, ClaimPhase, ClaimReference, MIGRATED_PLUGINS, NO_PROVISIONER, SELECTED_NODE, VolumePhase,
};
use crate::model::{Name, Node, Object, PersistentVolume, PersistentVolumeClaim, Resource};
use crate::name;
use crate::scheduler::hint::{Hint, Occasion};
use crate::scheduler::plugin::{
    Candidates, Code, Cycle, NodeId, Plugin, Point, PreBind, PreFilter, PreScore, Reasons, State, state_of,
};
use crate::scheduler::pod_info::PodInfo;
use crate::scheduler::storage::{Storage, not_found, uses};
use crate::store::Write;
use crate::time::SimDuration;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How long a pod waits for its volumes (`bindTimeoutSeconds`).
const BIND_TIMEOUT: SimDuration = SimDuration::from_secs(600);

/// The plugin.
#[derive(Default)]
pub struct VolumeBinding {
    /// What was decided for pods that are not bound yet, by pod.
    decided: RefCell<BTreeMap<(Name, Name), Decision>>,
}

/// What becomes of a pod's claims on a node.
#[derive(Clone, Debug, Default)]
struct Decision {
    node: Name,
    /// Volumes that there are, and the claims that get them.
    bindings: Vec<(Arc<PersistentVolume>, Arc<PersistentVolumeClaim>)>,
    /// Claims for which a volume is made.
    provisions: Vec<Arc<PersistentVolumeClaim>>,
}

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
        &[Point::PreFilter, Point::Filter, Point::PreScore, Point::Score, Point::Reserve, Point::PreBind]
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
        match sort(&cycle.snapshot.listers.storage, all) {
            Some(sorted) => PreFilter::Run(Some(Box::new(sorted))),
            None => reject(name!("pod has unbound immediate PersistentVolumeClaims")),
        }
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
            if self.decide(storage, cycle.pod, &claims.delayed, node).is_none() {
                reasons.push(name!("node(s) didn't find available persistent volumes to bind"));
            }
            if matches!(bad, Some(None)) {
                reasons.push(name!("node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"));
            }
            (!reasons.is_empty()).then_some((Code::Unresolvable, reasons))
        });
    }

    fn pre_score(&self, _: Cycle<'_>, _: &[NodeId]) -> PreScore {
        PreScore::Skip
    }

    fn assign(&self, cycle: Cycle<'_>, node: NodeId) -> Option<(Name, Name)> {
        let storage = &cycle.snapshot.listers.storage;
        let sorted = claims(cycle).ok().and_then(|all| sort(storage, all))?;
        let decision = self.decide(storage, cycle.pod, &sorted.delayed, cycle.snapshot.node(node))?;
        if !sorted.delayed.is_empty() {
            self.decided.borrow_mut().insert(pod_key(cycle.pod), decision);
        }
        None
    }

    fn unreserve(&self, pod: &PodInfo, _: &Name) {
        self.decided.borrow_mut().remove(&pod_key(pod));
    }

    fn pre_bind(&self, cycle: Cycle<'_>, node: &Name) -> PreBind {
        match self.decided.borrow().get(&pod_key(cycle.pod)) {
            Some(decision) => PreBind::Wait { writes: writes(decision, node), longest: BIND_TIMEOUT },
            None => PreBind::Go,
        }
    }

    fn prepared(&self, cycle: Cycle<'_>, _: &Name) -> Result<bool, String> {
        let key = pod_key(cycle.pod);
        let Some(decision) = self.decided.borrow().get(&key).cloned() else { return Ok(true) };
        let there = all_bound(&cycle.snapshot.listers.storage, &decision, cycle)?;
        if there {
            // From here on the claims themselves say what is bound to what.
            self.decided.borrow_mut().remove(&key);
        }
        Ok(there)
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

/// Bound claims with their volumes, and those that wait for the pod's node; `None` if one waits for something else.
fn sort(storage: &Storage, all: Vec<Arc<PersistentVolumeClaim>>) -> Option<Claims> {
    let mut sorted = Claims::default();
    for claim in all {
        if claim.bound() {
            sorted.bound.push(storage.volume(&claim.volume).cloned());
        } else if claim.volume.is_empty()
            && storage.class(&claim.class()).is_some_and(|class| class.wait_for_first_consumer)
        {
            sorted.delayed.push(claim);
        } else {
            return None;
        }
    }
    sorted.delayed.sort_by_key(|claim| claim.request);
    Some(sorted)
}

fn pod_key(pod: &PodInfo) -> (Name, Name) {
    (pod.namespace().clone(), pod.pod.meta.name.clone())
}

impl VolumeBinding {
    /// What becomes of the claims on the node: each finds a volume, or can get one made there.
    fn decide(
        &self,
        storage: &Storage,
        pod: &PodInfo,
        claims: &[Arc<PersistentVolumeClaim>],
        node: &Node,
    ) -> Option<Decision> {
        let mut decision = Decision { node: node.meta.name.clone(), ..Decision::default() };
        if claims.is_empty() {
            return Some(decision);
        }
        let decided = self.decided.borrow();
        let own = pod_key(pod);
        let others = || decided.iter().filter(|(key, _)| **key != own).map(|(_, decision)| decision);
        let same = |a: &PersistentVolumeClaim, b: &PersistentVolumeClaim| a.meta.uid == b.meta.uid;
        let chosen_node = |claim: &PersistentVolumeClaim| {
            let made = others().find(|other| other.provisions.iter().any(|made| same(made, claim)));
            let written = claim.meta.annotations.get(&SELECTED_NODE).cloned();
            written.or_else(|| made.map(|other| other.node.clone()))
        };
        if claims.iter().filter_map(|claim| chosen_node(claim)).any(|chosen| chosen != node.meta.name) {
            return None;
        }
        let mut taken: Vec<Name> = Vec::new();
        for claim in claims {
            let mut theirs = others().flat_map(|other| &other.bindings);
            if let Some((volume, _)) = theirs.find(|(_, bound)| same(bound, claim)) {
                if !reaches(node, volume) {
                    return None;
                }
                continue;
            }
            let of_others = others().flat_map(|other| &other.bindings).map(|(volume, _)| &volume.meta.name);
            let excluded: Vec<&Name> = taken.iter().chain(of_others).collect();
            let found = match chosen_node(claim) {
                Some(_) => None,
                None => matching_volume(storage, claim, node, &excluded),
            };
            match found {
                Some(volume) => {
                    taken.push(volume.meta.name.clone());
                    decision.bindings.push((volume.clone(), claim.clone()));
                }
                None if can_be_made(storage, claim, node) => decision.provisions.push(claim.clone()),
                None => return None,
            }
        }
        Some(decision)
    }
}

/// What is written so that others do the rest: volumes are promised to their claims, and claims told their node.
fn writes(decision: &Decision, node: &Name) -> Vec<Write> {
    let promise = |(volume, claim): &(Arc<PersistentVolume>, Arc<PersistentVolumeClaim>)| {
        let mut promised = PersistentVolume::clone(volume);
        if promised.claim.is_none() {
            promised.meta.annotations = promised.meta.annotations.with(BOUND_BY_CONTROLLER, "yes");
        }
        promised.claim = Some(ClaimReference {
            namespace: claim.meta.namespace.clone(),
            name: claim.meta.name.clone(),
            uid: claim.meta.uid,
        });
        Write::Update(promised.into_object())
    };
    let choose = |claim: &Arc<PersistentVolumeClaim>| {
        let mut chosen = PersistentVolumeClaim::clone(claim);
        chosen.meta.annotations = chosen.meta.annotations.with(SELECTED_NODE, node.clone());
        Write::Update(chosen.into_object())
    };
    decision.bindings.iter().map(promise).chain(decision.provisions.iter().map(choose)).collect()
}

/// Whether all claims are bound to volumes within reach (`checkBindings`).
fn all_bound(storage: &Storage, decision: &Decision, cycle: Cycle<'_>) -> Result<bool, String> {
    let node = cycle.snapshot.find(&decision.node).map(|node| cycle.snapshot.node(node));
    let node = node.ok_or_else(|| format!("node {:?} not found", decision.node.as_str()))?;
    let claims = decision.bindings.iter().map(|(_, claim)| (claim, false));
    let mut all = true;
    for (before, made) in claims.chain(decision.provisions.iter().map(|claim| (claim, true))) {
        let found = storage.claim(&before.meta.namespace, &before.meta.name);
        let claim = found.ok_or_else(|| not_found("persistentvolumeclaim", &before.meta.name).to_string())?;
        let written = claim.meta.resource_version > before.meta.resource_version;
        if made && written && claim.meta.annotations.get(&SELECTED_NODE) != Some(&decision.node) {
            return Err(format!("provisioning failed for PVC {:?}", claim.meta.name.as_str()));
        }
        if !claim.bound() {
            all = false;
            continue;
        }
        match storage.volume(&claim.volume) {
            Some(volume) if !reaches(node, volume) => {
                let (volume, node) = (volume.meta.name.as_str(), decision.node.as_str());
                let why = "no matching NodeSelectorTerms";
                return Err(format!("pv {volume:?} node affinity doesn't match node {node:?}: {why}"));
            }
            Some(_) => {}
            None => all = false,
        }
    }
    Ok(all)
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
