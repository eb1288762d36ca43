//! Server-side apply: a client states what it wants of an object, and owns what it states
//! (`sigs.k8s.io/structured-merge-diff`, `merge/update.go`;
//! `staging/src/k8s.io/apimachinery/pkg/util/managedfields/internal/`).
//!
//! A worked example: `ci` applies a Deployment with `replicas: 3`; an autoscaler sets 5, and owns the field now; when
//! `ci` applies again it is refused: `Apply failed with 1 conflict: conflict with "kube-controller-manager" …:
//! .spec.replicas`. With force it owns the field again. If it applies without `replicas`, the field is left to the other.
//!
//! Ownership is kept from an object's first server-side apply on. What was there before belongs to
//! `kubectl-client-side-apply` if `kubectl apply` left its annotation, else to `before-first-apply`.

mod fields;
mod merge;

use crate::model::workload::keys::LAST_APPLIED;
use crate::model::{FieldSet, Kind, ManagedEntry, Name};
use crate::time::SimTime;
use crate::wire::patch::Refusal;
use crate::wire::patch::shape::Place;
use serde_json::{Value, json};

/// Who writes, and through which subresource.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Author {
    /// `fieldManager`.
    pub manager: Name,
    /// Empty for the object itself.
    pub subresource: Name,
}

/// What an apply comes to: the merged object and who owns what in it.
pub type Applied = (Value, Vec<ManagedEntry>);

/// The owners of a new object that `manager` applied.
pub fn created(place: Place<'_>, config: &Value, manager: &Name, now: SimTime) -> Vec<ManagedEntry> {
    vec![applied_entry(manager, fields::all(&fields::owned(&stated(config)), place), now)]
}

