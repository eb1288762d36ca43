//! One request as its server sees it: refused, queued, worked on, answered; and what happens to it when the process or
//! the machine goes.

use super::flow::Flight;
use super::heap::Kind;
use super::stats::Attempt;
use super::{Engine, NONE};
use crate::metrics::traffic::End;
use crate::network::listeners::Process;
use crate::scenario::traffic::Shutdown;
use crate::time::{SimDuration, SimTime};

impl Engine {
    /// The packet is there.
    pub(super) fn reach(&mut self, id: u32) {
        let now = self.now;
        let Flight { target, sent, latency, reused, .. } = self.flights[id];
        let server = &mut self.servers[target as usize];
        let up = server.node.is_some_and(|node| self.net.nodes[node as usize].up);
        let hangs = server.hangs();
        if !up || hangs {
            // The kernel takes the connection for a process that hangs.
            return self.swallowed(id, sent, hangs || reused.is_some());
        }
        let model = &self.models[server.model as usize];
        let working = (server.active.len() + server.waiting.len()) as u32;
        let restarted = reused.is_some_and(|opened| server.process.as_ref().is_none_or(|one| one.listens > opened));
        let refused = match server.listens(now, model.shutdown) && !restarted {
            // Over a connection that was open: it is broken.
            false if reused.is_some() => Some(End::Reset),
            false => Some(End::Refused),
            true if working >= model.concurrency && server.queue.len() as u32 >= model.queue => Some(End::Overload),
            true => None,
        };
        if let Some(end) = refused {
            return self.settle(id, end, SimDuration::ZERO, latency);
        }
        let (starts, calls) = (working < model.concurrency, !model.calls.is_empty());
        self.flights[id].reached = now;
        self.meter();
        let done = if starts { self.start(id) } else { None };
        let server = &mut self.servers[target as usize];
        if !starts {
            server.queue.push_back(id);
        }
        server.most = server.most.max(server.load());
        self.watch(id, done.filter(|_| !calls));
        self.fits(target);
    }

    /// The machine does not answer: the client waits for its timeout.
    fn swallowed(&mut self, id: u32, sent: SimTime, connected: bool) {
        let Flight { call, call_life, client, flow, target, connection, .. } = self.flights[id];
        let end = if connected { End::Timeout } else { End::ConnectTimeout };
        self.tried(flow, target, end, SimDuration::ZERO);
        self.drop_flight(id);
        self.break_connection(client, connection, target);
        if call == NONE || self.calls.life(call) != call_life {
            return;
        }
        if self.controller.is_some() {
            self.calls[call].failed = target;
        }
        match connected {
            true => {
                let limit = sent + self.clients[client as usize].timeout;
                self.attempt_over(call, limit.max(self.now), End::Timeout);
            }
            false => self.lose(call, sent),
        }
    }

    /// Takes a request to work; when it will be done, if that can be said.
    fn start(&mut self, id: u32) -> Option<SimTime> {
        let now = self.now;
        let Flight { client, target, size, .. } = self.flights[id];
        let server = &mut self.servers[target as usize];
        let model = &self.models[server.model as usize];
        let mut time = model.time.sample(&mut self.clients[client as usize].work).0;
        if size != 1.0 {
            time = (time as f64 * f64::from(size)) as i64;
        }
        if let (Some(slow), Some(process)) = (&model.slow_start, &server.process) {
            let left =
                1.0 - ((now - process.listens).as_secs_f64() / slow.over.0.as_secs_f64().max(1e-9)).clamp(0.0, 1.0);
            time = (time as f64 * (1.0 + (slow.factor.0 - 1.0) * left)) as i64;
        }
        let speed = server.node.map_or(1000, |node| self.net.nodes[node as usize].speed);
        if speed != 1000 {
            time = time.saturating_mul(1000) / speed.max(1);
        }
        server.advance(now, model.cpu_share);
        server.begin(server.node.is_some_and(|node| self.processors[node as usize].short));
        self.flights[id].place = server.active.len() as u32;
        server.start(id, time, model.cpu_share);
        self.weigh(target);
        if self.servers[target as usize].shared {
            self.next_turn(target);
            return None;
        }
        let (done, life) = (SimTime(now.0 + time), self.flights.life(id));
        self.heap.push(done, Kind::Done, id, life);
        Some(done)
    }

