//! One request: from the client through a node's rules to a pod, and back.

use super::heap::Kind;
use super::stats::{Attempt, Distance};
use super::{Client, Engine, Origin};
use crate::metrics::traffic::End;
use crate::model::service::ServiceType;
use crate::network::Choice;
use crate::network::endpoints::Scope;
use crate::rng::Stream;
use crate::scenario::traffic::Shutdown;
use crate::time::{SimDuration, SimTime};

/// What a client waits for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub client: u32,
    pub born: SimTime,
    /// How it ended, once that is known and the client has yet to hear of it.
    pub end: End,
}

/// Nobody waits for it any more.
const ABANDONED: u32 = u32::MAX;

/// One attempt under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flight {
    pub call: u32,
    pub client: u32,
    pub target: u32,
    /// The node whose rules sent it.
    pub node: u32,
    pub sent: SimTime,
    pub reached: SimTime,
    /// One way.
    pub latency: SimDuration,
    /// Where it stands among those at work, if the server's processor is not shared.
    pub place: u32,
}

/// From where an attempt sets out.
struct Entry {
    node: u32,
    scope: Scope,
    source: u32,
    /// To the node.
    before: SimDuration,
    outside: bool,
}

impl Engine {
    /// A client asks. `again` is 0 for an open loop, and 1 for a user of a closed one.
    pub(super) fn arrive(&mut self, id: u32, again: u32) {
        let now = self.now;
        let client = &mut self.clients[id as usize];
        if again == 0
            && let Some(arrivals) = &mut client.arrivals
            && let Some(next) = arrivals.next(now, client.end, &mut client.asks)
        {
            self.heap.push(next, Kind::Arrive, id, 0);
        }
        if now >= client.end {
            return;
        }
        let flow = client.flow;
        self.stats.begun(flow, Some(id), now);
        let call = self.calls.add(Call { client: id, born: now, end: End::Success });
        self.attempt(call, id);
    }

    /// Where the next attempt of a client comes from; none if there is nobody to ask or no node to come in by.
    fn entry(&mut self, id: u32) -> Option<Entry> {
        let Client { from, turn, sources, first_source, routes, service, .. } = &mut self.clients[id as usize];
        let nodes = &self.net.nodes;
        let source = match *sources {
            1 => *first_source,
            many => *first_source + routes.below(u64::from(many)) as u32,
        };
        match from {
            Origin::Pods(_, pods) => {
                let pod = pods.get(*turn % pods.len().max(1))?;
                *turn = (*turn + 1) % pods.len();
                let (node, source) = (pod.node, pod.address);
                nodes[node as usize].up.then_some(Entry {
                    node,
                    scope: Scope::Internal,
                    source,
                    before: SimDuration::ZERO,
                    outside: false,
                })
            }
            Origin::Outside | Origin::Cluster => {
                let kind = self.net.service_now(*service).map_or(ServiceType::ClusterIp, |service| service.kind);
                let external = matches!(kind, ServiceType::NodePort | ServiceType::LoadBalancer);
                let outside = matches!(from, Origin::Outside) && external;
                let node = next_node(nodes, turn)?;
                let before = if outside { self.distances[3].sample(routes) } else { SimDuration::ZERO };
                let scope = if outside { Scope::External } else { Scope::Internal };
                Some(Entry { node, scope, source, before, outside })
            }
        }
    }

