//! Events that happen while pods are being decided on or bound: a pod that comes back without a place must not
//! miss what would have woken it had it waited (`pkg/scheduler/backend/queue/active_queue.go`, `inFlightEvents`).
//!
//! Worked example: a member of a gang is held by Permit from event 7 on; a node joins as event 9. At its time-out
//! the member is asked about 7, 8 and 9 as if they happened now. Events before the oldest pod in flight are
//! forgotten.

use super::hint::{Kept, Occasion};
use std::collections::{BTreeMap, VecDeque};

/// The log, with a mark for each pod in flight.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    events: VecDeque<Kept>,
    /// The number of the first event kept.
    first: u64,
    /// How many pods took off before each event.
    marks: BTreeMap<u64, usize>,
}

impl InFlight {
    /// A pod takes off: its mark.
    pub(super) fn take_off(&mut self) -> u64 {
        let mark = self.first + self.events.len() as u64;
        *self.marks.entry(mark).or_default() += 1;
        mark
    }

    /// Something happened.
    pub(super) fn note(&mut self, occasion: &Occasion<'_>) {
        if !self.marks.is_empty() {
            self.events.push_back(occasion.keep());
        }
    }

    /// What happened since the pod with this mark took off.
    pub(super) fn since(&self, mark: u64) -> impl Iterator<Item = Occasion<'_>> {
        let skipped = usize::try_from(mark - self.first).unwrap_or(usize::MAX);
        self.events.iter().skip(skipped).map(Kept::occasion)
    }

    /// The pod with this mark is down again.
    pub(super) fn land(&mut self, mark: u64) {
        if let Some(count) = self.marks.get_mut(&mark) {
            *count -= 1;
            if *count == 0 {
                self.marks.remove(&mark);
            }
        }
        let end = self.first + self.events.len() as u64;
        let oldest = self.marks.first_key_value().map_or(end, |(mark, _)| *mark);
        self.events.drain(..usize::try_from(oldest - self.first).unwrap_or(0));
        self.first = oldest;
    }

    /// How many events are kept.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.events.len()
    }
}
