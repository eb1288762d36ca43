//! The loop: deliver, work, commit, timer.
//!
//! ```text
//! commit ── change ──▶ log ── after the watch delay ──▶ deliver ── wake ──▶ queue ── worker ──▶ reconcile
//!    ▲                                                                                            │
//!    └──────────────── after client limits and request latency ◀── writes ────────────────────────┘
//! ```

use super::batch::Flight;
use super::context::{Batch, Cx};
use super::controller::{Controller, Requeue, Wake};
use super::observer::Observer;
use super::queue::WorkQueue;
use super::settings::{ActorSettings, RuntimeLimits, Stats};
use crate::engine::{EventQueue, TokenBucket};
use crate::model::{Key, Kind};
use crate::rng::{Seed, Stream};
use crate::store::{EventRecord, Revision, Store, StoreError, Write, Written};
use crate::time::{SimDuration, SimTime};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;

/// Everything that can happen.
#[derive(Debug)]
enum Event {
    /// An actor's watch brings what is old enough.
    Deliver(usize),
    /// An actor's free workers look for keys.
    Work(usize),
    /// A key's wake-up.
    Timer(usize, Key),
    /// A write of a flight reaches the store.
    Commit(usize, usize),
    /// A worker that computed without writing is free.
    Free(usize, Key, Requeue),
    /// An event record reaches the store.
    Record(usize, Box<EventRecord>),
}

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

struct Actor {
    controller: Box<dyn Controller>,
    settings: ActorSettings,
    queue: WorkQueue,
    clients: FxHashMap<u64, TokenBucket>,
    cursor: Revision,
    /// How far behind its watch is now; drawn anew for each delivery.
    lag: SimDuration,
    stream: Stream,
    deliver_pending: bool,
    work_pending: bool,
    busy: usize,
    /// Events that wait for their turn at the client, and whether one is on its way.
    outbox: VecDeque<EventRecord>,
    mailing: bool,
}

impl Actor {
    /// The client of a lane, with its rate limit.
    fn client(&mut self, lane: u64) -> &mut TokenBucket {
        let ActorSettings { milli_qps, burst, .. } = self.settings;
        self.clients.entry(lane).or_insert_with(|| TokenBucket::new(milli_qps, burst))
    }
}

/// Events that wait at most; more are dropped (`staging/src/k8s.io/client-go/tools/record/event.go`).
const OUTBOX_MAX: usize = 1000;

/// The store, the actors, and the events between them.
pub struct Runtime {
    /// The API server.
    pub store: Store,
    seed: Seed,
    eager: bool,
    events: EventQueue<Event>,
    actors: Vec<Actor>,
    watchers: FxHashMap<Kind, Vec<usize>>,
    flights: Vec<Option<Box<Flight>>>,
    free_flights: Vec<usize>,
    observers: Vec<Box<dyn Observer>>,
    limits: RuntimeLimits,
    stats: Stats,
    instant: (SimTime, u64),
    stop: Option<Stop>,
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
            limits,
            stats: Stats::default(),
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

