//! LoadAware: the node that is used least, by what its containers are measured to use instead of what they
//! request.
//!
//! Two nodes of 4 CPUs; on one, pods that request 3 use 1, on the other pods that request 1 use 2: the first gets
//! 75 for CPU, the second 50. A pod that does not run yet counts with 85 % of its cpu request and 70 % of
//! its memory request, and so does the pod to place (the estimates of Koordinator's plugin of this name,
//! `pkg/scheduler/plugins/loadaware/estimator`).

use crate::model::{Phase, Pod, pod::Usage};
use crate::scheduler::plugin::{Cycle, NodeId, Plugin, Point, State};

/// The plugin.
#[derive(Clone, Debug)]
pub struct LoadAware {
    /// Percent of a cpu request that is expected to be used.
    pub cpu_percent: i64,
    /// Percent of a memory request that is expected to be used.
    pub memory_percent: i64,
}

impl Default for LoadAware {
    fn default() -> Self {
        LoadAware { cpu_percent: 85, memory_percent: 70 }
    }
}

impl LoadAware {
    /// What is expected of a pod that has not run yet.
    fn expected(&self, pod: &Pod) -> Usage {
        let requests = pod.requests();
        Usage {
            milli_cpu: requests.milli_cpu * self.cpu_percent / 100,
            memory: requests.memory / 100 * self.memory_percent,
        }
    }

    /// What a pod on a node uses.
    fn used(&self, pod: &Pod) -> Usage {
        match pod.status.phase {
            Phase::Pending => self.expected(pod),
            _ => pod.usage(),
        }
    }
}

/// 0–100 for the share that is left.
fn left(capacity: i64, used: i64) -> i64 {
    if capacity <= 0 { 0 } else { (capacity - used).max(0) * 100 / capacity }
}

impl Plugin for LoadAware {
    fn name(&self) -> &'static str {
        "LoadAware"
    }

    fn points(&self) -> &'static [Point] {
        &[Point::Score]
    }

    fn score(&self, cycle: Cycle<'_>, _: &State, nodes: &[NodeId], out: &mut [i64]) {
        for (node, score) in nodes.iter().zip(out) {
            let mut sum = self.expected(&cycle.pod.pod);
            for other in &cycle.snapshot.pods[node.at()] {
                let used = self.used(&other.pod);
                sum.milli_cpu += used.milli_cpu;
                sum.memory += used.memory;
            }
            let row = &cycle.snapshot.rows[node.at()];
            *score = (left(row.milli_cpu, sum.milli_cpu) + left(row.memory, sum.memory)) / 2;
        }
    }

    fn measures(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::pod::{ContainerState, ContainerStatus};
    use crate::model::{Name, builder};
    use crate::name;
    use crate::scheduler::snapshot::Snapshot;
    use crate::time::SimTime;
    use std::sync::Arc;

    /// A pod of 4 GiB that requests `cpu` on `node`; running, it uses `milli_cpu` and half of its memory.
    fn on(snapshot: &mut Snapshot, node: &str, cpu: i64, milli_cpu: Option<i64>) {
        let mut pod = builder::pod(&format!("{node}-{cpu}"), builder::spec("image", cpu, 4 << 30)).on(node);
        if let Some(milli_cpu) = milli_cpu {
            pod.status.phase = Phase::Running;
            pod.status.containers = vec![ContainerStatus {
                name: name!("c"),
                state: ContainerState::Running { started: SimTime::ZERO },
                last: None,
                ready: true,
                started: true,
                restart_count: 0,
                allocated: None,
                usage: Usage { milli_cpu, memory: 2 << 30 },
            }];
        }
        let info = snapshot.compile(&Arc::new(pod));
        snapshot.place(info, &Name::from(node));
    }

    /// Three nodes of 4 CPUs and 16 GiB, as in the worked example, and one whose pod does not run yet.
    #[test]
    fn measured_use_decides() {
        let mut snapshot = Snapshot::default();
        for node in ["asks-much", "uses-much", "starting"] {
            snapshot.set_node(&Arc::new(builder::node(node, 4000, 16 << 30, 110)));
        }
        on(&mut snapshot, "asks-much", 3000, Some(1000));
        on(&mut snapshot, "uses-much", 1000, Some(2000));
        on(&mut snapshot, "starting", 2000, None);
        snapshot.refresh();
        let nodes = snapshot.order().to_vec();
        let score = |plugin: &LoadAware, milli_cpu: i64| {
            let pod = Arc::new(builder::pod("new", builder::spec("image", milli_cpu, 0)));
            let pod = snapshot.clone().compile(&pod);
            let mut out = vec![0; nodes.len()];
            plugin.score(Cycle { pod: &pod, snapshot: &snapshot }, &None, &nodes, &mut out);
            out
        };
        let default = LoadAware::default();
        // CPU left of 4000 by what is used: 3000 is 75, 2000 is 50, 4000 - 85 % of 2000 = 2300 is 57. Memory left of
        // 16 GiB: 14 is 87, and 16 - 70 % of 4 = 13.2 is 82. The score is the mean of both, rounded down.
        assert_eq!(score(&default, 0), [(75 + 87) / 2, (50 + 87) / 2, (57 + 82) / 2]);
        // The new pod counts with 85 % of 1000 on each: 2150 is 53, 1150 is 28, 1450 is 36.
        assert_eq!(score(&default, 1000), [(53 + 87) / 2, (28 + 87) / 2, (36 + 82) / 2]);
        // Other estimates: 4000 - 50 % of 2000 = 3000 is 75, 16 - 25 % of 4 = 15 GiB is 93.
        let own = LoadAware { cpu_percent: 50, memory_percent: 25 };
        assert_eq!(score(&own, 0)[2], (75 + 93) / 2);
    }
}
