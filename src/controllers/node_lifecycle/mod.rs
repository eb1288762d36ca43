//! Watches over nodes: finds the silent ones, taints them, marks their pods
//! (`pkg/controller/nodelifecycle/node_lifecycle_controller.go`).
//!
//! A worked example: a machine stops at 100 s; its last renewal was noticed by the pass at 95 s; the first pass
//! more than 50 s later makes it Unknown; the `NoSchedule` taint follows at once, the `NoExecute` taint in the
//! next round that the zone's rate allows.
//!
//! Passes that could not decide anything are not run: a machine's state tells when to look, never what to find. A pass
//! lasts until its writes have landed, and the next one comes a period later.

mod grid;
pub mod monitor;
pub mod taints;
#[cfg(test)]
mod tests;
pub mod zones;

use crate::model::{Condition, Key, Kind, Machine, Name, Node, Object, Pod, Resource, Truth, condition};
use crate::rng::Delay;
use crate::runtime::{Controller, Cx, Requeue, Wake};
use crate::scenario::Timing;
use crate::store::{Change, EventRecord, Patch, Preconditions, StoreError, View, Write, Written};
use crate::time::{SimDuration, SimTime};
use grid::Grid;
use indexmap::IndexMap;
use monitor::{Action, Judged, Monitor, Patience, Sign, Zone};
use std::collections::BTreeMap;
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
}

/// The controller.
#[derive(Debug)]
pub struct NodeLifecycle {
    settings: NodeLifecycleSettings,
    monitor: Monitor,
    /// When passes come.
    passes: Grid,
    /// When rounds of tainting come.
    rounds: Grid,
    /// The next pass that may decide something.
    pass_due: SimTime,
    /// The next round of tainting with something to do.
    round_due: SimTime,
    last_pass: Option<SimTime>,
    last_round: SimTime,
    under_way: Option<UnderWay>,
    /// The last renewals of machines that are gone while their nodes are still there.
    last_beats: BTreeMap<Name, SimTime>,
    /// Writes of a round that have not landed: the next one waits for them.
    tainting: usize,
}

/// A pass whose writes have not landed yet.
#[derive(Debug)]
struct UnderWay {
    nodes: Vec<Arc<Node>>,
    judged: Judged,
    /// The zones as they were before it.
    before: BTreeMap<Name, Zone>,
    /// Chains of writes that have not landed.
    outstanding: usize,
    /// Whether the zones have been judged, the last thing that a pass does.
    closing: bool,
    /// Whether it found nothing that the next pass would have to look at again.
    quiet: bool,
    /// After this instant a node is found silent that renews nothing more.
    silence: Option<SimTime>,
}

/// The key under which the monitor's passes run.
fn monitor_key() -> Key {
    Key::cluster(Kind::Node, Name::new())
}

/// The key under which rounds of tainting run.
fn round_key() -> Key {
    Key::cluster(Kind::Node, crate::name!("?tainting"))
}

