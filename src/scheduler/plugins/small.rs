//! The plugins of one line: SchedulingGates, PrioritySort, DefaultBinder
//! (`pkg/scheduler/framework/plugins/{schedulinggates,queuesort,defaultbinder}/`).

use crate::model::Pod;
use crate::scheduler::hint::{Hint, Occasion};
use crate::scheduler::plugin::{Plugin, Point, QueueRank};
use crate::scheduler::pod_info::PodInfo;
use std::cmp::Ordering;

/// Pods with scheduling gates wait outside the queue.
pub struct SchedulingGates;

impl Plugin for SchedulingGates {
    fn name(&self) -> &'static str {
        "SchedulingGates"
    }

    fn points(&self) -> &'static [Point] {
        &[Point::PreEnqueue]
    }

    fn pre_enqueue(&self, pod: &Pod) -> Option<String> {
        let gates = &pod.spec.scheduling_gates;
        (!gates.is_empty()).then(|| format!("waiting for scheduling gates: [{}]", gates.join(" ")))
    }

    fn helps(&self, pod: &PodInfo, occasion: &Occasion<'_>) -> Hint {
        match occasion {
            Occasion::PodUpdate { new, what, .. } => Hint::from(what.gates_gone && new.meta.uid == pod.pod.meta.uid),
            _ => Hint::Skip,
        }
    }
}

/// Higher priority first, then who waited longer.
pub struct PrioritySort;

impl Plugin for PrioritySort {
    fn name(&self) -> &'static str {
        "PrioritySort"
    }

    fn points(&self) -> &'static [Point] {
        &[Point::QueueSort]
    }

    fn compare(&self, a: QueueRank, b: QueueRank) -> Ordering {
        b.priority.cmp(&a.priority).then(a.since.cmp(&b.since))
    }
}

/// Writes the binding.
pub struct DefaultBinder;

impl Plugin for DefaultBinder {
    fn name(&self) -> &'static str {
        "DefaultBinder"
    }

    fn points(&self) -> &'static [Point] {
        &[Point::Bind]
    }

    fn binds(&self) -> bool {
        true
    }
}
