//! Changes of objects in JSON as the API server does them: patches of every form, server-side apply, subresources,
//! dry runs, and what may not change. Expected values and sentences are Kubernetes'.

use crate::support;
use kubesim::model::{Key, Kind, Name};
use kubesim::store::{DeleteOptions, Preconditions, Store, Write};
use kubesim::time::SimTime;
use kubesim::wire::patch::{Document, Form, Subresource};
use kubesim::wire::{decode, encode};
use serde_json::{Value, json};
use std::sync::Arc;

const NOW: SimTime = SimTime::from_secs(7);

fn deployment() -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "default"},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [
                {"name": "web", "image": "web:1", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                 "ports": [{"containerPort": 80}]},
                {"name": "log", "image": "log:1"}]}}}})
}

fn pod() -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "default",
            "finalizers": ["example.com/a"]},
        "spec": {"activeDeadlineSeconds": 60, "containers": [
            {"name": "c", "image": "img:1", "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}}]}})
}

pub fn with(objects: &[Value]) -> Store {
    let mut store = support::store();
    for object in objects {
        let object = decode::object(object).unwrap_or_else(|errors| panic!("{object}: {errors:?}"));
        store.commit(NOW, Write::Create(object), "test").unwrap();
    }
    store
}

fn key_of(object: &Value) -> Key {
    decode::object(object).unwrap().key()
}

pub fn send(store: &mut Store, key: &Key, document: Document) -> Result<(), String> {
    let write = Write::Document(key.clone(), Arc::new(document), Preconditions::default());
    store.commit(NOW, write, "kubectl").map(drop).map_err(|error| error.to_string())
}

pub fn live(store: &Store, key: &Key) -> Value {
    encode::object(store.live().get(key).unwrap())
}

/// Applies the patch to a fresh object and compares the values at the pointers.
pub fn check(object: &Value, form: Form, patch: Value, expected: &[(&str, Value)]) {
    let (mut store, key) = (with(std::slice::from_ref(object)), key_of(object));
    send(&mut store, &key, Document::new(form, patch.clone(), "test")).unwrap_or_else(|why| panic!("{patch}: {why}"));
    let after = live(&store, &key);
    for (pointer, value) in expected {
        assert_eq!(after.pointer(pointer).unwrap_or(&Value::Null), value, "{patch} at {pointer}");
    }
}

/// Applies the patch to a fresh object, which refuses it with this sentence and stays as it was.
pub fn refused(object: &Value, form: Form, patch: Value, sentence: &str) {
    let (mut store, key) = (with(std::slice::from_ref(object)), key_of(object));
    let before = live(&store, &key);
    let why = send(&mut store, &key, Document::new(form, patch.clone(), "test")).expect_err(sentence);
    assert_eq!(why, sentence, "{patch}");
    assert_eq!(live(&store, &key), before, "{patch}");
}

#[test]
fn json_patches_do_as_rfc_6902_says() {
    let image = "/spec/template/spec/containers/0/image";
    let rows = [
        (json!([{"op": "replace", "path": "/spec/replicas", "value": 5}]), vec![("/spec/replicas", json!(5))]),
        (
            json!([{"op": "test", "path": image, "value": "web:1"}, {"op": "replace", "path": image, "value": "web:2"}]),
            vec![(image, json!("web:2"))],
        ),
        (
            json!([{"op": "add", "path": "/metadata/labels", "value": {}},
                {"op": "add", "path": "/metadata/labels/a.b~1c", "value": "x"}]),
            vec![("/metadata/labels", json!({"a.b/c": "x"}))],
        ),
        (
            json!([{"op": "add", "path": "/spec/template/spec/containers/-", "value": {"name": "x", "image": "x:1"}}]),
            vec![("/spec/template/spec/containers/2/name", json!("x"))],
        ),
        (
            json!([{"op": "remove", "path": "/spec/template/spec/containers/1"}]),
            vec![("/spec/template/spec/containers/1", Value::Null)],
        ),
        (
            json!([{"op": "copy", "from": image, "path": "/spec/template/spec/containers/1/image"}]),
            vec![("/spec/template/spec/containers/1/image", json!("web:1"))],
        ),
        (
            json!([{"op": "move", "from": "/spec/template/spec/containers/1", "path": "/spec/template/spec/containers/0"}]),
            vec![("/spec/template/spec/containers/0/name", json!("log"))],
        ),
        // What is removed gets its default back.
        (json!([{"op": "remove", "path": "/spec/replicas"}]), vec![("/spec/replicas", json!(1))]),
    ];
    for (patch, expected) in rows {
        check(&deployment(), Form::Json, patch, &expected);
    }
}

#[test]
fn json_patches_that_do_not_apply_say_why() {
    let prefix = "the server rejected our request due to an error in our request: ";
    let rows = [
        (
            json!([{"op": "test", "path": "/spec/replicas", "value": 3}]),
            "testing value /spec/replicas failed: test failed",
        ),
        (
            json!([{"op": "remove", "path": "/spec/nothing"}]),
            "error in remove for path: '/spec/nothing': Unable to remove nonexistent key: nothing: missing value",
        ),
        (
            json!([{"op": "add", "path": "/nothing/at/all", "value": 1}]),
            "add operation does not apply: doc is missing path: \"/nothing/at/all\": missing value",
        ),
        (
            json!([{"op": "replace", "path": "/spec/nothing/x", "value": 1}]),
            "replace operation does not apply: doc is missing path: /spec/nothing/x: missing value",
        ),
        (
            json!([{"op": "add", "path": "/spec/template/spec/containers/9", "value": {}}]),
            "error in add for path: '/spec/template/spec/containers/9': Unable to access invalid index: 9: invalid index referenced",
        ),
        (json!([{"op": "rename", "path": "/spec"}]), "Unexpected kind: rename"),
    ];
    for (patch, why) in rows {
        refused(&deployment(), Form::Json, patch, &format!("{prefix}{why}"));
    }
}

#[test]
fn merge_patches_do_as_rfc_7386_says() {
    let rows = [
        (
            json!({"spec": {"replicas": 4}, "metadata": {"labels": {"a": "1"}}}),
            vec![("/spec/replicas", json!(4)), ("/metadata/labels", json!({"a": "1"}))],
        ),
        // Lists are replaced.
        (
            json!({"spec": {"template": {"spec": {"containers": [{"name": "only", "image": "o:1"}]}}}}),
            vec![
                ("/spec/template/spec/containers/0/name", json!("only")),
                ("/spec/template/spec/containers/1", Value::Null),
            ],
        ),
        (json!({"spec": {"replicas": null}}), vec![("/spec/replicas", json!(1))]),
        // Status is not for requests about the object.
        (json!({"status": {"replicas": 9}}), vec![("/status/replicas", Value::Null)]),
    ];
    for (patch, expected) in rows {
        check(&deployment(), Form::Merge, patch, &expected);
    }
}

#[test]
fn strategic_patches_merge_lists_by_key() {
    let containers = |list: Value| json!({"spec": {"template": {"spec": {"containers": list}}}});
    let at = |place: &'static str| format!("/spec/template/spec/containers/{place}");
    let rows = [
        (
            containers(json!([{"name": "log", "image": "log:2"}])),
            vec![("0/image", json!("web:1")), ("1/image", json!("log:2"))],
        ),
        (containers(json!([{"name": "log", "$patch": "delete"}])), vec![("1", Value::Null)]),
        (
            containers(json!([{"$patch": "replace"}, {"name": "x", "image": "x:1"}])),
            vec![("0/name", json!("x")), ("1", Value::Null)],
        ),
        // What the patch adds without an order comes first.
        (containers(json!([{"name": "x", "image": "x:1"}])), vec![("0/name", json!("x")), ("2/name", json!("log"))]),
        (
            json!({"spec": {"template": {"spec": {"$setElementOrder/containers": [{"name": "log"}, {"name": "web"}],
                "containers": [{"name": "log", "image": "log:3"}]}}}}),
            vec![("0/image", json!("log:3")), ("1/name", json!("web"))],
        ),
        (
            containers(
                json!([{"name": "web", "env": [{"name": "B", "value": "3"}, {"name": "A", "$patch": "delete"}]}]),
            ),
            vec![("0/env", json!([{"name": "B", "value": "3"}]))],
        ),
        (
            containers(json!([{"name": "web", "ports": [{"containerPort": 81}]}])),
            vec![("0/ports/1/containerPort", json!(80))],
        ),
        // Lists without a key are replaced.
        (containers(json!([{"name": "web", "args": ["-v"]}])), vec![("0/args", json!(["-v"]))]),
    ];
    for (patch, expected) in rows {
        let expected: Vec<(String, Value)> = expected.into_iter().map(|(place, value)| (at(place), value)).collect();
        let expected: Vec<(&str, Value)> = expected.iter().map(|(at, value)| (at.as_str(), value.clone())).collect();
        check(&deployment(), Form::Strategic, patch, &expected);
    }
    let finalizers = json!({"metadata": {"finalizers": ["example.com/b"]}});
    check(&pod(), Form::Strategic, finalizers, &[("/metadata/finalizers", json!(["example.com/b", "example.com/a"]))]);
    let less = json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["example.com/a"]}});
    check(&pod(), Form::Strategic, less, &[("/metadata/finalizers", Value::Null)]);
    let recreate = json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}});
    check(&deployment(), Form::Strategic, recreate, &[("/spec/strategy", json!({"type": "Recreate"}))]);
    let nameless = json!({"spec": {"template": {"spec": {"containers": [{"image": "x"}]}}}});
    let sentence = "map: {\"image\":\"x\"} does not contain declared merge key: name";
    refused(&deployment(), Form::Strategic, nameless, sentence);
}

