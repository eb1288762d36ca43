//! Metadata and label selectors (`apimachinery/pkg/api/validation/objectmeta.go`,
//! `apimachinery/pkg/apis/meta/v1/validation/validation.go`).

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};

use super::Findings;
use crate::wire::names;
use crate::wire::places::{Step, join};

/// Annotations may have this many bytes, keys and values together.
const ANNOTATIONS_MAX: usize = 256 << 10;

/// Finalizers without a prefix (`pkg/apis/core/helper/helpers.go`, `IsStandardFinalizerName`).
const STANDARD_FINALIZERS: [&str; 3] = ["foregroundDeletion", "kubernetes", "orphan"];

impl Findings {
    /// Metadata of an object of a built-in kind, whose name has to satisfy `name_rule`.
    pub(super) fn metadata(&mut self, meta: &ObjectMeta, namespaced: bool, name_rule: fn(&str) -> Vec<String>) {
        self.any_metadata(meta, namespaced, name_rule);
        for (index, name) in meta.finalizers.iter().flatten().enumerate() {
            if !name.contains('/') && !STANDARD_FINALIZERS.contains(&name.as_str()) {
                let detail = "name is neither a standard finalizer name nor is it fully qualified";
                self.invalid(format!("metadata.finalizers[{index}]"), name, detail);
            }
        }
    }

    /// Metadata of any object.
    pub(super) fn any_metadata(&mut self, meta: &ObjectMeta, namespaced: bool, name_rule: fn(&str) -> Vec<String>) {
        match (meta.name.as_deref().unwrap_or(""), meta.generate_name.as_deref().unwrap_or("")) {
            ("", "") => self.required("metadata.name", "name or generateName is required"),
            ("", base) => self.invalid_each("metadata.generateName", base, name_rule(base.trim_end_matches('-'))),
            (name, _) => self.invalid_each("metadata.name", name, name_rule(name)),
        }
        match meta.namespace.as_deref().filter(|namespace| !namespace.is_empty()) {
            Some(_) if !namespaced => self.forbidden("metadata.namespace", "not allowed on this type"),
            Some(namespace) => self.invalid_each("metadata.namespace", namespace, names::dns_label(namespace)),
            None => {}
        }
        self.labels("metadata.labels", "metadata.labels", meta.labels.as_ref());
        self.annotations("metadata.annotations", "metadata.annotations", meta.annotations.as_ref());
        for (index, name) in meta.finalizers.iter().flatten().enumerate() {
            for detail in names::qualified_name(name) {
                self.invalid("metadata.finalizers", name, detail).at = Some(format!("metadata.finalizers[{index}]"));
            }
        }
    }

    /// Labels printed at `path` and standing at `at`.
    pub(super) fn labels(&mut self, path: &str, at: &str, labels: Option<&BTreeMap<String, String>>) {
        for (key, value) in labels.into_iter().flatten() {
            let place = join(at, &Step::Key(key));
            self.invalid_key(path, &place, key, names::qualified_name(key));
            for detail in names::label_value(value) {
                self.invalid(path, value, detail).at = Some(place.clone());
            }
        }
    }

    pub(super) fn annotations(&mut self, path: &str, at: &str, annotations: Option<&BTreeMap<String, String>>) {
        let mut bytes = 0;
        for (key, value) in annotations.into_iter().flatten() {
            bytes += key.len() + value.len();
            self.invalid_key(path, &join(at, &Step::Key(key)), key, names::qualified_name(&key.to_lowercase()));
        }
        if bytes > ANNOTATIONS_MAX {
            let detail = format!("may not be more than {ANNOTATIONS_MAX} bytes");
            self.add(path, super::ErrorType::TooLong, detail).at = Some(at.to_string());
        }
    }

    pub(super) fn label_selector(&mut self, path: &str, selector: &LabelSelector) {
        let labels = format!("{path}.matchLabels");
        self.labels(&labels, &labels, selector.match_labels.as_ref());
        for (index, expression) in selector.match_expressions.iter().flatten().enumerate() {
            let path = format!("{path}.matchExpressions[{index}]");
            let empty = expression.values.as_ref().is_none_or(Vec::is_empty);
            match expression.operator.as_str() {
                "In" | "NotIn" if empty => {
                    let detail = "must be specified when `operator` is 'In' or 'NotIn'";
                    self.required(format!("{path}.values"), detail);
                }
                "Exists" | "DoesNotExist" if !empty => {
                    let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                    self.forbidden(format!("{path}.values"), detail);
                }
                "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
                other => {
                    self.invalid(format!("{path}.operator"), other, "not a valid selector operator");
                }
            }
            self.invalid_each(&format!("{path}.key"), &expression.key, names::qualified_name(&expression.key));
        }
    }
}

/// What is wrong with the labels of an object, as the API server prints it.
pub fn labels(labels: &BTreeMap<String, String>) -> Vec<String> {
    let mut findings = Findings::default();
    findings.labels("metadata.labels", "metadata.labels", Some(labels));
    findings.0.iter().map(ToString::to_string).collect()
}

/// What is wrong with the annotations of an object, as the API server prints it.
pub fn annotations(annotations: &BTreeMap<String, String>) -> Vec<String> {
    let mut findings = Findings::default();
    findings.annotations("metadata.annotations", "metadata.annotations", Some(annotations));
    findings.0.iter().map(ToString::to_string).collect()
}

/// Whether labels satisfy a selector.
pub(super) fn selects(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    let equal = selector.match_labels.iter().flatten().all(|(key, value)| labels.get(key) == Some(value));
    equal
        && selector.match_expressions.iter().flatten().all(|expression| {
            let value = labels.get(&expression.key);
            let listed = || value.is_some_and(|v| expression.values.as_ref().is_some_and(|values| values.contains(v)));
            match expression.operator.as_str() {
                "In" => listed(),
                "NotIn" => !listed(),
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                _ => false,
            }
        })
}
