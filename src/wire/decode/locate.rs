//! Where in a value is the field that a type refuses? `serde` says what is wrong but not where.

use super::FieldError;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Finds the innermost field without which `value` would no longer give the error `message`: the first
/// culprit in the value's own order. Costs one reading per field on the way down, and only on errors.
pub(super) fn locate<T: DeserializeOwned>(value: &Value, message: &str) -> FieldError {
    let mut pointer = Vec::new();
    let mut path = String::new();
    while let Some((step, shown)) = culprit::<T>(value, &pointer, message) {
        pointer.push(step);
        match shown.starts_with('[') || path.is_empty() {
            true => path.push_str(&shown),
            false => path.push_str(&format!(".{shown}")),
        }
    }
    FieldError::new(path, message)
}

/// The step below `pointer` whose removal changes the outcome, and how a path shows it.
fn culprit<T: DeserializeOwned>(value: &Value, pointer: &[String], message: &str) -> Option<(String, String)> {
    let at = text_of(pointer);
    let steps: Vec<(String, String)> = match value.pointer(&at)? {
        Value::Object(map) => map.keys().map(|key| (escape(key), key.clone())).collect(),
        Value::Array(items) => (0..items.len()).map(|n| (n.to_string(), format!("[{n}]"))).collect(),
        _ => return None,
    };
    steps.into_iter().find(|(step, _)| {
        let mut changed = value.clone();
        if let Some(slot) = changed.pointer_mut(&format!("{at}/{step}")) {
            *slot = match slot {
                // An item of a list may not be null for every type, an empty object of the right kind may.
                Value::Object(_) => Value::Object(serde_json::Map::new()),
                Value::Array(_) => Value::Array(Vec::new()),
                _ => Value::Null,
            };
        }
        T::deserialize(&changed).err().map(|error| error.to_string()).as_deref() != Some(message)
    })
}

fn text_of(pointer: &[String]) -> String {
    pointer.iter().map(|step| format!("/{step}")).collect()
}

fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
