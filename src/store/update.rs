//! Doing a write: replace and patch (`staging/src/k8s.io/apiserver/pkg/registry/rest/update.go`,
//! `staging/src/k8s.io/apimachinery/pkg/api/validation/objectmeta.go`).

use super::addresses::keep_allocated;
use super::apply::{Written, check_preconditions};
use super::document::check_rules;
use super::errors::{MODIFIED, Refusal, StoreError};
use super::patch::Patch;
use super::slots::{SlotId, Store};
use super::write::Preconditions;
use crate::model::{Key, Kind, Name, Object};
use crate::time::SimTime;
use crate::wire::managed::{self, Author};
use crate::wire::{encode, validate};
use std::sync::Arc;

impl Store {
    /// Replaces an object's wish and metadata, or (`status`) its status.
    pub(super) fn update(
        &mut self,
        now: SimTime,
        new: Object,
        status: bool,
        writer: &'static str,
    ) -> Result<Written, StoreError> {
        let key = new.key();
        let Some((slot, old)) = self.live_slot(&key) else { return Err(StoreError::NotFound(key)) };
        let (wanted, have) = (new.meta().resource_version, old.meta().resource_version);
        if wanted != 0 && wanted != have {
            return Err(StoreError::Conflict(key, MODIFIED.to_string()));
        }
        let old = old.clone();
        let mut merged = if status { with_status_of(&old, &new) } else { with_status_of(&new, &old) };
        keep_identity(&mut merged, &old, &new, status);
        if !status {
            super::workloads::prepare(Some(&old), &mut merged);
            keep_allocated(&old, &mut merged);
            super::custom::keep_stored_versions(&old, &mut merged);
            self.shape_custom(Some(&old), &mut merged)?;
            let in_model = matches!(key.kind, Kind::Deployment | Kind::ReplicaSet);
            if validate::update::has_rules(key.kind) && !in_model && wish_differs(&old, &merged) {
                check_rules(&key, &old, &merged, Vec::new())?;
            }
            self.give_others(&old, &mut merged)?;
            count_generation(&old, &mut merged);
        } else {
            self.shape_custom(Some(&old), &mut merged)?;
        }
        self.finish_update(now, (slot, key), &old, merged, By::component(writer, status))
    }

    /// Changes a part of whatever version is there.
    pub(super) fn patch(
        &mut self,
        now: SimTime,
        key: Key,
        patch: &Patch,
        preconditions: Preconditions,
        writer: &'static str,
    ) -> Result<Written, StoreError> {
        let Some((slot, old)) = self.live_slot(&key) else { return Err(StoreError::NotFound(key)) };
        check_preconditions(&key, old, preconditions)?;
        let old = old.clone();
        let mut new = old.clone();
        match (patch, &old) {
            (Patch::Replicas(wanted), Object::Custom(custom)) => {
                let scaled = self.scaled_to(custom, *wanted);
                new = scaled.ok_or_else(|| Refusal::new(404, super::custom::NO_RESOURCE).of(key.clone()))?;
                self.shape_custom(Some(&old), &mut new)?;
            }
            _ => {
                patch.check(&key)?;
                patch.apply(&mut new);
            }
        }
        if !patch.is_status() {
            super::workloads::prepare(Some(&old), &mut new);
            count_generation(&old, &mut new);
        }
        self.finish_update(now, (slot, key), &old, new, By::component(writer, patch.is_status()))
    }

    pub(super) fn finish_update(
        &mut self,
        now: SimTime,
        (slot, key): (SlotId, Key),
        old: &Object,
        mut new: Object,
        by: By,
    ) -> Result<Written, StoreError> {
        let writer = by.writer;
        if let (Some(owners), Some(author)) = (&old.meta().managed, &by.author)
            && new != *old
        {
            let both = (&encode::object(old), &encode::object(&new));
            let owners = managed::update(self.place_of(&new), both, owners, author, now);
            new.meta_mut().managed = Some(Arc::new(owners));
        }
        if new == *old {
            return Ok(Written { revision: self.revision(), key });
        }
        self.validate_update(old, &new)?;
        self.limit_resize(old, &new)?;
        self.charge(now, &new, Some(old), writer)?;
        let meta = new.meta();
        let ends = meta.finalizers.is_empty()
            && meta.deletion.is_some_and(|deletion| deletion.grace_seconds == 0)
            && !matches!(&new, Object::Namespace(namespace) if !namespace.spec_finalizers.is_empty());
        let revision = match ends {
            // The last finalizer went: so does the object.
            true => self.remove(now, slot, writer),
            false => self.put(now, Some(slot), new, writer),
        };
        Ok(Written { revision, key })
    }
}

/// Who writes: the actor, and as whom it owns what it changes; nobody if that was seen to already.
pub(super) struct By {
    pub(super) writer: &'static str,
    pub(super) author: Option<Author>,
}

impl By {
    /// A component, by the name that its client gives itself.
    fn component(writer: &'static str, status: bool) -> Self {
        let manager = match writer {
            "kubectl" => crate::name!("kubectl"),
            "kubelet" => crate::name!("kubelet"),
            "apiextensions-apiserver" => crate::name!("kube-apiserver"),
            "default-scheduler" | "kube-scheduler" => crate::name!("kube-scheduler"),
            _ => crate::name!("kube-controller-manager"),
        };
        let subresource = if status { crate::name!("status") } else { Name::new() };
        By { writer, author: Some(Author { manager, subresource }) }
    }
}

