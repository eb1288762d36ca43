//! NodePorts: a host port can be taken once on a node
//! (`pkg/scheduler/framework/plugins/nodeports/node_ports.go`).

use crate::name;
use crate::scheduler::hint::{Hint, Occasion};
use crate::scheduler::plugin::{Candidates, Code, Cycle, Plugin, Point, PreFilter, State};
use crate::scheduler::pod_info::{PodInfo, host_ports};

/// The plugin.
pub struct NodePorts;

impl Plugin for NodePorts {
    fn name(&self) -> &'static str {
        "NodePorts"
    }

    fn points(&self) -> &'static [Point] {
        &[Point::PreFilter, Point::Filter]
    }

    fn local(&self) -> bool {
        true
    }

    fn pre_filter(&self, cycle: Cycle<'_>) -> PreFilter {
        match cycle.pod.spec.host_ports.is_empty() {
            true => PreFilter::Skip,
            false => PreFilter::Run(None),
        }
    }

    fn filter(&self, cycle: Cycle<'_>, _: &State, nodes: &mut Candidates<'_>) {
        let wanted = &cycle.pod.spec.host_ports;
        let reason = name!("node(s) didn't have free ports for the requested pod ports");
        nodes.retain(Code::Unschedulable, reason, |node| {
            let used = &cycle.snapshot.ports[node.at()];
            !used.iter().any(|used| wanted.iter().any(|port| port.conflicts(used)))
        });
    }

    fn helps(&self, pod: &PodInfo, occasion: &Occasion<'_>) -> Hint {
        match occasion {
            Occasion::NodeAdd(_) => Hint::Queue,
            Occasion::PodDelete(gone) if gone.node.is_some() || gone.status.nominated_node.is_some() => {
                let freed = host_ports(&gone.spec);
                Hint::from(freed.iter().any(|freed| pod.spec.host_ports.iter().any(|port| port.conflicts(freed))))
            }
            _ => Hint::Skip,
        }
    }
}
