//! Batches of writes on their way: sent as the client's limit allows, committed after the request's latency,
//! landed when the last is answered.

use super::batch::Flight;
use super::context::{Batch, Order};
use super::controller::{Requeue, Wake};
use super::run_loop::{Event, Runtime};
use crate::model::Key;
use crate::store::{Revision, StoreError, Write, Written};
use crate::time::SimTime;
use smallvec::SmallVec;

impl Runtime {
    #[expect(clippy::too_many_arguments, reason = "the parts of a flight, named at the only two calls")]
    pub(super) fn take_off(
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
            orphaned: None,
        });
        let id = self.free_flights.pop().unwrap_or_else(|| {
            self.flights.push(None);
            self.flights.len() - 1
        });
        self.flights[id] = Some(flight);
        self.next_group(at, id);
    }

    /// Sends the writes of the next group, each when the client's limit lets it go.
    pub(super) fn next_group(&mut self, at: SimTime, id: usize) {
        let flight = self.flights[id].as_mut().expect("a flight under way");
        let Some(group) = flight.rest.groups.pop_front() else { return self.land(id) };
        flight.outstanding = group.orders.len();
        let actor = &mut self.actors[flight.actor];
        let (lane, line) = (flight.lane, &mut flight.group);
        line.clear();
        for (write, order) in group.orders.into_iter().enumerate() {
            let sent = actor.client(lane).take(at);
            line.push(Some((sent, order)));
            let latency = actor.settings.request_latency.sample(&mut actor.stream);
            self.events.push(sent + latency, Event::Commit(id, write));
        }
    }

    /// A write reaches the store, unless it was turned away on its way.
    pub(super) fn commit(&mut self, now: SimTime, id: usize, write: usize, refused: Option<StoreError>) {
        let flight = self.flights[id].as_mut().expect("a flight under way");
        let actor = flight.actor;
        let (sent, Order { write, told }) = flight.group[write].take().expect("each write commits once");
        if let Some(ended) = flight.orphaned {
            flight.outstanding -= 1;
            let over = flight.outstanding == 0;
            if sent <= ended && refused.is_none() {
                let writer = self.actors[actor].controller.name();
                let _ = self.write(now, write, writer);
            }
            if over {
                self.flights[id] = None;
                self.free_flights.push(id);
            }
            return;
        }
        let writer = self.actors[actor].controller.name();
        let about = write.key();
        let result = match refused {
            None => self.write(now, write, writer),
            Some(error) => Err(self.turn_away(now, writer, &about, error)),
        };
        if let Some(told) = told {
            self.record(now, actor, told.about(&result));
        }
        let flight = self.flights[id].as_mut().expect("a flight under way");
        match result {
            Ok(written) => flight.written.push(written),
            Err(error) => {
                let (lane, acting) = (flight.lane, &mut self.actors[actor]);
                acting.controller.refused(&flight.key, &about, &error, now);
                if matches!(error, StoreError::Conflict(..)) && acting.controller.reads_after_conflict() {
                    acting.client(lane).take(now);
                }
                flight.error.get_or_insert(error);
            }
        }
        flight.outstanding -= 1;
        if flight.outstanding > 0 {
            return;
        }
        if flight.error.is_some() {
            flight.rest.groups.retain(|group| group.anyway);
        }
        self.next_group(now, id);
    }

    /// A write that never reached the store.
    fn turn_away(&mut self, now: SimTime, writer: &'static str, about: &Key, error: StoreError) -> StoreError {
        self.stats.refused += 1;
        for observer in &mut self.observers {
            observer.refused(now, writer, about, &error);
        }
        error
    }

    /// Writes to the store, tells the observers, and starts the watches.
    pub(super) fn write(&mut self, now: SimTime, write: Write, writer: &'static str) -> Result<Written, StoreError> {
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
            let watchers = self.watchers.get(&change.key.kind.watched()).map_or(&[][..], Vec::as_slice);
            let minds = |id: &usize| self.actors[*id].controller.follows(change);
            let followers: SmallVec<[usize; 24]> = watchers.iter().copied().filter(minds).collect();
            for id in followers {
                for observer in &mut self.observers {
                    observer.addressed(self.actors[id].controller.name(), revision);
                }
                self.catch_up_to(now, id, revision - 1);
                self.schedule_delivery(id, now);
                if !key.kind.is_api() && self.actors[id].is_deaf(now) {
                    self.tell(now, id, revision);
                }
            }
        }
        result
    }

    /// A machine that loses power needs no API server to know it: such changes, up to a revision, reach an actor whose
    /// watch is broken, too.
    pub(super) fn tell(&mut self, now: SimTime, id: usize, revision: Revision) {
        let actor = &mut self.actors[id];
        if actor.halted {
            return;
        }
        let mut added = Vec::new();
        for unknown in actor.cursor.max(actor.told) + 1..=revision {
            let change = self.store.log().get(unknown).expect("what an actor has not passed is in the log");
            if !change.key.kind.is_api() && actor.minds(change) {
                let mut wake = Wake { now, added: &mut added };
                actor.controller.wake(change, self.store.view(actor.cursor), &mut wake);
            }
        }
        actor.told = revision;
        self.enqueue(id, added);
    }

    /// A flight is over: remember how far it wrote, tell the controller, free the worker.
    pub(super) fn land(&mut self, id: usize) {
        let flight = self.flights[id].take().expect("a flight under way");
        self.free_flights.push(id);
        let now = self.now();
        let actor = &mut self.actors[flight.actor];
        // What runs in the background is no reason to hold the key back until it is seen.
        if let Some(last) = flight.written.iter().map(|written| written.revision).max().filter(|_| !flight.background) {
            let state = actor.queue.state(&flight.key);
            state.written = state.written.max(last);
            for observer in &mut self.observers {
                observer.landed(now, actor.controller.name(), &flight.key, last);
            }
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
}