    /// Sends a request on its way.
    pub(super) fn attempt(&mut self, call: u32, id: u32) {
        let now = self.now;
        let (flow, service) = (self.clients[id as usize].flow, self.clients[id as usize].service);
        let Some(entry) = self.entry(id) else {
            self.stats.attempted(flow, Some(id), None);
            return self.finish(call, now, End::NoEndpoint);
        };
        let reached = now + entry.before;
        match self.net.choose(entry.node, service, entry.scope, entry.source, reached) {
            Choice::Rejected => {
                self.stats.attempted(flow, Some(id), None);
                self.finish(call, reached + entry.before, End::NoEndpoint);
            }
            Choice::Dropped => {
                self.stats.attempted(flow, Some(id), None);
                self.lose(call, id, now);
            }
            Choice::To(target) => {
                let (distance, hop) = self.distance(id, entry.node, target);
                let latency = entry.before + hop;
                let distance = if entry.outside { Distance::Outside } else { distance };
                self.stats.attempted(flow, Some(id), Some(distance));
                let node = entry.node * 2 + u32::from(entry.scope == Scope::External);
                let flight = Flight { call, client: id, target, node, sent: now, reached: now, latency, place: 0 };
                let flight = self.flights.add(flight);
                self.heap.push(now + latency, Kind::Reach, flight, 0);
            }
        }
    }

    fn distance(&mut self, id: u32, from: u32, target: u32) -> (Distance, SimDuration) {
        let nodes = &self.net.nodes;
        let to = self.net.targets[target as usize].node;
        let kind = match to {
            Some(to) if to == from => Distance::Node,
            Some(to) if nodes[to as usize].zone == nodes[from as usize].zone => Distance::Zone,
            _ => Distance::Crossed,
        };
        (kind, self.distances[kind as usize].sample(&mut self.clients[id as usize].routes))
    }

    /// No packet comes back: the client gives up waiting for a connection.
    fn lose(&mut self, call: u32, id: u32, sent: SimTime) {
        let Client { timeout, connect_timeout, .. } = &self.clients[id as usize];
        let at = sent + *(connect_timeout.min(timeout));
        self.finish(call, at, End::ConnectTimeout);
    }

    /// The packet is there.
    pub(super) fn reach(&mut self, id: u32) {
        let now = self.now;
        let Flight { call, client, target, sent, latency, .. } = self.flights[id];
        let server = &mut self.servers[target as usize];
        let up = server.node.is_some_and(|node| self.net.nodes[node as usize].up);
        if !up {
            self.tried(client, target, End::ConnectTimeout, SimDuration::ZERO);
            self.drop_flight(id);
            return self.lose(call, client, sent);
        }
        let model = &self.models[server.model as usize];
        let refused = match server.listens(now, model.shutdown) {
            false => Some(End::Refused),
            true if server.active.len() as u32 >= model.concurrency && server.queue.len() as u32 >= model.queue => {
                Some(End::Overload)
            }
            true => None,
        };
        if let Some(end) = refused {
            return self.settle(id, end, SimDuration::ZERO, latency);
        }
        self.flights[id].reached = now;
        let starts = (server.active.len() as u32) < model.concurrency;
        self.meter();
        let done = if starts { self.start(id) } else { None };
        if !starts {
            self.servers[target as usize].queue.push_back(id);
        }
        let server = &mut self.servers[target as usize];
        server.most = server.most.max(server.load());
        // Someone who goes on when his time is up needs to be told; for others it is enough to know at the end.
        let waits = &self.clients[client as usize];
        if waits.users > 0 && done.is_none_or(|done| done + latency - sent > waits.timeout) {
            let (at, life) = (sent + waits.timeout, self.flights.life(id));
            self.heap.push(at.max(now), Kind::Timeout, id, life);
        }
    }

    /// Takes a request to work; when it will be done, if that can be said.
    fn start(&mut self, id: u32) -> Option<SimTime> {
        let now = self.now;
        let Flight { client, target, .. } = self.flights[id];
        let server = &mut self.servers[target as usize];
        let model = &self.models[server.model as usize];
        let time = model.time.sample(&mut self.clients[client as usize].work).0;
        server.advance(now, model.cpu_share);
        self.flights[id].place = server.active.len() as u32;
        server.start(id, time, model.cpu_share);
        if server.shared {
            self.next_turn(target);
            return None;
        }
        let (done, life) = (SimTime(now.0 + time), self.flights.life(id));
        self.heap.push(done, Kind::Done, id, life);
        Some(done)
    }

