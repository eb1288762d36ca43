//! The engine's seat in a run: built from the scenario, an observer of every write, and the runtime's plant.

use super::arrivals::{Process, expected};
use super::fluid::Fluid;
use super::heap::{Heap, Kind};
use super::server::Model;
use super::slab::Slab;
use super::stats::Stats;
use super::{Behind, Client, Engine, NONE, Origin};
use crate::metrics::{Meters, TrafficRecord};
use crate::model::Name;
use crate::network::balance::Balance;
use crate::network::ingress::Ingresses;
use crate::network::listeners::Listeners;
use crate::network::policy::Policies;
use crate::network::proxy::ProxyTiming;
use crate::network::{self, Network};
use crate::rng::{Delay, Seed};
use crate::runtime::{self, Observer, Plant};
use crate::scenario::traffic::{self, Downstream, From, Mode, Traffic};
use crate::scenario::units;
use crate::store::{Change, Store};
use crate::time::{SimDuration, SimTime};
use rustc_hash::FxHashMap;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

/// Addresses of clients outside (RFC 2544) are given out from here on.
const FIRST_SOURCE: u32 = 0xc612_0000;

/// What of a run concerns the engine.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The run's seed.
    pub seed: Seed,
    /// When it ends.
    pub end: SimTime,
    /// From a write until a proxy hears of it.
    pub watch_delay: Delay,
    /// Whether packets may fare badly: flows do not know that.
    pub network_faults: bool,
}

/// The engine, shared between the runtime and whoever asks afterwards.
#[derive(Clone)]
pub struct Seat(Rc<RefCell<Option<Engine>>>);

impl Seat {
    /// The engine of a scenario's traffic.
    pub fn new(traffic: &Traffic, settings: &Settings, listeners: Listeners, meters: Meters) -> Seat {
        Seat(Rc::new(RefCell::new(Some(Engine::new(traffic, settings, listeners, meters)))))
    }

    /// What the run came to; the seat is empty then.
    pub fn take(&self) -> Option<TrafficRecord> {
        self.0.take().map(Engine::into_record)
    }
}

impl Observer for Seat {
    fn change(&mut self, change: &Change, _: &Store) {
        if let Some(engine) = self.0.borrow_mut().as_mut() {
            engine.change(change);
        }
    }
}

impl Plant for Seat {
    fn next(&self) -> Option<SimTime> {
        self.0.borrow().as_ref().and_then(Engine::next)
    }

    fn digest(&self) -> u64 {
        self.0.borrow().as_ref().map_or(0, Engine::digest)
    }

    fn advance(&mut self, until: SimTime, budget: u64) -> bool {
        self.0.borrow_mut().as_mut().is_none_or(|engine| engine.advance(until, budget))
    }

    fn call(&mut self) -> Option<runtime::Call> {
        self.0.borrow_mut().as_mut().and_then(|engine| engine.called.pop_front())
    }
}

