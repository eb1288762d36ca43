//! How the events that controllers report reach the store.

use super::actor::OUTBOX_MAX;
use super::run_loop::{Event, Runtime};
use crate::store::EventRecord;
use crate::time::SimTime;

impl Runtime {
    /// Sends events: each for itself, or in line before the actor's own client.
    pub(super) fn record(&mut self, at: SimTime, id: usize, events: Vec<EventRecord>) {
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
            let life = self.actors[id].life;
            self.events.push(at + latency, Event::Record(id, life, Box::new(record)));
        }
    }

    /// Sends the next event of the outbox when the client's limit lets it go.
    pub(super) fn mail(&mut self, at: SimTime, id: usize) {
        while let Some(record) = self.actors[id].outbox.pop_front() {
            if self.store.event_is_spam(at, &record) {
                continue;
            }
            let latency = self.latency(id);
            let actor = &mut self.actors[id];
            actor.mailing = true;
            let sent = actor.client(0).take(at);
            let life = actor.life;
            return self.events.push(sent + latency, Event::Record(id, life, Box::new(record)));
        }
    }
}
