//! What the scheduler hears: changes go to the snapshot, the queue and the listers, and waiting pods that
//! they may help are woken (`pkg/scheduler/eventhandlers.go`).

use super::hint::{Hint, NodeChange, Occasion, PodChange};
use super::queue::QueuedPod;
use super::{ProfileRules, Scheduler};
use crate::model::{Kind, Object, Pod};
use crate::store::Change;
use crate::time::SimTime;
use std::sync::Arc;

/// The scheduler's watch leaves ended pods out: to it, a pod that ends is deleted.
pub(super) fn live(object: &Option<Object>) -> Option<&Arc<Pod>> {
    object.as_ref().and_then(Object::pod).filter(|pod| !pod.status.phase.terminal())
}

impl Scheduler {
    /// Takes a change in. Whether the queue may have changed.
    pub(super) fn hear(&mut self, change: &Change, now: SimTime) -> bool {
        match change.key.kind {
            Kind::Pod => self.hear_pod(live(&change.old).cloned(), live(&change.new).cloned(), now),
            Kind::Node => self.hear_node(change, now),
            _ => self.hear_lister(change, now),
        }
    }

    fn hear_pod(&mut self, old: Option<Arc<Pod>>, new: Option<Arc<Pod>>, now: SimTime) -> bool {
        if self.follows_pods {
            self.followed_pod(old.as_ref(), new.as_ref(), now);
        }
        let bound = |pod: &Option<Arc<Pod>>| pod.as_ref().is_some_and(|pod| pod.node.is_some());
        match (&old, &new) {
            (Some(old), Some(new)) if old.node.is_some() => self.bound_pod_changed(old, new, now),
            (_, Some(new)) if new.node.is_some() => self.pod_bound(new, now),
            (_, Some(new)) => self.waiting_pod(old.as_ref(), new, now),
            (Some(old), None) if bound(&Some(old.clone())) => {
                self.snapshot.unplace(&old.meta.namespace, &old.meta.name);
                self.tell(&Occasion::PodDelete(old), now)
            }
            (Some(old), None) => self.waiting_pod_gone(old, now),
            (None, None) => false,
        }
    }

    /// Plugins that follow all pods are told; a new one may help others even before it has a node.
    fn followed_pod(&mut self, old: Option<&Arc<Pod>>, new: Option<&Arc<Pod>>, now: SimTime) {
        for plugin in self.frameworks.iter().flat_map(|framework| &framework.profile.plugins) {
            plugin.pod_changed(old.map(|pod| &**pod), new.map(|pod| &**pod), now);
        }
        if let (None, Some(new)) = (old, new) {
            self.tell(&Occasion::PodSeen(new), now);
        }
    }

    /// A pod was bound, by this scheduler or by someone else.
    fn pod_bound(&mut self, pod: &Arc<Pod>, now: SimTime) -> bool {
        let key = (pod.meta.namespace.clone(), pod.meta.name.clone());
        let node = pod.node.as_ref().expect("it is bound");
        let info = self.snapshot.compile(pod);
        self.snapshot.place(info, node);
        self.assumed.remove(&key);
        self.nominated.remove(&key.0, &key.1);
        self.queue.delete(&key);
        self.tell(&Occasion::PodAdd(pod), now)
    }

    fn bound_pod_changed(&mut self, old: &Arc<Pod>, new: &Arc<Pod>, now: SimTime) -> bool {
        if self.minds_bound(old, new) {
            let node = new.node.as_ref().expect("bound pods stay bound");
            let info = self.snapshot.compile(new);
            self.snapshot.place(info, node);
        }
        let what = PodChange::between(old, new);
        what.any() && self.tell(&Occasion::PodUpdate { old, new, what }, now)
    }

    /// Whether a change of a pod with a node can matter to those without.
    pub(super) fn minds_bound(&self, old: &Arc<Pod>, new: &Arc<Pod>) -> bool {
        let moved = old.node != new.node || old.meta.uid != new.meta.uid;
        let same_spec = Arc::ptr_eq(&old.spec, &new.spec) || old.spec == new.spec;
        let measured = self.measures && (old.usage() != new.usage() || old.status.phase != new.status.phase);
        let goes = old.meta.deleting() != new.meta.deleting();
        moved || goes || !same_spec || measured || PodChange::between(old, new).any()
    }

