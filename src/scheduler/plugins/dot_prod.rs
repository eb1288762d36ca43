//! DotProd: rather where the pod's demand and what the node has left point in different directions, weighed
//! against the largest machine
//! (`pkg/simulator/plugin/dot_product_score.go` of the simulator of "Beware of Fragmentation").
//!
//! A pod of half the largest machine in CPU and none of its GPU, on an idle largest machine:
//! 100 × (1 − (1 × 0.5 + 1 × 0) / 2) = 75.

use super::best_fit::Space;

/// The score, 0–100, of a node with `left` for a pod of `demand`.
pub fn score(left: &Space, demand: &Space, largest: &Space) -> i64 {
    let dimensions = largest.dimensions();
    let sum: f64 = Space::zip(left, demand, largest)
        .map(|(left, demand, largest)| left as f64 / largest as f64 * (demand as f64 / largest as f64))
        .sum();
    (100.0 * (1.0 - sum / dimensions as f64)) as i64
}