    /// Plans the next end on a shared processor.
    pub(super) fn next_turn(&mut self, target: u32) {
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
        if server.shared {
            // It has been slowed down since.
            return;
        }
        server.advance(self.now, self.models[server.model as usize].cpu_share);
        server.active.swap_remove(place as usize);
        if let Some((_, moved)) = server.active.get(place as usize) {
            self.flights[*moved].place = place;
        }
        self.weigh(target);
        self.worked(id, target);
    }

    /// The first request on a shared processor is done.
    pub(super) fn shared_done(&mut self, target: u32) {
        let server = &mut self.servers[target as usize];
        let cpu_share = self.models[server.model as usize].cpu_share;
        server.advance(self.now, cpu_share);
        let id = server.take_first(cpu_share);
        self.weigh(target);
        self.worked(id, target);
        self.next_turn(target);
    }

    /// A server has done its own work: it asks others, or answers.
    fn worked(&mut self, id: u32, target: u32) {
        let server = &mut self.servers[target as usize];
        let model = &self.models[server.model as usize];
        if model.calls.is_empty() {
            self.respond(id);
            return self.take_next(target);
        }
        server.waiting.push(id);
        match model.parallel {
            false => self.next_call(id),
            true => {
                while self.call_on(id) {}
                if self.flights[id].pending == 0 {
                    self.calls_over(id);
                }
            }
        }
    }

    /// The next call of those one after the other.
    fn next_call(&mut self, id: u32) {
        while self.call_on(id) {
            if self.flights[id].pending > 0 {
                return;
            }
        }
        self.calls_over(id);
    }

    /// Makes the next call on behalf of a request, unless this request needs none; whether there was one left.
    fn call_on(&mut self, id: u32) -> bool {
        let Flight { target, next, .. } = self.flights[id];
        let model = &self.models[self.servers[target as usize].model as usize];
        let Some((client, probability)) = model.calls.get(usize::from(next)).copied() else { return false };
        self.flights[id].next += 1;
        if probability >= 1.0 || self.clients[client as usize].asks.unit() < probability {
            self.flights[id].pending += 1;
            let life = self.flights.life(id);
            self.begin(client, (id, life), 1.0);
        }
        true
    }

    /// A call on behalf of a request is answered.
    pub(super) fn heard(&mut self, id: u32, life: u32, good: bool) {
        if self.flights.life(id) != life {
            return;
        }
        let flight = &mut self.flights[id];
        flight.pending -= 1;
        flight.failed |= !good;
        let (pending, failed, target) = (flight.pending, flight.failed, flight.target);
        let parallel = self.models[self.servers[target as usize].model as usize].parallel;
        match (parallel, failed) {
            (true, _) if pending > 0 => {}
            (true, _) | (false, true) => self.calls_over(id),
            (false, false) => self.next_call(id),
        }
    }

    /// A server has what it asked for.
    fn calls_over(&mut self, id: u32) {
        let target = self.flights[id].target;
        self.servers[target as usize].waiting.retain(|one| *one != id);
        self.respond(id);
        self.take_next(target);
    }

    fn take_next(&mut self, target: u32) {
        if let Some(next) = self.servers[target as usize].queue.pop_front() {
            self.start(next);
        }
    }

    /// The server answers.
    fn respond(&mut self, id: u32) {
        let Flight { client, target, reached, latency, failed, .. } = self.flights[id];
        let model = &self.models[self.servers[target as usize].model as usize];
        let fails = failed || model.error_rate > 0.0 && self.clients[client as usize].work.unit() < model.error_rate;
        let end = if fails { End::ServerError } else { End::Success };
        self.settle(id, end, self.now - reached, latency);
    }

