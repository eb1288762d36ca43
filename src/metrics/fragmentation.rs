//! Fragmentation: the share of free capacity that the pods of this run could not have had, because they would not
//! fit on the node where it is free (the measure of Weng et al., ATC'23, over whole pods, cpu and memory).
//!
//! Worked example: two nodes have 3 cores free each; half of all pods ask for 2 cores, half for 4. The small shape
//! fits on both nodes, the large one on neither, so (0 × ½ + 6 × ½) ÷ 6 = 50 % of the free cores are fragments.

use super::record::Record;
use super::series::{share, together};
use crate::time::SimTime;
use std::collections::BTreeMap;

/// Only so many shapes are looked at, the most frequent ones.
pub const MOST_SHAPES: usize = 32;

/// What pods ask for (cpu, memory), and how many pods do.
type Shapes = Vec<([i64; 2], i64)>;

/// Of cpu and of memory, between 0 and 1, averaged over the run and over the workers' free capacity.
pub fn fragmentation(record: &Record) -> [f64; 2] {
    let shapes = shapes(record);
    let pods: i128 = shapes.iter().map(|shape| i128::from(shape.1)).sum();
    let (mut unusable, mut free_sum) = ([0i128; 2], [0i128; 2]);
    for node in record.nodes.iter().filter(|node| !node.control_plane) {
        for (_, length, [cpu, memory, slots, used_cpu, used_memory, held]) in
            together(node.load(), SimTime::ZERO, record.end)
        {
            let free = [(cpu - used_cpu).max(0), (memory - used_memory).max(0)];
            let fits = |shape: &[i64; 2]| held < slots && shape[0] <= free[0] && shape[1] <= free[1];
            let homeless: i64 = shapes.iter().filter(|shape| !fits(&shape.0)).map(|shape| shape.1).sum();
            for at in 0..2 {
                let weight = i128::from(free[at]) * i128::from(length.0);
                unusable[at] += weight * i128::from(homeless);
                free_sum[at] += weight;
            }
        }
    }
    [0, 1].map(|at| share(unusable[at], free_sum[at] * pods))
}

/// The most frequent shapes; of equally frequent ones the smaller.
fn shapes(record: &Record) -> Shapes {
    let mut counts: BTreeMap<[i64; 2], i64> = BTreeMap::new();
    for pod in &record.pods {
        *counts.entry([pod.milli_cpu, pod.memory]).or_default() += 1;
    }
    let mut shapes: Shapes = counts.into_iter().collect();
    shapes.sort_by_key(|shape| std::cmp::Reverse(shape.1));
    shapes.truncate(MOST_SHAPES);
    shapes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{NodeRecord, PodRecord};

    #[test]
    fn free_capacity_that_no_pod_can_have_is_a_fragment() {
        // (free cores of each node, cores that pods ask for, expected share)
        let table: [(&[i64], &[i64], f64); 4] = [
            (&[3, 3], &[2, 4], 0.5),
            (&[4, 4], &[2, 4], 0.0),
            (&[1, 1], &[2, 4], 1.0),
            // Only the largest of four pods, and only on the second node: 4 / 10 / 4.
            (&[6, 4], &[2, 2, 4, 6], 0.1),
        ];
        for (free, asked, expected) in table {
            let mut record = Record { end: SimTime::from_secs(10), ..Record::default() };
            for cores in free {
                let mut node = NodeRecord::default();
                node.allocatable_cpu.set(SimTime::ZERO, *cores);
                node.allocatable_memory.set(SimTime::ZERO, 1);
                node.allocatable_pods.set(SimTime::ZERO, 110);
                record.nodes.push(node);
            }
            record.pods = asked.iter().map(|cores| PodRecord { milli_cpu: *cores, ..PodRecord::default() }).collect();
            let [cpu, _] = fragmentation(&record);
            assert!((cpu - expected).abs() < 1e-12, "{free:?} {asked:?}: {cpu}");
        }
    }
}
