//! A provisioner in the manner of Karpenter (`https://github.com/kubernetes-sigs/karpenter`, `pkg/controllers/`): machines
//! that suit the pods, instead of groups of equal ones.
//!
//! ```text
//! mod.rs          what wakes what
//! provisioning.rs pods that fit nowhere → the cheapest machines that take them together
//! disruption.rs   empty nodes, and nodes whose pods fit elsewhere or on something cheaper
//! termination.rs  drain, give back; spot machines that the provider takes away
//! ```
//!
//! A worked example: three pods of one core wait. They came within a second, so they are looked at together: one new node
//! takes them all, and of the types with three cores and enough memory the cheapest is launched. Later two of the pods are
//! gone: the third fits on a machine of half the price, so that is launched, and when it is ready the first one goes.

mod disruption;
mod provisioning;
mod termination;

use super::world::daemon_pods;
use crate::model::provision::Provision;
use crate::model::{Key, Kind, Machine, Name, Node, Object, Pod, Truth, condition};
use crate::runtime::{ActorSettings, Controller, Cx, Requeue, Wake};
use crate::scenario::karpenter::{Karpenter as Wish, NodePool};
use crate::scheduler::predicates::Predicates;
use crate::store::{Change, View};
use crate::time::{SimDuration, SimTime};
use disruption::Command;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use termination::Ending;

/// The name that its events carry.
const SOURCE: Name = crate::name!("karpenter");
/// Pods that come within this time of each other are looked at together (`--batch-idle-duration`).
const BATCH_IDLE: SimDuration = SimDuration::from_secs(1);
/// But none waits longer (`--batch-max-duration`).
const BATCH_MAX: SimDuration = SimDuration::from_secs(10);
/// From one look for nodes to disrupt to the next (`pkg/controllers/disruption/controller.go`, `pollingPeriod`).
const POLL: SimDuration = SimDuration::from_secs(10);
/// The label that names a node's pool.
const NODE_POOL: &str = "karpenter.sh/nodepool";

/// A machine that can be launched.
#[derive(Clone, Debug)]
pub struct Offering {
    /// Its pool, by number.
    pub pool: usize,
    /// Its type, by number.
    pub kind: usize,
    /// Whether it is a spot machine.
    pub spot: bool,
    /// What it costs an hour, in millionths.
    pub price_micros: i64,
    /// The machine; its name and its node's are those of a template.
    pub machine: Machine,
}

/// Makes the machine of that number as an offering has it.
pub type Launch = Rc<dyn Fn(&Offering, u32) -> Machine>;

/// The provisioner.
pub struct Karpenter {
    wish: Wish,
    offerings: Vec<Offering>,
    launch: Launch,
    next: Vec<u32>,
    pending: BTreeSet<Key>,
    /// When the first and the last pod of the present batch came.
    batch: Option<(SimTime, SimTime)>,
    /// When a pod last came to a node or left it.
    touched: BTreeMap<Name, SimTime>,
    ending: BTreeMap<Name, Ending>,
    command: Option<Command>,
    last_look: SimTime,
}

fn provisioning_key() -> Key {
    Key::new(Kind::ConfigMap, "kube-system", "karpenter-provisioning")
}

fn disruption_key() -> Key {
    Key::new(Kind::ConfigMap, "kube-system", "karpenter-disruption")
}

/// Its machinery.
pub fn settings() -> ActorSettings {
    ActorSettings { milli_qps: 200_000, burst: 300, workers: usize::MAX, ..ActorSettings::default() }
}

impl Karpenter {
    /// One that sells these offerings.
    pub fn new(wish: Wish, offerings: Vec<Offering>, launch: Launch) -> Self {
        let next = vec![0; wish.node_pools.len()];
        Karpenter {
            wish,
            offerings,
            launch,
            next,
            pending: BTreeSet::new(),
            batch: None,
            touched: BTreeMap::new(),
            ending: BTreeMap::new(),
            command: None,
            last_look: SimTime::ZERO,
        }
    }

    /// The pool of a machine.
    fn pool_of(&self, machine: &Machine) -> Option<(usize, &NodePool)> {
        self.wish.node_pools.iter().enumerate().find(|(_, pool)| machine.pool == pool.name.as_str())
    }

