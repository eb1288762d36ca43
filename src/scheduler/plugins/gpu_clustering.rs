//! GpuClustering: pods of one kind (a share of a device, one device, two, …) keep together
//! (`pkg/simulator/plugin/gpu_clustering_score.go` of the simulator of "Beware of Fragmentation").
//!
//! A share on a node that holds only shares and has 2 of 8 devices free: 25 × 6000 / 8000 + 75 = 93.

use crate::scheduler::gpu::read::{Reader, ask};
use crate::scheduler::gpu::{GpuAsk, GpuNode};
use crate::scheduler::plugin::{Cycle, NodeId, Plugin, Point, State};

/// The score of a node that can hold `ask`; `largest` is the most GPU that a node has.
pub fn score(node: &GpuNode, ask: &GpuAsk, largest: i64) -> i64 {
    let kind = ask.kind();
    if kind == 0 {
        return 0;
    }
    let bonus = match node.kinds {
        0 => 25,
        only if only == kind => 75,
        several if several & kind != 0 => 50,
        _ => 0,
    };
    25 * (largest - node.free_total()) / largest.max(1) + bonus
}

/// The plugin.
#[derive(Debug, Default)]
pub struct GpuClustering {
    reader: Reader,
}

impl Plugin for GpuClustering {
    fn name(&self) -> &'static str {
        "GpuClustering"
    }

    fn points(&self) -> &'static [Point] {
        &[Point::Score]
    }

    fn score(&self, cycle: Cycle<'_>, _: &State, nodes: &[NodeId], out: &mut [i64]) {
        let ask = ask(&cycle.pod.pod);
        let largest = self.reader.largest(cycle.snapshot).gpu;
        for (node, score) in nodes.iter().zip(out) {
            *score = self::score(&self.reader.node(cycle.snapshot, *node), &ask, largest);
        }
    }
}