    /// Seats an actor at the table. It sees everything that is already there as new.
    pub fn add(&mut self, controller: Box<dyn Controller>, settings: ActorSettings) {
        let id = self.actors.len();
        for kind in controller.watches() {
            self.watchers.entry(*kind).or_default().push(id);
        }
        // Two actors of one name (replicas of a component) draw from streams of their own.
        let name = format!("{}#{id}", controller.name());
        self.actors.push(Actor {
            controller,
            settings,
            queue: WorkQueue::default(),
            clients: FxHashMap::default(),
            cursor: 0,
            lag: SimDuration::ZERO,
            stream: self.seed.stream("latency", &name),
            deliver_pending: false,
            work_pending: false,
            busy: 0,
            outbox: VecDeque::new(),
            mailing: false,
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

    /// Takes the observers back, in the order they were given, after telling them that it is over.
    pub fn finish(&mut self) -> Vec<Box<dyn Observer>> {
        let mut observers = std::mem::take(&mut self.observers);
        for observer in &mut observers {
            observer.finish(self.now(), &self.store);
        }
        observers
    }

    /// Runs until `end`, calling `progress` now and then; it answers whether to go on.
    ///
    /// # Errors
    /// A limit was reached, or `progress` said stop.
    pub fn run_until(&mut self, end: SimTime, progress: &mut dyn FnMut(SimTime, Stats) -> bool) -> Result<(), Stop> {
        while let Some(next) = self.events.peek_time() {
            if next > end {
                break;
            }
            let (now, event) = self.events.pop().expect("there is a next event");
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

    fn stop_at_limit(&mut self, message: String) {
        let message = format!("{message} at virtual {}; raise it under `limits` in the scenario", self.now());
        self.stop.get_or_insert(Stop::Limit(message));
    }

    fn handle(&mut self, now: SimTime, event: Event) {
        match event {
            Event::Deliver(actor) => self.deliver(now, actor),
            Event::Work(actor) => self.work(now, actor),
            Event::Timer(actor, key) => {
                if self.actors[actor].queue.timer_fired(&key, now) {
                    self.actors[actor].queue.add(key);
                    self.schedule_work(actor);
                }
            }
            Event::Commit(flight, write) => self.commit(now, flight, write),
            Event::Free(actor, key, requeue) => self.release(actor, &key, requeue, true),
            Event::Record(actor, record) => {
                let writer = self.actors[actor].controller.name();
                // The namespace may be gone; an event is not worth a retry.
                let _ = self.write(now, Write::Event(*record), writer);
                if std::mem::take(&mut self.actors[actor].mailing) {
                    self.mail(now, actor);
                }
            }
        }
    }

    // ---- deliver ----

    /// Brings what is committed up to `committed` to an actor after its watch's delay.
    fn schedule_delivery(&mut self, id: usize, committed: SimTime) {
        let now = self.now();
        let actor = &mut self.actors[id];
        if !std::mem::replace(&mut actor.deliver_pending, true) {
            let lag = actor.settings.watch_delay.sample(&mut actor.stream);
            // What one delivery showed, a later one does not take back.
            let due = (committed + lag).max(now);
            actor.lag = lag.min(due - committed);
            self.events.push(due, Event::Deliver(id));
        }
    }

    fn deliver(&mut self, now: SimTime, id: usize) {
        let actor = &mut self.actors[id];
        actor.deliver_pending = false;
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
            if actor.controller.watches().contains(&change.key.kind) {
                let mut wake = Wake { now, added: &mut added };
                actor.controller.wake(change, self.store.view(actor.cursor), &mut wake);
            }
        }
        let to = actor.cursor;
        for observer in &mut self.observers {
            observer.delivered(now, self.actors[id].controller.name(), from, to);
        }
        self.enqueue(id, added);
        if let Some(time) = next {
            self.schedule_delivery(id, time);
        }
        // Keys that waited for their own writes may run now.
        self.schedule_work(id);
    }

    fn enqueue(&mut self, id: usize, added: Vec<(Key, SimTime)>) {
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

    fn schedule_work(&mut self, id: usize) {
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
        while self.actors[id].busy < self.actors[id].settings.workers && self.stop.is_none() {
            self.catch_up(now, id);
            let cursor = self.actors[id].cursor;
            let Some(key) = self.actors[id].queue.pop(cursor) else { return };
            self.actors[id].busy += 1;
            self.reconcile(now, id, key);
        }
    }

    /// Moves the cursor over changes that are old enough and that the actor does not watch.
    fn catch_up(&mut self, now: SimTime, id: usize) {
        let actor = &mut self.actors[id];
        if !actor.deliver_pending {
            let seen = now - actor.lag;
            actor.cursor = self.store.log().revision_at(seen, actor.cursor);
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
        };
        let requeue = actor.controller.reconcile(&key, &mut cx);
        let Cx { view, foreground, background, events, .. } = cx;
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
            self.events.push(busy_until, Event::Free(id, key, requeue));
        } else {
            self.release(id, &key, requeue, true);
        }
        self.record(busy_until, id, events);
    }

    /// Sends events: each for itself, or in line before the actor's own client.
    fn record(&mut self, at: SimTime, id: usize, events: Vec<EventRecord>) {
        if self.actors[id].controller.events_share_client() {
            let outbox = &mut self.actors[id].outbox;
            let room = OUTBOX_MAX.saturating_sub(outbox.len());
            outbox.extend(events.into_iter().take(room));
            return if !self.actors[id].mailing {
                self.mail(at, id)
            };
        }
        // One recorder sends them in the order they happened.
        let latency = self.latency(id);
        for record in events {
            self.events.push(at + latency, Event::Record(id, Box::new(record)));
        }
    }

    /// Sends the next event of the outbox when the client's limit lets it go.
    fn mail(&mut self, at: SimTime, id: usize) {
        while let Some(record) = self.actors[id].outbox.pop_front() {
            if self.store.event_is_spam(at, &record) {
                continue;
            }
            let latency = self.latency(id);
            let actor = &mut self.actors[id];
            actor.mailing = true;
            let sent = actor.client(0).take(at);
            return self.events.push(sent + latency, Event::Record(id, Box::new(record)));
        }
    }

    fn latency(&mut self, id: usize) -> SimDuration {
        let actor = &mut self.actors[id];
        actor.settings.request_latency.sample(&mut actor.stream)
    }

    /// A worker is free again and its key goes where `requeue` says.
    fn release(&mut self, id: usize, key: &Key, requeue: Requeue, went_well: bool) {
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

    // ---- commit ----

    #[expect(clippy::too_many_arguments, reason = "the parts of a flight, named at the only two calls")]
    fn take_off(
        &mut self,
        at: SimTime,
        actor: usize,
        key: Key,
        lane: u64,
        rest: Batch,
        background: bool,
        requeue: Requeue,
    ) {
        let flight = Box::new(Flight {
            actor,
            key,
            lane,
            rest,
            group: Vec::new(),
            outstanding: 0,
            written: Vec::new(),
            error: None,
            background,
            requeue,
        });
        let id = self.free_flights.pop().unwrap_or_else(|| {
            self.flights.push(None);
            self.flights.len() - 1
        });
        self.flights[id] = Some(flight);
        self.next_group(at, id);
    }

    /// Sends the writes of the next group, each when the client's limit lets it go.
    fn next_group(&mut self, at: SimTime, id: usize) {
        let flight = self.flights[id].as_mut().expect("a flight under way");
        let Some(group) = flight.rest.groups.pop_front() else { return self.land(id) };
        flight.outstanding = group.len();
        flight.group = group.into_iter().map(Some).collect();
        let count = flight.outstanding;
        let actor = &mut self.actors[flight.actor];
        for write in 0..count {
            let sent = actor.client(flight.lane).take(at);
            let latency = actor.settings.request_latency.sample(&mut actor.stream);
            self.events.push(sent + latency, Event::Commit(id, write));
        }
    }

    fn commit(&mut self, now: SimTime, id: usize, write: usize) {
        let flight = self.flights[id].as_mut().expect("a flight under way");
        let actor = flight.actor;
        let value = flight.group[write].take().expect("each write commits once");
        let writer = self.actors[actor].controller.name();
        let result = self.write(now, value, writer);
        let flight = self.flights[id].as_mut().expect("a flight under way");
        match result {
            Ok(written) => flight.written.push(written),
            Err(error) => {
                flight.error.get_or_insert(error);
            }
        }
        flight.outstanding -= 1;
        if flight.outstanding > 0 {
            return;
        }
        match flight.error {
            Some(_) => self.land(id),
            None => self.next_group(now, id),
        }
    }

    /// Writes to the store, tells the observers, and starts the watches.
    fn write(&mut self, now: SimTime, write: Write, writer: &'static str) -> Result<Written, StoreError> {
        let before = self.store.revision();
        let key = write.key();
        let result = self.store.commit(now, write, writer);
        match &result {
            Ok(_) => self.stats.writes += 1,
            Err(error) => {
                self.stats.refused += 1;
                for observer in &mut self.observers {
                    observer.refused(now, writer, &key, error);
                }
                if let StoreError::Limit(message) = error {
                    self.stop_at_limit(message.clone());
                }
            }
        }
        for revision in before + 1..=self.store.revision() {
            let change = self.store.log().get(revision).expect("what was just written is in the log");
            for observer in &mut self.observers {
                observer.change(change, &self.store);
            }
            let kind = change.key.kind;
            for at in 0..self.watchers.get(&kind).map_or(0, Vec::len) {
                let id = self.watchers[&kind][at];
                self.schedule_delivery(id, now);
            }
        }
        result
    }

    /// A flight is over: remember how far it wrote, tell the controller, free the worker.
    fn land(&mut self, id: usize) {
        let flight = self.flights[id].take().expect("a flight under way");
        self.free_flights.push(id);
        let now = self.now();
        let actor = &mut self.actors[flight.actor];
        // What runs in the background is no reason to hold the key back until it is seen.
        if let Some(last) = flight.written.iter().map(|written| written.revision).max().filter(|_| !flight.background) {
            let state = actor.queue.state(&flight.key);
            state.written = state.written.max(last);
        }
        let mut added = Vec::new();
        let mut wake = Wake { now, added: &mut added };
        let result = match &flight.error {
            None => Ok(flight.written.as_slice()),
            Some(error) => Err(error),
        };
        actor.controller.settled(&flight.key, result, &mut wake);
        self.enqueue(flight.actor, added);
        // A refusal because the namespace goes away is no failure.
        let went_well =
            !flight.error.as_ref().is_some_and(|error| !matches!(error, StoreError::NamespaceTerminating(_)));
        if !flight.background {
            self.release(flight.actor, &flight.key, flight.requeue, went_well);
        }
        self.schedule_work(flight.actor);
    }

    /// Drops what every actor has passed.
    fn trim(&mut self) {
        let now = self.now();
        for id in 0..self.actors.len() {
            self.catch_up(now, id);
        }
        let horizon = self.actors.iter().map(|actor| actor.cursor).min().unwrap_or(self.store.revision());
        self.store.trim(horizon);
    }
}
