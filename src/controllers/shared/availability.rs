//! When ready pods become available (`pkg/controller/controller_utils.go`).
//!
//! A worked example: with `minReadySeconds` 10, a pod that is ready since 12:00:00.7 counts from 12:00:00, the second
//! that the API keeps, and is available at 12:00:10.

use crate::model::Pod;
use crate::runtime::Requeue;
use crate::time::{SimDuration, SimTime};

/// Since when a pod is ready, in the whole seconds that the API keeps.
pub fn ready_since(pod: &Pod) -> Option<SimTime> {
    pod.ready_since().map(SimTime::truncated)
}

/// When a pod that is ready since then becomes available.
pub fn available_at(since: SimTime, min_ready_seconds: i32) -> SimTime {
    since + SimDuration::from_secs(i64::from(min_ready_seconds))
}

/// When the next of these ready pods becomes available (`FindMinNextPodAvailabilityCheck`).
pub fn next_check<'a>(min_ready_seconds: i32, pods: impl Iterator<Item = &'a Pod>, now: SimTime) -> Requeue {
    if min_ready_seconds <= 0 {
        return Requeue::Done;
    }
    let times = pods.filter_map(ready_since).map(|since| available_at(since, min_ready_seconds));
    times.filter(|at| *at > now).min().map_or(Requeue::Done, |at| Requeue::After(at - now))
}
