//! Removing a node (`core/scaledown/actuation/`): taint and cordon, evict, wait, give the machine back.
//!
//! A worked example: a node with two pods. 0 s: tainted and cordoned. 5 s: both evictions are asked for; one is refused by
//! its budget and tried again at 15 s. 45 s: both pods are gone, the machine is given back.

use super::world::TO_BE_DELETED;
use super::{ClusterAutoscaler, SOURCE, give_back};
use crate::model::{Key, Kind, Machine, Name, Node, Object, Pod, Taint, TaintEffect};
use crate::runtime::{Cx, Requeue};
use crate::store::{DeleteOptions, Patch, Preconditions, Write};
use crate::time::{SimDuration, SimTime};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A refused eviction is tried again (`EvictionRetryTime`).
const RETRY: SimDuration = SimDuration::from_secs(10);
/// So long beyond their grace it waits for pods (`PodEvictionHeadroom`).
const HEADROOM: SimDuration = SimDuration::from_secs(30);

/// One node on its way out.
#[derive(Clone, Debug)]
struct Removal {
    began: SimTime,
    occupied: bool,
    group: Name,
    /// When it gives up waiting for pods, once all evictions are accepted.
    wait_until: Option<SimTime>,
    /// The machine has been given back.
    given_back: bool,
}

/// The nodes on their way out.
#[derive(Clone, Debug, Default)]
pub struct Removals {
    under_way: BTreeMap<Name, Removal>,
    names: BTreeSet<Name>,
}

impl Removals {
    /// Their names.
    pub fn nodes(&self) -> &BTreeSet<Name> {
        &self.names
    }

    /// Whether a node is among them and its pods matter.
    pub fn concerns(&self, node: &Name) -> bool {
        self.under_way.get(node).is_some_and(|removal| !removal.given_back)
    }

    /// How many had pods.
    pub fn occupied(&self) -> usize {
        self.under_way.values().filter(|removal| removal.occupied && !removal.given_back).count()
    }

    /// Those of a group.
    pub fn of_group<'a>(&'a self, group: &'a Name) -> impl Iterator<Item = &'a Name> {
        self.under_way.iter().filter(move |(_, removal)| removal.group == *group).map(|(name, _)| name)
    }

    fn forget(&mut self, name: &Name) {
        self.under_way.remove(name);
        self.names.remove(name);
    }
}

fn key(name: &Name) -> Key {
    Key::cluster(Kind::Node, name.clone())
}

impl ClusterAutoscaler {
    /// Marks a node; its pods go a few seconds later.
    pub(super) fn begin_removal(&mut self, name: &Name, moving: usize, group: usize, cx: &mut Cx<'_>) {
        let taint = Taint {
            key: TO_BE_DELETED,
            value: Name::from(cx.now.whole_seconds().to_string()),
            effect: TaintEffect::NoSchedule,
            added: None,
        };
        let patch = Patch::Taints { add: vec![taint], remove: Vec::new() };
        cx.write(Write::Patch(key(name), patch, Preconditions::default()));
        cx.write(Write::Patch(key(name), Patch::Unschedulable(true), Preconditions::default()));
        if let Some(node) = cx.view.node(name).cloned() {
            let message = "marked the node as toBeDeleted/unschedulable";
            cx.event(&Object::Node(node), false, SOURCE, crate::name!("ScaleDown"), message);
        }
        let group = self.groups[group].name.clone();
        let removal = Removal { began: cx.now, occupied: moving > 0, group, wait_until: None, given_back: false };
        self.removals.under_way.insert(name.clone(), removal);
        self.removals.names.insert(name.clone());
        cx.wake(key(name), cx.now + self.settings.node_delete_delay_after_taint.0);
    }

