//! Counts of flows: fractions of requests while the run goes on, whole ones in its record.

use super::spread::Mass;
use crate::metrics::traffic::{BANDS, Counts, ENDS, End, FlowTraffic, Window, band};
use crate::time::SimDuration;

/// Ends by kind, in fractions.
pub(super) type Parts = [f64; ENDS.len()];

/// What one service or client has come to.
#[derive(Clone, Debug, Default)]
pub(in crate::traffic) struct Account {
    pub begun: f64,
    pub attempts: f64,
    pub ends: Parts,
    /// By [`super::super::stats::Distance`].
    pub distances: [f64; 4],
    latencies: Mass,
    failures: Mass,
    /// Successes of this window by band.
    bands: Vec<f64>,
    /// What windows before this one have been given.
    told: (u64, Counts, f64),
    pub windows: Vec<Window>,
}

/// What one pod did for a service.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::traffic) struct PodAccount {
    pub ends: Parts,
    /// Seconds from reaching the pod to its answer, of all that were answered.
    pub time: f64,
}

/// Rounding in sums must not make a request of nothing, or nothing of one.
const SLACK: f64 = 1e-6;

fn whole(parts: &Parts) -> Counts {
    Counts(parts.map(|part| (part + SLACK) as u64))
}

impl Account {
    /// So many ended after so many seconds.
    pub(super) fn ended(&mut self, end: End, mass: f64, seconds: f64) {
        self.ends[end as usize] += mass;
        match end {
            End::Success => {
                self.latencies.add(seconds, mass);
                self.bands.resize(BANDS, 0.0);
                self.bands[band(SimDuration((seconds * 1e9) as i64))] += mass;
            }
            _ => self.failures.add(seconds, mass),
        }
    }

    /// Requests that began and have not ended.
    pub(super) fn open(&self) -> f64 {
        self.begun - self.ends.iter().sum::<f64>()
    }

    /// A window is over.
    pub(super) fn close_window(&mut self) {
        let (begun, ends) = ((self.begun + SLACK) as u64, whole(&self.ends));
        let (before, told, carried) = &mut self.told;
        let mut window = Window { begun: begun - *before, ..Window::default() };
        window.ends.0.iter_mut().zip(ends.0.iter().zip(told.0)).for_each(|(of, (all, before))| *of = all - before);
        // Bands add up to the successes: what rounding leaves goes to the next.
        for (of, part) in window.bands.iter_mut().zip(&mut self.bands) {
            let with = std::mem::take(part) + *carried;
            *of = (with + 0.5) as u32;
            *carried = with - f64::from(*of);
        }
        (*before, *told) = (begun, ends);
        self.windows.push(window);
    }

    /// Puts it into a record.
    pub(in crate::traffic) fn fill(&self, record: &mut FlowTraffic) {
        record.begun = (self.begun + SLACK) as u64;
        record.attempts = (self.attempts + SLACK) as u64;
        record.ends = whole(&self.ends);
        record.latencies = self.latencies.whole(record.ends.of(End::Success));
        record.failures = self.failures.whole(record.ends.failed());
        let [node, zone, crossed, outside] = self.distances.map(|part| (part + SLACK) as u64);
        (record.distances.node, record.distances.zone) = (node, zone);
        (record.distances.crossed, record.distances.outside) = (crossed, outside);
        for (place, window) in record.windows.iter_mut().zip(&self.windows) {
            place.clone_from(window);
        }
    }
}

impl PodAccount {
    /// As whole requests, and the mean time inside.
    pub(in crate::traffic) fn whole(&self) -> (Counts, SimDuration) {
        let answered = self.ends[End::Success as usize];
        (whole(&self.ends), SimDuration((self.time / answered.max(1e-300) * 1e9) as i64))
    }
}
