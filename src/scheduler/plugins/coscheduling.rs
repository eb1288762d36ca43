//! Coscheduling: a gang starts together or not at all.
//!
//! Pods of one namespace with the label `pod-group.scheduling.sigs.k8s.io/name: train` are a gang; with
//! `pod-group.scheduling.sigs.k8s.io/min-available: "3"` the first two that find a node are held there until the
//! third has one. If it finds none in time, all of them give their places back and try again later.
//! (`pkg/coscheduling` of `kubernetes-sigs/scheduler-plugins`, in the form without a PodGroup object. The queue
//! stays in upstream's order: members of different gangs can wait for each other until the time is up.)

use crate::model::{Name, Pod};
use crate::name;
use crate::scheduler::hint::{Hint, Occasion};
use crate::scheduler::plugin::{Cycle, NodeId, Permit, Plugin, Point, Reasons};
use crate::scheduler::pod_info::PodInfo;
use crate::time::SimDuration;
use std::cell::RefCell;
use std::collections::BTreeMap;

const GROUP: &str = "pod-group.scheduling.sigs.k8s.io/name";
const MINIMUM: &str = "pod-group.scheduling.sigs.k8s.io/min-available";

/// A gang: namespace and name.
type Gang = (Name, Name);

/// The plugin. It remembers who has a place, so each run needs its own.
#[derive(Debug)]
pub struct Coscheduling {
    /// How long a member waits for the others.
    pub patience: SimDuration,
    /// Members with a place. A gang that gave up is not in it until one of its members finds a place again.
    placed: RefCell<BTreeMap<Gang, usize>>,
}

impl Default for Coscheduling {
    fn default() -> Self {
        Coscheduling::waiting(SimDuration::from_secs(60))
    }
}

impl Coscheduling {
    /// With members that wait this long for each other.
    pub fn waiting(patience: SimDuration) -> Self {
        Coscheduling { patience, placed: RefCell::default() }
    }
}

fn gang(pod: &Pod) -> Option<Gang> {
    Some((pod.meta.namespace.clone(), pod.meta.labels.get(GROUP)?.clone()))
}

fn minimum(pod: &Pod) -> usize {
    pod.meta.labels.get(MINIMUM).and_then(|number| number.parse().ok()).unwrap_or(1)
}

impl Plugin for Coscheduling {
    fn name(&self) -> &'static str {
        "Coscheduling"
    }

    fn points(&self) -> &'static [Point] {
        &[Point::Reserve, Point::Permit]
    }

    fn assign(&self, cycle: Cycle<'_>, _: NodeId) -> Option<(Name, Name)> {
        if let Some(gang) = gang(&cycle.pod.pod) {
            let groups = cycle.snapshot.group_table.iter();
            let members = groups.filter(|g| g.namespace == gang.0 && g.labels.get(GROUP) == Some(&gang.1));
            let others: usize = members.map(|group| group.count as usize).sum();
            self.placed.borrow_mut().insert(gang, others + 1);
        }
        None
    }

    fn unreserve(&self, pod: &PodInfo, _: &Name) {
        if let Some(gang) = gang(&pod.pod) {
            self.placed.borrow_mut().remove(&gang);
        }
    }

    fn permit(&self, pod: &PodInfo, _: &Name) -> Permit {
        let Some(gang) = gang(&pod.pod) else { return Permit::Allow };
        match self.placed.borrow().get(&gang) {
            None => Permit::Reject(Reasons::from_elem(name!("the pod's gang gave its places back"), 1)),
            Some(placed) if *placed >= minimum(&pod.pod) => Permit::Allow,
            Some(_) => Permit::Wait(self.patience),
        }
    }

    fn helps(&self, pod: &PodInfo, occasion: &Occasion<'_>) -> Hint {
        match occasion {
            Occasion::PodAdd(other) | Occasion::PodDelete(other) => Hint::from(gang(other) == gang(&pod.pod)),
            Occasion::Wildcard => Hint::Queue,
            _ => Hint::Skip,
        }
    }
}