#[test]
fn results_are_read_and_validated() {
    let rows = [
        (
            json!({"spec": {"replicas": -1}}),
            "Deployment.apps \"web\" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0",
        ),
        (
            json!({"metadata": {"name": "other"}}),
            "the name of the object (other) does not match the name on the URL (web)",
        ),
        (
            json!({"metadata": {"resourceVersion": "1"}}),
            "Operation cannot be fulfilled on deployments.apps \"web\": the object has been modified; please apply your changes to the latest version and try again",
        ),
        (
            json!({"spec": {"selector": {"matchLabels": {"app": "x"}}, "template": {"metadata": {"labels": {"app": "x"}}}}}),
            "Deployment.apps \"web\" is invalid: spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"x\"}}: field is immutable",
        ),
    ];
    for (patch, sentence) in rows {
        refused(&deployment(), Form::Merge, patch, sentence);
    }
    let missing = Key::new(Kind::Deployment, "default", "nothing");
    let why = send(&mut with(&[]), &missing, Document::new(Form::Merge, json!({}), "test")).unwrap_err();
    assert_eq!(why, "deployments.apps \"nothing\" not found");
    // A patch that changes nothing writes nothing.
    let (mut store, key) = (with(&[deployment()]), key_of(&deployment()));
    let revision = store.revision();
    send(&mut store, &key, Document::new(Form::Merge, json!({"spec": {"replicas": 2}}), "test")).unwrap();
    assert_eq!(store.revision(), revision);
}

