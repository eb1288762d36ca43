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
    /// The ingress controller has taken over what Ingresses say.
    Routes,
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
    /// The first entry has been taken, and its place is free: mostly what is pushed next may have it.
    hole: bool,
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
        if std::mem::take(&mut self.hole) {
            return self.sink(entry);
        }
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
        let first = match self.hole {
            false => self.entries.first().map(|entry| entry.time),
            true => self.entries.iter().skip(1).take(4).map(|entry| entry.time).min(),
        };
        first.map(SimTime)
    }

    /// The first event, if it is before `until`.
    pub(super) fn pop_before(&mut self, until: SimTime) -> Option<(SimTime, Event)> {
        if std::mem::take(&mut self.hole) {
            let last = self.entries.pop()?;
            if !self.entries.is_empty() {
                self.sink(last);
            }
        }
        let first = self.entries.first().filter(|entry| entry.time < until.0)?;
        let (time, what) = (SimTime(first.time), first.what);
        self.hole = true;
        Some((time, what))
    }

    /// Puts an entry where the first one was, and then down to its place.
    fn sink(&mut self, entry: Entry) {
        let entries = &mut self.entries[..];
        let (mut at, len) = (0, entries.len());
        loop {
            let child = at * 4 + 1;
            if child >= len {
                break;
            }
            let mut least = child;
            for other in child + 1..(child + 4).min(len) {
                if entries[other].before(&entries[least]) {
                    least = other;
                }
            }
            if !entries[least].before(&entry) {
                break;
            }
            entries[at] = entries[least];
            at = least;
        }
        entries[at] = entry;
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
                assert_eq!(heap.peek(), Some(SimTime(time)));
                let (at, event) = heap.pop_before(SimTime(time + 1)).unwrap();
                assert_eq!((at.0, event.id), (time, id));
            }
        }
    }
}
