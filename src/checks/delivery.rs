//! What actors see and when (invariants 7 and 8).

use super::Findings;
use crate::model::Key;
use crate::store::Change;
use rustc_hash::FxHashMap;
use std::collections::VecDeque;

/// Where each actor's watch stands, and what it wrote itself.
#[derive(Debug, Default)]
pub struct DeliveryChecks {
    newest: u64,
    seats: FxHashMap<&'static str, Seat>,
    /// Up to where each key of an actor wrote.
    written: FxHashMap<(&'static str, Key), u64>,
}

#[derive(Debug, Default)]
struct Seat {
    /// The changes that it minds and has not seen yet, by revision.
    due: VecDeque<u64>,
    cursor: u64,
    /// Several actors go by this name: what they see cannot be told apart.
    shared: bool,
}

impl DeliveryChecks {
    /// An actor takes its seat.
    pub fn seated(&mut self, actor: &'static str) {
        let shared = self.seats.contains_key(actor);
        self.seats.insert(actor, Seat { shared, ..Seat::default() });
    }

    /// An actor minds a change.
    pub fn addressed(&mut self, actor: &'static str, revision: u64) {
        let seat = self.seats.entry(actor).or_default();
        if !seat.shared {
            seat.due.push_back(revision);
        }
    }

    /// Notes a change.
    pub fn change(&mut self, change: &Change) {
        self.newest = change.revision;
    }

    /// 7. A cursor may jump, between deliveries, over changes that its actor does not mind.
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
        if let Some(missed) = seat.due.front().filter(|due| **due <= from) {
            findings.violate(7, &[], format!("{actor} went from {last} to {from} past {missed}"));
        }
        seat.due.drain(..seat.due.partition_point(|due| *due <= to));
    }

    /// An actor that began anew has listed everything, and knows nothing of what it wrote before.
    pub fn listed(&mut self, actor: &'static str, to: u64) {
        let seat = self.seats.entry(actor).or_default();
        seat.cursor = to;
        seat.due.drain(..seat.due.partition_point(|due| *due <= to));
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
