//! Sets of fields of JSON objects: all that one states, and where two differ
//! (`sigs.k8s.io/structured-merge-diff`, `typed/tofieldset.go`, `typed/compare.go`).

use crate::model::FieldSet;
use crate::wire::patch::shape::{Keys, Place, Shape};
use serde_json::{Map, Value};

/// Metadata that nobody owns: it is the server's, or names the object.
const NOBODYS: &[&str] = &[
    "name",
    "namespace",
    "creationTimestamp",
    "selfLink",
    "uid",
    "resourceVersion",
    "generation",
    "managedFields",
    "generateName",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
];

/// The object without what nobody owns.
pub(super) fn owned(object: &Value) -> Value {
    let mut kept = object.clone();
    if let Some(fields) = kept.as_object_mut() {
        fields.retain(|field, _| field != "apiVersion" && field != "kind");
        if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.retain(|field, _| !NOBODYS.contains(&field.as_str()));
            if metadata.is_empty() {
                fields.shift_remove("metadata");
            }
        }
    }
    kept
}

/// Every field that `value` states.
pub(super) fn all(value: &Value, place: Place<'_>) -> FieldSet {
    let mut set = FieldSet::default();
    for (field, below) in value.as_object().into_iter().flatten() {
        set.insert(format!("f:{field}"), field_set(below, place, field));
    }
    set
}

fn field_set(value: &Value, place: Place<'_>, field: &str) -> FieldSet {
    match (place.shape(field), value) {
        (Some(Shape::Whole), _) => FieldSet::leaf(),
        (_, Value::Object(fields)) if !fields.is_empty() => all(value, place.below(field)),
        (Some(Shape::Keyed { keys, of, .. }), Value::Array(items)) if !keys.is_empty() => {
            let mut set = FieldSet::default();
            for item in items {
                set.insert(key(item, keys), FieldSet { member: true, ..all(item, of.place()) });
            }
            set
        }
        (Some(Shape::Set), Value::Array(items)) => {
            let mut set = FieldSet::default();
            items.iter().for_each(|item| set.insert(format!("v:{item}"), FieldSet::leaf()));
            set
        }
        _ => FieldSet::leaf(),
    }
}

/// The step to an item: `k:{"name":"web"}`.
pub(super) fn key(item: &Value, keys: Keys<'_>) -> String {
    let pairs: Map<String, Value> = keys.iter().map(|key| (key.to_string(), key_value(item, key))).collect();
    format!("k:{}", Value::Object(pairs))
}

/// The value of a key; of those that are served only a port's protocol has a default.
pub(super) fn key_value(item: &Value, key: &str) -> Value {
    match &item[key] {
        Value::Null if key == "protocol" => Value::from("TCP"),
        value => value.clone(),
    }
}

/// Whether two items have the same keys.
pub(super) fn same_item(a: &Value, b: &Value, keys: Keys<'_>) -> bool {
    keys.iter().all(|key| key_value(a, key) == key_value(b, key))
}

/// What of `new` is other than in `old`, or not there.
pub(super) fn changed(old: &Value, new: &Value, place: Place<'_>) -> FieldSet {
    let mut set = FieldSet::default();
    for (field, value) in new.as_object().into_iter().flatten() {
        let step = format!("f:{field}");
        let below = match old.get(field) {
            None => field_set(value, place, field),
            Some(had) if had == value => FieldSet::default(),
            Some(had) => changed_field(had, value, place, field),
        };
        set.insert(step, below);
    }
    set
}

fn changed_field(old: &Value, new: &Value, place: Place<'_>, field: &str) -> FieldSet {
    match (place.shape(field), old, new) {
        (Some(Shape::Whole), ..) => FieldSet::leaf(),
        (_, Value::Object(_), Value::Object(_)) => changed(old, new, place.below(field)),
        (Some(Shape::Keyed { keys, of, .. }), Value::Array(olds), Value::Array(news)) if !keys.is_empty() => {
            let mut set = FieldSet::default();
            for item in news {
                let below = match olds.iter().find(|had| same_item(had, item, keys)) {
                    Some(had) => changed(had, item, of.place()),
                    None => FieldSet { member: true, ..all(item, of.place()) },
                };
                set.insert(key(item, keys), below);
            }
            set
        }
        (Some(Shape::Set), Value::Array(olds), Value::Array(news)) => {
            let mut set = FieldSet::default();
            for item in news.iter().filter(|item| !olds.contains(item)) {
                set.insert(format!("v:{item}"), FieldSet::leaf());
            }
            set
        }
        _ => FieldSet::leaf(),
    }
}
