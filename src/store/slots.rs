//! Where objects live: one slot per object that ever was, holding the versions that someone can still see.

use super::addresses::Addresses;
use super::events::EventTable;
use super::index::Index;
use super::log::{Change, Log, Revision, Verb};
use super::view::View;
use crate::model::custom::CustomKinds;
use crate::model::{Key, Kind, Labels, Name, Object, PodSpec, Uid};
use crate::rng::{Seed, Stream};
use crate::time::SimTime;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use std::sync::Arc;

/// The number of a slot: objects in order of creation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SlotId(pub u32);

/// One version of an object; `None` is its absence.
#[derive(Debug)]
pub(super) struct Version {
    pub(super) revision: Revision,
    pub(super) object: Option<Object>,
}

/// All versions of one object, oldest first; rarely more than the one before and the one after a write.
pub(super) type Slot = SmallVec<[Version; 2]>;

/// By number; none where nothing is left.
pub(super) type Slots = Vec<Option<Box<Slot>>>;

/// Hard limits of the store; 0 is none.
#[derive(Clone, Copy, Debug, Default)]
pub struct StoreLimits {
    /// Live nodes.
    pub nodes: u64,
    /// Live pods.
    pub pods: u64,
    /// Live objects of all kinds.
    pub objects: u64,
}

/// The API server's storage.
#[derive(Debug)]
pub struct Store {
    pub(super) slots: Slots,
    pub(super) index: Index,
    pub(super) log: Log,
    pub(super) seed: Seed,
    pub(super) names: FxHashMap<(Kind, Name, Name), Stream>,
    pub(super) events: EventTable,
    pub(super) placed: FxHashMap<(Labels, [Option<Name>; 2]), Labels>,
    pub(super) admitted: FxHashMap<(u64, Labels), Arc<PodSpec>>,
    pub(super) live: FxHashMap<Kind, u64>,
    pub(super) limits: StoreLimits,
    pub(super) addresses: Addresses,
    /// The custom kinds that were ever defined.
    pub(super) kinds: CustomKinds,
    /// Whether what is written now is only asked for.
    pub(super) dry: bool,
    /// The last time a node came, went or changed its labels.
    pub(super) nodes_moved: Revision,
    trimmed: Revision,
}

impl Store {
    /// An empty store.
    pub fn new(seed: Seed, limits: StoreLimits) -> Self {
        Store {
            slots: Vec::new(),
            index: Index::default(),
            log: Log::default(),
            seed,
            names: FxHashMap::default(),
            events: EventTable::default(),
            placed: FxHashMap::default(),
            admitted: FxHashMap::default(),
            live: FxHashMap::default(),
            limits,
            addresses: Addresses::default(),
            kinds: CustomKinds::default(),
            dry: false,
            nodes_moved: 0,
            trimmed: 0,
        }
    }

    /// A store that knows these custom kinds by name already.
    #[must_use]
    pub fn knowing(self, kinds: &CustomKinds) -> Self {
        Store { kinds: kinds.clone(), ..self }
    }

    /// The newest revision.
    pub fn revision(&self) -> Revision {
        self.log.last()
    }

