//! Namespaces.

use super::world::{World, config_map, deployment, namespace, pod};
use kubesim::model::{Key, Kind};
use kubesim::store::{DeleteOptions, Propagation, Write};
use serde_json::{Value, json};

fn service(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "shop"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}})
}

#[test]
fn deletion_removes_everything_in_it() {
    // What is put in; when the namespace is gone at the latest: five seconds for one look when there are no pods,
    // two looks and the pods' own thirty seconds of grace at most when there are.
    let rows: [(&str, Vec<Value>, f64); 4] = [
        ("services", vec![service("a"), service("b")], 6.0),
        ("config maps", vec![config_map("shop", "a")], 6.0),
        ("pods", vec![pod("shop", "a"), pod("shop", "b")], 50.0),
        ("a workload", vec![deployment("shop", "web", 3), service("web")], 50.0),
    ];
    for (what, objects, latest) in rows {
        let mut world = World::new();
        let key = world.create(namespace("shop"));
        world.until(2);
        objects.into_iter().for_each(|object| drop(world.create(object)));
        world.until(30);
        world.delete(&key, Propagation::Background);
        world.until(120);
        assert!(world.gone(&key).is_some_and(|gone| gone - 30.0 < latest), "{what}: {:?}", world.gone(&key));
        assert_eq!(world.live().in_namespace(&key.name).count(), 0, "{what}");
        // A namespace of the same name starts empty.
        world.create(namespace("shop"));
        world.until(125);
        assert_eq!((world.count(Kind::Pod, "shop"), world.count(Kind::Service, "shop")), (0, 0), "{what}");
    }
}

#[test]
fn pods_go_before_everything_else() {
    let mut world = World::new();
    let key = world.create(namespace("shop"));
    world.until(2);
    let first = world.create(pod("shop", "a"));
    let rest = [world.create(config_map("shop", "c")), world.create(service("s"))];
    world.until(30);
    world.delete(&key, Propagation::Background);
    world.until(120);
    let pods = world.gone(&first).unwrap();
    assert!(rest.iter().all(|other| world.gone(other).is_some_and(|gone| gone > pods)));
}

#[test]
fn nothing_new_comes_into_one_that_ends() {
    let mut world = World::new();
    let key = world.create(namespace("shop"));
    let mut held = config_map("shop", "held");
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    let held = world.create(held);
    world.until(2);
    world.delete(&key, Propagation::Background);
    assert_eq!(world.json(&key)["status"]["phase"], "Terminating");
    let late = kubesim::wire::decode::object(&config_map("shop", "late")).unwrap();
    let why = world.write(Write::Create(late)).unwrap_err();
    let sentence = "configmaps \"late\" is forbidden: unable to create new content in namespace shop because it is being terminated";
    assert_eq!(why, sentence);
    // It says what keeps it, and goes when that goes.
    world.until(20);
    let conditions = world.json(&key)["status"]["conditions"].clone();
    let said = |kind: &str| {
        let found = conditions.as_array().unwrap().iter().find(|condition| condition["type"] == kind).unwrap().clone();
        (found["status"].as_str().unwrap().to_string(), found["reason"].as_str().unwrap().to_string())
    };
    let pair = |status: &str, reason: &str| (status.to_string(), reason.to_string());
    assert_eq!(said("NamespaceContentRemaining"), pair("True", "SomeResourcesRemain"));
    assert_eq!(said("NamespaceFinalizersRemaining"), pair("True", "SomeFinalizersRemain"));
    assert_eq!(said("NamespaceDeletionContentFailure"), pair("False", "ContentDeleted"));
    world.patch(&held, json!({"metadata": {"finalizers": null}})).unwrap();
    world.until(60);
    assert!(world.gone(&key).is_some());
}

#[test]
fn labels_and_status_can_be_patched() {
    let mut world = World::new();
    let key = world.create(namespace("shop"));
    world.patch(&key, json!({"metadata": {"labels": {"team": "a"}}})).unwrap();
    assert_eq!(world.json(&key)["metadata"]["labels"], json!({"kubernetes.io/metadata.name": "shop", "team": "a"}));
    let condition = json!({"type": "StatusPatch", "status": "True", "reason": "E2E", "message": "Patched by a test"});
    world.patch_status(&key, json!({"status": {"conditions": [condition]}})).unwrap();
    assert_eq!(world.json(&key)["status"]["conditions"][0]["type"], "StatusPatch");
    assert_eq!(world.json(&key)["status"]["phase"], "Active");
}

#[test]
fn a_finalizer_keeps_an_empty_one() {
    let mut world = World::new();
    let mut kept = namespace("shop");
    kept["metadata"]["finalizers"] = json!(["example.com/hold"]);
    let key = world.create(kept);
    world.until(2);
    world.delete(&key, Propagation::Background);
    world.until(60);
    assert_eq!(world.json(&key)["status"]["phase"], "Terminating");
    assert!(world.json(&key)["spec"]["finalizers"].is_null());
    world.patch(&key, json!({"metadata": {"finalizers": null}})).unwrap();
    assert!(world.live().get(&key).is_none());
}

#[test]
fn each_has_an_account_and_the_root_certificate() {
    let mut world = World::new();
    world.create(namespace("shop"));
    world.until(2);
    let account = Key::new(Kind::ServiceAccount, "shop", "default");
    let root = Key::new(Kind::ConfigMap, "shop", "kube-root-ca.crt");
    // Deleted or changed, they come back as they were.
    let before = world.json(&root)["data"].clone();
    assert!(before["ca.crt"].as_str().is_some_and(|text| text.starts_with("-----BEGIN CERTIFICATE-----")));
    world.patch(&root, json!({"data": {"ca.crt": "", "other": "x"}})).unwrap();
    world.write(Write::Delete(account.clone(), DeleteOptions::default())).unwrap();
    world.until(4);
    assert_eq!(world.json(&root)["data"], before);
    assert!(world.live().get(&account).is_some());
    world.write(Write::Delete(root.clone(), DeleteOptions::default())).unwrap();
    world.until(6);
    assert_eq!(world.json(&root)["data"], before);
}

#[test]
fn the_first_ones_may_not_be_deleted() {
    let mut world = World::new();
    for name in ["default", "kube-system", "kube-public"] {
        let key = Key::cluster(Kind::Namespace, name);
        let why = world.write(Write::Delete(key, DeleteOptions::default())).unwrap_err();
        assert_eq!(why, format!("namespaces \"{name}\" is forbidden: this namespace may not be deleted"));
    }
}
