//! The health monitor: what each pass over the nodes decides
//! (`pkg/controller/nodelifecycle/node_lifecycle_controller.go`, `monitorNodeHealth`).
//!
//! It knows nodes, renewals of leases and the time, nothing of store or runtime.

use super::taints::{self, NOT_READY, TaintChange, UNREACHABLE};
use super::zones::{EvictionRates, TaintQueue, ZoneState, zone_of};
use crate::model::{Condition, Name, Node, TaintEffect, Truth, Uid, condition};
use crate::time::{SimDuration, SimTime};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The conditions that a silent kubelet leaves unknown.
const WATCHED: [Name; 4] =
    [crate::name!("Ready"), crate::name!("MemoryPressure"), crate::name!("DiskPressure"), crate::name!("PIDPressure")];

/// How patient the monitor is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Patience {
    /// `--node-monitor-grace-period`.
    pub grace: SimDuration,
    /// `--node-startup-grace-period`.
    pub startup_grace: SimDuration,
    /// Rates of tainting.
    pub rates: EvictionRates,
}

impl Default for Patience {
    fn default() -> Self {
        let (grace, startup_grace) = (SimDuration::from_secs(50), SimDuration::from_secs(60));
        Patience { grace, startup_grace, rates: EvictionRates::default() }
    }
}

/// What is known of a node's lease.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sign {
    /// There is none.
    None,
    /// It is renewed all the time; when exactly does not matter yet.
    Beating,
    /// The last renewal, and the pass that first could see it.
    Renewed {
        /// When it was renewed.
        at: SimTime,
        /// The pass that noticed.
        noticed: SimTime,
    },
}

/// What a pass asks for, in order.
#[derive(Clone, PartialEq, Debug)]
pub enum Action {
    /// The node is new: an event.
    Registered(Arc<Node>),
    /// The node is gone: an event.
    Removed(Name, Uid),
    /// The kubelet is silent: these conditions are set.
    Unknown(Name, Vec<Condition>),
    /// The node was ready and no longer is: an event, and its pods are marked.
    NotReady(Arc<Node>),
    /// `NoExecute` taints change.
    Taint(Name, TaintChange),
}

/// What the monitor remembers of a node.
#[derive(Clone, PartialEq, Debug)]
struct Health {
    /// Heartbeat of the Ready condition last seen; `None` if there was no such condition.
    heartbeat: Option<SimTime>,
    probe: SimTime,
    /// The renewal last seen; forgotten when a heartbeat comes.
    lease: Option<SimTime>,
    /// When the monitor itself declared the node silent.
    declared: Option<SimTime>,
}

/// The Ready conditions of the nodes of each zone, as a pass judged them.
pub type Judged = BTreeMap<Name, Vec<Option<Truth>>>;

/// A zone and its queue.
#[derive(Clone, Debug)]
pub struct Zone {
    /// How badly it is hit; `None` while no node of it counts.
    pub state: Option<ZoneState>,
    /// Nodes that wait for their taint.
    pub queue: TaintQueue,
}

/// The monitor.
#[derive(Debug, Default)]
pub struct Monitor {
    patience: Patience,
    health: BTreeMap<Name, Health>,
    known: BTreeMap<Name, Uid>,
    /// Zones by key.
    pub zones: BTreeMap<Name, Zone>,
}

impl Monitor {
    /// A monitor that has seen nothing.
    pub fn new(patience: Patience) -> Self {
        Monitor { patience, ..Monitor::default() }
    }

    /// One pass over all nodes, in order of name, each with its sign of life.
    pub fn pass(&mut self, now: SimTime, nodes: &[Arc<Node>], signs: &[Sign]) -> Vec<Action> {
        let mut actions = Vec::new();
        let judged = self.judge_nodes(now, nodes, signs, &mut actions);
        self.handle_disruption(now, nodes, &judged, &mut actions);
        actions
    }

    /// The first part of a pass: each node alone.
    pub fn judge_nodes(
        &mut self,
        now: SimTime,
        nodes: &[Arc<Node>],
        signs: &[Sign],
        actions: &mut Vec<Action>,
    ) -> Judged {
        self.meet(nodes, actions);
        let mut by_zone = Judged::new();
        for (node, sign) in nodes.iter().zip(signs) {
            let before = ready_of(node);
            let current = self.judge(node, now, *sign, actions);
            if node.meta.labels.get("node.kubernetes.io/exclude-disruption").is_none() {
                by_zone.entry(zone_of(node)).or_default().push(current);
            }
            let Some(current) = current else { continue };
            self.decide_taint(node, current, now, actions);
            if current != Truth::True && before == Some(Truth::True) {
                actions.push(Action::NotReady(node.clone()));
            }
        }
        by_zone
    }

    /// When a node is found silent if it renews nothing more: strictly after this instant.
    pub fn silent_after(&self, node: &Node) -> Option<SimTime> {
        let health = self.health.get(&node.meta.name)?;
        let grace = if ready_of(node).is_some() { self.patience.grace } else { self.patience.startup_grace };
        (ready_of(node) != Some(Truth::Unknown)).then(|| health.probe + grace)
    }

