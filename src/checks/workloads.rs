//! Rollouts and owners (invariants 28-30).

use super::Findings;
use crate::model::workload::Strategy;
use crate::model::{Deployment, Object, Pod, ReplicaSet, Resource, Uid};
use crate::store::{Change, Store};
use crate::time::{SimDuration, SimTime};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// When a deployment's wish last changed, and when it last lost a pod by a fault.
#[derive(Debug, Default)]
pub struct WorkloadChecks {
    wished: FxHashMap<Uid, SimTime>,
    lost: FxHashMap<Uid, SimTime>,
}

/// How long a controller may act on what it saw before the wish changed.
const STALE: SimDuration = SimDuration::from_secs(10);
/// How long a loss excuses deletions that were decided before it.
const EXCUSED: SimDuration = SimDuration::from_secs(30);

/// 30.
pub fn owners(change: &Change, findings: &mut Findings) {
    let controllers = |object: &Object| object.meta().owners.iter().filter(|owner| owner.controller).count();
    if change.new.as_ref().is_some_and(|new| controllers(new) > 1) {
        findings.violate(30, &[&change.key], format!("{} has more than one controller", change.key));
    }
}

impl WorkloadChecks {
    /// 28 and 29.
    pub fn change(&mut self, change: &Change, store: &Store, findings: &mut Findings) {
        match (change.object(), &change.old, &change.new) {
            (Object::Deployment(deployment), old, _) => {
                let generation = |object: &Object| object.meta().generation;
                if old.as_ref().map(generation) != change.new.as_ref().map(generation) {
                    self.wished.insert(deployment.meta.uid, change.time);
                }
            }
            (Object::ReplicaSet(_), old, Some(Object::ReplicaSet(new))) => {
                let before = old.as_ref().and_then(ReplicaSet::of).map_or(0, |old| old.replicas);
                if new.replicas > before {
                    self.surge(change, new, store, findings);
                }
            }
            (Object::Pod(_), Some(Object::Pod(old)), new) => {
                self.pod(change, old, new.as_ref().and_then(Object::pod), store, findings);
            }
            _ => {}
        }
    }

    fn settled(&self, deployment: &Deployment, now: SimTime) -> bool {
        self.wished.get(&deployment.meta.uid).is_none_or(|wished| now - *wished > STALE)
    }

    fn surge(&self, change: &Change, set: &ReplicaSet, store: &Store, findings: &mut Findings) {
        let Some(deployment) = deployment_of(set.meta.controller().map(|owner| owner.uid), store) else { return };
        if change.writer != "deployment-controller" || !self.settled(deployment, change.time) {
            return;
        }
        let sets = store.live().controlled::<ReplicaSet>(deployment.meta.uid);
        let asked: i32 = sets.map(|set| set.replicas).sum();
        let (surge, _) = bounds(deployment);
        if asked > deployment.replicas + surge {
            let message = format!("{asked} pods are asked for, of {} and {surge} more", deployment.replicas);
            findings.violate(28, &[&change.key, &deployment.key()], message);
        }
    }

    fn pod(&mut self, change: &Change, old: &Arc<Pod>, new: Option<&Arc<Pod>>, store: &Store, findings: &mut Findings) {
        let was_ready = old.is_active() && old.is_ready();
        let is_ready = new.is_some_and(|new| new.is_active() && new.is_ready());
        if !was_ready || is_ready {
            return;
        }
        let set = old.meta.controller().and_then(|owner| store.live().by_uid(owner.uid)).and_then(ReplicaSet::of);
        let owner = set.and_then(|set| set.meta.controller()).map(|owner| owner.uid);
        let Some(deployment) = deployment_of(owner, store) else { return };
        let uid = deployment.meta.uid;
        if change.writer != "replicaset-controller" {
            self.lost.insert(uid, change.time);
            return;
        }
        let excused = self.lost.get(&uid).is_some_and(|lost| change.time - *lost <= EXCUSED);
        if excused || deployment.strategy == Strategy::Recreate || !self.settled(deployment, change.time) {
            return;
        }
        let (_, unavailable) = bounds(deployment);
        let available = store
            .live()
            .controlled::<ReplicaSet>(uid)
            .flat_map(|set| store.live().controlled::<Pod>(set.meta.uid))
            .filter(|pod| pod.is_active() && pod.is_available(deployment.min_ready_seconds, change.time))
            .count();
        if (available as i32) < deployment.replicas - unavailable {
            let message = format!("deleting {} leaves {available} of {} available", change.key, deployment.replicas);
            findings.violate(29, &[&change.key, &deployment.key()], message);
        }
    }
}

fn deployment_of(owner: Option<Uid>, store: &Store) -> Option<&Arc<Deployment>> {
    store.live().by_uid(owner?).and_then(Deployment::of)
}

/// `maxSurge` and `maxUnavailable` in pods (`pkg/controller/deployment/util/deployment_util.go`, `ResolveFenceposts`).
fn bounds(deployment: &Deployment) -> (i32, i32) {
    match deployment.strategy {
        Strategy::Recreate => (0, deployment.replicas),
        Strategy::RollingUpdate { max_surge, max_unavailable } => {
            let (surge, unavailable) = (max_surge.up(deployment.replicas), max_unavailable.down(deployment.replicas));
            if (surge, unavailable) == (0, 0) { (0, 1) } else { (surge, unavailable) }
        }
    }
}
