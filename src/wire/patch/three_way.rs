//! What `kubectl apply` sends: what the new manifest says otherwise than the cluster, and what the last one said and
//! the new one does not (`staging/src/k8s.io/apimachinery/pkg/util/strategicpatch/patch.go`, `CreateThreeWayMergePatch`).
//!
//! A worked example: the last manifest had `replicas: 3`, the new one has no `replicas`, and the cluster has 5. The
//! patch says `replicas: null`, and the server puts in the default. Had the last manifest not named them, the 5 would stay.

use super::shape::{Item, Place, Shape};
use super::strategic::{DIRECTIVE, ORDER, REMOVE, RETAIN};
use serde_json::{Map, Value, json};

type Fields = Map<String, Value>;

/// Which half of the difference is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    /// What is new or other.
    Additions,
    /// What is gone.
    Deletions,
}

/// The strategic merge patch from `current` to what `modified` says, `original` being the manifest before.
pub fn strategic(original: &Value, modified: &Value, current: &Value, place: Place<'_>) -> Value {
    let empty = Fields::new();
    let fields = |value: &'_ Value| value.as_object().cloned().unwrap_or_default();
    let (original, modified, current) = (fields(original), fields(modified), fields(current));
    let additions = diff(&current, &modified, place, Half::Additions);
    let deletions = diff(if original.is_empty() { &empty } else { &original }, &modified, place, Half::Deletions);
    Value::Object(combine(deletions, additions, place))
}

/// The JSON merge patch of the same, for kinds without known merge keys.
pub fn plain(original: &Value, modified: &Value, current: &Value) -> Value {
    let mut patch = super::merge::diff(current, modified);
    keep_additions(&mut patch);
    let mut gone = super::merge::diff(original, modified);
    keep_deletions(&mut gone);
    let (Value::Object(gone), Value::Object(patch)) = (gone, patch) else { return json!({}) };
    Value::Object(combine(gone, patch, Place::Within(super::shape::PLAIN)))
}

fn keep_additions(patch: &mut Value) {
    if let Value::Object(fields) = patch {
        fields.retain(|_, value| !value.is_null());
        fields.values_mut().for_each(keep_additions);
        fields.retain(|_, value| value.as_object().is_none_or(|fields| !fields.is_empty()));
    }
}

fn keep_deletions(patch: &mut Value) {
    if let Value::Object(fields) = patch {
        fields.values_mut().for_each(keep_deletions);
        fields.retain(|_, value| value.is_null() || value.as_object().is_some_and(|fields| !fields.is_empty()));
    }
}

fn diff(original: &Fields, modified: &Fields, place: Place<'_>, half: Half) -> Fields {
    let mut patch = Fields::new();
    if half == Half::Deletions {
        for key in original.keys().filter(|key| !modified.contains_key(*key)) {
            patch.insert(key.clone(), Value::Null);
        }
    }
    for (key, new) in modified {
        match (original.get(key), new) {
            (Some(old), new) if old == new => {}
            (Some(Value::Object(old)), Value::Object(new)) => {
                let mut below = diff(old, new, place.below(key), half);
                if !below.is_empty() {
                    if matches!(place.shape(key), Some(Shape::Union(_))) {
                        retain(&mut below, new);
                    }
                    patch.insert(key.clone(), Value::Object(below));
                }
            }
            (Some(Value::Array(old)), Value::Array(new)) => list(&mut patch, key, (old, new), place.shape(key), half),
            (_, new) if half == Half::Additions => drop(patch.insert(key.clone(), new.clone())),
            _ => {}
        }
    }
    patch
}

/// Names the fields that stay, so that those of the other variant go.
fn retain(below: &mut Fields, new: &Fields) {
    let mut kept: Vec<&String> = new.keys().collect();
    kept.sort();
    below.insert(RETAIN.to_string(), json!(kept));
}

