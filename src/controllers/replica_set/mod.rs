//! Keeps as many pods as a ReplicaSet wishes (`pkg/controller/replicaset/replica_set.go`).
//!
//! A worked example: a set that wishes 7 pods and has 0 asks for creates in groups of 1, 2 and 4, then
//! writes its status with the counts from before.

mod status;
mod tally;

use super::shared::rank::{self, Candidate};
use super::shared::{self, Orphans};
use crate::model::{Key, Kind, Labels, Name, Object, Pod, ReplicaSet, Resource, Uid};
use crate::runtime::{Controller, Cx, Requeue, Wake};
use crate::store::{Change, StoreError, View, Write, Written};
use crate::time::SimTime;
use std::collections::BTreeMap;
use std::sync::Arc;
use tally::Tallies;

/// Most pods created or deleted in one sync.
const BURST_REPLICAS: usize = 500;
const SOURCE: Name = crate::name!("replicaset-controller");

/// The controller.
#[derive(Debug, Default)]
pub struct ReplicaSets {
    orphans: Orphans,
    tallies: Tallies,
    last: BTreeMap<Key, LastBatch>,
}

/// How the last creates or deletes of a set ended.
#[derive(Debug, Default)]
struct LastBatch {
    creating: bool,
    done: Vec<Name>,
    error: Option<String>,
    reported: bool,
}

impl Controller for ReplicaSets {
    fn name(&self) -> &'static str {
        "replicaset-controller"
    }

    fn watches(&self) -> &'static [Kind] {
        &[Kind::ReplicaSet, Kind::Pod]
    }

    /// `updateReplicaSetStatus` gets the set before its second try.
    fn reads_after_conflict(&self) -> bool {
        true
    }

    fn wake(&mut self, change: &Change, view: View<'_>, wake: &mut Wake<'_>) {
        match change.key.kind {
            Kind::ReplicaSet if change.new.is_none() => {
                self.last.remove(&change.key);
            }
            Kind::ReplicaSet if !only_status(change) => wake.add(change.key.clone()),
            Kind::Pod => {
                self.orphans.follow(change);
                self.tallies.follow(change);
                if matters(change) {
                    shared::owners_in(change, Kind::ReplicaSet).for_each(|key| wake.add(key));
                }
                let wants = |set: &ReplicaSet, labels: &Labels| set.selector.matches(labels);
                shared::adopters(change, view, wants).into_iter().for_each(|key| wake.add(key));
            }
            _ => {}
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        let Some(set) = cx.view.fetch_key::<ReplicaSet>(key).cloned() else { return Requeue::Done };
        if self.claim(key, &set, cx) {
            return Requeue::Done;
        }
        let failure = self.report(key, &set, cx);
        let tally = self.tallies.of(set.meta.uid);
        let active = usize::try_from(tally.total().active).expect("no pod leaves that did not come");
        let wished = usize::try_from(set.replicas).unwrap_or(0);
        let failure = failure.map(|(creating, message)| status::failure(creating, message, cx.now));
        let pods = || cx.view.controlled::<Pod>(set.meta.uid).filter(|pod| pod.is_active()).map(|pod| &**pod);
        let available = match set.min_ready_seconds {
            0 => tally.total().ready,
            seconds => pods().filter(|pod| pod.is_available(seconds, cx.now)).count() as i32,
        };
        let next = status::of(&set, tally, available, failure);
        let changed = next != set.status;
        let requeue = match set.min_ready_seconds {
            0 => Requeue::Done,
            seconds => shared::availability::next_check(seconds, pods(), cx.now),
        };
        let write = || {
            let updated = ReplicaSet { status: next, ..ReplicaSet::clone(&set) };
            Write::UpdateStatus(updated.into_object())
        };
        // What went wrong is said before it is tried again.
        let failed = self.last.get(key).is_some_and(|last| last.error.is_some());
        match (changed, failed) {
            (true, true) => {
                cx.write(write());
                self.manage(key, &set, active, wished, cx);
            }
            _ => {
                self.manage(key, &set, active, wished, cx);
                if changed {
                    cx.write(write());
                }
            }
        }
        requeue
    }

    fn settled(&mut self, key: &Key, result: Result<&[Written], &StoreError>, wake: &mut Wake<'_>) {
        let Some(last) = self.last.get_mut(key).filter(|last| !last.reported) else { return };
        match result {
            Ok(written) => {
                last.error = None;
                last.done = written.iter().filter(|w| w.key.kind == Kind::Pod).map(|w| w.key.name.clone()).collect();
                wake.add(key.clone());
            }
            Err(StoreError::NamespaceTerminating(_)) => {}
            Err(error) => {
                last.done.clear();
                last.error = Some(error.to_string());
            }
        }
    }
}

