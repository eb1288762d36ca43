//! ConfigMaps, Secrets, Namespaces, Nodes, PriorityClasses, ServiceAccounts and the kinds with metadata only.

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node, Secret, ServiceAccount};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::scheduling::v1::PriorityClass;

use super::scheduling::EFFECTS;
use super::{ErrorType, FieldError, Findings, Validate};
use crate::wire::names;

/// The most bytes in a ConfigMap or Secret.
const DATA_MAX: usize = 1 << 20;
/// The highest value of a priority class that is not the system's.
const PRIORITY_MAX: i32 = 1_000_000_000;

/// What secrets of some types must have.
const SECRET_KEYS: [(&str, &str); 5] = [
    ("kubernetes.io/dockercfg", ".dockercfg"),
    ("kubernetes.io/dockerconfigjson", ".dockerconfigjson"),
    ("kubernetes.io/ssh-auth", "ssh-privatekey"),
    ("kubernetes.io/tls", "tls.crt"),
    ("kubernetes.io/tls", "tls.key"),
];

impl Findings {
    /// The keys of a ConfigMap or Secret and the size of all values.
    fn data<'a>(&mut self, field: &str, keys: impl Iterator<Item = &'a String>, bytes: usize) {
        for key in keys {
            let shaped = key.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) && !key.is_empty();
            if !shaped {
                let detail = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. \
                              'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
                let path = format!("{field}[{key}]");
                self.invalid_key(&path, &path, key, vec![detail.to_string()]);
            } else if key.len() > 253 {
                self.invalid(format!("{field}[{key}]"), key, "must be no more than 253 characters");
            }
        }
        if bytes > DATA_MAX {
            self.add(field, ErrorType::TooLong, format!("may not be more than {DATA_MAX} bytes"));
        }
    }
}

impl Validate for ConfigMap {
    fn validate(&self) -> Vec<FieldError> {
        let mut findings = Findings::default();
        findings.metadata(&self.metadata, true, names::dns_subdomain);
        let text = self.data.iter().flatten().map(|(_, value)| value.len()).sum::<usize>();
        let binary = self.binary_data.iter().flatten().map(|(_, value)| value.0.len()).sum::<usize>();
        findings.data("data", self.data.iter().flatten().map(|(key, _)| key), text + binary);
        findings.data("binaryData", self.binary_data.iter().flatten().map(|(key, _)| key), 0);
        findings.0
    }
}

impl Validate for Secret {
    fn validate(&self) -> Vec<FieldError> {
        let mut findings = Findings::default();
        findings.metadata(&self.metadata, true, names::dns_subdomain);
        let bytes = self.data.iter().flatten().map(|(_, value)| value.0.len()).sum::<usize>();
        findings.data("data", self.data.iter().flatten().map(|(key, _)| key), bytes);
        findings.data("stringData", self.string_data.iter().flatten().map(|(key, _)| key), 0);
        let has = |key: &str| {
            let text = self.string_data.as_ref().is_some_and(|data| data.contains_key(key));
            text || self.data.as_ref().is_some_and(|data| data.contains_key(key))
        };
        let kind = self.type_.as_deref().unwrap_or_default();
        for (_, key) in SECRET_KEYS.iter().filter(|(of, key)| *of == kind && !has(key)) {
            findings.required(format!("data[{key}]"), "");
        }
        findings.0
    }
}

impl Validate for Node {
    fn validate(&self) -> Vec<FieldError> {
        let mut findings = Findings::default();
        findings.metadata(&self.metadata, false, names::dns_subdomain);
        let taints = self.spec.iter().filter_map(|spec| spec.taints.as_ref()).flatten();
        for (index, taint) in taints.enumerate() {
            let path = format!("spec.taints[{index}]");
            findings.invalid_each(&format!("{path}.key"), &taint.key, names::qualified_name(&taint.key));
            let value = taint.value.as_deref().unwrap_or("");
            findings.invalid_each(&format!("{path}.value"), value, names::label_value(value));
            findings.one_of(format!("{path}.effect"), Some(&taint.effect), EFFECTS);
        }
        if let Some(status) = &self.status {
            for (field, amounts) in [("capacity", &status.capacity), ("allocatable", &status.allocatable)] {
                for (name, written) in amounts.iter().flatten() {
                    if let Err(why) = crate::model::quantity::parse_quantity(&written.0) {
                        findings.invalid(format!("status.{field}[{name}]"), &written.0, why);
                    }
                }
            }
        }
        findings.0
    }
}

impl Validate for PriorityClass {
    fn validate(&self) -> Vec<FieldError> {
        let mut findings = Findings::default();
        findings.metadata(&self.metadata, false, names::dns_subdomain);
        if self.metadata.name.as_deref().is_some_and(|name| name.starts_with("system-")) {
            let detail = "priority class names with 'system-' prefix are reserved for system use only";
            findings.forbidden("metadata.name", detail);
        }
        if self.value.unwrap_or(0) > PRIORITY_MAX {
            let detail = format!("maximum allowed value of a user defined priority is {PRIORITY_MAX}");
            findings.forbidden("value", &detail);
        }
        let policies = &["PreemptLowerPriority", "Never"];
        findings.one_of("preemptionPolicy", self.preemption_policy.as_ref(), policies);
        findings.0
    }
}

/// Kinds of which only the metadata is validated.
macro_rules! metadata_only {
    ($($kind:ty, $namespaced:literal, $rule:path;)*) => { $(
        impl Validate for $kind {
            fn validate(&self) -> Vec<FieldError> {
                let mut findings = Findings::default();
                findings.metadata(&self.metadata, $namespaced, $rule);
                findings.0
            }
        }
    )* };
}

metadata_only! {
    Namespace, false, names::dns_label;
    ServiceAccount, true, names::dns_subdomain;
    Lease, true, names::dns_subdomain;
    EndpointSlice, true, names::dns_subdomain;
}
