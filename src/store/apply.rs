//! Doing a write: create, bind, delete
//! (`staging/src/k8s.io/apiserver/pkg/registry/generic/registry/store.go`,
//! `staging/src/k8s.io/apiserver/pkg/registry/rest/delete.go`).

use super::errors::StoreError;
use super::log::Revision;
use super::slots::{SlotId, Store};
use super::write::{DeleteOptions, Preconditions, Propagation, Write};
use crate::model::{Condition, Deletion, Key, Kind, Labels, Name, Object, Phase, Pod, Truth, Uid, condition};
use crate::time::{SimDuration, SimTime};
use std::sync::Arc;

/// The finalizer of a foreground deletion.
pub const FOREGROUND: Name = crate::name!("foregroundDeletion");
/// The finalizer of an orphaning deletion.
pub const ORPHAN: Name = crate::name!("orphan");

/// What a pod's labels learn from its node when it is bound.
const TOPOLOGY: [Name; 2] =
    [crate::name!("topology.kubernetes.io/zone"), crate::name!("topology.kubernetes.io/region")];
/// Different labels of bound pods that are remembered, to be shared.
const PLACED_MAX: usize = 4096;

/// What a write did: the object it left (for a delete of something gone at once, the last version).
#[derive(Clone, Debug)]
pub struct Written {
    /// The store's revision after the write; that of the object unless nothing changed.
    pub revision: Revision,
    /// The object's key; for a create, with the generated name.
    pub key: Key,
}

impl Store {
    /// Does `write` at `now` in the name of `writer`.
    ///
    /// # Errors
    /// What the API server would answer.
    pub fn commit(&mut self, now: SimTime, write: Write, writer: &'static str) -> Result<Written, StoreError> {
        self.check_served(&write)?;
        match write {
            Write::Create(object) => self.create(now, object, writer),
            Write::Update(object) => self.update(now, object, false, writer),
            Write::UpdateStatus(object) => self.update(now, object, true, writer),
            Write::Patch(key, patch, preconditions) => self.patch(now, key, &patch, preconditions, writer),
            Write::Document(key, document, preconditions) => {
                self.patch_document(now, key, &document, preconditions, writer)
            }
            Write::Delete(key, options) => self.delete(now, key, options, writer),
            Write::DeleteCollection { kind, namespace, selector, options } => {
                self.delete_collection(now, (kind, namespace), &selector, options, writer)
            }
            Write::DryRun(write) => self.dry_run(now, *write, writer),
            Write::Evict { pod, options } => self.evict(now, pod, options, writer),
            Write::Bind { pod, uid, node, note } => self.bind(now, pod, uid, (&node, note), writer),
            Write::As(user, write) => {
                self.authorize(&user, &write)?;
                self.commit(now, *write, writer)
            }
            Write::Event(record) => {
                let key = record.regarding.clone();
                self.check_namespace(&key)?;
                let revision = self.record_event(now, record, writer).unwrap_or(self.revision());
                Ok(Written { revision, key })
            }
        }
    }

    fn create(&mut self, now: SimTime, mut object: Object, writer: &'static str) -> Result<Written, StoreError> {
        self.check_limits(&object)?;
        self.check_namespace(&object.key())?;
        self.give_name(&mut object)?;
        let key = object.key();
        if self.live_slot(&key).is_some() {
            return Err(StoreError::AlreadyExists(key));
        }
        object.meta_mut().created = now;
        object.meta_mut().uid = self.fresh_uid(&key, now);
        super::workloads::prepare(None, &mut object);
        self.shape_custom(None, &mut object)?;
        self.admit(&mut object)?;
        let generation = i64::from(has_generation(object.kind()));
        let meta = object.meta_mut();
        meta.generation = generation;
        meta.deletion = None;
        self.charge(now, &object, None, writer)?;
        let revision = self.put(now, None, object, writer);
        Ok(Written { revision, key })
    }

    /// Nothing new in a namespace that is missing or on its way out.
    fn check_namespace(&self, key: &Key) -> Result<(), StoreError> {
        if !key.kind.namespaced() {
            return Ok(());
        }
        match self.live_slot(&Key::cluster(Kind::Namespace, key.namespace.clone())) {
            Some((_, Object::Namespace(namespace))) if namespace.terminating => {
                Err(StoreError::NamespaceTerminating(key.clone()))
            }
            Some(_) => Ok(()),
            None => Err(StoreError::NotFound(Key::cluster(Kind::Namespace, key.namespace.clone()))),
        }
    }

