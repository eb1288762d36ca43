//! One node's kube-proxy: what it has heard of, and what it has put into the kernel so far.
//!
//! Changes reach it after its watch's delay and accumulate; a sync starts at once if the last one began long enough
//! ago, else at that time (`pkg/proxy/runner/bounded_frequency_runner.go`), and its rules hold when it is done.
//! Nothing is ticked: where a proxy stands is computed when a packet asks.
//!
//! A worked example: with a watch delay of 20 ms, a minimum of 1 s between syncs and 40 ms for each, changes at 10.0 s
//! and 10.3 s are in force at 10.06 s and 11.06 s: the second waits until a second after the first sync began.

use super::balance::Memory;
use crate::rng::{Delay, Stream};
use crate::time::{SimDuration, SimTime};
use rustc_hash::FxHashMap;

/// How fast proxies are.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ProxyTiming {
    /// From a write until a proxy has heard of it.
    pub watch_delay: Delay,
    /// From the start of one sync to the next, at least.
    pub min_sync: SimDuration,
    /// How long one sync takes.
    pub sync_time: Delay,
}

/// Where one proxy stands.
#[derive(Debug)]
pub struct Proxy {
    stream: Stream,
    /// Draws the choices of this node.
    pub(super) choices: Stream,
    /// Changes that are in force.
    applied: usize,
    /// Everything up to here is in force.
    pub(super) seen: SimTime,
    /// When the last sync began.
    started: Option<SimTime>,
    /// The sync that is known of.
    next: Option<Sync>,
    /// What it has in the kernel, by service and scope.
    pub(super) tables: Vec<Option<Box<Table>>>,
}

/// The kernel's rules for one service.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// The version of the service that they are made from.
    pub version: u64,
    /// The backends.
    pub verdict: Verdict,
    pub memory: Memory,
    /// Backends of sources, and until when.
    pub affinity: FxHashMap<u32, (u32, SimTime)>,
    /// Of a headless service: until when the answer is used.
    pub resolved_until: SimTime,
    /// How long a source stays with its backend; zero for not at all.
    pub sticky: SimDuration,
}

/// A sync to come: when it begins, when it is done, and how far behind the watch is then.
#[derive(Clone, Copy, Debug)]
struct Sync {
    start: SimTime,
    done: SimTime,
    lag: SimDuration,
}

/// What happens to a packet.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) enum Verdict {
    To(Vec<u32>),
    #[default]
    Rejected,
    Dropped,
}

impl Proxy {
    pub(super) fn new(stream: Stream, choices: Stream) -> Self {
        Proxy { stream, choices, applied: 0, seen: SimTime(i64::MIN), started: None, next: None, tables: Vec::new() }
    }

    /// Whether one of so many changes is not in force yet.
    pub(super) fn behind(&self, changes: usize) -> bool {
        self.applied < changes
    }

    /// Brings it to `now`; `changes` are the instants of all changes so far.
    pub(super) fn advance(&mut self, now: SimTime, changes: &[SimTime], timing: &ProxyTiming) {
        loop {
            if self.next.is_none() && self.applied < changes.len() {
                self.next = Some(self.plan(changes, timing));
            }
            match self.next {
                Some(sync) if sync.done <= now => {
                    // It took in what had been heard of when it began.
                    let heard = changes.partition_point(|change| *change + sync.lag <= sync.start);
                    self.applied = heard.max(self.applied + 1);
                    self.seen = changes[self.applied - 1];
                    self.next = None;
                }
                _ => return,
            }
        }
    }

    fn plan(&mut self, changes: &[SimTime], timing: &ProxyTiming) -> Sync {
        let lag = timing.watch_delay.sample(&mut self.stream);
        let heard = changes[self.applied] + lag;
        let start = self.started.map_or(heard, |last| heard.max(last + timing.min_sync));
        self.started = Some(start);
        Sync { start, done: start + timing.sync_time.sample(&mut self.stream), lag }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Seed;

    #[test]
    fn a_sync_waits_for_its_turn_and_takes_what_came_meanwhile() {
        let ms = |n: i64| SimTime(n * 1_000_000);
        let timing = ProxyTiming {
            watch_delay: SimDuration::from_millis(20).into(),
            min_sync: SimDuration::from_secs(1),
            sync_time: SimDuration::from_millis(40).into(),
        };
        // (changes known by then, asked at, everything up to here is in force): all in milliseconds.
        let table = [
            (vec![10_000], 10_059, None),
            (vec![10_000], 10_060, Some(10_000)),
            (vec![10_000, 10_300], 11_059, Some(10_000)),
            (vec![10_000, 10_300], 11_060, Some(10_300)),
            // The sync that begins at 11.020 s has heard of 11.000 s, not of 11.001 s, which waits for 12.020 s.
            (vec![10_000, 10_300, 11_000, 11_001], 11_060, Some(11_000)),
            (vec![10_000, 10_300, 11_000, 11_001], 12_059, Some(11_000)),
            (vec![10_000, 10_300, 11_000, 11_001], 12_060, Some(11_001)),
            (vec![10_000, 30_000], 30_060, Some(30_000)),
        ];
        for (changes, at, expected) in table {
            let mut proxy = Proxy::new(Seed(1).stream("a", ""), Seed(1).stream("b", ""));
            let changes: Vec<SimTime> = changes.into_iter().map(ms).collect();
            proxy.advance(ms(at), &changes, &timing);
            let seen = (proxy.seen.0 != i64::MIN).then_some(proxy.seen);
            assert_eq!(seen, expected.map(ms), "{changes:?} at {at}");
        }
    }
}
