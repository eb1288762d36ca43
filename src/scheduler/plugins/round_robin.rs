//! RoundRobin: the next node that fits after the one that got the pod before, in the order in which nodes
//! joined the cluster.
//!
//! The last pod went to node 2 of 3: node 3 gets 100 if the pod fits there, else node 1, else node 2.

use crate::model::Name;
use crate::scheduler::plugin::{Cycle, MAX_NODE_SCORE, NodeId, Plugin, Point, State};
use std::cell::Cell;

/// The plugin. It remembers where the last pod went, so each run needs its own.
#[derive(Debug, Default)]
pub struct RoundRobin {
    /// The first slot that is up next.
    next: Cell<u32>,
}

impl Plugin for RoundRobin {
    fn name(&self) -> &'static str {
        "RoundRobin"
    }

    fn points(&self) -> &'static [Point] {
        &[Point::Score, Point::Reserve]
    }

    fn score(&self, _: Cycle<'_>, _: &State, nodes: &[NodeId], out: &mut [i64]) {
        let next = self.next.get();
        if let Some((at, _)) = nodes.iter().enumerate().min_by_key(|(_, node)| (node.0 < next, node.0)) {
            out[at] = MAX_NODE_SCORE;
        }
    }

    fn assign(&self, _: Cycle<'_>, node: NodeId) -> Option<(Name, Name)> {
        self.next.set(node.0 + 1);
        None
    }
}
