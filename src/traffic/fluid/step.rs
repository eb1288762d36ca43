//! From one change to the next: what every pod will do, and what came of it.

use super::pool::{Passed, Plan, Source};
use super::station::{Station, Steady};
use super::{Fluid, Inflow};
use crate::metrics::traffic::End;
use crate::model::Object;
use crate::model::cpu::Demand;
use crate::scenario::arrivals::Arrivals;
use crate::store::Change;
use crate::time::{SimDuration, SimTime};
use crate::traffic::server::Server;
use crate::traffic::{Client, Engine, Model, Origin};

/// Users are taken to be in step with their answers when the mean answer moves less than this share.
const SETTLED: f64 = 0.005;
/// How long a plan holds while users are not, or a backlog moves fast.
const SHORT: SimDuration = SimDuration::from_millis(100);
/// How often it is looked at what containers take beside requests.
const LOOK: SimDuration = SimDuration::from_secs(1);
/// How long it holds while a backlog moves, at least and at most.
const BACKLOG: (SimDuration, SimDuration) = (SimDuration::from_millis(20), SimDuration::from_secs(1));

impl Engine {
    /// Flows on until `until` (what happens then is not counted).
    pub(in crate::traffic) fn flow_until(&mut self, until: SimTime) {
        let Some(mut fluid) = self.fluid.take() else { return };
        while fluid.now < until {
            if fluid.stale {
                self.plan(&mut fluid);
            }
            let to = fluid.next.min(until);
            self.pass(&mut fluid, to);
            // A plan that something else cut short is made anew by whom it concerns.
            fluid.stale |= to == fluid.next;
        }
        self.now = self.now.max(fluid.now);
        self.fluid = Some(fluid);
    }

    /// Flows on over everything that is due before `until`.
    pub(in crate::traffic) fn flow_before(&mut self, until: SimTime) {
        let Some(mut fluid) = self.fluid.take() else { return };
        while fluid.now < until {
            if fluid.stale {
                self.plan(&mut fluid);
            }
            if fluid.next >= until {
                break;
            }
            let to = fluid.next;
            self.pass(&mut fluid, to);
            fluid.stale = true;
        }
        self.now = self.now.max(fluid.now);
        self.fluid = Some(fluid);
    }

    /// Whether a change of the cluster may change where requests go.
    pub(in crate::traffic) fn concerns(&self, change: &Change) -> bool {
        match change.object() {
            Object::Service(_)
            | Object::EndpointSlice(_)
            | Object::Machine(_)
            | Object::NetworkPolicy(_)
            | Object::Namespace(_) => true,
            Object::Pod(_) => self.clients.iter().any(|client| matches!(client.from, Origin::Pods(..))),
            Object::Node(node) => match (&change.old, &change.new) {
                (Some(Object::Node(old)), Some(_)) => old.allocatable != node.allocatable || old.zone() != node.zone(),
                _ => true,
            },
            _ => false,
        }
    }

    /// Everything is looked at anew: the cluster has changed.
    pub(in crate::traffic) fn disturb(&mut self) {
        if let Some(fluid) = &mut self.fluid {
            fluid.stale = true;
            fluid.reroute_at = fluid.now;
        }
    }

