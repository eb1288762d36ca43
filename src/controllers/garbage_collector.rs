//! The garbage collector: objects whose owners are gone go too (`pkg/controller/garbagecollector/`).
//!
//! A worked example: a deployment is deleted in the background → its replica set is looked at: its only owner is
//! missing → it is deleted → its pods are looked at → they are deleted. In the foreground the deployment stays with
//! a finalizer until the replica set is gone, and the replica set, deleted in the same way, until its pods are.
//!
//! The owner graph is the store's own index; what upstream asks the API server live is read live here.

use crate::model::{Key, Kind, Meta, Object, OwnerReference, Uid};
use crate::runtime::{ActorSettings, Controller, Cx, Requeue, Wake};
use crate::store::{Change, DeleteOptions, FOREGROUND, ORPHAN, Patch, Preconditions, Propagation, View, Write};

/// `--concurrent-gc-syncs`.
const WORKERS: usize = 20;
/// Upstream does not collect events; the simulation's own kinds have no owners.
const WATCHED: &[Kind] = &[
    Kind::Namespace,
    Kind::Node,
    Kind::Pod,
    Kind::Deployment,
    Kind::ReplicaSet,
    Kind::Service,
    Kind::EndpointSlice,
    Kind::Lease,
    Kind::ConfigMap,
    Kind::Secret,
    Kind::ServiceAccount,
    Kind::PriorityClass,
    Kind::PersistentVolume,
    Kind::PersistentVolumeClaim,
    Kind::StorageClass,
    Kind::CSINode,
    Kind::PodDisruptionBudget,
    Kind::StatefulSet,
    Kind::ReplicationController,
    Kind::DaemonSet,
    Kind::Job,
    Kind::CronJob,
    Kind::ControllerRevision,
    Kind::LimitRange,
    Kind::ResourceQuota,
    Kind::Role,
    Kind::ClusterRole,
    Kind::RoleBinding,
    Kind::ClusterRoleBinding,
    Kind::CustomResourceDefinition,
    Kind::VolumeAttachment,
    Kind::CSIDriver,
    Kind::HorizontalPodAutoscaler,
    Kind::Ingress,
    Kind::IngressClass,
    Kind::NetworkPolicy,
    Kind::Endpoints,
    Kind::RuntimeClass,
    Kind::ANY_CUSTOM,
];

/// The garbage collector.
#[derive(Debug, Default)]
pub struct GarbageCollector;

/// Its machinery.
pub fn settings() -> ActorSettings {
    ActorSettings { workers: WORKERS, ..ActorSettings::default() }
}

impl Controller for GarbageCollector {
    fn name(&self) -> &'static str {
        "generic-garbage-collector"
    }

    fn watches(&self) -> &'static [Kind] {
        WATCHED
    }

    fn follows(&self, change: &Change) -> bool {
        let (Some(old), Some(new)) = (&change.old, &change.new) else { return true };
        let (old, new) = (old.meta(), new.meta());
        old.owners != new.owners || old.finalizers != new.finalizers || old.deleting() != new.deleting()
    }

    fn wake(&mut self, change: &Change, view: View<'_>, wake: &mut Wake<'_>) {
        let old = change.old.as_ref().map(Object::meta);
        let Some(new) = change.new.as_ref().map(Object::meta) else {
            let gone = change.object().meta();
            view.dependents(gone.uid).for_each(|dependent| wake.add(dependent.key()));
            wake_waiting_owners(gone, &gone.owners, view, wake);
            return;
        };
        let starts = |is: fn(&Meta) -> bool| is(new) && !old.is_some_and(is);
        if starts(waits_for_dependents) {
            view.dependents(new.uid).for_each(|dependent| wake.add(dependent.key()));
        }
        if starts(waits_for_dependents) || starts(orphans_dependents) {
            wake.add(change.key.clone());
        }
        if old.is_none_or(|old| old.owners != new.owners) {
            let missing_or_leaving =
                |owner: &OwnerReference| view.by_uid(owner.uid).is_none_or(|owner| waits_for_dependents(owner.meta()));
            if new.owners.iter().any(missing_or_leaving) {
                wake.add(change.key.clone());
            }
            wake_waiting_owners(new, old.map_or(&[], |old| &old.owners), view, wake);
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        let Some(object) = cx.live().get(key) else { return Requeue::Done };
        let meta = object.meta();
        if orphans_dependents(meta) {
            orphan_dependents(key, meta.uid, cx);
        } else if waits_for_dependents(meta) {
            end_foreground(key, meta, cx);
        } else if !meta.deleting() && !meta.owners.is_empty() {
            attempt_to_delete(key, meta, cx);
        }
        Requeue::Done
    }
}

fn waits_for_dependents(meta: &Meta) -> bool {
    meta.deleting() && meta.finalizers.contains(&FOREGROUND)
}