    /// Whether it matters which renewal the next pass sees: the first one, or one beside a new heartbeat.
    pub fn needs_renewal(&self, node: &Node) -> bool {
        let heartbeat = heartbeat_of(node);
        self.health.get(&node.meta.name).is_none_or(|health| health.lease.is_none() || health.heartbeat != heartbeat)
    }

    fn meet(&mut self, nodes: &[Arc<Node>], actions: &mut Vec<Action>) {
        for node in nodes {
            let rate = self.patience.rates.milli_qps;
            let fresh = || Zone { state: Some(ZoneState::Initial), queue: TaintQueue::new(rate) };
            let zone = self.zones.entry(zone_of(node)).or_insert_with(fresh);
            if zone.state.is_none() {
                *zone = fresh();
            }
            if !self.known.contains_key(&node.meta.name) {
                self.known.insert(node.meta.name.clone(), node.meta.uid);
                actions.push(Action::Registered(node.clone()));
                self.reachable(node, actions);
            }
        }
        if self.known.len() > nodes.len() {
            let here: std::collections::BTreeSet<&Name> = nodes.iter().map(|node| &node.meta.name).collect();
            let gone: Vec<Name> = self.known.keys().filter(|name| !here.contains(name)).cloned().collect();
            for name in gone {
                if let Some(uid) = self.known.remove(&name) {
                    actions.push(Action::Removed(name, uid));
                }
            }
        }
    }

    /// Takes both `NoExecute` taints off and forgets that the node waits for one (`markNodeAsReachable`).
    fn reachable(&mut self, node: &Arc<Node>, actions: &mut Vec<Action>) {
        let worn: Vec<_> = [UNREACHABLE, NOT_READY]
            .into_iter()
            .filter(|key| taints::has(node, key, TaintEffect::NoExecute))
            .map(|key| (key, TaintEffect::NoExecute))
            .collect();
        if !worn.is_empty() {
            actions.push(Action::Taint(node.meta.name.clone(), (Vec::new(), worn)));
        }
        self.queue(node).remove(&node.meta.name);
    }

    fn queue(&mut self, node: &Node) -> &mut TaintQueue {
        let zone = self.zones.get_mut(&zone_of(node)).expect("every node's zone was met at the start of the pass");
        &mut zone.queue
    }

    /// Looks for signs of life; the Ready status that holds from now on (`tryUpdateNodeHealth`).
    fn judge(&mut self, node: &Arc<Node>, now: SimTime, sign: Sign, actions: &mut Vec<Action>) -> Option<Truth> {
        let heartbeat = heartbeat_of(node);
        let saved = self.health.get(&node.meta.name).cloned();
        let saved_lease = saved.as_ref().and_then(|saved| saved.lease);
        let same_status = saved.as_ref().is_some_and(|saved| saved.heartbeat == heartbeat);
        let fresh = |probe: SimTime| Health { heartbeat, probe, lease: None, declared: None };
        let mut health = match saved {
            Some(saved) if saved.heartbeat == heartbeat => saved,
            None if heartbeat.is_none() => fresh(node.meta.created),
            _ => fresh(now),
        };
        let mut last = health.lease;
        if let Sign::Renewed { at, noticed } = sign {
            last = Some(at);
            // A status that is new has the lease forgotten, and the next renewal that is seen counts. Of a node that was
            // taken to beat the earlier passes have not written down what they saw.
            let forgotten = !same_status && saved_lease.is_some() && noticed < now;
            if !forgotten && saved_lease.is_none_or(|saved| saved < at) {
                let noticed = if saved_lease.is_none() { now } else { noticed };
                health.probe = health.probe.max(noticed);
                health.lease = last;
            }
        }
        let grace = if heartbeat.is_some() { self.patience.grace } else { self.patience.startup_grace };
        let mut current = ready_of(node);
        let silent = sign != Sign::Beating && now > health.probe + grace;
        if silent && current != Some(Truth::Unknown) {
            let conditions = silent_conditions(node, now);
            health.heartbeat = conditions.iter().find(|c| c.kind == "Ready").map(|ready| ready.last_update);
            health.lease = last;
            health.declared = Some(now);
            actions.push(Action::Unknown(node.meta.name.clone(), conditions));
            current = Some(Truth::Unknown);
        }
        self.health.insert(node.meta.name.clone(), health);
        current
    }

    /// `processTaintBaseEviction`
    fn decide_taint(&mut self, node: &Arc<Node>, ready: Truth, now: SimTime, actions: &mut Vec<Action>) {
        let (own, other) = match ready {
            Truth::True => return self.reachable(node, actions),
            Truth::False => (NOT_READY, UNREACHABLE),
            Truth::Unknown => (UNREACHABLE, NOT_READY),
        };
        if taints::has(node, &other, TaintEffect::NoExecute) {
            actions.push(Action::Taint(node.meta.name.clone(), swap(own, other, now)));
            return;
        }
        let untainted = !taints::has(node, &own, TaintEffect::NoExecute);
        let queue = self.queue(node);
        if untainted {
            queue.remove(&node.meta.name);
        }
        queue.add(&node.meta.name);
    }

