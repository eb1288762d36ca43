//! Objects through their life: created, patched, replaced, deleted one by one and together.

use super::world::{World, config_map, pod};
use kubesim::model::{Key, Kind, Name};
use kubesim::store::{DeleteOptions, Write};
use kubesim::wire::patch::{Document, Form};
use serde_json::{Value, json};

#[test]
fn config_maps_and_secrets_live_a_life() {
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x", "namespace": "default"}});
    for (object, kind, value) in [(config_map("default", "x"), Kind::ConfigMap, "b"), (secret, Kind::Secret, "Yg==")] {
        let mut world = World::new();
        let mut labelled = object.clone();
        labelled["metadata"]["labels"] = json!({"test": "life"});
        let key = world.create(labelled);
        world.patch(&key, json!({"data": {"a": value}})).unwrap();
        assert_eq!(world.json(&key)["data"]["a"], value);
        let mut other = object;
        other["metadata"]["labels"] = json!({"test": "life", "replaced": "yes"});
        world.send(&key, Document::new(Form::Replace, other, "test")).unwrap();
        assert_eq!(world.json(&key)["metadata"]["labels"]["replaced"], "yes");
        assert_eq!(world.json(&key)["data"], Value::Null);
        let together = Write::DeleteCollection {
            kind,
            namespace: Name::from("default"),
            selector: kubesim::model::selector::parse("test=life").unwrap(),
            options: DeleteOptions::default(),
        };
        world.write(together).unwrap();
        assert!(world.live().get(&key).is_none());
    }
}

#[test]
fn immutable_data_stays() {
    let mut world = World::new();
    let key = world.create(config_map("default", "x"));
    world.patch(&key, json!({"data": {"a": "1"}})).unwrap();
    world.patch(&key, json!({"immutable": true})).unwrap();
    let rows = [
        (json!({"data": {"a": "2"}}), "data: Forbidden: field is immutable when `immutable` is set"),
        (json!({"immutable": false}), "immutable: Forbidden: field is immutable when `immutable` is set"),
    ];
    for (patch, why) in rows {
        assert_eq!(world.patch(&key, patch).unwrap_err(), format!("ConfigMap \"x\" is invalid: {why}"));
    }
    // Labels are no data.
    world.patch(&key, json!({"metadata": {"labels": {"a": "b"}}})).unwrap();
}

#[test]
fn names_are_generated() {
    let mut world = World::new();
    let mut object = config_map("default", "");
    object["metadata"]["generateName"] = json!("made-");
    let names: Vec<String> = (0..20).map(|_| world.create(object.clone()).name.to_string()).collect();
    let ending = |name: &String| name.strip_prefix("made-").map(str::to_string).unwrap_or_default();
    let alphabet = "bcdfghjklmnpqrstvwxz2456789";
    assert!(names.iter().map(ending).all(|end| end.len() == 5 && end.chars().all(|c| alphabet.contains(c))));
    let mut different = names.clone();
    different.sort();
    different.dedup();
    assert_eq!(different.len(), 20);
}

#[test]
fn a_pod_takes_the_topology_of_its_node() {
    let mut world = World::new();
    let node = Key::cluster(Kind::Node, "n-1");
    let labels = json!({"topology.kubernetes.io/zone": "z", "topology.kubernetes.io/region": "r", "other": "x"});
    world.patch(&node, json!({"metadata": {"labels": labels}})).unwrap();
    let mut placed = pod("default", "p");
    placed["spec"]["nodeSelector"] = json!({"other": "x"});
    let key = world.create(placed);
    world.until(10);
    let labels = json!({"topology.kubernetes.io/zone": "z", "topology.kubernetes.io/region": "r"});
    assert_eq!(world.json(&key)["metadata"]["labels"], labels);
}

#[test]
fn finalizers_hold_and_no_new_ones_come() {
    let mut world = World::new();
    let mut object = config_map("default", "x");
    object["metadata"]["finalizers"] = json!(["example.com/a"]);
    let key = world.create(object);
    world.write(Write::Delete(key.clone(), DeleteOptions::default())).unwrap();
    assert!(!world.json(&key)["metadata"]["deletionTimestamp"].is_null());
    let why = world.patch(&key, json!({"metadata": {"finalizers": ["example.com/a", "example.com/b"]}})).unwrap_err();
    let sentence = "ConfigMap \"x\" is invalid: metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{\"example.com/b\"}";
    assert_eq!(why, sentence);
    world.patch(&key, json!({"metadata": {"finalizers": []}})).unwrap();
    assert!(world.live().get(&key).is_none());
}
