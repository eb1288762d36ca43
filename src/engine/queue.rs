//! The event queue: a binary heap in the total order `(time, seq)`.
//!
//! `seq` is given at insertion, so events of one instant come out in the order they were put in, and
//! time never goes back.

use crate::time::SimTime;
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Events of type `E`, earliest first.
#[derive(Debug)]
pub struct EventQueue<E> {
    heap: BinaryHeap<Entry<E>>,
    next_seq: u64,
    now: SimTime,
}

#[derive(Debug)]
struct Entry<E> {
    time: SimTime,
    seq: u64,
    event: E,
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        (self.time, self.seq) == (other.time, other.seq)
    }
}
impl<E> Eq for Entry<E> {}
impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<E> Ord for Entry<E> {
    /// Reversed: the standard heap gives the greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.time, other.seq).cmp(&(self.time, self.seq))
    }
}

impl<E> Default for EventQueue<E> {
    fn default() -> Self {
        EventQueue { heap: BinaryHeap::new(), next_seq: 0, now: SimTime::ZERO }
    }
}

impl<E> EventQueue<E> {
    /// An empty queue whose clock stands at `start`.
    pub fn starting_at(start: SimTime) -> Self {
        EventQueue { now: start, ..EventQueue::default() }
    }

    /// The time of the event taken last.
    pub fn now(&self) -> SimTime {
        self.now
    }

    /// Puts `event` at `time`. It is a bug to schedule in the past.
    pub fn push(&mut self, time: SimTime, event: E) {
        assert!(time >= self.now, "event scheduled at {time:?}, before now {:?}", self.now);
        let seq = self.next_seq;
        self.next_seq += 1;
        self.heap.push(Entry { time, seq, event });
    }

    /// The time of the next event.
    pub fn peek_time(&self) -> Option<SimTime> {
        self.heap.peek().map(|entry| entry.time)
    }

    /// Takes the next event.
    pub fn pop(&mut self) -> Option<(SimTime, E)> {
        let entry = self.heap.pop()?;
        self.now = entry.time;
        Some((entry.time, entry.event))
    }

    /// Moves the clock on to `time` when nothing is left before it.
    pub fn advance_to(&mut self, time: SimTime) {
        assert!(self.peek_time().is_none_or(|next| next >= time), "events are left before {time:?}");
        self.now = self.now.max(time);
    }

    /// Events waiting.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn order_is_time_then_insertion(times in prop::collection::vec(0i64..20, 0..200)) {
            let mut queue = EventQueue::default();
            for (at, time) in times.iter().enumerate() {
                queue.push(SimTime(*time), at);
            }
            let mut expected: Vec<(i64, usize)> = times.iter().copied().zip(0..).collect();
            expected.sort();
            let got: Vec<(i64, usize)> = std::iter::from_fn(|| queue.pop()).map(|(t, at)| (t.0, at)).collect();
            prop_assert_eq!(got, expected);
        }
    }

    #[test]
    #[should_panic(expected = "before now")]
    fn the_past_is_closed() {
        let mut queue = EventQueue::default();
        queue.push(SimTime(5), ());
        queue.pop();
        queue.push(SimTime(4), ());
    }
}
