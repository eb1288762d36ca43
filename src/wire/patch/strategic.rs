//! Strategic merge patch: lists of items with a key are merged by it, and directives say the rest
//! (`staging/src/k8s.io/apimachinery/pkg/util/strategicpatch/patch.go`).
//!
//! A worked example: `{"spec": {"containers": [{"name": "web", "image": "web:2"}]}}` changes the image of the container
//! `web` and leaves the others; `{"name": "web", "$patch": "delete"}` removes it.

use super::Refusal;
use super::shape::{Item, Place, Shape};
use serde_json::{Map, Value};

pub(super) const DIRECTIVE: &str = "$patch";
pub(super) const RETAIN: &str = "$retainKeys";
pub(super) const ORDER: &str = "$setElementOrder/";
pub(super) const REMOVE: &str = "$deleteFromPrimitiveList/";

type Fields = Map<String, Value>;

/// `document` of a kind with `patch` merged into it.
///
/// # Errors
/// A directive or a list that is not of the right form.
pub fn apply(document: &Value, patch: &Value, place: Place<'_>) -> Result<Value, Refusal> {
    let (Some(document), Some(patch)) = (document.as_object(), patch.as_object()) else {
        return Err(Refusal::bad_request("invalid JSON document"));
    };
    merge(document.clone(), patch, place).map(Value::Object)
}

fn merge(mut original: Fields, patch: &Fields, place: Place<'_>) -> Result<Fields, Refusal> {
    match patch.get(DIRECTIVE).and_then(Value::as_str) {
        Some("replace") => return Ok(without_directives(patch)),
        Some("delete") => return Ok(Fields::new()),
        Some("merge") | None => {}
        Some(other) => {
            return Err(Refusal::bad_request(&format!("unrecognized patch type: unknown patch type found: {other}")));
        }
    }
    if let Some(kept) = patch.get(RETAIN) {
        let kept = kept.as_array().ok_or_else(|| bad_list(RETAIN))?;
        original.retain(|key, _| kept.iter().any(|name| name == key));
    }
    for (key, value) in patch {
        if let Some(list) = key.strip_prefix(REMOVE) {
            let gone = value.as_array().ok_or_else(|| bad_list(key))?;
            if let Some(items) = original.get_mut(list).and_then(Value::as_array_mut) {
                items.retain(|item| !gone.contains(item));
            }
        }
    }
    for (key, value) in patch.iter().filter(|(key, _)| !is_directive(key)) {
        let order = patch.get(&format!("{ORDER}{key}"));
        let merged = match (original.get(key), value) {
            (_, Value::Null) => {
                original.shift_remove(key);
                continue;
            }
            (Some(Value::Object(had)), Value::Object(new)) => Value::Object(merge(had.clone(), new, place.below(key))?),
            (Some(Value::Array(had)), Value::Array(new)) => merge_list(had, new, order, place.shape(key))?,
            (None, Value::Array(new)) => merge_list(&[], new, order, place.shape(key))?,
            (_, Value::Object(new)) => Value::Object(merge(Fields::new(), new, place.below(key))?),
            (_, other) => other.clone(),
        };
        original.insert(key.clone(), merged);
    }
    // An order may stand alone, without changes of the list.
    for (key, order) in patch {
        if let Some(list) = key.strip_prefix(ORDER).filter(|list| !patch.contains_key(*list))
            && let Some(Value::Array(items)) = original.get(list)
        {
            let merged = merge_list(items, &[], Some(order), place.shape(list))?;
            original.insert(list.to_string(), merged);
        }
    }
    Ok(original)
}

pub(super) fn is_directive(key: &str) -> bool {
    key == DIRECTIVE || key == RETAIN || key.starts_with(ORDER) || key.starts_with(REMOVE)
}

fn bad_list(key: &str) -> Refusal {
    Refusal::bad_request(&format!("invalid patch format of {key}: a list is expected"))
}

/// What a patch says of something new: its directives are not for keeping.
fn without_directives(patch: &Fields) -> Fields {
    let clean = |value: &Value| match value {
        Value::Object(fields) => Value::Object(without_directives(fields)),
        other => other.clone(),
    };
    let kept = patch.iter().filter(|(key, value)| !is_directive(key) && !value.is_null());
    kept.map(|(key, value)| (key.clone(), clean(value))).collect()
}

fn merge_list(
    original: &[Value],
    patch: &[Value],
    order: Option<&Value>,
    shape: Option<Shape<'_>>,
) -> Result<Value, Refusal> {
    let order = order.map(|order| order.as_array().ok_or_else(|| bad_list(ORDER))).transpose()?;
    match shape {
        Some(Shape::Set) => {
            let mut merged = original.to_vec();
            for value in patch.iter().filter(|value| !original.contains(value)) {
                merged.push(value.clone());
            }
            let order = order.map_or(patch, Vec::as_slice);
            Ok(Value::Array(in_order(merged, original, order, |a, b| a == b)))
        }
        Some(Shape::Keyed { merge: Some(key), of, .. }) => merge_keyed(original, patch, order, key, of),
        _ => Ok(Value::Array(patch.to_vec())),
    }
}

/// Merges items by key; items of the original that the patch does not name stay where they were.
fn merge_keyed(
    original: &[Value],
    patch: &[Value],
    order: Option<&Vec<Value>>,
    key: &str,
    of: Item<'_>,
) -> Result<Value, Refusal> {
    let directive = |item: &&Value| item.get(DIRECTIVE).and_then(Value::as_str).map(str::to_string);
    let mut merged = original.to_vec();
    if patch.iter().any(|item| directive(&item).as_deref() == Some("replace")) {
        let rest = patch.iter().filter(|item| directive(item).is_none());
        return Ok(Value::Array(rest.cloned().collect()));
    }
    for item in patch {
        let Some(found) = item.get(key) else {
            let shown = serde_json::to_string(item).unwrap_or_default();
            return Err(Refusal::internal(&format!("map: {shown} does not contain declared merge key: {key}")));
        };
        let at = merged.iter().position(|have| have.get(key) == Some(found));
        match (directive(&item).as_deref(), at) {
            (Some("delete"), at) => drop(at.map(|at| merged.remove(at))),
            (_, at) => {
                let Some(fields) = item.as_object() else { continue };
                let had = at.and_then(|at| merged[at].as_object().cloned()).unwrap_or_default();
                let new = Value::Object(merge(had, fields, of.place())?);
                match at {
                    Some(at) => merged[at] = new,
                    None => merged.push(new),
                }
            }
        }
    }
    let order = order.map_or(patch, Vec::as_slice);
    Ok(Value::Array(in_order(merged, original, order, |a, b| a.get(key) == b.get(key))))
}

/// The items that `order` names in its order, and the others among them as they stood before.
fn in_order(
    merged: Vec<Value>,
    before: &[Value],
    order: &[Value],
    same: impl Fn(&Value, &Value) -> bool,
) -> Vec<Value> {
    let place = |list: &[Value], item: &Value| list.iter().position(|have| same(have, item));
    let (mut named, others): (Vec<Value>, Vec<Value>) =
        merged.into_iter().partition(|item| place(order, item).is_some());
    named.sort_by_key(|item| place(order, item));
    let mut named = named.into_iter().peekable();
    let mut others = others.into_iter().peekable();
    let mut sorted = Vec::new();
    loop {
        let other_first = match (others.peek(), named.peek()) {
            (None, None) => return sorted,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (Some(other), Some(named)) => {
                matches!((place(before, other), place(before, named)), (Some(a), Some(b)) if a < b)
            }
        };
        sorted.extend(if other_first { others.next() } else { named.next() });
    }
}
