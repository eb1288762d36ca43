//! Requests, event by event: the one thing in the cluster that is not a controller, because millions of requests must
//! not become writes.
//!
//! ```text
//! arrivals.rs  when clients ask          flow.rs    one request as its client sees it
//! way.rs       from where, and how far it is
//! server.rs    a pod at work             serve.rs   one request as its server sees it
//! memory.rs    what requests take of it  processors.rs  what the pods of a node share
//! stats.rs     what became of them       seat.rs    from the scenario to the engine
//! heap.rs      its own event queue       slab.rs    requests under way, by number
//! fluid/       all of it as flows, where requests are too many
//! ```
//!
//! The engine is the runtime's [`Plant`]: before the runtime handles an event of the cluster at some instant, the
//! engine handles all of its own before it. It sees every write at its instant (as an observer), and through
//! [`Network`] what each node's proxy has made of it; it writes nothing but its own counts.
//!
//! A worked example: a client's request arrives at 10 s → the rules of the node that it comes in by give a pod → it
//! travels 250 µs → the process there listens and has room → it is at work for 12 ms → the answer travels back: a
//! success of 12.5 ms. Had the pod's process been gone, it would have been refused after 0.5 ms, whether or not any
//! API object says so yet.

mod arrivals;
mod flow;
mod fluid;
mod heap;
mod memory;
mod processors;
mod seat;
mod serve;
mod server;
mod slab;
mod stats;
mod way;

#[cfg(test)]
mod ingress_tests;
#[cfg(test)]
mod node_tests;
#[cfg(test)]
mod tests;

pub use self::seat::{Seat, Settings};

use self::arrivals::Process;
use self::flow::{Call, Flight};
use self::fluid::Fluid;
use self::heap::{Heap, Kind};
use self::processors::Processors;
use self::server::{Model, Server};
use self::slab::Slab;
use self::stats::{Distance, Stats};
use crate::metrics::traffic::PodTraffic;
use crate::metrics::{Meters, TrafficRecord};
use crate::model::pod_spec::PodSpec;
use crate::model::{Key, Name, Object, Pod, Uid};
use crate::network::Network;
use crate::network::ingress::Ingresses;
use crate::network::listeners::Listeners;
use crate::network::policy::Policies;
use crate::rng::{Delay, Stream};
use crate::runtime;
use crate::scenario::selector::Selector;
use crate::scenario::traffic::{CircuitBreaker, IngressTarget, Retries};
use crate::store::Change;
use crate::time::{SimDuration, SimTime};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::sync::Arc;

/// From a change of an Ingress until the controller goes by it: it collects changes and reloads
/// (`ingress-nginx`, `--sync-rate-limit 0.3` makes it up to 3 s).
const RELOAD: SimDuration = SimDuration::from_secs(1);
/// How often meters are told.
const METERED: SimDuration = SimDuration::from_secs(1);

/// One who asks.
struct Client {
    /// The service, as the network numbers it.
    service: u32,
    /// The service, as counts are numbered.
    flow: usize,
    /// It asks through the ingress controller.
    ingress: Option<IngressTarget>,
    from: Origin,
    /// Different addresses, and the first.
    sources: u32,
    first_source: u32,
    arrivals: Option<Process>,
    users: u32,
    think: Delay,
    timeout: SimDuration,
    connect_timeout: SimDuration,
    start: SimTime,
    end: SimTime,
    /// Whether it is one of the scenario's clients, and not a server that asks others.
    reports: bool,
    /// Whether the answer is good without its own.
    optional: bool,
    retries: Option<Retries>,
    /// Retries that are paid for.
    tokens: f64,
    hedge: Option<SimDuration>,
    breaker: Option<CircuitBreaker>,
    failed_in_row: u32,
    open_until: SimTime,
    /// Connections that stay open, whose turn it was, and how old they get.
    connections: Vec<Option<Connection>>,
    connection_turn: usize,
    connection_age: Option<SimDuration>,
    /// A connection takes a round trip more.
    tls: bool,
    /// Whose turn it is among nodes or pods.
    turn: usize,
    /// When it asks, where it goes, and how long servers take for it.
    asks: Stream,
    routes: Stream,
    work: Stream,
    /// What becomes of its packets where some are lost.
    losses: Stream,
    /// Until when the answer of DNS counts that it had last.
    resolved_until: SimTime,
}

