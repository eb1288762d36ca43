//! The loop: deliver, work, commit, timer.
//!
//! ```text
//! commit ── change ──▶ log ── after the watch delay ──▶ deliver ── wake ──▶ queue ── worker ──▶ reconcile
//!    ▲                                                                                            │
//!    └──────────────── after client limits and request latency ◀── writes ────────────────────────┘
//! ```

use super::actor::Actor;
use super::batch::Flight;
use super::context::{Batch, Cx};
use super::control::Component;
use super::controller::{Controller, Requeue, Wake};
use super::gate::{Gates, Verdict};
use super::observer::Observer;
use super::plant::{Call, Plant};
use super::queue::WorkQueue;
use super::server::{Server, ServerSettings};
use super::settings::{ActorSettings, RuntimeLimits, Stats};
use crate::engine::EventQueue;
use crate::model::{Key, Kind};
use crate::rng::Seed;
use crate::store::{EventRecord, Refusal, Revision, Store, StoreError, UNREACHABLE, Write, Written};
use crate::time::{SimDuration, SimTime};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;

/// How long an event waits that could not be sent.
const EVENT_RETRY: SimDuration = SimDuration::from_secs(10);

/// Everything that can happen.
#[derive(Debug)]
pub(super) enum Event {
    /// An actor's watch brings what is old enough.
    Deliver(usize),
    /// An actor's free workers look for keys.
    Work(usize),
    /// A key's wake-up.
    Timer(usize, Key),
    /// A write of a flight reaches the store.
    Commit(usize, usize),
    /// A worker that computed without writing is free, in which life of its actor.
    Free(usize, u32, Key, Requeue),
    /// An event record reaches the store; sent in which life of its actor.
    Record(usize, u32, Box<EventRecord>),
    /// A request has passed the gates, or was turned away.
    Passed(Box<Event>, Option<Box<StoreError>>),
    /// A request that waited for the API server is done.
    Served(Box<Event>),
}

/// Events of the plant between two looks at whether the run is to go on.
const PLANT_EVENTS: u64 = 1 << 18;

/// Why a run stopped before its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Stop {
    /// A named limit; the message names it.
    Limit(String),
    /// Someone asked for it.
    Interrupted,
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Stop::Limit(message) => f.write_str(message),
            Stop::Interrupted => f.write_str("interrupted"),
        }
    }
}

/// The store, the actors, and the events between them.
pub struct Runtime {
    /// The API server.
    pub store: Store,
    pub(super) seed: Seed,
    pub(super) eager: bool,
    pub(super) events: EventQueue<Event>,
    pub(super) actors: Vec<Actor>,
    pub(super) watchers: FxHashMap<Kind, Vec<usize>>,
    pub(super) flights: Vec<Option<Box<Flight>>>,
    pub(super) free_flights: Vec<usize>,
    pub(super) observers: Vec<Box<dyn Observer>>,
    plant: Option<Box<dyn Plant>>,
    pub(super) limits: RuntimeLimits,
    pub(super) stats: Stats,
    pub(super) components: Vec<Component>,
    pub(super) gates: Gates,
    server: Option<Server>,
    pub(super) instant: (SimTime, u64),
    pub(super) stop: Option<Stop>,
}

impl Runtime {
    /// A runtime around a store, its clock at `start`; `eager` ticks what could be computed when asked.
    pub fn new(store: Store, seed: Seed, start: SimTime, limits: RuntimeLimits, eager: bool) -> Self {
        Runtime {
            store,
            seed,
            eager,
            events: EventQueue::starting_at(start),
            actors: Vec::new(),
            watchers: FxHashMap::default(),
            flights: Vec::new(),
            free_flights: Vec::new(),
            observers: Vec::new(),
            plant: None,
            limits,
            stats: Stats::default(),
            components: Vec::new(),
            gates: Gates::default(),
            server: None,
            instant: (start, 0),
            stop: None,
        }
    }

    /// The virtual time.
    pub fn now(&self) -> SimTime {
        self.events.now()
    }

    /// What was counted so far.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Limits what the API server can do at a time.
    pub fn serve(&mut self, settings: ServerSettings) {
        self.server = Server::new(settings, self.seed.stream("api-server", ""));
    }

