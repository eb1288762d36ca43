//! Metadata, timestamps and selectors.

use super::nonzero;
use crate::model::selector::Operator;
use crate::model::{FieldSet, Labels, ManagedEntry, Meta, Name, Selector, Uid};
use crate::time::{EPOCH_UNIX_SECONDS, SimTime};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{
    FieldsV1, LabelSelector, LabelSelectorRequirement, ManagedFieldsEntry, MicroTime, ObjectMeta, OwnerReference, Time,
};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Text, absent when empty.
pub(super) fn text(name: &Name) -> Option<String> {
    nonzero(name.to_string())
}

pub(super) fn texts(names: &[Name]) -> Option<Vec<String>> {
    list(names, |name| name.to_string())
}

/// A list, absent when empty.
pub(super) fn list<A, B>(items: &[A], encode: impl FnMut(&A) -> B) -> Option<Vec<B>> {
    (!items.is_empty()).then(|| items.iter().map(encode).collect())
}

pub(super) fn labels(labels: &Labels) -> Option<BTreeMap<String, String>> {
    nonzero(labels.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect())
}

fn timestamp(at: SimTime) -> Timestamp {
    let nanoseconds = i128::from(EPOCH_UNIX_SECONDS) * 1_000_000_000 + i128::from(at.0);
    Timestamp::from_nanosecond(nanoseconds).expect("64 bits of nanoseconds around this century are a date")
}

/// An instant as text (RFC 3339).
pub fn rfc3339(at: SimTime) -> String {
    timestamp(at).to_string()
}

pub(super) fn time(at: SimTime) -> Time {
    Time(timestamp(at.truncated()))
}

pub(super) fn micro_time(at: SimTime) -> MicroTime {
    MicroTime(timestamp(at))
}

pub(super) fn uid(uid: Uid) -> Option<String> {
    (uid != Uid::default()).then(|| uid.to_string())
}

pub(super) fn meta(meta: &Meta) -> ObjectMeta {
    let stored = meta.uid != Uid::default() || meta.created != SimTime::ZERO;
    ObjectMeta {
        annotations: labels(&meta.annotations),
        creation_timestamp: stored.then(|| time(meta.created)),
        deletion_grace_period_seconds: meta.deletion.map(|deletion| deletion.grace_seconds),
        deletion_timestamp: meta.deletion.map(|deletion| time(deletion.at)),
        finalizers: texts(&meta.finalizers),
        generate_name: text(&meta.generate_name),
        generation: nonzero(meta.generation),
        labels: labels(&meta.labels),
        managed_fields: meta.managed.as_ref().map(|owners| owners.iter().map(managed).collect()),
        name: text(&meta.name),
        namespace: text(&meta.namespace),
        owner_references: list(&meta.owners, |owner| OwnerReference {
            api_version: owner.kind.api_version(),
            kind: owner.kind.to_string(),
            name: owner.name.to_string(),
            uid: owner.uid.to_string(),
            controller: nonzero(owner.controller),
            block_owner_deletion: nonzero(owner.block_owner_deletion),
        }),
        resource_version: nonzero(meta.resource_version).map(|version| version.to_string()),
        uid: uid(meta.uid),
        ..ObjectMeta::default()
    }
}

/// Who owns which fields. The version is that of the object around it.
fn managed(from: &ManagedEntry) -> ManagedFieldsEntry {
    ManagedFieldsEntry {
        api_version: None,
        fields_type: Some("FieldsV1".to_string()),
        fields_v1: Some(FieldsV1(field_set(&from.fields))),
        manager: text(&from.manager),
        operation: Some(if from.applied { "Apply" } else { "Update" }.to_string()),
        subresource: text(&from.subresource),
        time: Some(time(from.time)),
    }
}

fn field_set(set: &FieldSet) -> Value {
    let below = set.children.iter().map(|(step, below)| (step.to_string(), field_set(below)));
    let itself = (set.member && !set.children.is_empty()).then(|| (".".to_string(), json!({})));
    itself.into_iter().chain(below).collect::<serde_json::Map<_, _>>().into()
}

/// A selector in the shortest form: `matchLabels` where a key has exactly one value.
pub(super) fn selector(selector: &Selector) -> LabelSelector {
    let mut pairs = BTreeMap::new();
    let mut expressions = Vec::new();
    for r in &selector.requirements {
        match (r.operator, &r.values[..]) {
            (Operator::In, [value]) if !pairs.contains_key(r.key.as_str()) => {
                pairs.insert(r.key.to_string(), value.to_string());
            }
            _ => expressions.push(LabelSelectorRequirement {
                key: r.key.to_string(),
                operator: format!("{:?}", r.operator),
                values: texts(&r.values),
            }),
        }
    }
    LabelSelector { match_labels: nonzero(pairs), match_expressions: nonzero(expressions) }
}
