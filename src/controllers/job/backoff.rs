//! How long a job waits after failures (`pkg/controller/job/backoff_utils.go`).
//!
//! A worked example: three failures since the last success, the last at 12:00:00: 10 s · 2² = 40 s, so the next pod
//! is made at 12:00:40.

use crate::model::{ContainerState, Pod, Truth, condition};
use crate::time::{SimDuration, SimTime};

/// `DefaultJobPodFailureBackOff`.
const BASE: SimDuration = SimDuration::from_secs(10);
/// `MaxJobPodFailureBackOff`.
const MOST: SimDuration = SimDuration::from_secs(600);

/// Failures since the last success.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BackoffRecord {
    /// How many.
    pub failures: i32,
    /// When the last one was.
    pub last_failure: Option<SimTime>,
}

impl BackoffRecord {
    /// The record after more pods ended at these instants (`newBackoffRecord`).
    #[must_use]
    pub fn after(self, succeeded: &[SimTime], failed: &[SimTime]) -> Self {
        let last_success = succeeded.iter().max();
        match (last_success, failed.iter().max()) {
            (None, None) => self,
            (None, Some(last)) => {
                BackoffRecord { failures: self.failures + failed.len() as i32, last_failure: Some(*last) }
            }
            (Some(success), _) => {
                let since = || failed.iter().filter(|failure| *failure > success);
                BackoffRecord { failures: since().count() as i32, last_failure: since().max().copied() }
            }
        }
    }

    /// How long until the next pod may be made.
    pub fn remaining(self, now: SimTime) -> SimDuration {
        self.last_failure.map_or(SimDuration::ZERO, |last| remaining(self.failures, last, now))
    }
}

/// How long to wait after that many failures, the last of them at `last` (`getRemainingTimeForFailuresCount`).
pub fn remaining(failures: i32, last: SimTime, now: SimTime) -> SimDuration {
    if failures == 0 {
        return SimDuration::ZERO;
    }
    let delay = (BASE * (1i64 << (failures - 1).clamp(0, 10))).min(MOST);
    (delay - (now - last)).max_zero()
}

/// When a pod ended: its containers' end, else since when it is not ready, else when its deletion was asked for, else
/// its creation; in the whole seconds that the API keeps (`getFinishedTime`).
pub fn finished_at(pod: &Pod) -> SimTime {
    let ended = |container: &crate::model::ContainerStatus| match &container.state {
        ContainerState::Terminated(ended) => Some(ended.finished),
        _ => None,
    };
    let containers: Option<Vec<SimTime>> = pod.status.containers.iter().map(ended).collect();
    let not_ready = || {
        let ready = condition::find(&pod.status.conditions, "Ready");
        ready.filter(|ready| ready.status == Truth::False).map(|ready| ready.last_transition)
    };
    let deletion = || pod.meta.deletion.map(|deletion| deletion.at - SimDuration::from_secs(deletion.grace_seconds));
    let last = containers.and_then(|ends| ends.into_iter().max());
    last.or_else(not_ready).or_else(deletion).unwrap_or(pod.meta.created).truncated()
}