    /// Seats an actor at the table. It sees everything that is already there as new.
    pub fn add(&mut self, controller: Box<dyn Controller>, settings: ActorSettings) {
        let id = self.actors.len();
        for kind in controller.watches() {
            self.watchers.entry(*kind).or_default().push(id);
        }
        for observer in &mut self.observers {
            observer.seated(controller.name());
        }
        // By name, so that one more actor moves no other; two of one name (replicas of a component) have their own.
        let namesakes = self.actors.iter().filter(|actor| actor.controller.name() == controller.name()).count();
        let name = format!("{}#{namesakes}", controller.name());
        self.actors.push(Actor {
            watched: controller.watches().iter().collect(),
            controller,
            settings,
            queue: WorkQueue::default(),
            clients: FxHashMap::default(),
            cursor: 0,
            told: 0,
            lag: SimDuration::ZERO,
            stream: self.seed.stream("latency", &name),
            watch_stream: self.seed.stream("watch", &name),
            deliver_pending: false,
            work_pending: false,
            busy: 0,
            outbox: VecDeque::new(),
            mailing: false,
            component: "",
            halted: false,
            life: 0,
            cut: None,
            deaf_until: SimTime(i64::MIN),
        });
        let mut added = Vec::new();
        let mut wake = Wake { now: self.now(), added: &mut added };
        self.actors[id].controller.start(&mut wake);
        self.enqueue(id, added);
        self.schedule_delivery(id, self.now());
    }

    /// Does a write now, outside any actor's client: what is there before the run.
    ///
    /// # Errors
    /// What the API server would answer.
    pub fn commit_now(&mut self, write: Write, writer: &'static str) -> Result<Written, StoreError> {
        self.write(self.now(), write, writer)
    }

    /// Seats an observer.
    pub fn observe(&mut self, observer: Box<dyn Observer>) {
        self.observers.push(observer);
    }

    /// Gives the cluster a plant.
    pub fn attach(&mut self, plant: Box<dyn Plant>) {
        self.plant = Some(plant);
    }

    /// Takes the observers back, in the order they were given, after telling them that it is over.
    pub fn finish(&mut self) -> Vec<Box<dyn Observer>> {
        let mut observers = std::mem::take(&mut self.observers);
        let digest = self.plant.as_ref().map(|plant| plant.digest());
        for observer in &mut observers {
            digest.into_iter().for_each(|digest| observer.plant(digest));
            observer.finish(self.now(), &self.store);
        }
        observers
    }

    /// Runs until `end`, calling `progress` now and then; it answers whether to go on.
    ///
    /// # Errors
    /// A limit was reached, or `progress` said stop.
    pub fn run_until(&mut self, end: SimTime, progress: &mut dyn FnMut(SimTime, Stats) -> bool) -> Result<(), Stop> {
        loop {
            let next = self.events.peek_time().filter(|next| *next <= end);
            if self.advance_plant(next.unwrap_or(SimTime(end.0 + 1)), progress)? {
                continue;
            }
            let Some((now, event)) = next.and_then(|_| self.events.pop()) else { break };
            self.count_event(now);
            self.handle(now, event);
            if self.stats.events.is_multiple_of(4096) {
                self.trim();
                if !progress(now, self.stats) {
                    return Err(Stop::Interrupted);
                }
            }
            if let Some(stop) = self.stop.take() {
                return Err(stop);
            }
        }
        self.events.advance_to(end);
        Ok(())
    }

    /// Brings the plant up to what happens next in the cluster, or to where it calls an actor: whether it did.
    fn advance_plant(
        &mut self,
        until: SimTime,
        progress: &mut dyn FnMut(SimTime, Stats) -> bool,
    ) -> Result<bool, Stop> {
        let Some(plant) = &mut self.plant else { return Ok(false) };
        let mut calls = Vec::new();
        while !plant.advance(until, PLANT_EVENTS) {
            calls.extend(std::iter::from_fn(|| plant.call()));
            if !calls.is_empty() {
                break;
            }
            if !progress(plant.next().unwrap_or(until), self.stats) {
                return Err(Stop::Interrupted);
            }
        }
        let called = !calls.is_empty();
        for Call { at, actor, key } in calls {
            if let Some(id) = self.actors.iter().position(|one| one.controller.name() == actor) {
                self.enqueue(id, vec![(key, at)]);
            }
        }
        Ok(called)
    }

