//! What may change of stateful sets and jobs (`pkg/apis/apps/validation/validation.go`, `ValidateStatefulSetUpdate`;
//! `pkg/apis/batch/validation/validation.go`, `ValidateJobUpdate`).

use super::update::{at, invalid, same, spec_without};
use serde_json::Value;

/// The fields of a stateful set that may change.
const STATEFUL_SET: [&str; 7] = [
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
];

/// `updates to statefulset spec for fields other than … are forbidden`.
pub(super) fn stateful_set(old: &Value, new: &Value, errors: &mut Vec<String>) {
    if spec_without(old, &STATEFUL_SET) != spec_without(new, &STATEFUL_SET) {
        let quoted: Vec<String> = STATEFUL_SET.iter().map(|field| format!("'{field}'")).collect();
        let (last, others) = quoted.split_last().expect("there are seven");
        let fields = format!("{} and {last}", others.join(", "));
        errors
            .push(format!("spec: Forbidden: updates to statefulset spec for fields other than {fields} are forbidden"));
    }
}

pub(super) fn job(old: &Value, new: &Value, errors: &mut Vec<String>) {
    let values = |path: &str| (at(old, path), at(new, path));
    let (had, has) = values("spec.completions");
    if !same(had, has) {
        if new["spec"]["completionMode"] != "Indexed" {
            errors.push(invalid("spec.completions", has, "field is immutable"));
        } else if has != &new["spec"]["parallelism"] {
            errors.push(invalid("spec.completions", has, "can only be modified in tandem with spec.parallelism"));
        }
    }
    let (had, has) = values("spec.selector");
    if !same(had, has) {
        errors.push(invalid("spec.selector", has, "field is immutable"));
    }
    let waits = old["spec"]["suspend"] == true && old["status"]["startTime"].is_null();
    let template = |job: &Value| {
        let mut template = job["spec"]["template"].clone();
        if waits {
            without_directives(&mut template);
        }
        template
    };
    if template(old) != template(new) {
        errors.push(invalid("spec.template", &new["spec"]["template"], "field is immutable"));
    }
    for field in ["completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"] {
        let (had, has) = (&old["spec"][field], &new["spec"][field]);
        if !same(had, has) {
            errors.push(invalid(&format!("spec.{field}"), has, "field is immutable"));
        }
    }
}

/// Where the pods of a job that has never started are to go, and what they need, may still change.
fn without_directives(template: &mut Value) {
    if let Some(spec) = template.get_mut("spec").and_then(Value::as_object_mut) {
        for field in ["nodeSelector", "tolerations", "schedulingGates"] {
            spec.shift_remove(field);
        }
        if let Some(affinity) = spec.get_mut("affinity").and_then(Value::as_object_mut) {
            affinity.shift_remove("nodeAffinity");
        }
        for list in ["containers", "initContainers"] {
            for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
                container.as_object_mut().map(|fields| fields.shift_remove("resources"));
            }
        }
    }
    if let Some(metadata) = template.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.shift_remove("annotations");
        metadata.shift_remove("labels");
    }
}