impl Engine {
    /// The engine of a scenario's traffic.
    pub fn new(traffic: &Traffic, settings: &Settings, listeners: Listeners, meters: Meters) -> Engine {
        let balance = Balance::of(traffic.proxy.mode, traffic.proxy.scheduler);
        let proxy = ProxyTiming {
            watch_delay: settings.watch_delay,
            min_sync: traffic.proxy.min_sync_period.0,
            sync_time: traffic.proxy.sync_time.into(),
        };
        let mut net = Network::new(
            network::Settings {
                balance,
                proxy,
                dns_ttl: traffic.dns.ttl.0,
                dns_negative_ttl: traffic.dns.negative_ttl.0,
            },
            settings.seed,
        );
        let mut services = Services::default();
        let mut clients = Vec::new();
        let named = |(namespace, name): &(String, String)| (Name::from(namespace.as_str()), Name::from(name.as_str()));
        let through = traffic.clients.iter().any(|client| client.ingress.is_some());
        let controller = through.then(|| net.ingress_controller());
        let mut behind = Vec::new();
        for (namespace, name) in traffic.behind_ingresses.iter().filter(|_| through).map(named) {
            let (service, flow) = services.place(&mut net, &namespace, &name, &Name::new());
            behind.push(Behind { namespace, name, service, flow });
        }
        for (at, client) in traffic.clients.iter().enumerate() {
            if client.ingress.is_some() {
                // Nowhere, until there is an Ingress for it.
                let flow = behind.first().map_or(0, |first| first.flow);
                clients.push(asks(client, (NONE, flow), settings, at));
                continue;
            }
            let port = Name::from(client.port.as_deref().unwrap_or_default());
            let place = services.place(&mut net, &client.namespace, &client.service, &port);
            clients.push(asks(client, place, settings, at));
        }
        // Who is asked by servers alone has no client of its own; the list grows while it is read.
        let (mut models, mut aliases): (Vec<Model>, Vec<(u32, u32)>) = Default::default();
        while let Some(key) = services.keys.get(models.len()).cloned() {
            if let Some((_, other)) = traffic.aliases.iter().find(|(alias, _)| named(alias) == key) {
                let other = named(other);
                let (service, _) = services.place(&mut net, &other.0, &other.1, &Name::new());
                aliases.push((services.number(models.len()), service));
            }
            let mut made = model(&traffic.servers, &key);
            let found =
                traffic.servers.iter().find(|one| key.0 == one.namespace.as_str() && key.1 == one.service.as_str());
            for call in found.iter().flat_map(|server| &server.calls) {
                let place = services.place(&mut net, &call.namespace, &call.service, &Name::new());
                made.calls.push((clients.len() as u32, call.probability.0));
                clients.push(calls(call, place, settings, &key.1));
            }
            models.push(made);
        }
        let model_of = services.by_number;
        let services = services.keys;
        let names = traffic.clients.iter().map(|client| Name::from(client.name.as_str())).collect();
        let far = &traffic.network;
        let mut engine = Engine {
            net,
            policies: Policies::default(),
            ingresses: Ingresses::default(),
            controller,
            behind,
            aliases,
            listeners,
            meters,
            metering: false,
            heap: Heap::default(),
            now: SimTime::ZERO,
            distances: [far.same_node, far.same_zone, far.other_zone, far.outside].map(Delay::from),
            node_patience: traffic.load_balancer.health_check_period.0
                * i64::from(traffic.load_balancer.unhealthy_threshold),
            clients,
            models,
            model_of,
            servers: Vec::new(),
            server_of: FxHashMap::default(),
            processors: Vec::new(),
            looked: SimTime(i64::MIN / 2),
            pods: FxHashMap::default(),
            called: VecDeque::new(),
            calls: Slab::default(),
            flights: Slab::default(),
            stats: Stats::new(services, names, settings.end - SimTime::ZERO),
            end: settings.end,
            fluid: None,
            told: SimTime::ZERO,
        };
        if fluid(traffic, settings) {
            engine.fluid = Some(Box::new(Fluid::new(engine.clients.len(), &engine.models, &engine.stats)));
        } else {
            engine.first_arrivals();
        }
        engine
    }

    fn first_arrivals(&mut self) {
        for (at, client) in self.clients.iter_mut().enumerate() {
            if let Some(arrivals) = &mut client.arrivals
                && let Some(first) = arrivals.next(client.start, client.end, &mut client.asks)
            {
                self.heap.push(first, Kind::Arrive, at as u32, 0);
            }
            // Users do not begin in step.
            for _ in 0..client.users {
                let first = client.start + client.think.sample(&mut client.asks).scaled(client.asks.unit());
                if first < client.end {
                    self.heap.push(first, Kind::Arrive, at as u32, 1);
                }
            }
        }
    }
}

/// Requests that are still followed one by one.
const EXACT_MAX: f64 = 10e6;

/// Whether requests are flows: if the scenario says so, or if there will be too many and it uses nothing that flows do
/// not know.
fn fluid(traffic: &Traffic, settings: &Settings) -> bool {
    let requests = |client: &traffic::Client| {
        let start = SimTime::ZERO + client.start.0;
        let end = client.end.map_or(settings.end, |end| settings.end.min(SimTime::ZERO + end.0));
        let open = client.arrivals.as_ref().map_or(0.0, |shape| expected(shape, start, end));
        let closed = client.users.map_or(0.0, |users| {
            // An answer takes a moment, too.
            let turn = Delay::from(users.think_time).mean() / 1e9 + 0.01;
            f64::from(users.count) * (end - start).as_secs_f64().max(0.0) / turn
        });
        open + closed
    };
    match traffic.mode {
        Mode::Exact => false,
        Mode::Fluid => true,
        Mode::Auto => {
            traffic.only_exact().is_none()
                && !settings.network_faults
                && traffic.clients.iter().map(requests).sum::<f64>() > EXACT_MAX
        }
    }
}

