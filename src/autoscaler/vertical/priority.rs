//! How much a pod is off what is recommended for it, and whether that is reason enough to touch it
//! (`vertical-pod-autoscaler/pkg/updater/priority/`).
//!
//! A worked example: a pod requests 100m and 1Gi; 300m and 1Gi are recommended, at least 150m. It is below the lower bound,
//! so it is touched at once; its priority is |100 - 300| / 100 = 2. Within the bounds it would be left alone for twelve
//! hours, and then touched only if it were off by a tenth.

use crate::model::Pod;
use crate::model::vertical::{EvictionRequirement, Recommended, VerticalPodAutoscaler, requests};
use crate::time::{SimDuration, SimTime};

/// `--pod-update-threshold`, in thousandths.
const LEAST_CHANGE_MILLI: i64 = 100;
/// `--in-recommendation-bounds-eviction-lifetime-threshold`.
const LIFETIME: SimDuration = SimDuration::from_secs(12 * 3600);
/// `--evict-after-oom-threshold`.
const QUICK_KILL: SimDuration = SimDuration::from_secs(600);

/// How much a pod is off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Priority {
    /// Some request is below its lower or above its upper bound, or missing.
    pub outside: bool,
    /// Some container should have more.
    pub scale_up: bool,
    /// The relative differences of all resources together, in thousandths.
    pub difference_milli: i64,
}

impl Priority {
    /// The order in which pods are touched: those that need more first, then those that are most off.
    pub fn order(&self) -> (bool, i64) {
        (!self.scale_up, -self.difference_milli)
    }
}

/// How much a pod is off (`GetUpdatePriority`).
pub fn priority(pod: &Pod, recommended: &[Recommended]) -> Priority {
    let mut found = Priority { outside: false, scale_up: false, difference_milli: 0 };
    let mut sums = [(0i64, 0i64); 2];
    for container in &pod.spec.containers {
        let Some(wanted) = recommended.iter().find(|one| one.container == container.name) else { continue };
        let requests = requests(container);
        for at in 0..2 {
            let Some(target) = wanted.target[at] else { continue };
            sums[at].1 += target;
            let Some(request) = requests[at] else {
                (found.scale_up, found.outside) = (true, true);
                continue;
            };
            sums[at].0 += request;
            found.scale_up |= target > request;
            found.outside |= wanted.lower[at].is_some_and(|lower| request < lower);
            found.outside |= wanted.upper[at].is_some_and(|upper| request > upper);
        }
    }
    for (asked, wanted) in sums.into_iter().filter(|(_, wanted)| *wanted > 0) {
        let asked = asked.max(1);
        let milli = i128::from((asked - wanted).abs()) * 1000 / i128::from(asked);
        found.difference_milli = found.difference_milli.saturating_add(i64::try_from(milli).unwrap_or(i64::MAX));
    }
    found
}

/// Whether a pod is to be touched, and how much it is off (`AddPod`).
pub fn wanted(vertical: &VerticalPodAutoscaler, pod: &Pod, now: SimTime) -> Option<Priority> {
    let recommended = vertical.for_pod(&pod.spec);
    let found = priority(pod, &recommended);
    let heeded = |name: &str| !vertical.policy(name).is_some_and(|policy| policy.off);
    let killed_soon = pod.status.containers.iter().filter(|one| heeded(&one.name)).any(|one| {
        let last = one.last.as_ref();
        last.is_some_and(|last| last.reason == "OOMKilled" && last.finished - last.started < QUICK_KILL)
    });
    if !found.outside && !killed_soon {
        let old = pod.status.start_time.is_some_and(|start| now >= start + LIFETIME);
        if !old || found.difference_milli < LEAST_CHANGE_MILLI {
            return None;
        }
    }
    if killed_soon && found.difference_milli == 0 {
        return None;
    }
    admitted(pod, &recommended, &vertical.requirements).then_some(found)
}

/// Whether some container changes as all requirements want it (`scaling_direction_pod_eviction_admission.go`).
fn admitted(pod: &Pod, recommended: &[Recommended], requirements: &[EvictionRequirement]) -> bool {
    let met = |container: &crate::model::Container, wanted: &Recommended, requirement: &EvictionRequirement| {
        let requests = requests(container);
        (0..2).filter(|at| requirement.resources[*at]).any(|at| match (requests[at], wanted.target[at]) {
            (Some(request), Some(target)) if requirement.higher => target > request,
            (Some(request), Some(target)) => target < request,
            (None, Some(_)) => requirement.higher,
            (_, None) => false,
        })
    };
    requirements.is_empty()
        || pod.spec.containers.iter().any(|container| {
            let wanted = recommended.iter().find(|one| one.container == container.name);
            wanted.is_some_and(|wanted| requirements.iter().all(|requirement| met(container, wanted, requirement)))
        })
}
