//! Turns the change log into a [`Record`]: each change is looked at once, when it happens, and costs the
//! same however large the cluster is (but for a machine that stops: each of its pods is looked at).

use super::jobs::Jobs;
use super::record::{EventRow, IncidentRecord, NodeMark, NodeRecord, Record, ServiceRecord};
use super::recovery;
use super::resilience::BudgetRecord;
use super::workloads::Workloads;
use crate::model::core::{Event, Incident};
use crate::model::provision::Provision;
use crate::model::service::{Endpoint, EndpointSlice, SERVICE_NAME};
use crate::model::{Machine, Name, Node, Object, Pod, PodDisruptionBudget, TaintEffect, Truth, Uid};
use crate::store::{Change, Store};
use crate::time::SimTime;
use rustc_hash::FxHashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

/// Watches a run and writes its record. Never writes to the cluster, never draws a random number.
#[derive(Debug, Default)]
pub struct Recorder {
    record: Record,
    workloads: Workloads,
    jobs: Jobs,
    nodes: FxHashMap<Name, usize>,
    node_states: Vec<NodeState>,
    balance: Balance,
    services: FxHashMap<(Name, Name), usize>,
    events: FxHashMap<Uid, usize>,
    incidents: FxHashMap<Name, usize>,
}

/// What must be known of a node to count on.
#[derive(Clone, Debug, Default)]
struct NodeState {
    registered: bool,
    has_machine: bool,
    /// Of its pods, by cpu and memory, whether its machine is up or not.
    used: [i64; 2],
    /// Its requested shares as [`Balance`] counts them; `None` while it is not counted.
    counted: Option<[i64; 2]>,
}

/// Sums from which the coefficient of variation of the requested shares follows.
#[derive(Clone, Debug, Default)]
struct Balance {
    nodes: i128,
    sum: [i128; 2],
    squares: [i128; 2],
}

impl Recorder {
    /// A recorder that has seen nothing.
    pub fn new() -> Self {
        Recorder::default()
    }

    /// Looks at everything a store's log still holds: what was put there before the run began.
    pub fn replay(&mut self, store: &Store) {
        for revision in 1..=store.revision() {
            if let Some(change) = store.log().get(revision) {
                self.change(change, store);
            }
        }
    }

    /// A write was accepted; `store` already holds it.
    pub fn change(&mut self, change: &Change, store: &Store) {
        let now = change.time;
        self.workloads.pass_time(now, &mut self.record);
        let (old, new) = (change.old.as_ref(), change.new.as_ref());
        match change.object() {
            Object::Pod(_) => self.pod(now, old.and_then(Object::pod), new.and_then(Object::pod)),
            Object::Node(_) => self.node(now, old.and_then(Object::node), new.and_then(Object::node)),
            Object::Machine(machine) => self.machine(now, machine, new.is_some(), store),
            Object::Deployment(_)
            | Object::ReplicaSet(_)
            | Object::StatefulSet(_)
            | Object::DaemonSet(_)
            | Object::ReplicationController(_) => self.workloads.workload(change, &mut self.record),
            Object::Job(_) => self.jobs.job(change, &mut self.record),
            Object::Service(service) if change.old.is_none() && service.selector.is_some() => {
                self.service(&service.meta.namespace, &service.meta.name);
            }
            Object::EndpointSlice(_) => {
                self.slice(now, old.and_then(Object::as_kind), new.and_then(Object::as_kind));
            }
            Object::PodDisruptionBudget(budget) => self.budget(now, budget, new.is_some(), store),
            Object::Event(event) if new.is_some() => self.event(event),
            Object::Event(event) => drop(self.events.remove(&event.meta.uid)),
            Object::Incident(incident) if new.is_some() => self.incident(incident),
            _ => {}
        }
    }

    /// The run is over at `now`.
    pub fn finish(&mut self, now: SimTime) {
        self.workloads.pass_time(now, &mut self.record);
        self.record.end = now;
        for (pod, lost) in self.jobs.finish(&mut self.record) {
            self.workloads.lost_work(pod, lost, &mut self.record);
        }
        self.record.recoveries = recovery::all(&self.record);
    }

    /// The record, complete after [`Recorder::finish`].
    pub fn into_record(self) -> Record {
        self.record
    }

