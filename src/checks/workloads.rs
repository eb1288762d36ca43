//! Rollouts and owners (invariants 28-30).

use super::{Bounds, Findings};
use crate::model::workload::Strategy;
use crate::model::{Deployment, Object, Pod, ReplicaSet, Resource, Uid};
use crate::store::{Change, Store};
use crate::time::SimTime;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// When wishes last changed, when pods were last lost by a fault, and how many pods each set has.
#[derive(Debug, Default)]
pub struct WorkloadChecks {
    wished: FxHashMap<Uid, SimTime>,
    lost: FxHashMap<Uid, SimTime>,
    /// Active pods of each controlling owner, and those of them that are Ready.
    pods: FxHashMap<Uid, (i32, i32)>,
}

/// 30.
pub fn owners(change: &Change, findings: &mut Findings) {
    let controllers = |object: &Object| object.meta().owners.iter().filter(|owner| owner.controller).count();
    if change.new.as_ref().is_some_and(|new| controllers(new) > 1) {
        findings.violate(30, &[&change.key], format!("{} has more than one controller", change.key));
    }
}

impl WorkloadChecks {
    /// 28 and 29.
    pub fn change(&mut self, change: &Change, bounds: &Bounds, store: &Store, findings: &mut Findings) {
        match (change.object(), &change.old, &change.new) {
            (Object::Deployment(deployment), old, _) => {
                let generation = |object: &Object| object.meta().generation;
                if old.as_ref().map(generation) != change.new.as_ref().map(generation) {
                    self.wished.insert(deployment.meta.uid, change.time);
                }
            }
            (Object::ReplicaSet(_), old, Some(Object::ReplicaSet(new))) => {
                let before = old.as_ref().and_then(ReplicaSet::of).map_or(0, |old| old.replicas);
                if new.replicas != before {
                    self.wished.insert(new.meta.uid, change.time);
                }
                if new.replicas > before {
                    self.surge(change, new, bounds, store, findings);
                }
            }
            (Object::Pod(_), old, new) => {
                let (old, new) = (old.as_ref().and_then(Object::pod), new.as_ref().and_then(Object::pod));
                self.count(old, -1);
                self.count(new, 1);
                match (old, new) {
                    (None, Some(new)) => self.made(change, new, bounds, store, findings),
                    (Some(old), new) => self.removed(change, old, new, bounds, store, findings),
                    (None, None) => {}
                }
            }
            _ => {}
        }
    }

    fn count(&mut self, pod: Option<&Arc<Pod>>, by: i32) {
        let Some(pod) = pod.filter(|pod| pod.is_active()) else { return };
        let Some(owner) = pod.meta.controller() else { return };
        let count = self.pods.entry(owner.uid).or_default();
        count.0 += by;
        count.1 += by * i32::from(pod.is_ready());
    }

    /// Whether an object's wish is old enough for everyone to have acted on it.
    fn settled(&self, uid: Uid, now: SimTime, bounds: &Bounds) -> bool {
        self.wished.get(&uid).is_none_or(|wished| now - *wished > bounds.stale)
    }

    /// 28, of wishes.
    fn surge(&self, change: &Change, set: &ReplicaSet, bounds: &Bounds, store: &Store, findings: &mut Findings) {
        let Some(deployment) = deployment_of(set.meta.controller().map(|owner| owner.uid), store) else { return };
        if change.writer != "deployment-controller" || !self.settled(deployment.meta.uid, change.time, bounds) {
            return;
        }
        let sets = store.live().controlled::<ReplicaSet>(deployment.meta.uid);
        let asked: i32 = sets.map(|set| set.replicas).sum();
        let (surge, _) = surge_and_unavailable(deployment);
        if asked > deployment.replicas + surge {
            let message = format!("{asked} pods are asked for, of {} and {surge} more", deployment.replicas);
            findings.violate(28, &[&change.key, &deployment.key()], message);
        }
    }