    /// A copy of the cluster, with machines on their way, without nodes that end or are in `without`; and which nodes are
    /// on their way.
    fn copy(&self, view: View<'_>, without: &BTreeSet<Name>) -> (Predicates, Vec<Name>) {
        let (mut copy, mut coming_names) = (Predicates::new(view), Vec::new());
        for node in view.list::<Node>() {
            let name = &node.meta.name;
            if self.ending.contains_key(name) || without.contains(name) || node.ready() != Truth::True {
                continue;
            }
            copy.set_node(node);
            let counts = |pod: &&Arc<Pod>| !pod.status.phase.terminal();
            view.pods_on(name).filter(counts).for_each(|pod| copy.place(pod, name));
        }
        for machine in view.list::<Machine>() {
            let known = view.node(&machine.meta.name).is_some_and(|node| node.ready() == Truth::True);
            let coming = matches!(Provision::of(machine), Provision::Asked | Provision::Done) && !known;
            if coming && self.pool_of(machine).is_some() && !self.ending.contains_key(&machine.meta.name) {
                let mut node = Node::clone(&machine.node);
                node.conditions.clear();
                let node = Arc::new(node);
                copy.set_node(&node);
                coming_names.push(node.meta.name.clone());
                for pod in daemon_pods(view, &mut copy, &node.meta.name) {
                    copy.place(&Arc::new(pod), &node.meta.name);
                }
            }
        }
        (copy, coming_names)
    }

    fn next_look(&self, at: SimTime) -> SimTime {
        let due = (at - self.last_look).0.max(1);
        self.last_look + SimDuration((due + POLL.0 - 1) / POLL.0 * POLL.0)
    }
}

fn unschedulable(object: &Object) -> bool {
    object.pod().is_some_and(|pod| {
        condition::find(&pod.status.conditions, "PodScheduled").is_some_and(|said| said.reason == "Unschedulable")
    })
}

impl Controller for Karpenter {
    fn name(&self) -> &'static str {
        "karpenter"
    }

    fn watches(&self) -> &'static [Kind] {
        &[Kind::Pod, Kind::Node, Kind::Machine, Kind::PodDisruptionBudget]
    }

    fn wake(&mut self, change: &Change, _: View<'_>, wake: &mut Wake<'_>) {
        if change.writer == self.name() && change.key.kind != Kind::Machine {
            return;
        }
        let now = wake.now();
        if let Some(pod) = change.object().pod() {
            let waits = change.new.is_some() && pod.node.is_none() && !pod.status.phase.terminal();
            match waits {
                true => _ = self.pending.insert(change.key.clone()),
                false => _ = self.pending.remove(&change.key),
            }
            if waits && unschedulable(change.object()) && !change.old.as_ref().is_some_and(unschedulable) {
                let first = self.batch.map_or(now, |(first, _)| first);
                self.batch = Some((first, now));
                wake.add_after(provisioning_key(), BATCH_IDLE);
            }
            if let Some(node) = &pod.node {
                let was = change.old.as_ref().and_then(Object::pod).and_then(|old| old.node.clone());
                let left = change.new.is_none() || pod.status.phase.terminal();
                if was.is_none() || left {
                    self.touched.insert(node.clone(), now);
                }
                if self.ending.contains_key(node) {
                    wake.add(Key::cluster(Kind::Node, node.clone()));
                }
            }
        }
        if let Some(Object::Machine(machine)) = &change.new
            && machine.up
            && change.old.as_ref().and_then(|old| old.as_kind::<Machine>()).is_some_and(|old| !old.up)
        {
            // A new spot machine: the provider may want it back.
            wake.add(Key::cluster(Kind::Machine, machine.meta.name.clone()));
        }
        wake.add_after(disruption_key(), self.next_look(now) - now);
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        match key.kind {
            Kind::Node => self.end_node(key, cx),
            Kind::Machine => self.spot(key, cx),
            _ if *key == provisioning_key() => {
                let Some((first, last)) = self.batch else { return Requeue::Done };
                let due = (last + BATCH_IDLE).min(first + BATCH_MAX);
                if cx.now < due {
                    return Requeue::After(due - cx.now);
                }
                self.batch = None;
                self.provision(cx);
                Requeue::Done
            }
            _ => match self.disrupt(cx) {
                Some(at) => Requeue::After(at - cx.now),
                None => Requeue::Done,
            },
        }
    }
}
