//! How the actors' machinery is set, and what it counted.

use crate::rng::Delay;
use crate::time::SimDuration;

/// One actor's machinery (`pkg/controller/apis/config/v1alpha1/defaults.go`,
/// `staging/src/k8s.io/client-go/util/workqueue/default_rate_limiters.go`).
#[derive(Clone, Copy, Debug)]
pub struct ActorSettings {
    /// From a commit to its delivery; drawn for each delivery.
    pub watch_delay: Delay,
    /// From a request to its commit; drawn for each request.
    pub request_latency: Delay,
    /// Thousandths of a request a second; 0 is no limit.
    pub milli_qps: i64,
    /// Requests at once.
    pub burst: i64,
    /// Keys at once.
    pub workers: usize,
    /// First delay of a key that failed; doubles with each failure.
    pub backoff_base: SimDuration,
    /// Longest such delay.
    pub backoff_max: SimDuration,
    /// Failures in a row after which a key is dropped; 0 is never.
    pub max_retries: u32,
    /// How long a worker computes on a key.
    pub work_time: Delay,
    /// Whether it acts in the world rather than through the API server, whose capacity then does not matter.
    pub outside: bool,
}

impl Default for ActorSettings {
    /// A controller of the controller manager on a healthy cluster.
    fn default() -> Self {
        ActorSettings {
            watch_delay: Delay::Uniform(SimDuration::from_millis(2), SimDuration::from_millis(8)),
            request_latency: Delay::Uniform(SimDuration::from_millis(2), SimDuration::from_millis(6)),
            milli_qps: 20_000,
            burst: 30,
            workers: 5,
            backoff_base: SimDuration::from_millis(5),
            backoff_max: SimDuration::from_secs(1000),
            max_retries: 0,
            work_time: Delay::Constant(SimDuration::ZERO),
            outside: false,
        }
    }
}

impl ActorSettings {
    /// Acts in the world, not through the API: no delays, no limits.
    pub fn immediate() -> Self {
        ActorSettings {
            watch_delay: Delay::Constant(SimDuration::ZERO),
            request_latency: Delay::Constant(SimDuration::ZERO),
            milli_qps: 0,
            burst: 1,
            workers: usize::MAX,
            outside: true,
            ..ActorSettings::default()
        }
    }
}

/// Hard limits of the loop; each has a message when it is reached.
#[derive(Clone, Copy, Debug)]
pub struct RuntimeLimits {
    /// Events in all.
    pub events: u64,
    /// Events at one instant.
    pub events_per_instant: u64,
    /// Reconciles of one key by one actor at one instant.
    pub reconciles_per_instant: u32,
}

impl Default for RuntimeLimits {
    fn default() -> Self {
        RuntimeLimits { events: 10_000_000_000, events_per_instant: 1_000_000, reconciles_per_instant: 1_000 }
    }
}

/// What the loop counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Events handled.
    pub events: u64,
    /// Reconciles.
    pub reconciles: u64,
    /// Writes accepted.
    pub writes: u64,
    /// Writes refused.
    pub refused: u64,
}
