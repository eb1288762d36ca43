//! Namespaces, leases, events, configuration, accounts and priority classes.

use super::container::unsupported;
use super::defaults::text;
use super::meta::{condition, conditions, meta, micro_time, name, names, namespaced, some_time, uid};
use super::{Decoded, FieldError};
use crate::model::core::{ConfigMap, Event, Lease, Namespace, PriorityClass, Secret, ServiceAccount};
use crate::model::{Key, Kind};
use crate::time::SimDuration;
use k8s_openapi::ByteString;
use k8s_openapi::api::coordination::v1 as coordination;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::scheduling::v1 as scheduling;
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;

pub(super) fn namespace(from: core::Namespace) -> Decoded<Namespace> {
    let mut meta = meta(&from.metadata)?;
    if !meta.name.is_empty() {
        meta.labels = meta.labels.with("kubernetes.io/metadata.name", meta.name.clone());
    }
    let status = from.status.unwrap_or_default();
    // Creation gives it the finalizer that its controller removes (`pkg/registry/core/namespace/strategy.go`).
    let mut spec_finalizers = names(&from.spec.unwrap_or_default().finalizers);
    let terminating = status.phase.as_deref() == Some("Terminating");
    if spec_finalizers.is_empty() && !terminating {
        spec_finalizers.push(crate::name!("kubernetes"));
    }
    Ok(Namespace { meta, terminating, spec_finalizers, conditions: conditions!(status.conditions) })
}

pub(super) fn lease(from: coordination::Lease) -> Decoded<Lease> {
    let spec = from.spec.unwrap_or_default();
    Ok(Lease {
        meta: namespaced(&from.metadata)?,
        holder: name(&spec.holder_identity),
        duration: SimDuration::from_secs(i64::from(spec.lease_duration_seconds.unwrap_or(0))),
        acquired: micro_time(&spec.acquire_time),
        renewed: micro_time(&spec.renew_time),
        transitions: spec.lease_transitions.unwrap_or(0),
    })
}

pub(super) fn event(from: core::Event) -> Decoded<Event> {
    let about = &from.involved_object;
    let kind = about.kind.as_deref().unwrap_or_default();
    let known = Kind::ALL.iter().copied().find(|known| known.is_api() && known.as_str() == kind);
    let kind = known.ok_or_else(|| FieldError::new("involvedObject.kind", format!("Unsupported value: {kind:?}")))?;
    let first = some_time(&from.first_timestamp).unwrap_or_else(|| micro_time(&from.event_time));
    let source = from.source.as_ref().map(|source| name(&source.component)).filter(|source| !source.is_empty());
    Ok(Event {
        meta: namespaced(&from.metadata)?,
        regarding: Key::new(kind, name(&about.namespace), name(&about.name)),
        regarding_uid: uid(&about.uid),
        warning: from.type_.as_deref() == Some("Warning"),
        reason: name(&from.reason),
        message: name(&from.message),
        source: source.unwrap_or_else(|| name(&from.reporting_component)),
        count: u32::try_from(from.count.unwrap_or(1)).unwrap_or(1),
        first,
        last: some_time(&from.last_timestamp).unwrap_or(first),
    })
}

/// The object as JSON without what the model keeps elsewhere.
pub(super) fn rest(object: &impl Serialize, elsewhere: &[&str]) -> Decoded<Arc<Value>> {
    let mut raw = serde_json::to_value(object).map_err(|error| FieldError::new("", error.to_string()))?;
    if let Value::Object(fields) = &mut raw {
        for field in ["apiVersion", "kind", "metadata"].iter().chain(elsewhere) {
            fields.shift_remove(*field);
        }
    }
    Ok(Arc::new(raw))
}

pub(super) fn config_map(from: core::ConfigMap) -> Decoded<ConfigMap> {
    let text = from.data.iter().flatten().map(|(key, value)| (key.as_str().into(), value.as_str().into()));
    let binary = from.binary_data.iter().flatten().map(|(key, _)| (key.as_str().into(), crate::model::Name::new()));
    Ok(ConfigMap {
        meta: namespaced(&from.metadata)?,
        data: Arc::new(text.chain(binary).collect()),
        immutable: from.immutable.unwrap_or(false),
        raw: rest(&from, &[])?,
    })
}

pub(super) fn secret(mut from: core::Secret) -> Decoded<Secret> {
    text(&mut from.type_, "Opaque");
    // What is written as plain text is stored with the rest and wins (`pkg/apis/core/v1/conversion.go`).
    if let Some(plain) = from.string_data.take() {
        let data = from.data.get_or_insert_default();
        data.extend(plain.into_iter().map(|(key, value)| (key, ByteString(value.into_bytes()))));
    }
    let value = |bytes: &ByteString| std::str::from_utf8(&bytes.0).map(crate::model::Name::from).unwrap_or_default();
    let data = from.data.iter().flatten().map(|(key, bytes)| (key.as_str().into(), value(bytes)));
    Ok(Secret {
        meta: namespaced(&from.metadata)?,
        kind: name(&from.type_),
        data: Arc::new(data.collect()),
        immutable: from.immutable.unwrap_or(false),
        raw: rest(&from, &["type"])?,
    })
}

pub(super) fn service_account(from: core::ServiceAccount) -> Decoded<ServiceAccount> {
    let raw = rest(&from, &[])?;
    let empty = raw.as_object().is_some_and(serde_json::Map::is_empty);
    Ok(ServiceAccount { meta: namespaced(&from.metadata)?, raw: (!empty).then_some(raw) })
}

pub(super) fn priority_class(from: scheduling::PriorityClass) -> Decoded<PriorityClass> {
    let preempts = match from.preemption_policy.as_deref().unwrap_or_default() {
        "" | "PreemptLowerPriority" => true,
        "Never" => false,
        other => return Err(unsupported("preemptionPolicy", other, &["Never", "PreemptLowerPriority"])),
    };
    Ok(PriorityClass {
        meta: meta(&from.metadata)?,
        value: from.value.unwrap_or(0),
        global_default: from.global_default.unwrap_or(false),
        preempts,
        description: name(&from.description),
    })
}
