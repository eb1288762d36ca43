//! Whose an object is: references to the managing controller, adoption and release
//! (`pkg/controller/controller_ref_manager.go`).
//!
//! A worked example: a pod without owner whose labels match a set's selector gets a reference to the set; a pod of
//! the set whose label was changed loses it.

use crate::model::{Key, Kind, Labels, Meta, Name, Object, OwnerReference, Resource, Selector, Uid};
use crate::runtime::Cx;
use crate::store::{Change, Patch, Preconditions, View, Write};
use std::collections::{BTreeMap, BTreeSet};

/// The reference that makes an object the managing controller of another.
pub fn controller_reference(kind: Kind, owner: &Meta) -> OwnerReference {
    OwnerReference { kind, name: owner.name.clone(), uid: owner.uid, controller: true, block_owner_deletion: true }
}

/// Objects of one kind that no controller manages, by namespace: those that a controller might adopt.
#[derive(Debug, Default)]
pub struct Orphans(BTreeMap<Name, BTreeSet<Name>>);

impl Orphans {
    /// Follows a change of an object of the kind.
    pub fn follow(&mut self, change: &Change) {
        let orphan = change.new.as_ref().is_some_and(|new| new.meta().controller().is_none());
        let names = self.0.entry(change.key.namespace.clone()).or_default();
        if orphan {
            names.insert(change.key.name.clone());
        } else {
            names.remove(&change.key.name);
        }
    }

    /// The orphans in a namespace.
    pub fn in_namespace(&self, namespace: &Name) -> impl Iterator<Item = &Name> {
        self.0.get(namespace).into_iter().flatten()
    }

    /// Whether a namespace has none.
    pub fn none_in(&self, namespace: &Name) -> bool {
        self.0.get(namespace).is_none_or(BTreeSet::is_empty)
    }
}

/// The owner of a kind that a change of one of its objects concerns: before and after.
pub fn owners_in(change: &Change, kind: Kind) -> impl Iterator<Item = Key> + use<'_> {
    let of = move |object: &Object| {
        let owner = object.meta().controller().filter(|owner| owner.kind == kind)?;
        Some((owner.uid, Key::new(kind, object.meta().namespace.clone(), owner.name.clone())))
    };
    let new = change.new.as_ref().and_then(of);
    let old = change.old.as_ref().and_then(of).filter(|old| new.as_ref() != Some(old));
    new.into_iter().chain(old).map(|(_, key)| key)
}

/// Whether `key` still names the live, undeleted object with `uid`: asked before adopting anything.
pub fn may_adopt(cx: &Cx<'_>, key: &Key, uid: Uid) -> bool {
    cx.live().get(key).is_some_and(|owner| owner.meta().uid == uid && !owner.meta().deleting())
}

/// The writes that adopt `orphans` for `owner`, and release what it owns but no longer matches.
pub fn claim<'a, T: Resource + 'a>(
    view: View<'_>,
    owner: &OwnerReference,
    selector: &Selector,
    orphans: impl Iterator<Item = &'a T>,
    adopt: bool,
) -> Vec<Write> {
    let mut writes = Vec::new();
    for orphan in orphans {
        let meta = orphan.meta();
        if adopt && !meta.deleting() && meta.controller().is_none() && selector.matches(&meta.labels) {
            let patch = Patch::AddOwner(owner.clone());
            writes.push(Write::Patch(orphan.key(), patch, Preconditions::uid(meta.uid)));
        }
    }
    for object in view.dependents(owner.uid).filter(|object| object.kind() == T::KIND) {
        let meta = object.meta();
        let ours = meta.controller().is_some_and(|have| have.uid == owner.uid);
        if ours && !meta.deleting() && !selector.matches(&meta.labels) {
            let patch = Patch::RemoveOwners(vec![owner.uid]);
            writes.push(Write::Patch(object.key(), patch, Preconditions::uid(meta.uid)));
        }
    }
    writes
}

/// The owners of a type that might adopt an object that has just become an orphan or changed its labels;
/// `selects` says whether an owner wants objects with these labels.
pub fn adopters<T: Resource>(change: &Change, view: View<'_>, selects: impl Fn(&T, &Labels) -> bool) -> Vec<Key> {
    let Some(meta) = change.new.as_ref().map(Object::meta) else { return Vec::new() };
    let moved =
        change.old.as_ref().is_none_or(|old| old.meta().labels != meta.labels || old.meta().controller().is_some());
    if meta.controller().is_some() || !moved || meta.labels.is_empty() {
        return Vec::new();
    }
    let owners = view.list_in::<T>(&meta.namespace);
    owners.filter(|owner| selects(owner, &meta.labels)).map(|owner| owner.key()).collect()
}

/// Whether a change of an object concerns the controllers of `kind`: it is or was one of theirs, or nobody's.
pub fn concerns(change: &Change, kind: Kind) -> bool {
    let theirs = |object: &Object| object.meta().controller().is_none_or(|owner| owner.kind == kind);
    change.old.iter().chain(&change.new).any(theirs)
}

/// Whether a change of a pod can matter to the set that owns it.
pub fn matters(change: &Change) -> bool {
    let (Some(Object::Pod(old)), Some(Object::Pod(new))) = (&change.old, &change.new) else { return true };
    old.status.phase != new.status.phase
        || old.meta.deleting() != new.meta.deleting()
        || old.ready_since() != new.ready_since()
        || old.meta.labels != new.meta.labels
        || old.meta.owners != new.meta.owners
}