    /// Says what every pod will do, and for how long that holds.
    fn plan(&mut self, fluid: &mut Fluid) {
        let now = fluid.now;
        fluid.stale = false;
        fluid.grow(self.servers.len());
        let window = (now.0 / fluid.window.0 + 1) * fluid.window.0;
        fluid.next = SimTime(window).min(SimTime(self.end.0 + 1));
        if now >= fluid.reroute_at {
            self.reroute(fluid);
        }
        fluid.next = fluid.next.min(fluid.reroute_at);
        self.rates(fluid);
        let mut last: Option<(u32, Plan, f64)> = None;
        let mut plans = Vec::with_capacity(self.servers.len());
        for at in 0..self.servers.len() {
            self.process_of(fluid, at);
            plans.push(self.wanted(fluid, at));
        }
        self.share_flows(fluid, &mut plans);
        for (at, mut plan) in plans.into_iter().enumerate() {
            let inside = fluid.pools[at].inside;
            let model = self.servers[at].model;
            // Most pods are like the one before.
            match &last {
                Some((before, same, had)) if *before == model && same.is_like(&plan) && *had == inside => plan = *same,
                _ => {
                    if let Some(station) = &plan.station {
                        plan.steady = station.steady(plan.rate, plan.arrivals);
                    }
                    plan.watch(inside);
                    last = Some((model, plan, inside));
                }
            }
            if let Some(backlog) = &plan.backlog {
                let wanted = SimDuration((backlog.lasts / 20.0 * 1e9).min(1e18) as i64);
                fluid.next = fluid.next.min(now + wanted.clamp(BACKLOG.0, BACKLOG.1));
            }
            fluid.pools[at].plan = plan;
            self.tell(fluid, at);
        }
        fluid.next = fluid.next.max(SimTime(now.0 + 1));
    }

    /// What clients ask for from now on.
    fn rates(&mut self, fluid: &mut Fluid) {
        let now = fluid.now;
        for (client, inflow) in self.clients.iter_mut().zip(&mut fluid.clients) {
            inflow.rate = 0.0;
            if now < client.start {
                fluid.next = fluid.next.min(client.start);
            } else if now < client.end {
                fluid.next = fluid.next.min(client.end);
                if let Some(arrivals) = &mut client.arrivals {
                    let (rate, until) = arrivals.flow(now, &mut client.asks);
                    inflow.rate = rate;
                    fluid.next = fluid.next.min(until);
                } else if client.users > 0 {
                    let think = client.think.mean() / 1e9;
                    inflow.rate = f64::from(client.users) / (think + inflow.response).max(1e-6);
                    let moved = inflow.settle();
                    if moved > SETTLED {
                        fluid.next = fluid.next.min(now + SHORT);
                    }
                }
            }
        }
    }

    /// Follows a pod's process: what was in one that is gone is lost.
    fn process_of(&mut self, fluid: &mut Fluid, at: usize) {
        let now = fluid.now;
        let server = &self.servers[at];
        let up = server.node.is_some_and(|node| self.net.nodes[node as usize].up);
        let hangs = server.hangs();
        let process = server.process.as_ref().filter(|one| !hangs && one.ends.is_none_or(|end| now < end));
        let began = process.map(|one| one.listens);
        for instant in process.into_iter().flat_map(|one| [Some(one.listens), one.signalled, one.ends]).flatten() {
            if instant > now {
                fluid.next = fluid.next.min(instant);
            }
        }
        if began == fluid.pools[at].began && up {
            return;
        }
        let lost = fluid.pools[at].empty();
        fluid.pools[at].began = began;
        if process.is_none() && server.since.is_some() {
            self.servers[at].serving(now, false);
        }
        if lost > 0.0 {
            let end = if up && !hangs { End::Reset } else { End::Timeout };
            self.lost(fluid, at, lost, end);
        }
    }

    /// What was in a pod is lost, for each client as much as it sent.
    fn lost(&mut self, fluid: &mut Fluid, at: usize, mass: f64, end: End) {
        let Fluid { pools, accounts, pods, .. } = fluid;
        let all: f64 = pools[at].sources.iter().map(|source| source.weight).sum();
        for source in &pools[at].sources {
            let part = mass * source.weight / all.max(1e-300);
            let client = &self.clients[source.client as usize];
            let after = if end == End::Timeout { client.timeout.as_secs_f64() } else { source.latency };
            for flow in [client.flow, self.stats.client(source.client)] {
                accounts[flow].ended(end, part, after);
            }
            pods[client.flow][at].ends[end as usize] += part;
        }
    }

