//! Keeps as many pods as a ReplicaSet or a ReplicationController wishes (`pkg/controller/replicaset/replica_set.go`).
//!
//! A worked example: a set that wishes 7 pods and has 0 asks for creates in groups of 1, 2 and 4, then
//! writes its status with the counts from before.
//!
//! A ReplicationController is a ReplicaSet under another name: it is converted on the way in and on the way out
//! (`pkg/controller/replication/conversion.go`).

mod status;
mod tally;

use super::shared::rank::{self, Candidate};
use super::shared::{self, Orphans, PodControl};
use crate::model::workload::ReplicaSetStatus;
use crate::model::{Key, Kind, Labels, Name, Object, Pod, ReplicaSet, ReplicationController, Resource, Selector, Uid};
use crate::runtime::{Controller, Cx, Order, Requeue, Wake};
use crate::store::{Change, StoreError, View, Write, Written};
use crate::time::SimTime;
use std::collections::BTreeMap;
use std::sync::Arc;
use tally::Tallies;

/// Most pods created or deleted in one sync.
const BURST_REPLICAS: usize = 500;

/// The controller, for one of the two kinds.
#[derive(Debug)]
pub struct ReplicaSets {
    kind: Kind,
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
    /// It was a pod that was refused, and not the status at the end: that is worth an event and a condition.
    of_pods: bool,
    reported: bool,
    /// The namespace goes away: no pod will be created in it any more.
    ending: bool,
}

impl Controller for ReplicaSets {
    fn name(&self) -> &'static str {
        match self.kind {
            Kind::ReplicaSet => "replicaset-controller",
            _ => "replicationcontroller-controller",
        }
    }

    fn watches(&self) -> &'static [Kind] {
        match self.kind {
            Kind::ReplicaSet => &[Kind::ReplicaSet, Kind::Pod],
            _ => &[Kind::ReplicationController, Kind::Pod],
        }
    }

    /// `updateReplicaSetStatus` gets the set before its second try.
    fn reads_after_conflict(&self) -> bool {
        true
    }

    fn follows(&self, change: &Change) -> bool {
        match change.key.kind {
            Kind::Pod => shared::ownership::concerns(change, self.kind) && shared::ownership::matters(change),
            _ => !only_status(change),
        }
    }

    fn wake(&mut self, change: &Change, view: View<'_>, wake: &mut Wake<'_>) {
        match change.key.kind {
            kind if kind == self.kind && change.new.is_none() => {
                self.last.remove(&change.key);
            }
            kind if kind == self.kind => wake.add(change.key.clone()),
            Kind::Pod => {
                self.orphans.follow(change);
                self.tallies.follow(change);
                shared::owners_in(change, self.kind).for_each(|key| wake.add(key));
                let waits = |key: &Key| Some(self.fetch(key, view)?.min_ready_seconds);
                shared::availability::became_ready(change, self.kind, waits, wake);
                self.adopters(change, view).into_iter().for_each(|key| wake.add(key));
            }
            _ => {}
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        let Some(set) = self.fetch(key, cx.view) else {
            self.last.remove(key);
            return Requeue::Done;
        };
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
        let mut next = status::of(&set, tally, available, failure);
        next.terminating = next.terminating.filter(|_| self.kind == Kind::ReplicaSet);
        let changed = next != set.status;
        let requeue = match set.min_ready_seconds {
            0 => Requeue::Done,
            seconds => shared::availability::next_check(seconds, pods(), cx.now),
        };
        let write = changed.then(|| Write::UpdateStatus(self.as_written(&set, next)));
        // What went wrong is said before it is tried again.
        let failed = self.last.get(key).is_some_and(|last| last.error.is_some());
        let (before, after) = if failed { (write, None) } else { (None, write) };
        before.into_iter().for_each(|write| cx.write(write));
        self.manage(key, &set, active, wished, cx);
        after.into_iter().for_each(|write| cx.write(write));
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
            // No failure, and no use in trying again; the status is still due.
            Err(StoreError::NamespaceTerminating(_)) => {
                (last.reported, last.ending) = (true, true);
                wake.add(key.clone());
            }
            Err(error) => {
                last.done.clear();
                last.error = Some(error.to_string());
                last.of_pods = error.key().is_none_or(|key| key.kind == Kind::Pod);
            }
        }
    }
}

