//! What may change of a pod (`pkg/apis/core/validation/validation.go`, `ValidatePodUpdate`, `ValidatePodResize`).
//!
//! A worked example: a new image of a container may be written; a new request of cpu may not, except through the
//! subresource `resize`.

use super::update::same;
use serde_json::{Value, json};

/// Lists of containers.
const CONTAINERS: [&str; 2] = ["containers", "initContainers"];

pub(super) fn pod(old: &Value, new: &Value, errors: &mut Vec<String>) {
    let (had, has) = (&old["spec"], &new["spec"]);
    for list in CONTAINERS {
        let count = |spec: &Value| spec[list].as_array().map_or(0, Vec::len);
        if count(had) != count(has) {
            errors.push(format!("spec.{list}: Forbidden: pod updates may not add or remove containers"));
            return;
        }
    }
    deadline(had, has, errors);
    gates(had, has, errors);
    tolerations(had, has, errors);
    let mut expected = has.clone();
    for list in CONTAINERS {
        each_container(&mut expected, had, list, |container, old| container["image"] = old["image"].clone());
    }
    take_over(&mut expected, had, &["activeDeadlineSeconds", "tolerations", "schedulingGates"]);
    let (grace_had, grace_has) = (&had["terminationGracePeriodSeconds"], &has["terminationGracePeriodSeconds"]);
    if grace_had.as_i64().is_some_and(|seconds| seconds < 0) && grace_has.as_i64() == Some(1) {
        take_over(&mut expected, had, &["terminationGracePeriodSeconds"]);
    }
    // Where a pod that is still held back may go can be narrowed.
    if had["schedulingGates"].as_array().is_some_and(|gates| !gates.is_empty()) {
        take_over(&mut expected, had, &["nodeSelector"]);
        if same(&had["affinity"]["nodeAffinity"], &Value::Null) {
            take_over(&mut expected, had, &["affinity"]);
        }
    }
    if expected != *had {
        let changed = differences(had, &expected, "spec").join("\n");
        errors.push(format!(
            "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,\
             `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing \
             tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n{changed}"
        ));
    }
}

/// What a `resize` may not change: everything but the cpu and memory of containers, and their class of service.
pub fn resize(old: &Value, new: &Value) -> Vec<String> {
    let (had, has) = (&old["spec"], &new["spec"]);
    let mut expected = has.clone();
    for list in CONTAINERS {
        each_container(&mut expected, had, list, |container, old| {
            container["resources"] = old["resources"].clone();
        });
    }
    let mut errors = Vec::new();
    if without_nothing(&expected) != without_nothing(had) {
        errors.push("spec: Forbidden: only cpu and memory resources are mutable".to_string());
    }
    for list in CONTAINERS {
        let containers = |spec: &'_ Value| spec[list].as_array().cloned().unwrap_or_default();
        for (at, (had, has)) in containers(had).iter().zip(&containers(has)).enumerate() {
            for part in ["requests", "limits"] {
                let path = format!("spec.{list}[{at}].resources.{part}");
                other_resources(&had["resources"][part], &has["resources"][part], &path, &mut errors);
            }
        }
    }
    errors
}

fn other_resources(had: &Value, has: &Value, path: &str, errors: &mut Vec<String>) {
    let empty = serde_json::Map::new();
    let (had, has) = (had.as_object().unwrap_or(&empty), has.as_object().unwrap_or(&empty));
    let mutable = |name: &&String| ["cpu", "memory"].contains(&name.as_str());
    if had.keys().filter(mutable).any(|name| !has.contains_key(name)) {
        errors.push(format!("{path}: Forbidden: resource {} cannot be removed", path.rsplit('.').next().unwrap_or("")));
    }
    let others = |list: &serde_json::Map<String, Value>| {
        let mut kept = list.clone();
        kept.retain(|name, _| !mutable(&name));
        kept
    };
    if others(had) != others(has) {
        errors.push("spec: Forbidden: only cpu and memory resources are mutable".to_string());
    }
}