    /// What was recorded so far.
    pub fn record(&self) -> &Record {
        &self.record
    }

    fn pod(&mut self, now: SimTime, old: Option<&Arc<Pod>>, new: Option<&Arc<Pod>>) {
        let before = old.map(|pod| (self.node_of(pod), Load::of(pod)));
        let after = new.map(|pod| (self.node_of(pod), Load::of(pod)));
        if before != after {
            for (change, sign) in [(before, -1), (after, 1)] {
                if let Some((Some(node), load)) = change {
                    self.load(now, node, load, sign);
                }
            }
        }
        let nodes = &self.record.nodes;
        let up = |pod: &Pod| pod.node.as_ref().and_then(|name| self.nodes.get(name)).map(|at| nodes[*at].up.last());
        let serving = [old.and_then(|pod| up(pod)), new.and_then(|pod| up(pod))].map(|up| up.unwrap_or(1) == 1);
        self.workloads.pod(now, (old, new), serving, &mut self.record);
        if let (Some(lost), Some(pod)) = (self.jobs.pod(now, old, new, &mut self.record), new.or(old)) {
            self.workloads.lost_work(pod.meta.uid, lost, &mut self.record);
        }
    }

    fn node_of(&mut self, pod: &Pod) -> Option<usize> {
        pod.node.clone().map(|name| self.node_index(name))
    }

    fn load(&mut self, now: SimTime, node: usize, load: Load, sign: i64) {
        let record = &mut self.record.nodes[node];
        record.pods.add(now, sign * load.pods);
        record.requested_cpu.add(now, sign * load.requested[0]);
        record.requested_memory.add(now, sign * load.requested[1]);
        for at in 0..2 {
            self.node_states[node].used[at] += sign * load.used[at];
        }
        self.set_used(now, node);
        self.rebalance(now, node);
    }

    fn set_used(&mut self, now: SimTime, node: usize) {
        let record = &mut self.record.nodes[node];
        let used = self.node_states[node].used.map(|used| used * record.up.last());
        record.used_cpu.set(now, used[0]);
        record.used_memory.set(now, used[1]);
    }

    /// Enters a node's new requested shares (in millionths of allocatable) into the cluster's balance.
    fn rebalance(&mut self, now: SimTime, node: usize) {
        let record = &self.record.nodes[node];
        let allocatable = [record.allocatable_cpu.last(), record.allocatable_memory.last()];
        let requested = [record.requested_cpu.last(), record.requested_memory.last()];
        let counts = self.node_states[node].registered && !record.control_plane && allocatable[0] > 0;
        let millionths = |at: usize| i128::from(requested[at]) * 1_000_000 / i128::from(allocatable[at].max(1));
        let shares = counts.then(|| [0, 1].map(|at| i64::try_from(millionths(at)).unwrap_or(i64::MAX)));
        if shares == self.node_states[node].counted {
            return;
        }
        for (change, sign) in [(self.node_states[node].counted, -1), (shares, 1)] {
            let Some(change) = change else { continue };
            self.balance.nodes += sign;
            for (at, share) in change.map(i128::from).into_iter().enumerate() {
                self.balance.sum[at] += sign * share;
                self.balance.squares[at] += sign * share * share;
            }
        }
        self.node_states[node].counted = shares;
        for at in 0..2 {
            self.record.imbalance[at].set(now, self.balance.variation(at));
        }
    }

    fn node_index(&mut self, name: Name) -> usize {
        let record = &mut self.record;
        let states = &mut self.node_states;
        *self.nodes.entry(name).or_insert_with_key(|name| {
            record.nodes.push(NodeRecord { name: name.clone(), ..NodeRecord::default() });
            states.push(NodeState::default());
            record.nodes.len() - 1
        })
    }