    fn waiting_pod(&mut self, old: Option<&Arc<Pod>>, new: &Arc<Pod>, now: SimTime) -> bool {
        let key = (new.meta.namespace.clone(), new.meta.name.clone());
        if let Some(node) = &new.status.nominated_node {
            self.nominated.add(new, node);
        } else if old.is_some_and(|old| old.status.nominated_node.is_some()) {
            self.nominated.remove(&key.0, &key.1);
        }
        if self.framework_of(new).is_none() || (old.is_none() && self.assumed.contains_key(&key)) {
            return false;
        }
        let info = self.snapshot.compile(new);
        let rules = ProfileRules(&self.frameworks);
        match old.filter(|old| old.meta.uid == new.meta.uid) {
            None => self.queue.add(info, now, &rules),
            Some(old) => {
                let what = PodChange::between(old, new);
                let change = Occasion::PodUpdate { old, new, what };
                self.queue.update(info, Some(&change).filter(|_| what.any()), now, &rules);
            }
        }
        true
    }

    fn waiting_pod_gone(&mut self, pod: &Arc<Pod>, now: SimTime) -> bool {
        let key = (pod.meta.namespace.clone(), pod.meta.name.clone());
        self.queue.delete(&key);
        self.nominated.remove(&key.0, &key.1);
        self.preparing.remove(&key);
        if let Some(assumed) = self.assumed.remove(&key) {
            self.unreserve(&assumed);
            self.snapshot.unplace(&key.0, &key.1);
            return self.tell(&Occasion::PodDelete(pod), now);
        }
        // Someone may have waited for the place it was nominated for.
        pod.status.nominated_node.is_some() && self.tell(&Occasion::PodDelete(pod), now)
    }

    fn hear_node(&mut self, change: &Change, now: SimTime) -> bool {
        let node = |object: &Option<Object>| object.as_ref().and_then(|object| object.node()).cloned();
        match (node(&change.old), node(&change.new)) {
            (old, Some(new)) => {
                self.snapshot.set_node(&new);
                match &old {
                    None => self.tell(&Occasion::NodeAdd(&new), now),
                    Some(old) => {
                        let what = NodeChange::between(old, &new);
                        what.any() && self.tell(&Occasion::NodeUpdate { old, new: &new, what }, now)
                    }
                }
            }
            (Some(old), None) => {
                self.snapshot.remove_node(&old.meta.name);
                self.tell(&Occasion::NodeDelete(&old), now)
            }
            (None, None) => false,
        }
    }

    fn hear_lister(&mut self, change: &Change, now: SimTime) -> bool {
        let listers = &mut self.snapshot.listers;
        match &change.new {
            Some(new) => listers.set(new),
            None => listers.forget(&change.key),
        }
        let (old, new) = (change.old.as_ref(), change.new.as_ref());
        match change.key.kind {
            Kind::PersistentVolume | Kind::PersistentVolumeClaim | Kind::StorageClass | Kind::CSINode => {
                self.volumes_changed(now);
                self.tell(&Occasion::Storage { old, new }, now)
            }
            kind => self.tell(&Occasion::Other(kind), now),
        }
    }

    /// Wakes the pods that `occasion` may help. Whether there are any that could run.
    pub(super) fn tell(&mut self, occasion: &Occasion<'_>, now: SimTime) -> bool {
        let rules = ProfileRules(&self.frameworks);
        self.queue.wake(occasion, None, now, &rules);
        true
    }
}

impl ProfileRules<'_> {
    /// Asks the plugins that rejected the pod.
    pub(super) fn asks(&self, queued: &QueuedPod, occasion: &Occasion<'_>) -> Hint {
        let name = &queued.info.spec.spec.scheduler_name;
        let Some(framework) = self.0.iter().find(|f| f.profile.scheduler_name == *name) else { return Hint::Skip };
        let blamed = framework.profile.plugins.iter().filter(|plugin| queued.rejectors.contains(&plugin.name()));
        let helps = |hint| Hint::from(hint);
        helps(blamed.into_iter().any(|plugin| plugin.helps(&queued.info, occasion) == Hint::Queue))
    }
}
