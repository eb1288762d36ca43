//! Pods made and removed in the name of an owner, who is told (`pkg/controller/controller_utils.go`, `RealPodControl`).
//!
//! A worked example: `PodControl::new(&set, source).create(pod)` is a create which, once it is done, puts
//! `SuccessfulCreate` `Created pod: web-x7k2p` on the set; a refused one puts `FailedCreate` `Error creating: …`.

use super::controller_reference;
use crate::model::{Kind, Meta, Name, Object, Pod, PodStatus, PodTemplate, Resource};
use crate::runtime::{Order, Told};
use crate::store::{DeleteOptions, EventRecord, Preconditions, StoreError, Write};

/// Makes and removes pods for one owner.
#[derive(Clone, Debug)]
pub struct PodControl {
    /// An event on the owner, but for what it says.
    event: EventRecord,
}

impl PodControl {
    /// For `owner`, in the name of the component `source`.
    pub fn new(owner: &Object, source: Name) -> Self {
        let (regarding, uid) = (owner.key(), owner.meta().uid);
        let event = EventRecord { regarding, uid, source, warning: false, reason: Name::new(), message: Name::new() };
        PodControl { event }
    }

    /// An event on the owner; in the events of an [`Order`], `{}` in the message stands for the name or the refusal.
    pub fn event(&self, warning: bool, reason: Name, message: impl Into<Name>) -> EventRecord {
        EventRecord { warning, reason, message: message.into(), ..self.event.clone() }
    }

    /// Creates a pod. That its namespace is on its way out is not worth an event.
    pub fn create(&self, pod: Pod) -> Order {
        let told = Told {
            done: vec![self.event(false, crate::name!("SuccessfulCreate"), crate::name!("Created pod: {}"))],
            refused: vec![self.event(true, crate::name!("FailedCreate"), crate::name!("Error creating: {}"))],
            quiet: |error| matches!(error, StoreError::NamespaceTerminating(_)),
        };
        Order::telling(Write::Create(pod.into_object()), told)
    }

    /// Deletes a pod. That it is gone already is not worth an event.
    pub fn delete(&self, pod: &Pod) -> Order {
        let told = Told {
            done: vec![self.event(false, crate::name!("SuccessfulDelete"), crate::name!("Deleted pod: {}"))],
            refused: vec![self.event(true, crate::name!("FailedDelete"), crate::name!("Error deleting: {}"))],
            quiet: |error| matches!(error, StoreError::NotFound(_)),
        };
        Order::telling(delete(pod), told)
    }
}

/// Deletes this very pod.
pub fn delete(pod: &Pod) -> Write {
    let preconditions = Preconditions::uid(pod.meta.uid);
    Write::Delete(pod.key(), DeleteOptions { preconditions, ..DeleteOptions::default() })
}

/// A pod of a template, with a generated name and its owner (`GetPodFromTemplate`).
pub fn pod_of_template(kind: Kind, owner: &Meta, template: &PodTemplate) -> Pod {
    let meta = Meta {
        namespace: owner.namespace.clone(),
        generate_name: Name::from(format!("{}-", owner.name)),
        labels: template.labels.clone(),
        annotations: template.annotations.clone(),
        finalizers: template.finalizers.clone(),
        owners: vec![controller_reference(kind, owner)],
        ..Meta::default()
    };
    Pod { meta, spec: template.spec.clone(), node: template.spec.node_name.clone(), status: PodStatus::default() }
}

/// Groups of 1, 2, 4, 8 … writes: the next is tried only if the one before went well (`slowStartBatch`).
pub fn slow_start<T>(mut writes: Vec<T>) -> Vec<Vec<T>> {
    let mut groups = Vec::new();
    let mut size = 1;
    while !writes.is_empty() {
        let rest = writes.split_off(size.min(writes.len()));
        groups.push(std::mem::replace(&mut writes, rest));
        size *= 2;
    }
    groups
}
