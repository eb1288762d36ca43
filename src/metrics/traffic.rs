//! What became of requests: counts by outcome, latencies, how evenly pods were used, over time and in all.
//!
//! Latencies are kept as HDR histograms: a percentile is right within 0.1 %, whatever its size. For each window of
//! time a coarse histogram (a quarter of an octave) is kept, enough for a heat map.

use crate::model::Name;
use crate::time::{SimDuration, SimTime};
use hdrhistogram::Histogram;

/// How a request ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum End {
    /// Answered well.
    Success,
    /// The service had no endpoint.
    NoEndpoint,
    /// Nobody listened at the pod's address.
    Refused,
    /// The connection broke while the request was under way.
    Reset,
    /// No connection before the timeout: a dead machine, or packets dropped.
    ConnectTimeout,
    /// No answer before the timeout.
    Timeout,
    /// The server's queue was full.
    Overload,
    /// The server answered with an error.
    ServerError,
    /// It was not sent: the circuit breaker was open.
    CircuitOpen,
    /// A network policy does not allow it.
    Denied,
}

/// Every end, in the order of [`Counts`].
pub const ENDS: [End; 10] = [
    End::Success,
    End::NoEndpoint,
    End::Refused,
    End::Reset,
    End::ConnectTimeout,
    End::Timeout,
    End::Overload,
    End::ServerError,
    End::CircuitOpen,
    End::Denied,
];

impl End {
    /// Its name in data files.
    pub const fn as_str(self) -> &'static str {
        match self {
            End::Success => "success",
            End::NoEndpoint => "no_endpoint",
            End::Refused => "refused",
            End::Reset => "reset",
            End::ConnectTimeout => "connect_timeout",
            End::Timeout => "timeout",
            End::Overload => "overload",
            End::ServerError => "server_error",
            End::CircuitOpen => "circuit_open",
            End::Denied => "denied",
        }
    }

    /// Its name for people.
    pub const fn title(self) -> &'static str {
        match self {
            End::Success => "success",
            End::NoEndpoint => "no endpoint",
            End::Refused => "connection refused",
            End::Reset => "connection reset",
            End::ConnectTimeout => "no connection",
            End::Timeout => "no answer in time",
            End::Overload => "overload",
            End::ServerError => "server error",
            End::CircuitOpen => "circuit open",
            End::Denied => "denied by policy",
        }
    }
}

/// Ends by kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts(pub [u64; ENDS.len()]);

impl Counts {
    /// One more.
    pub fn add(&mut self, end: End) {
        self.0[end as usize] += 1;
    }

    /// Those of one kind.
    pub fn of(&self, end: End) -> u64 {
        self.0[end as usize]
    }

    /// All.
    pub fn all(&self) -> u64 {
        self.0.iter().sum()
    }

    /// All but successes.
    pub fn failed(&self) -> u64 {
        self.all() - self.of(End::Success)
    }

    /// The share that failed.
    pub fn error_rate(&self) -> f64 {
        share(self.failed(), self.all())
    }
}

fn share(part: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { part as f64 / all as f64 }
}

/// Latencies up to an hour, within 0.1 %.
#[derive(Clone, PartialEq, Debug)]
pub struct Latencies(Histogram<u64>);

/// Nanoseconds in the histogram's unit: a microsecond.
const UNIT: i64 = 1_000;

impl Default for Latencies {
    fn default() -> Self {
        Latencies(Histogram::new(3).expect("three digits are allowed"))
    }
}

impl Latencies {
    /// One more.
    #[inline]
    pub fn add(&mut self, latency: SimDuration) {
        self.add_many(latency, 1);
    }

