//! Revisions: which set is the new one, its number, and the annotations that travel between a deployment
//! and its sets (`pkg/controller/deployment/util/deployment_util.go`).

use super::math;
use crate::model::workload::keys;
use crate::model::{Deployment, Labels, Name, PodTemplate, ReplicaSet};
use std::sync::Arc;

/// Longest revision history annotation.
const HISTORY_LENGTH_MAX: usize = 2000;

/// Annotations that are not copied from a deployment to its sets.
const NOT_COPIED: [Name; 6] = [
    keys::LAST_APPLIED,
    keys::REVISION,
    keys::REVISION_HISTORY,
    keys::DESIRED_REPLICAS,
    keys::MAX_REPLICAS,
    keys::ROLLBACK_TO,
];

/// Whether two templates are the same but for the hash label (`EqualIgnoreHash`).
pub fn same_template(a: &PodTemplate, b: &PodTemplate) -> bool {
    a.spec == b.spec
        && a.annotations == b.annotations
        && a.finalizers == b.finalizers
        && a.labels.without(&keys::POD_TEMPLATE_HASH) == b.labels.without(&keys::POD_TEMPLATE_HASH)
}

/// Order of age: creation, then name (`ReplicaSetsByCreationTimestamp`).
pub fn by_age(sets: &mut [Arc<ReplicaSet>]) {
    sets.sort_by(|a, b| (a.meta.created.truncated(), &a.meta.name).cmp(&(b.meta.created.truncated(), &b.meta.name)));
}

/// The set of the deployment's template, and all others.
pub fn split(
    deployment: &Deployment,
    mut sets: Vec<Arc<ReplicaSet>>,
) -> (Option<Arc<ReplicaSet>>, Vec<Arc<ReplicaSet>>) {
    by_age(&mut sets);
    let at = sets.iter().position(|set| same_template(&set.template, &deployment.template));
    let new = at.map(|at| sets.remove(at));
    (new, sets)
}

/// A set's revision; 0 without one.
pub fn revision_of(set: &ReplicaSet) -> i64 {
    set.meta.annotations.get(&keys::REVISION).and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// The highest revision of the sets.
pub fn max_revision(sets: &[Arc<ReplicaSet>]) -> i64 {
    sets.iter().map(|set| revision_of(set)).max().unwrap_or(0)
}

/// The second highest revision (`LastRevision`).
pub fn last_revision<'a>(sets: impl Iterator<Item = &'a Arc<ReplicaSet>>) -> i64 {
    let (mut max, mut second) = (0, 0);
    for revision in sets.map(|set| revision_of(set)) {
        if revision >= max {
            (second, max) = (max, revision);
        } else if revision > second {
            second = revision;
        }
    }
    second
}

/// The annotations of the new set: the deployment's, its revision, and what it was before
/// (`SetNewReplicaSetAnnotations`). `exists` is false for a set about to be created.
pub fn annotate(deployment: &Deployment, set: &mut ReplicaSet, revision: i64, exists: bool) {
    let copied = deployment.meta.annotations.iter().filter(|(key, _)| !NOT_COPIED.contains(key));
    let mut annotations: Labels = set.meta.annotations.iter().chain(copied).cloned().collect();
    let before = annotations.get(&keys::REVISION).cloned();
    let old = match &before {
        None => Some(0),
        Some(text) if text.is_empty() => Some(0),
        Some(text) => text.parse().ok(),
    };
    // An unreadable revision leaves everything after it alone.
    if let Some(old) = old {
        if old < revision {
            annotations = annotations.with(keys::REVISION, revision.to_string());
            if let Some(before) = before {
                let history = annotations.get(&keys::REVISION_HISTORY).cloned().unwrap_or_default();
                annotations = with_history(annotations, &history, &before);
            }
        }
        set.meta.annotations = annotations;
        if !exists {
            replica_annotations(deployment, set);
        }
    } else {
        set.meta.annotations = annotations;
    }
}

/// Appends a revision to the history, dropping the oldest when it gets too long.
fn with_history(annotations: Labels, history: &str, revision: &str) -> Labels {
    if history.is_empty() {
        return annotations.with(keys::REVISION_HISTORY, revision);
    }
    let revisions: Vec<&str> = history.split(',').collect();
    let mut length = history.len() + revision.len() + 1;
    let mut start = 0;
    while length > HISTORY_LENGTH_MAX && start < revisions.len() {
        length -= revisions[start].len() + 1;
        start += 1;
    }
    let kept: Vec<&str> = revisions[start..].iter().copied().chain([revision]).collect();
    annotations.with(keys::REVISION_HISTORY, kept.join(","))
}

/// Writes the wished and the largest number of the deployment on a set (`SetReplicasAnnotations`).
pub fn replica_annotations(deployment: &Deployment, set: &mut ReplicaSet) {
    let max = deployment.replicas + math::max_surge(deployment);
    let annotations = set.meta.annotations.with(keys::DESIRED_REPLICAS, deployment.replicas.to_string());
    set.meta.annotations = annotations.with(keys::MAX_REPLICAS, max.to_string());
}

/// The annotations of a deployment rolled back to `set`: its own special ones and the set's others
/// (`SetDeploymentAnnotationsTo`).
pub fn rolled_back_annotations(deployment: &Deployment, set: &ReplicaSet) -> Labels {
    let own = deployment.meta.annotations.iter().filter(|(key, _)| NOT_COPIED.contains(key));
    let theirs = set.meta.annotations.iter().filter(|(key, _)| !NOT_COPIED.contains(key));
    own.chain(theirs).cloned().collect()
}