#[test]
fn what_may_not_change_does_not() {
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "default"},
        "spec": {"clusterIP": "10.96.0.50", "ports": [{"port": 80}]}});
    let frozen = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "default"},
        "immutable": true, "data": {"a": "1"}});
    let class = json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "fast"},
        "provisioner": "example.com/a"});
    let priority = json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "high"}, "value": 5});
    let set = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db", "namespace": "default"},
        "spec": {"serviceName": "db", "selector": {"matchLabels": {"app": "db"}}, "template": {
            "metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "c", "image": "img"}]}}}});
    let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j", "namespace": "default"},
        "spec": {"completions": 3, "completionMode": "NonIndexed", "template": {"spec": {"restartPolicy": "Never",
            "containers": [{"name": "c", "image": "img"}]}}}});
    let rows = [
        (
            &service,
            json!({"spec": {"clusterIP": "10.96.0.51", "clusterIPs": ["10.96.0.51"]}}),
            "Service \"s\" is invalid: spec.clusterIPs[0]: Invalid value: \"10.96.0.51\": may not change once set",
        ),
        (
            &frozen,
            json!({"data": {"a": "2"}}),
            "ConfigMap \"c\" is invalid: data: Forbidden: field is immutable when `immutable` is set",
        ),
        (
            &class,
            json!({"provisioner": "example.com/b"}),
            "StorageClass.storage.k8s.io \"fast\" is invalid: provisioner: Forbidden: updates to provisioner are forbidden.",
        ),
        (
            &priority,
            json!({"value": 6}),
            "PriorityClass.scheduling.k8s.io \"high\" is invalid: value: Forbidden: may not be changed in an update.",
        ),
        (
            &set,
            json!({"spec": {"serviceName": "other"}}),
            "StatefulSet.apps \"db\" is invalid: spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
        ),
        (
            &job,
            json!({"spec": {"completions": 4}}),
            "Job.batch \"j\" is invalid: spec.completions: Invalid value: 4: field is immutable",
        ),
    ];
    for (object, patch, sentence) in rows {
        refused(object, Form::Merge, patch, sentence);
    }
    // A service that is replaced without its address keeps it.
    let mut replacement = service.clone();
    replacement["spec"] = json!({"ports": [{"port": 81}]});
    check(
        &service,
        Form::Replace,
        replacement,
        &[("/spec/clusterIP", json!("10.96.0.50")), ("/spec/ports/0/port", json!(81))],
    );
}

