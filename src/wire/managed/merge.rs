//! Merging a configuration into an object, and taking out what its manager no longer states
//! (`sigs.k8s.io/structured-merge-diff`, `typed/merge.go`, `typed/remove.go`).

use super::fields::{key, same_item};
use crate::model::FieldSet;
use crate::wire::patch::shape::{Place, Shape};
use crate::wire::patch::strategic::in_order;
use serde_json::Value;

/// `live` with what `config` says.
pub(super) fn merge(live: &Value, config: &Value, place: Place) -> Value {
    let (Value::Object(had), Value::Object(wish)) = (live, config) else { return config.clone() };
    let mut merged = had.clone();
    for (field, new) in wish {
        let value = match (place.shape(field), merged.get(field), new) {
            (Some(Shape::Whole), ..) => new.clone(),
            (_, Some(old @ Value::Object(_)), Value::Object(_)) => merge(old, new, place.below(field)),
            (Some(Shape::Keyed { keys, of, .. }), Some(Value::Array(old)), Value::Array(new)) if !keys.is_empty() => {
                let mut items = old.clone();
                for item in new {
                    match items.iter_mut().find(|have| same_item(have, item, keys)) {
                        Some(have) => *have = merge(have, item, of.place()),
                        None => items.push(item.clone()),
                    }
                }
                Value::Array(in_order(items, old, new, |a, b| same_item(a, b, keys)))
            }
            (Some(Shape::Set), Some(Value::Array(old)), Value::Array(new)) => {
                let added = new.iter().filter(|value| !old.contains(value));
                Value::Array(old.iter().chain(added).cloned().collect())
            }
            _ => new.clone(),
        };
        merged.insert(field.clone(), value);
    }
    Value::Object(merged)
}

/// `object` without the fields of `gone`.
pub(super) fn remove(object: &mut Value, gone: &FieldSet, place: Place) {
    let Some(fields) = object.as_object_mut() else { return };
    for (step, below) in &gone.children {
        let Some(field) = step.strip_prefix("f:") else { continue };
        if below.member && below.children.is_empty() {
            fields.shift_remove(field);
            continue;
        }
        let Some(value) = fields.get_mut(field) else { continue };
        match (place.shape(field), value) {
            (Some(Shape::Keyed { keys, of, .. }), Value::Array(items)) => {
                items.retain(|item| !below.children.get(key(item, keys).as_str()).is_some_and(|item| item.member));
                for item in items {
                    if let Some(gone) = below.children.get(key(item, keys).as_str()) {
                        remove(item, gone, of.place());
                    }
                }
            }
            (Some(Shape::Set), Value::Array(items)) => {
                items.retain(|item| !below.children.contains_key(format!("v:{item}").as_str()));
            }
            (_, value) => {
                remove(value, below, place.below(field));
                if value.as_object().is_some_and(serde_json::Map::is_empty) {
                    fields.shift_remove(field);
                }
            }
        }
    }
}
