//! Kinds that users define, and the objects of such kinds
//! (`staging/src/k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1/types.go`).
//!
//! A worked example: the definition `backups.example.com` names plural `backups` and kind `Backup`. Its objects have kind
//! `Kind::Custom(backups.example.com)`, which prints as `Backup` and is told from others by group and plural alone.
//!
//! A [`Kind`] is copied everywhere and answers with text of its own, so the words of a definition live as long as the
//! program: [`CustomKinds`] gives each definition's words that life once, when a scenario is read.

use super::{Condition, Kind, Meta, Name, condition};
use serde_json::Value;
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The words of a custom kind.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct KindWords {
    /// `example.com`.
    pub group: String,
    /// The version that clients prefer.
    pub version: String,
    /// `Backup`.
    pub kind: String,
    /// `backups`.
    pub plural: String,
    /// `backup`.
    pub singular: String,
    /// `bk`.
    pub short_names: Vec<String>,
    /// Whether its objects live in a namespace.
    pub namespaced: bool,
}

const NO_WORDS: &KindWords = &KindWords {
    group: String::new(),
    version: String::new(),
    kind: String::new(),
    plural: String::new(),
    singular: String::new(),
    short_names: Vec::new(),
    namespaced: false,
};

/// A custom kind: its words. Two are the same if group and plural are.
#[derive(Clone, Copy, Debug)]
pub struct CustomKind(&'static KindWords);

impl CustomKind {
    /// Stands for all custom kinds where an actor says what it watches.
    pub const ANY: CustomKind = CustomKind(NO_WORDS);

    /// Its words.
    pub const fn words(self) -> &'static KindWords {
        self.0
    }

    fn id(self) -> (&'static str, &'static str) {
        (&self.0.group, &self.0.plural)
    }
}

impl PartialEq for CustomKind {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0) || self.id() == other.id()
    }
}

impl Eq for CustomKind {}

impl PartialOrd for CustomKind {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for CustomKind {
    fn cmp(&self, other: &Self) -> Ordering {
        self.id().cmp(&other.id())
    }
}

impl Hash for CustomKind {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id().hash(state);
    }
}

/// The custom kinds that a scenario or a store knows.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct CustomKinds(Vec<CustomKind>);

impl CustomKinds {
    /// The kind that a definition names; its words are given a life of their own only if they are new.
    pub fn learn(&mut self, definition: &CustomResourceDefinition) -> Kind {
        let words = definition.words();
        if let Some(known) = self.0.iter().find(|known| *known.0 == words) {
            return Kind::Custom(*known);
        }
        let kind = CustomKind(Box::leak(Box::new(words)));
        self.0.retain(|known| *known != kind);
        self.0.push(kind);
        Kind::Custom(kind)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Kind> {
        self.0.iter().map(|kind| Kind::Custom(*kind))
    }

    /// The kind `kind` of a group.
    pub fn of_group(&self, group: &str, kind: &str) -> Option<Kind> {
        let found = self.0.iter().find(|known| known.0.group == group && known.0.kind == kind);
        found.map(|kind| Kind::Custom(*kind))
    }

    /// Reads `backup`, `backups`, `bk` or `backups.example.com`.
    pub fn parse(&self, text: &str) -> Option<Kind> {
        let lower = text.to_ascii_lowercase();
        let is = |words: &KindWords| {
            words.plural == lower
                || words.singular == lower
                || words.kind.eq_ignore_ascii_case(&lower)
                || words.short_names.contains(&lower)
        };
        let found = self.0.iter().find(|kind| is(kind.0) || Kind::Custom(**kind).qualified_plural() == lower);
        found.map(|kind| Kind::Custom(*kind))
    }
}

/// The names under which a custom kind is served.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CustomNames {
    /// `backups`.
    pub plural: Name,
    /// `backup`.
    pub singular: Name,
    /// `Backup`.
    pub kind: Name,
    /// `BackupList`.
    pub list_kind: Name,
    /// `bk`.
    pub short_names: Vec<Name>,
    /// `all`.
    pub categories: Vec<Name>,
}

/// Where the fields of a custom kind's `Scale` stand.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScalePaths {
    /// `.spec.replicas`.
    pub spec: Name,
    /// `.status.replicas`.
    pub status: Name,
    /// `.status.selector`; empty if it says nothing of one.
    pub selector: Name,
}

/// One version of a custom kind.
#[derive(Clone, PartialEq, Debug)]
pub struct CustomVersion {
    /// `v1`.
    pub name: Name,
    /// Whether it can be asked for.
    pub served: bool,
    /// Whether objects are kept in it.
    pub storage: bool,
    /// Its `openAPIV3Schema`; null if there is none.
    pub schema: Arc<Value>,
    /// Whether the status is written by requests of its own.
    pub has_status: bool,
    /// Its `Scale`, if it can be scaled.
    pub scale: Option<ScalePaths>,
}

