//! Every write as a value.

use super::{Patch, Revision};
use crate::model::rbac::User;
use crate::model::{Key, Kind, Name, Object, Selector, Uid};
use crate::wire::patch::Document;
use std::sync::Arc;

/// What a client asks of the API server.
#[derive(Clone, Debug)]
pub enum Write {
    /// Create. Name or `generate_name` is set; status is ignored for pods.
    Create(Object),
    /// Replace the wish and metadata; the stored status is kept. `resource_version` 0 is unconditional.
    Update(Object),
    /// Replace the status; the stored wish is kept. `resource_version` 0 is unconditional.
    UpdateStatus(Object),
    /// Change a part, whatever else changed meanwhile.
    Patch(Key, Patch, Preconditions),
    /// Change the object's JSON, as a client's `PATCH` or `PUT` does.
    Document(Key, Arc<Document>, Preconditions),
    /// Delete.
    Delete(Key, DeleteOptions),
    /// Delete every object of a kind in a namespace that a selector finds, each as by itself.
    DeleteCollection {
        /// Which kind.
        kind: Kind,
        /// Where; empty for kinds without namespaces.
        namespace: Name,
        /// Which of them.
        selector: Selector,
        /// How each is deleted.
        options: DeleteOptions,
    },
    /// Answer as to the write itself, and do nothing (`dryRun=All`).
    DryRun(Box<Write>),
    /// Delete a pod unless a disruption budget forbids it (`pods/eviction`).
    Evict {
        /// The pod.
        pod: Key,
        /// How it is deleted.
        options: DeleteOptions,
    },
    /// Bind a pod to a node (`pods/binding`).
    Bind {
        /// The pod.
        pod: Key,
        /// Its uid.
        uid: Uid,
        /// The node.
        node: Name,
        /// An annotation of the binding; the pod gets it (`pkg/registry/core/pod/storage/storage.go`,
        /// `setPodNodeAndMetadata`).
        note: Option<(Name, Name)>,
    },
    /// Record an event.
    Event(EventRecord),
    /// Do a write in the name of a user, if he may.
    As(Arc<User>, Box<Write>),
}

impl Write {
    /// The object it concerns; for a create with a generated name, the name is still empty.
    pub fn key(&self) -> Key {
        match self {
            Write::Create(object) | Write::Update(object) | Write::UpdateStatus(object) => object.key(),
            Write::Patch(key, ..) | Write::Document(key, ..) | Write::Delete(key, _) => key.clone(),
            Write::DeleteCollection { kind, namespace, .. } => Key::new(*kind, namespace.clone(), Name::new()),
            Write::DryRun(write) => write.key(),
            Write::Bind { pod, .. } | Write::Evict { pod, .. } => pod.clone(),
            Write::Event(event) => event.regarding.clone(),
            Write::As(_, write) => write.key(),
        }
    }
}

/// What must hold for a write to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Preconditions {
    /// The object is still this one.
    pub uid: Option<Uid>,
    /// Nobody wrote since.
    pub resource_version: Option<Revision>,
}

impl Preconditions {
    /// The object is still this one.
    pub fn uid(uid: Uid) -> Self {
        Preconditions { uid: Some(uid), resource_version: None }
    }
}

/// What becomes of the objects that an object owns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Propagation {
    /// They go later, by the garbage collector.
    Background,
    /// They go first.
    Foreground,
    /// They stay, without owner.
    Orphan,
}

/// Options of a delete.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DeleteOptions {
    /// Overrides the pod's own grace period.
    pub grace_seconds: Option<i64>,
    /// Overrides the kind's default.
    pub propagation: Option<Propagation>,
    /// What must hold.
    pub preconditions: Preconditions,
}

/// An event to record; equal ones are counted, not repeated.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct EventRecord {
    /// What it is about.
    pub regarding: Key,
    /// The uid of what it is about.
    pub uid: Uid,
    /// `Warning` rather than `Normal`.
    pub warning: bool,
    /// One word.
    pub reason: Name,
    /// A sentence.
    pub message: Name,
    /// The component that reports.
    pub source: Name,
}
