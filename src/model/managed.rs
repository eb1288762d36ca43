//! Who owns which field of an object: `metadata.managedFields`
//! (`staging/src/k8s.io/apimachinery/pkg/apis/meta/v1/types.go`, `ManagedFieldsEntry`).
//!
//! A set of fields is a tree. Its steps are written as in `fieldsV1`: `f:replicas` is a field, `k:{"name":"web"}` an item
//! of a list by its key, `v:"example.com/hold"` a value of a set.

use super::Name;
use crate::time::SimTime;
use std::collections::BTreeMap;

/// A set of fields.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FieldSet {
    /// Whether what the path so far names is in the set itself, not only something below it.
    pub member: bool,
    /// What is below.
    pub children: BTreeMap<Name, FieldSet>,
}

impl FieldSet {
    /// The set of one field and nothing below it.
    pub fn leaf() -> Self {
        FieldSet { member: true, children: BTreeMap::new() }
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        !self.member && self.children.is_empty()
    }

    /// Adds a subtree, unless it is empty.
    pub fn insert(&mut self, step: impl Into<Name>, below: FieldSet) {
        if !below.is_empty() {
            self.children.insert(step.into(), below);
        }
    }

    /// What is in either.
    #[must_use]
    pub fn union(&self, other: &FieldSet) -> FieldSet {
        let mut both = self.clone();
        both.member |= other.member;
        for (step, below) in &other.children {
            let merged = both.children.get(step).map_or_else(|| below.clone(), |have| have.union(below));
            both.children.insert(step.clone(), merged);
        }
        both
    }

    /// What is in this one and not in `other`.
    #[must_use]
    pub fn minus(&self, other: &FieldSet) -> FieldSet {
        let mut rest = FieldSet { member: self.member && !other.member, children: BTreeMap::new() };
        for (step, below) in &self.children {
            let left = other.children.get(step).map_or_else(|| below.clone(), |gone| below.minus(gone));
            rest.insert(step.clone(), left);
        }
        rest
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(&self, other: &FieldSet) -> FieldSet {
        let mut both = FieldSet { member: self.member && other.member, children: BTreeMap::new() };
        for (step, below) in &self.children {
            if let Some(same) = other.children.get(step) {
                both.insert(step.clone(), below.intersection(same));
            }
        }
        both
    }

    /// The paths of its members as messages show them: `.spec.containers[name="web"].image`.
    pub fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.collect("", &mut paths);
        paths
    }

    fn collect(&self, path: &str, paths: &mut Vec<String>) {
        if self.member {
            paths.push(path.to_string());
        }
        for (step, below) in &self.children {
            below.collect(&format!("{path}{}", shown(step)), paths);
        }
    }
}

/// One step as messages show it.
fn shown(step: &str) -> String {
    match step.split_once(':') {
        Some(("f", field)) => format!(".{field}"),
        Some(("k", keys)) => {
            let inner = keys.trim_start_matches('{').trim_end_matches('}');
            let pairs: Vec<String> = inner.split(',').map(unquoted_key).collect();
            format!("[{}]", pairs.join(","))
        }
        Some((_, value)) => format!("[={value}]"),
        None => step.to_string(),
    }
}

/// `"name":"web"` as `name="web"`.
fn unquoted_key(pair: &str) -> String {
    match pair.split_once(':') {
        Some((key, value)) => format!("{}={value}", key.trim_matches('"')),
        None => pair.to_string(),
    }
}

/// The fields of one manager.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ManagedEntry {
    /// Who: `kubectl`, `kube-controller-manager`.
    pub manager: Name,
    /// Whether they were applied (`Apply`) or written in another way (`Update`).
    pub applied: bool,
    /// Through which subresource; empty for the object itself.
    pub subresource: Name,
    /// When last.
    pub time: SimTime,
    /// Which.
    pub fields: FieldSet,
}

impl ManagedEntry {
    /// Whether it is the entry of this manager, way of writing and subresource.
    pub fn is(&self, manager: &str, applied: bool, subresource: &str) -> bool {
        self.manager == manager && self.applied == applied && self.subresource == subresource
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(paths: &[&[&str]]) -> FieldSet {
        let mut set = FieldSet::default();
        for path in paths {
            let one = path.iter().rev().fold(FieldSet::leaf(), |below, step| {
                let mut above = FieldSet::default();
                above.insert(*step, below);
                above
            });
            set = set.union(&one);
        }
        set
    }

    #[test]
    fn sets_are_trees() {
        let a = set(&[&["f:spec", "f:replicas"], &["f:spec", "f:paused"]]);
        let b = set(&[&["f:spec", "f:replicas"], &["f:metadata", "v:\"x\""]]);
        assert_eq!(a.intersection(&b).paths(), [".spec.replicas"]);
        assert_eq!(a.minus(&b).paths(), [".spec.paused"]);
        assert_eq!(a.union(&b).paths(), [".metadata[=\"x\"]", ".spec.paused", ".spec.replicas"]);
        assert!(a.minus(&a).is_empty());
        let item = set(&[&["f:ports", "k:{\"containerPort\":80,\"protocol\":\"TCP\"}"]]);
        assert_eq!(item.paths(), [".ports[containerPort=80,protocol=\"TCP\"]"]);
    }
}