/// `wish` with the status of `status`.
pub(super) fn with_status_of(wish: &Object, status: &Object) -> Object {
    let mut merged = wish.clone();
    match (&mut merged, status) {
        (Object::Pod(a), Object::Pod(b)) => {
            let node = a.node.clone();
            let pod = Arc::make_mut(a);
            pod.status = b.status.clone();
            pod.node = node;
        }
        (Object::Node(a), Object::Node(b)) => {
            let node = Arc::make_mut(a);
            node.conditions = b.conditions.clone();
            node.capacity = b.capacity.clone();
            node.allocatable = b.allocatable.clone();
            node.images = b.images.clone();
            node.address = b.address;
            node.volumes_attached = b.volumes_attached.clone();
            node.volumes_in_use = b.volumes_in_use.clone();
        }
        (Object::Deployment(a), Object::Deployment(b)) => Arc::make_mut(a).status = b.status.clone(),
        (Object::ReplicaSet(a), Object::ReplicaSet(b)) => Arc::make_mut(a).status = b.status.clone(),
        (Object::ReplicationController(a), Object::ReplicationController(b)) => {
            Arc::make_mut(a).status = b.status.clone();
        }
        (Object::StatefulSet(a), Object::StatefulSet(b)) => Arc::make_mut(a).status = b.status.clone(),
        (Object::DaemonSet(a), Object::DaemonSet(b)) => Arc::make_mut(a).status = b.status.clone(),
        (Object::Namespace(a), Object::Namespace(b)) => {
            let namespace = Arc::make_mut(a);
            namespace.conditions = b.conditions.clone();
            namespace.terminating = b.terminating;
        }
        (Object::PersistentVolume(a), Object::PersistentVolume(b)) => {
            let volume = Arc::make_mut(a);
            volume.phase = b.phase;
            volume.message = b.message.clone();
        }
        (Object::PersistentVolumeClaim(a), Object::PersistentVolumeClaim(b)) => {
            let claim = Arc::make_mut(a);
            claim.phase = b.phase;
            claim.capacity = b.capacity;
            claim.bound_modes = b.bound_modes.clone();
        }
        (Object::VolumeAttachment(a), Object::VolumeAttachment(b)) => {
            let attachment = Arc::make_mut(a);
            attachment.attached = b.attached;
            attachment.attach_error = b.attach_error.clone();
            attachment.detach_error = b.detach_error.clone();
        }
        (Object::PodDisruptionBudget(a), Object::PodDisruptionBudget(b)) => {
            Arc::make_mut(a).status = b.status.clone();
        }
        (Object::Job(a), Object::Job(b)) => Arc::make_mut(a).status = b.status.clone(),
        (Object::CronJob(a), Object::CronJob(b)) => Arc::make_mut(a).status = b.status.clone(),
        (Object::ResourceQuota(a), Object::ResourceQuota(b)) => Arc::make_mut(a).status = b.status.clone(),
        (Object::HorizontalPodAutoscaler(a), Object::HorizontalPodAutoscaler(b)) => {
            Arc::make_mut(a).status = b.status.clone();
        }
        (Object::CustomResourceDefinition(a), Object::CustomResourceDefinition(b)) => {
            let definition = Arc::make_mut(a);
            definition.accepted = b.accepted.clone();
            definition.stored_versions = b.stored_versions.clone();
            definition.conditions = b.conditions.clone();
        }
        (Object::Custom(a), Object::Custom(b)) => {
            let object = Arc::make_mut(a);
            object.version = b.version.clone();
            if object.has_status && b.has_status {
                object.status = b.status.clone();
            }
        }
        (Object::Service(a), Object::Service(b)) => Arc::make_mut(a).ingress = b.ingress.clone(),
        (Object::Ingress(a), Object::Ingress(b)) => {
            let status = b.raw.get("status").cloned().unwrap_or_default();
            Arc::make_mut(&mut Arc::make_mut(a).raw)["status"] = status;
        }
        _ => {}
    }
    merged
}

/// Identity and lifecycle are the server's: a client's values are overwritten.
///
/// Writing the status of a Deployment may change its annotations, without a new generation
/// (`pkg/registry/apps/deployment/strategy.go`, `deploymentStatusStrategy`).
pub(super) fn keep_identity(merged: &mut Object, old: &Object, written: &Object, status: bool) {
    let was = old.meta().clone();
    let meta = merged.meta_mut();
    if status {
        *meta = was;
        if written.kind() == Kind::Deployment {
            meta.annotations = written.meta().annotations.clone();
        }
        return;
    }
    meta.uid = was.uid;
    meta.managed = was.managed;
    meta.created = was.created;
    meta.generation = was.generation;
    meta.deletion = was.deletion;
    meta.generate_name = was.generate_name;
    meta.resource_version = was.resource_version;
}

/// A changed wish is a new generation.
pub(super) fn count_generation(old: &Object, new: &mut Object) {
    if old.meta().generation > 0 && wish_differs(old, new) {
        new.meta_mut().generation += 1;
    }
}

/// Whether anything but metadata and status differs; for a Deployment annotations count too
/// (`pkg/registry/apps/deployment/strategy.go`).
pub(super) fn wish_differs(old: &Object, new: &Object) -> bool {
    if let (Object::Deployment(a), Object::Deployment(b)) = (old, new)
        && a.meta.annotations != b.meta.annotations
    {
        return true;
    }
    let mut same = with_status_of(new, old);
    *same.meta_mut() = old.meta().clone();
    same != *old
}
