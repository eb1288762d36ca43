//! Deployment.

use super::cluster::{Cluster, workload};
use kubesim::model::{Kind, ReplicaSet};
use serde_json::json;

const D: Kind = Kind::Deployment;

fn running(replicas: i32, more: serde_json::Value) -> Cluster {
    let mut cluster = Cluster::new(4);
    let mut manifest = workload(D, "web", "img:1", json!({"replicas": replicas}));
    super::cluster::merge(&mut manifest["spec"], &more);
    cluster.create(manifest);
    cluster.run(15);
    cluster
}

/// The wished sizes of the replica sets, the oldest first.
fn sizes(cluster: &Cluster) -> Vec<i32> {
    cluster.all::<ReplicaSet>().iter().map(|set| set.replicas).collect()
}

#[test]
fn deployment_completes_its_lifecycle() {
    let mut cluster = running(2, json!({}));
    assert_eq!((cluster.ready("web"), sizes(&cluster)), (2, vec![2]));
    cluster.patch(D, "web", json!({"metadata": {"labels": {"tier": "front"}}, "spec": {"replicas": 3}}));
    cluster.set_image(D, "web", "img:2");
    cluster.run(30);
    assert_eq!((cluster.ready("web"), cluster.images("web")), (3, vec!["img:2".to_string()]));
    cluster.delete(D, "web", kubesim::store::Propagation::Foreground);
    cluster.run(30);
    assert!(!cluster.exists(D, "web") && sizes(&cluster).is_empty() && cluster.pods("web").is_empty());
}

#[test]
fn deployment_recreate_never_runs_old_and_new_pods_together() {
    let mut cluster = running(3, json!({"strategy": {"type": "Recreate"}}));
    cluster.story();
    cluster.set_image(D, "web", "img:2");
    cluster.run(30);
    let story = cluster.story();
    let last_over = story.iter().rposition(|line| line.starts_with("over")).unwrap();
    let first_made = story.iter().position(|line| line.starts_with('+')).unwrap();
    assert!(last_over < first_made, "{story:?}");
    assert_eq!((cluster.ready("web"), cluster.images("web")), (3, vec!["img:2".to_string()]));
}

#[test]
fn deployment_rolling_update_replaces_old_pods() {
    let mut cluster = running(4, json!({}));
    cluster.set_image(D, "web", "img:2");
    // 25 % of four: never fewer than three ready, never more than five.
    for _ in 0..40 {
        cluster.run(1);
        assert!(cluster.ready("web") >= 3 && cluster.pods("web").len() <= 5);
    }
    assert_eq!((cluster.images("web"), sizes(&cluster)), (vec!["img:2".to_string()], vec![0, 4]));
    let revisions: Vec<_> = cluster
        .all::<ReplicaSet>()
        .iter()
        .map(|set| set.meta.annotations.get("deployment.kubernetes.io/revision").cloned())
        .collect();
    assert_eq!(revisions, [Some("1".into()), Some("2".into())]);
}

#[test]
fn deployment_revision_history_limit_drops_old_replica_sets() {
    let mut cluster = running(1, json!({"revisionHistoryLimit": 1}));
    for image in ["img:2", "img:3", "img:4"] {
        cluster.set_image(D, "web", image);
        cluster.run(30);
    }
    assert_eq!(sizes(&cluster), [0, 1], "the one before and the one that runs");
}

#[test]
fn deployment_rollover_leaves_what_was_in_between() {
    let mut cluster = running(4, json!({}));
    cluster.set_image(D, "web", "img:broken");
    cluster.run(10);
    assert!(cluster.ready("web") >= 3, "the broken image costs one pod at most");
    cluster.set_image(D, "web", "img:3");
    cluster.run(60);
    assert_eq!((cluster.images("web"), sizes(&cluster)), (vec!["img:3".to_string()], vec![0, 0, 4]));
}

#[test]
fn deployment_proportional_scaling() {
    // Ten pods, surge 3, unavailable 2: with a broken image eight old and five new stand. Scaled to thirty, 33 in all:
    // the old set gets 8 * 33 / 13 = 20.3, the new one 5 * 33 / 13 = 12.7 (`deployment_util.go`, `getReplicaSetFraction`).
    let rolling = json!({"strategy": {"rollingUpdate": {"maxSurge": 3, "maxUnavailable": 2}}});
    let mut cluster = running(10, rolling);
    cluster.set_image(D, "web", "img:broken");
    cluster.run(20);
    assert_eq!(sizes(&cluster), [8, 5]);
    cluster.scale(D, "web", 30);
    cluster.run(20);
    assert_eq!(sizes(&cluster), [20, 13]);
}

#[test]
fn deployment_scale_subresource() {
    let mut cluster = running(1, json!({}));
    for replicas in [5, 0, 2] {
        cluster.scale(D, "web", replicas);
        cluster.run(15);
        assert_eq!(cluster.ready("web"), replicas as usize);
    }
    assert_eq!(sizes(&cluster), [2], "no new replica set for another size");
}

#[test]
fn deployment_status_tells_its_conditions() {
    let mut cluster = running(2, json!({"progressDeadlineSeconds": 30}));
    let conditions = |cluster: &Cluster| {
        let all = cluster.field(D, "web", "/status/conditions");
        let text = |c: &serde_json::Value| format!("{}={}", c["type"].as_str().unwrap(), c["reason"].as_str().unwrap());
        let mut all: Vec<String> = all.as_array().unwrap().iter().map(text).collect();
        all.sort();
        all
    };
    let healthy = ["Available=MinimumReplicasAvailable", "Progressing=NewReplicaSetAvailable"];
    assert_eq!(conditions(&cluster), healthy);
    cluster.set_image(D, "web", "img:broken");
    cluster.run(60);
    assert_eq!(conditions(&cluster), ["Available=MinimumReplicasAvailable", "Progressing=ProgressDeadlineExceeded"]);
}
