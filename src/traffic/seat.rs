//! The engine's seat in a run: built from the scenario, an observer of every write, and the runtime's plant.

use super::arrivals::Process;
use super::flow::stream;
use super::heap::{Heap, Kind};
use super::server::Model;
use super::slab::Slab;
use super::stats::Stats;
use super::{Client, Engine, Origin};
use crate::metrics::{Meters, TrafficRecord};
use crate::model::Name;
use crate::network::balance::Balance;
use crate::network::listeners::Listeners;
use crate::network::proxy::ProxyTiming;
use crate::network::{self, Network};
use crate::rng::{Delay, Seed};
use crate::runtime::{Observer, Plant};
use crate::scenario::traffic::{self, From, Traffic};
use crate::store::{Change, Store};
use crate::time::{SimDuration, SimTime};
use rustc_hash::FxHashMap;
use std::cell::RefCell;
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
        let mut net = Network::new(network::Settings { balance, proxy }, settings.seed);
        let mut services: Vec<(Name, Name)> = Vec::new();
        let mut clients = Vec::new();
        for (at, client) in traffic.clients.iter().enumerate() {
            let key = (Name::from(client.namespace.as_str()), Name::from(client.service.as_str()));
            let port = Name::from(client.port.as_deref().unwrap_or_default());
            let service = net.service(&key.0, &key.1, &port);
            let flow = services.iter().position(|have| *have == key).unwrap_or_else(|| {
                services.push(key);
                services.len() - 1
            });
            clients.push(asks(client, (service, flow), settings, at));
        }
        let models: Vec<Model> = services.iter().map(|key| model(&traffic.servers, key)).collect();
        let mut model_of = vec![0; models.len()];
        clients.iter().for_each(|client| model_of[client.service as usize] = client.flow as u32);
        let names = traffic.clients.iter().map(|client| Name::from(client.name.as_str())).collect();
        let far = &traffic.network;
        let mut engine = Engine {
            net,
            listeners,
            meters,
            metering: false,
            heap: Heap::default(),
            now: SimTime::ZERO,
            distances: [far.same_node, far.same_zone, far.other_zone, far.outside].map(Delay::from),
            clients,
            models,
            model_of,
            servers: Vec::new(),
            server_of: FxHashMap::default(),
            specs: FxHashMap::default(),
            calls: Slab::default(),
            flights: Slab::default(),
            stats: Stats::new(services, names, settings.end - SimTime::ZERO),
            end: settings.end,
        };
        engine.first_arrivals();
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

fn asks(client: &traffic::Client, (service, flow): (u32, usize), settings: &Settings, at: usize) -> Client {
    let start = SimTime::ZERO + client.start.0;
    let stream = |purpose: &str| stream(settings.seed, purpose, &client.name);
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
        timeout: client.timeout.0,
        connect_timeout: client.connect_timeout.0,
        start,
        end: client.end.map_or(settings.end, |end| settings.end.min(SimTime::ZERO + end.0)),
        turn: 0,
        asks: stream("traffic-arrivals"),
        routes: stream("traffic-routes"),
        work: stream("traffic-work"),
    }
}

fn model(servers: &[traffic::Server], (namespace, name): &(Name, Name)) -> Model {
    let found = servers.iter().find(|one| one.service == name.as_str() && one.namespace == namespace.as_str());
    let plain = traffic::Server::default();
    let server = found.unwrap_or(&plain);
    Model {
        time: server.service_time.into(),
        cpu_share: server.cpu_share.0,
        concurrency: server.concurrency,
        queue: server.queue,
        memory: server.memory_per_request.0.whole(),
        error_rate: server.error_rate.0,
        shutdown: server.shutdown,
    }
}
