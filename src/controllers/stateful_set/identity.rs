//! What makes each pod of a stateful set itself: its name, its labels, its claims
//! (`pkg/controller/statefulset/stateful_set_utils.go`).
//!
//! A worked example: pod 2 of `db` with the claim template `data` is `db-2`, carries its name and index as labels,
//! and mounts the claim `data-db-2`.

use super::super::shared::{controller_reference, pod_of_template};
use crate::model::pod_spec::VolumeSource;
use crate::model::selector::Operator;
use crate::model::sets::{ClaimRetention, keys};
use crate::model::{
    ControllerRevision, Kind, Labels, Meta, Name, OwnerReference, PersistentVolumeClaim, Pod, PodTemplate, Resource,
    StatefulSet, Uid,
};
use std::sync::Arc;

/// The ordinal in a pod's name, if it is one of the set's.
pub fn ordinal(set: &StatefulSet, pod: &Pod) -> Option<i32> {
    let (parent, number) = pod.meta.name.rsplit_once('-')?;
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    (digits && parent == set.meta.name).then(|| number.parse().ok())?
}

/// Whether the set wishes a pod with this ordinal.
pub fn in_range(set: &StatefulSet, ordinal: i32) -> bool {
    (set.first_ordinal()..set.first_ordinal().saturating_add(set.replicas)).contains(&ordinal)
}

/// The name of the claim that a pod has of a template.
pub fn claim_name(set: &StatefulSet, template: &PersistentVolumeClaim, ordinal: i32) -> Name {
    Name::from(format!("{}-{}-{ordinal}", template.meta.name, set.meta.name))
}

/// The claims of a pod, as they are created: with the labels that the set's selector asks for.
pub fn claims(set: &StatefulSet, ordinal: i32) -> Vec<PersistentVolumeClaim> {
    let selected = set.selector.requirements.iter().filter(|r| r.operator == Operator::In && r.values.len() == 1);
    let selected: Labels = selected.map(|r| (r.key.clone(), r.values[0].clone())).collect();
    let made = |template: &Arc<PersistentVolumeClaim>| {
        let mut claim = PersistentVolumeClaim::clone(template);
        claim.meta.name = claim_name(set, template, ordinal);
        claim.meta.namespace = set.meta.namespace.clone();
        claim.meta.labels = claim.meta.labels.iter().chain(selected.iter()).cloned().collect();
        claim
    };
    set.claim_templates.iter().map(made).collect()
}

/// The pod with this ordinal, made from a revision's template.
pub fn new_pod(set: &StatefulSet, template: &PodTemplate, revision: &ControllerRevision, ordinal: i32) -> Pod {
    let mut pod = pod_of_template(Kind::StatefulSet, &set.meta, template);
    pod.meta.name = Name::from(format!("{}-{ordinal}", set.meta.name));
    pod.meta.generate_name = Name::new();
    let index = Name::from(ordinal.to_string());
    let labels = pod.meta.labels.with(keys::POD_NAME, pod.meta.name.clone()).with(keys::POD_INDEX, index);
    pod.meta.labels = labels.with(keys::REVISION_HASH, revision.meta.name.clone());
    let volume = |claim: &Arc<PersistentVolumeClaim>| (claim.meta.name.clone(), claim_name(set, claim, ordinal));
    let claims: Vec<(Name, Name)> = set.claim_templates.iter().map(volume).collect();
    pod.spec = Arc::new(template.spec.with_identity(&pod.meta.name, &set.service_name, &claims));
    pod
}

/// Whether a pod carries its own name as label.
pub fn identity_matches(pod: &Pod) -> bool {
    pod.meta.labels.get(&keys::POD_NAME) == Some(&pod.meta.name)
}

/// Whether a pod mounts the claims that it should.
pub fn storage_matches(set: &StatefulSet, pod: &Pod, ordinal: i32) -> bool {
    set.claim_templates.iter().all(|template| {
        let volume = pod.spec.volumes.iter().find(|volume| volume.name == template.meta.name);
        let wanted = claim_name(set, template, ordinal);
        volume.is_some_and(|volume| matches!(&volume.source, VolumeSource::Claim(claim) if *claim == wanted))
    })
}

/// The owners that a claim should have, for as long as nobody else controls it: the set if the claim goes with it,
/// the pod if the claim goes with a pod that the set no longer wishes
/// (`updateClaimOwnerRefForSetAndPod`).
fn wished_owner(set: &StatefulSet, pod: &Meta, ordinal: i32) -> Option<OwnerReference> {
    let ClaimRetention { delete_when_deleted, delete_when_scaled } = set.retention.unwrap_or_default();
    let scaled_down = !in_range(set, ordinal);
    match (delete_when_scaled, delete_when_deleted) {
        (true, _) if scaled_down => Some(controller_reference(Kind::Pod, pod)),
        (_, true) => Some(controller_reference(Kind::StatefulSet, &set.meta)),
        _ => None,
    }
}

fn refers(owner: &OwnerReference, kind: Kind, to: &Meta) -> bool {
    owner.kind == kind && owner.name == to.name
}

/// The owners that a claim should have, if they are not those that it has.
pub fn corrected_owners(
    set: &StatefulSet,
    pod: &Meta,
    ordinal: i32,
    claim: &PersistentVolumeClaim,
) -> Option<Vec<OwnerReference>> {
    let owners = &claim.meta.owners;
    let ours = |owner: &&OwnerReference| refers(owner, Kind::StatefulSet, &set.meta) || refers(owner, Kind::Pod, pod);
    let others: Vec<OwnerReference> = owners.iter().filter(|owner| !ours(owner)).cloned().collect();
    let conflicting = others.iter().any(|owner| owner.controller);
    let wished: Vec<OwnerReference> = owners.iter().filter(ours).cloned().collect();
    let owner = wished_owner(set, pod, ordinal).filter(|_| !conflicting);
    // Without a uid the pod does not exist yet, and its name is enough.
    let same = |have: &OwnerReference, want: &OwnerReference| have == want || want.uid == Uid::default();
    let right = match (&owner, wished.as_slice()) {
        (None, []) => true,
        (Some(want), [have]) => have.kind == want.kind && same(have, want),
        _ => false,
    };
    (!right).then(|| others.into_iter().chain(owner).collect())
}

/// Whether somebody else is the managing controller of a claim.
pub fn has_other_controller(set: &StatefulSet, pod: &Meta, claim: &PersistentVolumeClaim) -> bool {
    let other = |owner: &OwnerReference| {
        owner.controller && !refers(owner, Kind::StatefulSet, &set.meta) && !refers(owner, Kind::Pod, pod)
    };
    claim.meta.owners.iter().any(other)
}

/// Whether a claim still belongs to a pod of that name that is gone: the garbage collector will take it away, so a new
/// pod must not use it (`PodClaimIsStale`).
pub fn is_stale(set: &StatefulSet, claim: &PersistentVolumeClaim, pod: &Meta) -> bool {
    let scaled = set.retention.unwrap_or_default().delete_when_scaled;
    scaled && claim.meta.owners.iter().any(|owner| refers(owner, Kind::Pod, pod) && owner.uid != pod.uid)
}

/// The key of the claim of that name beside the set.
pub fn claim_key(set: &StatefulSet, name: &Name) -> crate::model::Key {
    crate::model::Key::new(PersistentVolumeClaim::KIND, set.meta.namespace.clone(), name.clone())
}