#[test]
fn what_is_wrong_and_what_may_not_change_are_told_together() {
    let labels = json!({"matchLabels": {"app": "web"}});
    let set = |kind: &str| {
        let mut set = deployment();
        set["kind"] = json!(kind);
        set["spec"] = json!({"selector": labels, "template": set["spec"]["template"]});
        set
    };
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "default"}});
    let other = json!({"spec": {"selector": {"matchLabels": {"app": "y"}}}});
    let selector = "[spec.template.metadata.labels: Invalid value: {\"app\":\"web\"}: `selector` does not match template `labels`, spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"y\"}}: field is immutable]";
    let rows = [
        (set("DaemonSet"), other.clone(), format!("DaemonSet.apps \"web\" is invalid: {selector}")),
        (set("Deployment"), other.clone(), format!("Deployment.apps \"web\" is invalid: {selector}")),
        (set("ReplicaSet"), other, format!("ReplicaSet.apps \"web\" is invalid: {selector}")),
        (
            secret,
            json!({"type": "kubernetes.io/tls"}),
            "Secret \"s\" is invalid: [type: Invalid value: \"kubernetes.io/tls\": field is immutable, data[tls.crt]: Required value, data[tls.key]: Required value]".to_string(),
        ),
    ];
    for (object, patch, sentence) in rows {
        refused(&object, Form::Merge, patch, &sentence);
    }
}

#[test]
fn pods_change_in_few_ways() {
    let rows = [
        (
            json!({"spec": {"containers": [{"name": "c", "image": "img:2"}]}}),
            Ok(("/spec/containers/0/image", json!("img:2"))),
        ),
        (json!({"spec": {"activeDeadlineSeconds": 30}}), Ok(("/spec/activeDeadlineSeconds", json!(30)))),
        (
            json!({"spec": {"activeDeadlineSeconds": 90}}),
            Err("spec.activeDeadlineSeconds: Invalid value: 90: must be less than or equal to previous value"),
        ),
        (
            json!({"spec": {"containers": [{"name": "d", "image": "img"}]}}),
            Err("spec.containers: Forbidden: pod updates may not add or remove containers"),
        ),
        (
            json!({"spec": {"schedulingGates": [{"name": "example.com/g"}]}}),
            Err(
                "spec.schedulingGates[0]: Forbidden: only deletion is allowed, but found new scheduling gate 'example.com/g'",
            ),
        ),
        (
            json!({"spec": {"priority": 5}}),
            Err(
                "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n- spec.priority: 0\n+ spec.priority: 5",
            ),
        ),
    ];
    for (patch, expected) in rows {
        match expected {
            Ok((pointer, value)) => check(&pod(), Form::Strategic, patch, &[(pointer, value)]),
            Err(why) => refused(&pod(), Form::Strategic, patch, &format!("Pod \"p\" is invalid: {why}")),
        }
    }
}

