//! Changes of a part of an object: what upstream's components send as strategic merge patches, each as
//! a value that is applied to whatever version is there.

use super::errors::StoreError;
use crate::model::fault::Hold;
use crate::model::machine::Trouble;
use crate::model::{Condition, Labels, Name, Object, OwnerReference, PodStatus, Taint, TaintEffect, Uid, condition};
use crate::model::{Key, Phase, Pod, PodTemplate};
use crate::time::SimTime;
use crate::wire::validate;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A change of a part.
#[derive(Clone, Debug)]
pub enum Patch {
    /// Sets (`Some`) or removes (`None`) labels.
    Labels(Vec<(Name, Option<Name>)>),
    /// Sets or removes annotations.
    Annotations(Vec<(Name, Option<Name>)>),
    /// Adds an owner, in place of the one with its uid.
    AddOwner(OwnerReference),
    /// Removes owners by uid.
    RemoveOwners(Vec<Uid>),
    /// Adds a finalizer, unless it is there.
    AddFinalizer(Name),
    /// Removes a finalizer.
    RemoveFinalizer(Name),
    /// Adds taints (replacing those of the same key and effect) and removes others by key and effect.
    Taints {
        /// To add.
        add: Vec<Taint>,
        /// To remove.
        remove: Vec<(Name, TaintEffect)>,
    },
    /// `status.volumesAttached` of a node.
    VolumesAttached(Vec<Name>),
    /// `status.volumesInUse` of a node.
    VolumesInUse(Vec<Name>),
    /// Cordons or uncordons.
    Unschedulable(bool),
    /// Sets conditions of a pod or node by type; the transition time of an unchanged status is kept.
    Conditions(Vec<Condition>),
    /// What a kubelet reports of a pod. Conditions of others and the nominated node are kept.
    PodStatus(Box<PodStatus>),
    /// A pod that no kubelet will report any more is Failed, with these conditions.
    PodFailed {
        /// `status.reason`; empty for none.
        reason: Name,
        /// `status.message`; empty for none.
        message: Name,
        /// Conditions to set.
        conditions: Vec<Condition>,
    },
    /// Sets or clears the nominated node.
    NominatedNode(Option<Name>),
    /// Scales a workload that has a number of replicas.
    Replicas(i32),
    /// Changes a workload's template.
    Template(Arc<PodTemplate>),
    /// Pauses or resumes a deployment.
    Paused(bool),
    /// A fault takes hold of a machine.
    Hold(Hold, SimTime),
    /// A fault gives a machine a trouble.
    Trouble(Name, Trouble),
    /// A fault lets go of a machine, and takes its troubles with it.
    Release(Name, SimTime),
    /// Adds to what an action of the user printed, and says when it was over.
    Printed {
        /// The lines.
        lines: Vec<(SimTime, Name)>,
        /// When it was over.
        ended: Option<SimTime>,
    },
}

/// Condition types that a kubelet owns (`pkg/kubelet/types/pod_status.go`, `PodConditionByKubelet`).
pub const KUBELET_CONDITIONS: [&str; 7] = [
    "PodResizePending",
    "PodResizeInProgress",
    "PodReadyToStartContainers",
    "Initialized",
    "Ready",
    "ContainersReady",
    "PodScheduled",
];

/// Whether a pod's condition is somebody else's than its kubelet's.
pub fn is_foreign(condition: &&Condition) -> bool {
    !KUBELET_CONDITIONS.contains(&condition.kind.as_str())
}

impl Patch {
    /// Whether it writes only `status`.
    pub fn is_status(&self) -> bool {
        matches!(
            self,
            Patch::Conditions(_)
                | Patch::PodStatus(_)
                | Patch::PodFailed { .. }
                | Patch::NominatedNode(_)
                | Patch::VolumesAttached(_)
                | Patch::VolumesInUse(_)
        )
    }

    /// Refuses labels, annotations and taints that no object may have.
    pub(super) fn check(&self, key: &Key) -> Result<(), StoreError> {
        fn set(edits: &[(Name, Option<Name>)]) -> BTreeMap<String, String> {
            let set = edits.iter().filter_map(|(key, value)| Some((key.to_string(), value.as_ref()?.to_string())));
            set.collect()
        }
        let errors = match self {
            Patch::Labels(edits) => validate::labels(&set(edits)),
            Patch::Annotations(edits) => validate::annotations(&set(edits)),
            _ => return Ok(()),
        };
        if errors.is_empty() { Ok(()) } else { Err(StoreError::Invalid(key.clone(), errors)) }
    }

