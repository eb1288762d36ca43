//! From the scenario's `timing` and `limits` to the machinery of the actors.

use crate::checks::Bounds;
use crate::model::Effect;
use crate::rng::Delay;
use crate::runtime::{ActorSettings, RuntimeLimits, ServerSettings};
use crate::scenario::behavior::glob_matches;
use crate::scenario::cluster::CONTROL_PLANE;
use crate::scenario::{Action, Limits, Scenario, Timing};
use crate::scheduler::queue::QueueSettings;
use crate::store::StoreLimits;
use crate::time::SimDuration;

/// An actor's own settings with what the scenario says laid over them.
pub fn actor(timing: &Timing, name: &str, own: ActorSettings) -> ActorSettings {
    let given = timing.components.get(name).copied().unwrap_or_default();
    ActorSettings {
        watch_delay: timing.watch_delay.into(),
        request_latency: timing.request_latency.into(),
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

/// The API server's capacity.
pub fn server(timing: &Timing) -> ServerSettings {
    let given = &timing.api_server;
    ServerSettings { cores: given.cores as usize, service_time: given.request_time.into() }
}

/// The limits of the store.
pub fn store_limits(limits: &Limits) -> StoreLimits {
    StoreLimits { nodes: limits.max_nodes, pods: limits.max_pods, objects: limits.max_objects }
}

/// kube-scheduler's own client and its one scheduling loop (`pkg/scheduler/apis/config/v1/defaults.go`).
pub fn scheduler(timing: &Timing) -> ActorSettings {
    let work_time = timing.scheduler.cycle_time.into();
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

/// The kubelets: one client for each node, a worker for each pod. What could not be written is tried again at the next
/// sync at the latest (`pkg/kubelet/apis/config/v1beta1/defaults.go`, `pkg/kubelet/status/status_manager.go`).
pub fn kubelet() -> ActorSettings {
    let backoff_max = SimDuration::from_secs(10);
    ActorSettings { milli_qps: 50_000, burst: 100, workers: usize::MAX, backoff_max, ..ActorSettings::default() }
}

/// How long things may take in a cluster of that speed, for checks.
pub fn check_bounds(scenario: &Scenario) -> Bounds {
    let timing = &scenario.timing;
    // Without a control plane nothing has to happen.
    let away = if disturbed(scenario) { scenario.duration.0 } else { SimDuration::ZERO };
    let usual = Bounds::default();
    // A slow client takes longer over a batch of writes.
    let qps = |given: &crate::scenario::timing::ComponentTiming| given.qps.filter(|qps| *qps > 0);
    let slowest = timing.components.values().filter_map(qps).min().unwrap_or(20).min(20);
    let lag = Delay::from(timing.watch_delay).longest() + Delay::from(timing.request_latency).longest();
    let stale = SimDuration(usual.stale.0 * 20 / i64::from(slowest)) + lag * 4;
    let monitor = &timing.node_monitor;
    let silence = monitor.grace_period.0.max(monitor.startup_grace_period.0) + monitor.period.0;
    Bounds {
        stale: stale + away,
        rest: usual.rest.max(stale) + away,
        grace: usual.grace.max(silence + timing.kubelet.node_status_update_frequency.0 + lag * 4) + away,
        crash_initial: timing.kubelet.crash_loop_initial_backoff.0,
        crash_max: timing.kubelet.crash_loop_max_backoff.0,
    }
}

/// Whether some fault may keep the control plane from its work.
fn disturbed(scenario: &Scenario) -> bool {
    let timed = scenario.timeline.iter().filter_map(|entry| match &entry.action {
        Action::Fault(fault) => Some(fault),
        _ => None,
    });
    timed.chain(scenario.faults.iter().map(|rule| &rule.fault)).any(|fault| {
        let form = fault.form();
        let masters = form.nodes().is_some_and(|target| {
            let named = |name: &String| (0..7).any(|at| glob_matches(name, &format!("{CONTROL_PLANE}-{at}")));
            form.control_plane()
                || target.node.as_ref().is_some_and(named)
                || target.pool.as_deref() == Some(CONTROL_PLANE)
        });
        masters || matches!(form.effect(), Effect::Process { .. } | Effect::Hindrance(_) | Effect::Cloud { .. })
    })
}