    /// What comes to a pod, and what it is.
    fn wanted(&mut self, fluid: &mut Fluid, at: usize) -> Plan {
        let now = fluid.now;
        let server = &self.servers[at];
        let model = &self.models[server.model as usize];
        let (mut rate, mut uneven) = (0.0, 0.0);
        for source in &mut fluid.pools[at].sources {
            let part = source.share * fluid.clients[source.client as usize].rate;
            if part > 0.0 {
                source.weight = part;
                rate += part;
                uneven += part * self.unevenness(&self.clients[source.client as usize], source);
            }
        }
        let node = server.node.map(|node| &self.net.nodes[node as usize]);
        let turned_away = match node.is_some_and(|node| node.up) {
            false => Some(End::ConnectTimeout),
            true if server.hangs() => Some(End::Timeout),
            true if !server.listens(now, model.shutdown) => Some(End::Refused),
            true => None,
        };
        if server.process.is_none() || server.hangs() {
            return Plan { rate, turned_away, ..Plan::default() };
        }
        let arrivals = if rate > 0.0 { uneven / rate } else { 1.0 };
        let speed = node.map_or(1000, |node| node.speed).max(1);
        let slow = slowness(model, server, now);
        if slow > 1.0
            && let Some(shape) = &model.slow_start
        {
            fluid.next = fluid.next.min(now + SimDuration((shape.over.0.0 / 20).max(SHORT.0)));
        }
        let spread = &fluid.spreads[server.model as usize];
        let station = Station {
            service: (spread.mean * slow * 1000.0 / speed as f64).max(1e-9),
            away: 0.0,
            variation: spread.variation,
            concurrency: model.concurrency,
            room: model.queue,
            cpu_share: model.cpu_share,
            cores: if server.crowded { server.cores } else { f64::INFINITY },
        };
        let served = if turned_away.is_some() { 0.0 } else { rate };
        Plan { rate: served, coming: rate, arrivals, turned_away, station: Some(station), ..Plan::default() }
    }

    /// Where the pods of a node want more than its processors, in the mean, they share them.
    fn share_flows(&mut self, fluid: &Fluid, plans: &mut [Plan]) {
        if fluid.now >= self.looked + LOOK {
            self.looked = fluid.now;
            self.look_at_neighbours();
        }
        for processors in &self.processors {
            let demand = |at: &u32| {
                let (server, plan) = (&self.servers[*at as usize], &plans[*at as usize]);
                let busy = plan.station.as_ref().map_or(0.0, |station| {
                    let places = f64::from(station.concurrency);
                    let waits = fluid.pools[*at as usize].inside > places;
                    if waits { places } else { places.min(plan.rate * station.service) }
                });
                let wanted = (busy * self.models[server.model as usize].milli_cpu as f64) as i64;
                Demand { wanted, request: server.request, limit: server.limit }
            };
            let demands: Vec<Demand> = processors.servers.iter().map(demand).collect();
            for (at, given) in processors.servers.iter().zip(processors.shares(&demands)) {
                if let (Some(given), Some(station)) = (given, &mut plans[*at as usize].station) {
                    station.cores = station.cores.min(given as f64 / 1000.0);
                }
            }
        }
    }

    /// How random the requests of a source come to a pod: those that come evenly, or are dealt out in turn, less.
    fn unevenness(&self, client: &Client, source: &Source) -> f64 {
        let of_client = match client.arrivals.as_ref().map(|process| process.shape()) {
            Some(Arrivals::Constant(_)) => 0.0,
            _ => 1.0,
        };
        let share = source.share.min(1.0);
        if !self.net.in_turn() {
            return 1.0 - share + share * of_client;
        }
        // Streams of several nodes, each dealt out in turn, mix (Whitt's weight, at a load of 0.8).
        let nodes = self.net.nodes.iter().filter(|node| node.up && node.exists && !node.control_plane).count() as f64;
        let weight = 1.0 / (1.0 + 0.16 * (nodes - 1.0).max(0.0));
        weight * of_client * share / nodes.max(1.0) + 1.0 - weight
    }

