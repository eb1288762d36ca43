//! NodeName: a pod that names its node goes nowhere else
//! (`pkg/scheduler/framework/plugins/nodename/node_name.go`).

use crate::name;
use crate::scheduler::hint::{Hint, Occasion};
use crate::scheduler::plugin::{Candidates, Code, Cycle, Plugin, Point, State};
use crate::scheduler::pod_info::PodInfo;

/// The plugin.
pub struct NodeName;

impl Plugin for NodeName {
    fn name(&self) -> &'static str {
        "NodeName"
    }

    fn points(&self) -> &'static [Point] {
        &[Point::Filter]
    }

    fn local(&self) -> bool {
        true
    }

    fn filter(&self, cycle: Cycle<'_>, _: &State, nodes: &mut Candidates<'_>) {
        let Some(wanted) = cycle.pod.pod.node.as_ref().or(cycle.pod.spec.spec.node_name.as_ref()) else { return };
        nodes.retain(Code::Unresolvable, name!("node(s) didn't match the requested node name"), |node| {
            cycle.snapshot.name(node) == wanted
        });
    }

    fn helps(&self, _: &PodInfo, occasion: &Occasion<'_>) -> Hint {
        Hint::from(matches!(occasion, Occasion::NodeAdd(_)))
    }
}