fn orphans_dependents(meta: &Meta) -> bool {
    meta.deleting() && meta.finalizers.contains(&ORPHAN)
}

/// Owners that wait for their dependents may wait no longer for this one.
fn wake_waiting_owners(dependent: &Meta, owners: &[OwnerReference], view: View<'_>, wake: &mut Wake<'_>) {
    for owner in owners {
        let key = owner_key(dependent, owner);
        if view.get(&key).is_some_and(|have| have.meta().uid == owner.uid && waits_for_dependents(have.meta())) {
            wake.add(key);
        }
    }
}

/// Owners are in the namespace of what they own, or in none.
fn owner_key(dependent: &Meta, owner: &OwnerReference) -> Key {
    match owner.kind.namespaced() {
        true => Key::new(owner.kind, dependent.namespace.clone(), owner.name.clone()),
        false => Key::cluster(owner.kind, owner.name.clone()),
    }
}

/// Takes the owner out of all its dependents, then lets it go.
fn orphan_dependents(key: &Key, uid: Uid, cx: &mut Cx<'_>) {
    let patch = |dependent: &Object| {
        let patch = Patch::RemoveOwners(vec![uid]);
        Write::Patch(dependent.key(), patch, Preconditions::uid(dependent.meta().uid))
    };
    let writes = cx.live().dependents(uid).map(patch).collect();
    cx.write_all(writes);
    cx.write(Write::Patch(key.clone(), Patch::RemoveFinalizer(ORPHAN), Preconditions::uid(uid)));
}

/// An owner deleted in the foreground goes when no dependent blocks it. Its dependents have been woken.
fn end_foreground(key: &Key, meta: &Meta, cx: &mut Cx<'_>) {
    let blocks =
        |object: &Object| object.meta().owners.iter().any(|owner| owner.uid == meta.uid && owner.block_owner_deletion);
    if !cx.view.dependents(meta.uid).any(blocks) {
        cx.write(Write::Patch(key.clone(), Patch::RemoveFinalizer(FOREGROUND), Preconditions::uid(meta.uid)));
    }
}

/// What an object's owners are to it (`garbagecollector.go`, `classifyReferences`).
#[derive(Default)]
struct Owners<'a> {
    /// There and staying.
    solid: Vec<&'a OwnerReference>,
    /// Gone, or another object of the same name.
    dangling: Vec<&'a OwnerReference>,
    /// Deleted, waiting for their dependents to go first.
    waiting: Vec<&'a OwnerReference>,
}

fn classify<'a>(meta: &'a Meta, live: View<'_>) -> Owners<'a> {
    let mut owners = Owners::default();
    for owner in &meta.owners {
        match live.get(&owner_key(meta, owner)).filter(|found| found.meta().uid == owner.uid) {
            None => owners.dangling.push(owner),
            Some(found) if waits_for_dependents(found.meta()) => owners.waiting.push(owner),
            Some(_) => owners.solid.push(owner),
        }
    }
    owners
}

/// Deletes an object that no owner keeps (`garbagecollector.go`, `attemptToDeleteItem`).
fn attempt_to_delete(key: &Key, meta: &Meta, cx: &mut Cx<'_>) {
    let owners = classify(meta, cx.live());
    if !owners.solid.is_empty() {
        let leave: Vec<Uid> = owners.dangling.iter().chain(&owners.waiting).map(|owner| owner.uid).collect();
        if !leave.is_empty() {
            cx.write(Write::Patch(key.clone(), Patch::RemoveOwners(leave), Preconditions::uid(meta.uid)));
        }
        return;
    }
    let mut dependents = cx.view.dependents(meta.uid).peekable();
    let propagation = if !owners.waiting.is_empty() && dependents.peek().is_some() {
        // A dependent that itself waits may wait for this object's owner: a circle is opened here.
        if dependents.any(|dependent| waits_for_dependents(dependent.meta())) {
            for owner in meta.owners.iter().filter(|owner| owner.block_owner_deletion) {
                let open = OwnerReference { block_owner_deletion: false, ..owner.clone() };
                cx.write(Write::Patch(key.clone(), Patch::AddOwner(open), Preconditions::uid(meta.uid)));
            }
        }
        Propagation::Foreground
    } else if meta.finalizers.contains(&ORPHAN) {
        Propagation::Orphan
    } else if meta.finalizers.contains(&FOREGROUND) {
        Propagation::Foreground
    } else {
        Propagation::Background
    };
    // Opening a circle changes the version; otherwise the object must still be the one that was judged.
    let judged = Some(meta.resource_version).filter(|_| !cx.has_writes());
    let preconditions = Preconditions { uid: Some(meta.uid), resource_version: judged };
    cx.write(Write::Delete(
        key.clone(),
        DeleteOptions { grace_seconds: None, propagation: Some(propagation), preconditions },
    ));
}
