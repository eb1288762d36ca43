//! Keeps one pod on every node that a daemon set wants (`pkg/controller/daemon/daemon_controller.go`).
//!
//! A worked example: a node joins and is ready; the set makes a pod whose affinity names that node alone, and the
//! scheduler binds it like any other.

mod backoff;
pub mod placement;
pub mod status;
pub mod sync;

use super::shared::{self, PodControl, Strays, history, slow_start};
use crate::model::sets::keys;
use crate::model::{ControllerRevision, DaemonSet, Key, Kind, Labels, Name, Node, Object, Pod, Resource};
use crate::runtime::{Controller, Cx, Order, Requeue, Wake};
use crate::store::{Change, View, Write};
use crate::time::SimDuration;
use backoff::FailedPods;
use placement::Fit;
use std::sync::Arc;

const SOURCE: Name = crate::name!("daemonset-controller");
/// Most pods created, and most deleted, in one sync.
const BURST_REPLICAS: usize = 250;

/// The controller.
#[derive(Debug, Default)]
pub struct DaemonSets {
    strays: Strays,
    failed: FailedPods,
}

impl Controller for DaemonSets {
    fn name(&self) -> &'static str {
        "daemonset-controller"
    }

    fn watches(&self) -> &'static [Kind] {
        &[Kind::DaemonSet, Kind::Pod, Kind::Node, Kind::ControllerRevision]
    }

    fn follows(&self, change: &Change) -> bool {
        let ours = || shared::ownership::concerns(change, Kind::DaemonSet);
        match change.key.kind {
            Kind::Pod => ours() && (shared::ownership::matters(change) || bound(change)),
            Kind::Node => moves_pods(change),
            Kind::ControllerRevision => ours(),
            _ => true,
        }
    }

    fn wake(&mut self, change: &Change, view: View<'_>, wake: &mut Wake<'_>) {
        match change.key.kind {
            Kind::DaemonSet if change.new.is_none() => self.failed.forget(&change.key),
            Kind::DaemonSet => wake.add(change.key.clone()),
            Kind::Pod => {
                self.strays.follow(change);
                shared::owners_in(change, Kind::DaemonSet).for_each(|key| wake.add(key));
                let waits = |key: &Key| Some(view.fetch_key::<DaemonSet>(key)?.min_ready_seconds);
                shared::availability::became_ready(change, Kind::DaemonSet, waits, wake);
                let wants = |set: &DaemonSet, labels: &Labels| set.selector.matches(labels);
                shared::adopters(change, view, wants).into_iter().for_each(|key| wake.add(key));
            }
            Kind::Node => concerned(change, view).for_each(|key| wake.add(key)),
            Kind::ControllerRevision => self.strays.follow(change),
            _ => {}
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        let Some(set) = cx.view.fetch_key::<DaemonSet>(key).cloned() else { return Requeue::Done };
        let control = PodControl::new(&Object::DaemonSet(set.clone()), SOURCE);
        if set.selector.is_empty() {
            let message = "This daemon set is selecting all pods. A non-empty selector is required.";
            cx.tell(control.event(true, crate::name!("SelectingAll"), message));
            return Requeue::Done;
        }
        // Its history may be gone already, so nothing can be said of it.
        if set.meta.deleting() || self.strays.claim(cx, key, (&set.meta, &set.selector), |_| true) {
            return Requeue::Done;
        }
        let view = cx.view;
        let revisions = history::revisions_of(view, set.meta.uid);
        let owner = history::Owner { kind: Kind::DaemonSet, meta: &set.meta, template: &set.template };
        let taken = |name: &Name| view.fetch::<ControllerRevision>(&key.namespace, name).cloned();
        let newest = history::newest(owner, &revisions, set.status.collision_count.unwrap_or(0), taken);
        let hash = newest.revision.meta.labels.get(&keys::REVISION_HASH).cloned().unwrap_or_default();
        let template = placement::template(&set, &hash);
        let nodes: Vec<Arc<Node>> = view.list::<Node>().cloned().collect();
        let owned: Vec<&Arc<Pod>> = view.controlled::<Pod>(set.meta.uid).collect();
        let pods = sync::by_node(owned.iter().copied());
        let input =
            sync::Input { now: cx.now, set: &set, hash: &hash, template: &template, nodes: &nodes, pods: &pods };
        let mut plan = sync::plan(&input);
        let wait = self.take_over(key, &input, &mut plan, &control, cx);
        newest.write.clone().into_iter().for_each(|write| cx.write(write));
        order(&input, &plan, &control, cx);
        let live = |revision: &ControllerRevision| {
            let hash = revision.meta.labels.get(&keys::REVISION_HASH);
            revision.meta.name == newest.revision.meta.name
                || owned.iter().any(|pod| hash.is_some() && pod.meta.labels.get(&keys::REVISION_HASH) == hash)
        };
        cx.write_all(history::surplus(&revisions, set.revision_history_limit, live));
        let next = status::of(&input, newest.collisions);
        if next != set.status {
            let mut updated = DaemonSet { status: next, ..DaemonSet::clone(&set) };
            updated.meta.resource_version = 0;
            cx.write_anyway(Write::UpdateStatus(updated.into_object()));
        }
        let check = shared::availability::next_check(set.min_ready_seconds, owned.iter().map(|pod| &***pod), cx.now);
        earlier(check, wait)
    }
}

