//! Kubernetes' validation of objects on create, on the typed API objects, with the API server's own sentences.
//!
//! Follows `pkg/apis/core/validation/validation.go`, `pkg/apis/apps/validation/validation.go` and
//! `staging/src/k8s.io/apimachinery/pkg/util/validation/field/errors.go`. Objects are validated as written, before
//! defaulting: what is absent would get a valid default.

mod autoscaling;
mod batch;
mod config;
mod container;
mod custom;
mod meta;
mod network;
mod pod;
mod policy;
mod resources;
mod scheduling;
mod service;
mod sets;
mod storage;
pub mod update;
pub mod update_pod;
mod update_workload;
mod volume;
mod workload;

pub use custom::custom_metadata;
pub use meta::{annotations, labels};

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;

use super::names;
use super::places::Places;
use super::typed::suggestion;
use crate::error::Problem;

/// Objects that can be validated.
pub trait Validate {
    /// Everything that is wrong with the object, in the API server's order.
    fn validate(&self) -> Vec<FieldError>;
}

/// The class of a field error.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ErrorType {
    /// `Required value`: the field is missing.
    Required,
    /// `Invalid value`, with the value.
    Invalid(String),
    /// `Unsupported value`, with the value and those that are supported.
    NotSupported(String, Vec<String>),
    /// `Duplicate value`, with the value.
    Duplicate(String),
    /// `Forbidden`.
    Forbidden,
    /// `Not found`, with the value.
    NotFound(String),
    /// `Too long`.
    TooLong,
    /// `Too many`, with how many there are.
    TooMany(usize),
}

impl ErrorType {
    /// `Unsupported value`: the value as it is printed, and those that are supported.
    pub fn not_supported(value: impl Into<String>, supported: &[&str]) -> Self {
        ErrorType::NotSupported(value.into(), supported.iter().map(ToString::to_string).collect())
    }
}

/// One thing the API server would refuse.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldError {
    /// The field's path, as the API server prints it.
    pub path: String,
    /// Where the field stands in the object, if the printed path is coarser.
    pub at: Option<String>,
    /// Whether it is the key that is wrong, not the value.
    pub at_key: bool,
    /// The class.
    pub kind: ErrorType,
    /// What is wrong; may be empty.
    pub detail: String,
}

impl fmt::Display for FieldError {
    /// `<path>: <type>: <value>: <detail>`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path)?;
        match &self.kind {
            ErrorType::Required => f.write_str("Required value")?,
            ErrorType::Invalid(value) => write!(f, "Invalid value: {value}")?,
            ErrorType::NotSupported(value, supported) => {
                let quoted: Vec<String> = supported.iter().map(|value| format!("{value:?}")).collect();
                write!(f, "Unsupported value: {value}: supported values: {}", quoted.join(", "))?;
            }
            ErrorType::Duplicate(value) => write!(f, "Duplicate value: {value}")?,
            ErrorType::Forbidden => f.write_str("Forbidden")?,
            ErrorType::NotFound(value) => write!(f, "Not found: {value}")?,
            ErrorType::TooLong => f.write_str("Too long")?,
            ErrorType::TooMany(count) => write!(f, "Too many: {count}")?,
        }
        if self.detail.is_empty() { Ok(()) } else { write!(f, ": {}", self.detail) }
    }
}

impl FieldError {
    /// As a problem of the file in which the object stands.
    pub fn problem(&self, places: &Places) -> Problem {
        let text = self.to_string();
        let message = text.strip_prefix(&format!("{}: ", self.path)).unwrap_or(&text);
        let at = self.at.as_deref().unwrap_or(&self.path);
        let at_key = self.at_key || self.kind == ErrorType::Forbidden;
        let place = if at_key { places.find_key(at) } else { places.find(at) };
        Problem { place: Some(place), path: self.path.clone(), message: message.to_string(), help: Some(self.help()) }
    }

    fn help(&self) -> String {
        let field = self.path.rsplit('.').next().unwrap_or_default();
        match &self.kind {
            ErrorType::Required if self.detail.contains("handler") => {
                "add httpGet, tcpSocket, exec or grpc".to_string()
            }
            ErrorType::Required => format!("add `{field}:` to this object"),
            ErrorType::NotSupported(value, supported) => {
                let supported: Vec<&str> = supported.iter().map(String::as_str).collect();
                suggestion(value.trim_matches('"'), &supported, "write one of")
            }
            ErrorType::Duplicate(_) => "rename or remove one of the two".to_string(),
            ErrorType::Forbidden => "remove this field".to_string(),
            ErrorType::NotFound(_) => "correct the name, or add what it refers to".to_string(),
            ErrorType::TooLong => "shorten it".to_string(),
            ErrorType::TooMany(_) => "leave some of them out".to_string(),
            ErrorType::Invalid(_) => remedy(&self.detail).to_string(),
        }
    }
}

