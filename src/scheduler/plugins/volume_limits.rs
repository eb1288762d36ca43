//! NodeVolumeLimits: a CSI driver attaches only so many volumes to a node
//! (`pkg/scheduler/framework/plugins/nodevolumelimits/csi.go`).
//!
//! Attachments that no pod accounts for, and volumes of in-tree plugins that moved to CSI drivers, do not exist
//! here.

use crate::model::{CSINode, Object};
use crate::name;
use crate::scheduler::hint::{Hint, Occasion};
use crate::scheduler::plugin::{Candidates, Code, Cycle, NodeId, Plugin, Point, PreFilter, State, state_of};
use crate::scheduler::pod_info::PodInfo;
use crate::scheduler::storage::{Attachment, uses};
use std::collections::BTreeSet;

/// The plugin.
pub struct VolumeLimits;

impl Plugin for VolumeLimits {
    fn name(&self) -> &'static str {
        "NodeVolumeLimits"
    }

    fn points(&self) -> &'static [Point] {
        &[Point::PreFilter, Point::Filter]
    }

    fn pre_filter(&self, cycle: Cycle<'_>) -> PreFilter {
        if !cycle.pod.spec.has_claims {
            return PreFilter::Skip;
        }
        let mut wanted = BTreeSet::new();
        cycle.snapshot.listers.storage.attachments(&cycle.pod.pod, &mut wanted);
        PreFilter::Run(Some(Box::new(wanted)))
    }

    fn filter(&self, cycle: Cycle<'_>, state: &State, nodes: &mut Candidates<'_>) {
        let Some(wanted) = state_of::<BTreeSet<Attachment>>(state).filter(|wanted| !wanted.is_empty()) else { return };
        let storage = &cycle.snapshot.listers.storage;
        let least = wanted.iter().filter_map(|new| storage.least_limit(&new.driver)).min();
        nodes.retain(Code::Unschedulable, name!("node(s) exceed max volume count"), |node| {
            if least.is_none_or(|least| i64::from(least) >= most_attached(cycle, wanted, node)) {
                return true;
            }
            let drivers = storage.csi_node(cycle.snapshot.name(node));
            drivers.is_none_or(|drivers| has_room(cycle, wanted, node, drivers))
        });
    }

    fn helps(&self, pod: &PodInfo, occasion: &Occasion<'_>) -> Hint {
        match occasion {
            Occasion::Storage { old: None, new: Some(Object::CSINode(_)) } => Hint::Queue,
            Occasion::Storage { old: Some(Object::CSINode(old)), new: Some(Object::CSINode(new)) } => {
                let grew = |driver: &crate::model::storage::CSIDriverOnNode| matches!((old.limit(&driver.name), driver.count), (Some(old), Some(new)) if new > old);
                Hint::from(new.drivers.iter().any(grew))
            }
            Occasion::Storage { old: None, new: Some(Object::PersistentVolumeClaim(claim)) } => {
                Hint::from(uses(pod, claim))
            }
            Occasion::PodDelete(gone) => Hint::from(gone.node.is_some() && gone.claims().next().is_some()),
            _ => Hint::Skip,
        }
    }
}

/// No more volumes than this are attached for the pods there and the new one: a claim is attached at most once.
fn most_attached(cycle: Cycle<'_>, wanted: &BTreeSet<Attachment>, node: NodeId) -> i64 {
    wanted.len() as i64 + cycle.snapshot.rows[node.at()].volumes
}

/// Whether the node's drivers can attach what the pod brings beside what is there.
fn has_room(cycle: Cycle<'_>, wanted: &BTreeSet<Attachment>, node: NodeId, drivers: &CSINode) -> bool {
    let most = most_attached(cycle, wanted, node);
    if wanted.iter().filter_map(|new| drivers.limit(&new.driver)).all(|limit| i64::from(limit) >= most) {
        return true;
    }
    // Counting names is the slow way.
    let there = cycle.snapshot.pods[node.at()].iter().filter(|other| other.spec.has_claims);
    let mut attached = BTreeSet::new();
    there.for_each(|other| cycle.snapshot.listers.storage.attachments(&other.pod, &mut attached));
    wanted.iter().filter(|new| !attached.contains(new)).all(|new| {
        let Some(limit) = drivers.limit(&new.driver) else { return true };
        let of_driver = |set: &mut dyn Iterator<Item = &Attachment>| set.filter(|a| a.driver == new.driver).count();
        let count = of_driver(&mut attached.iter()) + of_driver(&mut wanted.difference(&attached));
        count as i64 <= i64::from(limit)
    })
}
