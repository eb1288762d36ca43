//! The plugins of one line: SchedulingGates, PrioritySort, DynamicResources, DefaultBinder
//! (`pkg/scheduler/framework/plugins/{schedulinggates,queuesort,dynamicresources,defaultbinder}/`).

use crate::model::{Name, Pod};
use crate::name;
use crate::scheduler::hint::{Hint, Occasion};
use crate::scheduler::plugin::{Cycle, Plugin, Point, QueueRank};
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

/// Resource claims are not simulated; what is left is what the plugin says of pods that have none.
pub struct DynamicResources;

impl Plugin for DynamicResources {
    fn name(&self) -> &'static str {
        "DynamicResources"
    }

    fn points(&self) -> &'static [Point] {
        &[Point::PostFilter]
    }

    /// Without its turn in PreFilter it misses the state that it kept there.
    fn post_filter(&self, _: Cycle<'_>, cut_short: bool) -> Result<Option<Name>, Name> {
        match cut_short {
            true => Err(name!("not found")),
            false => Ok(Some(name!("no new claims to deallocate"))),
        }
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