/// A service behind the ingress controller.
struct Behind {
    namespace: Name,
    name: Name,
    /// As the network numbers it, and as counts are.
    service: u32,
    flow: usize,
}

/// No number.
const NONE: u32 = u32::MAX;

/// A connection that stays open, and with the pod that it was opened to.
#[derive(Clone, Copy, Debug)]
struct Connection {
    target: u32,
    /// As [`Flight::node`].
    node: u32,
    latency: SimDuration,
    distance: Distance,
    opened: SimTime,
    /// Its number.
    at: u32,
}

/// Where requests come from.
enum Origin {
    /// From a server, on behalf of another request.
    Server,
    Outside,
    Cluster,
    /// From pods that match; those that run, with their nodes and addresses.
    Pods(Selector, Vec<ClientPod>),
}

struct ClientPod {
    uid: Uid,
    node: u32,
    address: u32,
}

/// A pod that has a node.
struct Bound {
    key: Key,
    spec: Arc<PodSpec>,
}

/// The engine.
pub struct Engine {
    net: Network,
    policies: Policies,
    ingresses: Ingresses,
    /// The ingress controller among the nodes, if somebody asks it, and its choice of services.
    controller: Option<u32>,
    behind: Vec<Behind>,
    /// Services that stand for others: both by their numbers.
    aliases: Vec<(u32, u32)>,
    listeners: Listeners,
    meters: Meters,
    /// Whether meters will be told, and servers that have something to tell.
    metering: bool,
    heap: Heap,
    now: SimTime,
    distances: [Delay; 4],
    /// How long a load balancer outside goes on with a dead node.
    node_patience: SimDuration,
    clients: Vec<Client>,
    models: Vec<Model>,
    /// The model of a service, as the network numbers it.
    model_of: Vec<u32>,
    servers: Vec<Server>,
    server_of: FxHashMap<Uid, u32>,
    /// By node, as the network numbers it.
    processors: Vec<Processors>,
    /// When it was looked at last what containers take beside requests, for flows.
    looked: SimTime,
    /// Pods that have a node.
    pods: FxHashMap<Uid, Bound>,
    /// Kubelets that have to look now.
    called: VecDeque<runtime::Call>,
    calls: Slab<Call>,
    flights: Slab<Flight>,
    stats: Stats,
    end: SimTime,
    /// In their place, if requests are flows.
    fluid: Option<Box<Fluid>>,
    /// Up to where the cluster has gone.
    told: SimTime,
}

impl Engine {
    /// When something happens next.
    pub fn next(&self) -> Option<SimTime> {
        self.heap.peek()
    }

    /// Handles what happens before `until`, at most `budget` events; whether that was all.
    pub fn advance(&mut self, until: SimTime, budget: u64) -> bool {
        if self.listeners.has_changes() {
            // They are of the event before.
            self.flow_until(self.told);
            self.disturb();
            self.listeners_changed();
        }
        self.told = until;
        if self.fluid.is_some() {
            self.flow_before(until);
            return true;
        }
        for _ in 0..budget {
            let Some((now, event)) = self.heap.pop_before(until) else { return true };
            self.now = now;
            match event.kind {
                Kind::Arrive => self.arrive(event.id, event.life),
                Kind::Reach => self.reach(event.id),
                Kind::Done if self.flights.life(event.id) == event.life => self.done(event.id),
                Kind::Shared if self.servers[event.id as usize].turn == event.life => self.shared_done(event.id),
                Kind::Ends if self.servers[event.id as usize].life == event.life => self.process_ended(event.id),
                Kind::Timeout if self.flights.life(event.id) == event.life => self.timed_out(event.id),
                Kind::Meters => self.tell_meters(),
                Kind::Retry => self.retry(event.id, event.life),
                Kind::Hedge => self.hedge(event.id, event.life),
                Kind::Answer => self.answered(event.id),
                Kind::Routes => self.new_routes(),
                Kind::Done | Kind::Shared | Kind::Ends | Kind::Timeout => {}
            }
            if !self.called.is_empty() {
                return false;
            }
        }
        false
    }