/// The value without absent fields.
fn without_nothing(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.iter().map(|(field, value)| (field.clone(), without_nothing(value)));
            Value::Object(kept.filter(|(_, value)| !same(value, &Value::Null)).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(without_nothing).collect()),
        other => other.clone(),
    }
}

fn each_container(spec: &mut Value, old: &Value, list: &str, change: impl Fn(&mut Value, &Value)) {
    let olds = old[list].as_array().cloned().unwrap_or_default();
    let news = spec.get_mut(list).and_then(Value::as_array_mut);
    for (container, old) in news.into_iter().flatten().zip(&olds) {
        change(container, old);
    }
}

/// Gives `spec` the fields of `old`.
fn take_over(spec: &mut Value, old: &Value, fields: &[&str]) {
    let Some(spec) = spec.as_object_mut() else { return };
    for field in fields {
        match old.get(*field) {
            Some(value) => drop(spec.insert((*field).to_string(), value.clone())),
            None => drop(spec.shift_remove(*field)),
        }
    }
}

fn deadline(had: &Value, has: &Value, errors: &mut Vec<String>) {
    let path = "spec.activeDeadlineSeconds";
    match (had["activeDeadlineSeconds"].as_i64(), has["activeDeadlineSeconds"].as_i64()) {
        (Some(old), Some(new)) if new > old => {
            errors.push(format!("{path}: Invalid value: {new}: must be less than or equal to previous value"));
        }
        (Some(_), None) => {
            let why = "must not update from a positive integer to nil value";
            errors.push(format!("{path}: Invalid value: null: {why}"));
        }
        _ => {}
    }
}

fn gates(had: &Value, has: &Value, errors: &mut Vec<String>) {
    let names = |spec: &Value| -> Vec<String> {
        let gates = spec["schedulingGates"].as_array().into_iter().flatten();
        gates.filter_map(|gate| gate["name"].as_str()).map(str::to_string).collect()
    };
    let old = names(had);
    for (at, name) in names(has).iter().enumerate().filter(|(_, name)| !old.contains(name)) {
        let why = format!("only deletion is allowed, but found new scheduling gate '{name}'");
        errors.push(format!("spec.schedulingGates[{at}]: Forbidden: {why}"));
    }
}

fn tolerations(had: &Value, has: &Value, errors: &mut Vec<String>) {
    let list = |spec: &Value| -> Vec<Value> {
        let tolerations = spec["tolerations"].as_array().into_iter().flatten().cloned();
        tolerations
            .map(|mut toleration| {
                toleration["tolerationSeconds"] = json!(null);
                toleration
            })
            .collect()
    };
    let new = list(has);
    if list(had).iter().any(|toleration| !new.contains(toleration)) {
        let why = "existing toleration can not be modified except its tolerationSeconds";
        errors.push(format!("spec.tolerations: Forbidden: {why}"));
    }
}

/// The leaves that differ: a line for what was, a line for what would be.
fn differences(old: &Value, new: &Value, path: &str) -> Vec<String> {
    let mut lines = Vec::new();
    match (old, new) {
        (Value::Object(a), Value::Object(b)) => {
            let fields: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for field in fields {
                let value = |map: &serde_json::Map<String, Value>| map.get(field).cloned().unwrap_or_default();
                lines.extend(differences(&value(a), &value(b), &format!("{path}.{field}")));
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (at, (a, b)) in a.iter().zip(b).enumerate() {
                lines.extend(differences(a, b, &format!("{path}[{at}]")));
            }
        }
        (a, b) if a != b => {
            let line = |sign: &str, value: &Value| (!value.is_null()).then(|| format!("{sign} {path}: {value}"));
            lines.extend(line("-", a).into_iter().chain(line("+", b)));
        }
        _ => {}
    }
    lines
}
