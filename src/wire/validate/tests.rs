//! Each row: what is changed in a valid object, and the API server's sentence.

use serde_json::{Value, json};

use super::{FieldError, Validate};
use crate::wire::typed::read;

fn deployment() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "web:1"}]},
            },
        },
    })
}

fn service() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
    })
}

/// Sets the value at a JSON pointer, and validates.
fn with<K: Validate + serde::de::DeserializeOwned>(mut object: Value, pointer: &str, value: Value) -> Vec<String> {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = object.pointer_mut(parent).unwrap_or_else(|| panic!("{pointer}"));
    match parent {
        Value::Array(items) => items[key.parse::<usize>().unwrap()] = value,
        other => other[key] = value,
    }
    read::<K>(&object).unwrap().validate().iter().map(FieldError::to_string).collect()
}

#[test]
fn valid_objects_pass() {
    use k8s_openapi::api::{apps::v1::Deployment, core::v1::Service};
    assert_eq!(read::<Deployment>(&deployment()).unwrap().validate(), []);
    assert_eq!(read::<Service>(&service()).unwrap().validate(), []);
}

#[test]
fn deployments_are_refused_with_the_sentences_of_the_api_server() {
    let container = "/spec/template/spec/containers/0";
    let at = |field: &str| format!("{container}/{field}");
    // (where, value, sentence)
    let table: Vec<(String, Value, &str)> = vec![
        ("/spec/replicas".into(), json!(-1), "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
        (
            "/spec/template/metadata/labels".into(),
            json!({"app": "other"}),
            "spec.template.metadata.labels: Invalid value: {\"app\":\"other\"}: `selector` does not match template `labels`",
        ),
        (
            "/spec/selector".into(),
            json!({}),
            "spec.selector: Invalid value: {}: empty selector is invalid for deployment",
        ),
        (
            "/spec/template/spec/restartPolicy".into(),
            json!("Never"),
            "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"",
        ),
        (
            "/spec/strategy".into(),
            json!({"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}),
            "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0",
        ),
        (
            "/spec/strategy".into(),
            json!({"type": "Recreate", "rollingUpdate": {}}),
            "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
        ),
        (
            "/spec/progressDeadlineSeconds".into(),
            json!(0),
            "spec.progressDeadlineSeconds: Invalid value: 0: must be greater than minReadySeconds",
        ),
        (at("image"), json!(""), "spec.template.spec.containers[0].image: Required value"),
        (
            at("ports"),
            json!([{"containerPort": 70_000}]),
            "spec.template.spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, \
             inclusive",
        ),
        (
            at("imagePullPolicy"),
            json!("Sometimes"),
            "spec.template.spec.containers[0].imagePullPolicy: Unsupported value: \"Sometimes\": supported values: \
             \"Always\", \"IfNotPresent\", \"Never\"",
        ),
        (
            at("resources"),
            json!({"requests": {"cpu": "1"}, "limits": {"cpu": "500m"}}),
            "spec.template.spec.containers[0].resources.requests: Invalid value: \"1\": must be less than or equal to \
             cpu limit of 500m",
        ),
        (
            at("resources"),
            json!({"requests": {"memory": "-1Mi"}}),
            "spec.template.spec.containers[0].resources.requests[memory]: Invalid value: \"-1Mi\": must be greater than \
             or equal to 0",
        ),
        (
            at("volumeMounts"),
            json!([{"name": "data", "mountPath": "/data"}]),
            "spec.template.spec.containers[0].volumeMounts[0].name: Not found: \"data\"",
        ),
        (
            at("readinessProbe"),
            json!({"periodSeconds": 3}),
            "spec.template.spec.containers[0].readinessProbe: Required value: must specify a handler type",
        ),
        (
            "/spec/template/spec/tolerations".into(),
            json!([{"key": "a", "operator": "Exists", "effect": "NoSchedule", "tolerationSeconds": 30}]),
            "spec.template.spec.tolerations[0].effect: Invalid value: \"NoSchedule\": effect must be 'NoExecute' when \
             `tolerationSeconds` is set",
        ),
        ("/metadata/name".into(), json!(""), "metadata.name: Required value: name or generateName is required"),
    ];
    for (pointer, value, sentence) in table {
        let found = with::<k8s_openapi::api::apps::v1::Deployment>(deployment(), &pointer, value);
        assert_eq!(found, [sentence], "{pointer}");
    }
}

#[test]
fn services_are_refused_with_the_sentences_of_the_api_server() {
    let table = [
        ("/spec/ports", json!([]), "spec.ports: Required value"),
        (
            "/spec/ports/0/port",
            json!(0),
            "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
        ),
        (
            "/spec/ports/0/targetPort",
            json!("8080"),
            "spec.ports[0].targetPort: Invalid value: \"8080\": must contain at least one letter (a-z)",
        ),
        (
            "/spec/type",
            json!("Loadbalancer"),
            "spec.type: Unsupported value: \"Loadbalancer\": supported values: \"ClusterIP\", \"ExternalName\", \
             \"LoadBalancer\", \"NodePort\"",
        ),
        (
            "/spec/ports/0/nodePort",
            json!(30_080),
            "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
        ),
    ];
    for (pointer, value, sentence) in table {
        let found = with::<k8s_openapi::api::core::v1::Service>(service(), pointer, value);
        assert_eq!(found, [sentence], "{pointer}");
    }
}
