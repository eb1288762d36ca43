//! The event queue: a radix heap in the total order `(time, order of insertion)`, so that events of one instant come
//! out as they were put in, and time never goes back.
//!
//! An event lies in the bucket of the highest bit in which its time differs from that of the last event taken. When
//! the lowest bucket in use is reached, its events move to lower ones; each event moves at most 63 times, through
//! memory in order, where a binary heap would jump about. Events of one time always lie in one bucket, in order.

use crate::time::SimTime;
use std::collections::VecDeque;

/// Room that an emptied bucket keeps.
const KEPT: usize = 1 << 10;

/// Events of type `E`, earliest first.
#[derive(Debug)]
pub struct EventQueue<E> {
    /// Those of the time taken last.
    front: VecDeque<E>,
    /// Those that first differ from it in bit `n`.
    buckets: [Bucket<E>; 64],
    /// The buckets that are not empty, as bits.
    used: u64,
    /// The time taken last.
    base: SimTime,
    now: SimTime,
    len: usize,
}

#[derive(Debug)]
struct Bucket<E> {
    earliest: SimTime,
    events: Vec<(SimTime, E)>,
}

impl<E> Default for Bucket<E> {
    fn default() -> Self {
        Bucket { earliest: SimTime(i64::MAX), events: Vec::new() }
    }
}

impl<E> Default for EventQueue<E> {
    fn default() -> Self {
        EventQueue::starting_at(SimTime::ZERO)
    }
}

impl<E> EventQueue<E> {
    /// An empty queue whose clock stands at `start`.
    pub fn starting_at(start: SimTime) -> Self {
        let buckets = std::array::from_fn(|_| Bucket::default());
        EventQueue { front: VecDeque::new(), buckets, used: 0, base: start, now: start, len: 0 }
    }

    /// The time of the event taken last.
    pub fn now(&self) -> SimTime {
        self.now
    }

    /// Puts `event` at `time`. It is a bug to schedule in the past.
    pub fn push(&mut self, time: SimTime, event: E) {
        assert!(time >= self.now, "event scheduled at {time:?}, before now {:?}", self.now);
        self.len += 1;
        self.place(time, event);
    }

    fn place(&mut self, time: SimTime, event: E) {
        let Some(bit) = ((time.0 ^ self.base.0) as u64).checked_ilog2() else { return self.front.push_back(event) };
        let bucket = &mut self.buckets[bit as usize];
        bucket.earliest = bucket.earliest.min(time);
        bucket.events.push((time, event));
        self.used |= 1 << bit;
    }

    /// The time of the next event.
    pub fn peek_time(&self) -> Option<SimTime> {
        match self.front.is_empty() {
            false => Some(self.base),
            true if self.used == 0 => None,
            true => Some(self.buckets[self.used.trailing_zeros() as usize].earliest),
        }
    }

    /// Takes the next event.
    pub fn pop(&mut self) -> Option<(SimTime, E)> {
        if self.front.is_empty() {
            self.refill()?;
        }
        self.len -= 1;
        self.now = self.base;
        self.front.pop_front().map(|event| (self.base, event))
    }

    /// Spreads the lowest bucket over those below it.
    fn refill(&mut self) -> Option<()> {
        let bit = (self.used != 0).then(|| self.used.trailing_zeros() as usize)?;
        let Bucket { earliest, mut events } = std::mem::take(&mut self.buckets[bit]);
        self.used &= self.used - 1;
        self.base = earliest;
        events.drain(..).for_each(|(time, event)| self.place(time, event));
        events.shrink_to(KEPT);
        self.buckets[bit].events = events;
        Some(())
    }

    /// Moves the clock on to `time` when nothing is left before it.
    pub fn advance_to(&mut self, time: SimTime) {
        assert!(self.peek_time().is_none_or(|next| next >= time), "events are left before {time:?}");
        self.now = self.now.max(time);
    }

    /// Events waiting.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against a sorted list. Each step takes some events and puts one so much later than the clock, near or far.
        #[test]
        fn order_is_time_then_insertion(steps in prop::collection::vec((0usize..3, 0i64..20, 0u32..50), 0..200)) {
            let start = SimTime(-1_000);
            let (mut queue, mut expected, mut now) = (EventQueue::starting_at(start), Vec::new(), start);
            for (at, (taken, later, scale)) in steps.into_iter().enumerate() {
                for _ in 0..taken.min(expected.len()) {
                    let next: (SimTime, usize) = expected.remove(0);
                    now = next.0;
                    prop_assert_eq!(queue.peek_time(), Some(now));
                    prop_assert_eq!(queue.pop(), Some(next));
                }
                let time = SimTime(now.0 + (later << scale));
                queue.push(time, at);
                expected.push((time, at));
                expected.sort();
                prop_assert_eq!(queue.len(), expected.len());
            }
            prop_assert_eq!(std::iter::from_fn(|| queue.pop()).collect::<Vec<_>>(), expected);
            prop_assert!(queue.is_empty() && queue.peek_time().is_none());
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
