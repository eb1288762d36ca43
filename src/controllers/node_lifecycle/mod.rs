//! Watches over nodes: finds the silent ones, taints them, marks their pods
//! (`pkg/controller/nodelifecycle/node_lifecycle_controller.go`).
//!
//! A worked example: a machine stops at 100 s; its last renewal was noticed by the pass at 95 s; the first pass
//! more than 50 s later makes it Unknown; the `NoSchedule` taint follows at once, the `NoExecute` taint in the
//! next round that the zone's rate allows.
//!
//! Passes that could not decide anything are not run: a machine's state tells when to look, never what to find.

pub mod monitor;
pub mod taints;
#[cfg(test)]
mod tests;
pub mod zones;

use crate::model::{Condition, Key, Kind, Machine, Name, Node, Object, Pod, Resource, Truth, condition};
use crate::rng::Delay;
use crate::runtime::{Controller, Cx, Requeue, Wake};
use crate::scenario::Timing;
use crate::store::{Change, EventRecord, Patch, Preconditions, View, Write};
use crate::time::{SimDuration, SimTime};
use indexmap::IndexMap;
use monitor::{Action, Monitor, Patience, Sign};
use std::sync::Arc;
use zones::EvictionRates;

const SOURCE: Name = crate::name!("node-controller");
/// Below this grace a healthy kubelet can be taken for silent, so that every pass matters.
const SAFE_GRACE: SimDuration = SimDuration::from_secs(20);

/// How the node controller is set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NodeLifecycleSettings {
    /// When the controller manager starts; when it is seated, if that is later.
    pub start: SimTime,
    /// `--node-monitor-period`.
    pub period: SimDuration,
    /// How long a pass itself takes; the next begins a period after its end.
    pub pass_time: SimDuration,
    /// Between rounds of `NoExecute` tainting.
    pub taint_period: SimDuration,
    /// How old a lease may be when the controller sees it.
    pub watch_delay: SimDuration,
    /// Grace periods and rates.
    pub patience: Patience,
}

impl Default for NodeLifecycleSettings {
    fn default() -> Self {
        NodeLifecycleSettings {
            start: SimTime(i64::MIN),
            period: SimDuration::from_secs(5),
            pass_time: SimDuration::from_millis(2),
            taint_period: SimDuration::from_millis(100),
            watch_delay: SimDuration::from_millis(8),
            patience: Patience::default(),
        }
    }
}

impl NodeLifecycleSettings {
    /// What a scenario's timing says.
    pub fn from_timing(timing: &Timing) -> Self {
        let monitor = &timing.node_monitor;
        let rates = EvictionRates {
            milli_qps: monitor.eviction_rate.0.milli(),
            secondary_milli_qps: monitor.secondary_eviction_rate.0.milli(),
            large_zone_nodes: monitor.large_cluster_size_threshold as usize,
            unhealthy_thousandths: usize::try_from(monitor.unhealthy_zone_threshold.0.milli()).unwrap_or(0),
        };
        let patience = Patience { grace: monitor.grace_period.0, startup_grace: monitor.startup_grace_period.0, rates };
        let watch_delay = Delay::from(timing.watch_delay).longest();
        NodeLifecycleSettings { period: monitor.period.0, watch_delay, patience, ..Self::default() }
    }

    /// The first instant of a grid from the start that is not before `time`.
    fn on_grid(&self, step: SimDuration, time: SimTime) -> SimTime {
        let since = (time - self.start).0.max(0);
        let steps = since / step.0 + i64::from(since % step.0 != 0);
        self.start + step * steps
    }

    fn pass_at(&self, time: SimTime) -> SimTime {
        self.on_grid(self.period + self.pass_time, time)
    }
}

/// The controller.
#[derive(Debug)]
pub struct NodeLifecycle {
    settings: NodeLifecycleSettings,
    monitor: Monitor,
    /// The next pass that may decide something.
    pass_due: SimTime,
    /// The next round of tainting with something to do.
    round_due: SimTime,
    last_pass: Option<SimTime>,
}

/// The key under which the monitor's passes and rounds run.
fn monitor_key() -> Key {
    Key::cluster(Kind::Node, Name::new())
}

impl NodeLifecycle {
    /// A controller that has seen nothing.
    pub fn new(settings: NodeLifecycleSettings) -> Self {
        NodeLifecycle {
            monitor: Monitor::new(settings.patience),
            pass_due: settings.start,
            round_due: SimTime::MAX,
            last_pass: None,
            settings,
        }
    }
}

