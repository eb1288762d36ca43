//! LoadAware: the node that is used least, by what its containers are measured to use instead of what they
//! request.
//!
//! Two nodes of 4 CPUs; on one, pods that request 3 use 1, on the other pods that request 1 use 2: the first gets
//! 75 for CPU, the second 50. A pod that does not run yet counts with 85 % of its cpu request and 70 % of
//! its memory request, and so does the pod to place (the estimates of Koordinator's plugin of this name,
//! `pkg/scheduler/plugins/loadaware/estimator`).

use crate::model::{Phase, Pod, pod::Usage};
use crate::scheduler::plugin::{Cycle, NodeId, Plugin, Point, State};

/// Percent of a cpu request that is expected to be used.
const EXPECTED_CPU_PERCENT: i64 = 85;
/// Percent of a memory request that is expected to be used.
const EXPECTED_MEMORY_PERCENT: i64 = 70;

/// The plugin.
#[derive(Debug, Default)]
pub struct LoadAware;

/// What is expected of a pod that has not run yet.
fn expected(pod: &Pod) -> Usage {
    let requests = pod.requests();
    Usage {
        milli_cpu: requests.milli_cpu * EXPECTED_CPU_PERCENT / 100,
        memory: requests.memory / 100 * EXPECTED_MEMORY_PERCENT,
    }
}

/// What a pod on a node uses.
fn used(pod: &Pod) -> Usage {
    match pod.status.phase {
        Phase::Pending => expected(pod),
        _ => pod.usage(),
    }
}

/// 0–100 for the share that is left.
fn left(capacity: i64, used: i64) -> i64 {
    if capacity <= 0 { 0 } else { (capacity - used).max(0) * 100 / capacity }
}

impl Plugin for LoadAware {
    fn name(&self) -> &'static str {
        "LoadAware"
    }

    fn points(&self) -> &'static [Point] {
        &[Point::Score]
    }

    fn score(&self, cycle: Cycle<'_>, _: &State, nodes: &[NodeId], out: &mut [i64]) {
        for (node, score) in nodes.iter().zip(out) {
            let mut sum = expected(&cycle.pod.pod);
            for other in &cycle.snapshot.pods[node.at()] {
                let used = used(&other.pod);
                sum.milli_cpu += used.milli_cpu;
                sum.memory += used.memory;
            }
            let row = &cycle.snapshot.rows[node.at()];
            *score = (left(row.milli_cpu, sum.milli_cpu) + left(row.memory, sum.memory)) / 2;
        }
    }

    fn measures(&self) -> bool {
        true
    }
}