    /// Takes in a write of the cluster.
    pub fn change(&mut self, change: &Change) {
        if self.fluid.is_some() && self.concerns(change) {
            self.flow_until(change.time);
            self.disturb();
        }
        self.now = self.now.max(change.time);
        if let Some((node, booted)) = self.net.change(change) {
            self.machine_changed(node, booted);
        }
        self.policies.change(change);
        if self.controller.is_some() && self.ingresses.change(change) {
            self.heap.push(change.time.max(SimTime::ZERO) + RELOAD, Kind::Routes, 0, 0);
        }
        match change.object() {
            Object::Pod(pod) => {
                if pod.node.is_some() {
                    self.bound(pod, change.new.is_none());
                }
                self.client_pod(pod, change.new.is_none());
            }
            Object::EndpointSlice(_) => self.new_targets(),
            Object::Node(_) => self.cores_changed(),
            _ => {}
        }
    }

    /// A pod has a node, is defined anew, or is gone.
    fn bound(&mut self, pod: &Pod, gone: bool) {
        let uid = pod.meta.uid;
        let known = self.pods.get(&uid).map(|bound| Arc::ptr_eq(&bound.spec, &pod.spec));
        match (known, gone) {
            (Some(true), false) => return,
            (_, true) => _ = self.pods.remove(&uid),
            (_, false) => {
                let key = Key::new(crate::model::Kind::Pod, pod.meta.namespace.clone(), pod.meta.name.clone());
                self.pods.insert(uid, Bound { key, spec: pod.spec.clone() });
            }
        }
        if known.is_none() || gone {
            self.neighbour(pod, gone);
        } else if let Some(at) = self.server_of.get(&uid).copied() {
            self.set_cores(at);
        }
    }

    /// A pod may be one that asks.
    fn client_pod(&mut self, pod: &Pod, gone: bool) {
        let Some(node) = pod.node.as_ref().and_then(|name| self.net.node(name)) else { return };
        let runs = !gone && pod.status.phase == crate::model::Phase::Running && !pod.meta.deleting();
        let label = |key: &str| pod.meta.labels.get(key).map(|value| value.as_str());
        for client in &mut self.clients {
            let Origin::Pods(selector, pods) = &mut client.from else { continue };
            if !selector.matches(label) {
                continue;
            }
            let known = pods.iter().position(|one| one.uid == pod.meta.uid);
            match (known, runs, pod.status.pod_ip) {
                (None, true, Some(address)) => {
                    pods.push(ClientPod { uid: pod.meta.uid, node, address: u32::from(address) });
                }
                (Some(at), false, _) => _ = pods.remove(at),
                _ => {}
            }
        }
    }

    /// The ingress controller goes by the Ingresses as they are now.
    fn new_routes(&mut self) {
        for client in &mut self.clients {
            let Some(target) = &client.ingress else { continue };
            let route = self.ingresses.route(&target.host, &target.path);
            client.tls = route.as_ref().is_some_and(|route| route.tls);
            let port = route.as_ref().map(|route| route.port.clone());
            let found = route.and_then(|route| {
                self.behind.iter().find(|one| (&one.namespace, &one.name) == (&route.namespace, &route.service))
            });
            if let (Some(one), Some(port)) = (found, port) {
                self.net.ask_port(one.service, port, self.now);
            }
            client.service = found.map_or(NONE, |one| one.service);
            // What goes nowhere counts where it went before.
            client.flow = found.map_or(client.flow, |one| one.flow);
        }
    }

    /// Endpoints that were never seen before get a server.
    fn new_targets(&mut self) {
        for at in self.servers.len()..self.net.targets.len() {
            let target = &self.net.targets[at];
            let model = self.model_of[target.service as usize];
            let mut server = Server::new(target.pod_uid, model, target.node);
            server.container = target.container(self.pods.get(&target.pod_uid).map(|bound| &*bound.spec));
            self.server_of.insert(target.pod_uid, at as u32);
            let node = server.node;
            self.servers.push(server);
            self.more_processors();
            node.into_iter().for_each(|node| self.processors[node as usize].servers.push(at as u32));
            self.set_cores(at as u32);
            self.processes_of(at as u32);
        }
    }

