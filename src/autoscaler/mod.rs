//! The Cluster Autoscaler: nodes for pods that fit nowhere, and none for too few pods
//! (`https://github.com/kubernetes/autoscaler`, `cluster-autoscaler/core/static_autoscaler.go`).
//!
//! ```text
//! mod.rs        the loop: when it looks, in which order it does what
//! world.rs      what it sees: groups, nodes, pods
//! scale_up.rs   which group grows for whom      estimator.rs  by how many nodes
//! expander.rs   which of several groups         backoff.rs    which group is left alone
//! scale_down.rs which nodes are unneeded        drain_rules.rs which pods keep their node
//! removal.rs    taint, evict, give back         status.rs      what it says of itself
//! karpenter/    the other way: machines that suit the pods, instead of groups
//! vertical/     requests that follow what pods use: the Vertical Pod Autoscaler
//! ```
//!
//! Whether a pod fits is asked of the scheduler's own filters ([`crate::scheduler::predicates`]).
//!
//! One thing to know: it looks every ten seconds, but a look at a cluster in which nothing has changed and no delay has
//! passed changes nothing, so it is left out. Upstream tells pods that it cannot help them at every look; here they are
//! told when the reasons change.
//!
//! A worked example: four pods of one core each wait; the pool `worker` has machines of four cores and one node that is
//! full. A machine made from the pool's template takes three of them beside the system's pods, so two are wanted:
//! `pod triggered scale-up: [{worker 1->3 (max: 10)}]`.

pub mod backoff;
pub mod drain_rules;
pub mod estimator;
pub mod expander;
pub mod karpenter;
mod removal;
pub mod scale_down;
pub mod scale_up;
mod status;
pub mod vertical;
pub mod world;

use crate::model::provision::Provision;
use crate::model::{Key, Kind, Machine, Name, Object, Pod, Resource, Uid, condition};
use crate::runtime::{ActorSettings, Controller, Cx, Requeue, Wake};
use crate::scenario::autoscaler::Autoscaler as Settings;
use crate::store::{Change, EventRecord, StoreError, View, Write};
use crate::time::{SimDuration, SimTime};
use backoff::Backoffs;
use removal::Removals;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use world::World;

/// The name that its events carry.
const SOURCE: Name = crate::name!("cluster-autoscaler");
/// Pods younger than this may still be the first of many: it waits one look (`unschedulablePodTimeBuffer`).
const YOUNG: SimDuration = SimDuration::from_secs(2);
/// A cluster with more unready nodes than this, and a larger share, is left alone
/// (`--ok-total-unready-count`, `--max-total-unready-percentage`).
const UNREADY_OK: usize = 3;
const UNREADY_PERCENT: usize = 45;

/// A group of equal nodes that it may make larger and smaller.
#[derive(Clone)]
pub struct Group {
    /// Its name.
    pub name: Name,
    /// Nodes at least.
    pub min: u32,
    /// Nodes at most.
    pub max: u32,
    /// The machine of that number.
    pub make: Rc<dyn Fn(u32) -> Machine>,
    /// The number of the next machine.
    pub next: u32,
}

/// The autoscaler.
pub struct ClusterAutoscaler {
    settings: Settings,
    groups: Vec<Group>,
    /// Pods without a node.
    pending: BTreeSet<Key>,
    /// What pods that cannot be helped were told last.
    told: BTreeMap<Uid, String>,
    backoffs: Backoffs,
    scale_down: scale_down::Unneeded,
    removals: Removals,
    last_run: SimTime,
    last_added: Option<SimTime>,
    last_deleted: Option<SimTime>,
    last_failed: Option<SimTime>,
    unhealthy: bool,
    said: status::Said,
}

/// Its machinery: one loop, and one worker for each node that is being removed.
pub fn settings() -> ActorSettings {
    ActorSettings { milli_qps: 5_000, burst: 10, workers: usize::MAX, ..ActorSettings::default() }
}

fn the_loop() -> Key {
    Key::new(Kind::ConfigMap, "kube-system", "cluster-autoscaler-status")
}

impl ClusterAutoscaler {
    /// One that scales these groups.
    pub fn new(settings: Settings, groups: Vec<Group>) -> Self {
        ClusterAutoscaler {
            settings,
            groups,
            pending: BTreeSet::new(),
            told: BTreeMap::new(),
            backoffs: Backoffs::default(),
            scale_down: scale_down::Unneeded::default(),
            removals: Removals::default(),
            last_run: SimTime::ZERO,
            last_added: None,
            last_deleted: None,
            last_failed: None,
            unhealthy: false,
            said: status::Said::default(),
        }
    }

