//! Definitions of custom kinds
//! (`staging/src/k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation/validation.go`,
//! `pkg/apiserver/schema/validation.go`), and the metadata of their objects.

use super::{FieldError, Findings, Validate};
use crate::wire::custom::pattern_fault;
use crate::wire::names;
use crate::wire::places::{Step, join};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionNames, CustomResourceDefinitionVersion, JSONSchemaProps,
    JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::BTreeSet;

/// Where in a schema something stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Item,
    Field,
}

/// What is wrong with the metadata of an object of a custom kind.
pub fn custom_metadata(meta: &ObjectMeta, namespaced: bool) -> Vec<FieldError> {
    let mut findings = Findings::default();
    findings.any_metadata(meta, namespaced, names::dns_subdomain);
    findings.0
}

impl Validate for CustomResourceDefinition {
    fn validate(&self) -> Vec<FieldError> {
        let mut findings = Findings::default();
        findings.any_metadata(&self.metadata, false, names::dns_subdomain);
        let spec = &self.spec;
        let name = self.metadata.name.as_deref().unwrap_or_default();
        if name != format!("{}.{}", spec.names.plural, spec.group) {
            findings.invalid("metadata.name", name, "must be spec.names.plural+\".\"+spec.group");
        }
        if spec.group.is_empty() {
            findings.required("spec.group", "");
        } else if !spec.group.contains('.') {
            findings.invalid("spec.group", &spec.group, "should be a domain with at least one dot");
        } else {
            findings.invalid_each("spec.group", &spec.group, names::dns_subdomain(&spec.group));
        }
        match spec.scope.as_str() {
            "" => findings.required("spec.scope", ""),
            _ => findings.one_of("spec.scope", Some(&spec.scope), &["Cluster", "Namespaced"]),
        }
        findings.versions(&spec.versions);
        findings.custom_names("spec.names", &spec.names);
        if spec.preserve_unknown_fields == Some(true) {
            let detail = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in \
                          spec.versions[*].schema instead";
            findings.invalid_value("spec.preserveUnknownFields", &true, detail);
        }
        findings.0
    }
}

/// What is wrong with a DNS-1035 label (`IsDNS1035Label`).
fn dns1035(text: &str) -> Vec<String> {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let fine = text.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
        && text.bytes().all(inner)
        && !text.ends_with('-')
        && text.len() <= 63;
    let sentence = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an \
                    alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', \
                    regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
    if fine { Vec::new() } else { vec![sentence.to_string()] }
}

