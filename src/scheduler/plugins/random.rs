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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::builder;
    use crate::scheduler::snapshot::Snapshot;
    use std::sync::Arc;

    #[test]
    fn every_node_is_as_likely() {
        const NODES: usize = 5;
        const PODS: u32 = 1000;
        let mut snapshot = Snapshot::default();
        for at in 0..NODES {
            snapshot.set_node(&Arc::new(builder::node(&format!("node-{at}"), 1000, 1 << 30, 110)));
        }
        snapshot.refresh();
        let nodes = snapshot.order().to_vec();
        let mut chosen = |seed: u64, pod: u32| {
            let pod = snapshot.compile(&Arc::new(builder::pod(&format!("pod-{pod}"), builder::spec("image", 1, 1))));
            let mut out = [0; NODES];
            Random { seed: Seed(seed) }.score(Cycle { pod: &pod, snapshot: &snapshot }, &None, &nodes, &mut out);
            assert_eq!(out.iter().filter(|score| **score == MAX_NODE_SCORE).count(), 1);
            out.iter().position(|score| *score == MAX_NODE_SCORE).unwrap()
        };
        let mut counts = [0u32; NODES];
        (0..PODS).for_each(|pod| counts[chosen(1, pod)] += 1);
        // 200 a node are expected; with 4 degrees of freedom chi-square is below 18.47 in 999 of 1,000 cases.
        let chi_square: f64 = counts.iter().map(|count| (f64::from(*count) - 200.0).powi(2) / 200.0).sum();
        assert!(chi_square < 18.47, "{counts:?}");
        // A pod's draw is its own: the same whatever was drawn before, another with another seed.
        assert!((0..20).all(|pod| chosen(1, pod) == chosen(1, pod)));
        assert!((0..20).any(|pod| chosen(1, pod) != chosen(2, pod)));
    }
}
