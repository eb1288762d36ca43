//! Recording of events as client-go's recorder does it (`staging/src/k8s.io/client-go/tools/record/events_cache.go`):
//! equal events are counted, a noisy source is silenced per object, and events live for an hour.

use super::index::Index;
use super::log::Revision;
use super::slots::{Slots, Store, live_slot};
use super::write::EventRecord;
use crate::engine::TokenBucket;
use crate::model::core::Event;
use crate::model::{Key, Kind, Meta, Name, Object, Resource, Uid};
use crate::time::{SimDuration, SimTime};
use rustc_hash::FxHashMap;
use smallvec::{SmallVec, smallvec};
use std::collections::VecDeque;
use std::sync::Arc;

/// How long an event is kept after it was last seen.
const TTL: SimDuration = SimDuration::from_secs(3600);
/// Different messages of one group within [`SIMILAR_WINDOW`] before the rest collapse into one.
const MAX_SIMILAR: usize = 10;
const SIMILAR_WINDOW: SimDuration = SimDuration::from_secs(600);
/// Spam filter per source and object: burst 25, one more every five minutes.
const SPAM_BURST: i64 = 25;
const SPAM_REFILL: SimDuration = SimDuration::from_secs(300);

/// Memory of the recorders.
#[derive(Debug, Default)]
pub struct EventTable {
    /// Boxed: growing the table moves pointers only.
    told: FxHashMap<Teller, Box<Told>>,
    expiry: VecDeque<(SimTime, Key)>,
}

/// A source and the object it tells of.
type Teller = (Name, Key);

/// What one source told of one object: a few things, so that looking through them is cheaper than a table.
#[derive(Debug, Default)]
struct Told {
    spam: Option<TokenBucket>,
    groups: SmallVec<[Group; 1]>,
    known: SmallVec<[Known; 1]>,
}

/// Similar events: all is equal but the message.
#[derive(Debug)]
struct Group {
    warning: bool,
    reason: Name,
    last: SimTime,
    messages: SmallVec<[Name; 1]>,
}

/// An event that there is, and which others are equal to it.
#[derive(Debug)]
struct Known {
    uid: Uid,
    warning: bool,
    reason: Name,
    /// None if it stands for similar ones, whatever they say.
    message: Option<Name>,
    /// The event's; none if all of them were swallowed so far.
    name: Option<Name>,
    /// How many were swallowed since it was written: they count all the same.
    swallowed: u32,
}

impl Told {
    /// Whether this one is past the number of different messages that a group may have.
    fn aggregate(&mut self, now: SimTime, record: &EventRecord) -> bool {
        let similar = |group: &&mut Group| group.warning == record.warning && group.reason == record.reason;
        let Some(group) = self.groups.iter_mut().find(similar) else {
            let messages = smallvec![record.message.clone()];
            self.groups.push(Group { warning: record.warning, reason: record.reason.clone(), last: now, messages });
            return false;
        };
        if now - group.last > SIMILAR_WINDOW {
            group.messages.clear();
        }
        group.last = now;
        if group.messages.contains(&record.message) {
            return false;
        }
        let collapse = group.messages.len() + 1 >= MAX_SIMILAR;
        if !collapse {
            group.messages.push(record.message.clone());
        }
        collapse
    }

    /// What is known of events that equal this one.
    fn known(&mut self, record: &EventRecord, message: Option<Name>) -> &mut Known {
        let is = |known: &Known| {
            (known.uid, known.warning) == (record.uid, record.warning)
                && known.reason == record.reason
                && known.message == message
        };
        let at = self.known.iter().position(is).unwrap_or_else(|| {
            let (uid, warning, reason) = (record.uid, record.warning, record.reason.clone());
            self.known.push(Known { uid, warning, reason, message, name: None, swallowed: 0 });
            self.known.len() - 1
        });
        &mut self.known[at]
    }

    fn is_empty(&self) -> bool {
        self.spam.is_none() && self.groups.is_empty() && self.known.is_empty()
    }
}

impl Store {
    /// Whether the recorder swallows this event at `now` without asking the API server. It counts it, so that the
    /// next one that passes says how many there were (`EventCorrelate`: first counted, then filtered).
    pub fn event_is_spam(&mut self, now: SimTime, record: &EventRecord) -> bool {
        let Some(told) = self.events.told.get_mut(&(record.source.clone(), record.regarding.clone())) else {
            return false;
        };
        let spam = told.spam.as_ref().is_some_and(|bucket| !bucket.has(now));
        if spam {
            let combined = told.aggregate(now, record);
            told.known(record, Some(record.message.clone()).filter(|_| !combined)).swallowed += 1;
        }
        spam
    }

