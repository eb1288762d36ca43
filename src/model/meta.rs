//! Object metadata (`staging/src/k8s.io/apimachinery/pkg/apis/meta/v1/types.go`).

use super::{Kind, Labels, ManagedEntry, Name};
use crate::time::SimTime;
use std::fmt;
use std::sync::Arc;

/// A version-4 UUID, drawn from the run's own stream. Zero means "not yet given".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Uid(pub u128);

impl Uid {
    /// Makes a version-4, variant-1 UUID of 128 random bits.
    pub fn from_random(bits: u128) -> Self {
        let version = 0x4u128 << 76;
        let variant = 0x2u128 << 62;
        Uid(bits & !(0xfu128 << 76) & !(0x3u128 << 62) | version | variant)
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let h = format!("{:032x}", self.0);
        write!(f, "{}-{}-{}-{}-{}", &h[..8], &h[8..12], &h[12..16], &h[16..20], &h[20..])
    }
}

/// That an object is being deleted: until when it may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deletion {
    /// `deletionTimestamp`: the moment of the request plus the grace period.
    pub at: SimTime,
    /// `deletionGracePeriodSeconds`.
    pub grace_seconds: i64,
}

/// Who owns an object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OwnerReference {
    /// The owner's kind.
    pub kind: Kind,
    /// The owner's name.
    pub name: Name,
    /// The owner's uid.
    pub uid: Uid,
    /// Whether it is the managing controller.
    pub controller: bool,
    /// Whether foreground deletion of the owner waits for this object.
    pub block_owner_deletion: bool,
}

/// What every object carries.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Meta {
    /// The name; empty in a create request that wants one generated.
    pub name: Name,
    /// The namespace; empty for cluster-scoped kinds.
    pub namespace: Name,
    /// Asks for a generated name with this prefix.
    pub generate_name: Name,
    /// Given by the API server at creation.
    pub uid: Uid,
    /// The store's revision of the last write. 0 in an update means "whatever is there".
    pub resource_version: u64,
    /// Counts changes of the wish (`spec`); 0 for kinds that have none.
    pub generation: i64,
    /// `creationTimestamp`, exact; whole seconds on the wire.
    pub created: SimTime,
    /// Set once the object is being deleted.
    pub deletion: Option<Deletion>,
    /// Labels.
    pub labels: Labels,
    /// Annotations.
    pub annotations: Labels,
    /// What must happen before the object may vanish.
    pub finalizers: Vec<Name>,
    /// Owners.
    pub owners: Vec<OwnerReference>,
    /// Who owns which field, once somebody applied the object on the server.
    pub managed: Option<Arc<Vec<ManagedEntry>>>,
}

impl Meta {
    /// Metadata of a new object.
    pub fn named(namespace: impl Into<Name>, name: impl Into<Name>) -> Self {
        Meta { namespace: namespace.into(), name: name.into(), ..Meta::default() }
    }

    /// The managing controller's reference.
    pub fn controller(&self) -> Option<&OwnerReference> {
        self.owners.iter().find(|owner| owner.controller)
    }

    /// Whether the object is being deleted.
    pub fn deleting(&self) -> bool {
        self.deletion.is_some()
    }
}