    fn node(&mut self, now: SimTime, old: Option<&Arc<Node>>, new: Option<&Arc<Node>>) {
        let Some(name) = new.or(old).map(|node| node.meta.name.clone()) else { return };
        let at = self.node_index(name);
        let record = &mut self.record.nodes[at];
        self.node_states[at].registered = new.is_some();
        record.registered.set(now, i64::from(new.is_some()));
        if let Some(node) = new {
            record.zone = node.zone();
            record.control_plane = node.is_control_plane();
        }
        if !self.node_states[at].has_machine {
            record.up.set(now, i64::from(new.is_some()));
        }
        let ready = new.map(|node| node.ready());
        record.ready.set(now, i64::from(ready == Some(Truth::True)));
        let size = new.map(|node| &node.allocatable);
        record.allocatable_cpu.set(now, size.map_or(0, |size| size.milli_cpu));
        record.allocatable_memory.set(now, size.map_or(0, |size| size.memory));
        record.allocatable_pods.set(now, size.map_or(0, |size| size.pods));
        record.marks.extend(marks(old.map(|node| &**node), new.map(|node| &**node)).map(|mark| (now, mark)));
        self.set_used(now, at);
        self.rebalance(now, at);
    }

    fn machine(&mut self, now: SimTime, machine: &Arc<Machine>, exists: bool, store: &Store) {
        let name = machine.meta.name.clone();
        let at = self.node_index(name.clone());
        self.node_states[at].has_machine = true;
        let record = &mut self.record.nodes[at];
        record.pool = machine.pool.clone();
        record.price_per_hour_micros = machine.price_per_hour_micros;
        record.zone = machine.node.zone();
        record.control_plane = machine.node.is_control_plane();
        if Provision::of(machine) == Provision::Asked {
            record.asked = record.asked.or(Some(now));
        }
        let up = i64::from(machine.serves() && exists);
        let was = record.up.last();
        record.up.set(now, up);
        if was == up {
            return;
        }
        let first = record.up.points.len() == 1;
        if !first {
            record.marks.push((now, if up == 1 { NodeMark::Up } else { NodeMark::Down }));
        }
        self.set_used(now, at);
        for pod in store.live().pods_on(&name) {
            self.workloads.machine_turned(now, pod, up == 1, &mut self.record);
        }
    }

    fn service(&mut self, namespace: &Name, name: &Name) -> usize {
        let record = &mut self.record;
        *self.services.entry((namespace.clone(), name.clone())).or_insert_with_key(|(namespace, name)| {
            let (namespace, name) = (namespace.clone(), name.clone());
            record.services.push(ServiceRecord { namespace, name, ready: Default::default() });
            record.services.len() - 1
        })
    }

    /// What a budget asks for, and of which workload: that of the first pod that it selects.
    fn budget(&mut self, now: SimTime, budget: &Arc<PodDisruptionBudget>, exists: bool, store: &Store) {
        let (namespace, name) = (&budget.meta.namespace, &budget.meta.name);
        let rows = &mut self.record.budgets;
        let at = rows.iter().position(|row| row.name == *name && row.namespace == *namespace).unwrap_or_else(|| {
            let (namespace, name) = (namespace.clone(), name.clone());
            rows.push(BudgetRecord { namespace, name, workload: None, desired: Default::default() });
            rows.len() - 1
        });
        let wish = if exists { i64::from(budget.status.desired_healthy) } else { 0 };
        rows[at].desired.set(now, wish);
        if rows[at].workload.is_none()
            && let Some(selector) = &budget.selector
        {
            let mut pods = store.live().list_in::<Pod>(namespace).filter(|pod| selector.matches(&pod.meta.labels));
            let workload = pods.find_map(|pod| self.workloads.of_pod(pod.meta.uid, &self.record));
            self.record.budgets[at].workload = workload;
        }
    }

    fn slice(&mut self, now: SimTime, old: Option<&Arc<EndpointSlice>>, new: Option<&Arc<EndpointSlice>>) {
        let Some(slice) = new.or(old) else { return };
        let Some(service) = slice.meta.labels.get(&SERVICE_NAME).cloned() else { return };
        let service = self.service(&slice.meta.namespace.clone(), &service);
        let (_, gone, come) = EndpointSlice::difference(old.map(|old| &**old), new.map(|new| &**new));
        let (before, after) = (ready_pods(gone), ready_pods(come));
        let delta = i64::try_from(after.len()).unwrap_or(0) - i64::try_from(before.len()).unwrap_or(0);
        self.record.services[service].ready.add(now, delta);
        for (uids, others, value) in [(&before, &after, false), (&after, &before, true)] {
            for uid in uids.iter().filter(|uid| others.binary_search(uid).is_err()) {
                self.workloads.endpoint(now, *uid, value, &mut self.record);
            }
        }
    }