    /// Plans the next end on a shared processor.
    fn next_turn(&mut self, target: u32) {
        let server = &mut self.servers[target as usize];
        server.turn = server.turn.wrapping_add(1);
        if let Some(at) = server.next_done(self.now) {
            self.heap.push(at, Kind::Shared, target, server.turn);
        }
    }

    /// A request is done that had its processor for itself.
    pub(super) fn done(&mut self, id: u32) {
        let Flight { target, place, .. } = self.flights[id];
        let server = &mut self.servers[target as usize];
        server.advance(self.now, self.models[server.model as usize].cpu_share);
        server.active.swap_remove(place as usize);
        if let Some((_, moved)) = server.active.get(place as usize) {
            self.flights[*moved].place = place;
        }
        self.respond(id);
        self.take_next(target);
    }

    /// The first request on a shared processor is done.
    pub(super) fn shared_done(&mut self, target: u32) {
        let server = &mut self.servers[target as usize];
        let cpu_share = self.models[server.model as usize].cpu_share;
        server.advance(self.now, cpu_share);
        let id = server.take_first(cpu_share);
        self.respond(id);
        self.take_next(target);
        if self.servers[target as usize].shared {
            self.next_turn(target);
        }
    }

    fn take_next(&mut self, target: u32) {
        if let Some(next) = self.servers[target as usize].queue.pop_front() {
            self.start(next);
        }
    }

    /// The server answers.
    fn respond(&mut self, id: u32) {
        let Flight { client, target, reached, latency, .. } = self.flights[id];
        let model = &self.models[self.servers[target as usize].model as usize];
        let fails = model.error_rate > 0.0 && self.clients[client as usize].work.unit() < model.error_rate;
        let end = if fails { End::ServerError } else { End::Success };
        self.settle(id, end, self.now - reached, latency);
    }

    /// An attempt is over; its client hears of it after `latency`, or has given up before.
    fn settle(&mut self, id: u32, end: End, inside: SimDuration, latency: SimDuration) {
        let Flight { call, client, target, sent, .. } = self.flights[id];
        self.tried(client, target, end, inside);
        self.drop_flight(id);
        if call == ABANDONED {
            return;
        }
        let (at, limit) = (self.now + latency, sent + self.clients[client as usize].timeout);
        match at > limit {
            true => self.finish(call, limit, End::Timeout),
            false => self.finish(call, at, end),
        }
    }

    fn tried(&mut self, client: u32, target: u32, end: End, inside: SimDuration) {
        let flow = self.clients[client as usize].flow;
        self.stats.tried(flow, target, Attempt { end, inside });
    }

    fn drop_flight(&mut self, id: u32) {
        if self.net.counts_connections() {
            let Flight { client, target, node, .. } = self.flights[id];
            let scope = if node % 2 == 1 { Scope::External } else { Scope::Internal };
            self.net.closed(node / 2, self.clients[client as usize].service, scope, target);
        }
        self.flights.remove(id);
    }

    /// A user's time is up while the server still works, or has not begun: it goes on, for nobody.
    pub(super) fn timed_out(&mut self, id: u32) {
        let call = std::mem::replace(&mut self.flights[id].call, ABANDONED);
        if call != ABANDONED {
            self.finish(call, self.now, End::Timeout);
        }
    }

    /// How a call ends is known: at `at` the client knows, too.
    fn finish(&mut self, call: u32, at: SimTime, end: End) {
        let Call { client, born, .. } = self.calls[call];
        let asks = &self.clients[client as usize];
        if asks.users == 0 || at > self.end {
            if at > self.end {
                // It is still under way at the end of the run.
                return;
            }
            self.stats.ended(asks.flow, Some(client), born, at, end);
            self.calls.remove(call);
            return;
        }
        self.calls[call].end = end;
        self.heap.push(at.max(self.now), Kind::Answer, call, 0);
    }

    /// A user has an answer, thinks, and asks again.
    pub(super) fn answered(&mut self, call: u32) {
        let Call { client: id, born, end } = self.calls[call];
        let client = &mut self.clients[id as usize];
        self.stats.ended(client.flow, Some(id), born, self.now, end);
        self.calls.remove(call);
        let next = self.now + client.think.sample(&mut client.asks);
        if next < client.end {
            self.heap.push(next, Kind::Arrive, id, 1);
        }
    }

