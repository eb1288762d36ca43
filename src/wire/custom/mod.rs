//! The schemas of custom kinds: what is checked, what is filled in, what is left out.
//!
//! A schema is the `openAPIV3Schema` of a version, as written. A worked example: with `replicas: {type: integer,
//! minimum: 1, default: 2}` below `spec`, an object without `spec.replicas` gets 2, one with `0` is refused
//! (`spec.replicas in body should be greater than or equal to 1`), and one with `spec.color` loses it.
//!
//! Not evaluated: rules in CEL (`x-kubernetes-validations`), and formats that only describe.

mod fill;
mod format;
mod refuse;

pub use fill::{Unknown, fill, prune};
pub use refuse::{check, pattern_fault};

use crate::error::Problem;
use crate::model::CustomResourceDefinition;
use crate::wire::places::{Places, Step, join};
use crate::wire::typed::suggestion;
use crate::wire::{strict, validate};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};

/// Any field may stand here.
const PRESERVE: &str = "x-kubernetes-preserve-unknown-fields";
/// A whole object stands here.
const EMBEDDED: &str = "x-kubernetes-embedded-resource";
/// A number or a text.
const INT_OR_STRING: &str = "x-kubernetes-int-or-string";
/// How items of a list are told apart.
const LIST_TYPE: &str = "x-kubernetes-list-type";
/// By which of their fields.
const LIST_KEYS: &str = "x-kubernetes-list-map-keys";

fn is_set(schema: &Value, flag: &str) -> bool {
    schema[flag] == Value::Bool(true)
}

fn field(path: &str, name: &str) -> String {
    join(path, &Step::Key(name))
}

fn item(path: &str, index: usize) -> String {
    join(path, &Step::Index(index))
}

/// Everything that is wrong with a written object of a custom kind, with places: what a strict server would answer.
pub fn problems(definition: &CustomResourceDefinition, version: &str, value: &Value, places: &Places) -> Vec<Problem> {
    #[derive(serde::Deserialize)]
    struct Metadata {
        metadata: ObjectMeta,
    }
    let metadata = strict::decode_typed::<Metadata>(&json!({"metadata": value["metadata"]}), places);
    let mut problems = match metadata {
        Ok(Metadata { metadata }) => {
            let errors = validate::custom_metadata(&metadata, definition.namespaced);
            errors.iter().map(|error| error.problem(places)).collect()
        }
        Err(problems) => problems,
    };
    let Some(version) = definition.version(version) else { return problems };
    let mut content = value.clone();
    if let Some(fields) = content.as_object_mut() {
        fields.retain(|field, _| !["apiVersion", "kind", "metadata"].contains(&field.as_str()));
    }
    for Unknown { path, name, known } in prune(&version.schema, &mut content) {
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let message = format!("unknown field {path:?}");
        let help = suggestion(&name, &known, "the fields here are");
        problems.push(Problem { place: Some(places.find_key(&path)), path, message, help: Some(help) });
    }
    fill(&version.schema, &mut content);
    problems.extend(check(&version.schema, &content).iter().map(|error| error.problem(places)));
    problems
}
