//! ReplicaSet.

use super::cluster::{Cluster, controller_of, orphan, workload};
use kubesim::model::Kind;
use kubesim::store::Propagation;
use serde_json::json;

const RS: Kind = Kind::ReplicaSet;

fn with_replicas(replicas: i32) -> Cluster {
    let mut cluster = Cluster::new(3);
    cluster.create(workload(RS, "web", "img:1", json!({"replicas": replicas})));
    cluster.run(10);
    cluster
}

#[test]
fn replica_set_run_basic_image() {
    for replicas in [0, 1, 5] {
        let cluster = with_replicas(replicas);
        assert_eq!(cluster.ready("web"), replicas as usize);
        assert_eq!(cluster.field(RS, "web", "/status/replicas"), json!(replicas));
        assert!(cluster.names("web").iter().all(|name| name.starts_with("web-") && name.len() == "web-".len() + 5));
    }
}

#[test]
fn replica_set_adopts_matching_pods_and_releases_non_matching_pods() {
    let mut cluster = Cluster::new(1);
    cluster.create(orphan("lonely", "web"));
    cluster.run(5);
    cluster.create(workload(RS, "web", "img:1", json!({"replicas": 1})));
    cluster.run(5);
    assert_eq!(cluster.names("web"), ["lonely"], "the orphan is enough");
    assert_eq!(controller_of(&cluster, "lonely").as_deref(), Some("ReplicaSet/web"));
    cluster.patch(Kind::Pod, "lonely", json!({"metadata": {"labels": {"app": "other"}}}));
    cluster.run(5);
    assert_eq!(controller_of(&cluster, "lonely"), None, "released");
    assert_eq!(cluster.pods("web").len(), 1, "and replaced");
}

#[test]
fn replica_set_completes_the_scaling_of_its_subresource() {
    let mut cluster = with_replicas(2);
    for replicas in [4, 1, 0, 3] {
        cluster.scale(RS, "web", replicas);
        cluster.run(10);
        assert_eq!((cluster.pods("web").len(), cluster.ready("web")), (replicas as usize, replicas as usize));
    }
}

#[test]
fn replica_set_is_created_replaced_and_patched() {
    let mut cluster = with_replicas(1);
    cluster.patch(RS, "web", json!({"metadata": {"labels": {"tier": "front"}}, "spec": {"replicas": 3}}));
    cluster.set_image(RS, "web", "img:2");
    cluster.run(10);
    assert_eq!(cluster.field(RS, "web", "/metadata/labels/tier"), json!("front"));
    assert_eq!(cluster.field(RS, "web", "/status/readyReplicas"), json!(3));
    // Pods that are there stay as they are: only Deployments replace them. The new template reached those made since.
    assert_eq!(cluster.images("web").len(), 2);
    let refused = cluster.try_patch(RS, "web", json!({"spec": {"selector": {"matchLabels": {"app": "x"}}}}));
    assert!(refused.unwrap_err().to_string().contains("field is immutable"));
}

#[test]
fn replica_set_delete_takes_its_pods_along() {
    for (propagation, left) in [(Propagation::Background, 0), (Propagation::Foreground, 0), (Propagation::Orphan, 2)] {
        let mut cluster = with_replicas(2);
        cluster.delete(RS, "web", propagation);
        cluster.run(40);
        assert!(!cluster.exists(RS, "web"), "{propagation:?}");
        assert_eq!(cluster.pods("web").len(), left, "{propagation:?}");
    }
}

#[test]
fn replica_set_status_tells_ready_and_available_apart() {
    let mut cluster = Cluster::new(2);
    cluster.create(workload(RS, "web", "img:1", json!({"replicas": 2, "minReadySeconds": 20})));
    cluster.run(10);
    let status = |cluster: &Cluster| {
        let count = |field: &str| cluster.field(RS, "web", &format!("/status/{field}"));
        [count("readyReplicas"), count("availableReplicas"), count("observedGeneration")]
    };
    assert_eq!(status(&cluster), [json!(2), json!(null), json!(1)]);
    cluster.run(20);
    assert_eq!(status(&cluster), [json!(2), json!(2), json!(1)]);
}
