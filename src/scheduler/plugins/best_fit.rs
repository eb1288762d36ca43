//! BestFit: where the least is left over, over all dimensions that count, weighed against the largest machine
//! (`pkg/simulator/plugin/best_fit_score.go` of the simulator of "Beware of Fragmentation").
//!
//! Largest machine 8 CPUs and 32 GiB. A pod of 2 CPUs and 8 GiB on a node with 4 CPUs and 16 GiB left:
//! the mean of 2/8 and 8/32 is 0.25, so 75; on an idle machine it is 0.75, so 25.

use crate::scheduler::gpu::read::{Reader, ask};
use crate::scheduler::gpu::{GpuAsk, GpuNode};
use crate::scheduler::plugin::{Cycle, NodeId, Plugin, Point, State};

/// Amounts in the dimensions that count.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Space {
    /// CPU in thousandths.
    pub milli_cpu: i64,
    /// Memory in bytes.
    pub memory: i64,
    /// Thousandths of a GPU, over all devices.
    pub gpu: i64,
}

impl Space {
    /// What the node has left.
    pub fn left(node: &GpuNode) -> Self {
        Space { milli_cpu: node.milli_cpu, memory: node.memory, gpu: node.free_total() }
    }

    /// What a pod asks for.
    pub fn demand(ask: &GpuAsk, memory: i64) -> Self {
        Space { milli_cpu: ask.milli_cpu, memory, gpu: ask.total() }
    }

    /// How many dimensions count: a dimension in which the largest machine has nothing does not.
    pub fn dimensions(&self) -> usize {
        self.amounts().iter().filter(|amount| **amount > 0).count().max(1)
    }

    fn amounts(&self) -> [i64; 3] {
        [self.milli_cpu, self.memory, self.gpu]
    }

    /// The amounts of three spaces side by side, in the dimensions in which `largest` has something.
    pub fn zip(a: &Space, b: &Space, largest: &Space) -> impl Iterator<Item = (i64, i64, i64)> {
        let (a, b) = (a.amounts(), b.amounts());
        largest.amounts().into_iter().enumerate().filter(|(_, l)| *l > 0).map(move |(at, l)| (a[at], b[at], l))
    }
}

/// The raw score of a node with `left` for a pod of `demand`: 100 when nothing is left over.
pub fn raw(left: &Space, demand: &Space, largest: &Space) -> i64 {
    let rest: f64 =
        Space::zip(left, demand, largest).map(|(left, demand, largest)| (left - demand) as f64 / largest as f64).sum();
    ((1.0 - rest / largest.dimensions() as f64) * 100.0) as i64
}

/// Spreads raw scores over 0–100 between the lowest and the highest; all 0 where they are alike.
pub fn normalize(scores: &mut [i64]) {
    let low = scores.iter().copied().min().unwrap_or(0);
    let high = scores.iter().copied().max().unwrap_or(0);
    for score in scores {
        *score = if high == low { 0 } else { (*score - low) * 100 / (high - low) };
    }
}

/// Raw scores of `nodes` for the pod of this cycle.
pub(super) fn raw_scores(reader: &Reader, cycle: Cycle<'_>, largest: Option<Space>, nodes: &[NodeId], out: &mut [i64]) {
    let demand = Space::demand(&ask(&cycle.pod.pod), cycle.pod.spec.requests.memory);
    let largest = largest.unwrap_or_else(|| reader.largest(cycle.snapshot));
    for (node, score) in nodes.iter().zip(out) {
        *score = raw(&Space::left(&reader.node(cycle.snapshot, *node)), &demand, &largest);
    }
}

/// The plugin.
#[derive(Debug, Default)]
pub struct BestFit {
    /// The largest machine, 0 in dimensions that do not count; by default that of the cluster.
    pub largest: Option<Space>,
    reader: Reader,
}

impl BestFit {
    /// With a given largest machine.
    pub fn new(largest: Space) -> Self {
        BestFit { largest: Some(largest), reader: Reader::default() }
    }
}

impl Plugin for BestFit {
    fn name(&self) -> &'static str {
        "BestFit"
    }

    fn points(&self) -> &'static [Point] {
        &[Point::Score]
    }

    fn score(&self, cycle: Cycle<'_>, _: &State, nodes: &[NodeId], out: &mut [i64]) {
        raw_scores(&self.reader, cycle, self.largest, nodes, out);
    }

    fn normalize(&self, _: Cycle<'_>, _: &State, _: &[NodeId], scores: &mut [i64]) {
        self::normalize(scores);
    }
}