impl Findings {
    fn versions(&mut self, versions: &[CustomResourceDefinitionVersion]) {
        let unique: BTreeSet<&str> = versions.iter().map(|version| version.name.as_str()).collect();
        for (at, version) in versions.iter().enumerate() {
            let path = format!("spec.versions[{at}]");
            self.invalid_each(&format!("{path}.name"), &version.name, dns1035(&version.name));
            let schema = version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref());
            match schema {
                Some(schema) => self.schema(&format!("{path}.schema.openAPIV3Schema"), schema, Level::Root),
                None => self.required(format!("{path}.schema.openAPIV3Schema"), "schemas are required"),
            }
            let scale = version.subresources.as_ref().and_then(|parts| parts.scale.as_ref());
            for (field, pointer, part) in scale.iter().flat_map(|scale| {
                let (spec, status) = (&scale.spec_replicas_path, &scale.status_replicas_path);
                [("specReplicasPath", spec, ".spec"), ("statusReplicasPath", status, ".status")]
            }) {
                let path = format!("{path}.subresources.scale.{field}");
                if pointer.is_empty() {
                    self.required(path, "");
                } else if !pointer.starts_with(&format!("{part}.")) {
                    self.invalid(path, pointer, format!("should be a json path under {part}"));
                }
            }
        }
        if unique.len() < versions.len() {
            self.invalid_value("spec.versions", &versions, "must contain unique version names");
        }
        if versions.iter().filter(|version| version.storage).count() != 1 {
            let detail = "must have exactly one version marked as storage version";
            self.invalid_value("spec.versions", &versions, detail);
        }
    }

    fn custom_names(&mut self, path: &str, names: &CustomResourceDefinitionNames) {
        let lower = |text: &Option<String>| text.as_deref().unwrap_or_default().to_lowercase();
        if names.plural.is_empty() {
            self.required(format!("{path}.plural"), "");
        } else {
            self.invalid_each(&format!("{path}.plural"), &names.plural, dns1035(&names.plural));
        }
        if names.kind.is_empty() {
            self.required(format!("{path}.kind"), "");
        }
        let texts = [("singular", names.singular.as_deref().unwrap_or_default())];
        for (field, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
            self.invalid_each(&format!("{path}.{field}"), text, dns1035(text));
        }
        let mixed = [("kind", &names.kind, names.kind.to_lowercase())];
        let list = names.list_kind.clone().unwrap_or_default();
        let mixed = mixed.into_iter().chain([("listKind", &list, lower(&names.list_kind))]);
        for (field, text, lower) in mixed.filter(|(_, text, _)| !text.is_empty()) {
            for why in dns1035(&lower) {
                let detail = format!("may have mixed case, but should otherwise match: {why}");
                self.invalid(format!("{path}.{field}"), text, detail);
            }
        }
        for (field, words) in [("shortNames", &names.short_names), ("categories", &names.categories)] {
            for (at, word) in words.iter().flatten().enumerate() {
                self.invalid_each(&format!("{path}.{field}[{at}]"), word, dns1035(word));
            }
        }
        if !names.kind.is_empty() && names.kind == list {
            self.invalid(format!("{path}.listKind"), &list, "kind and listKind may not be the same");
        }
    }

    /// A schema is structural: every place has a type.
    fn schema(&mut self, path: &str, schema: &JSONSchemaProps, level: Level) {
        let typed = schema.type_.as_deref().unwrap_or_default();
        let free = schema.x_kubernetes_int_or_string == Some(true)
            || schema.x_kubernetes_preserve_unknown_fields == Some(true) && level != Level::Root;
        match (typed, level) {
            ("", Level::Root) => self.required(format!("{path}.type"), "must not be empty at the root"),
            ("", Level::Item) if !free => {
                self.required(format!("{path}.type"), "must not be empty for specified array items");
            }
            ("", Level::Field) if !free => {
                self.required(format!("{path}.type"), "must not be empty for specified object fields");
            }
            (other, Level::Root) if other != "object" => {
                self.invalid(format!("{path}.type"), other, "must be object at the root");
            }
            _ => {}
        }
        if schema.unique_items == Some(true) {
            let detail = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
            self.forbidden(format!("{path}.uniqueItems"), detail);
        }
        if schema.x_kubernetes_preserve_unknown_fields == Some(false) {
            let path = format!("{path}.x-kubernetes-preserve-unknown-fields");
            self.invalid_value(path, &false, "must be true or undefined");
        }
        if let Some(why) = schema.pattern.as_deref().and_then(pattern_fault) {
            let pattern = schema.pattern.as_deref().unwrap_or_default();
            self.invalid(format!("{path}.pattern"), pattern, format!("must be a valid regular expression: {why}"));
        }
        if typed == "array" && schema.items.is_none() {
            self.required(format!("{path}.items"), "must be specified");
        }
        for (name, property) in schema.properties.iter().flatten() {
            let at = join(&format!("{path}.properties"), &Step::Key(name));
            let printed = format!("{path}.properties[{name}]");
            let before = self.0.len();
            self.schema(&printed, property, Level::Field);
            // Printed as the API server does, found where the file has it.
            for error in &mut self.0[before..] {
                let below = error.at.as_deref().unwrap_or(&error.path);
                error.at = below.strip_prefix(&printed).map(|rest| format!("{at}{rest}")).or(error.at.take());
            }
        }
        match &schema.additional_properties {
            Some(JSONSchemaPropsOrBool::Schema(below)) => {
                if schema.properties.as_ref().is_some_and(|known| !known.is_empty()) {
                    let detail = "additionalProperties and properties are mutual exclusive";
                    self.forbidden(format!("{path}.additionalProperties"), detail);
                }
                self.schema(&format!("{path}.additionalProperties"), below, Level::Field);
            }
            Some(JSONSchemaPropsOrBool::Bool(_)) | None => {}
        }
        match &schema.items {
            Some(JSONSchemaPropsOrArray::Schema(below)) => self.schema(&format!("{path}.items"), below, Level::Item),
            Some(JSONSchemaPropsOrArray::Schemas(_)) => {
                self.forbidden(format!("{path}.items"), "items must be a schema object and not an array");
            }
            None => {}
        }
    }
}
