//! How many nodes a cluster can lose before pods find no room any more.
//!
//! Nodes are lost one after the other, each time the one with the most requested cpu; its pods, largest first, go to the
//! first node that still holds them, by cpu, memory and pod slots. Pods of DaemonSets are lost with their node.

use super::record::{NodeRecord, PodRecord, Record};
use crate::model::{Kind, Name};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Requested milli-CPU, requested bytes, slots.
type Size = [i64; 3];

/// What a node has left, and what of it can move.
#[derive(Clone, Debug, Default)]
struct Room {
    free: Size,
    pods: Vec<Size>,
}

/// How many of the nodes that are alive at the end could be lost then.
pub(super) fn headroom(record: &Record) -> usize {
    let moves = |pod: &&PodRecord| {
        pod.workload.is_some_and(|at| record.workloads[at].kind != Kind::DaemonSet)
            && pod.gone.is_none()
            && pod.ended.is_none()
    };
    let mut pods: BTreeMap<&Name, Vec<Size>> = BTreeMap::new();
    for pod in record.pods.iter().filter(moves) {
        pods.entry(&pod.node).or_default().push([pod.milli_cpu, pod.memory, 1]);
    }
    let alive = |node: &&NodeRecord| !node.control_plane && node.up.last() > 0 && node.registered.last() > 0;
    let room = |node: &NodeRecord| {
        let [cpu, memory, slots, used_cpu, used_memory, used] = node.load().map(|series| series.at(record.end));
        let pods = pods.remove(&node.name).unwrap_or_default();
        Room { free: [cpu - used_cpu, memory - used_memory, slots - used], pods }
    };
    spare(record.nodes.iter().filter(alive).map(room).collect())
}

/// How many of `rooms` can be lost.
fn spare(mut rooms: Vec<Room>) -> usize {
    // Room only ever shrinks: who found none before some node finds none there later.
    let mut from: BTreeMap<Size, usize> = BTreeMap::new();
    let mut requested: Vec<Option<i64>> =
        rooms.iter().map(|room| Some(room.pods.iter().map(|pod| pod[0]).sum())).collect();
    for lost in 0..rooms.len().saturating_sub(1) {
        let left = requested.iter().enumerate().filter_map(|(at, cpu)| Some((cpu.as_ref()?, Reverse(at))));
        let Some((_, Reverse(at))) = left.max() else { return lost };
        requested[at] = None;
        let mut pods = std::mem::take(&mut rooms[at].pods);
        pods.sort_unstable_by(|a, b| b.cmp(a));
        for pod in pods {
            let first = from.entry(pod).or_default();
            let fits = |at: &usize| {
                requested[*at].is_some() && rooms[*at].free.iter().zip(pod).all(|(free, want)| *free >= want)
            };
            let Some(at) = (*first..rooms.len()).find(fits) else { return lost };
            *first = at;
            rooms[at].free.iter_mut().zip(pod).for_each(|(free, want)| *free -= want);
            rooms[at].pods.push(pod);
            requested[at] = requested[at].map(|cpu| cpu + pod[0]);
        }
    }
    rooms.len().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(cpu: i64, pods: &[i64]) -> Room {
        let pods: Vec<Size> = pods.iter().map(|cpu| [*cpu, 0, 1]).collect();
        Room { free: [cpu, 0, 10], pods }
    }

    #[test]
    fn nodes_are_lost_while_their_pods_find_room() {
        let cases = [
            (vec![], 0),
            (vec![room(5, &[])], 0),
            // One of three: 3 go to the second, which has 3; then 2 + 3 must go where 1 is left.
            (vec![room(0, &[3]), room(3, &[2]), room(1, &[1])], 1),
            // The largest goes first, so that the small ones fill up: 4 to the second, 2 and 1 to the third.
            (vec![room(0, &[1, 2, 4]), room(4, &[]), room(3, &[])], 1),
            // All but one are empty, or nearly.
            (vec![room(9, &[1]), room(9, &[]), room(9, &[])], 2),
            (vec![room(1, &[5]), room(4, &[])], 0),
        ];
        for (rooms, expected) in cases {
            assert_eq!(spare(rooms.clone()), expected, "{rooms:?}");
        }
    }
}
