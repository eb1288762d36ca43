//! One request as its client sees it: attempts through a node's rules, tried again or sent twice, until it ends.

use super::arrivals::Process;
use super::heap::Kind;
use super::stats::Distance;
use super::{Client, Connection, Engine, NONE, Origin};
use crate::metrics::traffic::End;
use crate::model::Uid;
use crate::model::service::ServiceType;
use crate::network::endpoints::Scope;
use crate::network::faults::{self, Way};
use crate::network::{Choice, NodeSeen, policy};
use crate::scenario::traffic::Shutdown;
use crate::time::{SimDuration, SimTime};

/// What a client waits for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub client: u32,
    pub born: SimTime,
    /// Attempts so far, and those under way.
    pub tries: u16,
    pub open: u16,
    /// How it ended, once that is known and the client has yet to hear of it.
    pub end: End,
    pub concluded: bool,
    /// The service and its flow, as [`Client`] had them then.
    pub service: u32,
    pub flow: u32,
    /// How many times as long as others it takes.
    pub size: f32,
    /// Where an attempt failed: an ingress controller asks another pod.
    pub failed: u32,
    /// The request at whose server it was made, and which life of its number.
    pub parent: u32,
    pub parent_life: u32,
}

/// One attempt under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flight {
    pub call: u32,
    pub call_life: u32,
    pub client: u32,
    pub flow: u32,
    pub target: u32,
    /// The node whose rules sent it, twice; one more if from outside.
    pub node: u32,
    pub sent: SimTime,
    pub reached: SimTime,
    /// One way.
    pub latency: SimDuration,
    /// Where it stands among those at work, if the server's processor is not shared.
    pub place: u32,
    /// The connection that it goes over, and since when that is open if it was before.
    pub connection: u32,
    pub reused: Option<SimTime>,
    /// Calls of its server on its behalf: the next one, those under way, whether one failed.
    pub next: u16,
    pub pending: u16,
    pub failed: bool,
    /// How many times as long as others it takes.
    pub size: f32,
}

/// From where an attempt sets out.
struct Entry {
    node: u32,
    scope: Scope,
    source: u32,
    pod: Option<Uid>,
    /// To the node.
    before: SimDuration,
    outside: bool,
}

impl Client {
    /// Whether it goes on when an answer comes or its time is up, so that it must be told at the instant. For others
    /// it is enough to know how requests ended.
    fn told(&self) -> bool {
        self.users > 0
            || self.retries.is_some()
            || self.hedge.is_some()
            || self.breaker.is_some()
            || !self.reports
            || self.ingress.is_some()
    }

    /// Whether one more attempt may be made after `tries`; it is paid for then.
    fn pays(&mut self, tries: u16) -> bool {
        let Some(retries) = &self.retries else { return false };
        if u32::from(tries) >= retries.attempts {
            return false;
        }
        if retries.budget.is_some() {
            if self.tokens < 1.0 {
                return false;
            }
            self.tokens -= 1.0;
        }
        true
    }

    /// The wait after `tries` attempts: doubled each time, half of it drawn.
    fn backoff(&mut self, tries: u16) -> SimDuration {
        let Some(retries) = &self.retries else { return SimDuration::ZERO };
        let doubled = retries.backoff.0.0.saturating_mul(1 << (tries - 1).min(30));
        let whole = doubled.min(retries.max_backoff.0.0) as f64;
        SimDuration((whole * self.routes.uniform(0.5, 1.0)) as i64)
    }

    /// An attempt ended: the breaker counts.
    fn counted(&mut self, at: SimTime, end: End) {
        let Some(breaker) = &self.breaker else { return };
        match end {
            End::Success => self.failed_in_row = 0,
            End::CircuitOpen => {}
            _ => {
                self.failed_in_row += 1;
                if self.failed_in_row >= breaker.failures {
                    self.open_until = at + breaker.open_for.0;
                    // The next attempt alone decides.
                    self.failed_in_row = breaker.failures - 1;
                }
            }
        }
    }
}

