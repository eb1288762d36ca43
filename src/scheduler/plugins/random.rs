//! Random: any node that fits, each as likely; on it any device that fits.
//!
//! What is drawn for a pod depends on the run's seed and the pod's name alone: another pod more or less in the
//! cluster does not change it.

use crate::model::{Name, Pod};
use crate::rng::{Seed, Stream};
use crate::scheduler::gpu::read::{ask, assignment, node};
use crate::scheduler::plugin::{Cycle, MAX_NODE_SCORE, NodeId, Plugin, Point, State};

/// The plugin.
#[derive(Debug)]
pub struct Random {
    /// The run's seed.
    pub seed: Seed,
}

impl Random {
    fn stream(&self, purpose: &str, pod: &Pod) -> Stream {
        self.seed.stream(purpose, &format!("{}/{}", pod.meta.namespace, pod.meta.name))
    }
}

impl Plugin for Random {
    fn name(&self) -> &'static str {
        "Random"
    }

    fn points(&self) -> &'static [Point] {
        &[Point::Score, Point::Reserve]
    }

    fn score(&self, cycle: Cycle<'_>, _: &State, nodes: &[NodeId], out: &mut [i64]) {
        if !nodes.is_empty() {
            let at = self.stream("scheduler/random-node", &cycle.pod.pod).below(nodes.len() as u64);
            out[at as usize] = MAX_NODE_SCORE;
        }
    }

    fn assign(&self, cycle: Cycle<'_>, place: NodeId) -> Option<(Name, Name)> {
        let ask = ask(&cycle.pod.pod);
        let mut stream = self.stream("scheduler/random-device", &cycle.pod.pod);
        assignment(&node(cycle.snapshot, place).any_fit(&ask, &mut stream))
    }
}
