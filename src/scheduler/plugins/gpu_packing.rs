//! GpuPacking: devices in use before free ones, nodes in use before idle ones
//! (`pkg/simulator/plugin/gpu_packing_score.go` of the simulator of "Beware of Fragmentation").
//!
//! A share that fits on a used device with 400 left: 100 − 40 / 10 = 96. One that has to open one of the
//! free devices of a node in use: 50 − 1 = 49. On an idle node with 8 devices: 33 − 8 = 25.

use crate::scheduler::gpu::read::{Reader, ask};
use crate::scheduler::gpu::{GpuAsk, GpuNode, WHOLE};
use crate::scheduler::plugin::{Cycle, NodeId, Plugin, Point, State};

/// The score of a node that can hold `ask`.
pub fn score(node: &GpuNode, ask: &GpuAsk) -> i64 {
    if ask.count == 0 {
        return 0;
    }
    let free = node.free_devices();
    if free == node.free.len() {
        let free = free as i64;
        return (33 - free).max(free);
    }
    let chosen = node.best_fit(ask);
    let left = || chosen.iter().map(|at| node.free[usize::from(*at)]);
    let opened = left().filter(|free| *free == WHOLE).count() as i64;
    if opened > 0 {
        return (50 - opened).max(33);
    }
    let room: i64 = left().map(|free| free * 100 / WHOLE).sum();
    (100 - room / 10).max(50)
}

/// The plugin.
#[derive(Debug, Default)]
pub struct GpuPacking {
    reader: Reader,
}

impl Plugin for GpuPacking {
    fn name(&self) -> &'static str {
        "GpuPacking"
    }

    fn points(&self) -> &'static [Point] {
        &[Point::Score]
    }

    fn score(&self, cycle: Cycle<'_>, _: &State, nodes: &[NodeId], out: &mut [i64]) {
        let ask = ask(&cycle.pod.pod);
        for (node, score) in nodes.iter().zip(out) {
            *score = self::score(&self.reader.node(cycle.snapshot, *node), &ask);
        }
    }
}
