//! What the scheduler knows beside nodes and pods: labels of namespaces, selectors of services and owners.

use crate::model::{Labels, Name, Selector};
use std::collections::BTreeMap;

/// Small look-up tables.
#[derive(Clone, Debug, Default)]
pub struct Listers {
    /// Labels of namespaces by name.
    pub namespaces: BTreeMap<Name, Labels>,
    /// Selectors of services by namespace and name; services without one are left out.
    pub services: BTreeMap<Name, BTreeMap<Name, Labels>>,
    /// Selectors of owners that count for default spreading (replica sets, stateful sets, replication
    /// controllers) by kind, namespace and name.
    pub owners: BTreeMap<(Name, Name, Name), Selector>,
    /// Disruption budgets.
    pub budgets: Vec<super::preemption::Budget>,
}

impl Listers {
    /// The labels of a namespace; none if it is unknown.
    pub fn namespace_labels(&self, namespace: &str) -> &Labels {
        const NONE: &Labels = &Labels::EMPTY;
        self.namespaces.get(namespace).unwrap_or(NONE)
    }

    /// A service went, or has no selector any more.
    pub fn forget_service(&mut self, namespace: &Name, name: &Name) {
        if let Some(services) = self.services.get_mut(namespace) {
            services.remove(name);
        }
    }

    /// What default spreading selects for a pod: the services that match it, and its controlling owner
    /// (`pkg/scheduler/framework/plugins/helper/spread.go`). Empty if nothing does.
    pub fn default_selector(&self, pod: &crate::model::Pod) -> Selector {
        let meta = &pod.meta;
        let mut pairs = Labels::EMPTY;
        for selector in self.services.get(&meta.namespace).into_iter().flat_map(BTreeMap::values) {
            if selector.subset_of(&meta.labels) {
                pairs = pairs.iter().chain(selector.iter()).cloned().collect();
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
