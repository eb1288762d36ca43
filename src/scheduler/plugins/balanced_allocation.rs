//! NodeResourcesBalancedAllocation: rather where the pod makes the shares of the resources more alike
//! (`pkg/scheduler/framework/plugins/noderesources/balanced_allocation.go`).
//!
//! The shares are float64 upstream, so they are here: division and square root have the same bits everywhere.

use super::resource_allocation::{Counted, ResourceWeight, Usage};
use crate::scheduler::plugin::{Cycle, NodeId, Plugin, Point, PreScore, State};
use smallvec::SmallVec;

/// The plugin with its arguments.
#[derive(Clone, Debug)]
pub struct BalancedAllocation {
    /// Which resources; weights do not matter.
    pub resources: Vec<ResourceWeight>,
}

impl Default for BalancedAllocation {
    fn default() -> Self {
        BalancedAllocation { resources: ResourceWeight::cpu_and_memory() }
    }
}

/// 100 for equal shares, less for unequal ones.
fn balance(shares: &[f64]) -> i64 {
    let deviation = match shares {
        [a, b] => ((a - b) / 2.0).abs(),
        [] | [_] => 0.0,
        many => {
            let count = many.len() as f64;
            let mean = many.iter().sum::<f64>() / count;
            (many.iter().map(|share| (share - mean) * (share - mean)).sum::<f64>() / count).sqrt()
        }
    };
    ((1.0 - deviation) * 100.0) as i64
}

fn share(requested: i64, usage: &Usage) -> f64 {
    (requested as f64 / usage.capacity as f64).min(1.0)
}

impl Plugin for BalancedAllocation {
    fn name(&self) -> &'static str {
        "NodeResourcesBalancedAllocation"
    }

    fn points(&self) -> &'static [Point] {
        &[Point::PreScore, Point::Score]
    }

    fn local(&self) -> bool {
        true
    }

    fn scores_are_final(&self) -> bool {
        true
    }

    fn pre_score(&self, cycle: Cycle<'_>, _: &[NodeId]) -> PreScore {
        match Counted::of(&self.resources, &cycle.pod.spec.requests, cycle.snapshot).nothing_requested() {
            true => PreScore::Skip,
            false => PreScore::Run(None),
        }
    }

    fn score(&self, cycle: Cycle<'_>, _: &State, nodes: &[NodeId], out: &mut [i64]) {
        let counted = Counted::of(&self.resources, &cycle.pod.spec.requests, cycle.snapshot);
        for (node, score) in nodes.iter().zip(out) {
            let mut with: SmallVec<[f64; 4]> = SmallVec::new();
            let mut without: SmallVec<[f64; 4]> = SmallVec::new();
            for (usage, _) in counted.usage(cycle.snapshot, *node, false) {
                with.push(share(usage.requested, &usage));
                without.push(share(usage.requested - usage.by_pod, &usage));
            }
            *score = 50 + (50 + balance(&with) - balance(&without)) / 2;
        }
    }
}
