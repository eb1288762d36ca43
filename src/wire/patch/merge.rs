//! JSON merge patch (RFC 7386): null removes a field, maps are merged, everything else is replaced.

use serde_json::{Map, Value};

/// `document` with `patch` merged into it.
pub fn apply(document: &Value, patch: &Value) -> Value {
    let mut changed = document.clone();
    merge(&mut changed, patch);
    changed
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else { return };
    for (key, value) in fields {
        match value {
            Value::Null => drop(target.shift_remove(key)),
            value => merge(target.entry(key.clone()).or_insert(Value::Null), value),
        }
    }
}

/// The patch that makes `original` into `modified`.
pub fn diff(original: &Value, modified: &Value) -> Value {
    let (Value::Object(from), Value::Object(to)) = (original, modified) else { return modified.clone() };
    let mut patch = Map::new();
    for key in from.keys().filter(|key| !to.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    for (key, value) in to {
        match from.get(key) {
            Some(had) if had == value => {}
            Some(had) if had.is_object() && value.is_object() => drop(patch.insert(key.clone(), diff(had, value))),
            _ => drop(patch.insert(key.clone(), value.clone())),
        }
    }
    Value::Object(patch)
}