/// The writes of a plan: creates slowly at first, deletes all at once.
fn order(input: &sync::Input<'_>, plan: &sync::Plan, control: &PodControl, cx: &mut Cx<'_>) {
    let made = plan.create.iter().take(BURST_REPLICAS);
    let creates: Vec<Order> =
        made.map(|node| control.create(placement::pod_for(input.set, input.template, node))).collect();
    slow_start(creates).into_iter().for_each(|group| cx.order_all(group));
    cx.order_all(plan.delete.iter().take(BURST_REPLICAS).map(|pod| control.delete(pod)).collect());
}

/// The earlier of two appointments.
fn earlier(check: Requeue, wait: Option<SimDuration>) -> Requeue {
    match (check, wait) {
        (Requeue::After(check), Some(wait)) => Requeue::After(check.min(wait)),
        (_, Some(wait)) => Requeue::After(wait),
        (check, None) => check,
    }
}

/// Whether a pod was bound: it no longer stands where it was meant to go, but where it is.
fn bound(change: &Change) -> bool {
    let (Some(Object::Pod(old)), Some(Object::Pod(new))) = (&change.old, &change.new) else { return true };
    old.node != new.node
}

/// Whether a change of a node can move a set's pods.
fn moves_pods(change: &Change) -> bool {
    match (&change.old, &change.new) {
        (Some(Object::Node(old)), Some(Object::Node(new))) => {
            old.meta.labels != new.meta.labels || old.taints != new.taints
        }
        (_, new) => new.is_some(),
    }
}

/// The sets that a change of a node concerns: those that should have a pod there now and should not before, or the
/// other way round.
fn concerned<'a>(change: &'a Change, view: View<'a>) -> impl Iterator<Item = Key> + use<'a> {
    let node = |object: &'a Option<Object>| object.as_ref().and_then(Object::node);
    let (old, new) = (node(&change.old), node(&change.new));
    let sets = view.list::<DaemonSet>();
    sets.filter(move |set| {
        let template = placement::template(set, &Name::new());
        let fit = |node: Option<&Arc<Node>>| node.map(|node| placement::fit(&template, node));
        match fit(old) {
            None => fit(new) == Some(Fit::Run),
            before => before != fit(new),
        }
    })
    .map(|set| set.key())
}

impl DaemonSets {
    /// Lets failed pods go when their time has come, and ended ones at once; how long the next has to wait.
    fn take_over(
        &mut self,
        key: &Key,
        input: &sync::Input<'_>,
        plan: &mut sync::Plan,
        control: &PodControl,
        cx: &mut Cx<'_>,
    ) -> Option<SimDuration> {
        let mut shortest: Option<SimDuration> = None;
        let generation = input.set.status.observed_generation;
        for (node, pod) in std::mem::take(&mut plan.over) {
            let failed = sync::failed(&pod);
            if let Some(wait) = failed.then(|| self.failed.wait(key, generation, &node, cx.now)).flatten() {
                shortest = Some(shortest.map_or(wait, |known| known.min(wait)));
                continue;
            }
            let place = format!("{}/{} on node {node}", pod.meta.namespace, pod.meta.name);
            if failed {
                let message = format!("Found failed daemon pod {place}, will try to kill it");
                cx.tell(control.event(true, crate::name!("FailedDaemonPod"), message));
            } else {
                let message = format!("Found succeeded daemon pod {place}, will try to delete it");
                cx.tell(control.event(false, crate::name!("SucceededDaemonPod"), message));
            }
            plan.delete.push(pod);
        }
        shortest
    }
}