    /// `metadata.generateName`: 58 characters of the base and five random ones, up to eight tries.
    fn give_name(&mut self, object: &mut Object) -> Result<(), StoreError> {
        let (kind, meta) = (object.kind(), object.meta());
        if !meta.name.is_empty() {
            return Ok(());
        }
        let namespace = meta.namespace.clone();
        let base: String = meta.generate_name.chars().take(58).collect();
        let seed = self.seed;
        for _ in 0..8 {
            let stream = self.names.entry((kind, namespace.clone(), meta.generate_name.clone()));
            let stream = stream.or_insert_with(|| seed.stream("generate-name", &format!("{kind}/{namespace}/{base}")));
            let key = Key::new(kind, namespace.clone(), format!("{base}{}", stream.name_suffix(5)));
            if self.live_slot(&key).is_none() {
                object.meta_mut().name = key.name;
                return Ok(());
            }
        }
        Err(StoreError::AlreadyExists(object.key()))
    }

    /// `pods/binding` (`pkg/registry/core/pod/storage/storage.go`, `assignPod`).
    fn bind(
        &mut self,
        now: SimTime,
        key: Key,
        uid: Uid,
        (node, note): (&Name, Option<(Name, Name)>),
        writer: &'static str,
    ) -> Result<Written, StoreError> {
        let refuse = |detail: String| Err(StoreError::Conflict(key.clone(), detail));
        let Some((slot, Object::Pod(pod))) = self.live_slot(&key) else { return Err(StoreError::NotFound(key)) };
        if pod.meta.uid != uid {
            return refuse(uid_mismatch(uid, pod.meta.uid));
        }
        if pod.meta.deleting() {
            return refuse(format!("pod {} is being deleted, cannot be assigned to a host", key.name));
        }
        if let Some(bound) = &pod.node {
            return refuse(format!("pod {} is already assigned to node \"{bound}\"", key.name));
        }
        if !pod.spec.scheduling_gates.is_empty() {
            return refuse(format!("pod {} has non-empty .spec.schedulingGates", key.name));
        }
        let mut pod = Pod::clone(pod);
        pod.node = Some(node.clone());
        pod.status.nominated_node = None;
        if let Some((key, value)) = note {
            pod.meta.annotations = pod.meta.annotations.with(key, value);
        }
        let scheduled = Condition::new(crate::name!("PodScheduled"), Truth::True, Name::new(), "", now);
        condition::set(&mut pod.status.conditions, scheduled);
        // Admission plugin PodTopologyLabels copies the node's zone and region.
        if let Some((_, Object::Node(bound))) = self.live_slot(&Key::cluster(Kind::Node, node.clone())) {
            let places = TOPOLOGY.map(|label| bound.meta.labels.get(&label).cloned());
            pod.meta.labels = self.labels_at(&pod.meta.labels, places);
        }
        let revision = self.put(now, Some(slot), Object::Pod(Arc::new(pod)), writer);
        Ok(Written { revision, key })
    }

    /// These labels with those of a node's place; pods of one template in one place share them.
    fn labels_at(&mut self, labels: &Labels, places: [Option<Name>; 2]) -> Labels {
        if self.placed.len() >= PLACED_MAX {
            self.placed.clear();
        }
        let placed = self.placed.entry((labels.clone(), places)).or_insert_with_key(|(labels, places)| {
            let pairs = TOPOLOGY.into_iter().zip(places).filter_map(|(label, value)| Some((label, value.clone()?)));
            pairs.fold(labels.clone(), |labels, (label, value)| labels.with(label, value))
        });
        placed.clone()
    }

    pub(super) fn delete(
        &mut self,
        now: SimTime,
        key: Key,
        options: DeleteOptions,
        writer: &'static str,
    ) -> Result<Written, StoreError> {
        let Some((slot, object)) = self.live_slot(&key) else { return Err(StoreError::NotFound(key)) };
        let mut object = object.clone();
        check_preconditions(&key, &object, options.preconditions)?;
        if key.kind == Kind::Namespace {
            return self.delete_namespace(now, slot, object, writer);
        }
        let graceful = match &object {
            Object::Pod(pod) => match pod_grace(pod, options.grace_seconds, now) {
                Grace::Unchanged => return Ok(Written { revision: self.revision(), key }),
                Grace::Now => None,
                Grace::Until(deletion) => Some(deletion),
            },
            _ => None,
        };
        super::custom::begin_end(&mut object, now);
        if let Some(propagation) = options.propagation.or(default_propagation(&object)) {
            set_propagation(&mut object, propagation);
        }
        let meta = object.meta_mut();
        let first = meta.deletion.is_none();
        if first && meta.generation > 0 {
            meta.generation += 1;
        }
        meta.deletion =
            Some(graceful.unwrap_or(Deletion { at: meta.deletion.map_or(now, |d| d.at.min(now)), grace_seconds: 0 }));
        let stays = graceful.is_some_and(|deletion| deletion.grace_seconds > 0) || !meta.finalizers.is_empty();
        let revision = match stays {
            true if self.newest(slot) == Some(&object) => self.revision(),
            true => self.put(now, Some(slot), object, writer),
            false => self.remove(now, slot, writer),
        };
        Ok(Written { revision, key })
    }