    /// Tells the meters what a pod takes from now on.
    fn tell(&mut self, fluid: &Fluid, at: usize) {
        let (now, pool) = (fluid.now, &fluid.pools[at]);
        let server = &mut self.servers[at];
        if server.process.is_none() {
            return;
        }
        let milli = (pool.plan.cpu() * 1000.0 + 0.5) as i64;
        if server.metered != milli as f64 {
            server.metered = milli as f64;
            self.meters.set_flow(server.pod, &server.container, now, milli);
        }
    }

    /// Time passes, as planned.
    fn pass(&mut self, fluid: &mut Fluid, to: SimTime) {
        let length = (to - fluid.now).as_secs_f64();
        if length <= 0.0 {
            return;
        }
        self.come(fluid, length);
        let from = fluid.now.as_secs_f64();
        let mut group = Group::default();
        for at in 0..self.servers.len() {
            let passed = fluid.pools[at].pass(from, length);
            let server = &mut self.servers[at];
            server.most = server.most.max((fluid.pools[at].inside + 0.5) as u32);
            if let Some(station) = &fluid.pools[at].plan.station {
                let taken = passed.done * station.service * station.cpu_share * 1e9;
                server.cpu += taken;
                self.stats.used_cpu(server.node, fluid.now, taken);
            }
            self.pod_answered(fluid, at, &passed, &mut group);
            self.turned_away(fluid, at, &passed, length);
        }
        self.credit(fluid, &mut group);
        fluid.now = to;
        if to.0 % fluid.window.0 == 0 || to > self.end {
            fluid.accounts.iter_mut().for_each(super::Account::close_window);
        }
    }

    /// Requests begin; some reach no pod.
    fn come(&mut self, fluid: &mut Fluid, length: f64) {
        let Fluid { clients, accounts, .. } = fluid;
        for (id, inflow) in clients.iter_mut().enumerate() {
            let begun = inflow.rate * length;
            inflow.ended = (0.0, 0.0);
            for flow in [self.clients[id].flow, self.stats.client(id as u32)] {
                let account = &mut accounts[flow];
                account.begun += begun;
                account.attempts += begun;
                inflow.losses.iter().for_each(|loss| account.ended(loss.end, begun * loss.share, loss.after));
            }
            for loss in &inflow.losses {
                inflow.ended.0 += begun * loss.share;
                inflow.ended.1 += begun * loss.share * loss.after;
            }
        }
    }

    /// Who came to a pod and was sent away: nobody listens, or there is no room.
    fn turned_away(&mut self, fluid: &mut Fluid, at: usize, passed: &Passed, length: f64) {
        let Fluid { pools, accounts, pods, clients, .. } = fluid;
        let (share, end) = match pools[at].plan.turned_away {
            Some(end) => (1.0, end),
            None => (passed.refused, End::Overload),
        };
        for source in &pools[at].sources {
            let came = source.share * clients[source.client as usize].rate * length;
            let client = &self.clients[source.client as usize];
            for flow in [client.flow, self.stats.client(source.client)] {
                accounts[flow].distances[source.distance] += came;
            }
            if came * share <= 0.0 {
                continue;
            }
            let after = match end {
                End::ConnectTimeout => client.connect_timeout.min(client.timeout).as_secs_f64(),
                _ => 2.0 * source.latency,
            };
            for flow in [client.flow, self.stats.client(source.client)] {
                accounts[flow].ended(end, came * share, after);
            }
            pods[client.flow][at].ends[end as usize] += came * share;
            let ended = &mut clients[source.client as usize].ended;
            (ended.0, ended.1) = (ended.0 + came * share, ended.1 + came * share * after);
        }
    }

