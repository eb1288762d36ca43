//! What actors see and when (invariants 7 and 8).

use super::Findings;
use crate::model::{Key, Kind};
use crate::store::Change;
use rustc_hash::FxHashMap;

/// Where each actor's watch stands, and what it wrote itself.
#[derive(Debug, Default)]
pub struct DeliveryChecks {
    newest: u64,
    seats: FxHashMap<&'static str, Seat>,
    /// The revisions of each kind, in order.
    revisions: FxHashMap<Kind, Vec<u64>>,
    /// Up to where each key of an actor wrote.
    written: FxHashMap<(&'static str, Key), u64>,
}

#[derive(Debug, Default)]
struct Seat {
    watches: &'static [Kind],
    cursor: u64,
    /// Several actors go by this name: what they see cannot be told apart.
    shared: bool,
}

impl DeliveryChecks {
    /// An actor takes its seat and says what it watches.
    pub fn seated(&mut self, actor: &'static str, watches: &'static [Kind]) {
        let shared = self.seats.contains_key(actor);
        self.seats.insert(actor, Seat { watches, cursor: 0, shared });
    }

    /// Notes a change.
    pub fn change(&mut self, change: &Change) {
        self.newest = change.revision;
        self.revisions.entry(change.key.kind.watched()).or_default().push(change.revision);
    }

    /// 7. A cursor may jump, between deliveries, over changes of kinds that its actor does not watch.
    pub fn delivered(&mut self, actor: &'static str, from: u64, to: u64, findings: &mut Findings) {
        let seat = self.seats.entry(actor).or_default();
        let last = std::mem::replace(&mut seat.cursor, to);
        if seat.shared {
            return;
        }
        if from < last || to < from || to > self.newest {
            let message = format!("{actor} saw {from}..{to} after {last}, of {} in all", self.newest);
            findings.violate(7, &[], message);
        }
        let missed = seat.watches.iter().find_map(|kind| {
            let revisions = self.revisions.get(kind)?;
            let next = *revisions.get(revisions.partition_point(|revision| *revision <= last))?;
            (next <= from).then_some((kind, next))
        });
        if let Some((kind, revision)) = missed {
            findings.violate(7, &[], format!("{actor} went from {last} to {from} past {kind} at {revision}"));
        }
    }

    /// An actor that began anew has listed everything, and knows nothing of what it wrote before.
    pub fn listed(&mut self, actor: &'static str, to: u64) {
        self.seats.entry(actor).or_default().cursor = to;
        self.written.retain(|(writer, _), _| *writer != actor);
    }

    /// Notes up to where a key wrote.
    pub fn landed(&mut self, actor: &'static str, key: &Key, written: u64) {
        self.written.insert((actor, key.clone()), written);
    }

    /// 8. Two keys of one actor may write one object without waiting for each other, as the loops of the node
    ///    controller do (`pkg/controller/nodelifecycle/node_lifecycle_controller.go`), and so may writes in the background.
    pub fn reconciled(&mut self, actor: &'static str, key: &Key, cursor: u64, findings: &mut Findings) {
        let shared = self.seats.get(actor).is_some_and(|seat| seat.shared);
        let entry = (actor, key.clone());
        if let Some(written) = self.written.get(&entry).copied().filter(|_| !shared) {
            if written > cursor {
                let message = format!("{actor} works on {key} at {cursor} and wrote up to {written}");
                findings.violate(8, &[key], message);
            }
            self.written.remove(&entry);
        }
    }
}