    /// Keys that wait or run now, by actor: at rest there are none.
    pub fn busy_keys(&self) -> Vec<(&'static str, Key)> {
        let mut keys: Vec<_> = self
            .actors
            .iter()
            .flat_map(|actor| actor.queue.busy().map(|key| (actor.controller.name(), key.clone())))
            .collect();
        keys.sort();
        keys
    }

    fn count_event(&mut self, now: SimTime) {
        self.stats.events += 1;
        if self.instant.0 != now {
            self.instant = (now, 0);
        }
        self.instant.1 += 1;
        if self.stats.events > self.limits.events {
            self.stop_at_limit(format!("limit `maxEvents` ({}) reached", self.limits.events));
        } else if self.instant.1 > self.limits.events_per_instant {
            let limit = self.limits.events_per_instant;
            self.stop_at_limit(format!("limit `maxEventsPerInstant` ({limit}) reached"));
        }
    }

    pub(super) fn stop_at_limit(&mut self, message: String) {
        let message = format!("{message} at virtual {}; raise it under `limits` in the scenario", self.now());
        self.stop.get_or_insert(Stop::Limit(message));
    }

    fn handle(&mut self, now: SimTime, event: Event) {
        match event {
            Event::Deliver(actor) => self.deliver(now, actor),
            Event::Work(actor) => self.work(now, actor),
            Event::Timer(actor, key) => {
                if self.actors[actor].queue.timer_fired(&key, now) {
                    self.actors[actor].queue.add_woken(key, now);
                    self.schedule_work(actor);
                }
            }
            Event::Commit(..) | Event::Record(..) => self.arrive(now, event),
            Event::Passed(request, None) => self.serve_request(now, *request),
            Event::Passed(request, Some(refused)) => self.answer(now, *request, Some(*refused)),
            Event::Served(request) => self.answer(now, *request, None),
            Event::Free(actor, life, key, requeue) => {
                if self.actors[actor].life == life {
                    self.release(actor, &key, requeue, true);
                }
            }
        }
    }

    /// A request comes to the API server: to a closed door, to the gates, or straight to it.
    fn arrive(&mut self, now: SimTime, request: Event) {
        let actor = &self.actors[self.client_of(&request)];
        if actor.settings.outside || (actor.cut.is_none() && self.gates.is_open()) {
            return self.serve_request(now, request);
        }
        let Some(write) = self.asked(&request) else { return };
        let name = actor.controller.name();
        let verdict = match &actor.cut {
            _ if !write.key().kind.is_api() => return self.serve_request(now, request),
            Some(cut) => Verdict::refused(Refusal::new(UNREACHABLE, &cut.why).of(write.key())),
            None => self.gates.ask(name, &write),
        };
        if verdict.delay > SimDuration::ZERO || verdict.refused.is_some() {
            let passed = Event::Passed(Box::new(request), verdict.refused.map(Box::new));
            self.events.push(now + verdict.delay, passed);
        } else {
            self.serve_request(now, request);
        }
    }

    fn client_of(&self, request: &Event) -> usize {
        match request {
            Event::Commit(flight, _) => self.flights[*flight].as_ref().expect("a flight under way").actor,
            Event::Record(actor, ..) => *actor,
            other => unreachable!("{other:?} is no request"),
        }
    }

    /// What a request asks for.
    fn asked(&self, request: &Event) -> Option<Write> {
        match request {
            Event::Commit(flight, write) => {
                let flight = self.flights[*flight].as_ref().expect("a flight under way");
                flight.group[*write].as_ref().map(|(_, order)| order.write.clone())
            }
            Event::Record(_, _, record) => Some(Write::Event(EventRecord::clone(record))),
            other => unreachable!("{other:?} is no request"),
        }
    }

    fn serve_request(&mut self, now: SimTime, request: Event) {
        match self.server_done(now, &request) {
            Some(done) => self.events.push(done, Event::Served(Box::new(request))),
            None => self.answer(now, request, None),
        }
    }

    /// When the API server is done with a request that arrives now, if that takes it any time.
    fn server_done(&mut self, now: SimTime, request: &Event) -> Option<SimTime> {
        let client = self.client_of(request);
        let outside = self.actors[client].settings.outside;
        self.server.as_mut().filter(|_| !outside).map(|server| server.answer(now))
    }

