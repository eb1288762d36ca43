//! The cluster as one reader sees it: every object in its version at the reader's revision.

use super::log::Revision;
use super::slots::{SlotId, Store};
use crate::model::core::Lease;
use crate::model::custom::CustomKinds;
use crate::model::{
    CustomResourceDefinition, Key, Kind, Labels, Machine, Name, Node, Object, Pod, Resource, Selector, Uid,
};
use crate::rng::{Seed, Stream};
use crate::time::{SimDuration, SimTime};
use smallvec::SmallVec;
use std::sync::Arc;

/// Different labels whose verdict is remembered while selecting pods: one for each zone, and some.
const JUDGED: usize = 6;

/// A reader's eyes. Lists come in order of creation.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    store: &'a Store,
    at: Revision,
}

impl<'a> View<'a> {
    pub(super) fn at(store: &'a Store, at: Revision) -> Self {
        View { store, at }
    }

    /// The revision it shows.
    pub fn revision(&self) -> Revision {
        self.at
    }

    fn visible(&self, slot: SlotId) -> Option<&'a Object> {
        let versions = self.store.slots[slot.0 as usize].as_ref()?;
        versions.iter().rev().find(|version| version.revision <= self.at)?.object.as_ref()
    }

    /// The object with that key.
    pub fn get(&self, key: &Key) -> Option<&'a Object> {
        self.store.index.by_key.get(key)?.iter().rev().find_map(|slot| self.visible(*slot))
    }

    /// The typed object with that name.
    pub fn fetch<T: Resource + 'a>(&self, namespace: &Name, name: &Name) -> Option<&'a Arc<T>> {
        self.get(&Key { kind: T::KIND, namespace: namespace.clone(), name: name.clone() }).and_then(T::of)
    }

    /// The typed object of a key.
    pub fn fetch_key<T: Resource + 'a>(&self, key: &Key) -> Option<&'a Arc<T>> {
        self.get(key).and_then(T::of)
    }

    /// The node of that name.
    pub fn node(&self, name: &Name) -> Option<&'a Arc<Node>> {
        self.fetch::<Node>(&Name::new(), name)
    }

    /// The object with that uid.
    pub fn by_uid(&self, uid: Uid) -> Option<&'a Object> {
        self.store.index.by_uid.get(&uid).and_then(|slot| self.visible(*slot))
    }

    fn of_slots(&self, slots: Option<&'a super::index::SlotSet>) -> impl Iterator<Item = &'a Object> + use<'a> {
        let view = *self;
        slots.into_iter().flatten().filter_map(move |slot| view.visible(*slot))
    }

    /// Every kind that there may be objects of.
    pub fn kinds(&self) -> impl Iterator<Item = Kind> + use<'a> {
        Kind::ALL.iter().copied().chain(self.store.kinds.iter())
    }

    /// The custom kinds that were ever defined.
    pub fn custom_kinds(&self) -> &'a CustomKinds {
        &self.store.kinds
    }

    /// The custom kind that a definition names.
    pub fn kind_of(&self, definition: &CustomResourceDefinition) -> Option<Kind> {
        self.store.kinds.of_group(&definition.group, &definition.names.kind)
    }

    /// All objects of a kind.
    pub fn objects(&self, kind: Kind) -> impl Iterator<Item = &'a Object> + use<'a> {
        self.of_slots(self.store.index.by_kind.get(&kind))
    }

    /// All objects of a type.
    pub fn list<T: Resource + 'a>(&self) -> impl Iterator<Item = &'a Arc<T>> + use<'a, T> {
        self.objects(T::KIND).filter_map(T::of)
    }

    /// All objects of a type in a namespace.
    pub fn list_in<T: Resource + 'a>(&self, namespace: &Name) -> impl Iterator<Item = &'a Arc<T>> + use<'a, T> {
        let namespace = namespace.clone();
        self.list::<T>().filter(move |object| object.meta().namespace == namespace)
    }

    /// Everything in a namespace.
    pub fn in_namespace(&self, namespace: &Name) -> impl Iterator<Item = &'a Object> + use<'a> {
        self.of_slots(self.store.index.by_namespace.get(namespace))
    }

    /// The pods bound to a node.
    pub fn pods_on(&self, node: &Name) -> impl Iterator<Item = &'a Arc<Pod>> + use<'a> {
        let wanted = node.clone();
        self.of_slots(self.store.index.by_node.get(node))
            .filter_map(Pod::of)
            .filter(move |pod| pod.node.as_ref() == Some(&wanted))
    }

    /// Everything that names `owner` as an owner.
    pub fn dependents(&self, owner: Uid) -> impl Iterator<Item = &'a Object> + use<'a> {
        self.of_slots(self.store.index.by_owner.get(&owner))
            .filter(move |object| object.meta().owners.iter().any(|have| have.uid == owner))
    }

    /// The objects of a type whose managing controller is `owner`.
    pub fn controlled<T: Resource + 'a>(&self, owner: Uid) -> impl Iterator<Item = &'a Arc<T>> + use<'a, T> {
        self.dependents(owner)
            .filter_map(T::of)
            .filter(move |object| object.meta().controller().is_some_and(|have| have.uid == owner))
    }

    /// The pods of a namespace that a selector matches, through the label index where it can.
    pub fn pods_selected(&self, namespace: &Name, selector: &Selector) -> Vec<&'a Arc<Pod>> {
        // Pods of one template share their labels: judged once.
        let mut judged: SmallVec<[(&Labels, bool); JUDGED]> = SmallVec::new();
        let mut next = 0;
        let matches = move |pod: &&'a Arc<Pod>| {
            let labels = &pod.meta.labels;
            if let Some((_, known)) = judged.iter().find(|(known, _)| known.shares(labels)) {
                return *known;
            }
            let verdict = (labels, selector.matches(labels));
            match judged.len() < JUDGED {
                true => judged.push(verdict),
                false => judged[next % JUDGED] = verdict,
            }
            next += 1;
            verdict.1
        };
        match selector.exact_pair() {
            Some((key, value)) => {
                let entry = (namespace.clone(), key.clone(), value.clone());
                self.of_slots(self.store.index.by_label.get(&entry)).filter_map(Pod::of).filter(matches).collect()
            }
            None => self.list_in::<Pod>(namespace).filter(matches).collect(),
        }
    }

    /// The pods of those names in a namespace, in order of creation.
    pub fn named_in<'n>(&self, namespace: &Name, names: impl IntoIterator<Item = &'n Name>) -> Vec<&'a Arc<Pod>> {
        let found = names.into_iter().filter_map(|name| {
            let slots = self.store.index.by_key.get(&Key::new(Kind::Pod, namespace.clone(), name.clone()))?;
            slots.iter().rev().find_map(|slot| Some((*slot, Pod::of(self.visible(*slot)?)?)))
        });
        let mut found: Vec<(SlotId, &'a Arc<Pod>)> = found.collect();
        found.sort_unstable_by_key(|(slot, _)| *slot);
        found.into_iter().map(|(_, pod)| pod).collect()
    }

    /// Whether some node may have come, gone or changed its labels since `revision`.
    pub fn nodes_moved_since(&self, revision: Revision) -> bool {
        self.store.nodes_moved > revision
    }

    /// When the lease of a node was last renewed, as of `now`. A healthy kubelet's renewals are not written
    /// one by one: they are a function of when it began to work, computed when someone asks.
    pub fn lease_renewed(&self, node: &Name, now: SimTime) -> Option<SimTime> {
        let machine = self.fetch::<Machine>(&Name::new(), node)?;
        self.renewed_by(machine, now)
    }

    /// When the kubelet of a machine, one that may be gone by now, renewed its lease last as of `now`.
    pub fn renewed_by(&self, machine: &Machine, now: SimTime) -> Option<SimTime> {
        let until = if machine.up { now } else { machine.down_since.min(now) };
        let mut beats = Heartbeats::of(self.store, machine);
        let mut last = None;
        loop {
            let next = beats.next_beat();
            if next > until {
                return last.or_else(|| self.lease(&machine.meta.name).map(|lease| lease.renewed));
            }
            last = Some(next);
        }
    }

    fn lease(&self, node: &Name) -> Option<&'a Arc<Lease>> {
        self.fetch::<Lease>(&crate::name!("kube-node-lease"), node)
    }
}

/// The renewals of one kubelet since it began to work: every 10 s, up to 4 % later
/// (`staging/src/k8s.io/component-helpers/apimachinery/lease/controller.go`). They never end.
#[derive(Debug)]
pub struct Heartbeats {
    stream: Stream,
    next: SimTime,
}

impl Heartbeats {
    const INTERVAL: SimDuration = SimDuration::from_secs(10);
    const JITTER: f64 = 0.04;

    /// Those of the node's kubelet that began at `up_since`, in a run with this seed.
    pub fn new(seed: Seed, node: &Name, up_since: SimTime) -> Self {
        Heartbeats { stream: seed.stream("lease", &format!("{node}@{}", up_since.0)), next: up_since }
    }

    fn of(store: &Store, machine: &Machine) -> Self {
        Heartbeats::new(store.seed, &machine.meta.name, machine.up_since)
    }

    fn next_beat(&mut self) -> SimTime {
        let beat = self.next;
        self.next += Self::INTERVAL.scaled(1.0 + Self::JITTER * self.stream.unit());
        beat
    }
}

impl Iterator for Heartbeats {
    type Item = SimTime;

    fn next(&mut self) -> Option<SimTime> {
        Some(self.next_beat())
    }
}
