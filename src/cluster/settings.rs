//! From the scenario's `timing` and `limits` to the machinery of the actors.

use crate::rng::Delay;
use crate::runtime::{ActorSettings, RuntimeLimits};
use crate::scenario::units::{Distribution, Duration};
use crate::scenario::{Limits, Timing};
use crate::scheduler::queue::QueueSettings;
use crate::store::StoreLimits;

/// A length that may vary, as the runtime draws it.
pub fn delay(written: Distribution<Duration>) -> Delay {
    match written {
        Distribution::Constant(length) => Delay::Constant(length.0),
        Distribution::Uniform(low, high) => Delay::Uniform(low.0, high.0),
        Distribution::Normal { mean, deviation } => Delay::Normal(mean.0, deviation.0),
        Distribution::Lognormal { median, sigma } => Delay::LogNormal(median.0, sigma),
        Distribution::Exponential { mean } => Delay::Exponential(mean.0),
    }
}

/// An actor's own settings with what the scenario says laid over them.
pub fn actor(timing: &Timing, name: &str, own: ActorSettings) -> ActorSettings {
    let given = timing.components.get(name).copied().unwrap_or_default();
    ActorSettings {
        watch_delay: delay(timing.watch_delay),
        request_latency: delay(timing.request_latency),
        milli_qps: given.qps.map_or(own.milli_qps, |qps| i64::from(qps) * 1000),
        burst: given.burst.map_or(own.burst, |burst| i64::from(burst).max(1)),
        workers: given.workers.map_or(own.workers, |workers| (workers as usize).max(1)),
        ..own
    }
}

/// The client of someone at a terminal (`staging/src/k8s.io/cli-runtime`: 50 qps, burst 300). A refused
/// request is tried three times at most.
pub fn kubectl() -> ActorSettings {
    ActorSettings { milli_qps: 50_000, burst: 300, workers: usize::MAX, max_retries: 3, ..ActorSettings::default() }
}

/// The limits of the event loop.
pub fn runtime_limits(limits: &Limits) -> RuntimeLimits {
    RuntimeLimits {
        events: limits.max_events,
        events_per_instant: limits.max_events_per_instant,
        reconciles_per_instant: u32::try_from(limits.max_idle_reconciles).unwrap_or(u32::MAX),
    }
}

/// The limits of the store.
pub fn store_limits(limits: &Limits) -> StoreLimits {
    StoreLimits { nodes: limits.max_nodes, pods: limits.max_pods, objects: limits.max_objects }
}

/// kube-scheduler's own client and its one scheduling loop (`pkg/scheduler/apis/config/v1/defaults.go`).
pub fn scheduler(timing: &Timing) -> ActorSettings {
    let work_time = delay(timing.scheduler.cycle_time);
    ActorSettings { milli_qps: 50_000, burst: 100, workers: 1, work_time, ..ActorSettings::default() }
}

/// The times of the scheduler's queue.
pub fn scheduler_queue(timing: &Timing) -> QueueSettings {
    QueueSettings {
        initial_backoff: timing.scheduler.pod_initial_backoff.0,
        max_backoff: timing.scheduler.pod_max_backoff.0,
        unschedulable_timeout: timing.scheduler.unschedulable_timeout.0,
    }
}

/// The kubelets: one client for each node, a worker for each pod
/// (`pkg/kubelet/apis/config/v1beta1/defaults.go`).
pub fn kubelet() -> ActorSettings {
    ActorSettings { milli_qps: 50_000, burst: 100, workers: usize::MAX, ..ActorSettings::default() }
}
