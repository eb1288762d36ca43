//! Metadata, timestamps, uids and conditions.

use super::{Decoded, FieldError};
use crate::model::{Condition, Deletion, Kind, Labels, Meta, Name, OwnerReference, Truth, Uid};
use crate::time::{EPOCH_UNIX_SECONDS, SimTime};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference as Owner, Time};
use k8s_openapi::jiff::Timestamp;
use std::collections::BTreeMap;

/// Shared text, empty for none.
pub(super) fn name(text: &Option<String>) -> Name {
    text.as_deref().map_or_else(Name::new, Name::from)
}

/// Shared text, `None` for none or empty.
pub(super) fn some_name(text: &Option<String>) -> Option<Name> {
    text.as_deref().filter(|text| !text.is_empty()).map(Name::from)
}

/// Shared texts.
pub(super) fn names(texts: &Option<Vec<String>>) -> Vec<Name> {
    texts.iter().flatten().map(|text| Name::from(text.as_str())).collect()
}

/// A map of labels or annotations.
pub(super) fn labels(map: &Option<BTreeMap<String, String>>) -> Labels {
    map.iter().flatten().map(|(key, value)| (Name::from(key.as_str()), Name::from(value.as_str()))).collect()
}

/// An instant relative to virtual zero; before it, it is negative.
pub(super) fn instant(at: Timestamp) -> SimTime {
    let since = at.as_nanosecond() - i128::from(EPOCH_UNIX_SECONDS) * 1_000_000_000;
    SimTime(i64::try_from(since).unwrap_or(if since < 0 { i64::MIN } else { i64::MAX }))
}

/// A `metav1.Time`; virtual zero for none.
pub(super) fn time(at: &Option<Time>) -> SimTime {
    some_time(at).unwrap_or_default()
}

/// A `metav1.Time`.
pub(super) fn some_time(at: &Option<Time>) -> Option<SimTime> {
    at.as_ref().map(|at| instant(at.0))
}

/// A `metav1.MicroTime`; virtual zero for none.
pub(super) fn micro_time(at: &Option<MicroTime>) -> SimTime {
    at.as_ref().map(|at| instant(at.0)).unwrap_or_default()
}

/// A uid. Any text is accepted, as by the API server; what is not a UUID gets one made of its text.
pub(super) fn uid(text: &Option<String>) -> Uid {
    let text = text.as_deref().unwrap_or_default();
    let hex: String = text.chars().filter(|c| *c != '-').collect();
    match u128::from_str_radix(&hex, 16) {
        _ if text.is_empty() => Uid::default(),
        Ok(bits) if hex.len() == 32 => Uid(bits),
        _ => Uid::from_random(text.bytes().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, |hash: u128, byte| {
            (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
        })),
    }
}

/// The status of a condition.
pub(super) fn truth(text: &str) -> Truth {
    match text {
        "True" => Truth::True,
        "False" => Truth::False,
        _ => Truth::Unknown,
    }
}

/// The conditions of a status that keep no time of update.
macro_rules! conditions {
    ($from:expr) => {
        $from
            .iter()
            .flatten()
            .map(|c| condition((&c.type_, &c.status), &c.reason, &c.message, &c.last_transition_time, &None))
            .collect()
    };
}
pub(super) use conditions;

/// A spec that must be there.
pub(super) fn spec_of<T>(spec: Option<T>) -> Decoded<T> {
    spec.ok_or_else(|| FieldError::new("spec", "Required value"))
}

/// A condition of any kind; `update` is the time field that only that kind has.
pub(super) fn condition(
    (kind, status): (&str, &str),
    reason: &Option<String>,
    message: &Option<String>,
    transition: &Option<Time>,
    update: &Option<Time>,
) -> Condition {
    let last_transition = time(transition);
    Condition {
        kind: Name::from(kind),
        status: truth(status),
        reason: name(reason),
        message: name(message),
        last_transition,
        last_update: some_time(update).unwrap_or(last_transition),
    }
}

/// Metadata. Owner references to kinds that are not served are left out: nothing could resolve them.
pub(super) fn meta(from: &ObjectMeta) -> Decoded<Meta> {
    let resource_version = match from.resource_version.as_deref().unwrap_or_default() {
        "" => 0,
        text => {
            text.parse().map_err(|_| FieldError::new("metadata.resourceVersion", format!("Invalid value: {text:?}")))?
        }
    };
    let deletion = some_time(&from.deletion_timestamp)
        .map(|at| Deletion { at, grace_seconds: from.deletion_grace_period_seconds.unwrap_or(0) });
    Ok(Meta {
        name: name(&from.name),
        namespace: name(&from.namespace),
        generate_name: name(&from.generate_name),
        uid: uid(&from.uid),
        resource_version,
        generation: from.generation.unwrap_or(0),
        created: time(&from.creation_timestamp),
        deletion,
        labels: labels(&from.labels),
        annotations: labels(&from.annotations),
        finalizers: names(&from.finalizers),
        owners: from.owner_references.iter().flatten().filter_map(owner).collect(),
        // Only the server writes it.
        managed: None,
    })
}

/// Metadata of a namespaced object: the namespace is `default` when the manifest names none, as kubectl has it.
pub(super) fn namespaced(from: &ObjectMeta) -> Decoded<Meta> {
    let mut meta = meta(from)?;
    if meta.namespace.is_empty() {
        meta.namespace = crate::name!("default");
    }
    Ok(meta)
}

fn owner(from: &Owner) -> Option<OwnerReference> {
    let kind = Kind::ALL
        .iter()
        .copied()
        .find(|kind| kind.is_api() && kind.as_str() == from.kind && kind.api_version() == from.api_version)?;
    Some(OwnerReference {
        kind,
        name: Name::from(from.name.as_str()),
        uid: uid(&Some(from.uid.clone())),
        controller: from.controller.unwrap_or(false),
        block_owner_deletion: from.block_owner_deletion.unwrap_or(false),
    })
}
