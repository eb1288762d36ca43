//! StatefulSet.

use super::cluster::{Cluster, workload};
use kubesim::model::{ControllerRevision, Kind, Node, PersistentVolumeClaim};
use kubesim::store::{Patch, Preconditions, Propagation, Write};
use serde_json::{Value, json};

const S: Kind = Kind::StatefulSet;

fn running(replicas: i32, more: Value) -> Cluster {
    let mut cluster = Cluster::new(3);
    let mut manifest = workload(S, "db", "img:1", json!({"replicas": replicas, "serviceName": "db"}));
    super::cluster::merge(&mut manifest["spec"], &more);
    cluster.create(manifest);
    cluster.run(20);
    cluster
}

/// Only the lines that begin with one of these words.
fn told(story: &[String], words: &[&str]) -> Vec<String> {
    story.iter().filter(|line| words.iter().any(|word| line.starts_with(word))).cloned().collect()
}

#[test]
fn stateful_set_rolling_update_and_roll_back() {
    let mut cluster = running(3, json!({}));
    let first = cluster.field(S, "db", "/status/currentRevision");
    cluster.story();
    cluster.set_image(S, "db", "img:2");
    cluster.run(30);
    assert_eq!(told(&cluster.story(), &["ending"]), ["ending db-2", "ending db-1", "ending db-0"]);
    assert_eq!(cluster.images("db"), ["img:2"]);
    assert_ne!(cluster.field(S, "db", "/status/currentRevision"), first);
    cluster.set_image(S, "db", "img:1");
    cluster.run(30);
    assert_eq!(cluster.images("db"), ["img:1"]);
    assert_eq!(cluster.field(S, "db", "/status/currentRevision"), first, "the old revision is the current one again");
    let numbers: Vec<i64> = cluster.all::<ControllerRevision>().iter().map(|revision| revision.revision).collect();
    assert_eq!(numbers, [3, 2], "and the newest");
}

#[test]
fn stateful_set_rolling_update_with_partition() {
    let rolling = |partition: i32| json!({"updateStrategy": {"rollingUpdate": {"partition": partition}}});
    let mut cluster = running(3, rolling(2));
    cluster.set_image(S, "db", "img:2");
    cluster.run(20);
    let image = |cluster: &Cluster, at: usize| cluster.pods("db")[at].spec.containers[0].image.to_string();
    assert_eq!([0, 1, 2].map(|at| image(&cluster, at)), ["img:1", "img:1", "img:2"], "the canary");
    // A pod below the partition comes back as it was.
    cluster.delete(Kind::Pod, "db-0", Propagation::Background);
    cluster.run(10);
    assert_eq!(image(&cluster, 0), "img:1");
    cluster.patch(S, "db", json!({"spec": rolling(1)}));
    cluster.run(20);
    assert_eq!([0, 1, 2].map(|at| image(&cluster, at)), ["img:1", "img:2", "img:2"], "phase by phase");
    cluster.patch(S, "db", json!({"spec": rolling(0)}));
    cluster.run(20);
    assert_eq!(cluster.images("db"), ["img:2"]);
}

#[test]
fn stateful_set_scaling_is_in_order_and_halts_at_an_unhealthy_pod() {
    let mut cluster = running(3, json!({}));
    let up = ["+db-0", "ready db-0", "+db-1", "ready db-1", "+db-2", "ready db-2"];
    assert_eq!(told(&cluster.story(), &["+", "ready"]), up);
    cluster.scale(S, "db", 5);
    cluster.run(15);
    assert_eq!(cluster.ready("db"), 5);
    cluster.story();
    cluster.scale(S, "db", 2);
    cluster.run(20);
    let down = ["ending db-4", "-db-4", "ending db-3", "-db-3", "ending db-2", "-db-2"];
    assert_eq!(told(&cluster.story(), &["ending", "-"]), down);
    // A pod that never gets ready lets no other come.
    let template = json!({"metadata": {"annotations": {"sim/ready": "never"}}});
    let cluster = running(3, json!({"template": template}));
    assert_eq!((cluster.names("db"), cluster.ready("db")), (vec!["db-0".to_string()], 0));
}

#[test]
fn stateful_set_burst_scaling_does_not_wait() {
    let mut cluster = running(0, json!({"podManagementPolicy": "Parallel"}));
    cluster.story();
    cluster.scale(S, "db", 4);
    cluster.run(20);
    let story = cluster.story();
    let first_ready = story.iter().position(|line| line.starts_with("ready")).unwrap();
    let made = story.iter().rposition(|line| line.starts_with('+')).unwrap();
    assert!(made < first_ready, "all are made before any is ready: {story:?}");
    cluster.scale(S, "db", 1);
    cluster.run(20);
    let story = told(&cluster.story(), &["ending", "-"]);
    assert!(story[..3].iter().all(|line| line.starts_with("ending")), "all go at once: {story:?}");
}

