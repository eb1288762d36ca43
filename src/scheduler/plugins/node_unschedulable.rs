//! NodeUnschedulable: cordoned nodes take only pods that tolerate being unschedulable
//! (`pkg/scheduler/framework/plugins/nodeunschedulable/node_unschedulable.go`).

use crate::model::{PodSpec, Taint, TaintEffect};
use crate::name;
use crate::scheduler::hint::{Hint, Occasion};
use crate::scheduler::plugin::{Candidates, Code, Cycle, Plugin, Point, State};
use crate::scheduler::pod_info::PodInfo;

/// The plugin.
pub struct NodeUnschedulable;

fn tolerates(spec: &PodSpec) -> bool {
    let taint = Taint {
        key: name!("node.kubernetes.io/unschedulable"),
        value: name!(""),
        effect: TaintEffect::NoSchedule,
        added: None,
    };
    spec.tolerations.iter().any(|toleration| toleration.tolerates(&taint))
}

impl Plugin for NodeUnschedulable {
    fn name(&self) -> &'static str {
        "NodeUnschedulable"
    }

    fn points(&self) -> &'static [Point] {
        &[Point::Filter]
    }

    fn local(&self) -> bool {
        true
    }

    fn filter(&self, cycle: Cycle<'_>, _: &State, nodes: &mut Candidates<'_>) {
        if tolerates(&cycle.pod.spec.spec) {
            return;
        }
        nodes.retain(Code::Unresolvable, name!("node(s) were unschedulable"), |node| {
            !cycle.snapshot.node(node).unschedulable
        });
    }

    fn helps(&self, pod: &PodInfo, occasion: &Occasion<'_>) -> Hint {
        match occasion {
            Occasion::NodeAdd(node) => Hint::from(!node.unschedulable),
            Occasion::NodeUpdate { old, new, what } if what.taints => {
                Hint::from(old.unschedulable && !new.unschedulable)
            }
            Occasion::PodUpdate { new, what, .. } if what.tolerations && new.meta.uid == pod.pod.meta.uid => {
                Hint::from(tolerates(&new.spec))
            }
            _ => Hint::Skip,
        }
    }
}
