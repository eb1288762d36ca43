//! Metrics beside those of resources: of pods, of one object, of something outside such as a queue.
//!
//! A worked example: a queue gets 10 messages a second and each of 2 pods works off 4. After a minute 120 wait. With a
//! third pod 12 a second are worked off, and after another minute the queue is empty again.

use super::load::{Load, LoadId};
use crate::model::Name;
use crate::model::curve::Curve;
use crate::time::SimTime;

/// What a metric is of.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum GaugeKind {
    /// Of each pod.
    Pods,
    /// Of the object of this kind and name.
    Object(Name, Name),
    /// Of something outside of the cluster.
    External,
}

/// What names a metric.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct GaugeKey {
    /// The namespace.
    pub namespace: Name,
    /// The metric.
    pub metric: Name,
    /// What it is of.
    pub kind: GaugeKind,
}

/// How a metric moves.
#[derive(Clone, Debug)]
pub enum Gauge {
    /// As drawn, in thousandths. Pods that share the load have even parts of it.
    Drawn {
        /// Whose pods.
        load: LoadId,
        /// The amount.
        amount: Curve<SimTime>,
    },
    /// What waits in a queue.
    Queue(Queue),
}

/// A queue: what comes, and what the pods of a load work off. Amounts are in thousandths of an item.
#[derive(Clone, Debug)]
pub struct Queue {
    load: LoadId,
    /// Thousandths of items that come in a second.
    arrivals: Curve<SimTime>,
    /// Thousandths of items that each pod works off in a second.
    rate: i64,
    /// How many waited when, in thousandths times nanoseconds a second.
    waited: i128,
    since: SimTime,
}

/// Nanoseconds in a second: rates are by second, times in nanoseconds.
const SECOND: i128 = 1_000_000_000;

impl Queue {
    /// An empty queue.
    pub fn new(load: LoadId, arrivals: Curve<SimTime>, rate: i64) -> Self {
        Queue { load, arrivals, rate, waited: 0, since: SimTime::ZERO }
    }

    /// Moves on to `at`, with so many pods at work since the last move.
    fn advance(&mut self, pods: i64, at: SimTime) {
        if at <= self.since {
            return;
        }
        let served = i128::from(self.rate) * i128::from(pods);
        for [a, b] in self.arrivals.pieces(self.since, at) {
            let (length, from, to) = (i128::from((b.0 - a.0).0), i128::from(a.1) - served, i128::from(b.1) - served);
            // A line that falls below zero and rises again has its low point where it is zero.
            let turn = match from < 0 && to > 0 {
                true => length * -from / (to - from),
                false => length,
            };
            let low = from + (to - from) * turn / length.max(1);
            self.waited = (self.waited + (from + low) * turn / 2).max(0);
            self.waited = (self.waited + (low + to) * (length - turn) / 2).max(0);
        }
        self.since = at;
    }

    fn waiting(&self) -> i64 {
        (self.waited / SECOND) as i64
    }
}

impl Gauge {
    /// The load whose pods it goes by.
    pub(super) fn load(&self) -> Option<LoadId> {
        match self {
            Gauge::Drawn { load, .. } => Some(*load),
            Gauge::Queue(queue) => Some(queue.load),
        }
    }

    /// In all, in thousandths.
    pub(super) fn total(&mut self, loads: &[Load], at: SimTime) -> i64 {
        match self {
            Gauge::Drawn { amount, .. } => amount.at(at),
            Gauge::Queue(queue) => {
                queue.advance(loads[queue.load.0].pods_at(at), at);
                queue.waiting()
            }
        }
    }

    /// For each pod of the load, in thousandths.
    pub(super) fn each(&mut self, loads: &[Load], at: SimTime) -> i64 {
        let pods = self.load().map_or(0, |load| loads[load.0].pods_at(at));
        let total = self.total(loads, at);
        if pods == 0 { 0 } else { total / pods }
    }

    /// The number of pods is about to change: what went by until now went by with the old one.
    pub(super) fn settle(&mut self, load: LoadId, pods: i64, at: SimTime) {
        if let Gauge::Queue(queue) = self
            && queue.load == load
        {
            queue.advance(pods, at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_fill_and_empty() {
        let at = SimTime::from_secs;
        let mut queue = Queue::new(LoadId(0), Curve::constant(10_000), 4_000);
        // (pods since the last look, second, items): 10 a second less 4 for each pod; never below none.
        for (pods, second, items) in [(0, 10, 100), (2, 70, 220), (3, 120, 120), (3, 200, 0), (1, 210, 60)] {
            queue.advance(pods, at(second));
            assert_eq!(queue.waiting(), items * 1000, "at {second} s");
        }
        // From 0 to 10 a second within 10 s, with one pod that works off 4: nothing waits until 4 s, then the
        // triangle of 6 by 6 s is left.
        let ramp = Curve::through(vec![(at(0), 0), (at(10), 10_000)]);
        let mut queue = Queue::new(LoadId(0), ramp, 4_000);
        queue.advance(1, at(10));
        assert_eq!(queue.waiting(), 18_000);
    }
}
