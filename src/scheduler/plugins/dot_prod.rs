//! DotProd: rather where the pod's demand and what the node has left point in different directions, weighed
//! against the largest machine
//! (`pkg/simulator/plugin/dot_product_score.go` of the simulator of "Beware of Fragmentation").
//!
//! A pod of half the largest machine in CPU and none of its GPU, on an idle largest machine:
//! 100 × (1 − (1 × 0.5 + 1 × 0) / 2) = 75.

use super::best_fit::Space;
use crate::scheduler::gpu::read::{Reader, ask};
use crate::scheduler::plugin::{Cycle, NodeId, Plugin, Point, State};

/// The score, 0–100, of a node with `left` for a pod of `demand`.
pub fn score(left: &Space, demand: &Space, largest: &Space) -> i64 {
    let dimensions = largest.dimensions();
    let sum: f64 = Space::zip(left, demand, largest)
        .map(|(left, demand, largest)| left as f64 / largest as f64 * (demand as f64 / largest as f64))
        .sum();
    (100.0 * (1.0 - sum / dimensions as f64)) as i64
}

/// The plugin.
#[derive(Debug, Default)]
pub struct DotProd {
    /// The largest machine, 0 in dimensions that do not count; by default that of the cluster.
    pub largest: Option<Space>,
    reader: Reader,
}

impl DotProd {
    /// With a given largest machine.
    pub fn new(largest: Space) -> Self {
        DotProd { largest: Some(largest), reader: Reader::default() }
    }
}

impl Plugin for DotProd {
    fn name(&self) -> &'static str {
        "DotProd"
    }

    fn points(&self) -> &'static [Point] {
        &[Point::Score]
    }

    fn score(&self, cycle: Cycle<'_>, _: &State, nodes: &[NodeId], out: &mut [i64]) {
        let demand = Space::demand(&ask(&cycle.pod.pod), cycle.pod.spec.requests.memory);
        let largest = self.largest.unwrap_or_else(|| self.reader.largest(cycle.snapshot));
        for (node, score) in nodes.iter().zip(out) {
            *score = self::score(&Space::left(&self.reader.node(cycle.snapshot, *node)), &demand, &largest);
        }
    }
}