/// `live` after `author` applied `config`.
///
/// # Errors
/// Fields that others own would change (409), unless `force`.
pub fn apply(
    (kind, place): (Kind, Place<'_>),
    live: &Value,
    owners: Option<&[ManagedEntry]>,
    config: &Value,
    (manager, force): (&Name, bool),
    now: SimTime,
) -> Result<Applied, Refusal> {
    let mut owners = owners.map_or_else(|| before(place, live, manager, now), <[ManagedEntry]>::to_vec);
    let config = stated(config);
    let stated = fields::all(&fields::owned(&config), place);
    let mut merged = merge::merge(live, &config, place);
    let changed = fields::changed(&fields::owned(live), &fields::owned(&merged), place);
    let is_own = |entry: &ManagedEntry| entry.is(manager, true, "");
    let mut conflicts: Vec<(String, String)> = Vec::new();
    for entry in owners.iter_mut().filter(|entry| !is_own(entry)) {
        let disputed = entry.fields.intersection(&changed);
        conflicts.extend(disputed.paths().into_iter().map(|path| (shown(entry, kind), path)));
        entry.fields = entry.fields.minus(&disputed);
    }
    if !conflicts.is_empty() && !force {
        return Err(Refusal { code: 409, message: message(&conflicts) });
    }
    // What it stated before and does not state now goes, unless somebody else wants it.
    let own = owners.iter().find(|entry| is_own(entry)).cloned();
    let had = own.as_ref().map(|entry| entry.fields.clone()).unwrap_or_default();
    let others = owners.iter().filter(|entry| !is_own(entry));
    let others = others.fold(FieldSet::default(), |all, entry| all.union(&entry.fields));
    merge::remove(&mut merged, &had.minus(&stated).minus(&others), place);
    owners.retain(|entry| !is_own(entry) && !entry.fields.is_empty());
    owners.push(match own.filter(|_| had == stated && merged == *live) {
        Some(same) => same,
        None => applied_entry(manager, stated, now),
    });
    Ok((merged, owners))
}

/// Who owns what after `author` wrote `new` over `old` in any other way.
pub fn update(
    place: Place<'_>,
    (old, new): (&Value, &Value),
    owners: &[ManagedEntry],
    author: &Author,
    now: SimTime,
) -> Vec<ManagedEntry> {
    let (old, new) = (fields::owned(old), fields::owned(new));
    let changed = fields::changed(&old, &new, place);
    let removed = fields::all(&old, place).minus(&fields::all(&new, place));
    let is_own = |entry: &ManagedEntry| entry.is(&author.manager, false, &author.subresource);
    let mut left: Vec<ManagedEntry> = Vec::new();
    for entry in owners {
        let mut fields = entry.fields.minus(&removed);
        if !is_own(entry) {
            fields = fields.minus(&changed);
        }
        if !fields.is_empty() {
            left.push(ManagedEntry { fields, ..entry.clone() });
        }
    }
    if changed.is_empty() {
        return left;
    }
    match left.iter_mut().find(|entry| is_own(entry)) {
        Some(entry) => (entry.fields, entry.time) = (entry.fields.union(&changed), now),
        None => left.push(ManagedEntry {
            manager: author.manager.clone(),
            applied: false,
            subresource: author.subresource.clone(),
            time: now,
            fields: changed,
        }),
    }
    left
}

/// Owners of an object that nobody applied before.
fn before(place: Place<'_>, live: &Value, manager: &Name, now: SimTime) -> Vec<ManagedEntry> {
    let mut wish = fields::owned(live);
    let status = wish.as_object_mut().and_then(|fields| fields.shift_remove("status"));
    let all = fields::all(&wish, place);
    let annotation = live["metadata"]["annotations"][LAST_APPLIED.as_str()].as_str();
    let said = annotation.and_then(|text| serde_json::from_str::<Value>(text).ok());
    let mut owners = Vec::new();
    let mut own = |manager: &str, applied: bool, subresource: &str, fields: FieldSet| {
        let (manager, subresource) = (Name::from(manager), Name::from(subresource));
        owners.push(ManagedEntry { manager, applied, subresource, time: now, fields });
    };
    match said {
        // kubectl takes over what it wrote itself (`client-go/util/csaupgrade/upgrade.go`).
        Some(said) if manager == "kubectl" => {
            let said = fields::all(&fields::owned(&stated(&said)), place);
            own("before-first-apply", false, "", all.minus(&said));
            own("kubectl", true, "", said.intersection(&all));
        }
        Some(_) => own("kubectl-client-side-apply", false, "", all),
        None => own("before-first-apply", false, "", all),
    }
    if let Some(status) = status {
        own("kube-controller-manager", false, "status", fields::all(&json!({"status": status}), place));
    }
    owners.retain(|entry| !entry.fields.is_empty());
    owners
}

/// A configuration without status: that is for others to write.
fn stated(config: &Value) -> Value {
    let mut config = config.clone();
    if let Some(fields) = config.as_object_mut() {
        fields.shift_remove("status");
    }
    config
}

fn applied_entry(manager: &Name, fields: FieldSet, time: SimTime) -> ManagedEntry {
    ManagedEntry { manager: manager.clone(), applied: true, subresource: Name::new(), time, fields }
}

/// A manager as messages name it (`internal/conflict.go`, `printManager`).
fn shown(entry: &ManagedEntry, kind: Kind) -> String {
    let mut text = format!("{:?}", entry.manager.as_str());
    if !entry.subresource.is_empty() {
        text.push_str(&format!(" with subresource {:?}", entry.subresource.as_str()));
    }
    if !entry.applied {
        text.push_str(&format!(" using {}", kind.api_version()));
    }
    text
}

/// `Apply failed with …` (`internal/conflict.go`, `getConflictMessage`).
fn message(conflicts: &[(String, String)]) -> String {
    if let [(manager, path)] = conflicts {
        return format!("Apply failed with 1 conflict: conflict with {manager}: {path}");
    }
    let mut managers: Vec<&String> = conflicts.iter().map(|(manager, _)| manager).collect();
    managers.sort();
    managers.dedup();
    let mut lines = Vec::new();
    for manager in managers {
        lines.push(format!("conflicts with {manager}:"));
        let paths = conflicts.iter().filter(|(other, _)| other == manager).map(|(_, path)| format!("- {path}"));
        lines.extend(paths);
    }
    format!("Apply failed with {} conflicts: {}", conflicts.len(), lines.join("\n"))
}
