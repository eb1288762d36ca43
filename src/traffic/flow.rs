//! One request as its client sees it: attempts through a node's rules, tried again or sent twice, until it ends.

use super::arrivals::Process;
use super::heap::Kind;
use super::stats::Distance;
use super::{Client, Connection, Engine, NONE};
use crate::metrics::traffic::End;
use crate::model::Uid;
use crate::network::Choice;
use crate::network::endpoints::Scope;
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

    /// A connection is over, for those who count them.
    pub(super) fn connection_closed(&mut self, client: u32, node: u32, target: u32) {
        if !self.net.counts_connections() {
            return;
        }
        let (service, _) = self.alias(self.clients[client as usize].service);
        if service != NONE {
            let scope = if node % 2 == 1 { Scope::External } else { Scope::Internal };
            self.net.closed(node / 2, service, scope, target);
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
        let Call { client, flow, size, .. } = self.calls[call];
        let call_life = self.calls.life(call);
        let way = self.way(client, (target, node), pod, reused.is_some());
        if way.cut || way.connecting > self.clients[client as usize].connect_timeout {
            self.break_connection(client, connection, target);
            return match reused {
                None => {
                    self.connection_closed(client, node, target);
                    self.lose(call, now)
                }
                Some(_) => {
                    let limit = now + self.clients[client as usize].timeout;
                    self.attempt_over(call, limit, End::Timeout)
                }
            };
        }
        let latency = latency + way.latency;
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