    // ---- what happens to servers ----

    /// Everyone who tells of processes.
    pub(super) fn listeners_changed(&mut self) {
        for (pod, _) in self.listeners.changes() {
            if let Some(at) = self.server_of.get(&pod).copied() {
                self.processes_of(at);
            }
        }
    }

    /// Takes over what a kubelet says of a server's process.
    pub(super) fn processes_of(&mut self, at: u32) {
        let now = self.now;
        let server = &mut self.servers[at as usize];
        let mut process = self.listeners.of(server.pod, &server.container);
        let shutdown = self.models[server.model as usize].shutdown;
        if let Some(process) = process.as_mut().filter(|_| shutdown == Shutdown::Abrupt) {
            process.ends = process.signalled.into_iter().chain(process.ends).min();
        }
        let began = |process: &Option<crate::network::listeners::Process>| process.as_ref().map(|one| one.listens);
        let another = began(&process) != began(&server.process);
        let end = process.as_ref().and_then(|process| process.ends);
        server.process = process;
        server.life = server.life.wrapping_add(1);
        if let Some(end) = end {
            let life = server.life;
            self.heap.push(end.max(now), Kind::Ends, at, life);
        }
        if another {
            self.kill(at);
            let server = &mut self.servers[at as usize];
            let since = server.process.as_ref().map(|process| process.listens.max(now));
            server.serving(since.unwrap_or(now), since.is_some());
            server.memory = 0;
            if since.is_some() {
                // What it uses comes from its requests.
                self.meters.set_cpu(server.pod, &server.container, now, 0);
            }
        }
    }

    /// A server's process ends: who waits for an answer sees the connection break.
    pub(super) fn process_ended(&mut self, at: u32) {
        self.kill(at);
        self.servers[at as usize].serving(self.now, false);
    }

    fn kill(&mut self, at: u32) {
        for id in self.empty(at) {
            let latency = self.flights[id].latency;
            self.settle(id, End::Reset, SimDuration::ZERO, latency);
        }
    }

    /// Takes everything out of a server, in order of coming.
    fn empty(&mut self, at: u32) -> Vec<u32> {
        let server = &mut self.servers[at as usize];
        server.advance(self.now, self.models[server.model as usize].cpu_share);
        let mut all: Vec<u32> = server.active.drain(..).map(|(_, id)| id).collect();
        all.sort_by_key(|id| (self.flights[*id].reached, *id));
        all.extend(server.queue.drain(..));
        server.turn = server.turn.wrapping_add(1);
        all
    }

    /// A machine went down: what was there is lost without a word. Or it came up, with nothing on it.
    pub(super) fn machine_changed(&mut self, node: u32) {
        if self.net.nodes[node as usize].up {
            return;
        }
        for at in 0..self.servers.len() as u32 {
            if self.servers[at as usize].node != Some(node) {
                continue;
            }
            for id in self.empty(at) {
                let Flight { call, client, target, sent, .. } = self.flights[id];
                self.tried(client, target, End::Timeout, SimDuration::ZERO);
                self.drop_flight(id);
                if call != ABANDONED {
                    let limit = sent + self.clients[client as usize].timeout;
                    self.finish(call, limit.max(self.now), End::Timeout);
                }
            }
            self.servers[at as usize].serving(self.now, false);
        }
    }
}

/// The next node that pods may run on and whose machine runs.
fn next_node(nodes: &[crate::network::NodeSeen], turn: &mut usize) -> Option<u32> {
    for _ in 0..nodes.len() {
        *turn = (*turn + 1) % nodes.len();
        let node = &nodes[*turn];
        if node.up && node.exists && !node.control_plane {
            return Some(*turn as u32);
        }
    }
    None
}

/// A stream of one client.
pub(super) fn stream(seed: crate::rng::Seed, purpose: &str, client: &str) -> Stream {
    seed.stream(purpose, client)
}