    /// Applies it to `object`.
    pub fn apply(&self, object: &mut Object) {
        match self {
            Patch::Labels(edits) => edit_pairs(&mut object.meta_mut().labels, edits),
            Patch::Annotations(edits) => edit_pairs(&mut object.meta_mut().annotations, edits),
            Patch::AddOwner(owner) => {
                let owners = &mut object.meta_mut().owners;
                owners.retain(|have| have.uid != owner.uid);
                owners.push(owner.clone());
            }
            Patch::RemoveOwners(uids) => object.meta_mut().owners.retain(|owner| !uids.contains(&owner.uid)),
            Patch::AddFinalizer(name) => {
                let finalizers = &mut object.meta_mut().finalizers;
                if !finalizers.contains(name) {
                    finalizers.push(name.clone());
                }
            }
            Patch::RemoveFinalizer(name) => object.meta_mut().finalizers.retain(|have| have != name),
            Patch::Taints { .. } | Patch::Unschedulable(_) | Patch::VolumesAttached(_) | Patch::VolumesInUse(_) => {
                self.apply_to_node(object);
            }
            Patch::Conditions(new) => {
                let conditions = match object {
                    Object::Pod(pod) => &mut Arc::make_mut(pod).status.conditions,
                    Object::Node(node) => &mut Arc::make_mut(node).conditions,
                    other => panic!("conditions of a {} are not patched", other.kind()),
                };
                for one in new {
                    condition::set(conditions, one.clone());
                }
            }
            Patch::PodStatus(_) | Patch::PodFailed { .. } | Patch::NominatedNode(_) => match object {
                Object::Pod(pod) => self.apply_to_pod(Arc::make_mut(pod)),
                other => panic!("pod status patched on a {}", other.kind()),
            },
            Patch::Replicas(_) | Patch::Template(_) | Patch::Paused(_) => self.apply_to_workload(object),
            Patch::Hold(..) | Patch::Trouble(..) | Patch::Release(..) => {
                let Object::Machine(machine) = object else { panic!("a hold on a {}", object.kind()) };
                let machine = Arc::make_mut(machine);
                match self {
                    Patch::Hold(hold, now) => machine.hold(hold.clone(), *now),
                    Patch::Trouble(incident, trouble) => machine.troubles.add(incident, *trouble),
                    Patch::Release(incident, now) => machine.release(incident, *now),
                    other => panic!("{other:?} is not a patch of machines"),
                }
            }
            Patch::Printed { lines, ended } => {
                let Object::Incident(incident) = object else { panic!("output patched on a {}", object.kind()) };
                let incident = Arc::make_mut(incident);
                incident.output.extend(lines.iter().cloned());
                // Two lines can overtake each other on their way here, on a terminal they cannot.
                incident.output.sort_by_key(|(at, _)| *at);
                incident.ended = incident.ended.or(*ended);
            }
        }
    }

    fn apply_to_node(&self, object: &mut Object) {
        let Object::Node(node) = object else { panic!("taints patched on a {}", object.kind()) };
        let node = Arc::make_mut(node);
        match self {
            Patch::Taints { add, remove } => {
                let gone =
                    |taint: &Taint| remove.iter().any(|(key, effect)| taint.key == *key && taint.effect == *effect);
                let replaced = |taint: &Taint| add.iter().any(|new| taint.key == new.key && taint.effect == new.effect);
                node.taints.retain(|taint| !gone(taint) && !replaced(taint));
                node.taints.extend(add.iter().cloned());
            }
            Patch::Unschedulable(wish) => node.unschedulable = *wish,
            Patch::VolumesAttached(names) => node.volumes_attached = names.clone(),
            Patch::VolumesInUse(names) => node.volumes_in_use = names.clone(),
            other => panic!("{other:?} is not a patch of nodes"),
        }
    }

    fn apply_to_pod(&self, pod: &mut Pod) {
        match self {
            Patch::PodStatus(new) => {
                let mut status = (**new).clone();
                let kept: Vec<Condition> = pod
                    .status
                    .conditions
                    .iter()
                    .filter(is_foreign)
                    .filter(|c| condition::find(&status.conditions, &c.kind).is_none())
                    .cloned()
                    .collect();
                status.conditions.splice(0..0, kept);
                status.nominated_node = pod.status.nominated_node.clone();
                // The kubelet sends only what it changed of the version it read (`pkg/util/pod/pod.go`,
                // `PatchPodStatus`): one that did not know yet that the pod has ended does not take the end back.
                // A mirror has no end of its own.
                if pod.status.phase.terminal() && !status.phase.terminal() && !pod.is_mirror() {
                    status.phase = pod.status.phase;
                    status.reason = pod.status.reason.clone();
                    status.message = pod.status.message.clone();
                }
                pod.status = status;
            }
            Patch::PodFailed { reason, message, conditions } => {
                pod.status.phase = Phase::Failed;
                pod.status.reason = reason.clone();
                pod.status.message = message.clone();
                for one in conditions {
                    condition::set(&mut pod.status.conditions, one.clone());
                }
            }
            Patch::NominatedNode(node) => pod.status.nominated_node = node.clone(),
            other => panic!("{other:?} is not a patch of pods"),
        }
    }

    fn apply_to_workload(&self, object: &mut Object) {
        match (self, object) {
            (Patch::Replicas(n), Object::Deployment(d)) => Arc::make_mut(d).replicas = *n,
            (Patch::Replicas(n), Object::ReplicaSet(rs)) => Arc::make_mut(rs).replicas = *n,
            (Patch::Replicas(n), Object::StatefulSet(set)) => Arc::make_mut(set).replicas = *n,
            (Patch::Replicas(n), Object::ReplicationController(rc)) => Arc::make_mut(rc).replicas = *n,
            (Patch::Template(t), Object::StatefulSet(set)) => Arc::make_mut(set).template = t.clone(),
            (Patch::Template(t), Object::DaemonSet(set)) => Arc::make_mut(set).template = t.clone(),
            (Patch::Template(t), Object::ReplicationController(rc)) => Arc::make_mut(rc).template = t.clone(),
            (Patch::Template(t), Object::Deployment(d)) => Arc::make_mut(d).template = t.clone(),
            (Patch::Template(t), Object::ReplicaSet(rs)) => Arc::make_mut(rs).template = t.clone(),
            (Patch::Paused(wish), Object::Deployment(d)) => Arc::make_mut(d).paused = *wish,
            (patch, object) => panic!("{patch:?} on a {}", object.kind()),
        }
    }
}

fn edit_pairs(pairs: &mut Labels, edits: &[(Name, Option<Name>)]) {
    for (key, value) in edits {
        *pairs = match value {
            Some(value) => pairs.with(key.clone(), value.clone()),
            None => pairs.without(key),
        };
    }
}
