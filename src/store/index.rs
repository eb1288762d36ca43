//! Look-up tables over the objects. They may name an object that a reader no longer (or not yet) sees:
//! the [`View`](super::View) judges each by the version at its revision.

use super::slots::SlotId;
use crate::model::{Key, Kind, Name, Object, Uid};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use std::collections::BTreeSet;

/// Slots in order of creation.
pub type SlotSet = BTreeSet<SlotId>;

/// All tables.
#[derive(Debug, Default)]
pub struct Index {
    /// By key: the slot that is alive, or the newest that was.
    pub by_key: FxHashMap<Key, SmallVec<[SlotId; 2]>>,
    /// By kind.
    pub by_kind: FxHashMap<Kind, SlotSet>,
    /// Pods by node.
    pub by_node: FxHashMap<Name, SlotSet>,
    /// Objects by owner.
    pub by_owner: FxHashMap<Uid, SlotSet>,
    /// Pods by namespace, label key and value.
    pub by_label: FxHashMap<(Name, Name, Name), SlotSet>,
    /// Slots by the uid of their object, events aside.
    pub by_uid: FxHashMap<Uid, SlotId>,
    /// Namespaced objects by namespace.
    pub by_namespace: FxHashMap<Name, SlotSet>,
}

impl Index {
    /// Enters a version of a slot's object.
    pub fn insert(&mut self, slot: SlotId, old: Option<&Object>, new: &Object) {
        let meta = new.meta();
        if old.is_none() {
            self.by_key.entry(new.key()).or_default().push(slot);
            self.by_kind.entry(new.kind()).or_default().insert(slot);
            if has_dependents(new) {
                self.by_uid.insert(meta.uid, slot);
            }
            if !meta.namespace.is_empty() {
                self.by_namespace.entry(meta.namespace.clone()).or_default().insert(slot);
            }
        }
        if old.is_none_or(|old| old.meta().owners != meta.owners) {
            for owner in &meta.owners {
                self.by_owner.entry(owner.uid).or_default().insert(slot);
            }
        }
        if let Object::Pod(pod) = new {
            let before = old.and_then(Object::pod);
            if before.is_none_or(|before| before.node != pod.node)
                && let Some(node) = &pod.node
            {
                self.by_node.entry(node.clone()).or_default().insert(slot);
            }
            if before.is_none_or(|before| before.meta.labels != pod.meta.labels) {
                for (key, value) in pod.meta.labels.iter() {
                    let entry = (meta.namespace.clone(), key.clone(), value.clone());
                    self.by_label.entry(entry).or_default().insert(slot);
                }
            }
        }
    }

    /// Forgets what `gone` said of `slot`, except what one of the versions still kept says too.
    pub fn forget(&mut self, slot: SlotId, gone: &Object, kept: &[Object]) {
        let meta = gone.meta();
        for owner in &meta.owners {
            if !kept.iter().any(|kept| kept.meta().owners.iter().any(|have| have.uid == owner.uid)) {
                remove(&mut self.by_owner, &owner.uid, slot);
            }
        }
        if let Object::Pod(pod) = gone {
            let kept_pods = || kept.iter().filter_map(Object::pod);
            if let Some(node) = &pod.node
                && !kept_pods().any(|kept| kept.node.as_ref() == Some(node))
            {
                remove(&mut self.by_node, node, slot);
            }
            for (key, value) in pod.meta.labels.iter() {
                if !kept_pods().any(|kept| kept.meta.labels.get(key) == Some(value)) {
                    remove(&mut self.by_label, &(meta.namespace.clone(), key.clone(), value.clone()), slot);
                }
            }
        }
        if kept.is_empty() {
            self.forget_identity(slot, gone);
        }
    }

    fn forget_identity(&mut self, slot: SlotId, gone: &Object) {
        let (key, meta) = (gone.key(), gone.meta());
        if let Some(slots) = self.by_key.get_mut(&key) {
            slots.retain(|have| *have != slot);
            if slots.is_empty() {
                self.by_key.remove(&key);
            }
        }
        remove(&mut self.by_kind, &gone.kind(), slot);
        if has_dependents(gone) {
            self.by_uid.remove(&meta.uid);
        }
        if !meta.namespace.is_empty() {
            remove(&mut self.by_namespace, &meta.namespace, slot);
        }
    }
}

/// Whether an object is ever asked for by its uid, as the owner of others. Events are many and own nothing.
fn has_dependents(object: &Object) -> bool {
    !matches!(object, Object::Event(_))
}

fn remove<K: std::hash::Hash + Eq>(table: &mut FxHashMap<K, SlotSet>, key: &K, slot: SlotId) {
    if let Some(slots) = table.get_mut(key) {
        slots.remove(&slot);
        if slots.is_empty() {
            table.remove(key);
        }
    }
}
