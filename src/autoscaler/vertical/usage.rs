//! What is remembered of how containers were used (`vertical-pod-autoscaler/pkg/recommender/model/`).
//!
//! CPU is a matter of every sample; memory of the highest of each day, since a container that once needed more than it
//! may have is killed for it. A kill counts as a peak somewhat above what the container had.
//!
//! A worked example: a container's memory is 300 MB at noon and 500 MB at one: the peak of that day is first 300 MB; it is
//! taken back, and 500 MB take its place. It is killed at two with a request of 600 MB: the peak becomes 720 MB.

use super::histogram::{Buckets, Histogram};
use crate::time::{SimDuration, SimTime};
use std::rc::Rc;

/// How much a sample of CPU weighs.
const CPU_WEIGHT: f64 = 0.1;
/// Of each interval the highest memory counts (`DefaultMemoryAggregationInterval`).
const INTERVAL: SimDuration = SimDuration::from_secs(24 * 3600);
/// After this many intervals without a sample all is forgotten.
const INTERVALS: i64 = 8;
/// After a kill at least this much more is needed.
const OOM_BUMP: i64 = 100 << 20;
/// And in thousandths.
const OOM_BUMP_MILLI: i64 = 1200;

/// The buckets of the two resources.
#[derive(Clone, Debug)]
pub struct Scales {
    cpu: Rc<Buckets>,
    memory: Rc<Buckets>,
}

impl Default for Scales {
    fn default() -> Self {
        Scales { cpu: Buckets::new(1000.0, 0.01), memory: Buckets::new(1e12, 1e7) }
    }
}

/// What is known of all containers of one name under one template (`AggregateContainerState`).
#[derive(Clone, Debug)]
pub struct Aggregate {
    /// In cores.
    pub cpu: Histogram,
    /// Peaks in bytes.
    pub memory: Histogram,
    /// The first and the last sample of CPU.
    pub span: Option<[SimTime; 2]>,
    /// Samples of CPU.
    pub samples: u64,
    /// Since when there is anything to know.
    pub created: SimTime,
}

impl Aggregate {
    /// Nothing yet.
    pub fn new(scales: &Scales, created: SimTime) -> Self {
        Aggregate {
            cpu: Histogram::new(&scales.cpu),
            memory: Histogram::new(&scales.memory),
            span: None,
            samples: 0,
            created,
        }
    }

    /// Adds what is known of others of that name.
    pub fn merge(&mut self, other: &Aggregate) {
        self.cpu.merge(&other.cpu);
        self.memory.merge(&other.memory);
        if let Some([first, last]) = other.span {
            let [own_first, own_last] = self.span.unwrap_or([first, last]);
            self.span = Some([own_first.min(first), own_last.max(last)]);
        }
        self.samples += other.samples;
    }

    /// Whether it is too old to be of use.
    pub fn expired(&self, now: SimTime) -> bool {
        now - self.span.map_or(self.created, |[_, last]| last) >= INTERVAL * INTERVALS
    }

    fn add_cpu(&mut self, milli: i64, at: SimTime) {
        self.cpu.add(milli as f64 / 1000.0, CPU_WEIGHT, at);
        let [first, last] = self.span.unwrap_or([at, at]);
        self.span = Some([first.min(at), last.max(at)]);
        self.samples += 1;
    }
}

/// What is known of one container of one pod (`ContainerState`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Peaks {
    last_cpu: Option<SimTime>,
    last_memory: Option<SimTime>,
    /// When the interval ends whose peak this is.
    window_end: Option<SimTime>,
    peak: i64,
    oom_peak: i64,
}

impl Peaks {
    /// A measurement of CPU; one that is not newer than the last is none.
    pub fn cpu(&mut self, into: &mut Aggregate, milli: i64, at: SimTime) {
        if self.last_cpu.is_none_or(|last| at > last) {
            into.add_cpu(milli, at);
            self.last_cpu = Some(at);
        }
    }

    /// A measurement of memory.
    pub fn memory(&mut self, into: &mut Aggregate, bytes: i64, at: SimTime) {
        if self.last_memory.is_none_or(|last| at >= last) {
            self.add_memory(into, bytes, at, false);
        }
    }

    /// The kernel killed it, while it requested this much.
    pub fn killed(&mut self, into: &mut Aggregate, requested: i64, at: SimTime) {
        if self.last_memory.is_some_and(|last| at < last - INTERVAL) {
            return;
        }
        let used = requested.max(self.peak);
        let needed = (used + OOM_BUMP).max((i128::from(used) * i128::from(OOM_BUMP_MILLI) / 1000) as i64);
        self.add_memory(into, needed, at, true);
    }

    fn add_memory(&mut self, into: &mut Aggregate, bytes: i64, at: SimTime, killed: bool) {
        self.last_memory = Some(at);
        let mut end = *self.window_end.get_or_insert(at);
        let highest = self.peak.max(self.oom_peak);
        let new = if at < end {
            let higher = highest != 0 && bytes > highest;
            if higher {
                into.memory.subtract(highest as f64, 1.0, end);
            }
            higher
        } else {
            let whole = (at - end).0 / INTERVAL.0;
            end += INTERVAL * (whole + 1);
            (self.peak, self.oom_peak) = (0, 0);
            true
        };
        self.window_end = Some(end);
        if new {
            into.memory.add(bytes as f64, 1.0, end);
            *(if killed { &mut self.oom_peak } else { &mut self.peak }) = bytes;
        }
    }
}