    /// This many of one length.
    #[inline]
    pub fn add_many(&mut self, latency: SimDuration, count: u64) {
        let micros = (latency.0 + UNIT / 2) / UNIT;
        // A histogram that grows takes every value.
        self.0.record_n(micros.max(0) as u64, count).unwrap_or_default();
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The latency that this share does not exceed; nothing without requests.
    pub fn quantile(&self, share: f64) -> Option<SimDuration> {
        (!self.0.is_empty()).then(|| SimDuration(self.0.value_at_quantile(share) as i64 * UNIT))
    }

    /// The mean.
    pub fn mean(&self) -> Option<SimDuration> {
        (!self.0.is_empty()).then(|| SimDuration((self.0.mean() * UNIT as f64) as i64))
    }

    /// The longest.
    pub fn max(&self) -> Option<SimDuration> {
        (!self.0.is_empty()).then(|| SimDuration(self.0.max() as i64 * UNIT))
    }
}

/// Bands of a window's coarse histogram: a quarter of an octave each, from 64 µs on.
pub const BANDS: usize = 96;

/// The band of a latency.
pub fn band(latency: SimDuration) -> usize {
    let units = (latency.0.max(0) as u64) >> 14;
    if units < 4 {
        return units as usize;
    }
    let octave = 63 - units.leading_zeros() as usize;
    let quarter = (units >> (octave - 2)) as usize & 3;
    ((octave - 1) * 4 + quarter).min(BANDS - 1)
}

/// Where a band begins.
pub fn band_start(band: usize) -> SimDuration {
    let units = match band {
        0..4 => band as i64,
        _ => (4 + (band % 4) as i64) << (band / 4 - 1),
    };
    SimDuration(units << 14)
}

/// A stretch of time.
#[derive(Clone, PartialEq, Debug)]
pub struct Window {
    /// Requests begun.
    pub begun: u64,
    /// Requests ended, by kind.
    pub ends: Counts,
    /// Latencies of successes, by [`band`].
    pub bands: [u32; BANDS],
}

impl Default for Window {
    fn default() -> Self {
        Window { begun: 0, ends: Counts::default(), bands: [0; BANDS] }
    }
}

impl Window {
    /// The latency that this share of successes does not exceed, as precise as bands are.
    pub fn quantile(&self, share: f64) -> Option<SimDuration> {
        let all: u64 = self.bands.iter().map(|count| u64::from(*count)).sum();
        let wanted = ((all as f64 * share).ceil() as u64).max(1);
        let mut sum = 0;
        let at = self.bands.iter().position(|count| {
            sum += u64::from(*count);
            sum >= wanted
        })?;
        Some(band_start(at + 1))
    }
}

/// What requests took of one node, by window.
#[derive(Clone, PartialEq, Debug)]
pub struct NodeTraffic {
    /// The node.
    pub node: Name,
    /// Core-nanoseconds.
    pub cpu: Vec<i64>,
    /// Byte-seconds.
    pub memory: Vec<i64>,
}

/// What one pod did for a service.
#[derive(Clone, PartialEq, Debug)]
pub struct PodTraffic {
    /// The pod.
    pub pod: Name,
    /// Its node; may be empty.
    pub node: Name,
    /// Its node's zone; may be empty.
    pub zone: Name,
    /// Requests that reached it and ended, by kind.
    pub ends: Counts,
    /// From reaching the pod to its answer.
    pub mean: SimDuration,
    /// Processor time that requests took.
    pub cpu: SimDuration,
    /// Requests in it at once, at most.
    pub most: u32,
    /// How long it could take requests.
    pub served: SimDuration,
}

/// How far requests went.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Distances {
    /// Within a node.
    pub node: u64,
    /// To another node of the zone.
    pub zone: u64,
    /// To another zone.
    pub crossed: u64,
    /// From outside.
    pub outside: u64,
}

impl Distances {
    /// The share of requests from inside that left their zone.
    pub fn crossing(&self) -> f64 {
        share(self.crossed, self.node + self.zone + self.crossed)
    }
}

/// One service, or one client, over the run.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct FlowTraffic {
    /// Namespace.
    pub namespace: Name,
    /// Name.
    pub name: Name,
    /// Requests begun.
    pub begun: u64,
    /// Attempts: more than requests where some were tried again.
    pub attempts: u64,
    /// Requests ended, by kind.
    pub ends: Counts,
    /// Latencies of successes.
    pub latencies: Latencies,
    /// Latencies of failures.
    pub failures: Latencies,
    /// The run in windows of [`TrafficRecord::window`].
    pub windows: Vec<Window>,
    /// How far attempts went.
    pub distances: Distances,
    /// Pods that were tried, in order of appearance.
    pub pods: Vec<PodTraffic>,
    /// Requests a second that the best of its pods can do: its places, or its processor if that is less.
    pub capacity: f64,
}

