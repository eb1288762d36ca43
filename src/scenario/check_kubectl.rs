//! What types cannot say of the actions that send patches and deletes.

use super::Scenario;
use super::kubectl::{Delete, Patch, PatchType, Subresource};
use super::timeline::{Action, LabelObject, TaintNode};
use crate::error::Problem;
use crate::model::Kind;
use crate::wire::names;
use crate::wire::places::{Places, Step, join};
use crate::wire::strict;
use crate::wire::typed::suggestion;
use serde_json::Value;

/// The operations of RFC 6902 and the fields that each needs.
const OPERATIONS: &[(&str, &[&str])] = &[
    ("add", &["path", "value"]),
    ("remove", &["path"]),
    ("replace", &["path", "value"]),
    ("test", &["path", "value"]),
    ("move", &["from", "path"]),
    ("copy", &["from", "path"]),
];

/// Everything that is wrong in them.
pub fn problems(scenario: &Scenario, places: &Places) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, entry) in scenario.timeline.iter().enumerate() {
        match &entry.action {
            Action::Patch(action) => patch(action, &format!("timeline[{index}].patch"), places, &mut problems),
            Action::Delete(action) => problems.extend(delete(action, &format!("timeline[{index}].delete"), places)),
            Action::SetResources(action) if action.requests.is_empty() && action.limits.is_empty() => {
                let path = format!("timeline[{index}].setResources");
                let message = "you must specify an update to requests or limits";
                problems.push(places.problem(&path, message, "write requests: {cpu: 200m}"));
            }
            Action::Label(action) => problems.extend(label_values(action, index, places)),
            Action::Taint(action) => problems.extend(taints(action, index, places)),
            Action::Apply(apply) => {
                for document in &apply.manifests.objects {
                    problems.extend(generated(document));
                }
            }
            _ => {}
        }
    }
    problems
}

fn generated(document: &super::ManifestDocument) -> Option<Problem> {
    let metadata = &document.value["metadata"];
    let unnamed = metadata["name"].as_str().unwrap_or_default().is_empty() && !metadata["generateName"].is_null();
    let message = "cannot use generate name with apply";
    unnamed.then(|| document.places.problem("metadata.generateName", message, "write `name:`"))
}

/// Values that `kubectl label` refuses by itself; keys it leaves to the API server
/// (`staging/src/k8s.io/kubectl/pkg/cmd/label/label.go`, `parseLabels`).
fn label_values(action: &LabelObject, index: usize, places: &Places) -> Vec<Problem> {
    let set = action.labels.iter().filter_map(|(key, value)| Some((key, value.as_ref()?)));
    let wrong = set.filter_map(|(key, value)| {
        let faults = names::label_value(value);
        let path = join(&format!("timeline[{index}].label.labels"), &Step::Key(key));
        let message = format!("invalid label value: {:?}: {}", format!("{key}={value}"), faults.join(";"));
        let help = "use letters, digits, `-`, `_` and `.`, at most 63";
        (!faults.is_empty()).then(|| places.problem(&path, message, help))
    });
    wrong.collect()
}

/// Taints that `kubectl taint` refuses by itself (`staging/src/k8s.io/kubectl/pkg/cmd/taint/utils.go`, `parseTaint`).
fn taints(action: &TaintNode, index: usize, places: &Places) -> Vec<Problem> {
    let path = format!("timeline[{index}].taint");
    let mut problems = Vec::new();
    let mut refuse = |path: &str, spec: &str, faults: &[String]| {
        if !faults.is_empty() {
            let message = format!("invalid taint spec: {spec}, {}", faults.join("; "));
            problems.push(places.problem(path, message, "use letters, digits, `-`, `_` and `.`"));
        }
    };
    for (at, taint) in action.add.iter().enumerate() {
        let set = if taint.value.is_empty() { String::new() } else { format!("={}", taint.value) };
        let spec = format!("{}{set}:{}", taint.key, taint.effect.as_str());
        let value = names::label_value(&taint.value);
        match value.is_empty() {
            true => refuse(&format!("{path}.add[{at}].key"), &spec, &names::qualified_name(&taint.key)),
            false => refuse(&format!("{path}.add[{at}].value"), &spec, &value),
        }
    }
    for (at, key) in action.remove.iter().enumerate() {
        refuse(&format!("{path}.remove[{at}]"), key, &names::qualified_name(key));
    }
    problems
}

