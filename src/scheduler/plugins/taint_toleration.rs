//! TaintToleration: taints keep pods away, `PreferNoSchedule` ones only a little
//! (`pkg/scheduler/framework/plugins/tainttoleration/taint_toleration.go`).

use crate::model::access::untolerated;
use crate::model::{Node, PodSpec, TaintEffect, Toleration};
use crate::name;
use crate::scheduler::hint::{Hint, Occasion};
use crate::scheduler::plugin::{Candidates, Code, Cycle, NodeId, Plugin, Point, State, default_normalize};
use crate::scheduler::pod_info::PodInfo;

/// The plugin.
pub struct TaintToleration;

/// The effects that keep pods away.
pub const HARD_EFFECTS: [TaintEffect; 2] = [TaintEffect::NoSchedule, TaintEffect::NoExecute];

/// Whether the pod tolerates all taints of the node that keep pods away.
pub fn tolerated(spec: &PodSpec, node: &Node) -> bool {
    node.taints.is_empty() || untolerated(&node.taints, &spec.tolerations, &HARD_EFFECTS).is_none()
}

impl Plugin for TaintToleration {
    fn name(&self) -> &'static str {
        "TaintToleration"
    }

    fn points(&self) -> &'static [Point] {
        &[Point::Filter, Point::PreScore, Point::Score]
    }

    fn local(&self) -> bool {
        true
    }

    fn filter(&self, cycle: Cycle<'_>, _: &State, nodes: &mut Candidates<'_>) {
        let spec = &cycle.pod.spec.spec;
        nodes.retain(Code::Unresolvable, name!("node(s) had untolerated taint(s)"), |node| {
            tolerated(spec, cycle.snapshot.node(node))
        });
    }

    /// Counts untolerated `PreferNoSchedule` taints, looking only at tolerations that could mean them.
    fn score(&self, cycle: Cycle<'_>, _: &State, nodes: &[NodeId], out: &mut [i64]) {
        let soft = |toleration: &&Toleration| toleration.effect.is_none_or(|e| e == TaintEffect::PreferNoSchedule);
        let tolerations: Vec<&Toleration> = cycle.pod.spec.spec.tolerations.iter().filter(soft).collect();
        for (node, score) in nodes.iter().zip(out) {
            let taints = cycle.snapshot.node(*node).taints.iter();
            *score = taints
                .filter(|taint| taint.effect == TaintEffect::PreferNoSchedule)
                .filter(|taint| !tolerations.iter().any(|toleration| toleration.tolerates(taint)))
                .count() as i64;
        }
    }

    fn normalize(&self, _: Cycle<'_>, _: &State, _: &[NodeId], scores: &mut [i64]) {
        default_normalize(true, scores);
    }

    fn helps(&self, pod: &PodInfo, occasion: &Occasion<'_>) -> Hint {
        let spec = &pod.spec.spec;
        match occasion {
            Occasion::NodeAdd(node) => Hint::from(tolerated(spec, node)),
            Occasion::NodeUpdate { old, new, what } if what.taints => {
                Hint::from(!tolerated(spec, old) && tolerated(spec, new))
            }
            Occasion::PodUpdate { new, what, .. } => Hint::from(what.tolerations && new.meta.uid == pod.pod.meta.uid),
            _ => Hint::Skip,
        }
    }
}