    /// The next look at or after `at`, on the grid of looks.
    fn next_look(&self, at: SimTime) -> SimTime {
        let interval = self.settings.scan_interval.0.0;
        let due = (at - self.last_run).0.max(1);
        self.last_run + SimDuration((due + interval - 1) / interval * interval)
    }

    /// One look (`RunOnce`). When to look again even if nothing changes, or at once.
    fn look(&mut self, cx: &mut Cx<'_>) -> Option<SimTime> {
        self.last_run = cx.now;
        let mut world = World::new(cx.view, cx.now, &self.groups, &self.settings, self.removals.nodes());
        let next = self.act(&mut world, cx);
        self.say(&world, cx);
        // When a group is no longer left alone, that is said.
        next.into_iter().chain(self.backoffs.next(cx.now)).min()
    }

    /// What is to be done.
    fn act(&mut self, world: &mut World, cx: &mut Cx<'_>) -> Option<SimTime> {
        self.give_up_machines(world, cx);
        if self.is_unhealthy(world, cx) {
            return None;
        }
        let waiting = self.waiting(world, cx);
        let oldest = waiting.iter().map(|pod| pod.meta.created).min();
        if oldest.is_some_and(|oldest| oldest + YOUNG > cx.now) {
            return Some(cx.now + SimDuration(1));
        }
        let mut again = None;
        if !waiting.is_empty() {
            let full = self.settings.max_nodes_total.is_some_and(|most| world.nodes.len() >= most as usize);
            if !full && self.scale_up(world, &waiting, cx) {
                self.last_added = Some(cx.now);
                return Some(cx.now);
            }
            again = self.backoffs.next(cx.now);
        }
        let delayed = self.settings.scale_down_enabled.then(|| self.scale_down(world, cx)).flatten();
        [again, delayed, world.next_give_up, self.grown_up(cx)].into_iter().flatten().min()
    }

    /// When the next pod that waits is old enough to be heeded.
    fn grown_up(&self, cx: &Cx<'_>) -> Option<SimTime> {
        let young = self.settings.new_pod_scale_up_delay.0;
        if young == SimDuration::ZERO {
            return None;
        }
        let pods = self.pending.iter().filter_map(|key| cx.view.fetch_key::<Pod>(key));
        pods.map(|pod| pod.meta.created + young).filter(|at| *at > cx.now).min()
    }

    /// Pods that the scheduler could not place and that do not fit anywhere now, nor on nodes that are on their way.
    fn waiting(&self, world: &mut World, cx: &Cx<'_>) -> Vec<Arc<Pod>> {
        let young = self.settings.new_pod_scale_up_delay.0;
        let unschedulable = |key: &Key| {
            let pod = cx.view.fetch_key::<Pod>(key)?;
            let scheduled = condition::find(&pod.status.conditions, "PodScheduled")?;
            let wanted = scheduled.reason == "Unschedulable"
                && pod.node.is_none()
                && !pod.meta.deleting()
                && pod.spec.priority >= self.settings.expendable_pods_priority_cutoff
                && pod.meta.controller().is_none_or(|owner| owner.kind != Kind::DaemonSet)
                && pod.meta.created + young <= cx.now;
            wanted.then(|| pod.clone())
        };
        let mut pods: Vec<Arc<Pod>> = self.pending.iter().filter_map(unschedulable).collect();
        pods.sort_by_key(|pod| (-pod.spec.priority, pod.meta.created, pod.meta.uid));
        let nodes = world.predicates.nodes();
        pods.retain(|pod| {
            let nominated = pod.status.nominated_node.clone().filter(|name| nodes.contains(name));
            let place = nominated.or_else(|| world.predicates.find(pod, nodes.iter()));
            if let Some(node) = &place {
                world.predicates.place(pod, node);
            }
            place.is_none()
        });
        pods
    }

    /// Machines that could not be had, or did not register in time, are given back, and their group is left alone for
    /// a while.
    fn give_up_machines(&mut self, world: &World, cx: &mut Cx<'_>) {
        for (at, group) in world.groups.iter().enumerate() {
            let name = self.groups[at].name.clone();
            for (machine, why) in &group.failed {
                let message = format!("Scale-up failed for group {name}: {why}");
                self.tell(true, "FailedToScaleUpGroup", message, cx);
                cx.write(give_back(machine));
            }
            for machine in &group.overdue {
                let time = self.settings.max_node_provision_time.0;
                let message = format!("Nodes added to group {name} failed to register within {time}");
                self.tell(true, "ScaleUpTimedOut", message, cx);
                cx.write(give_back(machine));
            }
            if !group.failed.is_empty() || !group.overdue.is_empty() {
                let why = group
                    .failed
                    .first()
                    .map_or(crate::name!("the machine did not register in time"), |(_, why)| why.clone());
                self.backoffs.failed(&name, why, cx.now, &self.settings);
            }
        }
    }

