//! Recording of events as client-go's recorder does it (`staging/src/k8s.io/client-go/tools/record/events_cache.go`):
//! equal events are counted, a noisy source is silenced per object, and events live for an hour.

use super::log::Revision;
use super::slots::Store;
use super::write::EventRecord;
use crate::engine::TokenBucket;
use crate::model::core::Event;
use crate::model::{Key, Kind, Meta, Name, Object, Resource};
use crate::time::{SimDuration, SimTime};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::sync::Arc;

/// How long an event is kept after it was last seen.
const TTL: SimDuration = SimDuration::from_secs(3600);
/// Different messages of one group within [`SIMILAR_WINDOW`] before the rest collapse into one.
const MAX_SIMILAR: usize = 10;
const SIMILAR_WINDOW: SimDuration = SimDuration::from_secs(600);
/// Spam filter per source and object: burst 25, one more every five minutes.
const SPAM_BURST: i64 = 25;
const SPAM_MILLI_QPS: i64 = 1000 / 300;

/// Memory of the recorders.
#[derive(Debug, Default)]
pub struct EventTable {
    known: FxHashMap<(EventRecord, bool), Key>,
    identities: FxHashMap<Key, (EventRecord, bool)>,
    groups: FxHashMap<Group, (SimTime, Vec<Name>)>,
    spam: FxHashMap<(Name, Key), TokenBucket>,
    expiry: VecDeque<(SimTime, Key)>,
}

/// What makes events similar: all but the message.
type Group = (Name, Key, bool, Name);

impl Store {
    /// Whether the recorder would swallow this event at `now` without asking the API server.
    pub fn event_is_spam(&self, now: SimTime, record: &EventRecord) -> bool {
        let bucket = self.events.spam.get(&(record.source.clone(), record.regarding.clone()));
        bucket.is_some_and(|bucket| !bucket.has(now))
    }

    /// Records an event at `now`. Returns nothing when the spam filter swallowed it.
    pub(super) fn record_event(
        &mut self,
        now: SimTime,
        mut record: EventRecord,
        writer: &'static str,
    ) -> Option<Revision> {
        self.expire_events(now, writer);
        let spam = self.events.spam.entry((record.source.clone(), record.regarding.clone()));
        let bucket = spam.or_insert_with(|| TokenBucket::new(SPAM_MILLI_QPS, SPAM_BURST));
        if !bucket.try_take(now) {
            return None;
        }
        let combined = self.aggregate(now, &record);
        if combined {
            record.message = Name::from(format!("(combined from similar events): {}", record.message));
        }
        let mut identity = record.clone();
        if combined {
            identity.message = Name::new();
        }
        let known = self.events.known.get(&(identity.clone(), combined)).cloned();
        if let Some((slot, Object::Event(event))) = known.as_ref().and_then(|key| self.live_slot(key)) {
            let mut event = Event::clone(event);
            event.count += 1;
            event.last = now;
            event.message = record.message;
            return Some(self.put(now, Some(slot), event.into_object(), writer));
        }
        Some(self.create_event(now, record, (identity, combined), writer))
    }

    fn create_event(
        &mut self,
        now: SimTime,
        record: EventRecord,
        identity: (EventRecord, bool),
        writer: &'static str,
    ) -> Revision {
        let namespace = match record.regarding.namespace.as_str() {
            "" => crate::name!("default"),
            _ => record.regarding.namespace.clone(),
        };
        let stamp = (crate::time::EPOCH_UNIX_SECONDS * 1_000_000_000 + now.0) as u64;
        let mut key = Key::new(Kind::Event, namespace.clone(), format!("{}.{stamp:016x}", record.regarding.name));
        let mut clash = stamp;
        while self.live_slot(&key).is_some() {
            clash += 1;
            key.name = Name::from(format!("{}.{clash:016x}", record.regarding.name));
        }
        let mut meta = Meta::named(namespace, key.name.clone());
        meta.uid = self.fresh_uid(&key, now);
        meta.created = now;
        let event = Event {
            meta,
            regarding: record.regarding,
            regarding_uid: record.uid,
            warning: record.warning,
            reason: record.reason,
            message: record.message,
            source: record.source,
            count: 1,
            first: now,
            last: now,
        };
        self.events.known.insert(identity.clone(), key.clone());
        self.events.identities.insert(key.clone(), identity);
        self.events.expiry.push_back((now + TTL, key));
        self.put(now, None, Object::Event(Arc::new(event)), writer)
    }

    /// Whether this one is past the number of different messages that a group may have.
    fn aggregate(&mut self, now: SimTime, record: &EventRecord) -> bool {
        let group = (record.source.clone(), record.regarding.clone(), record.warning, record.reason.clone());
        let (last, messages) = self.events.groups.entry(group).or_insert_with(|| (now, Vec::new()));
        if now - *last > SIMILAR_WINDOW {
            messages.clear();
        }
        *last = now;
        if messages.contains(&record.message) {
            return false;
        }
        let collapse = messages.len() + 1 >= MAX_SIMILAR;
        if !collapse {
            messages.push(record.message.clone());
        }
        collapse
    }

    /// Removes events past their hour. Done when the next event is recorded, since nobody acts on them.
    fn expire_events(&mut self, now: SimTime, writer: &'static str) {
        while let Some((expires, key)) = self.events.expiry.front().cloned() {
            if expires > now {
                return;
            }
            self.events.expiry.pop_front();
            let Some((slot, Object::Event(event))) = self.live_slot(&key) else { continue };
            let renewed = event.last + TTL;
            let group = (event.source.clone(), event.regarding.clone(), event.warning, event.reason.clone());
            if renewed > now {
                // Every write renews the hour; keep the queue in order by entering it anew.
                let at = self.events.expiry.partition_point(|(time, _)| *time <= renewed);
                self.events.expiry.insert(at, (renewed, key));
                continue;
            }
            self.remove(now, slot, writer);
            if let Some(identity) = self.events.identities.remove(&key) {
                self.events.known.remove(&identity);
            }
            if self.events.groups.get(&group).is_some_and(|(last, _)| now - *last > SIMILAR_WINDOW) {
                self.events.groups.remove(&group);
            }
            self.events.spam.remove(&(group.0, group.1));
        }
    }
}
