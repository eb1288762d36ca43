//! The words of `sim trace` for definitions and objects of custom kinds.

use super::text::clean;
use crate::model::CustomResource;
use serde_json::Value;

/// Texts longer than this are cut.
const LONGEST: usize = 40;

/// Notes every field that has another value.
pub(super) fn fields(old: &CustomResource, new: &CustomResource, parts: &mut Vec<String>) {
    differ("", &old.body, &new.body, parts);
    differ("status", &old.status, &new.status, parts);
}

fn differ(path: &str, old: &Value, new: &Value, parts: &mut Vec<String>) {
    match (old, new) {
        (old, new) if old == new => {}
        (Value::Object(before), Value::Object(after)) => {
            let gone = before.keys().filter(|field| !after.contains_key(*field));
            for field in after.keys().chain(gone) {
                let path = if path.is_empty() { field.clone() } else { format!("{path}.{field}") };
                differ(&path, &old[field], &new[field], parts);
            }
        }
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            for (at, (old, new)) in before.iter().zip(after).enumerate() {
                differ(&format!("{path}[{at}]"), old, new, parts);
            }
        }
        (Value::Null, Value::Object(after)) => {
            after.iter().for_each(|(field, value)| differ(&format!("{path}.{field}"), &Value::Null, value, parts));
        }
        (Value::Null, new) => parts.push(format!("{path} {}", shown(new))),
        (old, Value::Null) => parts.push(format!("{path} {} removed", shown(old))),
        (old, new) => parts.push(format!("{path} {} → {}", shown(old), shown(new))),
    }
}

fn shown(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_string);
    clean(&text).chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_are_named_with_both_values() {
        let rows = [
            (json!({"spec": {"a": 1, "b": "x"}}), json!({"spec": {"a": 2, "b": "x"}}), "spec.a 1 → 2"),
            (json!({"spec": {"a": 1}}), json!({"spec": {}}), "spec.a 1 removed"),
            (json!({}), json!({"spec": {"list": ["y"]}}), "spec.list [\"y\"]"),
            (json!({"list": [{"a": 1}, "x"]}), json!({"list": [{"a": 2}, "x"]}), "list[0].a 1 → 2"),
        ];
        for (old, new, expected) in rows {
            let mut parts = Vec::new();
            differ("", &old, &new, &mut parts);
            assert_eq!(parts.join(", "), expected);
        }
    }
}