    /// The log's window.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Everything as it is now.
    pub fn live(&self) -> View<'_> {
        View::at(self, self.revision())
    }

    /// Everything as it was at `revision`, which nobody may have trimmed away.
    pub fn view(&self, revision: Revision) -> View<'_> {
        assert!(revision >= self.trimmed, "revision {revision} is gone: trimmed up to {}", self.trimmed);
        View::at(self, revision)
    }

    /// Live objects of a kind.
    pub fn count(&self, kind: Kind) -> u64 {
        self.live.get(&kind).copied().unwrap_or(0)
    }

    /// The uid of an object made now: a function of its key and the instant, so that one object more or
    /// less changes no other's.
    pub(super) fn fresh_uid(&self, key: &Key, now: SimTime) -> Uid {
        let words = [key.kind.group(), key.kind.as_str(), &key.namespace, &key.name];
        let [group, kind, namespace, name] = words.map(str::as_bytes);
        Uid::from_random(self.seed.bits_of("uid", &[group, kind, namespace, name, &now.0.to_le_bytes()]))
    }

    /// Makes `new` the version of `slot` (a new slot if `None`) and appends the change. The object's
    /// resource version becomes the new revision.
    pub(super) fn put(
        &mut self,
        now: SimTime,
        slot: Option<SlotId>,
        mut new: Object,
        writer: &'static str,
    ) -> Revision {
        if self.dry {
            return self.log.last();
        }
        let revision = self.log.last() + 1;
        self.forget_admitted(new.kind());
        new.meta_mut().resource_version = revision;
        let id = slot.unwrap_or_else(|| {
            self.slots.push(Some(Box::default()));
            SlotId(u32::try_from(self.slots.len() - 1).expect("fewer than 4 billion objects"))
        });
        let versions = self.slots[id.0 as usize].as_mut().expect("a slot being written is kept");
        let old = versions.last().and_then(|version| version.object.clone());
        versions.push(Version { revision, object: Some(new.clone()) });
        self.index.insert(id, old.as_ref(), &new);
        if old.is_none() {
            *self.live.entry(new.kind()).or_default() += 1;
        }
        if let Object::Node(node) = &new
            && old.as_ref().is_none_or(|old| old.meta().labels != node.meta.labels)
        {
            self.nodes_moved = revision;
        }
        self.addresses.follow(old.as_ref(), Some(&new));
        if let Object::CustomResourceDefinition(definition) = &new {
            self.kinds.learn(definition);
        }
        let verb = if old.is_some() { Verb::Modified } else { Verb::Added };
        self.log.push(id, Change { revision, time: now, key: new.key(), verb, old, new: Some(new), writer });
        revision
    }

    /// Removes the object of `slot` and appends the change.
    pub(super) fn remove(&mut self, now: SimTime, slot: SlotId, writer: &'static str) -> Revision {
        if self.dry {
            return self.log.last();
        }
        let revision = self.log.last() + 1;
        let versions = self.slots[slot.0 as usize].as_mut().expect("a slot being removed is kept");
        let old = versions.last().and_then(|version| version.object.clone()).expect("only what exists is removed");
        versions.push(Version { revision, object: None });
        self.forget_admitted(old.kind());
        *self.live.entry(old.kind()).or_default() -= 1;
        if old.kind() == Kind::Node {
            self.nodes_moved = revision;
        }
        self.addresses.follow(Some(&old), None);
        let key = old.key();
        let change = Change { revision, time: now, key, verb: Verb::Deleted, old: Some(old), new: None, writer };
        self.log.push(slot, change);
        revision
    }

    /// Drops what no reader at or after `horizon` can see.
    pub fn trim(&mut self, horizon: Revision) {
        while let Some((revision, slot)) = self.log.trim(horizon) {
            self.trimmed = revision;
            self.drop_versions(slot, horizon);
        }
    }

    fn drop_versions(&mut self, slot: SlotId, horizon: Revision) {
        let Some(versions) = self.slots[slot.0 as usize].as_mut() else { return };
        let keep_from = versions.iter().rposition(|version| version.revision <= horizon).unwrap_or(0);
        let gone: SmallVec<[Version; 1]> = versions.drain(..keep_from).collect();
        // Cloning an object is two words and a count.
        let kept: SmallVec<[Object; 2]> = versions.iter().filter_map(|version| version.object.clone()).collect();
        for object in gone.iter().filter_map(|version| version.object.as_ref()) {
            self.index.forget(slot, object, &kept);
        }
        if kept.is_empty() {
            self.slots[slot.0 as usize] = None;
        } else {
            versions.shrink_to_fit();
        }
    }

    /// The slot and live version of a key.
    pub(super) fn live_slot(&self, key: &Key) -> Option<(SlotId, &Object)> {
        live_slot(&self.index, &self.slots, key)
    }

    /// The live version in a slot.
    pub(super) fn newest(&self, slot: SlotId) -> Option<&Object> {
        newest(&self.slots, slot)
    }
}

/// The slot and live version of a key.
pub(super) fn live_slot<'a>(index: &Index, slots: &'a Slots, key: &Key) -> Option<(SlotId, &'a Object)> {
    let slot = *index.by_key.get(key)?.last()?;
    Some((slot, newest(slots, slot)?))
}

fn newest(slots: &Slots, slot: SlotId) -> Option<&Object> {
    slots[slot.0 as usize].as_ref()?.last()?.object.as_ref()
}
