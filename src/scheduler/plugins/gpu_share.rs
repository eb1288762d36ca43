//! GpuShare: several pods on one GPU. Rejects nodes whose devices cannot hold the pod, and gives it those that
//! fit best, unless another plugin of the profile has chosen.
//!
//! Devices with 300 and 1000 left: a share of 200 gets the first, one of 400 the second, two whole devices
//! do not fit.

use crate::model::Name;
use crate::name;
use crate::scheduler::gpu::read::{Reader, ask, assignment};
use crate::scheduler::hint::{Hint, Occasion};
use crate::scheduler::plugin::{Candidates, Code, Cycle, NodeId, Plugin, Point, PreFilter, Reasons, State};
use crate::scheduler::pod_info::PodInfo;

/// The plugin.
#[derive(Debug, Default)]
pub struct GpuShare {
    reader: Reader,
}

impl Plugin for GpuShare {
    fn name(&self) -> &'static str {
        "GpuShare"
    }

    fn points(&self) -> &'static [Point] {
        &[Point::PreFilter, Point::Filter, Point::Reserve]
    }

    fn pre_filter(&self, cycle: Cycle<'_>) -> PreFilter {
        match ask(&cycle.pod.pod).count {
            0 => PreFilter::Skip,
            _ => PreFilter::Run(None),
        }
    }

    fn filter(&self, cycle: Cycle<'_>, _: &State, nodes: &mut Candidates<'_>) {
        let ask = ask(&cycle.pod.pod);
        nodes.retain_or(|id| {
            let node = self.reader.node(cycle.snapshot, id);
            let because = |code, reason: Name| Some((code, Reasons::from_elem(reason, 1)));
            match (ask.accepts(&node.model), node.holds(&ask)) {
                (_, true) => None,
                (false, _) => because(Code::Unresolvable, name!("node(s) had no GPU of an accepted model")),
                _ if node.free.len() < ask.count => because(Code::Unresolvable, name!("node(s) had too few GPUs")),
                _ => because(Code::Unschedulable, name!("Insufficient GPU")),
            }
        });
    }

    fn assign(&self, cycle: Cycle<'_>, place: NodeId) -> Option<(Name, Name)> {
        assignment(&self.reader.node(cycle.snapshot, place).best_fit(&ask(&cycle.pod.pod)))
    }

    fn helps(&self, _: &PodInfo, occasion: &Occasion<'_>) -> Hint {
        match occasion {
            Occasion::NodeAdd(_) | Occasion::PodDelete(_) | Occasion::Wildcard => Hint::Queue,
            Occasion::NodeUpdate { what, .. } => Hint::from(what.allocatable || what.labels),
            _ => Hint::Skip,
        }
    }
}