fn asks(client: &traffic::Client, (service, flow): (u32, usize), settings: &Settings, at: usize) -> Client {
    let start = SimTime::ZERO + client.start.0;
    let stream = |purpose: &str| settings.seed.stream(purpose, &client.name);
    Client {
        service,
        flow,
        from: match &client.from {
            From::Outside => Origin::Outside,
            From::Cluster => Origin::Cluster,
            From::Pods(selector) => Origin::Pods(selector.clone(), Vec::new()),
        },
        sources: client.sources.max(1),
        first_source: FIRST_SOURCE + (at as u32) * 0x1_0000,
        arrivals: client.arrivals.clone().map(|shape| Process::new(shape, start)),
        users: client.users.map_or(0, |users| users.count),
        think: client.users.map_or(Delay::Constant(SimDuration::ZERO), |users| users.think_time.into()),
        ingress: client.ingress.clone(),
        tls: false,
        timeout: client.timeout.0,
        connect_timeout: client.connect_timeout.0,
        start,
        end: client.end.map_or(settings.end, |end| settings.end.min(SimTime::ZERO + end.0)),
        reports: true,
        optional: false,
        retries: client.retries,
        // A few retries are always possible.
        tokens: 10.0,
        hedge: client.hedge_after.map(|after| after.0),
        breaker: client.circuit_breaker,
        failed_in_row: 0,
        open_until: SimTime(i64::MIN),
        connections: vec![None; client.connections.map_or(0, |connections| connections.count as usize)],
        connection_turn: 0,
        connection_age: client.connections.and_then(|connections| connections.max_age).map(|age| age.0),
        turn: 0,
        asks: stream("traffic-arrivals"),
        routes: stream("traffic-routes"),
        work: stream("traffic-work"),
        losses: stream("traffic-losses"),
        resolved_until: SimTime(i64::MIN),
    }
}

/// Services in the order in which counts are kept.
#[derive(Default)]
struct Services {
    keys: Vec<(Name, Name)>,
    /// Their places, by the network's numbers.
    by_number: Vec<u32>,
}

impl Services {
    /// The network's number of the service in that place.
    fn number(&self, place: usize) -> u32 {
        self.by_number.iter().position(|at| *at as usize == place).unwrap_or_default() as u32
    }

    /// The network's number of a service, and its place here.
    fn place(&mut self, net: &mut Network, namespace: &str, name: &str, port: &Name) -> (u32, usize) {
        let key = (Name::from(namespace), Name::from(name));
        let number = net.service(&key.0, &key.1, port);
        let place = self.keys.iter().position(|have| *have == key).unwrap_or_else(|| {
            self.keys.push(key);
            self.by_number.push(self.keys.len() as u32 - 1);
            self.keys.len() - 1
        });
        (number, place)
    }
}

/// A server that asks another service.
fn calls(call: &Downstream, place: (u32, usize), settings: &Settings, server: &Name) -> Client {
    let written = traffic::Client {
        name: format!("{server}/{}", call.service),
        service: call.service.clone(),
        namespace: call.namespace.clone(),
        port: None,
        ingress: None,
        from: From::Cluster,
        sources: 1,
        arrivals: None,
        users: None,
        timeout: call.timeout,
        connect_timeout: call.connect_timeout,
        retries: call.retries,
        hedge_after: call.hedge_after,
        circuit_breaker: call.circuit_breaker,
        connections: None,
        start: units::Duration::secs(0),
        end: None,
    };
    Client { from: Origin::Server, reports: false, optional: call.optional, ..asks(&written, place, settings, 0) }
}

fn model(servers: &[traffic::Server], (namespace, name): &(Name, Name)) -> Model {
    let found = servers.iter().find(|one| one.service == name.as_str() && one.namespace == namespace.as_str());
    let plain = traffic::Server::default();
    let server = found.unwrap_or(&plain);
    Model {
        time: server.service_time.into(),
        cpu_share: server.cpu_share.0,
        milli_cpu: (server.cpu_share.0 * 1000.0).round() as i64,
        concurrency: server.concurrency,
        queue: server.queue,
        memory: server.memory_per_request.0.whole(),
        error_rate: server.error_rate.0,
        shutdown: server.shutdown,
        slow_start: server.slow_start,
        calls: Vec::new(),
        parallel: server.parallel_calls,
    }
}