    fn event(&mut self, event: &Arc<Event>) {
        let rows = &mut self.record.events;
        let row = EventRow {
            first: event.first,
            last: event.last,
            count: event.count,
            warning: event.warning,
            object: event.regarding.clone(),
            reason: event.reason.clone(),
            message: event.message.clone(),
            source: event.source.clone(),
        };
        match self.events.entry(event.meta.uid) {
            Entry::Occupied(at) => rows[*at.get()] = row,
            Entry::Vacant(place) => {
                place.insert(rows.len());
                rows.push(row);
            }
        }
        if event.reason == "Pulled" {
            self.workloads.pulled(event.regarding_uid, event.last, &mut self.record);
        }
    }

    fn incident(&mut self, incident: &Arc<Incident>) {
        let row = IncidentRecord {
            fault: incident.fault.clone(),
            description: incident.description.clone(),
            started: incident.started,
            ended: incident.ended,
            output: incident.output.clone(),
        };
        let rows = &mut self.record.incidents;
        match self.incidents.get(&incident.meta.name) {
            Some(at) => rows[*at] = row,
            None => {
                self.incidents.insert(incident.meta.name.clone(), rows.len());
                rows.push(row);
            }
        }
    }
}

/// What a pod takes of its node: nothing once it is terminal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Load {
    pods: i64,
    requested: [i64; 2],
    used: [i64; 2],
}

impl Load {
    fn of(pod: &Pod) -> Load {
        if pod.status.phase.terminal() {
            return Load::default();
        }
        let (requests, usage) = (pod.requests(), pod.usage());
        Load { pods: 1, requested: [requests.milli_cpu, requests.memory], used: [usage.milli_cpu, usage.memory] }
    }
}

impl Balance {
    /// Standard deviation over mean, in millionths: sqrt(n Σs² − (Σs)²) / Σs.
    fn variation(&self, at: usize) -> i64 {
        let sum = self.sum[at];
        let spread = (self.nodes * self.squares[at] - sum * sum).max(0).unsigned_abs().isqrt();
        let millionths = (spread * 1_000_000).checked_div(sum.unsigned_abs()).unwrap_or(0);
        i64::try_from(millionths).unwrap_or(i64::MAX)
    }
}

/// The pods behind the ready of some endpoints, sorted.
fn ready_pods(endpoints: &[Arc<Endpoint>]) -> Vec<Uid> {
    let mut uids: Vec<Uid> = endpoints.iter().filter(|one| one.ready).map(|one| one.pod_uid).collect();
    uids.sort_unstable();
    uids.dedup();
    uids
}

/// What happened to a node from one version to the next.
fn marks(old: Option<&Node>, new: Option<&Node>) -> impl Iterator<Item = NodeMark> + use<> {
    let has = |node: Option<&Node>, effect: TaintEffect| {
        let lost = ["node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready"];
        node.is_some_and(|node| node.taints.iter().any(|t| t.effect == effect && lost.contains(&t.key.as_str())))
    };
    let gained = |effect: TaintEffect| has(new, effect) && !has(old, effect);
    let (was, is) = (old.map(Node::ready), new.map(Node::ready));
    let turned = |truth: Truth| is == Some(truth) && was != is && (was.is_some() || truth == Truth::True);
    let cordoned = |node: Option<&Node>| node.is_some_and(|node| node.unschedulable);
    [
        (turned(Truth::True), NodeMark::Ready),
        (turned(Truth::False), NodeMark::NotReady),
        (turned(Truth::Unknown), NodeMark::Unknown),
        (gained(TaintEffect::NoSchedule), NodeMark::NoSchedule),
        (gained(TaintEffect::NoExecute), NodeMark::NoExecute),
        (cordoned(new) && !cordoned(old), NodeMark::Cordoned),
        (new.is_some() && cordoned(old) && !cordoned(new), NodeMark::Uncordoned),
    ]
    .into_iter()
    .filter_map(|(happened, mark)| happened.then_some(mark))
}