    /// What a pod has answered goes to those who asked, together with what pods before it did that are like it.
    fn pod_answered(&mut self, fluid: &mut Fluid, at: usize, passed: &Passed, group: &mut Group) {
        if passed.done <= 0.0 {
            return;
        }
        let model = self.servers[at].model;
        if group.kind != Some((model, passed.work, passed.wait)) {
            self.credit(fluid, group);
            group.kind = Some((model, passed.work, passed.wait));
        }
        let fails = self.models[model as usize].error_rate;
        let all: f64 = fluid.pools[at].sources.iter().map(|source| source.weight).sum();
        let inside = passed.work + passed.wait.mean();
        for source in &fluid.pools[at].sources {
            let mass = passed.done * source.weight / all.max(1e-300);
            let pod = &mut fluid.pods[self.clients[source.client as usize].flow][at];
            pod.ends[End::Success as usize] += mass * (1.0 - fails);
            pod.ends[End::ServerError as usize] += mass * fails;
            pod.time += mass * (1.0 - fails) * inside;
            let key = (source.client, source.latency);
            match group.parts.iter_mut().find(|(have, _)| *have == key) {
                Some((_, sum)) => *sum += mass,
                None => group.parts.push((key, mass)),
            }
        }
    }

    /// Spreads a group's answers over their latencies; those that come too late are timeouts.
    fn credit(&mut self, fluid: &mut Fluid, group: &mut Group) {
        let Some((model, work, wait)) = group.kind.take() else { return };
        let fails = self.models[model as usize].error_rate;
        let points = fluid.spreads[model as usize].with_wait(work, wait, &fluid.waits);
        for ((id, latency), mass) in group.parts.drain(..) {
            let client = &self.clients[id as usize];
            let limit = client.timeout.as_secs_f64();
            let early: f64 =
                points.iter().filter(|(_, inside)| inside + 2.0 * latency <= limit).map(|(share, _)| share).sum();
            let late = match early > 0.0 {
                true => fluid.spreads[model as usize].late(work, wait, limit - 2.0 * latency),
                false => 1.0,
            };
            // Points that are in time stand for all that is.
            let in_time = if early > 0.0 { (1.0 - late) / early } else { 0.0 };
            let ended = &mut fluid.clients[id as usize].ended;
            for flow in [client.flow, self.stats.client(id)] {
                let account = &mut fluid.accounts[flow];
                for (share, inside) in &points {
                    let (part, seconds) = (mass * share * in_time, inside + 2.0 * latency);
                    match seconds > limit {
                        true => {}
                        false if fails > 0.0 => {
                            account.ended(End::Success, part * (1.0 - fails), seconds);
                            account.ended(End::ServerError, part * fails, seconds);
                        }
                        false => account.ended(End::Success, part, seconds),
                    }
                }
                let late = mass * late;
                if late > 0.0 {
                    account.ended(End::Timeout, late, limit);
                }
            }
            ended.0 += mass;
            ended.1 +=
                points.iter().map(|(share, inside)| mass * share * (inside + 2.0 * latency).min(limit)).sum::<f64>();
        }
    }
}

/// Answers of pods that are alike, by client and latency of the way.
#[derive(Default)]
struct Group {
    kind: Option<(u32, f64, super::spread::Wait)>,
    parts: Vec<((u32, f64), f64)>,
}

impl Inflow {
    /// Takes over how long users wait; by what share that has moved.
    fn settle(&mut self) -> f64 {
        if self.ended.0 <= 0.0 {
            return 0.0;
        }
        let have = self.ended.1 / self.ended.0;
        let moved = (have - self.response).abs() / have.max(1e-6);
        self.response = 0.5 * (self.response + have);
        moved
    }
}

/// How many times as long requests take in a process that is new.
fn slowness(model: &Model, server: &Server, now: SimTime) -> f64 {
    let (Some(slow), Some(process)) = (&model.slow_start, &server.process) else { return 1.0 };
    let gone = (now - process.listens).as_secs_f64() / slow.over.0.as_secs_f64().max(1e-9);
    1.0 + (slow.factor.0 - 1.0) * (1.0 - gone.clamp(0.0, 1.0))
}

impl Plan {
    /// Whether another one, not yet thought through, comes to the same.
    fn is_like(&self, other: &Plan) -> bool {
        let bare = Plan { steady: Steady::default(), backlog: None, ..*self };
        bare == *other
    }
}