    fn delete_namespace(
        &mut self,
        now: SimTime,
        slot: SlotId,
        object: Object,
        writer: &'static str,
    ) -> Result<Written, StoreError> {
        let key = object.key();
        if ["default", "kube-system", "kube-public"].contains(&key.name.as_str()) {
            return Err(StoreError::Forbidden(key, "this namespace may not be deleted".to_string()));
        }
        let Object::Namespace(namespace) = object else { panic!("{key} is not a namespace") };
        let mut namespace = Arc::unwrap_or_clone(namespace);
        if namespace.meta.deletion.is_none() {
            namespace.meta.deletion = Some(Deletion { at: now, grace_seconds: 0 });
        }
        namespace.terminating = true;
        let gone = namespace.spec_finalizers.is_empty() && namespace.meta.finalizers.is_empty();
        let object = Object::Namespace(Arc::new(namespace));
        let revision = match gone {
            true => self.remove(now, slot, writer),
            false if self.newest(slot) == Some(&object) => self.revision(),
            false => self.put(now, Some(slot), object, writer),
        };
        Ok(Written { revision, key })
    }
}

/// Whether the API server counts generations of this kind.
fn has_generation(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Pod
            | Kind::Deployment
            | Kind::ReplicaSet
            | Kind::StatefulSet
            | Kind::ReplicationController
            | Kind::DaemonSet
            | Kind::PodDisruptionBudget
            | Kind::Job
            | Kind::CronJob
            | Kind::CustomResourceDefinition
            | Kind::Custom(_)
    )
}

fn uid_mismatch(want: Uid, have: Uid) -> String {
    format!("Precondition failed: UID in precondition: {want}, UID in object meta: {have}")
}

/// Refuses when the object is not the one, or not in the version, that the client means.
pub(super) fn check_preconditions(key: &Key, object: &Object, wanted: Preconditions) -> Result<(), StoreError> {
    let meta = object.meta();
    if let Some(uid) = wanted.uid
        && uid != meta.uid
    {
        return Err(StoreError::Conflict(key.clone(), uid_mismatch(uid, meta.uid)));
    }
    match wanted.resource_version {
        Some(revision) if revision != meta.resource_version => Err(StoreError::Conflict(
            key.clone(),
            format!(
                "Precondition failed: ResourceVersion in precondition: {revision}, ResourceVersion in object meta: {}",
                meta.resource_version
            ),
        )),
        _ => Ok(()),
    }
}

enum Grace {
    /// The request changes nothing.
    Unchanged,
    /// It may go at once.
    Now,
    /// It may take its time.
    Until(Deletion),
}

/// How long a pod may still take (`staging/src/k8s.io/apiserver/pkg/registry/rest/delete.go`, `BeforeDelete`;
/// `pkg/registry/core/pod/strategy.go`, `CheckGracefulDelete`).
fn pod_grace(pod: &Pod, requested: Option<i64>, now: SimTime) -> Grace {
    let requested = requested.map(|seconds| if seconds < 0 { 1 } else { seconds });
    if let Some(deletion) = pod.meta.deletion {
        if deletion.grace_seconds == 0 {
            return Grace::Now;
        }
        return match requested {
            Some(grace) if grace < deletion.grace_seconds => {
                let at = deletion.at - SimDuration::from_secs(deletion.grace_seconds - grace);
                let (at, grace) = if at < now && grace != 0 { (now, 1) } else { (at.max(now), grace) };
                if grace == 0 { Grace::Now } else { Grace::Until(Deletion { at, grace_seconds: grace }) }
            }
            _ => Grace::Unchanged,
        };
    }
    let unbound = pod.node.is_none();
    let ended = matches!(pod.status.phase, Phase::Succeeded | Phase::Failed);
    let grace = if unbound || ended { 0 } else { requested.unwrap_or(pod.spec.grace_seconds) };
    match grace {
        0 => Grace::Now,
        n if n < 0 => Grace::Until(Deletion { at: now + SimDuration::from_secs(1), grace_seconds: 1 }),
        n => Grace::Until(Deletion { at: now + SimDuration::from_secs(n), grace_seconds: n }),
    }
}

/// What becomes of dependents if the request says nothing: the old kinds orphan them
/// (`pkg/registry/batch/job/strategy.go`, `pkg/registry/core/replicationcontroller/strategy.go`,
/// `DefaultGarbageCollectionPolicy`), unless an earlier request said otherwise.
fn default_propagation(object: &Object) -> Option<Propagation> {
    let said = object.meta().finalizers.iter().any(|finalizer| *finalizer == FOREGROUND || *finalizer == ORPHAN);
    let orphans = matches!(object.kind(), Kind::Job | Kind::ReplicationController);
    (orphans && !said).then_some(Propagation::Orphan)
}

fn set_propagation(object: &mut Object, propagation: Propagation) {
    let finalizers = &mut object.meta_mut().finalizers;
    finalizers.retain(|finalizer| *finalizer != FOREGROUND && *finalizer != ORPHAN);
    match propagation {
        Propagation::Background => {}
        Propagation::Foreground => finalizers.push(FOREGROUND),
        Propagation::Orphan => finalizers.push(ORPHAN),
    }
}
