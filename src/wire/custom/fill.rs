//! What a schema adds to an object and takes out of it (`pkg/apiserver/schema/{defaulting,pruning}/algorithm.go` of
//! `staging/src/k8s.io/apiextensions-apiserver`).

use super::{EMBEDDED, PRESERVE, field, is_set, item};
use serde_json::Value;

/// A field that a schema does not have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unknown {
    /// Its path.
    pub path: String,
    /// Its name.
    pub name: String,
    /// The fields that may stand there.
    pub known: Vec<String>,
}

/// Puts the schema's defaults where nothing stands, and takes out null where it may not stand.
pub fn fill(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let properties = schema["properties"].as_object();
            for (name, property) in properties.into_iter().flatten() {
                let missing = match fields.get(name) {
                    None => true,
                    Some(Value::Null) => !is_set(property, "nullable"),
                    Some(_) => false,
                };
                match property.get("default") {
                    Some(default) if missing => drop(fields.insert(name.clone(), default.clone())),
                    None if missing => drop(fields.shift_remove(name)),
                    _ => {}
                }
            }
            let others = &schema["additionalProperties"];
            for (name, value) in fields.iter_mut() {
                fill(properties.and_then(|known| known.get(name)).unwrap_or(others), value);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|value| fill(&schema["items"], value)),
        _ => {}
    }
}

/// Takes out what the schema does not have; gives what that was.
pub fn prune(schema: &Value, value: &mut Value) -> Vec<Unknown> {
    let mut unknown = Vec::new();
    below(schema, value, "", &mut unknown);
    unknown
}

fn below(schema: &Value, value: &mut Value, path: &str, unknown: &mut Vec<Unknown>) {
    match value {
        Value::Object(fields) => {
            let properties = schema["properties"].as_object();
            let others = schema.get("additionalProperties").filter(|others| **others != Value::Bool(false));
            let identity = |name: &str| is_set(schema, EMBEDDED) && ["apiVersion", "kind", "metadata"].contains(&name);
            fields.retain(|name, value| {
                let property = properties.and_then(|known| known.get(name));
                match property.or(others) {
                    _ if property.is_none() && identity(name) => true,
                    Some(Value::Bool(_)) => true,
                    Some(schema) => {
                        below(schema, value, &field(path, name), unknown);
                        true
                    }
                    None if is_set(schema, PRESERVE) => true,
                    None => {
                        let known = properties.into_iter().flatten().map(|(name, _)| name.clone()).collect();
                        unknown.push(Unknown { path: field(path, name), name: name.clone(), known });
                        false
                    }
                }
            });
        }
        Value::Array(items) => {
            for (index, value) in items.iter_mut().enumerate() {
                if schema.get("items").is_some() || !is_set(schema, PRESERVE) {
                    below(&schema["items"], value, &item(path, index), unknown);
                }
            }
        }
        _ => {}
    }
}
