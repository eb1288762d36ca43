//! ImageLocality: rather where the images already are
//! (`pkg/scheduler/framework/plugins/imagelocality/image_locality.go`).
//!
//! An image counts by its size times the share of nodes that have it, in float64 as upstream. Upstream
//! refreshes the number of nodes per image only for nodes that changed; here it is always current.

use crate::scheduler::plugin::{Cycle, MAX_NODE_SCORE, NodeId, Plugin, Point, State};
use crate::scheduler::snapshot::ImageId;
use smallvec::SmallVec;

/// The plugin.
pub struct ImageLocality;

const MIB: i64 = 1 << 20;
const LEAST: i64 = 23 * MIB;
const MOST_PER_CONTAINER: i64 = 1000 * MIB;

impl Plugin for ImageLocality {
    fn name(&self) -> &'static str {
        "ImageLocality"
    }

    fn points(&self) -> &'static [Point] {
        &[Point::Score]
    }

    fn score(&self, cycle: Cycle<'_>, _: &State, nodes: &[NodeId], out: &mut [i64]) {
        let snapshot = cycle.snapshot;
        let spec = &cycle.pod.spec;
        let all = snapshot.order().len() as f64;
        if spec.images.iter().all(|image| snapshot.images[image.0 as usize].nodes == 0) {
            return;
        }
        let most = MOST_PER_CONTAINER * spec.image_containers;
        let worth = |id: &ImageId| {
            let image = &snapshot.images[id.0 as usize];
            (*id, (image.size as f64 * (image.nodes as f64 / all)) as i64)
        };
        let worth: SmallVec<[(ImageId, i64); 4]> = spec.images.iter().map(worth).collect();
        let judge = |sum: i64| MAX_NODE_SCORE * (sum.clamp(LEAST, most.max(LEAST)) - LEAST) / (most - LEAST);
        let everything = judge(worth.iter().map(|(_, worth)| worth).sum());
        let everywhere = |image: &ImageId| snapshot.images[image.0 as usize].nodes as usize == snapshot.order().len();
        // Small images count for nothing wherever they are.
        if everything == judge(0) || spec.images.iter().all(everywhere) {
            return out[..nodes.len()].fill(everything);
        }
        // Most nodes have the same of these images.
        let mut last = (0, judge(0));
        for (node, score) in nodes.iter().zip(out) {
            let present = &snapshot.node_images[node.at()];
            let there = worth.iter().filter(|(image, _)| present.binary_search(image).is_ok());
            let sum = there.map(|(_, worth)| worth).sum();
            if sum != last.0 {
                last = (sum, judge(sum));
            }
            *score = last.1;
        }
    }
}
