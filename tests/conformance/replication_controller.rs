//! ReplicationController.

use super::cluster::{Cluster, controller_of, orphan, workload};
use kubesim::model::Kind;
use kubesim::store::Propagation;
use serde_json::json;

const RC: Kind = Kind::ReplicationController;

#[test]
fn replication_controller_run_basic_image() {
    let mut cluster = Cluster::new(2);
    cluster.create(workload(RC, "web", "img:1", json!({"replicas": 2})));
    cluster.run(10);
    assert_eq!(cluster.ready("web"), 2);
    assert_eq!(cluster.field(RC, "web", "/status/readyReplicas"), json!(2));
    let name = &cluster.names("web")[0];
    assert_eq!(controller_of(&cluster, name).as_deref(), Some("ReplicationController/web"));
    assert_eq!(cluster.events(RC, "web"), ["SuccessfulCreate", "SuccessfulCreate"]);
}

#[test]
fn replication_controller_surfaces_a_failure_condition_and_takes_it_back() {
    let mut cluster = Cluster::new(1);
    let more = json!({"replicas": 1, "template": {"spec": {"priorityClassName": "missing"}}});
    cluster.create(workload(RC, "web", "img:1", more));
    cluster.run(5);
    let condition = cluster.field(RC, "web", "/status/conditions/0");
    assert_eq!((&condition["type"], &condition["reason"]), (&json!("ReplicaFailure"), &json!("FailedCreate")));
    assert!(condition["message"].as_str().unwrap().contains("no PriorityClass with name missing was found"));
    assert!(cluster.events(RC, "web").contains(&"FailedCreate".to_string()));
    cluster.create(json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
        "metadata": {"name": "missing"}, "value": 5}));
    cluster.run(60);
    assert_eq!(cluster.field(RC, "web", "/status/conditions"), json!(null), "gone as soon as pods can be made");
    assert_eq!(cluster.ready("web"), 1);
}

#[test]
fn replication_controller_adopts_matching_pods() {
    let mut cluster = Cluster::new(1);
    cluster.create(orphan("lonely", "web"));
    cluster.create(workload(RC, "web", "img:1", json!({"replicas": 1})));
    cluster.run(5);
    assert_eq!(cluster.names("web"), ["lonely"]);
    assert_eq!(controller_of(&cluster, "lonely").as_deref(), Some("ReplicationController/web"));
}

#[test]
fn replication_controller_releases_pods() {
    let mut cluster = Cluster::new(1);
    cluster.create(workload(RC, "web", "img:1", json!({"replicas": 1})));
    cluster.run(5);
    let name = cluster.names("web").remove(0);
    cluster.patch(Kind::Pod, &name, json!({"metadata": {"labels": {"app": "other"}}}));
    cluster.run(5);
    assert_eq!(controller_of(&cluster, &name), None);
    assert_eq!(cluster.pods("web").len(), 1);
}

#[test]
fn replication_controller_scale_and_lifecycle() {
    let mut cluster = Cluster::new(2);
    cluster.create(workload(RC, "web", "img:1", json!({"replicas": 1})));
    for replicas in [3, 1, 2] {
        cluster.scale(RC, "web", replicas);
        cluster.run(10);
        assert_eq!(cluster.ready("web"), replicas as usize);
        assert_eq!(cluster.field(RC, "web", "/status/replicas"), json!(replicas));
    }
    cluster.delete(RC, "web", Propagation::Background);
    cluster.run(10);
    assert!(!cluster.exists(RC, "web") && cluster.pods("web").is_empty());
}