/// What to do about a detail whose sentence does not already say it.
fn remedy(detail: &str) -> &'static str {
    // (part of the detail, what to do)
    const REMEDIES: &[(&str, &str)] = &[
        ("does not match template", "give the template every label that the selector asks for"),
        ("may not be set when maxUnavailable", "set `maxUnavailable: 0`, or remove `maxSurge`"),
        ("may not be 0 when", "let maxSurge or maxUnavailable be at least 1"),
        ("indexed completion mode", "set `completionMode: Indexed`, or remove this field"),
        ("invalid DNS label", "shorten the name: each index is appended to it"),
        ("will be auto-generated", "remove the selector"),
        ("exactly 5 fields", "write minute, hour, day of month, month, day of week: */5 * * * *"),
        ("time zone", "write a name such as Europe/Berlin"),
        ("RFC 1123", "use lower-case letters, digits and dashes"),
        ("limit of", "raise the limit or lower the request"),
        ("less than or equal to", "write a smaller number"),
        ("greater than or equal to 0", "write 0 or more"),
        ("between 1 and 65535", "write a port number from 1 to 65535"),
        ("valid label", "use letters, digits, `-`, `_` and `.`, at most 63"),
        ("name part", "use letters, digits, `-`, `_` and `.`, with an optional prefix such as example.com/"),
        ("percent", "write a number such as 1, or a percentage such as 25%"),
        ("effect must be", "set `effect: NoExecute`, or remove `tolerationSeconds`"),
        ("empty selector", "select the template's labels with matchLabels"),
        ("minReadySeconds", "raise progressDeadlineSeconds or lower minReadySeconds"),
        ("quantit", "write an amount such as 250m or 64Mi"),
        ("config key", "use letters, digits, `-`, `_` and `.`"),
        ("no more than 15 ", "use at most 15 lower-case letters, digits and dashes"),
        ("alpha-numeric characters", "use at most 15 lower-case letters, digits and dashes"),
        ("standard resource", "write cpu, memory, ephemeral-storage, or a name such as example.com/gpu"),
    ];
    let found = REMEDIES.iter().find(|(part, _)| detail.contains(part));
    found.map_or("correct this value as the message says", |(_, remedy)| remedy)
}

/// Collects field errors.
#[derive(Default, Debug)]
struct Findings(Vec<FieldError>);

impl Findings {
    /// Everything that is wrong with a namespaced object: in its metadata, and in its spec, without which these fields
    /// are missing.
    fn of<S>(
        metadata: &ObjectMeta,
        name_rule: fn(&str) -> Vec<String>,
        spec: Option<&S>,
        missing: &[&str],
        check: impl FnOnce(&mut Findings, &S),
    ) -> Vec<FieldError> {
        let mut findings = Findings::default();
        findings.metadata(metadata, true, name_rule);
        match spec {
            Some(spec) => check(&mut findings, spec),
            None => missing.iter().for_each(|field| findings.required(*field, "")),
        }
        findings.0
    }
    fn add(&mut self, path: impl Into<String>, kind: ErrorType, detail: impl Into<String>) -> &mut FieldError {
        self.0.push(FieldError { path: path.into(), at: None, at_key: false, kind, detail: detail.into() });
        self.0.last_mut().expect("one was just pushed")
    }
    fn required(&mut self, path: impl Into<String>, detail: &str) {
        self.add(path, ErrorType::Required, detail);
    }
    /// A text that is invalid.
    fn invalid(&mut self, path: impl Into<String>, value: &str, detail: impl Into<String>) -> &mut FieldError {
        self.add(path, ErrorType::Invalid(format!("{value:?}")), detail)
    }
    /// A key, standing at `at`, that is invalid for each of these reasons.
    fn invalid_key(&mut self, path: &str, at: &str, key: &str, details: Vec<String>) {
        for detail in details {
            let error = self.invalid(path, key, detail);
            (error.at, error.at_key) = (Some(at.to_string()), true);
        }
    }
    /// A text that is invalid for each of these reasons.
    fn invalid_each(&mut self, path: &str, value: &str, details: Vec<String>) {
        for detail in details {
            self.invalid(path, value, detail);
        }
    }
    /// A number or structure that is invalid, printed as JSON.
    fn invalid_value(&mut self, path: impl Into<String>, value: &impl Serialize, detail: &str) -> &mut FieldError {
        let value = serde_json::to_string(value).unwrap_or_default();
        self.add(path, ErrorType::Invalid(value), detail)
    }
    fn forbidden(&mut self, path: impl Into<String>, detail: &str) {
        self.add(path, ErrorType::Forbidden, detail);
    }
    fn duplicate(&mut self, path: impl Into<String>, value: &str) {
        self.add(path, ErrorType::Duplicate(format!("{value:?}")), "");
    }
    /// A word that must be one of `supported`, which is in the order in which the API server prints it.
    fn one_of(&mut self, path: impl Into<String>, value: Option<&String>, supported: &[&'static str]) {
        if let Some(value) = value.filter(|value| !supported.contains(&value.as_str())) {
            self.add(path, ErrorType::not_supported(format!("{value:?}"), supported), "");
        }
    }
    /// A number that may be absent and must not be negative.
    fn not_negative(&mut self, path: impl Into<String>, value: Option<impl Into<i64>>) {
        if let Some(value) = value.map(Into::into).filter(|value| *value < 0) {
            self.invalid_value(path, &value, "must be greater than or equal to 0");
        }
    }
    /// A port number.
    fn port(&mut self, path: impl Into<String>, port: i32) {
        if !(1..=65_535).contains(&port) {
            self.invalid_value(path, &port, "must be between 1 and 65535, inclusive");
        }
    }
}