/// Pods that an ingress controller asks for one request at most.
const UPSTREAMS: u16 = 3;
/// Retries that a budget saves up at most.
const TOKENS_MAX: f64 = 100.0;

impl Engine {
    /// A client asks. `again` is 0 for an open loop, and 1 for a user of a closed one.
    pub(super) fn arrive(&mut self, id: u32, again: u32) {
        let now = self.now;
        let client = &mut self.clients[id as usize];
        let size = client.arrivals.as_ref().map_or(1.0, Process::size);
        if again == 0
            && let Some(arrivals) = &mut client.arrivals
            && let Some(next) = arrivals.next(now, client.end, &mut client.asks)
        {
            self.heap.push(next, Kind::Arrive, id, 0);
        }
        if now < client.end {
            self.begin(id, (NONE, 0), size);
        }
    }

    /// A request begins, perhaps on behalf of another.
    pub(super) fn begin(&mut self, id: u32, (parent, parent_life): (u32, u32), size: f32) {
        let now = self.now;
        let client = &mut self.clients[id as usize];
        if let Some(budget) = client.retries.and_then(|retries| retries.budget) {
            client.tokens = (client.tokens + budget.0).min(TOKENS_MAX);
        }
        let hedge = client.hedge;
        self.stats.begun(client.flow, client.reports.then_some(id), now);
        let call = self.calls.add(Call {
            client: id,
            born: now,
            tries: 0,
            open: 0,
            end: End::Success,
            concluded: false,
            service: client.service,
            flow: client.flow as u32,
            failed: NONE,
            size,
            parent,
            parent_life,
        });
        if let Some(after) = hedge {
            self.heap.push(now + after, Kind::Hedge, call, self.calls.life(call));
        }
        self.attempt(call);
    }

    /// Sends a call's next attempt on its way.
    pub(super) fn attempt(&mut self, call: u32) {
        let now = self.now;
        let waiting = &mut self.calls[call];
        waiting.tries += 1;
        waiting.open += 1;
        let id = waiting.client;
        let client = &self.clients[id as usize];
        let (flow, service, reports) = (waiting.flow as usize, waiting.service, client.reports.then_some(id));
        if client.breaker.is_some() && now < client.open_until {
            return self.attempt_over(call, now, End::CircuitOpen);
        }
        if let Some(connection) = self.open_connection(id) {
            let Connection { target, node, latency, distance, opened, at } = connection;
            self.stats.attempted(flow, reports, Some(distance));
            let pod = self.asking_pod(call);
            return self.send(call, (target, node), (latency, pod), (at, Some(opened)));
        }
        if !self.resolves(id) {
            self.stats.attempted(flow, reports, None);
            return self.lose(call, now);
        }
        let (service, elsewhere) = self.alias(service);
        if elsewhere {
            return self.leave(call);
        }
        let Some(entry) = self.entry(call, service) else {
            self.stats.attempted(flow, reports, None);
            return self.attempt_over(call, now, End::NoEndpoint);
        };
        let reached = now + entry.before;
        if !self.net.nodes[entry.node as usize].up {
            self.stats.attempted(flow, reports, None);
            return self.lose(call, now);
        }
        let mut choice = self.net.choose(entry.node, service, entry.scope, entry.source, reached);
        if choice == Choice::To(self.calls[call].failed) {
            choice = self.net.choose(entry.node, service, entry.scope, entry.source, reached);
        }
        match choice {
            Choice::Rejected => {
                self.stats.attempted(flow, reports, None);
                self.attempt_over(call, reached + entry.before, End::NoEndpoint);
            }
            Choice::Dropped => {
                self.stats.attempted(flow, reports, None);
                self.lose(call, now);
            }
            Choice::To(target) if !self.allowed(&entry, target) => {
                self.stats.attempted(flow, reports, None);
                self.lose_as(call, now, End::Denied);
            }
            Choice::To(target) => {
                let (distance, hop) = self.distance(id, entry.node, target);
                let latency = entry.before + hop;
                let distance = if entry.outside { Distance::Outside } else { distance };
                self.stats.attempted(flow, reports, Some(distance));
                let node = entry.node * 2 + u32::from(entry.scope == Scope::External);
                let at =
                    self.keep_connection(id, Connection { target, node, latency, distance, opened: now, at: NONE });
                self.send(call, (target, node), (latency, entry.pod), (at, None));
            }
        }
    }