    fn is_unhealthy(&mut self, world: &World, cx: &mut Cx<'_>) -> bool {
        let unready = world.nodes.values().filter(|node| !node.ready && !node.starting).count();
        let unhealthy = unready > UNREADY_OK && unready * 100 > UNREADY_PERCENT * world.nodes.len();
        if unhealthy && !std::mem::replace(&mut self.unhealthy, unhealthy) {
            self.tell(true, "ClusterUnhealthy", "Cluster is unhealthy".to_string(), cx);
        }
        self.unhealthy = unhealthy;
        unhealthy
    }

    /// An event on the config map that stands for the autoscaler.
    fn tell(&self, warning: bool, reason: &'static str, message: String, cx: &mut Cx<'_>) {
        let (reason, message) = (Name::from(reason), Name::from(message));
        cx.tell(EventRecord { regarding: the_loop(), uid: Uid(0), warning, reason, message, source: SOURCE });
    }
}

/// A machine is not wanted any more.
fn give_back(machine: &Machine) -> Write {
    let mut machine = machine.clone();
    Provision::Leaving.note(&mut machine);
    machine.meta.resource_version = 0;
    Write::Update(machine.into_object())
}

impl Controller for ClusterAutoscaler {
    fn name(&self) -> &'static str {
        "cluster-autoscaler"
    }

    fn watches(&self) -> &'static [Kind] {
        &[Kind::Pod, Kind::Node, Kind::Machine, Kind::PodDisruptionBudget]
    }

    fn wake(&mut self, change: &Change, _: View<'_>, wake: &mut Wake<'_>) {
        if change.writer == self.name() && change.key.kind != Kind::Machine {
            return;
        }
        let mut at_once = false;
        match (&change.old, &change.new) {
            (_, Some(Object::Pod(pod))) if pod.node.is_none() && !pod.status.phase.terminal() => {
                self.pending.insert(change.key.clone());
                let refused = |object: &Object| {
                    let pod = object.pod()?;
                    Some(condition::find(&pod.status.conditions, "PodScheduled")?.reason == "Unschedulable")
                };
                at_once = refused(&change.object().clone()) == Some(true)
                    && change.old.as_ref().and_then(refused) != Some(true);
            }
            (Some(Object::Pod(old)), Some(Object::Pod(new))) => {
                self.pending.remove(&change.key);
                // What a kubelet reports of a running pod frees nothing.
                let same = (old.node.is_some(), old.status.phase.terminal(), old.meta.deleting())
                    == (new.node.is_some(), new.status.phase.terminal(), new.meta.deleting());
                if same {
                    return;
                }
            }
            (_, Some(Object::Pod(_)) | None) => {
                self.pending.remove(&change.key);
            }
            (Some(Object::Node(old)), Some(Object::Node(new))) => {
                let facts = |node: &crate::model::Node| {
                    (
                        node.ready(),
                        node.taints.clone(),
                        node.unschedulable,
                        node.meta.labels.clone(),
                        node.allocatable.clone(),
                    )
                };
                if facts(old) == facts(new) {
                    return;
                }
            }
            _ => {}
        }
        if change.key.kind == Kind::Pod
            && let Some(node) = change.object().pod().and_then(|pod| pod.node.clone())
            && self.removals.concerns(&node)
        {
            wake.add(Key::cluster(Kind::Node, node));
        }
        let due = if at_once { wake.now() } else { self.next_look(wake.now()) };
        wake.add_after(the_loop(), due - wake.now());
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        if key.kind == Kind::Node {
            return self.remove_node(key, cx);
        }
        match self.look(cx) {
            Some(at) if at <= cx.now => Requeue::After(SimDuration::ZERO),
            Some(at) => Requeue::After(self.next_look(at) - cx.now),
            None => Requeue::Done,
        }
    }

    fn refused(&mut self, key: &Key, _: &Key, _: &StoreError, _: SimTime) {
        // An eviction that is refused is tried again with the next look at its node.
        debug_assert!(key.kind == Kind::Node || key.kind == Kind::ConfigMap);
    }
}
