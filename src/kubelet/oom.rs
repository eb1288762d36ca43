//! Whom the kernel kills when a node has no memory left (`pkg/kubelet/qos/policy.go`; Linux `mm/oom_kill.c`).
//!
//! Every container has a score adjustment from its class of service: -997 for Guaranteed, 1000 for BestEffort, and
//! for Burstable the less the more memory it requests. The kernel adds to it, in thousandths of the memory, what the
//! container uses, and kills the one with the most points.
//!
//! A worked example, on a node of 8 GiB: a BestEffort container that uses 1 GiB has 1000 + 125 points; a Burstable
//! one with a request of 4 GiB that uses 6 GiB has 1000 - 500 + 750 = 1250, and goes first.

use super::load::{Load, Stock};
use crate::model::pod_spec::QosClass;
use crate::model::{Container, Key, Pod, PodSpec};
use crate::time::SimTime;

/// The class of pods that go last of all.
const NODE_CRITICAL: &str = "system-node-critical";
/// The least priority of the system's own classes.
const CRITICAL: i32 = 2_000_000_000;

/// `oom_score_adj` of a container on a node with `capacity` bytes of memory.
pub fn score_adj(pod: &Pod, container: &Container, capacity: i64) -> i64 {
    if pod.spec.priority >= CRITICAL && pod.spec.priority_class == NODE_CRITICAL {
        return -997;
    }
    match pod.spec.qos() {
        QosClass::Guaranteed => -997,
        QosClass::BestEffort => 1000,
        QosClass::Burstable => {
            let share = share_of_the_rest(&pod.spec);
            let score = |request: i64| 1000 - 1000 * (request + share) / capacity.max(1);
            let own = score(container.requests.memory);
            // A sidecar is no more likely to go than the container it serves.
            let least = pod.spec.containers.iter().map(|app| score(app.requests.memory)).max();
            match if container.sidecar { least.map_or(own, |least| own.min(least)) } else { own } {
                score if score < 3 => 3,
                1000 => 999,
                score => score,
            }
        }
    }
}

/// What the pod as a whole requests beyond its containers is divided among them (`remainingPodMemReqPerContainer`).
fn share_of_the_rest(spec: &PodSpec) -> i64 {
    let containers = (spec.containers.len() + spec.init_containers.len()) as i64;
    match spec.pod_level.as_ref().map_or(0, |level| level.requests.memory) {
        0 => 0,
        of_pod => (of_pod - spec.container_requests().memory) / containers.max(1),
    }
}

/// The container that the kernel kills at `now`.
pub fn victim(load: &Load, capacity: i64, now: SimTime) -> Option<(Key, usize)> {
    let mut worst: Option<(i64, Key, usize)> = None;
    for (key, pod) in load.pods() {
        for share in &pod.shares {
            let used = share.takes(Stock::Memory, now);
            // In bytes rather than pages: the order is the same.
            let points = used + share.oom_score_adj * (capacity / 1000);
            if used > 0 && worst.as_ref().is_none_or(|(most, ..)| points > *most) {
                worst = Some((points, key.clone(), share.container));
            }
        }
    }
    worst.map(|(_, key, container)| (key, container))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::builder::{pod, spec};

    #[test]
    fn scores_by_class_and_request() {
        const GIB: i64 = 1 << 30;
        // (request, limit, priority, score) on a node of 8 GiB: 1000 - 1000 * request / 8 GiB.
        let table = [
            (0, 0, 0, 1000),
            (GIB, 0, 0, 875),
            (4 * GIB, 0, 0, 500),
            (8 * GIB, 0, 0, 3),
            (1 << 20, 0, 0, 999),
            (GIB, 2 * GIB, 0, 875),
            (GIB, GIB, 0, -997),
            (GIB, 0, CRITICAL, -997),
            (GIB, 0, CRITICAL - 1, 875),
        ];
        for (request, limit, priority, expected) in table {
            let mut spec = spec("app:1", 0, request);
            let container = &mut spec.containers[0];
            if limit > 0 {
                container.limits.memory = limit;
                (container.requests.milli_cpu, container.limits.milli_cpu) = (100, 100);
            }
            (spec.priority, spec.priority_class) = (priority, NODE_CRITICAL.into());
            let pod = pod("p", spec);
            assert_eq!(score_adj(&pod, &pod.spec.containers[0], 8 * GIB), expected, "{request} {limit} {priority}");
        }
    }
}
