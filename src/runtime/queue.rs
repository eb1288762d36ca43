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
            self.ready.push_back(key);
        }
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
