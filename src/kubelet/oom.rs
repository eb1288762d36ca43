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
use crate::model::{Container, Key, Pod};
use crate::time::SimTime;

/// Priority of `system-node-critical`.
const NODE_CRITICAL: i32 = 2_000_001_000;

/// `oom_score_adj` of a container on a node with `capacity` bytes of memory.
pub fn score_adj(pod: &Pod, container: &Container, capacity: i64) -> i64 {
    if pod.spec.priority >= NODE_CRITICAL {
        return -997;
    }
    match pod.spec.qos() {
        QosClass::Guaranteed => -997,
        QosClass::BestEffort => 1000,
        QosClass::Burstable => {
            let apps = pod.spec.containers.iter();
            let own = burstable(container.requests.memory, capacity);
            // A sidecar is no more likely to go than the container it serves.
            let least = apps.map(|app| burstable(app.requests.memory, capacity)).max();
            if container.sidecar { least.map_or(own, |least| own.min(least)) } else { own }
        }
    }
}

fn burstable(request: i64, capacity: i64) -> i64 {
    match 1000 - 1000 * request / capacity.max(1) {
        score if score < 3 => 3,
        1000 => 999,
        score => score,
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
            (GIB, 0, NODE_CRITICAL, -997),
        ];
        for (request, limit, priority, expected) in table {
            let mut spec = spec("app:1", 0, request);
            let container = &mut spec.containers[0];
            if limit > 0 {
                container.limits.memory = limit;
                (container.requests.milli_cpu, container.limits.milli_cpu) = (100, 100);
            }
            spec.priority = priority;
            let pod = pod("p", spec);
            assert_eq!(score_adj(&pod, &pod.spec.containers[0], 8 * GIB), expected, "{request} {limit} {priority}");
        }
    }
}