/// A kind that a user defines.
#[derive(Clone, PartialEq, Debug)]
pub struct CustomResourceDefinition {
    /// Metadata.
    pub meta: Meta,
    /// `example.com`.
    pub group: Name,
    /// Whether its objects live in a namespace.
    pub namespaced: bool,
    /// The names it asks for.
    pub names: CustomNames,
    /// Its versions, as written.
    pub versions: Arc<Vec<CustomVersion>>,
    /// The object without metadata and status, as written.
    pub raw: Arc<Value>,
    /// The names it has.
    pub accepted: CustomNames,
    /// Versions in which objects were ever kept.
    pub stored_versions: Vec<Name>,
    /// Conditions.
    pub conditions: Vec<Condition>,
}

/// Names may be taken by others before.
pub const NAMES_ACCEPTED: Name = crate::name!("NamesAccepted");
/// Its objects are served.
pub const ESTABLISHED: Name = crate::name!("Established");
/// It is deleted, and its objects with it.
pub const TERMINATING: Name = crate::name!("Terminating");
/// The finalizer of a deleted definition whose objects are still to be deleted.
pub const CLEANUP: Name = crate::name!("customresourcecleanup.apiextensions.k8s.io");

impl CustomResourceDefinition {
    /// Whether its objects are served.
    pub fn is_established(&self) -> bool {
        condition::is_true(&self.conditions, &ESTABLISHED)
    }

    /// Whether no more objects may be made.
    pub fn is_terminating(&self) -> bool {
        condition::is_true(&self.conditions, &TERMINATING)
    }

    /// A version by name.
    pub fn version(&self, name: &str) -> Option<&CustomVersion> {
        self.versions.iter().find(|version| version.name == name)
    }

    /// The version in which objects are kept.
    pub fn storage_version(&self) -> Option<&CustomVersion> {
        self.versions.iter().find(|version| version.storage)
    }

    /// The version that clients prefer: `v2` before `v1` before `v1beta2` before `v1alpha1` before any other name
    /// (`staging/src/k8s.io/apimachinery/pkg/version/helpers.go`).
    pub fn preferred_version(&self) -> Option<&CustomVersion> {
        let served = self.versions.iter().filter(|version| version.served);
        served.min_by(|a, b| priority(&b.name).cmp(&priority(&a.name)).then(a.name.cmp(&b.name)))
    }

    fn words(&self) -> KindWords {
        let version = self.preferred_version().or(self.storage_version());
        KindWords {
            group: self.group.to_string(),
            version: version.map(|version| version.name.to_string()).unwrap_or_default(),
            kind: self.names.kind.to_string(),
            plural: self.names.plural.to_string(),
            singular: self.names.singular.to_string(),
            short_names: self.names.short_names.iter().map(ToString::to_string).collect(),
            namespaced: self.namespaced,
        }
    }
}

/// How much a version is preferred: stability, then number.
fn priority(version: &str) -> (u8, u64, u64) {
    let Some(rest) = version.strip_prefix('v') else { return (0, 0, 0) };
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (major, rest) = rest.split_at(digits);
    let Ok(major) = major.parse() else { return (0, 0, 0) };
    let minor = |stage: &str| rest.strip_prefix(stage).and_then(|number| number.parse().ok());
    match (rest, minor("beta"), minor("alpha")) {
        ("", ..) => (3, major, 0),
        (_, Some(minor), _) => (2, major, minor),
        (_, _, Some(minor)) => (1, major, minor),
        _ => (0, 0, 0),
    }
}

/// An object of a kind that a user defines.
#[derive(Clone, PartialEq, Debug)]
pub struct CustomResource {
    /// Metadata.
    pub meta: Meta,
    /// Its kind.
    pub kind: CustomKind,
    /// The version it was written in.
    pub version: Name,
    /// The object without `apiVersion`, `kind`, metadata and status.
    pub body: Arc<Value>,
    /// Its status; null if it has none.
    pub status: Arc<Value>,
    /// Whether the status is written by requests of its own.
    pub has_status: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_in_the_order_of_their_stability() {
        // The order of the upstream documentation of CRD versions.
        let order = ["v10", "v2", "v1", "v11beta2", "v10beta3", "v3beta1", "v12alpha1", "v11alpha2", "foo1"];
        for pair in order.windows(2) {
            assert!(priority(pair[0]) > priority(pair[1]), "{pair:?}");
        }
    }
}
