//! Garbage collection.

use super::world::{World, config_map, deployment, pod, replica_set};
use kubesim::model::{Key, Kind};
use kubesim::store::{DeleteOptions, Propagation, Write};
use serde_json::json;

const NS: &str = "default";

#[test]
fn delete_deployment_with_each_propagation_policy() {
    // Policy; replica sets and pods that are left; whether the replica set still has an owner.
    let rows = [(Propagation::Background, 0, 0), (Propagation::Foreground, 0, 0), (Propagation::Orphan, 1, 2)];
    for (propagation, sets, pods) in rows {
        let mut world = World::new();
        let key = world.create(deployment(NS, "web", 2));
        world.until(20);
        assert_eq!((world.count(Kind::ReplicaSet, NS), world.count(Kind::Pod, NS)), (1, 2));
        world.delete(&key, propagation);
        world.until(90);
        assert!(world.gone(&key).is_some(), "{propagation:?}");
        let left = (world.count(Kind::ReplicaSet, NS), world.count(Kind::Pod, NS));
        assert_eq!(left, (sets, pods), "{propagation:?}");
        if propagation == Propagation::Orphan {
            let set = world.only(Kind::ReplicaSet, NS);
            assert!(world.json(&set)["metadata"]["ownerReferences"].is_null());
        }
    }
}

#[test]
fn orphaned_pods_of_a_replica_set_stay() {
    let mut world = World::new();
    let key = world.create(replica_set(NS, "web", 3));
    world.until(20);
    world.delete(&key, Propagation::Orphan);
    world.until(60);
    assert!(world.gone(&key).is_some());
    assert_eq!(world.count(Kind::Pod, NS), 3);
    // A new owner that selects them takes them over and makes no others.
    let key = world.create(replica_set(NS, "web", 3));
    world.until(90);
    assert_eq!(world.count(Kind::Pod, NS), 3);
    let owned = world.live().objects(Kind::Pod).all(|pod| pod.meta().controller().is_some_and(|o| o.name == key.name));
    assert!(owned);
}

#[test]
fn an_owner_deleted_in_the_foreground_goes_after_its_pods() {
    let mut world = World::new();
    let key = world.create(replica_set(NS, "web", 3));
    world.until(20);
    let pods: Vec<Key> = world.live().objects(Kind::Pod).map(|pod| pod.key()).collect();
    world.delete(&key, Propagation::Foreground);
    assert_eq!(world.json(&key)["metadata"]["finalizers"], json!(["foregroundDeletion"]));
    world.until(90);
    let owner = world.gone(&key).unwrap();
    assert!(pods.iter().all(|pod| world.gone(pod).is_some_and(|gone| gone <= owner)));
}

#[test]
fn a_dependent_with_another_owner_stays() {
    // The first owner is deleted in the foreground: the dependents that the second owns too only lose the reference.
    let mut world = World::new();
    let (first, second) = (world.create(config_map(NS, "first")), world.create(config_map(NS, "second")));
    let mut keys = Vec::new();
    for n in 0..4 {
        let mut dependent = config_map(NS, &format!("d{n}"));
        let mut owners = vec![world.owner(&first, true)];
        if n % 2 == 0 {
            owners.push(world.owner(&second, false));
        }
        dependent["metadata"]["ownerReferences"] = json!(owners);
        keys.push(world.create(dependent));
    }
    world.until(5);
    world.delete(&first, Propagation::Foreground);
    world.until(30);
    assert!(world.gone(&first).is_some());
    for (n, key) in keys.iter().enumerate() {
        assert_eq!(world.gone(key).is_some(), n % 2 == 1, "{key}");
        if n % 2 == 0 {
            let owners = world.json(key)["metadata"]["ownerReferences"].clone();
            assert_eq!(owners.as_array().map(Vec::len), Some(1));
            assert_eq!(owners[0]["uid"], world.owner(&second, false)["uid"]);
        }
    }
}

#[test]
fn a_bare_delete_of_an_old_kind_orphans() {
    // (kind, whether its dependents stay without owner if the request says nothing)
    let rows = [("ReplicationController", true), ("ReplicaSet", false), ("Job", true)];
    for (kind, stay) in rows {
        let mut world = World::new();
        let mut object = replica_set(NS, "x", 1);
        match kind {
            "ReplicationController" => {
                object["apiVersion"] = json!("v1");
                object["spec"]["selector"] = json!({"app": "x"});
            }
            "Job" => {
                object["apiVersion"] = json!("batch/v1");
                object["spec"] = json!({"template": object["spec"]["template"]});
                object["spec"]["template"]["spec"]["restartPolicy"] = json!("Never");
            }
            _ => {}
        }
        object["kind"] = json!(kind);
        let key = world.create(object);
        world.until(5);
        let pod = world.only(Kind::Pod, NS);
        world.write(Write::Delete(key.clone(), DeleteOptions::default())).unwrap();
        world.until(60);
        assert!(world.gone(&key).is_some(), "{kind}");
        assert_eq!(world.gone(&pod).is_none(), stay, "{kind}");
    }
}

#[test]
fn a_circle_of_owners_does_not_block() {
    for propagation in [Propagation::Background, Propagation::Foreground] {
        let mut world = World::new();
        let keys: Vec<Key> = ["p1", "p2", "p3"].iter().map(|name| world.create(pod(NS, name))).collect();
        for (at, key) in keys.iter().enumerate() {
            let owner = world.owner(&keys[(at + 1) % 3], true);
            world.patch(key, json!({"metadata": {"ownerReferences": [owner]}})).unwrap();
        }
        world.until(10);
        world.delete(&keys[0], propagation);
        world.until(150);
        assert!(keys.iter().all(|key| world.gone(key).is_some()), "{propagation:?}");
    }
}

#[test]
fn an_object_whose_owner_never_was_goes() {
    let mut world = World::new();
    let mut dependent = config_map(NS, "lost");
    dependent["metadata"]["ownerReferences"] = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "nobody",
        "uid": "11111111-2222-4333-8444-555555555555"}]);
    let key = world.create(dependent);
    world.until(10);
    assert!(world.gone(&key).is_some());
}