impl Controller for NodeLifecycle {
    fn name(&self) -> &'static str {
        "node-controller"
    }

    fn watches(&self) -> &'static [Kind] {
        &[Kind::Node, Kind::Machine]
    }

    fn start(&mut self, wake: &mut Wake<'_>) {
        self.settings.start = self.settings.start.max(wake.now());
        self.pass_due = self.settings.start;
        wake.add_after(monitor_key(), self.pass_due - wake.now());
    }

    fn wake(&mut self, change: &Change, _view: View<'_>, wake: &mut Wake<'_>) {
        if change.key.kind == Kind::Node {
            if !matters(change) {
                return;
            }
            if change.new.is_some() {
                wake.add(change.key.clone());
            }
        }
        self.ask_pass(wake.now());
        wake.add_after(monitor_key(), self.pass_due - wake.now());
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        if *key != monitor_key() {
            no_schedule_pass(key, cx);
            return Requeue::Done;
        }
        if self.pass_due <= cx.now {
            self.pass(cx);
        }
        if self.round_due <= cx.now {
            let view = cx.view;
            let actions = self.monitor.taint_round(self.round_due, &|name| view.node(name).cloned());
            if !actions.is_empty() {
                // A pass right after this may not see the new taint yet, as upstream's may not.
                self.ask_pass(self.round_due);
            }
            act(actions, cx);
            self.plan_round(self.round_due + SimDuration(1));
        }
        match self.pass_due.min(self.round_due) {
            SimTime::MAX => Requeue::Done,
            due => Requeue::After(due - cx.now),
        }
    }
}

impl NodeLifecycle {
    /// Something happened at `time`: the next pass is run.
    fn ask_pass(&mut self, time: SimTime) {
        let mut next = self.settings.pass_at(time);
        if self.last_pass >= Some(next) {
            next = self.settings.pass_at(next + SimDuration(1));
        }
        self.pass_due = self.pass_due.min(next);
    }

    fn pass(&mut self, cx: &mut Cx<'_>) {
        let now = self.pass_due;
        let every = cx.eager || self.settings.patience.grace < SAFE_GRACE;
        let mut nodes: Vec<Arc<Node>> = cx.view.list::<Node>().cloned().collect();
        nodes.sort_by(|a, b| a.meta.name.cmp(&b.meta.name));
        let signs: Vec<Sign> = nodes.iter().map(|node| self.sign_of(node, now, every, cx.view)).collect();
        let before = self.monitor.zones.clone();
        let actions = self.monitor.pass(now, &nodes, &signs);
        let waiting = |a: &monitor::Zone, b: &monitor::Zone| {
            a.state == b.state && a.queue.waiting() == b.queue.waiting() && a.queue.milli_qps == b.queue.milli_qps
        };
        let zones = &self.monitor.zones;
        let same_zones = before.len() == zones.len() && before.values().zip(zones.values()).all(|(a, b)| waiting(a, b));
        let next = self.settings.pass_at(now + SimDuration(1));
        let settled = actions.is_empty() && same_zones && !self.unsettled(&nodes, &signs);
        self.last_pass = Some(now);
        self.pass_due = if every || !settled { next } else { self.next_silence(&nodes, &signs).max(next) };
        act(actions, cx);
        // A round reads nodes from the watch: what this pass writes must have come back by then. One that is planned
        // already stays, or passes that come faster than that would put it off for ever.
        let planned = self.round_due;
        self.plan_round(now + self.settings.watch_delay * 3);
        self.round_due = self.round_due.min(planned);
    }

    /// What this pass sees of a node's lease.
    fn sign_of(&self, node: &Node, now: SimTime, every: bool, view: View<'_>) -> Sign {
        let seen = now - self.settings.watch_delay;
        let machine = view.fetch::<Machine>(&Name::new(), &node.meta.name);
        let beating = machine.is_some_and(|machine| machine.up && machine.up_since <= seen);
        if beating && !every && !self.monitor.needs_renewal(node) {
            return Sign::Beating;
        }
        match view.lease_renewed(&node.meta.name, seen) {
            Some(at) => Sign::Renewed { at, noticed: self.settings.pass_at(at + self.settings.watch_delay) },
            None => Sign::None,
        }
    }

    /// Whether the next pass will take a renewal already seen for a new one.
    fn unsettled(&self, nodes: &[Arc<Node>], signs: &[Sign]) -> bool {
        nodes.iter().zip(signs).any(|(node, sign)| *sign != Sign::None && self.monitor.needs_renewal(node))
    }

