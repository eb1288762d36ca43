//! WorstFit: where the most is left over, the opposite of [`super::best_fit`].
//!
//! Three nodes that would keep 25 %, 50 % and 75 % of the largest machine get 0, 50 and 100.

use super::best_fit::{Space, normalize, raw_scores};
use crate::scheduler::gpu::read::Reader;
use crate::scheduler::plugin::{Cycle, NodeId, Plugin, Point, State};

/// The plugin.
#[derive(Debug, Default)]
pub struct WorstFit {
    /// The largest machine, 0 in dimensions that do not count; by default that of the cluster.
    pub largest: Option<Space>,
    reader: Reader,
}

impl Plugin for WorstFit {
    fn name(&self) -> &'static str {
        "WorstFit"
    }

    fn points(&self) -> &'static [Point] {
        &[Point::Score]
    }

    fn score(&self, cycle: Cycle<'_>, _: &State, nodes: &[NodeId], out: &mut [i64]) {
        raw_scores(&self.reader, cycle, self.largest, nodes, out);
        out.iter_mut().for_each(|score| *score = -*score);
    }

    fn normalize(&self, _: Cycle<'_>, _: &State, _: &[NodeId], scores: &mut [i64]) {
        normalize(scores);
    }
}