impl ReplicaSets {
    /// Adopts matching orphans and releases what no longer matches; true if anything was asked for.
    fn claim(&self, key: &Key, set: &Arc<ReplicaSet>, cx: &mut Cx<'_>) -> bool {
        let namespace = &set.meta.namespace;
        let strays = self.tallies.of(set.meta.uid).of_labels(|labels| !set.selector.matches(labels)).kept;
        if self.orphans.none_in(namespace) && strays == 0 {
            return false;
        }
        let owner = shared::controller_reference(Kind::ReplicaSet, &set.meta);
        let orphans = cx.view.pods_selected(namespace, &set.selector).into_iter().map(|pod| &**pod);
        let adopt = !set.meta.deleting() && shared::may_adopt(cx, key, set.meta.uid);
        let orphans = orphans.filter(|pod| pod.is_active());
        let writes = shared::claim::<Pod>(cx.view, &owner, &set.selector, orphans, adopt);
        let any = !writes.is_empty();
        cx.write_all(writes);
        any
    }

    /// Tells in events how the last batch ended; the failure that still stands, if any.
    fn report(&mut self, key: &Key, set: &Arc<ReplicaSet>, cx: &mut Cx<'_>) -> Option<(bool, String)> {
        let last = self.last.get_mut(key)?;
        let object = Object::ReplicaSet(set.clone());
        let (reason, failed, verb, gerund) = match last.creating {
            true => (crate::name!("SuccessfulCreate"), crate::name!("FailedCreate"), "Created", "creating"),
            false => (crate::name!("SuccessfulDelete"), crate::name!("FailedDelete"), "Deleted", "deleting"),
        };
        for pod in last.done.drain(..) {
            cx.event(&object, false, SOURCE, reason.clone(), format!("{verb} pod: {pod}"));
        }
        if let Some(error) = last.error.as_ref().filter(|_| !last.reported) {
            cx.event(&object, true, SOURCE, failed, format!("Error {gerund}: {error}"));
        }
        last.reported = true;
        last.error.clone().map(|error| (last.creating, error))
    }

    /// Creates or deletes pods to come nearer to the wish.
    fn manage(&mut self, key: &Key, set: &Arc<ReplicaSet>, active: usize, wished: usize, cx: &mut Cx<'_>) {
        if set.meta.deleting() || active == wished {
            self.last.remove(key);
            return;
        }
        let creating = active < wished;
        if creating {
            let missing = (wished - active).min(BURST_REPLICAS);
            let writes = (0..missing)
                .map(|_| {
                    Write::Create(shared::pod_of_template(Kind::ReplicaSet, &set.meta, &set.template).into_object())
                })
                .collect();
            shared::slow_start(writes).into_iter().for_each(|group| cx.write_all(group));
        } else {
            let excess = (active - wished).min(BURST_REPLICAS);
            let active: Vec<&Arc<Pod>> =
                cx.view.controlled::<Pod>(set.meta.uid).filter(|pod| pod.is_active()).collect();
            let doomed = victims(set, &active, excess, cx.view, cx.now);
            cx.write_all(doomed.into_iter().map(|pod| shared::pod_control::delete(pod)).collect());
        }
        let before = self.last.remove(key);
        let error = before.filter(|last| last.creating == creating).and_then(|last| last.error);
        self.last.insert(key.clone(), LastBatch { creating, done: Vec::new(), error, reported: false });
    }
}

/// The `excess` pods that go first.
fn victims<'a>(
    set: &ReplicaSet,
    active: &[&'a Arc<Pod>],
    excess: usize,
    view: View<'a>,
    now: SimTime,
) -> Vec<&'a Arc<Pod>> {
    if excess >= active.len() {
        return active.to_vec();
    }
    let on_node = related_pods_on_nodes(set, view);
    let rank = |pod: &Pod| pod.node.as_ref().and_then(|node| on_node.get(node)).copied().unwrap_or(0);
    let ranked = active.iter().map(|pod| (Candidate::of(pod, rank(pod)), *pod)).collect();
    rank::sort(ranked, now).into_iter().take(excess).map(|(_, pod)| pod).collect()
}

/// Active pods of all replica sets with the same owner, by node.
fn related_pods_on_nodes(set: &ReplicaSet, view: View<'_>) -> BTreeMap<Name, usize> {
    let related: Vec<Uid> = match set.meta.controller() {
        Some(owner) => view.controlled::<ReplicaSet>(owner.uid).map(|related| related.meta.uid).collect(),
        None => vec![set.meta.uid],
    };
    let mut counts = BTreeMap::new();
    let pods = related.into_iter().flat_map(|uid| view.controlled::<Pod>(uid));
    for node in pods.filter(|pod| pod.is_active()).filter_map(|pod| pod.node.as_ref()) {
        *counts.entry(node.clone()).or_default() += 1;
    }
    counts
}

/// Whether a change of a replica set touches nothing but its status.
fn only_status(change: &Change) -> bool {
    let (Some(old), Some(new)) = (&change.old, &change.new) else { return false };
    let (old, new) = (old.meta(), new.meta());
    old.uid == new.uid
        && old.generation == new.generation
        && old.deletion == new.deletion
        && old.labels == new.labels
        && old.owners == new.owners
}

/// Whether a change of a pod can matter to its replica set.
fn matters(change: &Change) -> bool {
    let (Some(Object::Pod(old)), Some(Object::Pod(new))) = (&change.old, &change.new) else { return true };
    old.status.phase != new.status.phase
        || old.meta.deleting() != new.meta.deleting()
        || old.ready_since() != new.ready_since()
        || old.meta.labels != new.meta.labels
        || old.meta.owners != new.meta.owners
}