    /// Records an event at `now`. Returns nothing when the spam filter swallowed it.
    pub(super) fn record_event(
        &mut self,
        now: SimTime,
        mut record: EventRecord,
        writer: &'static str,
    ) -> Option<Revision> {
        self.expire_events(now, writer);
        let Store { events, index, slots, .. } = self;
        let told = events.told.entry((record.source.clone(), record.regarding.clone())).or_default();
        let bucket = told.spam.get_or_insert_with(|| TokenBucket::every(SPAM_REFILL, SPAM_BURST));
        let passes = bucket.try_take(now);
        let combined = told.aggregate(now, &record);
        let known = told.known(&record, Some(record.message.clone()).filter(|_| !combined));
        if !passes {
            known.swallowed += 1;
            return None;
        }
        let count = 1 + std::mem::take(&mut known.swallowed);
        if combined {
            record.message = Name::from(format!("(combined from similar events): {}", record.message));
        }
        let there = known.name.as_ref().map(|name| event_key(&record.regarding, name.clone()));
        if let Some((slot, Object::Event(event))) = there.and_then(|key| live_slot(index, slots, &key)) {
            let mut event = Event::clone(event);
            event.count += count;
            event.last = now;
            event.message = record.message;
            return Some(self.put(now, Some(slot), event.into_object(), writer));
        }
        let key = fresh_key(index, slots, &record.regarding, now);
        known.name = Some(key.name.clone());
        Some(self.create_event(now, key, record, count, writer))
    }

    fn create_event(
        &mut self,
        now: SimTime,
        key: Key,
        record: EventRecord,
        count: u32,
        writer: &'static str,
    ) -> Revision {
        let mut meta = Meta::named(key.namespace.clone(), key.name.clone());
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
            count,
            first: now,
            last: now,
        };
        self.events.expiry.push_back((now + TTL, key));
        self.put(now, None, Object::Event(Arc::new(event)), writer)
    }

    /// Removes events past their hour. Done when the next event is recorded, since nobody acts on them.
    fn expire_events(&mut self, now: SimTime, writer: &'static str) {
        while self.events.expiry.front().is_some_and(|(expires, _)| *expires <= now) {
            let Some((_, key)) = self.events.expiry.pop_front() else { return };
            let Some((slot, Object::Event(event))) = self.live_slot(&key) else { continue };
            let renewed = event.last + TTL;
            let event = event.clone();
            if renewed > now {
                // Every write renews the hour; keep the queue in order by entering it anew.
                let at = self.events.expiry.partition_point(|(time, _)| *time <= renewed);
                self.events.expiry.insert(at, (renewed, key));
                continue;
            }
            self.remove(now, slot, writer);
            let teller = (event.source.clone(), event.regarding.clone());
            let Some(told) = self.events.told.get_mut(&teller) else { continue };
            told.spam = None;
            told.known.retain(|known| known.name.as_ref() != Some(&key.name));
            let similar = |group: &Group| group.warning == event.warning && group.reason == event.reason;
            told.groups.retain(|group| !similar(group) || now - group.last <= SIMILAR_WINDOW);
            if told.is_empty() {
                self.events.told.remove(&teller);
            }
        }
    }
}

/// The key of an event of that name about an object: in its namespace, or in `default` if it has none.
fn event_key(regarding: &Key, name: Name) -> Key {
    let namespace = match regarding.namespace.as_str() {
        "" => crate::name!("default"),
        _ => regarding.namespace.clone(),
    };
    Key::new(Kind::Event, namespace, name)
}

/// The key of a new event: the object's name and the instant, or the next one that nobody has.
fn fresh_key(index: &Index, slots: &Slots, regarding: &Key, now: SimTime) -> Key {
    let mut stamp = (crate::time::EPOCH_UNIX_SECONDS * 1_000_000_000 + now.0) as u64;
    loop {
        let key = event_key(regarding, Name::from(format!("{}.{stamp:016x}", regarding.name)));
        if live_slot(index, slots, &key).is_none() {
            return key;
        }
        stamp += 1;
    }
}