    /// Goes on with a node.
    pub(super) fn remove_node(&mut self, at: &Key, cx: &mut Cx<'_>) -> Requeue {
        let name = &at.name;
        let Some(removal) = self.removals.under_way.get(name).cloned() else { return Requeue::Done };
        let machine = cx.view.fetch::<Machine>(&Name::new(), name).cloned();
        let (Some(node), Some(machine)) = (cx.view.node(name).cloned(), machine) else {
            // Gone, by this or by somebody else.
            self.removals.forget(name);
            return Requeue::Done;
        };
        if removal.given_back {
            return Requeue::After(RETRY);
        }
        let begin = removal.began + self.settings.node_delete_delay_after_taint.0;
        if cx.now < begin {
            return Requeue::After(begin - cx.now);
        }
        let moves = |pod: &&Arc<Pod>| {
            let daemon = pod.meta.controller().is_some_and(|owner| owner.kind == Kind::DaemonSet);
            !daemon && !pod.status.phase.terminal()
        };
        let pods: Vec<Arc<Pod>> = cx.view.pods_on(name).filter(moves).cloned().collect();
        if pods.is_empty() {
            return self.finish(name, &node, &machine, cx);
        }
        let staying: Vec<Arc<Pod>> = pods.iter().filter(|pod| !pod.meta.deleting()).cloned().collect();
        if staying.is_empty() {
            return self.wait(name, &node, &pods, cx);
        }
        if cx.now >= begin + self.settings.max_pod_eviction_time.0 {
            let names: Vec<&str> = staying.iter().map(|pod| pod.meta.name.as_str()).collect();
            return self.fail(name, &node, &format!("failed to evict pods: {}", names.join(", ")), cx);
        }
        for pod in staying {
            let most = self.settings.max_graceful_termination.0.0 / 1_000_000_000;
            let options = DeleteOptions {
                grace_seconds: Some(pod.spec.grace_seconds.min(most)),
                preconditions: Preconditions::uid(pod.meta.uid),
                ..DeleteOptions::default()
            };
            let pod_key = Key::new(Kind::Pod, pod.meta.namespace.clone(), pod.meta.name.clone());
            cx.background(vec![Write::Evict { pod: pod_key, options }]);
            let message = "deleting pod for node scale down";
            cx.event(&Object::Pod(pod), false, SOURCE, crate::name!("ScaleDown"), message);
        }
        Requeue::After(RETRY)
    }

    /// All evictions are accepted: pods have their grace, and some.
    fn wait(&mut self, name: &Name, node: &Arc<Node>, pods: &[Arc<Pod>], cx: &mut Cx<'_>) -> Requeue {
        let most = self.settings.max_graceful_termination.0;
        let grace = pods.iter().map(|pod| SimDuration::from_secs(pod.spec.grace_seconds).min(most)).max();
        let removal = self.removals.under_way.get_mut(name).expect("it was just looked up");
        let until = *removal.wait_until.get_or_insert(cx.now + grace.unwrap_or(SimDuration::ZERO) + HEADROOM);
        if cx.now >= until {
            return self.fail(name, node, "pods remaining after timeout", cx);
        }
        Requeue::After(until - cx.now)
    }

    fn finish(&mut self, name: &Name, node: &Arc<Node>, machine: &Machine, cx: &mut Cx<'_>) -> Requeue {
        let removal = self.removals.under_way.get_mut(name).expect("it was just looked up");
        removal.given_back = true;
        let (occupied, group) = (removal.occupied, removal.group.clone());
        cx.write(give_back(machine));
        let message = "nodes removed by cluster autoscaler";
        cx.event(&Object::Node(node.clone()), false, SOURCE, crate::name!("ScaleDown"), message);
        match occupied {
            true => self.tell(false, "ScaleDown", format!("Scale-down: node {name} removed with drain"), cx),
            false => self.tell(false, "ScaleDownEmpty", format!("Scale-down: empty node {name} removed"), cx),
        }
        debug_assert!(self.groups.iter().any(|known| known.name == group));
        self.last_deleted = Some(cx.now);
        Requeue::After(RETRY)
    }

    /// The node stays after all.
    fn fail(&mut self, name: &Name, node: &Arc<Node>, why: &str, cx: &mut Cx<'_>) -> Requeue {
        self.removals.forget(name);
        self.last_failed = Some(cx.now);
        let remove = vec![(TO_BE_DELETED, TaintEffect::NoSchedule)];
        let patch = Patch::Taints { add: Vec::new(), remove };
        cx.write(Write::Patch(key(name), patch, Preconditions::default()));
        cx.write(Write::Patch(key(name), Patch::Unschedulable(false), Preconditions::default()));
        let message = format!("failed to delete the node: {why}");
        cx.event(&Object::Node(node.clone()), true, SOURCE, crate::name!("ScaleDownFailed"), message);
        Requeue::Done
    }
}