impl ReplicaSets {
    /// The controller of ReplicaSets, or of ReplicationControllers.
    pub fn of(kind: Kind) -> Self {
        assert!(matches!(kind, Kind::ReplicaSet | Kind::ReplicationController), "{kind} is not controlled here");
        ReplicaSets { kind, orphans: Orphans::default(), tallies: Tallies::default(), last: BTreeMap::new() }
    }

    /// The object of a key, as a ReplicaSet.
    fn fetch(&self, key: &Key, view: View<'_>) -> Option<Arc<ReplicaSet>> {
        if self.kind == Kind::ReplicaSet {
            return view.fetch_key::<ReplicaSet>(key).cloned();
        }
        let from = view.fetch_key::<ReplicationController>(key)?;
        Some(Arc::new(ReplicaSet {
            meta: from.meta.clone(),
            replicas: from.replicas,
            selector: Selector::from_labels(&from.selector),
            template: from.template.clone(),
            min_ready_seconds: from.min_ready_seconds,
            status: from.status.clone(),
            raw: None,
        }))
    }

    /// A set with a new status, as an object of its own kind. A ReplicationController says nothing of terminating pods.
    fn as_written(&self, set: &Arc<ReplicaSet>, status: ReplicaSetStatus) -> Object {
        if self.kind == Kind::ReplicaSet {
            return ReplicaSet { status, ..ReplicaSet::clone(set) }.into_object();
        }
        let required = set.selector.requirements.iter();
        let selector = required.filter_map(|r| Some((r.key.clone(), r.values.first()?.clone()))).collect();
        let written = ReplicationController {
            meta: set.meta.clone(),
            replicas: set.replicas,
            selector,
            template: set.template.clone(),
            min_ready_seconds: set.min_ready_seconds,
            status,
        };
        written.into_object()
    }

    fn control(&self, set: &Arc<ReplicaSet>) -> PodControl {
        let source = match self.kind {
            Kind::ReplicaSet => crate::name!("replicaset-controller"),
            _ => crate::name!("replication-controller"),
        };
        PodControl::new(&self.as_written(set, ReplicaSetStatus::default()), source)
    }

    fn adopters(&self, change: &Change, view: View<'_>) -> Vec<Key> {
        match self.kind {
            Kind::ReplicaSet => shared::adopters(change, view, |set: &ReplicaSet, labels| set.selector.matches(labels)),
            _ => shared::adopters(change, view, |set: &ReplicationController, labels: &Labels| {
                set.selector.subset_of(labels)
            }),
        }
    }

    /// Adopts matching orphans and releases what no longer matches; true if anything was asked for.
    fn claim(&self, key: &Key, set: &Arc<ReplicaSet>, cx: &mut Cx<'_>) -> bool {
        let namespace = &set.meta.namespace;
        let strays = self.tallies.of(set.meta.uid).of_labels(|labels| !set.selector.matches(labels)).kept;
        if self.orphans.none_in(namespace) && strays == 0 {
            return false;
        }
        let owner = shared::controller_reference(self.kind, &set.meta);
        let orphans = cx.view.pods_selected(namespace, &set.selector).into_iter().map(|pod| &**pod);
        let adopt = !set.meta.deleting() && shared::may_adopt(cx, key, set.meta.uid);
        let orphans = orphans.filter(|pod| pod.is_active());
        let writes = shared::claim::<Pod>(cx.view, &owner, &set.selector, orphans, adopt);
        let any = !writes.is_empty();
        cx.write_all(writes);
        any
    }

