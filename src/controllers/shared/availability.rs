//! When ready pods become available (`pkg/controller/controller_utils.go`).
//!
//! A worked example: with `minReadySeconds` 10, a pod that is ready since 12:00:00.7 counts from 12:00:00, the second
//! that the API keeps, and is available at 12:00:10.

use super::ownership::owners_in;
use crate::model::{Key, Kind, Object, Pod};
use crate::runtime::{Requeue, Wake};
use crate::store::Change;
use crate::time::{SimDuration, SimTime};

/// How much later than needed a set looks at a pod that has become ready, for clocks that differ.
const SKEW: SimDuration = SimDuration::from_secs(1);

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

/// A pod has become ready: the set that owns it looks again when it is available by all clocks, even if what the set
/// itself planned comes to nothing, because a write fails (`pkg/controller/replicaset/replica_set.go`, `updatePod`).
pub fn became_ready(change: &Change, kind: Kind, min_ready_seconds: impl Fn(&Key) -> Option<i32>, wake: &mut Wake<'_>) {
    let (Some(Object::Pod(old)), Some(Object::Pod(new))) = (&change.old, &change.new) else { return };
    if old.is_ready() || !new.is_ready() || new.meta.deleting() {
        return;
    }
    let Some(owner) = owners_in(change, kind).next() else { return };
    if let Some(seconds) = min_ready_seconds(&owner).filter(|seconds| *seconds > 0) {
        wake.add_after(owner, SimDuration::from_secs(i64::from(seconds)) + SKEW);
    }
}