    fn cores_changed(&mut self) {
        (0..self.servers.len() as u32).for_each(|at| self.set_cores(at));
    }

    /// What a server may use: its container's limit, or all of its node.
    fn set_cores(&mut self, at: u32) {
        let server = &mut self.servers[at as usize];
        let bound = self.pods.get(&server.pod);
        let container = bound.and_then(|one| one.spec.containers.iter().find(|one| one.name == server.container));
        if let Some(container) = container {
            (server.request, server.limit) = (container.requests.milli_cpu, container.limits.milli_cpu);
            server.memory_limit = container.limits.memory;
        }
        let node = server.node.map(|node| self.net.nodes[node as usize].milli_cpu).filter(|cpu| *cpu > 0);
        if let (Some(node), Some(milli)) = (server.node, node) {
            self.processors[node as usize].capacity = milli;
        }
        let Some(milli) = Some(server.limit).filter(|limit| *limit > 0).into_iter().chain(node).min() else { return };
        server.cores = milli as f64 / 1000.0;
        let model = &self.models[server.model as usize];
        server.crowded = f64::from(model.concurrency) * model.cpu_share > server.cores;
        // Once requests are at work, how they are counted stays.
        let short = server.node.is_some_and(|node| self.processors[node as usize].short);
        server.begin(short);
    }

    /// Tells the meters what requests took since they were told last. Twice a server's requests are counted as of one
    /// second, so the times at which anybody else looks do not matter.
    fn tell_meters(&mut self) {
        let now = self.now;
        let mut busy = false;
        self.look_at_neighbours();
        for at in 0..self.servers.len() as u32 {
            let server = &mut self.servers[at as usize];
            let model = &self.models[server.model as usize];
            server.advance(now, model.cpu_share);
            let taken = (server.cpu - server.metered) as i64;
            busy |= taken > 0 || server.load() > 0;
            if taken > 0 {
                server.metered += taken as f64;
                self.meters.add_cpu(server.pod, &server.container, now, taken);
                self.stats.used_cpu(server.node, now, taken as f64);
            }
            self.tell_memory(at);
        }
        self.metering = false;
        if busy {
            self.meter();
        }
    }

    /// Meters will be told at the end of this second.
    fn meter(&mut self) {
        if !std::mem::replace(&mut self.metering, true) {
            self.look_at_neighbours();
            let second = METERED.0;
            let end = (self.now.0 + 1).div_euclid(second) * second + second - 1;
            self.heap.push(SimTime(end), Kind::Meters, 0, 0);
        }
    }

    /// What the run came to.
    pub fn into_record(self) -> TrafficRecord {
        let (end, mut under_way) = (self.end, self.calls.len() as u64);
        let Engine { mut stats, net, servers, models, fluid, .. } = self;
        for (service, model) in models.iter().enumerate() {
            let of = servers.iter().filter(|server| server.model as usize == service);
            stats.set_capacity(service, of.map(|server| model.capacity(server.cores)).fold(0.0, f64::max));
        }
        if let Some(fluid) = &fluid {
            fluid.fill(&mut stats);
            under_way = stats.open();
        }
        let name = |node: usize| net.nodes[node].name.clone();
        stats.into_record((under_way, fluid.is_some()), name, |target| {
            let (seen, server) = (&net.targets[target as usize], &servers[target as usize]);
            let node = seen.node.map(|node| &net.nodes[node as usize]);
            let running = server.since.map_or(0, |since| (end.0 - since.0).max(0));
            PodTraffic {
                pod: seen.pod.clone(),
                node: node.map(|node| node.name.clone()).unwrap_or_default(),
                zone: node.map(|node| node.zone.clone()).unwrap_or_default(),
                ends: Default::default(),
                mean: SimDuration::ZERO,
                cpu: SimDuration(server.cpu as i64),
                most: server.most,
                served: SimDuration(server.served + running),
            }
        })
    }

    /// A hash of every request's end.
    pub fn digest(&self) -> u64 {
        self.stats.digest ^ (self.calls.len() as u64) ^ self.fluid.as_ref().map_or(0, |fluid| fluid.digest())
    }
}