    /// An attempt is over; its client hears of it after `latency`, or has given up before.
    fn settle(&mut self, id: u32, end: End, inside: SimDuration, latency: SimDuration) {
        let Flight { call, call_life, client, flow, target, sent, connection, .. } = self.flights[id];
        self.tried(flow, target, end, inside);
        self.drop_flight(id);
        if matches!(end, End::Reset | End::Refused) {
            self.break_connection(client, connection, target);
        }
        if call == NONE || self.calls.life(call) != call_life {
            return;
        }
        if self.controller.is_some() {
            self.calls[call].failed = target;
        }
        let (at, limit) = (self.now + latency, sent + self.clients[client as usize].timeout);
        match at > limit {
            true => self.attempt_over(call, limit, End::Timeout),
            false => self.attempt_over(call, at, end),
        }
    }

    fn tried(&mut self, flow: u32, target: u32, end: End, inside: SimDuration) {
        self.stats.tried(flow as usize, target, Attempt { end, inside });
    }

    fn drop_flight(&mut self, id: u32) {
        let Flight { client, target, node, .. } = self.flights[id];
        self.connection_closed(client, node, target);
        self.flights.remove(id);
    }

    // ---- what happens to servers ----

    /// Kubelets have told of processes.
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
        let began = |process: &Option<Process>| process.as_ref().map(|one| one.listens);
        let another = began(&process) != began(&server.process);
        let (hung, hangs) = (server.hangs(), process.as_ref().is_some_and(|process| process.hangs));
        let end = process.as_ref().and_then(|process| process.ends);
        server.process = process;
        server.life = server.life.wrapping_add(1);
        if let Some(end) = end {
            let life = server.life;
            self.heap.push(end.max(now), Kind::Ends, at, life);
        }
        if another {
            self.kill(at);
        } else if hangs && !hung {
            self.swallow(at);
        }
        if another || hangs != hung {
            let server = &mut self.servers[at as usize];
            let since = server.process.as_ref().filter(|_| !hangs).map(|process| process.listens.max(now));
            server.serving(since.unwrap_or(now), since.is_some());
        }
        if another {
            let server = &mut self.servers[at as usize];
            server.memory = 0;
            if self.fluid.is_some() {
                // A new process has new meters.
                server.metered = f64::NAN;
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

    /// What was in a server is never answered.
    fn swallow(&mut self, at: u32) {
        for id in self.empty(at) {
            let sent = self.flights[id].sent;
            self.swallowed(id, sent, true);
        }
    }

    /// Takes everything out of a server, in order of coming.
    fn empty(&mut self, at: u32) -> Vec<u32> {
        let server = &mut self.servers[at as usize];
        server.advance(self.now, self.models[server.model as usize].cpu_share);
        let working = server.active.drain(..).map(|(_, id)| id);
        let mut all: Vec<u32> = working.chain(server.waiting.drain(..)).collect();
        all.sort_by_key(|id| (self.flights[*id].reached, *id));
        all.extend(server.queue.drain(..));
        server.turn = server.turn.wrapping_add(1);
        self.weigh(at);
        all
    }

    /// A machine went down: what was there is lost without a word. Or it is back: if it was not booted anew, its
    /// processes run on.
    pub(super) fn machine_changed(&mut self, node: u32, booted: bool) {
        let up = self.net.nodes[node as usize].up;
        for at in 0..self.servers.len() as u32 {
            if self.servers[at as usize].node != Some(node) {
                continue;
            }
            if up && !booted {
                self.processes_of(at);
                continue;
            }
            self.swallow(at);
            let server = &mut self.servers[at as usize];
            server.process = None;
            server.life = server.life.wrapping_add(1);
            server.serving(self.now, false);
        }
    }
}