    /// Tells in events what the last batch did; the failure that still stands, if any, which is told when it happens.
    fn report(&mut self, key: &Key, set: &Arc<ReplicaSet>, cx: &mut Cx<'_>) -> Option<(bool, String)> {
        if !self.last.contains_key(key) {
            return None;
        }
        let control = self.control(set);
        let last = self.last.get_mut(key)?;
        let (reason, verb) = match last.creating {
            true => (crate::name!("SuccessfulCreate"), "Created"),
            false => (crate::name!("SuccessfulDelete"), "Deleted"),
        };
        for pod in last.done.drain(..) {
            cx.tell(control.event(false, reason.clone(), format!("{verb} pod: {pod}")));
        }
        last.reported = true;
        last.error.clone().filter(|_| last.of_pods).map(|error| (last.creating, error))
    }

    /// Creates or deletes pods to come nearer to the wish.
    fn manage(&mut self, key: &Key, set: &Arc<ReplicaSet>, active: usize, wished: usize, cx: &mut Cx<'_>) {
        if set.meta.deleting() || active == wished {
            self.last.remove(key);
            return;
        }
        let creating = active < wished;
        if creating && self.last.get(key).is_some_and(|last| last.ending) {
            return;
        }
        if creating {
            let missing = (wished - active).min(BURST_REPLICAS);
            let control = self.control(set);
            let create = |_| failing(control.create(shared::pod_of_template(self.kind, &set.meta, &set.template)));
            shared::slow_start((0..missing).map(create).collect()).into_iter().for_each(|group| cx.order_all(group));
        } else {
            let excess = (active - wished).min(BURST_REPLICAS);
            let active: Vec<&Arc<Pod>> =
                cx.view.controlled::<Pod>(set.meta.uid).filter(|pod| pod.is_active()).collect();
            let doomed = victims(set, &active, excess, cx.view, cx.now);
            let control = self.control(set);
            cx.order_all(doomed.into_iter().map(|pod| failing(control.delete(pod))).collect());
        }
        let before = self.last.remove(key).filter(|last| last.creating == creating);
        let (error, of_pods) = before.map_or((None, false), |last| (last.error, last.of_pods));
        self.last.insert(key.clone(), LastBatch { creating, error, of_pods, ..LastBatch::default() });
    }
}

/// An order that tells of its refusal only: what was done is told for the whole batch.
fn failing(mut order: Order) -> Order {
    order.told.iter_mut().for_each(|told| told.done.clear());
    order
}

/// The `excess` pods that go first.
fn victims<'a>(
    set: &ReplicaSet,
    active: &[&'a Arc<Pod>],
    excess: usize,
    view: View<'_>,
    now: SimTime,
) -> Vec<&'a Arc<Pod>> {
    match excess >= active.len() {
        true => active.to_vec(),
        false => by_deletion(set, active, view, now).into_iter().take(excess).map(|(_, pod)| pod).collect(),
    }
}

/// The active pods of a set in the order in which they would go, each with what decides about it.
pub fn by_deletion<'a>(
    set: &ReplicaSet,
    active: &[&'a Arc<Pod>],
    view: View<'_>,
    now: SimTime,
) -> Vec<(Candidate, &'a Arc<Pod>)> {
    let on_node = related_pods_on_nodes(set, view);
    let rank = |pod: &Pod| on_node.get(&pod.node.clone().unwrap_or_default()).copied().unwrap_or(0);
    rank::sort(active.iter().map(|pod| (Candidate::of(pod, rank(pod)), *pod)).collect(), now)
}

/// Active pods of all replica sets with the same owner, by node; those that are on none count as on one.
fn related_pods_on_nodes(set: &ReplicaSet, view: View<'_>) -> BTreeMap<Name, usize> {
    let related: Vec<Uid> = match set.meta.controller() {
        Some(owner) => view.controlled::<ReplicaSet>(owner.uid).map(|related| related.meta.uid).collect(),
        None => vec![set.meta.uid],
    };
    let mut counts = BTreeMap::new();
    let pods = related.into_iter().flat_map(|uid| view.controlled::<Pod>(uid));
    for pod in pods.filter(|pod| pod.is_active()) {
        *counts.entry(pod.node.clone().unwrap_or_default()).or_default() += 1;
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
