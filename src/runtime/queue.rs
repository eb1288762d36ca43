//! A work queue: each key at most once, first come first served, not twice at a time
//! (`staging/src/k8s.io/client-go/util/workqueue/queue.go`).

use super::settings::ActorSettings;
use crate::engine::TokenBucket;
use crate::model::Key;
use crate::time::{SimDuration, SimTime};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;

/// Shared retry limit of every queue: 10 a second, 100 at once
/// (`staging/src/k8s.io/client-go/util/workqueue/default_rate_limiters.go`).
const RETRY_MILLI_QPS: i64 = 10_000;
const RETRY_BURST: i64 = 100;

/// One actor's keys.
#[derive(Debug)]
pub struct WorkQueue {
    ready: VecDeque<Key>,
    states: FxHashMap<Key, KeyState>,
    retry: TokenBucket,
    /// How many keys at the end of the line were woken by timers of one instant, and of which.
    woken: (SimTime, usize),
}

/// What the queue knows of a key.
#[derive(Debug, Default)]
pub(super) struct KeyState {
    waiting: bool,
    running: bool,
    again: bool,
    failures: u32,
    /// The earliest wake-up asked for; a timer event with another time is stale.
    timer: Option<SimTime>,
    /// The revision of its own last write: it is not run before the actor's cursor is there.
    pub(super) written: u64,
    /// How often it ran at which instant.
    pub(super) runs: (SimTime, u32),
}

impl KeyState {
    fn idle(&self, cursor: u64) -> bool {
        !self.waiting
            && !self.running
            && !self.again
            && self.failures == 0
            && self.timer.is_none()
            && self.written <= cursor
    }
}

impl Default for WorkQueue {
    fn default() -> Self {
        WorkQueue {
            ready: VecDeque::new(),
            states: FxHashMap::default(),
            retry: TokenBucket::new(RETRY_MILLI_QPS, RETRY_BURST),
            woken: (SimTime::ZERO, 0),
        }
    }
}

impl WorkQueue {
    /// Adds a key now.
    pub fn add(&mut self, key: Key) {
        let state = self.states.entry(key.clone()).or_default();
        if state.running {
            state.again = true;
        } else if !state.waiting {
            state.waiting = true;
            self.woken.1 = 0;
            self.ready.push_back(key);
        }
    }

    /// Adds a key whose timer fires at `now`. Of several that do at one instant the lesser keys come first, whichever
    /// was asked for first: that can hang on looks that find nothing.
    pub fn add_woken(&mut self, key: Key, now: SimTime) {
        let (at, count) = self.woken;
        let together = if at == now { count } else { 0 };
        let before = self.ready.len();
        self.add(key);
        if self.ready.len() == before {
            return;
        }
        self.woken = (now, together + 1);
        let key = self.ready.pop_back().expect("just added");
        let first = self.ready.len() - together;
        let place = first + self.ready.range(first..).filter(|other| **other < key).count();
        self.ready.insert(place, key);
    }

    /// Notes a wake-up at `at`; true if a timer event must be scheduled for it.
    pub fn add_at(&mut self, key: &Key, at: SimTime) -> bool {
        let state = self.states.entry(key.clone()).or_default();
        if state.timer.is_some_and(|pending| pending <= at) {
            return false;
        }
        state.timer = Some(at);
        true
    }

    /// A timer event for `key` came; true if it is the one that counts.
    pub fn timer_fired(&mut self, key: &Key, at: SimTime) -> bool {
        match self.states.get_mut(key) {
            Some(state) if state.timer == Some(at) => {
                state.timer = None;
                true
            }
            _ => false,
        }
    }

    /// Takes the first key whose own writes the actor has seen. One that waits for its writes is put
    /// aside by the caller with the revision it waits for.
    pub fn pop(&mut self, cursor: u64) -> Option<Key> {
        let at = self.ready.iter().position(|key| self.states.get(key).is_none_or(|state| state.written <= cursor))?;
        let key = self.ready.remove(at)?;
        self.woken.1 = 0;
        let state = self.states.get_mut(&key).expect("a waiting key has a state");
        state.waiting = false;
        state.running = true;
        Some(key)
    }

    /// Whether a key waits that can run.
    pub fn has_ready(&self, cursor: u64) -> bool {
        self.ready.iter().any(|key| self.states.get(key).is_none_or(|state| state.written <= cursor))
    }

    /// The state of a key in hand.
    pub(super) fn state(&mut self, key: &Key) -> &mut KeyState {
        self.states.entry(key.clone()).or_default()
    }

    /// A key's run is over. Forgets its failures if it went well; runs it again if asked meanwhile.
    pub fn done(&mut self, key: &Key, cursor: u64, went_well: bool) {
        let state = self.states.entry(key.clone()).or_default();
        state.running = false;
        if went_well {
            state.failures = 0;
        }
        if std::mem::take(&mut state.again) {
            self.add(key.clone());
        } else if state.idle(cursor) {
            self.states.remove(key);
        }
    }