fn list(patch: &mut Fields, key: &str, (old, new): (&[Value], &[Value]), shape: Option<Shape<'_>>, half: Half) {
    let (changes, order) = match shape {
        Some(Shape::Keyed { merge: Some(by), of, .. }) => {
            let order = new.iter().map(|item| json!({by: item.get(by)})).collect();
            (items(old, new, by, of, half), order)
        }
        Some(Shape::Set) => {
            let gone: Vec<&Value> = old.iter().filter(|value| !new.contains(value)).collect();
            if half == Half::Deletions && !gone.is_empty() {
                patch.insert(format!("{REMOVE}{key}"), json!(gone));
            }
            let added = new.iter().filter(|value| !old.contains(value) && half == Half::Additions);
            (added.cloned().collect(), new.to_vec())
        }
        _ => {
            if half == Half::Additions {
                patch.insert(key.to_string(), Value::Array(new.to_vec()));
            }
            return;
        }
    };
    let order: Vec<Value> = order;
    let moved = order_differs(old, &order, shape);
    if !changes.is_empty() {
        patch.insert(key.to_string(), Value::Array(changes));
    }
    if half == Half::Additions && (patch.contains_key(key) || moved) {
        patch.insert(format!("{ORDER}{key}"), Value::Array(order));
    }
}

/// Whether the items that both have come in another order.
fn order_differs(old: &[Value], order: &[Value], shape: Option<Shape<'_>>) -> bool {
    let same = |a: &Value, b: &Value| match shape {
        Some(Shape::Keyed { merge: Some(by), .. }) => a.get(by) == b.get(by),
        _ => a == b,
    };
    let places: Vec<usize> = order.iter().filter_map(|item| old.iter().position(|have| same(have, item))).collect();
    !places.is_sorted()
}

fn items(old: &[Value], new: &[Value], by: &str, of: Item<'_>, half: Half) -> Vec<Value> {
    let mut changes = Vec::new();
    for item in new {
        let had = old.iter().find(|had| had.get(by) == item.get(by));
        match (had.and_then(Value::as_object), item.as_object()) {
            (Some(had), Some(fields)) => {
                let mut below = diff(had, fields, of.place(), half);
                if !below.is_empty() {
                    if matches!(of, Item::Union(_)) {
                        retain(&mut below, fields);
                    }
                    below.insert(by.to_string(), item.get(by).cloned().unwrap_or_default());
                    changes.push(Value::Object(below));
                }
            }
            _ if half == Half::Additions => changes.push(item.clone()),
            _ => {}
        }
    }
    if half == Half::Deletions {
        let gone = old.iter().filter(|had| !new.iter().any(|item| item.get(by) == had.get(by)));
        changes.extend(gone.map(|had| json!({DIRECTIVE: "delete", by: had.get(by)})));
    }
    changes
}

/// Both halves in one patch.
fn combine(mut deletions: Fields, additions: Fields, place: Place<'_>) -> Fields {
    for (key, value) in additions {
        let both = match (deletions.shift_remove(&key), value) {
            (Some(Value::Object(gone)), Value::Object(new)) => Value::Object(combine(gone, new, place.below(&key))),
            (Some(Value::Array(gone)), Value::Array(new)) => match place.shape(&key) {
                Some(Shape::Keyed { merge: Some(by), of, .. }) => Value::Array(combine_items(gone, new, by, of)),
                _ => Value::Array(new),
            },
            (_, value) => value,
        };
        deletions.insert(key, both);
    }
    deletions
}

fn combine_items(gone: Vec<Value>, new: Vec<Value>, by: &str, of: Item<'_>) -> Vec<Value> {
    let mut both = gone;
    for item in new {
        match both.iter_mut().find(|have| have.get(by) == item.get(by)) {
            Some(Value::Object(have)) => {
                let Value::Object(item) = item else { continue };
                *have = combine(std::mem::take(have), item, of.place());
            }
            _ => both.push(item),
        }
    }
    both
}
