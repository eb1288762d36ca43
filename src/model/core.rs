//! The smaller kinds: namespaces, leases, events, configuration, accounts, priorities, incidents.

use super::{Condition, Fault, Key, Meta, Name, Uid};
use crate::time::{SimDuration, SimTime};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A namespace.
#[derive(Clone, PartialEq, Debug)]
pub struct Namespace {
    /// Metadata.
    pub meta: Meta,
    /// `status.phase` is Terminating.
    pub terminating: bool,
    /// `spec.finalizers`: `kubernetes` until the content is gone.
    pub spec_finalizers: Vec<Name>,
    /// Deletion progress.
    pub conditions: Vec<Condition>,
}

/// A lease. The renewals of a healthy holder are not written one by one: see
/// [`crate::store::View::lease_renewed`].
#[derive(Clone, PartialEq, Debug)]
pub struct Lease {
    /// Metadata.
    pub meta: Meta,
    /// Who holds it; empty when released.
    pub holder: Name,
    /// How long it lasts after a renewal.
    pub duration: SimDuration,
    /// When this holder acquired it.
    pub acquired: SimTime,
    /// The last renewal that was written.
    pub renewed: SimTime,
    /// How often the holder changed.
    pub transitions: i32,
}

/// An event about an object.
#[derive(Clone, PartialEq, Debug)]
pub struct Event {
    /// Metadata.
    pub meta: Meta,
    /// What it is about.
    pub regarding: Key,
    /// The uid of what it is about.
    pub regarding_uid: Uid,
    /// `Warning` rather than `Normal`.
    pub warning: bool,
    /// One word.
    pub reason: Name,
    /// A sentence.
    pub message: Name,
    /// The component that reports.
    pub source: Name,
    /// How often.
    pub count: u32,
    /// First time.
    pub first: SimTime,
    /// Last time.
    pub last: SimTime,
}

/// A config map. The data is kept as written.
#[derive(Clone, PartialEq, Debug)]
pub struct ConfigMap {
    /// Metadata.
    pub meta: Meta,
    /// The values by key; of binary ones the key alone.
    pub data: Arc<BTreeMap<Name, Name>>,
    /// `immutable`.
    pub immutable: bool,
    /// `data`, `binaryData`, `immutable`.
    pub raw: Arc<Value>,
}

/// A secret. The data is kept as written and never printed.
#[derive(Clone, PartialEq, Debug)]
pub struct Secret {
    /// Metadata.
    pub meta: Meta,
    /// `type`.
    pub kind: Name,
    /// The values by key; of those that are not text the key alone.
    pub data: Arc<BTreeMap<Name, Name>>,
    /// `immutable`.
    pub immutable: bool,
    /// `data`, `stringData` merged into it, `immutable`.
    pub raw: Arc<Value>,
}

/// A service account.
#[derive(Clone, PartialEq, Debug)]
pub struct ServiceAccount {
    /// Metadata.
    pub meta: Meta,
    /// The rest.
    pub raw: Option<Arc<Value>>,
}

/// A priority class.
#[derive(Clone, PartialEq, Debug)]
pub struct PriorityClass {
    /// Metadata.
    pub meta: Meta,
    /// The priority.
    pub value: i32,
    /// For pods that name none.
    pub global_default: bool,
    /// `preemptionPolicy: PreemptLowerPriority`.
    pub preempts: bool,
    /// Description; may be empty.
    pub description: Name,
}

/// What was done to the cluster: a fault, or an action of the scripted user. Written by `faults/` and by
/// the user's script; read by those whom it concerns and by the report.
#[derive(Clone, PartialEq, Debug)]
pub struct Incident {
    /// Metadata; names count up in order of time.
    pub meta: Meta,
    /// What kind.
    pub fault: Fault,
    /// A sentence for people: `node worker-2 crashes`.
    pub description: Name,
    /// When it began.
    pub started: SimTime,
    /// When it ended; `None` while it lasts. Equal to `started` for a momentary one.
    pub ended: Option<SimTime>,
    /// What the user's command printed beyond success, line by line.
    pub output: Vec<(SimTime, Name)>,
}
