//! The engine's own event queue: a heap with four children, in the total order `(time, order of insertion)`.
//!
//! Millions of events a second go through it, so an entry is 32 bytes of plain data and nothing is allocated.

use crate::time::SimTime;

/// What an event is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Kind {
    /// A client's next request.
    Arrive,
    /// A packet reaches its target.
    Reach,
    /// A server is done with a request.
    Done,
    /// The next request of a server that shares its processor is done.
    Shared,
    /// A server's process ends.
    Ends,
    /// A client waits no longer.
    Timeout,
    /// Meters are told what was used.
    Meters,
    /// The next attempt.
    Retry,
    /// A request without an answer is sent once more.
    Hedge,
    /// The caller has its answer.
    Answer,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    time: i64,
    order: u64,
    what: Event,
}

/// An event: whom it concerns, and which life of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Event {
    pub kind: Kind,
    pub id: u32,
    /// Tells it apart from who had the same number before.
    pub life: u32,
}

/// Events, earliest first.
#[derive(Debug, Default)]
pub(super) struct Heap {
    entries: Vec<Entry>,
    next: u64,
}

impl Entry {
    fn before(&self, other: &Entry) -> bool {
        (self.time, self.order) < (other.time, other.order)
    }
}

impl Heap {
    pub(super) fn push(&mut self, time: SimTime, kind: Kind, id: u32, life: u32) {
        let entry = Entry { time: time.0, order: self.next, what: Event { kind, id, life } };
        self.next += 1;
        let mut at = self.entries.len();
        self.entries.push(entry);
        while at > 0 {
            let parent = (at - 1) / 4;
            if !entry.before(&self.entries[parent]) {
                break;
            }
            self.entries[at] = self.entries[parent];
            at = parent;
        }
        self.entries[at] = entry;
    }

    pub(super) fn peek(&self) -> Option<SimTime> {
        self.entries.first().map(|entry| SimTime(entry.time))
    }

    pub(super) fn pop(&mut self) -> Option<(SimTime, Event)> {
        let first = *self.entries.first()?;
        let last = self.entries.pop()?;
        let len = self.entries.len();
        if len > 0 {
            let mut at = 0;
            loop {
                let child = at * 4 + 1;
                if child >= len {
                    break;
                }
                let end = (child + 4).min(len);
                let mut least = child;
                for other in child + 1..end {
                    if self.entries[other].before(&self.entries[least]) {
                        least = other;
                    }
                }
                if !self.entries[least].before(&last) {
                    break;
                }
                self.entries[at] = self.entries[least];
                at = least;
            }
            self.entries[at] = last;
        }
        Some((SimTime(first.time), first.what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Seed;

    #[test]
    fn order_is_time_then_insertion() {
        let mut stream = Seed(1).stream("heap", "test");
        let mut heap = Heap::default();
        let mut waiting = Vec::new();
        let mut order = 0;
        for _ in 0..5_000 {
            if stream.below(3) > 0 || waiting.is_empty() {
                let time = stream.below(50) as i64;
                heap.push(SimTime(time), Kind::Arrive, order, 0);
                waiting.push((time, order));
                order += 1;
            } else {
                waiting.sort_unstable();
                let (time, id) = waiting.remove(0);
                let (at, event) = heap.pop().unwrap();
                assert_eq!((at.0, event.id), (time, id));
            }
        }
    }
}
