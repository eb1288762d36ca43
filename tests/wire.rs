//! Kubernetes JSON to the model and back.

mod defaults;
mod round_trip;

use kubesim::model::Object;
use kubesim::wire::{decode, encode};
use serde_json::Value;

/// Reads one YAML document as kubectl does.
fn yaml(text: &str) -> Value {
    kubesim::wire::yaml::read_value(text).unwrap()
}

fn decoded(value: &Value) -> Object {
    decode::object(value).unwrap_or_else(|errors| panic!("{errors:?}\n{value}"))
}

/// Whether everything in `expected` is in `actual`: objects by key, lists item by item; an expected `null`
/// means absence.
fn contains(actual: &Value, expected: &Value, path: &str) -> Result<(), String> {
    match (actual, expected) {
        (Value::Object(have), Value::Object(want)) => want.iter().try_for_each(|(key, want)| {
            contains(have.get(key).unwrap_or(&Value::Null), want, &format!("{path}.{key}"))
        }),
        (Value::Array(have), Value::Array(want)) if have.len() == want.len() => {
            let pairs = have.iter().zip(want).enumerate();
            pairs.into_iter().try_for_each(|(at, (have, want))| contains(have, want, &format!("{path}[{at}]")))
        }
        _ if actual == expected => Ok(()),
        _ => Err(format!("{path}: {actual} instead of {expected}")),
    }
}

/// Decodes and encodes a manifest, and compares what comes out with what must be in it.
fn check(manifest: &str, expected: &str) {
    let encoded = encode::object(&decoded(&yaml(manifest)));
    contains(&encoded, &yaml(expected), "")
        .unwrap_or_else(|error| panic!("{error}\nfrom:\n{manifest}\ngot: {encoded:#}"));
}

#[test]
fn a_wrong_type_is_reported_with_its_path() {
    let table = [
        ("{apiVersion: apps/v1, kind: Deployment, spec: {replicas: three, template: {spec: {}}}}", "spec.replicas"),
        (
            "{apiVersion: v1, kind: Pod, spec: {containers: [{name: a, ports: [{containerPort: x}]}]}}",
            "spec.containers[0].ports[0].containerPort",
        ),
        (
            "{apiVersion: v1, kind: Pod, spec: {containers: [{name: a, imagePullPolicy: Sometimes}]}}",
            "spec.containers[0].imagePullPolicy",
        ),
        (
            "{apiVersion: v1, kind: Pod, spec: {containers: [{name: a, resources: {requests: {cpu: lots}}}]}}",
            "spec.containers[0].resources.requests.cpu",
        ),
        ("{apiVersion: v1, kind: Pod, spec: {tolerations: [{operator: Lt}]}}", "spec.tolerations[0].operator"),
        ("{apiVersion: v1, kind: Service, spec: {type: Nodeport}}", "spec.type"),
        ("{apiVersion: v1, kind: Widget}", "kind"),
        ("{apiVersion: v1, kind: Pod}", "spec"),
    ];
    for (manifest, path) in table {
        let errors = decode::object(&yaml(manifest)).expect_err(manifest);
        assert_eq!(errors[0].path, path, "{manifest}: {errors:?}");
    }
}
