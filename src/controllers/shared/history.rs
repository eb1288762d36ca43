//! Past templates of stateful sets and daemon sets as controller revisions
//! (`pkg/controller/history/controller_history.go`).
//!
//! A worked example: a set whose template changed from A to B has the revisions 1 (A) and 2 (B); set back to A, the
//! revision of A becomes number 3, so the newest is always that of the template.

use super::controller_reference;
use crate::model::sets::{RevisionData, keys};
use crate::model::{ControllerRevision, Key, Kind, Labels, Meta, Name, PodTemplate, Resource, Uid, hash};
use crate::store::{DeleteOptions, Preconditions, View, Write};
use std::sync::Arc;

/// Longest beginning of a revision's name (`ControllerRevisionName`).
const PREFIX_LENGTH_MAX: usize = 223;

/// The template's hash as names and labels carry it (`pkg/controller/controller_utils.go`, `ComputeHash`).
/// The dump that Kubernetes hashes is Go's own, so the value differs; all its properties hold.
pub fn template_hash(template: &PodTemplate, collisions: Option<i32>) -> Name {
    let mut hash: u32 = 0x811c_9dc5;
    let mut fold = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        }
    };
    for (key, value) in template.labels.iter().chain(template.annotations.iter()) {
        fold(key.as_bytes());
        fold(b"=");
        fold(value.as_bytes());
        fold(b";");
    }
    fold(&template.spec.hash.to_le_bytes());
    if let Some(collisions) = collisions {
        fold(&i64::from(collisions).to_le_bytes());
    }
    Name::from(hash::safe_encode(hash))
}

/// The revisions of an owner, the oldest number first.
pub fn revisions_of(view: View<'_>, owner: Uid) -> Vec<Arc<ControllerRevision>> {
    let mut all: Vec<_> = view.controlled::<ControllerRevision>(owner).cloned().collect();
    sort(&mut all);
    all
}

/// By number, then creation, then name (`SortControllerRevisions`).
pub fn sort(revisions: &mut [Arc<ControllerRevision>]) {
    let order = |r: &ControllerRevision| (r.revision, r.meta.created.truncated(), r.meta.name.clone());
    revisions.sort_by_key(|revision| order(revision));
}

/// Whether a revision keeps this template.
pub fn keeps(revision: &ControllerRevision, template: &PodTemplate) -> bool {
    matches!(&revision.data, RevisionData::Template(kept) if **kept == *template)
}

/// The template that a revision keeps.
pub fn template_of(revision: &ControllerRevision) -> Option<&Arc<PodTemplate>> {
    match &revision.data {
        RevisionData::Template(template) => Some(template),
        RevisionData::Other(_) => None,
    }
}

/// Whose revisions these are.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// Its kind.
    pub kind: Kind,
    /// Its metadata.
    pub meta: &'a Meta,
    /// The template that it has now.
    pub template: &'a Arc<PodTemplate>,
}

/// The revision of the template that an owner has now, and what must be written for that.
#[derive(Clone, Debug)]
pub struct Newest {
    /// The revision.
    pub revision: Arc<ControllerRevision>,
    /// Creates it, or moves it to the front.
    pub write: Option<Write>,
    /// Hash collisions by now.
    pub collisions: i32,
}

/// Finds the revision of the owner's template among `sorted`, or makes it. `taken` gives the revision of a name,
/// whoever owns it: one that keeps something else is a collision of hashes.
pub fn newest(
    owner: Owner<'_>,
    sorted: &[Arc<ControllerRevision>],
    mut collisions: i32,
    taken: impl Fn(&Name) -> Option<Arc<ControllerRevision>>,
) -> Newest {
    let number = sorted.last().map_or(0, |last| last.revision) + 1;
    let equal = sorted.iter().rev().find(|revision| keeps(revision, owner.template));
    if let Some(equal) = equal {
        let last = sorted.last().is_some_and(|last| keeps(last, owner.template));
        let mut revision = equal.clone();
        let write = (!last).then(|| {
            Arc::make_mut(&mut revision).revision = number;
            Write::Update(ControllerRevision::clone(&revision).into_object())
        });
        return Newest { revision, write, collisions };
    }
    loop {
        let made = made(owner, number, collisions);
        match taken(&made.meta.name) {
            None => {
                let write = Some(Write::Create(made.clone().into_object()));
                return Newest { revision: Arc::new(made), write, collisions };
            }
            Some(there) if there.data == made.data => return Newest { revision: there, write: None, collisions },
            Some(_) => collisions += 1,
        }
    }
}

fn made(owner: Owner<'_>, number: i64, collisions: i32) -> ControllerRevision {
    let hash = template_hash(owner.template, Some(collisions));
    let prefix: String = owner.meta.name.chars().take(PREFIX_LENGTH_MAX).collect();
    let meta = Meta {
        name: Name::from(format!("{prefix}-{hash}")),
        namespace: owner.meta.namespace.clone(),
        labels: labels(owner, &hash),
        annotations: owner.meta.annotations.clone(),
        owners: vec![controller_reference(owner.kind, owner.meta)],
        ..Meta::default()
    };
    ControllerRevision { meta, revision: number, data: RevisionData::Template(owner.template.clone()) }
}

/// The template's labels and the hash, under the key of the kind (`pkg/controller/daemon/update.go`, `snapshot`).
fn labels(owner: Owner<'_>, hash: &Name) -> Labels {
    let key = if owner.kind == Kind::DaemonSet { keys::REVISION_HASH } else { keys::HISTORY_HASH };
    owner.template.labels.with(key, hash.clone())
}

/// Deletes of the oldest revisions beyond `limit` that nobody uses any more.
pub fn surplus(
    sorted: &[Arc<ControllerRevision>],
    limit: i32,
    live: impl Fn(&ControllerRevision) -> bool,
) -> Vec<Write> {
    let history: Vec<_> = sorted.iter().filter(|revision| !live(revision)).collect();
    let Ok(limit) = usize::try_from(limit) else { return Vec::new() };
    let doomed = history.iter().take(history.len().saturating_sub(limit));
    doomed
        .map(|revision| {
            let preconditions = Preconditions::uid(revision.meta.uid);
            let key = Key::new(Kind::ControllerRevision, revision.meta.namespace.clone(), revision.meta.name.clone());
            Write::Delete(key, DeleteOptions { preconditions, ..DeleteOptions::default() })
        })
        .collect()
}
