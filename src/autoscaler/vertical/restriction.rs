//! How many pods of a set may be disturbed at once (`vertical-pod-autoscaler/pkg/updater/restriction/`).
//!
//! A worked example: of a ReplicaSet of four, two must stay: 4 - trunc(4 * 0.5). All four run, so two may go in one look. Of
//! three, trunc(3 * 0.5) = 1 may go.

use crate::model::{Pod, condition};
use crate::time::{SimDuration, SimTime};

/// `--min-replicas`.
pub const MIN_REPLICAS: i32 = 2;
/// `--eviction-tolerance`, in thousandths.
const TOLERANCE_MILLI: i64 = 500;
/// How long a resize may be put off before the pod is evicted instead.
const DEFERRED: SimDuration = SimDuration::from_secs(5 * 60);
/// How long it may take.
const IN_PROGRESS: SimDuration = SimDuration::from_secs(3600);

/// The pods of one controller.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Group {
    /// How many there should be.
    pub configured: i64,
    /// How many of them run.
    pub running: i64,
    /// How many were evicted, or their resize begun, in this look.
    pub disturbed: i64,
}

impl Group {
    /// Whether one more may be disturbed (`isPodDisruptable`).
    pub fn spares_one(&self) -> bool {
        let tolerance = self.configured * TOLERANCE_MILLI / 1000;
        let alive = self.running - self.disturbed;
        alive > self.configured - tolerance
            || (self.configured == self.running && tolerance == 0 && self.disturbed == 0)
    }
}

/// What becomes of a pod that should get other resources in place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InPlace {
    /// It is resized.
    Approved,
    /// Later.
    Deferred,
    /// It is evicted instead.
    Evict,
}

/// Whether its kubelet is at work on a resize.
pub fn resizing(pod: &Pod) -> bool {
    ["PodResizePending", "PodResizeInProgress"].iter().any(|kind| condition::is_true(&pod.status.conditions, kind))
}

/// What becomes of a pod (`CanInPlaceUpdate`). `since`: when a resize of it was first seen under way.
pub fn in_place(pod: &Pod, group: &Group, since: SimTime, now: SimTime) -> InPlace {
    if pod.status.phase == crate::model::Phase::Pending {
        return InPlace::Deferred;
    }
    if resizing(pod) {
        return if stuck(pod, group, since, now) { InPlace::Evict } else { InPlace::Deferred };
    }
    if group.spares_one() { InPlace::Approved } else { InPlace::Deferred }
}

/// Whether a resize has failed or takes too long (`CanEvictInPlacingPod`).
pub fn stuck(pod: &Pod, group: &Group, since: SimTime, now: SimTime) -> bool {
    if !group.spares_one() {
        return false;
    }
    let conditions = &pod.status.conditions;
    if let Some(pending) = condition::find(conditions, "PodResizePending") {
        return pending.reason != "Deferred" || now - since > DEFERRED;
    }
    condition::find(conditions, "PodResizeInProgress").is_some_and(|progress| {
        !(progress.reason.is_empty() && progress.message.is_empty()) || now - since > IN_PROGRESS
    })
}
