//! LoadAware: the node that is used least, by what its containers are measured to use instead of what they
//! request.
//!
//! Two nodes of 4 CPUs; on one, pods that request 3 use 1, on the other pods that request 1 use 2: the first gets
//! 75 for CPU, the second 50. A pod that does not run yet counts with 85 % of its cpu request and 70 % of
//! its memory request, and so does the pod to place (the estimates of Koordinator's plugin of this name,
//! `pkg/scheduler/plugins/loadaware/estimator`).

use crate::model::{Phase, Pod, pod::Usage};
use crate::scheduler::plugin::{Cycle, NodeId, Plugin, Point, State};

/// The plugin.
#[derive(Clone, Debug)]
pub struct LoadAware {
    /// Percent of a cpu request that is expected to be used.
    pub cpu_percent: i64,
    /// Percent of a memory request that is expected to be used.
    pub memory_percent: i64,
}

impl Default for LoadAware {
    fn default() -> Self {
        LoadAware { cpu_percent: 85, memory_percent: 70 }
    }
}

impl LoadAware {
    /// What is expected of a pod that has not run yet.
    fn expected(&self, pod: &Pod) -> Usage {
        let requests = pod.requests();
        Usage {
            milli_cpu: requests.milli_cpu * self.cpu_percent / 100,
            memory: requests.memory / 100 * self.memory_percent,
        }
    }

    /// What a pod on a node uses.
    fn used(&self, pod: &Pod) -> Usage {
        match pod.status.phase {
            Phase::Pending => self.expected(pod),
            _ => pod.usage(),
        }
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
            let mut sum = self.expected(&cycle.pod.pod);
            for other in &cycle.snapshot.pods[node.at()] {
                let used = self.used(&other.pod);
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