#[test]
fn subresources_are_parts_of_an_object() {
    let (mut store, key) = (with(&[deployment(), pod()]), key_of(&deployment()));
    let part = |subresource, body| Document { subresource, ..Document::new(Form::Merge, body, "test") };
    // Whatever else a request for the scale says is left out.
    let scale = json!({"spec": {"replicas": 7, "paused": true}});
    send(&mut store, &key, part(Subresource::Scale, scale)).unwrap();
    assert_eq!(live(&store, &key)["spec"]["replicas"], 7);
    assert_eq!(live(&store, &key)["metadata"]["generation"], 2);
    let why = send(&mut store, &key, part(Subresource::Scale, json!({"spec": {"replicas": -1}}))).unwrap_err();
    let sentence =
        "Scale.autoscaling \"web\" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0";
    assert_eq!(why, sentence);
    // A request for the status changes only that.
    let status = json!({"spec": {"replicas": 1}, "status": {"replicas": 3}});
    send(&mut store, &key, part(Subresource::Status, status)).unwrap();
    assert_eq!(live(&store, &key)["spec"]["replicas"], 7);
    assert_eq!(live(&store, &key)["status"]["replicas"], 3);
    assert_eq!(live(&store, &key)["metadata"]["generation"], 2);
    let pod = key_of(&pod());
    let resize = |cpu: &str| json!({"spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]}});
    let document =
        Document { subresource: Subresource::Resize, ..Document::new(Form::Strategic, resize("200m"), "test") };
    send(&mut store, &pod, document).unwrap();
    assert_eq!(
        live(&store, &pod)["spec"]["containers"][0]["resources"]["requests"],
        json!({"cpu": "200m", "memory": "64Mi"})
    );
    let image = json!({"spec": {"containers": [{"name": "c", "image": "img:2"}]}});
    let document = Document { subresource: Subresource::Resize, ..Document::new(Form::Strategic, image, "test") };
    let why = send(&mut store, &pod, document).unwrap_err();
    assert_eq!(why, "Pod \"p\" is invalid: spec: Forbidden: only cpu and memory resources are mutable");
}

#[test]
fn dry_runs_answer_and_store_nothing() {
    let (mut store, key) = (with(&[deployment()]), key_of(&deployment()));
    let before = (store.revision(), live(&store, &key));
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "default"},
        "spec": {"ports": [{"port": 80}]}});
    let document =
        |body| Write::Document(key.clone(), Arc::new(Document::new(Form::Merge, body, "t")), Preconditions::default());
    let rows: [(Write, Option<&str>); 4] = [
        (Write::Create(decode::object(&service).unwrap()), None),
        (document(json!({"spec": {"replicas": 9}})), None),
        (document(json!({"spec": {"replicas": -9}})), Some("spec.replicas: Invalid value: -9")),
        (Write::Delete(key.clone(), DeleteOptions::default()), None),
    ];
    for (write, refusal) in rows {
        let answer = store.commit(NOW, Write::DryRun(Box::new(write)), "kubectl").map_err(|error| error.to_string());
        match refusal {
            None => drop(answer.unwrap()),
            Some(part) => assert!(answer.as_ref().is_err_and(|why| why.contains(part)), "{answer:?}"),
        }
    }
    assert_eq!((store.revision(), live(&store, &key)), before);
    // The address that was only asked for is still free.
    let service = store.commit(NOW, Write::Create(decode::object(&service).unwrap()), "test").unwrap();
    assert_eq!(live(&store, &service.key)["spec"]["clusterIP"], "10.96.0.10");
}

#[test]
fn collections_are_deleted_by_selector() {
    let labelled = |name: &str, tier: &str| {
        json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default", "labels": {"tier": tier}}})
    };
    let mut store = with(&[labelled("a", "x"), labelled("b", "y"), labelled("c", "x")]);
    let write = Write::DeleteCollection {
        kind: Kind::ConfigMap,
        namespace: Name::from("default"),
        selector: kubesim::model::selector::parse("tier=x").unwrap(),
        options: DeleteOptions::default(),
    };
    store.commit(NOW, write, "test").unwrap();
    let left: Vec<&str> = store.live().objects(Kind::ConfigMap).map(|object| object.meta().name.as_str()).collect();
    assert_eq!(left, ["b"]);
}

fn applied(manager: &str, force: bool, config: Value) -> Document {
    Document::new(Form::Apply { force }, config, manager)
}

fn config(spec: Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "default"}, "spec": spec})
}

/// A spec that a Deployment can be made of, with `more`.
fn full(more: Value) -> Value {
    let mut spec = json!({"selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": "web:1"}]}}});
    for (field, value) in more.as_object().unwrap() {
        spec[field] = value.clone();
    }
    spec
}