impl FlowTraffic {
    /// Requests a second over the run.
    pub fn throughput(&self, length: SimDuration) -> f64 {
        self.ends.of(End::Success) as f64 / length.as_secs_f64().max(1e-9)
    }

    /// How unevenly pods were used, by requests for each second that they could serve: coefficient of variation, and
    /// the busiest against the mean.
    pub fn balance(&self) -> Option<(f64, f64)> {
        let rate = |pod: &PodTraffic| pod.ends.all() as f64 / pod.served.as_secs_f64();
        // Pods that were there for a moment only say nothing.
        let longest = self.pods.iter().map(|pod| pod.served).max()?;
        let rates: Vec<f64> = self.pods.iter().filter(|pod| pod.served.0 * 10 > longest.0).map(rate).collect();
        let mean = rates.iter().sum::<f64>() / rates.len() as f64;
        if rates.is_empty() || mean <= 0.0 {
            return None;
        }
        let variance = rates.iter().map(|rate| (rate - mean) * (rate - mean)).sum::<f64>() / rates.len() as f64;
        Some((libm::sqrt(variance) / mean, rates.iter().copied().fold(0.0, f64::max) / mean))
    }
}

/// The traffic of a run.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct TrafficRecord {
    /// Length of a window.
    pub window: SimDuration,
    /// When the first window begins.
    pub start: SimTime,
    /// Services that were asked, in order of the scenario.
    pub services: Vec<FlowTraffic>,
    /// Clients, in order of the scenario.
    pub clients: Vec<FlowTraffic>,
    /// What requests took of nodes, in order of the nodes.
    pub nodes: Vec<NodeTraffic>,
    /// Requests still under way at the end.
    pub under_way: u64,
    /// A hash of every request's end.
    pub digest: u64,
    /// Whether requests were flows instead of each one by itself.
    pub fluid: bool,
}

impl TrafficRecord {
    /// The service, or else the client, of that name.
    pub fn flow(&self, namespace: &str, name: &str) -> Option<&FlowTraffic> {
        let service = self.services.iter().find(|flow| flow.name == name && flow.namespace == namespace);
        service.or_else(|| self.clients.iter().find(|flow| flow.name == name))
    }

    /// Whether every request ended exactly once, or is still under way; what is wrong otherwise.
    pub fn unaccounted(&self) -> Option<String> {
        let begun: u64 = self.services.iter().map(|flow| flow.begun).sum();
        let ended: u64 = self.services.iter().map(|flow| flow.ends.all()).sum();
        (begun != ended + self.under_way)
            .then(|| format!("requests: {begun} begun, {ended} ended, {} under way", self.under_way))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_cover_every_latency_once() {
        for at in 0..BANDS - 1 {
            let (from, to) = (band_start(at), band_start(at + 1));
            assert!(from < to, "{at}");
            assert_eq!((band(from), band(SimDuration(to.0 - 1))), (at, at));
        }
        // The last band begins after more than a minute.
        assert!(band_start(BANDS - 1) > SimDuration::from_secs(60));
    }

    #[test]
    fn balance_counts_requests_by_time_of_service() {
        let pod = |requests: u64, seconds: i64| {
            let mut ends = Counts::default();
            ends.0[0] = requests;
            PodTraffic {
                pod: Name::new(),
                node: Name::new(),
                zone: Name::new(),
                ends,
                mean: SimDuration::ZERO,
                cpu: SimDuration::ZERO,
                most: 0,
                served: SimDuration::from_secs(seconds),
            }
        };
        let flow = |pods: Vec<PodTraffic>| FlowTraffic { pods, ..FlowTraffic::default() };
        // Half the time, half the requests: even. The pod of one second does not count.
        assert_eq!(flow(vec![pod(100, 100), pod(50, 50), pod(9, 1)]).balance(), Some((0.0, 1.0)));
        // 3 and 1 a second: mean 2, deviation 1.
        assert_eq!(flow(vec![pod(300, 100), pod(100, 100)]).balance(), Some((0.5, 1.5)));
        assert_eq!(flow(vec![pod(0, 100)]).balance(), None);
    }
}
