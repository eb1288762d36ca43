//! Namespaces, leases, events, configuration, accounts and priority classes.

use super::meta::{list, meta, micro_time, text, texts, time, uid};
use super::{from_raw, nonzero};
use crate::model::core::{ConfigMap, Event, Lease, Namespace, PriorityClass, Secret, ServiceAccount};
use k8s_openapi::api::coordination::v1 as coordination;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::scheduling::v1 as scheduling;

pub(super) fn namespace(from: &Namespace) -> core::Namespace {
    let status = core::NamespaceStatus {
        phase: Some(if from.terminating { "Terminating" } else { "Active" }.to_string()),
        conditions: list(&from.conditions, |c| core::NamespaceCondition {
            type_: c.kind.to_string(),
            status: c.status.as_str().to_string(),
            reason: text(&c.reason),
            message: text(&c.message),
            last_transition_time: Some(time(c.last_transition)),
        }),
    };
    let spec = core::NamespaceSpec { finalizers: texts(&from.spec_finalizers) };
    core::Namespace { metadata: meta(&from.meta), spec: Some(spec), status: Some(status) }
}

pub(super) fn lease(from: &Lease) -> coordination::Lease {
    let seconds = from.duration.0 / 1_000_000_000;
    let spec = coordination::LeaseSpec {
        acquire_time: Some(micro_time(from.acquired)),
        holder_identity: text(&from.holder),
        lease_duration_seconds: nonzero(i32::try_from(seconds).unwrap_or(i32::MAX)),
        lease_transitions: nonzero(from.transitions),
        renew_time: Some(micro_time(from.renewed)),
        ..coordination::LeaseSpec::default()
    };
    coordination::Lease { metadata: meta(&from.meta), spec: Some(spec) }
}

pub(super) fn event(from: &Event) -> core::Event {
    core::Event {
        metadata: meta(&from.meta),
        involved_object: core::ObjectReference {
            api_version: Some(from.regarding.kind.api_version()),
            kind: Some(from.regarding.kind.to_string()),
            name: text(&from.regarding.name),
            namespace: text(&from.regarding.namespace),
            uid: uid(from.regarding_uid),
            ..core::ObjectReference::default()
        },
        type_: Some(if from.warning { "Warning" } else { "Normal" }.to_string()),
        reason: text(&from.reason),
        message: text(&from.message),
        source: text(&from.source).map(|component| core::EventSource { component: Some(component), host: None }),
        reporting_component: text(&from.source),
        count: Some(i32::try_from(from.count).unwrap_or(i32::MAX)),
        first_timestamp: Some(time(from.first)),
        last_timestamp: Some(time(from.last)),
        ..core::Event::default()
    }
}

pub(super) fn config_map(from: &ConfigMap) -> core::ConfigMap {
    core::ConfigMap { metadata: meta(&from.meta), ..from_raw(Some(&from.raw)) }
}

pub(super) fn secret(from: &Secret) -> core::Secret {
    core::Secret { metadata: meta(&from.meta), type_: text(&from.kind), ..from_raw(Some(&from.raw)) }
}

pub(super) fn service_account(from: &ServiceAccount) -> core::ServiceAccount {
    core::ServiceAccount { metadata: meta(&from.meta), ..from_raw(from.raw.as_deref()) }
}

pub(super) fn priority_class(from: &PriorityClass) -> scheduling::PriorityClass {
    scheduling::PriorityClass {
        metadata: meta(&from.meta),
        value: Some(from.value),
        global_default: nonzero(from.global_default),
        preemption_policy: Some(if from.preempts { "PreemptLowerPriority" } else { "Never" }.to_string()),
        description: text(&from.description),
    }
}