#[test]
fn fields_have_owners() {
    let (mut store, key) = (with(&[]), key_of(&deployment()));
    // A first apply creates.
    send(&mut store, &key, applied("ci", false, config(full(json!({"replicas": 3}))))).unwrap();
    let owners = live(&store, &key)["metadata"]["managedFields"].clone();
    assert_eq!(owners[0]["manager"], "ci");
    assert_eq!(owners[0]["operation"], "Apply");
    let expected = json!({"f:spec": {"f:replicas": {}, "f:selector": {}, "f:template": {
        "f:metadata": {"f:labels": {"f:app": {}}},
        "f:spec": {"f:containers": {"k:{\"name\":\"web\"}": {".": {}, "f:image": {}, "f:name": {}}}}}}});
    assert_eq!(owners[0]["fieldsV1"], expected);
    // Another manager takes the replicas by an ordinary write.
    let scale = Document {
        subresource: Subresource::Scale,
        ..Document::new(Form::Merge, json!({"spec": {"replicas": 5}}), "autoscaler")
    };
    send(&mut store, &key, scale).unwrap();
    let why = send(&mut store, &key, applied("ci", false, config(full(json!({"replicas": 3}))))).unwrap_err();
    let sentence = "Apply failed with 1 conflict: conflict with \"autoscaler\" with subresource \"scale\" using apps/v1: .spec.replicas";
    assert_eq!(why, sentence);
    assert_eq!(live(&store, &key)["spec"]["replicas"], 5);
    // Whoever no longer states them leaves them to the other.
    send(&mut store, &key, applied("ci", false, config(full(json!({}))))).unwrap();
    assert_eq!(live(&store, &key)["spec"]["replicas"], 5);
    // With force they are taken over.
    send(&mut store, &key, applied("ci", true, config(full(json!({"replicas": 2}))))).unwrap();
    assert_eq!(live(&store, &key)["spec"]["replicas"], 2);
    // And when nobody states them, they get their default.
    send(&mut store, &key, applied("ci", false, config(full(json!({}))))).unwrap();
    assert_eq!(live(&store, &key)["spec"]["replicas"], 1);
}

#[test]
fn appliers_share_lists_and_values() {
    let (mut store, key) = (with(&[]), key_of(&deployment()));
    send(&mut store, &key, applied("a", false, config(full(json!({"replicas": 3}))))).unwrap();
    let sidecar = json!({"replicas": 3, "template": {"spec": {"containers": [{"name": "log", "image": "log:1"}]}}});
    send(&mut store, &key, applied("b", false, config(sidecar.clone()))).unwrap();
    let names = |store: &Store| -> Vec<String> {
        let containers = live(store, &key)["spec"]["template"]["spec"]["containers"].clone();
        containers.as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap().to_string()).collect()
    };
    assert_eq!(names(&store).len(), 2);
    // Several conflicts are listed by manager.
    let other = json!({"replicas": 4, "template": {"spec": {"containers": [{"name": "log", "image": "log:2"}]}}});
    let why = send(&mut store, &key, applied("c", false, config(other))).unwrap_err();
    let sentence = "Apply failed with 3 conflicts: conflicts with \"a\":\n- .spec.replicas\nconflicts with \"b\":\n- .spec.replicas\n- .spec.template.spec.containers[name=\"log\"].image";
    assert_eq!(why, sentence);
    // The value that both state stays when one stops stating it; the container that only one stated goes.
    send(&mut store, &key, applied("b", false, config(json!({})))).unwrap();
    assert_eq!(names(&store), ["web"]);
    assert_eq!(live(&store, &key)["spec"]["replicas"], 3);
}

#[test]
fn what_was_there_before_belongs_to_who_wrote_it() {
    let mut written = deployment();
    let (mut store, key) = (with(&[written.clone()]), key_of(&deployment()));
    let take = config(json!({"replicas": 9}));
    let why = send(&mut store, &key, applied("ci", false, take.clone())).unwrap_err();
    assert_eq!(why, "Apply failed with 1 conflict: conflict with \"before-first-apply\" using apps/v1: .spec.replicas");
    written["metadata"]["annotations"] =
        json!({"kubectl.kubernetes.io/last-applied-configuration": deployment().to_string()});
    let mut store = with(&[written]);
    let why = send(&mut store, &key, applied("ci", false, take.clone())).unwrap_err();
    assert_eq!(
        why,
        "Apply failed with 1 conflict: conflict with \"kubectl-client-side-apply\" using apps/v1: .spec.replicas"
    );
    // kubectl takes over what it wrote itself; what it no longer states goes.
    send(&mut store, &key, applied("kubectl", false, config(full(json!({"replicas": 9}))))).unwrap();
    assert_eq!(live(&store, &key)["spec"]["replicas"], 9);
    assert_eq!(live(&store, &key)["spec"]["template"]["spec"]["containers"][1], Value::Null);
}