    /// Whether a client knows the address of its service, by an answer of DNS that still counts or by a new one. Clients
    /// outside have names that the cluster's DNS knows nothing of.
    fn resolves(&mut self, id: u32) -> bool {
        let (now, client) = (self.now, &mut self.clients[id as usize]);
        if matches!(client.from, Origin::Outside) || now < client.resolved_until {
            return true;
        }
        if self.net.faults.no_names() {
            return false;
        }
        client.resolved_until = now + self.net.dns_ttl();
        true
    }

    /// The pod that asks again over a connection that is open.
    fn asking_pod(&self, call: u32) -> Option<Uid> {
        let Call { client, parent, parent_life, .. } = self.calls[call];
        let Client { from, turn, .. } = &self.clients[client as usize];
        match from {
            _ if !self.net.faults.any() => None,
            Origin::Server if self.flights.life(parent) == parent_life => {
                Some(self.net.targets[self.flights[parent].target as usize].pod_uid)
            }
            Origin::Pods(_, pods) => pods.get(*turn % pods.len().max(1)).map(|pod| pod.uid),
            _ => None,
        }
    }

    /// How the packets of an attempt fare on their way.
    fn way(&mut self, client: u32, (target, node): (u32, u32), pod: Option<Uid>, open: bool) -> Way {
        if !self.net.faults.any() {
            return Way::default();
        }
        let (to, nodes) = (&self.net.targets[target as usize], &self.net.nodes);
        let (from, Some(on)) = (&nodes[node as usize / 2], to.node.map(|on| &nodes[on as usize])) else {
            return Way::default();
        };
        let pod = pod.and_then(|pod| self.policies.labels(pod));
        let from = faults::End { node: &from.name, zone: &from.zone, pod };
        let to = faults::End { node: &on.name, zone: &on.zone, pod: self.policies.labels(to.pod_uid) };
        self.net.faults.way(from, to, open, &mut self.clients[client as usize].losses)
    }

    /// The service that a name stands for, and whether that is none of the cluster (`type: ExternalName`).
    pub(super) fn alias(&self, service: u32) -> (u32, bool) {
        let is_alias = service != NONE
            && self.net.service_now(service).is_some_and(|service| service.kind == ServiceType::ExternalName);
        match self.aliases.iter().find(|(alias, _)| is_alias && *alias == service) {
            Some((_, other)) => (*other, false),
            None => (service, is_alias),
        }
    }

    /// A request leaves the cluster: it takes the way there and back, and its service time. Nobody queues outside.
    fn leave(&mut self, call: u32) {
        let (now, Call { client: id, flow, .. }) = (self.now, self.calls[call]);
        let client = &mut self.clients[id as usize];
        self.stats.attempted(flow as usize, client.reports.then_some(id), Some(Distance::Outside));
        let way = self.distances[3].sample(&mut client.routes);
        let at = now + way * 2 + self.models[flow as usize].time.sample(&mut client.work);
        let limit = now + client.timeout;
        match at > limit {
            true => self.attempt_over(call, limit, End::Timeout),
            false => self.attempt_over(call, at, End::Success),
        }
    }