    /// The second part: sets the rates by how badly the zones are hit; when everything is down, nothing is evicted
    /// (`handleDisruption`).
    pub fn handle_disruption(
        &mut self,
        now: SimTime,
        nodes: &[Arc<Node>],
        by_zone: &Judged,
        actions: &mut Vec<Action>,
    ) {
        let rates = self.patience.rates;
        let states: BTreeMap<&Name, ZoneState> =
            by_zone.iter().map(|(key, ready)| (key, rates.judge(ready).1)).collect();
        let full = |state: &ZoneState| *state == ZoneState::FullDisruption;
        let all_are = states.values().all(full);
        // Upstream forgets a zone without nodes in this pass or a later one, as the order of a Go map has it.
        for (_, zone) in self.zones.iter_mut().filter(|(key, _)| !by_zone.contains_key(*key)) {
            zone.state = None;
        }
        let all_were = self.zones.values().filter_map(|zone| zone.state.as_ref()).all(full);
        if all_are && all_were {
            return;
        }
        if all_are {
            for node in nodes {
                self.reachable(node, actions);
            }
            for zone in self.zones.values_mut().filter(|zone| zone.state.is_some()) {
                zone.queue.set_rate(0, now);
                zone.state = Some(ZoneState::FullDisruption);
            }
            return;
        }
        if all_were {
            for node in nodes {
                if let Some(health) = self.health.get_mut(&node.meta.name) {
                    health.probe = now;
                }
            }
        }
        for (key, zone) in &mut self.zones {
            let Some(state) = states.get(key).copied() else { continue };
            if all_were || zone.state != Some(state) {
                zone.queue.set_rate(rates.rate(by_zone[key].len(), state), now);
                zone.state = Some(state);
            }
        }
    }

    /// One round of `NoExecute` tainting: what the rates let through (`doNoExecuteTaintingPass`).
    pub fn taint_round(&mut self, now: SimTime, node: &dyn Fn(&Name) -> Option<Arc<Node>>) -> Vec<Action> {
        let mut actions = Vec::new();
        for zone in self.zones.values_mut() {
            while let Some(name) = zone.queue.pop(now) {
                let ready = node(&name).and_then(|node| known_ready(&node, self.health.get(&name)));
                let (own, other) = match ready {
                    Some(Truth::False) => (NOT_READY, UNREACHABLE),
                    Some(Truth::Unknown) => (UNREACHABLE, NOT_READY),
                    Some(Truth::True) | None => continue,
                };
                actions.push(Action::Taint(name, swap(own, other, now)));
            }
        }
        actions
    }

    /// When the rates let the next waiting node through.
    pub fn next_taint(&self, now: SimTime) -> Option<SimTime> {
        self.zones.values().filter_map(|zone| zone.queue.next_pop(now)).min()
    }
}

/// The Ready status as the monitor knows it: a watch may not yet show what the monitor itself has written.
fn known_ready(node: &Node, health: Option<&Health>) -> Option<Truth> {
    let ready = condition::find(&node.conditions, "Ready");
    let declared = health.and_then(|health| health.declared);
    match (ready, declared) {
        (Some(ready), Some(declared)) if ready.last_transition >= declared => Some(ready.status),
        (_, Some(_)) => Some(Truth::Unknown),
        (ready, None) => ready.map(|ready| ready.status),
    }
}

/// When the kubelet last posted the Ready condition, if there is one.
fn heartbeat_of(node: &Node) -> Option<SimTime> {
    condition::find(&node.conditions, "Ready").map(|ready| ready.last_update)
}

/// The Ready condition's status, if there is one.
fn ready_of(node: &Node) -> Option<Truth> {
    condition::find(&node.conditions, "Ready").map(|ready| ready.status)
}

fn swap(own: Name, other: Name, now: SimTime) -> TaintChange {
    (vec![taints::taint(own, TaintEffect::NoExecute, now)], vec![(other, TaintEffect::NoExecute)])
}

/// The conditions of a node whose kubelet is silent, those that change.
fn silent_conditions(node: &Node, now: SimTime) -> Vec<Condition> {
    let mut changed = Vec::new();
    for kind in WATCHED {
        let (reason, message, heartbeat) = match condition::find(&node.conditions, &kind) {
            Some(current) if current.status == Truth::Unknown => continue,
            Some(current) => {
                (crate::name!("NodeStatusUnknown"), "Kubelet stopped posting node status.", current.last_update)
            }
            None => (crate::name!("NodeStatusNeverUpdated"), "Kubelet never posted node status.", node.meta.created),
        };
        let unknown = Condition::new(kind, Truth::Unknown, reason, message, now);
        changed.push(Condition { last_update: heartbeat, ..unknown });
    }
    changed
}