#[test]
fn stateful_set_recreates_a_failed_pod() {
    let mut cluster = running(1, json!({}));
    let before = cluster.pods("db")[0].meta.uid;
    let patch = Patch::PodFailed { reason: "Evicted".into(), message: "".into(), conditions: Vec::new() };
    cluster.write(Write::Patch(Cluster::key(Kind::Pod, "db-0"), patch, Preconditions::default())).unwrap();
    cluster.run(10);
    assert_eq!((cluster.names("db"), cluster.ready("db")), (vec!["db-0".to_string()], 1));
    assert_ne!(cluster.pods("db")[0].meta.uid, before);
}

#[test]
fn stateful_set_scale_subresource_and_status() {
    let mut cluster = running(1, json!({}));
    for replicas in [3, 0, 2] {
        cluster.scale(S, "db", replicas);
        cluster.run(20);
        assert_eq!(cluster.ready("db"), replicas as usize);
        let status = cluster.field(S, "db", "/status");
        assert_eq!(status["replicas"], json!(replicas));
        assert_eq!(status["availableReplicas"], json!(replicas));
        assert_eq!(status["currentRevision"], status["updateRevision"]);
    }
}

#[test]
fn stateful_set_is_patched_and_deleted() {
    let mut cluster = running(2, json!({}));
    cluster.patch(S, "db", json!({"metadata": {"labels": {"tier": "data"}}}));
    assert_eq!(cluster.field(S, "db", "/metadata/labels/tier"), json!("data"));
    let refused = cluster.try_patch(S, "db", json!({"spec": {"serviceName": "other"}})).unwrap_err().to_string();
    assert!(refused.contains("updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template'"));
    cluster.delete(S, "db", Propagation::Background);
    cluster.run(20);
    assert!(
        !cluster.exists(S, "db") && cluster.pods("db").is_empty() && cluster.all::<ControllerRevision>().is_empty()
    );
}

#[test]
fn stateful_set_stuck_update_waits_for_a_hand() {
    let mut cluster = running(2, json!({}));
    cluster.set_image(S, "db", "img:broken");
    cluster.run(20);
    cluster.set_image(S, "db", "img:1");
    cluster.run(60);
    assert_eq!(cluster.ready("db"), 1, "the way back alone does not cure db-1");
    cluster.delete(Kind::Pod, "db-1", Propagation::Background);
    cluster.run(20);
    assert_eq!((cluster.ready("db"), cluster.images("db")), (2, vec!["img:1".to_string()]));
}

#[test]
fn stateful_set_claims_are_kept_or_go_as_its_policy_says() {
    // (whenScaled, whenDeleted, claims after shrinking from 2 to 1, claims after deletion)
    let table = [
        ("Retain", "Retain", 2, 2),
        ("Delete", "Retain", 1, 1),
        ("Retain", "Delete", 2, 0),
        ("Delete", "Delete", 1, 0),
    ];
    for (scaled, deleted, after_scaling, after_deletion) in table {
        let claim = json!([{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"],
            "storageClassName": "none", "resources": {"requests": {"storage": "1Gi"}}}}]);
        let policy = json!({"whenScaled": scaled, "whenDeleted": deleted});
        let more = json!({"volumeClaimTemplates": claim, "persistentVolumeClaimRetentionPolicy": policy,
            "podManagementPolicy": "Parallel"});
        // The claims stay unbound and the pods unscheduled: who owns what is decided without that.
        let mut cluster = running(2, more);
        let claims = |cluster: &Cluster| cluster.all::<PersistentVolumeClaim>().len();
        assert_eq!(claims(&cluster), 2);
        cluster.scale(S, "db", 1);
        cluster.run(20);
        assert_eq!(claims(&cluster), after_scaling, "whenScaled {scaled}, whenDeleted {deleted}");
        cluster.delete(S, "db", Propagation::Background);
        cluster.run(20);
        assert_eq!(claims(&cluster), after_deletion, "whenScaled {scaled}, whenDeleted {deleted}");
    }
}

#[test]
fn stateful_set_pods_keep_their_ordinals_from_the_start() {
    let cluster = running(2, json!({"ordinals": {"start": 5}}));
    assert_eq!(cluster.names("db"), ["db-5", "db-6"]);
    assert_eq!(cluster.all::<Node>().len(), 3);
}
