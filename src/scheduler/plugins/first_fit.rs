//! FirstFit: the first node that fits, in the order in which nodes joined the cluster.
//!
//! Of nodes 1, 2 and 3 the pod fits on 2 and 3: they get 100 and 0.

use crate::scheduler::plugin::{Cycle, MAX_NODE_SCORE, NodeId, Plugin, Point, State};

/// The plugin.
#[derive(Debug, Default)]
pub struct FirstFit;

impl Plugin for FirstFit {
    fn name(&self) -> &'static str {
        "FirstFit"
    }

    fn points(&self) -> &'static [Point] {
        &[Point::Score]
    }

    fn score(&self, _: Cycle<'_>, _: &State, nodes: &[NodeId], out: &mut [i64]) {
        if let Some((at, _)) = nodes.iter().enumerate().min_by_key(|(_, node)| **node) {
            out[at] = MAX_NODE_SCORE;
        }
    }
}
