//! Pods that wait for a node on which preemption made room: others must leave them their place
//! (`pkg/scheduler/backend/queue/nominator.go`).

use crate::model::{Name, Pod};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Nominated pods by node.
#[derive(Clone, Debug, Default)]
pub struct Nominated {
    by_node: BTreeMap<Name, Vec<Arc<Pod>>>,
}

impl Nominated {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_node.is_empty()
    }

    /// The nodes for which pods are nominated.
    pub fn nodes(&self) -> impl Iterator<Item = &Name> {
        self.by_node.keys()
    }

    /// Notes that `pod` is nominated for `node`, and for no other.
    pub fn add(&mut self, pod: &Arc<Pod>, node: &Name) {
        self.remove(&pod.meta.namespace, &pod.meta.name);
        self.by_node.entry(node.clone()).or_default().push(pod.clone());
    }

    /// Forgets the pod.
    pub fn remove(&mut self, namespace: &Name, name: &Name) {
        self.by_node.retain(|_, pods| {
            pods.retain(|pod| pod.meta.namespace != *namespace || pod.meta.name != *name);
            !pods.is_empty()
        });
    }

    /// Pods nominated for `node` that have at least the priority of `pod`, other than itself.
    pub fn rivals(&self, node: &Name, pod: &Pod) -> Vec<Arc<Pod>> {
        let there = self.by_node.get(node).into_iter().flatten();
        there
            .filter(|other| other.spec.priority >= pod.spec.priority)
            .filter(|other| other.meta.uid != pod.meta.uid)
            .cloned()
            .collect()
    }

    /// Pods nominated for `node` of lower priority than `pod`: a new nomination takes theirs away.
    pub fn lower(&self, node: &Name, priority: i32) -> Vec<Arc<Pod>> {
        self.by_node.get(node).into_iter().flatten().filter(|other| other.spec.priority < priority).cloned().collect()
    }
}