    /// How long a failed key waits: the larger of its own exponential delay and the queue's shared retry
    /// limit. `None`: it failed too often and is dropped.
    pub fn backoff(&mut self, key: &Key, now: SimTime, settings: &ActorSettings) -> Option<SimDuration> {
        let state = self.states.entry(key.clone()).or_default();
        if settings.max_retries > 0 && state.failures >= settings.max_retries {
            state.failures = 0;
            return None;
        }
        let own = settings.backoff_base * (1i64 << state.failures.min(40));
        state.failures += 1;
        let shared = self.retry.take(now) - now;
        Some(own.min(settings.backoff_max).max(shared))
    }

    /// Keys that wait or run, for checks at rest.
    pub fn busy(&self) -> impl Iterator<Item = &Key> {
        self.states.iter().filter(|(_, state)| state.waiting || state.running).map(|(key, _)| key)
    }

    /// Keys waiting in line.
    pub fn depth(&self) -> usize {
        self.ready.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn key(n: usize) -> Key {
        Key::new(Kind::Pod, "default", format!("pod-{n}"))
    }

    proptest! {
        /// Any mixture of additions, starts and ends: no key is in two hands at once, none stands in line twice,
        /// and whatever was asked for after its run began runs again.
        #[test]
        fn every_wish_is_met_once_at_a_time(steps in prop::collection::vec((0usize..3, 0usize..5), 0..200)) {
            let mut queue = WorkQueue::default();
            let (mut wished, mut in_hand) = (BTreeSet::new(), BTreeSet::new());
            for (step, n) in steps {
                match step {
                    0 => {
                        queue.add(key(n));
                        wished.insert(key(n));
                    }
                    1 => if let Some(next) = queue.pop(0) {
                        prop_assert!(wished.remove(&next), "{next} runs though nobody asked");
                        prop_assert!(in_hand.insert(next.clone()), "{next} runs twice at a time");
                    },
                    _ => if let Some(first) = in_hand.pop_first() {
                        queue.done(&first, 0, true);
                    },
                }
                prop_assert_eq!(queue.depth(), wished.difference(&in_hand).count());
            }
            while let Some(last) = in_hand.pop_first() {
                queue.done(&last, 0, true);
            }
            while let Some(next) = queue.pop(0) {
                prop_assert!(wished.remove(&next));
                queue.done(&next, 0, true);
            }
            prop_assert!(wished.is_empty(), "forgotten: {wished:?}");
            prop_assert_eq!(queue.busy().count(), 0);
        }
    }

    #[test]
    fn keys_wait_for_their_own_writes_and_failures_wait_longer() {
        let mut queue = WorkQueue::default();
        queue.add(key(1));
        queue.add(key(2));
        queue.state(&key(1)).written = 7;
        assert_eq!(queue.pop(6), Some(key(2)), "the first waits for its write");
        assert_eq!(queue.pop(7), Some(key(1)));
        // 5 ms, doubled each time, to at most 1000 s (client-go's default); 15 tries.
        let settings = ActorSettings { max_retries: 15, ..ActorSettings::default() };
        let waits: Vec<i64> =
            (0..15).map(|_| queue.backoff(&key(1), SimTime::ZERO, &settings).unwrap().0 / 1_000_000).collect();
        assert_eq!(waits, (0..15).map(|n| 5 << n).collect::<Vec<i64>>());
        assert_eq!(queue.backoff(&key(1), SimTime::ZERO, &settings), None, "it is dropped");
    }

    #[test]
    fn keys_of_one_instant_come_in_their_own_order() {
        let mut queue = WorkQueue::default();
        let (now, later) = (SimTime::from_secs(1), SimTime::from_secs(2));
        queue.add(key(9));
        [5, 3, 4].into_iter().for_each(|n| queue.add_woken(key(n), now));
        [2, 1].into_iter().for_each(|n| queue.add_woken(key(n), later));
        queue.add(key(0));
        let order: Vec<Key> = std::iter::from_fn(|| queue.pop(0)).collect();
        assert_eq!(order, [9, 3, 4, 5, 1, 2, 0].map(key));
    }

    #[test]
    fn the_earliest_wake_up_counts() {
        let mut queue = WorkQueue::default();
        let (early, late) = (SimTime::from_secs(1), SimTime::from_secs(2));
        assert!(queue.add_at(&key(1), late));
        assert!(queue.add_at(&key(1), early));
        assert!(!queue.add_at(&key(1), late), "an earlier one is under way");
        assert!(!queue.timer_fired(&key(1), late), "stale");
        assert!(queue.timer_fired(&key(1), early));
    }
}
