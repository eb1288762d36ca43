//! Merging a configuration into an object, and taking out what its manager no longer states
//! (`sigs.k8s.io/structured-merge-diff`, `typed/merge.go`, `typed/remove.go`).

use super::fields::{key, same_item};
use crate::model::FieldSet;
use crate::wire::patch::shape::{Place, Shape};
use serde_json::Value;

/// `live` with what `config` says.
pub(super) fn merge(live: &Value, config: &Value, place: Place<'_>) -> Value {
    let (Value::Object(had), Value::Object(wish)) = (live, config) else { return config.clone() };
    let mut merged = had.clone();
    for (field, new) in wish {
        let value = match (place.shape(field), merged.get(field), new) {
            (Some(Shape::Whole), ..) => new.clone(),
            (_, Some(old @ Value::Object(_)), Value::Object(_)) => merge(old, new, place.below(field)),
            (Some(Shape::Keyed { keys, of, .. }), Some(Value::Array(old)), Value::Array(new)) if !keys.is_empty() => {
                let both = |old: &Value, new: &Value| merge(old, new, of.place());
                Value::Array(merge_items(old, new, |a, b| same_item(a, b, keys), both))
            }
            (Some(Shape::Set), Some(Value::Array(old)), Value::Array(new)) => {
                Value::Array(merge_items(old, new, |a, b| a == b, |_, new| new.clone()))
            }
            _ => new.clone(),
        };
        merged.insert(field.clone(), value);
    }
    Value::Object(merged)
}

/// The items of both lists: those of `new` in its order, and what only `old` has before the next that both have
/// (`visitListItems`).
fn merge_items(
    old: &[Value],
    new: &[Value],
    same: impl Fn(&Value, &Value) -> bool,
    both: impl Fn(&Value, &Value) -> Value,
) -> Vec<Value> {
    let mut merged = Vec::new();
    let (mut left, mut right) = (old.iter().peekable(), new.iter().enumerate().peekable());
    loop {
        if let Some(have) = left.peek() {
            let next = right.peek().map_or(new.len(), |(at, _)| *at);
            match new.iter().position(|item| same(have, item)) {
                None => {
                    merged.push((*have).clone());
                    left.next();
                    continue;
                }
                // Taken already, or the one that comes now.
                Some(at) if at <= next => {
                    left.next();
                    if at < next {
                        continue;
                    }
                }
                Some(_) => {}
            }
        }
        let Some((_, item)) = right.next() else { return merged };
        merged.push(old.iter().find(|have| same(have, item)).map_or_else(|| item.clone(), |have| both(have, item)));
    }
}

/// `object` without the fields of `gone`.
pub(super) fn remove(object: &mut Value, gone: &FieldSet, place: Place<'_>) {
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
