//! Coscheduling: a gang starts together or not at all.
//!
//! Pods of one namespace with the label `pod-group.scheduling.sigs.k8s.io/name: train` are a gang; with
//! `pod-group.scheduling.sigs.k8s.io/min-available: "3"` none of them is looked at before there are three. The first
//! two that find a node are held there until the third has one. If it finds none in time, all of them give their
//! places back and try again later. Where it orders the queue (in the place of PrioritySort, as its
//! manifests have it), a gang counts from its first member on, so that two gangs do not hold what the other needs.
//!
//! (`pkg/coscheduling/{coscheduling,core/core}.go` of `kubernetes-sigs/scheduler-plugins`, in the form without a
//! PodGroup object: that had the labels, and took the first member's time for the gang's. Newer forms end the others'
//! wait as soon as one member fits nowhere; since pods that back off have their turn when nobody else waits, the members
//! of a gang that is too large would then drive each other out for ever. Here they wait their time.)

use crate::model::{Name, Pod};
use crate::name;
use crate::scheduler::hint::{Hint, Occasion};
use crate::scheduler::plugin::{Code, Cycle, NodeId, Permit, Plugin, Point, PreFilter, QueueRank, Reasons};
use crate::scheduler::pod_info::PodInfo;
use crate::time::{SimDuration, SimTime};
use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::BTreeMap;

const GROUP: &str = "pod-group.scheduling.sigs.k8s.io/name";
const MINIMUM: &str = "pod-group.scheduling.sigs.k8s.io/min-available";

/// A gang: namespace and name.
type Gang = (Name, Name);

/// The members of a gang that exist.
#[derive(Clone, Copy, Debug)]
struct Members {
    count: usize,
    /// When the first of them was seen.
    since: SimTime,
}

/// The plugin. It remembers who has a place, so each run needs its own.
#[derive(Debug)]
pub struct Coscheduling {
    /// How long a member waits for the others.
    pub patience: SimDuration,
    members: RefCell<BTreeMap<Gang, Members>>,
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
        Coscheduling { patience, members: RefCell::default(), placed: RefCell::default() }
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
        &[Point::QueueSort, Point::PreFilter, Point::Reserve, Point::Permit]
    }

    fn follows_pods(&self) -> bool {
        true
    }

    fn pod_changed(&self, old: Option<&Pod>, new: Option<&Pod>, now: SimTime) {
        let (old, new) = (old.and_then(gang), new.and_then(gang));
        if old == new {
            return;
        }
        let mut members = self.members.borrow_mut();
        if let Some(new) = new {
            members.entry(new).or_insert(Members { count: 0, since: now }).count += 1;
        }
        if let Some(old) = old
            && let Some(left) = members.get_mut(&old)
        {
            left.count -= 1;
            if left.count == 0 {
                members.remove(&old);
            }
        }
    }

    fn rank(&self, pod: &Pod, own: QueueRank) -> QueueRank {
        let since = gang(pod).and_then(|gang| self.members.borrow().get(&gang).map(|members| members.since));
        QueueRank { since: since.unwrap_or(own.since), by_name: true, ..own }
    }

    fn compare(&self, a: QueueRank, b: QueueRank) -> Ordering {
        b.priority.cmp(&a.priority).then(a.since.cmp(&b.since))
    }

    fn pre_filter(&self, cycle: Cycle<'_>) -> PreFilter {
        let pod = &cycle.pod.pod;
        let Some(gang) = gang(pod) else { return PreFilter::Skip };
        let (there, needed) = (self.members.borrow().get(&gang).map_or(0, |members| members.count), minimum(pod));
        if there >= needed {
            return PreFilter::Skip;
        }
        let reason = format!(
            "pre-filter pod {} cannot find enough sibling pods, current pods number: {there}, minMember of group: {needed}",
            pod.meta.name
        );
        PreFilter::Reject(Code::Unresolvable, Reasons::from_elem(Name::from(reason), 1))
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
            Occasion::PodSeen(other) | Occasion::PodAdd(other) | Occasion::PodDelete(other) => {
                Hint::from(gang(other) == gang(&pod.pod))
            }
            Occasion::Wildcard => Hint::Queue,
            _ => Hint::Skip,
        }
    }
}