    fn send(
        &mut self,
        call: u32,
        (target, node): (u32, u32),
        (latency, pod): (SimDuration, Option<Uid>),
        (connection, reused): (u32, Option<SimTime>),
    ) {
        let now = self.now;
        let (client, call_life) = (self.calls[call].client, self.calls.life(call));
        let way = self.way(client, (target, node), pod, reused.is_some());
        if way.cut || way.connecting > self.clients[client as usize].connect_timeout {
            self.break_connection(client, connection, target);
            return match reused {
                None => {
                    if self.net.counts_connections() {
                        let scope = if node % 2 == 1 { Scope::External } else { Scope::Internal };
                        self.net.closed(node / 2, self.clients[client as usize].service, scope, target);
                    }
                    self.lose(call, now)
                }
                Some(_) => {
                    let limit = now + self.clients[client as usize].timeout;
                    self.attempt_over(call, limit, End::Timeout)
                }
            };
        }
        let latency = latency + way.latency;
    }

        let Call { client, flow, size, .. } = self.calls[call];
        let call_life = self.calls.life(call);
        let flight = Flight {
            call,
            call_life,
            client,
            flow,
            target,
            node,
            sent: now,
            reached: now,
            latency,
            place: 0,
            connection,
            reused,
            next: 0,
            pending: 0,
            failed: false,
            size,
        };
        let flight = self.flights.add(flight);
        self.heap.push(now + latency + way.again, Kind::Reach, flight, 0);
    }

    /// The connection whose turn it is, if it is open as far as the client knows.
    fn open_connection(&mut self, id: u32) -> Option<Connection> {
        let now = self.now;
        let client = &mut self.clients[id as usize];
        if client.connections.is_empty() {
            return None;
        }
        client.connection_turn = (client.connection_turn + 1) % client.connections.len();
        let connection = client.connections[client.connection_turn]?;
        if client.connection_age.is_some_and(|age| connection.opened + age <= now) {
            return None;
        }
        let server = &self.servers[connection.target as usize];
        let up = server.node.is_some_and(|node| self.net.nodes[node as usize].up);
        let shutdown = self.models[server.model as usize].shutdown;
        // A machine that is gone says nothing. A process that ends, or gets SIGTERM and heeds it, closes the
        // connection, and the client knows a little later.
        let heard = |at: SimTime| at + connection.latency <= now;
        let open = match &server.process {
            None => !up,
            Some(process) => {
                let told = process.signalled.is_some_and(heard) && shutdown != Shutdown::Ignored;
                !up || !(told || process.ends.is_some_and(heard) || process.listens > connection.opened)
            }
        };
        open.then_some(connection)
    }

    /// Keeps a new connection open, if the client does that; its number.
    fn keep_connection(&mut self, id: u32, connection: Connection) -> u32 {
        let client = &mut self.clients[id as usize];
        if client.connections.is_empty() {
            return NONE;
        }
        let at = client.connection_turn as u32;
        client.connections[at as usize] = Some(Connection { at, ..connection });
        at
    }

    /// Where the next attempt of a call comes from; none if there is nobody to ask or no node to come in by.
    fn entry(&mut self, call: u32, service: u32) -> Option<Entry> {
        let Call { client: id, parent, parent_life, .. } = self.calls[call];
        let Client { from, turn, sources, first_source, routes, ingress, tls, .. } = &mut self.clients[id as usize];
        if ingress.is_some() {
            let source = *first_source + routes.below(u64::from(*sources)) as u32;
            let way = self.distances[3].sample(routes);
            let before = if *tls { way * 2 } else { way };
            let node = self.controller.filter(|_| service != NONE)?;
            return Some(Entry { node, scope: Scope::Internal, source, pod: None, before, outside: true });
        }
        let nodes = &self.net.nodes;
        let inside = |node: u32, source: u32, pod: Uid| {
            let (scope, before) = (Scope::Internal, SimDuration::ZERO);
            nodes[node as usize].up.then_some(Entry { node, scope, source, pod: Some(pod), before, outside: false })
        };
        match from {
            Origin::Server if self.flights.life(parent) != parent_life => None,
            Origin::Server => {
                let target = &self.net.targets[self.flights[parent].target as usize];
                inside(target.node?, u32::from(target.address), target.pod_uid)
            }
            Origin::Pods(_, pods) => {
                let pod = pods.get(*turn % pods.len().max(1))?;
                *turn = (*turn + 1) % pods.len();
                inside(pod.node, pod.address, pod.uid)
            }
            Origin::Outside | Origin::Cluster => {
                let source = match *sources {
                    1 => *first_source,
                    many => *first_source + routes.below(u64::from(many)) as u32,
                };
                let kind = self.net.service_now(service).map_or(ServiceType::ClusterIp, |service| service.kind);
                let external = matches!(kind, ServiceType::NodePort | ServiceType::LoadBalancer);
                let outside = matches!(from, Origin::Outside) && external;
                let patience = self.node_patience;
                let judged = outside && kind == ServiceType::LoadBalancer;
                let node = match judged {
                    false => next_node(nodes, turn, |node| node.up)?,
                    true => self.balanced_node(id, service, patience)?,
                };
                let Client { routes, .. } = &mut self.clients[id as usize];
                let before = if outside { self.distances[3].sample(routes) } else { SimDuration::ZERO };
                let scope = if outside { Scope::External } else { Scope::Internal };
                Some(Entry { node, scope, source, pod: None, before, outside })
            }
        }
    }

    /// Whether network policies let a new connection through.
    fn allowed(&mut self, entry: &Entry, target: u32) -> bool {
        let from = entry.pod.map_or(policy::End::Address(entry.source), policy::End::Pod);
        let target = &self.net.targets[target as usize];
        self.policies.allow(from, target.pod_uid, target.port)
    }

    /// The next node that a load balancer outside holds for well: a dead one, too, until its checks have failed.
    fn balanced_node(&mut self, id: u32, service: u32, patience: SimDuration) -> Option<u32> {
        let now = self.now;
        for _ in 0..self.net.nodes.len() {
            let Client { turn, .. } = &mut self.clients[id as usize];
            let node = next_node(&self.net.nodes, turn, |node| node.up || node.down_since + patience > now)?;
            if self.net.healthy(node, service, now) {
                return Some(node);
            }
        }
        None
    }

    /// How far a target is from a node.
    pub(super) fn how_far(&self, from: u32, target: u32) -> Distance {
        let nodes = &self.net.nodes;
        let to = self.net.targets[target as usize].node;
        match to {
            Some(to) if to == from => Distance::Node,
            Some(to) if nodes[to as usize].zone == nodes[from as usize].zone => Distance::Zone,
            _ => Distance::Crossed,
        }
    }

    fn distance(&mut self, id: u32, from: u32, target: u32) -> (Distance, SimDuration) {
        let kind = self.how_far(from, target);
        (kind, self.distances[kind as usize].sample(&mut self.clients[id as usize].routes))
    }

    /// No packet comes back: the client gives up waiting for a connection.
    pub(super) fn lose(&mut self, call: u32, sent: SimTime) {
        self.lose_as(call, sent, End::ConnectTimeout);
    }

    fn lose_as(&mut self, call: u32, sent: SimTime, end: End) {
        let Client { timeout, connect_timeout, .. } = &self.clients[self.calls[call].client as usize];
        let at = sent + *(connect_timeout.min(timeout));
        self.attempt_over(call, at.max(self.now), end);
    }

    /// When a client that goes on then must be told that its time is up: unless an answer is sure to come before.
    pub(super) fn watch(&mut self, id: u32, done: Option<SimTime>) {
        let now = self.now;
        let Flight { client, sent, latency, .. } = self.flights[id];
        let client = &self.clients[client as usize];
        if client.told() && done.is_none_or(|done| done + latency - sent > client.timeout) {
            let (at, life) = (sent + client.timeout, self.flights.life(id));
            self.heap.push(at.max(now), Kind::Timeout, id, life);
        }
    }

    /// The client's time is up while the server still works, or has not begun: that goes on, for nobody.
    pub(super) fn timed_out(&mut self, id: u32) {
        let flight = &mut self.flights[id];
        let (call, life) = (std::mem::replace(&mut flight.call, NONE), flight.call_life);
        let (client, connection, target) = (flight.client, flight.connection, flight.target);
        self.break_connection(client, connection, target);
        if call != NONE && self.calls.life(call) == life {
            self.attempt_over(call, self.now, End::Timeout);
        }
    }

    /// The client opens another connection instead of this one next time.
    pub(super) fn break_connection(&mut self, client: u32, connection: u32, target: u32) {
        if connection == NONE {
            return;
        }
        let kept = &mut self.clients[client as usize].connections[connection as usize];
        if kept.is_some_and(|kept| kept.target == target) {
            *kept = None;
        }
    }

    /// How an attempt ends is known: at `at` the client knows, too.
    pub(super) fn attempt_over(&mut self, call: u32, at: SimTime, end: End) {
        let Call { client, tries, concluded, .. } = self.calls[call];
        self.calls[call].open -= 1;
        let asks = &mut self.clients[client as usize];
        asks.counted(at, end);
        if concluded {
            return;
        }
        if end != End::Success {
            if self.calls[call].open > 0 {
                return;
            }
            // The controller itself asks the next pod (`proxy_next_upstream error timeout`, three tries).
            let unheard = matches!(end, End::Refused | End::ConnectTimeout);
            if asks.ingress.is_some() && unheard && tries < UPSTREAMS {
                self.heap.push(at.max(self.now), Kind::Retry, call, self.calls.life(call));
                return;
            }
            if end != End::CircuitOpen && asks.pays(tries) {
                let next = at + asks.backoff(tries);
                self.heap.push(next.max(self.now), Kind::Retry, call, self.calls.life(call));
                return;
            }
        }
        self.conclude(call, at, end);
    }

    /// How a call ends is known.
    fn conclude(&mut self, call: u32, at: SimTime, end: End) {
        let Call { client: id, born, flow, .. } = self.calls[call];
        let client = &self.clients[id as usize];
        self.calls[call].concluded = true;
        if client.told() {
            self.calls[call].end = end;
            self.heap.push(at.max(self.now), Kind::Answer, call, 0);
        } else if at <= self.end {
            self.stats.ended(flow as usize, Some(id), born, at, end);
            self.calls.remove(call);
        }
        // What ends after the run is under way at its end.
    }

    /// A failed call is tried again.
    pub(super) fn retry(&mut self, call: u32, life: u32) {
        if self.calls.life(call) == life {
            self.attempt(call);
        }
    }

    /// There is no answer yet: the request is sent once more.
    pub(super) fn hedge(&mut self, call: u32, life: u32) {
        if self.calls.life(call) == life && !self.calls[call].concluded && self.calls[call].open == 1 {
            self.attempt(call);
        }
    }

    /// The caller has its answer: a user thinks and asks again, a server goes on.
    pub(super) fn answered(&mut self, call: u32) {
        let Call { client: id, born, end, flow, parent, parent_life, .. } = self.calls[call];
        let client = &mut self.clients[id as usize];
        self.stats.ended(flow as usize, client.reports.then_some(id), born, self.now, end);
        self.calls.remove(call);
        if client.users > 0 {
            let next = self.now + client.think.sample(&mut client.asks);
            if next < client.end {
                self.heap.push(next, Kind::Arrive, id, 1);
            }
        }
        if parent != NONE {
            let good = end == End::Success || client.optional;
            self.heard(parent, parent_life, good);
        }
    }
}

/// The next node that pods may run on and that will do.
fn next_node(nodes: &[NodeSeen], turn: &mut usize, will_do: impl Fn(&NodeSeen) -> bool) -> Option<u32> {
    for _ in 0..nodes.len() {
        *turn = (*turn + 1) % nodes.len();
        let node = &nodes[*turn];
        if will_do(node) && node.exists && !node.control_plane {
            return Some(*turn as u32);
        }
    }
    None
}