impl NodeLifecycle {
    /// A controller that has seen nothing.
    pub fn new(settings: NodeLifecycleSettings) -> Self {
        NodeLifecycle {
            monitor: Monitor::new(settings.patience),
            passes: Grid::new(settings.start, settings.period + settings.pass_time),
            rounds: Grid::new(settings.start, settings.taint_period),
            pass_due: settings.start,
            round_due: SimTime::MAX,
            last_pass: None,
            last_round: settings.start,
            under_way: None,
            tainting: 0,
            last_beats: BTreeMap::new(),
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
        let start = self.settings.start.max(wake.now());
        *self = NodeLifecycle::new(NodeLifecycleSettings { start, ..self.settings });
        wake.add_after(monitor_key(), self.pass_due - wake.now());
    }

    fn wake(&mut self, change: &Change, view: View<'_>, wake: &mut Wake<'_>) {
        let name = &change.key.name;
        match (&change.old, &change.new) {
            (Some(Object::Machine(gone)), None) => {
                let last = view.renewed_by(gone, change.time);
                self.last_beats.extend(last.map(|at| (name.clone(), at)));
            }
            (None, Some(Object::Machine(_))) | (Some(Object::Node(_)), None) => _ = self.last_beats.remove(name),
            _ => {}
        }
        if change.key.kind == Kind::Node {
            if !matters(change) {
                return;
            }
            if change.new.is_some() {
                wake.add(change.key.clone());
            }
        }
        self.ask_pass(wake.now());
        if self.under_way.is_none() {
            wake.add_after(monitor_key(), self.pass_due - wake.now());
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        if *key == round_key() {
            return self.round(cx);
        }
        if *key != monitor_key() {
            no_schedule_pass(key, cx);
            return Requeue::Done;
        }
        if self.under_way.is_some() {
            self.go_on(cx);
        } else if self.pass_due <= cx.now {
            self.pass(cx);
        }
        match self.pass_due {
            _ if self.under_way.is_some() => Requeue::Done,
            SimTime::MAX => Requeue::Done,
            due => Requeue::After(due - cx.now),
        }
    }

    fn settled(&mut self, key: &Key, _: Result<&[Written], &StoreError>, wake: &mut Wake<'_>) {
        if let Some(pass) = self.under_way.as_mut().filter(|_| *key == monitor_key()) {
            pass.outstanding -= 1;
            if pass.outstanding == 0 {
                wake.add(monitor_key());
            }
        }
        if *key == round_key() {
            self.tainting -= 1;
            if self.tainting == 0 {
                self.rounds.begin_anew(self.last_round, wake.now() + self.settings.taint_period);
                self.plan_round(wake.now());
                wake.add(round_key());
            }
        }
    }
}

impl NodeLifecycle {
    /// Something happened at `time`: the next pass is run.
    fn ask_pass(&mut self, time: SimTime) {
        if let Some(pass) = &mut self.under_way {
            pass.quiet = false;
            return;
        }
        let mut next = self.passes.at(time);
        if self.last_pass >= Some(next) {
            next = self.passes.at(next + SimDuration(1));
        }
        self.pass_due = self.pass_due.min(next);
    }

    fn every(&self, cx: &Cx<'_>) -> bool {
        cx.eager || self.settings.patience.grace < SAFE_GRACE
    }

    /// One pass begins: every node is judged.
    fn pass(&mut self, cx: &mut Cx<'_>) {
        let now = self.pass_due;
        let every = self.every(cx);
        let mut nodes: Vec<Arc<Node>> = cx.view.list::<Node>().cloned().collect();
        nodes.sort_by(|a, b| a.meta.name.cmp(&b.meta.name));
        let signs: Vec<Sign> = nodes.iter().map(|node| self.sign_of(node, now, every, cx.view)).collect();
        let before = self.monitor.zones.clone();
        let mut actions = Vec::new();
        let judged = self.monitor.judge_nodes(now, &nodes, &signs, &mut actions);
        let quiet = actions.is_empty() && !self.unsettled(&nodes, &signs);
        let silence = self.next_silence(&nodes, &signs);
        self.last_pass = Some(now);
        self.pass_due = SimTime::MAX;
        let outstanding = act(actions, cx);
        let pass = UnderWay { nodes, judged, before, outstanding, closing: false, quiet, silence };
        self.under_way = Some(pass);
        self.ask_round(cx);
        self.go_on(cx);
    }

    /// What a pass does when what it wrote has landed: it judges the zones, and when that has landed it is over.
    fn go_on(&mut self, cx: &mut Cx<'_>) {
        let Some(mut pass) = self.under_way.take_if(|pass| pass.outstanding == 0) else { return };
        if !pass.closing {
            let mut actions = Vec::new();
            self.monitor.handle_disruption(cx.now, &pass.nodes, &pass.judged, &mut actions);
            pass.quiet &= actions.is_empty();
            pass.closing = true;
            pass.outstanding = act(actions, cx);
        }
        if pass.outstanding > 0 {
            self.under_way = Some(pass);
        } else {
            self.end_pass(&pass, cx);
        }
        self.ask_round(cx);
    }

    fn ask_round(&mut self, cx: &mut Cx<'_>) {
        // A round reads nodes from the watch: what this pass writes must have come back by then. One that is planned
        // already stays, or passes that come faster than that would put it off for ever.
        let planned = self.round_due;
        self.plan_round(cx.now + self.settings.watch_delay * 3);
        self.round_due = self.round_due.min(planned);
        if self.round_due < SimTime::MAX {
            cx.wake(round_key(), self.round_due);
        }
    }

    fn end_pass(&mut self, pass: &UnderWay, cx: &Cx<'_>) {
        let began = self.last_pass.unwrap_or(cx.now);
        if cx.now > began + self.settings.pass_time {
            self.passes.begin_anew(began, cx.now + self.settings.period);
        }
        let waiting = |a: &Zone, b: &Zone| {
            a.state == b.state && a.queue.waiting() == b.queue.waiting() && a.queue.milli_qps == b.queue.milli_qps
        };
        let (before, zones) = (&pass.before, &self.monitor.zones);
        let same_zones = before.len() == zones.len() && before.values().zip(zones.values()).all(|(a, b)| waiting(a, b));
        let next = self.passes.at(began + SimDuration(1));
        let settled = pass.quiet && same_zones;
        self.pass_due = match pass.silence.filter(|_| settled && !self.every(cx)) {
            _ if !settled || self.every(cx) => next,
            None => SimTime::MAX,
            Some(end) => self.passes.at(end + SimDuration(1)).max(next),
        };
    }

    /// One round of `NoExecute` tainting.
    fn round(&mut self, cx: &mut Cx<'_>) -> Requeue {
        if self.round_due <= cx.now {
            let view = cx.view;
            let actions = self.monitor.taint_round(self.round_due, &|name| view.node(name).cloned());
            if !actions.is_empty() {
                // A pass right after this may not see the new taint yet, as upstream's may not.
                self.ask_pass(self.round_due);
                if self.under_way.is_none() {
                    cx.wake(monitor_key(), self.pass_due);
                }
            }
            self.last_round = self.round_due;
            self.tainting = act(actions, cx);
            self.plan_round(self.last_round + SimDuration(1));
        }
        match self.round_due {
            SimTime::MAX => Requeue::Done,
            due => Requeue::After(due - cx.now),
        }
    }

    /// What this pass sees of a node's lease.
    fn sign_of(&self, node: &Node, now: SimTime, every: bool, view: View<'_>) -> Sign {
        let seen = now - self.settings.watch_delay;
        let machine = view.fetch::<Machine>(&Name::new(), &node.meta.name);
        let beating = machine.is_some_and(|machine| machine.up && machine.up_since <= seen);
        if beating && !every && !self.monitor.needs_renewal(node) {
            return Sign::Beating;
        }
        let last = || self.last_beats.get(&node.meta.name).copied();
        match view.lease_renewed(&node.meta.name, seen).or_else(last) {
            Some(at) => Sign::Renewed { at, noticed: self.passes.at(at + self.settings.watch_delay) },
            None => Sign::None,
        }
    }

    /// Whether the next pass will take a renewal already seen for a new one.
    fn unsettled(&self, nodes: &[Arc<Node>], signs: &[Sign]) -> bool {
        nodes.iter().zip(signs).any(|(node, sign)| *sign != Sign::None && self.monitor.needs_renewal(node))
    }

    /// After this instant the first silent node is found.
    fn next_silence(&self, nodes: &[Arc<Node>], signs: &[Sign]) -> Option<SimTime> {
        let silent = nodes.iter().zip(signs).filter(|(_, sign)| **sign != Sign::Beating);
        silent.filter_map(|(node, _)| self.monitor.silent_after(node)).min()
    }

    fn plan_round(&mut self, from: SimTime) {
        if self.tainting > 0 {
            self.round_due = SimTime::MAX;
            return;
        }
        let next = self.monitor.next_taint(from);
        self.round_due = next.map_or(SimTime::MAX, |at| self.rounds.at(at));
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

/// Carries actions out: the nodes side by side, the writes of a node one after the other. Says how many such chains of
/// writes are on their way.
fn act(actions: Vec<Action>, cx: &mut Cx<'_>) -> usize {
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
                cx.tell(record);
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
    let chains = by_node.into_values().filter(|writes| !writes.is_empty());
    chains.map(|writes| cx.background(writes)).count()
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
