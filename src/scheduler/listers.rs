//! What the scheduler knows beside nodes and pods: labels of namespaces, selectors of services and owners,
//! disruption budgets, volumes.

use super::preemption::Budget;
use super::storage::Storage;
use crate::model::{Key, Kind, Labels, Name, Object, Selector};
use std::collections::BTreeMap;

/// Selectors of services by their first pair and the service's name.
type ByPair = BTreeMap<(Name, Name), BTreeMap<Name, Labels>>;

/// Small look-up tables.
#[derive(Clone, Debug, Default)]
pub struct Listers {
    /// Labels of namespaces by name.
    pub namespaces: BTreeMap<Name, Labels>,
    /// Moves with every change of [`Self::namespaces`].
    pub namespace_changes: u64,
    /// Moves with every change of the selectors of services and of [`Self::owners`].
    pub selector_changes: u64,
    /// Selectors of services by namespace and name; services without one are left out.
    services: BTreeMap<(Name, Name), Labels>,
    /// The same by namespace and first pair: the services whose pods may carry it.
    by_pair: BTreeMap<Name, ByPair>,
    /// Selectors of owners that count for default spreading (replica sets, stateful sets, replication
    /// controllers) by kind, namespace and name.
    pub owners: BTreeMap<(Name, Name, Name), Selector>,
    /// Disruption budgets by namespace and name.
    pub budgets: BTreeMap<(Name, Name), Budget>,
    /// Volumes, claims, classes and drivers.
    pub storage: Storage,
}

impl Listers {
    /// The labels of a namespace; none if it is unknown.
    pub fn namespace_labels(&self, namespace: &str) -> &Labels {
        const NONE: &Labels = &Labels::EMPTY;
        self.namespaces.get(namespace).unwrap_or(NONE)
    }

    /// Takes a new version of an object in.
    pub fn set(&mut self, object: &Object) {
        self.note_change(object.kind());
        let (namespace, name) = (object.meta().namespace.clone(), object.meta().name.clone());
        let mut own = |selector| {
            let key = (Name::from(object.kind().as_str()), namespace.clone(), name.clone());
            self.owners.insert(key, selector);
        };
        match object {
            Object::ReplicaSet(new) => own(new.selector.clone()),
            Object::StatefulSet(new) => own(new.selector.clone()),
            Object::ReplicationController(new) => own(Selector::from_labels(&new.selector)),
            Object::Namespace(new) => drop(self.namespaces.insert(name, new.meta.labels.clone())),
            Object::Service(new) => {
                self.forget_service(&namespace, &name);
                if let Some(selector) = &new.selector {
                    self.add_service(namespace, name, selector);
                }
            }
            Object::PodDisruptionBudget(new) => drop(self.budgets.insert((namespace, name), Budget::of(new))),
            _ => _ = self.storage.set(object),
        }
    }

    /// An object went.
    pub fn forget(&mut self, key: &Key) {
        self.note_change(key.kind);
        match key.kind {
            Kind::Namespace => drop(self.namespaces.remove(&key.name)),
            Kind::Service => self.forget_service(&key.namespace, &key.name),
            Kind::PodDisruptionBudget => drop(self.budgets.remove(&(key.namespace.clone(), key.name.clone()))),
            _ if self.storage.forget(key) => {}
            kind => drop(self.owners.remove(&(Name::from(kind.as_str()), key.namespace.clone(), key.name.clone()))),
        }
    }

    fn note_change(&mut self, kind: Kind) {
        match kind {
            Kind::Namespace => self.namespace_changes += 1,
            Kind::Service | Kind::ReplicaSet | Kind::StatefulSet | Kind::ReplicationController => {
                self.selector_changes += 1;
            }
            _ => {}
        }
    }

    fn add_service(&mut self, namespace: Name, name: Name, selector: &Labels) {
        // One without pairs adds nothing to any pod's selector.
        let Some(first) = selector.iter().next() else { return };
        let by_pair = self.by_pair.entry(namespace.clone()).or_default();
        by_pair.entry(first.clone()).or_default().insert(name.clone(), selector.clone());
        self.services.insert((namespace, name), selector.clone());
    }

    /// A service went, or is about to be another.
    fn forget_service(&mut self, namespace: &Name, name: &Name) {
        let Some(selector) = self.services.remove(&(namespace.clone(), name.clone())) else { return };
        let by_pair = self.by_pair.get_mut(namespace).zip(selector.iter().next());
        if let Some(services) = by_pair.and_then(|(by_pair, first)| by_pair.get_mut(first)) {
            services.remove(name);
        }
    }

    /// What default spreading selects for a pod: the services that match it, and its controlling owner
    /// (`pkg/scheduler/framework/plugins/helper/spread.go`). Empty if nothing does.
    pub fn default_selector(&self, pod: &crate::model::Pod) -> Selector {
        let meta = &pod.meta;
        let mut pairs = Labels::EMPTY;
        if let Some(by_pair) = self.by_pair.get(&meta.namespace) {
            let services = meta.labels.iter().filter_map(|pair| by_pair.get(pair)).flat_map(BTreeMap::values);
            for selector in services.filter(|selector| selector.subset_of(&meta.labels)) {
                pairs = if pairs.is_empty() { selector.clone() } else { pairs.union(selector) };
            }
        }
        let mut selector = Selector::from_labels(&pairs);
        if let Some(owner) = meta.controller() {
            let key = (Name::from(owner.kind.as_str()), meta.namespace.clone(), owner.name.clone());
            if let Some(more) = self.owners.get(&key) {
                selector.requirements.extend(more.requirements.iter().cloned());
            }
        }
        selector
    }
}
