//! JSON patch (RFC 6902) with the texts of the library the API server uses (`gopkg.in/evanphx/json-patch.v4`).
//!
//! A worked example: `[{"op": "replace", "path": "/spec/replicas", "value": 3}]` on a Deployment of one replica.

use super::Refusal;
use serde_json::Value;

/// What an operation comes to.
type Outcome<T> = Result<T, String>;

/// Applies the operations of `patch` one after the other.
///
/// # Errors
/// The first operation that cannot be done; nothing of the patch counts then.
pub fn apply(document: &Value, patch: &Value) -> Result<Value, Refusal> {
    let Some(operations) = patch.as_array() else {
        return Err(Refusal::bad_request("json: cannot unmarshal object into Go value of type jsonpatch.Patch"));
    };
    let mut changed = document.clone();
    for operation in operations {
        one(&mut changed, operation).map_err(|why| Refusal::unprocessable(&why))?;
    }
    Ok(changed)
}

fn one(document: &mut Value, operation: &Value) -> Outcome<()> {
    let kind = operation["op"].as_str().unwrap_or("unknown");
    let text = |field: &str, missing: &str| {
        let found = operation.get(field).and_then(Value::as_str);
        found.ok_or_else(|| format!("{kind} operation failed to decode {field}: {missing}: missing value"))
    };
    let path = || text("path", "operation missing path field");
    let from = || text("from", "operation, missing from field");
    let value = || operation.get("value").cloned().unwrap_or(Value::Null);
    match kind {
        "add" => add(document, path()?, value(), "add operation does not apply: doc is missing path: ", true),
        "remove" => remove(document, path()?).map(drop),
        "replace" => replace(document, path()?, value()),
        "test" => test(document, path()?, operation.get("value")),
        "move" => {
            let source = from()?;
            let Some((parent, key)) = find(document, source) else {
                return Err(format!(
                    "move operation does not apply: doc is missing from path: {source}: missing value"
                ));
            };
            let moved = take(parent, &key).map_err(|why| format!("error in move for path: '{key}': {why}"))?;
            add(document, path()?, moved, "move operation does not apply: doc is missing destination path: ", false)
        }
        "copy" => {
            let source = from()?;
            let Some((parent, key)) = find(document, source) else {
                return Err(format!(
                    "copy operation does not apply: doc is missing from path: {source}: missing value"
                ));
            };
            let copied = get(parent, &key).map_err(|why| format!("error in copy for from: '{source}': {why}"))?;
            let copied = copied.cloned().unwrap_or(Value::Null);
            add(document, path()?, copied, "copy operation does not apply: doc is missing destination path: ", false)
        }
        other => Err(format!("Unexpected kind: {other}")),
    }
}

/// The container that `path` ends in, and the last step of it, unescaped.
fn find<'a>(document: &'a mut Value, path: &str) -> Option<(&'a mut Value, String)> {
    let steps: Vec<String> = path.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
    let (last, parents) = steps.get(1..)?.split_last()?;
    let mut place = document;
    for step in parents {
        place = match place {
            Value::Object(fields) => fields.get_mut(step)?,
            Value::Array(items) => items.get_mut(step.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    matches!(place, Value::Object(_) | Value::Array(_)).then(|| (place, last.clone()))
}

/// The index of an existing item; negative ones count from the end.
fn index(key: &str, count: usize) -> Outcome<usize> {
    let index: i64 = key.parse().map_err(|_| format!("strconv.Atoi: parsing {key:?}: invalid syntax"))?;
    let counted = if index < 0 { index + count as i64 } else { index };
    let found = usize::try_from(counted).ok().filter(|index| *index < count);
    found.ok_or_else(|| format!("Unable to access invalid index: {index}: invalid index referenced"))
}

fn get<'a>(container: &'a Value, key: &str) -> Outcome<Option<&'a Value>> {
    match container {
        Value::Array(items) => Ok(Some(&items[index(key, items.len())?])),
        other => Ok(other.get(key)),
    }
}

fn take(container: &mut Value, key: &str) -> Outcome<Value> {
    match container {
        Value::Array(items) => Ok(items.remove(index(key, items.len())?)),
        other => {
            let removed = other.as_object_mut().and_then(|fields| fields.shift_remove(key));
            removed.ok_or_else(|| format!("Unable to remove nonexistent key: {key}: missing value"))
        }
    }
}

fn add(document: &mut Value, path: &str, value: Value, missing: &str, quoted: bool) -> Outcome<()> {
    let Some((container, key)) = find(document, path) else {
        let shown = if quoted { format!("{path:?}") } else { path.to_string() };
        return Err(format!("{missing}{shown}: missing value"));
    };
    match container {
        Value::Array(items) if key == "-" => items.push(value),
        Value::Array(items) => {
            // One more place than there are items.
            let at = index(&key, items.len() + 1).map_err(|why| format!("error in add for path: '{path}': {why}"))?;
            items.insert(at, value);
        }
        Value::Object(fields) => drop(fields.insert(key, value)),
        _ => {}
    }
    Ok(())
}

fn remove(document: &mut Value, path: &str) -> Outcome<Value> {
    let Some((container, key)) = find(document, path) else {
        return Err(format!("remove operation does not apply: doc is missing path: {path:?}: missing value"));
    };
    take(container, &key).map_err(|why| format!("error in remove for path: '{path}': {why}"))
}

fn replace(document: &mut Value, path: &str, value: Value) -> Outcome<()> {
    let Some((container, key)) = find(document, path) else {
        return Err(format!("replace operation does not apply: doc is missing path: {path}: missing value"));
    };
    let missing = || format!("replace operation does not apply: doc is missing key: {path}: missing value");
    match container {
        Value::Array(items) => {
            let at = index(&key, items.len()).map_err(|_| missing())?;
            items[at] = value;
        }
        Value::Object(fields) => match fields.get_mut(&key) {
            Some(place) => *place = value,
            None => return Err(missing()),
        },
        _ => {}
    }
    Ok(())
}

fn test(document: &mut Value, path: &str, wanted: Option<&Value>) -> Outcome<()> {
    let Some((container, key)) = find(document, path) else {
        return Err(format!("test operation does not apply: is missing path: {path}: missing value"));
    };
    let found = get(container, &key).map_err(|why| format!("error in test for path: '{path}': {why}"))?;
    match found.unwrap_or(&Value::Null) == wanted.unwrap_or(&Value::Null) {
        true => Ok(()),
        false => Err(format!("testing value {path} failed: test failed")),
    }
}
