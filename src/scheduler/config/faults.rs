//! Collects what is wrong, in kube-scheduler's words, with places and remedies.

use crate::error::Problem;
use crate::wire::places::Places;
use crate::wire::typed::{self, FieldProblem};
use crate::wire::validate::{ErrorType, FieldError};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Everything wrong with one file so far.
pub(super) struct Faults<'a> {
    places: &'a Places,
    pub(super) problems: Vec<Problem>,
    /// What is legal but has no effect.
    pub(super) warnings: Vec<Problem>,
}

impl<'a> Faults<'a> {
    pub(super) fn new(places: &'a Places) -> Self {
        Faults { places, problems: Vec::new(), warnings: Vec::new() }
    }

    /// A field error; an empty `help` keeps the usual one.
    pub(super) fn add(&mut self, path: &str, kind: ErrorType, detail: &str, help: &str) {
        let error = FieldError { path: path.to_string(), at: None, at_key: false, kind, detail: detail.to_string() };
        let mut problem = error.problem(self.places);
        if !help.is_empty() {
            problem.help = Some(help.to_string());
        }
        self.problems.push(problem);
    }

    /// `Invalid value`; `value` as Kubernetes prints it.
    pub(super) fn invalid(&mut self, path: &str, value: impl ToString, detail: &str, help: &str) {
        self.add(path, ErrorType::Invalid(value.to_string()), detail, help);
    }

    /// A sentence that is no field error.
    pub(super) fn say(&mut self, path: &str, message: impl Into<String>, help: impl Into<String>) {
        self.problems.push(self.places.problem(path, message, help));
    }

    /// Something that has no effect.
    pub(super) fn warn(&mut self, path: &str, message: impl Into<String>, help: impl Into<String>) {
        self.warnings.push(self.places.problem(path, message, help));
    }

    /// Reads `value`, which stands at `path`, strictly.
    pub(super) fn read<T: DeserializeOwned>(&mut self, path: &str, value: &Value) -> Option<T> {
        match typed::read::<T>(value) {
            Ok(read) => Some(read),
            Err(problems) => {
                self.fields(path, problems);
                None
            }
        }
    }

    /// Problems of fields below `path`.
    pub(super) fn fields(&mut self, path: &str, problems: Vec<FieldProblem>) {
        for mut problem in problems {
            problem.path = match (path.is_empty(), problem.path.is_empty()) {
                (true, _) => problem.path,
                (_, true) => path.to_string(),
                _ if problem.path.starts_with('[') => format!("{path}{}", problem.path),
                _ => format!("{path}.{}", problem.path),
            };
            self.problems.push(problem.placed(self.places, "see the reference of KubeSchedulerConfiguration v1"));
        }
    }
}