    /// What a request asks for happens, or it is refused.
    fn answer(&mut self, now: SimTime, request: Event, refused: Option<StoreError>) {
        match request {
            Event::Commit(flight, write) => self.commit(now, flight, write, refused),
            // Events that cannot be sent are tried again (`staging/src/k8s.io/client-go/tools/record/event.go`).
            Event::Record(actor, life, record) if refused.is_some() => {
                if self.actors[actor].life == life {
                    self.events.push(now + EVENT_RETRY, Event::Record(actor, life, record));
                }
            }
            Event::Record(actor, life, record) => {
                let writer = self.actors[actor].controller.name();
                // The namespace may be gone; an event is not worth a retry.
                let _ = self.write(now, Write::Event(*record), writer);
                if self.actors[actor].life == life && std::mem::take(&mut self.actors[actor].mailing) {
                    self.mail(now, actor);
                }
            }
            other => unreachable!("{other:?} is no request"),
        }
    }

    // ---- deliver ----

    /// Brings what is committed up to `committed` to an actor after its watch's delay.
    pub(super) fn schedule_delivery(&mut self, id: usize, committed: SimTime) {
        let now = self.now();
        let actor = &mut self.actors[id];
        if actor.halted || actor.cut.is_some() {
            return;
        }
        if !std::mem::replace(&mut actor.deliver_pending, true) {
            let backlog = self.server.as_ref().filter(|_| !actor.settings.outside);
            let backlog = backlog.map_or(SimDuration::ZERO, |server| server.backlog(now));
            let lag = actor.settings.watch_delay.sample(&mut actor.watch_stream) + backlog;
            // What one delivery showed, a later one does not take back.
            let due = (committed + lag).max(now).max(actor.deaf_until);
            actor.lag = lag.min(due - committed);
            self.events.push(due, Event::Deliver(id));
        }
    }

    fn deliver(&mut self, now: SimTime, id: usize) {
        let actor = &mut self.actors[id];
        actor.deliver_pending = false;
        if actor.is_deaf(now) {
            return self.schedule_delivery(id, now);
        }
        let seen = now - actor.lag;
        let from = actor.cursor;
        let mut added = Vec::new();
        let mut next = None;
        while let Some(change) = self.store.log().get(actor.cursor + 1) {
            if change.time > seen {
                next = Some(change.time);
                break;
            }
            actor.cursor += 1;
            if actor.minds(change) {
                let mut wake = Wake { now, added: &mut added };
                actor.controller.wake(change, self.store.view(actor.cursor), &mut wake);
            }
        }
        let to = actor.cursor;
        for observer in &mut self.observers {
            observer.delivered(now, self.actors[id].controller.name(), from, to);
        }
        // First, so that a key that waits for its own writes does not ask for a later one.
        if let Some(time) = next {
            self.schedule_delivery(id, time);
        }
        self.enqueue(id, added);
        // Keys that waited for their own writes may run now.
        self.schedule_work(id);
    }

    pub(super) fn enqueue(&mut self, id: usize, added: Vec<(Key, SimTime)>) {
        let now = self.now();
        for (key, at) in added {
            if at <= now {
                self.actors[id].queue.add(key);
            } else {
                self.wake_at(id, key, at);
            }
        }
        self.schedule_work(id);
    }

    fn wake_at(&mut self, id: usize, key: Key, at: SimTime) {
        if self.actors[id].queue.add_at(&key, at) {
            self.events.push(at, Event::Timer(id, key));
        }
    }

    // ---- work ----

    pub(super) fn schedule_work(&mut self, id: usize) {
        let now = self.now();
        if self.actors[id].work_pending || self.actors[id].queue.depth() == 0 {
            return;
        }
        self.catch_up(now, id);
        let actor = &mut self.actors[id];
        if !actor.queue.has_ready(actor.cursor) {
            // Keys wait for their own writes to come back, perhaps of a kind the actor does not watch.
            self.schedule_delivery(id, now);
        } else if actor.busy < actor.settings.workers {
            actor.work_pending = true;
            self.events.push(now, Event::Work(id));
        }
    }

    fn work(&mut self, now: SimTime, id: usize) {
        self.actors[id].work_pending = false;
        if self.actors[id].halted {
            return;
        }
        while self.actors[id].busy < self.actors[id].settings.workers && self.stop.is_none() {
            self.catch_up(now, id);
            let cursor = self.actors[id].cursor;
            let Some(key) = self.actors[id].queue.pop(cursor) else { return };
            self.actors[id].busy += 1;
            self.reconcile(now, id, key);
        }
    }