    /// 28, of pods: none is made beyond what its set wants.
    fn made(&self, change: &Change, pod: &Pod, bounds: &Bounds, store: &Store, findings: &mut Findings) {
        let owner = pod.meta.controller().and_then(|owner| store.live().by_uid(owner.uid));
        let Some(set) = owner.and_then(ReplicaSet::of) else { return };
        let has = self.pods.get(&set.meta.uid).map_or(0, |count| count.0);
        if has > set.replicas && self.settled(set.meta.uid, change.time, bounds) {
            let message = format!("{} is pod {has} of {}, which wants {}", change.key, set.key(), set.replicas);
            findings.violate(28, &[&change.key, &set.key()], message);
        }
    }

    /// 29.
    fn removed(
        &mut self,
        change: &Change,
        old: &Arc<Pod>,
        new: Option<&Arc<Pod>>,
        bounds: &Bounds,
        store: &Store,
        findings: &mut Findings,
    ) {
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
        // A loss excuses deletions that were decided before it; one that is ready, and not yet for long enough, takes
        // nothing away.
        let counted = old.is_available(deployment.min_ready_seconds, change.time);
        let excused = !counted || self.lost.get(&uid).is_some_and(|lost| change.time - *lost <= bounds.stale);
        if excused || deployment.strategy == Strategy::Recreate || !self.settled(uid, change.time, bounds) {
            return;
        }
        let (_, unavailable) = surge_and_unavailable(deployment);
        let available = self.available(deployment, change.time, store);
        let mixed_up = || set.is_some_and(|set| chosen_for_its_node(set, deployment, old, change.time, store));
        if available < deployment.replicas - unavailable && !mixed_up() {
            let message = format!("deleting {} leaves {available} of {} available", change.key, deployment.replicas);
            findings.violate(29, &[&change.key, &deployment.key()], message);
        }
    }

    /// Without `minReadySeconds` available is Ready, which is counted already.
    fn available(&self, deployment: &Deployment, now: SimTime, store: &Store) -> i32 {
        let view = store.live();
        let sets = view.controlled::<ReplicaSet>(deployment.meta.uid);
        if deployment.min_ready_seconds <= 0 {
            return sets.filter_map(|set| self.pods.get(&set.meta.uid)).map(|count| count.1).sum();
        }
        let pods = sets.flat_map(|set| view.controlled::<Pod>(set.meta.uid));
        pods.filter(|pod| pod.is_active() && pod.is_available(deployment.min_ready_seconds, now)).count() as i32
    }
}

/// The deployment controller has a set give up what is unavailable; which pod goes the set decides by its own ranking, in
/// which a node with more of the deployment's pods comes before how long a pod is ready
/// (`pkg/controller/deployment/rolling.go`, `cleanupUnhealthyReplicas`; `pkg/controller/controller_utils.go`,
/// `ActivePodsWithRanks`).
fn chosen_for_its_node(set: &ReplicaSet, deployment: &Deployment, gone: &Pod, now: SimTime, store: &Store) -> bool {
    let view = store.live();
    let sets = view.controlled::<ReplicaSet>(deployment.meta.uid);
    let all: Vec<&Arc<Pod>> = sets.flat_map(|set| view.controlled::<Pod>(set.meta.uid)).collect();
    // As it was when the set chose.
    let was_there = |other: &Pod| other.is_active() || other.meta.uid == gone.meta.uid;
    let beside = |pod: &Pod| all.iter().filter(|other| was_there(other) && other.node == pod.node).count();
    let young =
        |pod: &&Arc<Pod>| pod.is_active() && pod.is_ready() && !pod.is_available(deployment.min_ready_seconds, now);
    view.controlled::<Pod>(set.meta.uid).filter(young).any(|pod| beside(pod) < beside(gone))
}

fn deployment_of(owner: Option<Uid>, store: &Store) -> Option<&Arc<Deployment>> {
    store.live().by_uid(owner?).and_then(Deployment::of)
}

/// `maxSurge` and `maxUnavailable` in pods (`pkg/controller/deployment/util/deployment_util.go`, `ResolveFenceposts`).
fn surge_and_unavailable(deployment: &Deployment) -> (i32, i32) {
    match deployment.strategy {
        Strategy::Recreate => (0, deployment.replicas),
        Strategy::RollingUpdate { max_surge, max_unavailable } => {
            let (surge, unavailable) = (max_surge.up(deployment.replicas), max_unavailable.down(deployment.replicas));
            if (surge, unavailable) == (0, 0) { (0, 1) } else { (surge, unavailable) }
        }
    }
}