    /// The pass at which the first silent node is found.
    fn next_silence(&self, nodes: &[Arc<Node>], signs: &[Sign]) -> SimTime {
        let silent = nodes.iter().zip(signs).filter(|(_, sign)| **sign != Sign::Beating);
        let ends = silent.filter_map(|(node, _)| self.monitor.silent_after(node));
        ends.min().map_or(SimTime::MAX, |end| self.settings.pass_at(end + SimDuration(1)))
    }

    fn plan_round(&mut self, from: SimTime) {
        let next = self.monitor.next_taint(from);
        self.round_due = next.map_or(SimTime::MAX, |at| self.settings.on_grid(self.settings.taint_period, at));
    }
}

/// Whether a change of a node can matter here.
fn matters(change: &Change) -> bool {
    let (Some(Object::Node(old)), Some(Object::Node(new))) = (&change.old, &change.new) else { return true };
    old.conditions != new.conditions
        || old.taints != new.taints
        || old.unschedulable != new.unschedulable
        || old.meta.labels != new.meta.labels
}

/// Keeps the `NoSchedule` taints of one node as its conditions say.
fn no_schedule_pass(key: &Key, cx: &mut Cx<'_>) {
    let Some(node) = cx.view.fetch_key::<Node>(key) else { return };
    if let Some((add, remove)) = taints::no_schedule_change(node, cx.now) {
        let preconditions = Preconditions::uid(node.meta.uid);
        cx.write(Write::Patch(key.clone(), Patch::Taints { add, remove }, preconditions));
    }
}

/// Carries actions out: the nodes side by side, the writes of a node one after the other.
fn act(actions: Vec<Action>, cx: &mut Cx<'_>) {
    let mut by_node: IndexMap<Name, Vec<Write>> = IndexMap::new();
    for action in actions {
        match action {
            Action::Registered(node) => {
                let message = format!("Node {0} event: Registered Node {0} in Controller", node.meta.name);
                cx.event(&Object::Node(node), false, SOURCE, crate::name!("RegisteredNode"), message);
            }
            Action::Removed(name, uid) => {
                let record = EventRecord {
                    regarding: Key::cluster(Kind::Node, name.clone()),
                    uid,
                    warning: false,
                    reason: crate::name!("RemovingNode"),
                    message: Name::from(format!("Node {name} event: Removing Node {name} from Controller")),
                    source: SOURCE,
                };
                cx.background(vec![Write::Event(record)]);
            }
            Action::Unknown(name, conditions) => {
                let write = patch_node(&name, Patch::Conditions(conditions));
                by_node.entry(name).or_default().push(write);
            }
            Action::Taint(name, (add, remove)) => {
                let write = patch_node(&name, Patch::Taints { add, remove });
                by_node.entry(name).or_default().push(write);
            }
            Action::NotReady(node) => {
                let writes = mark_pods(&node, cx);
                by_node.entry(node.meta.name.clone()).or_default().extend(writes);
            }
        }
    }
    by_node.into_values().for_each(|writes| cx.background(writes));
}

fn patch_node(name: &Name, patch: Patch) -> Write {
    Write::Patch(Key::cluster(Kind::Node, name.clone()), patch, Preconditions::default())
}

/// Tells that a node is not ready, and makes its pods not ready (`MarkPodsNotReady`).
fn mark_pods(node: &Arc<Node>, cx: &mut Cx<'_>) -> Vec<Write> {
    let name = &node.meta.name;
    let message = format!("Node {name} status is now: NodeNotReady");
    cx.event(&Object::Node(node.clone()), false, SOURCE, crate::name!("NodeNotReady"), message);
    let mut writes = Vec::new();
    let pods: Vec<&Arc<Pod>> = cx.view.pods_on(name).collect();
    for pod in pods {
        let ready = condition::find(&pod.status.conditions, "Ready");
        let Some(ready) = ready.filter(|ready| ready.status != Truth::False) else { continue };
        let now = cx.now;
        let marked = Condition { status: Truth::False, last_transition: now, ..ready.clone() };
        let preconditions = Preconditions::uid(pod.meta.uid);
        writes.push(Write::Patch(pod.key(), Patch::Conditions(vec![marked]), preconditions));
        cx.event(&Object::Pod(pod.clone()), true, SOURCE, crate::name!("NodeNotReady"), "Node is not ready");
    }
    writes
}