    /// Moves the cursor over changes that are old enough and that the actor does not watch.
    pub(super) fn catch_up(&mut self, now: SimTime, id: usize) {
        self.catch_up_to(now, id, self.store.revision());
    }

    /// The same, but not past `newest`. Done before whatever stops the cursor (a change that the actor watches, a
    /// cut), so that where it stands then does not hang on who happened to look before.
    pub(super) fn catch_up_to(&mut self, now: SimTime, id: usize, newest: Revision) {
        let actor = &mut self.actors[id];
        if !actor.deliver_pending && !actor.is_deaf(now) {
            let seen = self.store.log().revision_at(now - actor.lag, actor.cursor);
            actor.cursor = seen.min(newest).max(actor.cursor);
        }
    }

    fn reconcile(&mut self, now: SimTime, id: usize, key: Key) {
        self.stats.reconciles += 1;
        let actor = &mut self.actors[id];
        let state = actor.queue.state(&key);
        state.runs = if state.runs.0 == now { (now, state.runs.1 + 1) } else { (now, 1) };
        let runs = state.runs.1;
        let mut cx = Cx {
            now,
            view: self.store.view(actor.cursor),
            seed: self.seed,
            eager: self.eager,
            store: &self.store,
            foreground: Batch::default(),
            background: Vec::new(),
            events: Vec::new(),
            wakes: Vec::new(),
            commands: Vec::new(),
        };
        let requeue = actor.controller.reconcile(&key, &mut cx);
        let Cx { view, foreground, background, events, wakes, commands, .. } = cx;
        let lane =
            if foreground.groups.is_empty() && background.is_empty() { 0 } else { actor.controller.lane(&key, view) };
        let (name, cursor) = (actor.controller.name(), actor.cursor);
        let busy_until = now + actor.settings.work_time.sample(&mut actor.stream);
        for observer in &mut self.observers {
            observer.reconciled(now, name, &key, cursor);
        }
        if runs > self.limits.reconciles_per_instant {
            let limit = self.limits.reconciles_per_instant;
            self.stop_at_limit(format!("limit `maxReconcilesPerInstant` ({limit}) reached by {name} on {key}"));
        }
        for batch in background {
            self.take_off(busy_until, id, key.clone(), lane, batch, true, Requeue::Done);
        }
        if !foreground.groups.is_empty() {
            self.take_off(busy_until, id, key, lane, foreground, false, requeue);
        } else if busy_until > now {
            let life = self.actors[id].life;
            self.events.push(busy_until, Event::Free(id, life, key, requeue));
        } else {
            self.release(id, &key, requeue, true);
        }
        // Who has nothing to say draws nothing: a look more that finds nothing must change nothing.
        if !events.is_empty() {
            self.record(busy_until, id, events);
        }
        if !wakes.is_empty() {
            self.enqueue(id, wakes);
        }
        for command in commands {
            self.obey(now, command);
        }
    }

    pub(super) fn latency(&mut self, id: usize) -> SimDuration {
        let actor = &mut self.actors[id];
        actor.settings.request_latency.sample(&mut actor.stream)
    }

    /// A worker is free again and its key goes where `requeue` says.
    pub(super) fn release(&mut self, id: usize, key: &Key, requeue: Requeue, went_well: bool) {
        let now = self.now();
        let actor = &mut self.actors[id];
        actor.busy -= 1;
        let failed = requeue == Requeue::Backoff || !went_well;
        let delay = match requeue {
            _ if failed => actor.queue.backoff(key, now, &actor.settings),
            Requeue::After(delay) => Some(delay.max_zero()),
            Requeue::Done | Requeue::Backoff => None,
        };
        let cursor = actor.cursor;
        if let Some(delay) = delay {
            self.wake_at(id, key.clone(), now + delay);
        }
        self.actors[id].queue.done(key, cursor, !failed);
        self.schedule_work(id);
    }

    /// Drops what every actor has passed.
    fn trim(&mut self) {
        let now = self.now();
        for id in 0..self.actors.len() {
            self.catch_up(now, id);
        }
        let horizon = self
            .actors
            .iter()
            .filter(|actor| !actor.halted)
            .map(|actor| actor.cursor)
            .min()
            .unwrap_or(self.store.revision());
        self.store.trim(horizon);
    }
}