fn delete(delete: &Delete, path: &str, places: &Places) -> Option<Problem> {
    let several = delete.kind.is_some();
    let (message, help) = match (&delete.object, several, delete.selector.is_some(), delete.all) {
        (Some(_), true, ..) => ("both `object` and `kind` are given", "give one: object: pod/web-0"),
        (Some(_), false, true, _) | (Some(_), false, _, true) => {
            ("`selector` and `all` go with `kind`", "write kind: pod, selector: app=web")
        }
        (None, false, ..) => ("neither `object` nor `kind` says what is deleted", "write object: pod/web-0"),
        (None, true, true, true) => ("setting `all` and `selector` is not allowed", "remove `all`"),
        (None, true, false, false) => {
            ("resource(s) were provided, but no name was specified", "add selector: app=web, or all: true")
        }
        _ => return None,
    };
    Some(places.problem(path, message, help))
}

fn patch(patch: &Patch, path: &str, places: &Places, problems: &mut Vec<Problem>) {
    let body = format!("{path}.patch");
    if patch.form == PatchType::Json {
        return operations(&patch.patch, &body, places, problems);
    }
    if !patch.patch.is_object() {
        let help = "write a map, or add `type: json` for a list of operations";
        problems.push(places.problem(&body, "this patch is not a map", help));
        return;
    }
    if patch.subresource == Some(Subresource::Resize) && patch.object.kind != Kind::Pod {
        let message = format!("`resize` does not work on a {}", patch.object.kind);
        problems.push(places.problem(&format!("{path}.subresource"), message, "name a pod"));
    }
    if patch.subresource != Some(Subresource::Scale) {
        let kind = patch.object.kind.as_str();
        problems.extend(strict::unknown_in_patch(kind, &patch.patch, &places.below(&body)));
    }
}

fn operations(patch: &Value, path: &str, places: &Places, problems: &mut Vec<Problem>) {
    let Some(list) = patch.as_array() else {
        let help = "write [{op: replace, path: /spec/replicas, value: 3}]";
        problems.push(places.problem(path, "a JSON patch is a list of operations", help));
        return;
    };
    for (index, operation) in list.iter().enumerate() {
        let at = format!("{path}[{index}]");
        let kind = operation["op"].as_str().unwrap_or_default();
        let names: Vec<&str> = OPERATIONS.iter().map(|(name, _)| *name).collect();
        let Some((_, needed)) = OPERATIONS.iter().find(|(name, _)| *name == kind) else {
            let message =
                if kind.is_empty() { "missing field `op`".into() } else { format!("unknown operation {kind:?}") };
            let place = if kind.is_empty() { at.clone() } else { format!("{at}.op") };
            problems.push(places.problem(&place, message, suggestion(kind, &names, "the operations are")));
            continue;
        };
        for field in needed.iter().filter(|field| operation.get(**field).is_none()) {
            let message = format!("missing field `{field}`");
            problems.push(places.problem(&at, message, format!("add `{field}:` to this {kind}")));
        }
        let pointers = ["path", "from"].into_iter().filter_map(|field| Some((field, operation[field].as_str()?)));
        for (field, pointer) in pointers.filter(|(_, pointer)| !pointer.starts_with('/')) {
            let message = format!("{pointer:?} is not a JSON pointer");
            let help = format!("write it as /{}", pointer.replace('.', "/"));
            problems.push(places.problem(&format!("{at}.{field}"), message, help));
        }
        let known = ["op", "path", "from", "value"];
        for field in operation.as_object().into_iter().flat_map(|fields| fields.keys()) {
            if !known.contains(&field.as_str()) {
                let help = suggestion(field, &known, "the fields are");
                problems.push(places.problem(&format!("{at}.{field}"), format!("unknown field {field:?}"), help));
            }
        }
    }
}
