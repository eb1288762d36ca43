//! DaemonSet and ControllerRevision.

use super::cluster::{Cluster, workload};
use kubesim::model::{ControllerRevision, Kind, Pod};
use kubesim::store::{Patch, Preconditions, Propagation, Write};
use serde_json::{Value, json};
use std::sync::Arc;

const DS: Kind = Kind::DaemonSet;

fn running(nodes: usize, more: Value) -> Cluster {
    let mut cluster = Cluster::new(nodes);
    cluster.create(workload(DS, "agent", "img:1", more));
    cluster.run(10);
    cluster
}

/// The nodes that have a pod, sorted.
fn nodes(cluster: &Cluster) -> Vec<String> {
    let node = |pod: &Arc<Pod>| pod.node.as_deref().unwrap_or("none").to_string();
    let mut nodes: Vec<String> = cluster.pods("agent").iter().map(node).collect();
    nodes.sort();
    nodes
}

#[test]
fn daemon_set_creation_puts_a_pod_on_every_node() {
    let mut cluster = running(3, json!({}));
    assert_eq!((nodes(&cluster), cluster.ready("agent")), (vec!["n0".into(), "n1".into(), "n2".into()], 3));
    // A pod that somebody deletes comes back on its node.
    let name = cluster.names("agent").remove(0);
    cluster.delete(Kind::Pod, &name, Propagation::Background);
    cluster.run(10);
    assert_eq!((nodes(&cluster).len(), cluster.ready("agent")), (3, 3));
    assert!(!cluster.exists(Kind::Pod, &name));
    let status = cluster.field(DS, "agent", "/status");
    for field in
        ["desiredNumberScheduled", "currentNumberScheduled", "numberReady", "numberAvailable", "updatedNumberScheduled"]
    {
        assert_eq!(status[field], json!(3), "{field}");
    }
}

#[test]
fn daemon_set_node_selection_follows_labels() {
    for selector in [
        json!({"nodeSelector": {"color": "blue"}}),
        json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
            {"matchExpressions": [{"key": "color", "operator": "In", "values": ["blue"]}]}]}}}}),
    ] {
        let mut cluster = running(2, json!({"template": {"spec": selector}}));
        assert!(nodes(&cluster).is_empty(), "no node is blue");
        let paint = |color: &str| json!({"metadata": {"labels": {"color": color}}});
        cluster.patch(Kind::Node, "n1", paint("blue"));
        cluster.run(10);
        assert_eq!(nodes(&cluster), ["n1"]);
        cluster.patch(Kind::Node, "n1", paint("green"));
        cluster.run(10);
        assert!(nodes(&cluster).is_empty(), "the node that turns away loses its pod");
    }
}

#[test]
fn daemon_set_respects_taints_and_brings_its_own_tolerations() {
    // (effect and key of a taint that comes later, whether the pod stays)
    let table = [
        ("NoSchedule", "dedicated", true),
        ("NoExecute", "dedicated", false),
        ("NoSchedule", "node.kubernetes.io/unschedulable", true),
        ("NoExecute", "node.kubernetes.io/unreachable", true),
    ];
    for (effect, key, stays) in table {
        let mut cluster = running(1, json!({}));
        cluster.patch(Kind::Node, "n0", json!({"spec": {"taints": [{"key": key, "effect": effect}]}}));
        cluster.run(3);
        assert_eq!(nodes(&cluster).len(), usize::from(stays), "{key}:{effect}");
    }
}

#[test]
fn daemon_set_retries_a_failed_pod() {
    let mut cluster = running(1, json!({}));
    let name = cluster.names("agent").remove(0);
    let patch = Patch::PodFailed { reason: "Evicted".into(), message: "".into(), conditions: Vec::new() };
    cluster.write(Write::Patch(Cluster::key(Kind::Pod, &name), patch, Preconditions::default())).unwrap();
    cluster.run(10);
    assert_eq!(cluster.ready("agent"), 1);
    assert!(!cluster.exists(Kind::Pod, &name));
    assert!(cluster.events(DS, "agent").contains(&"FailedDaemonPod".to_string()));
}

#[test]
fn daemon_set_rolling_update_takes_one_node_at_a_time() {
    let mut cluster = running(3, json!({}));
    cluster.set_image(DS, "agent", "img:2");
    for _ in 0..20 {
        cluster.run(1);
        assert!(cluster.ready("agent") >= 2, "maxUnavailable is 1");
    }
    assert_eq!((cluster.images("agent"), cluster.ready("agent")), (vec!["img:2".to_string()], 3));
    let mut numbers: Vec<i64> = cluster.all::<ControllerRevision>().iter().map(|revision| revision.revision).collect();
    numbers.sort();
    assert_eq!(numbers, [1, 2]);
}

#[test]
fn daemon_set_surge_brings_the_new_pod_first() {
    let rolling = json!({"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}});
    let mut cluster = running(3, json!({"updateStrategy": rolling}));
    cluster.set_image(DS, "agent", "img:2");
    let mut most = 0;
    for _ in 0..40 {
        cluster.run(1);
        assert!(cluster.ready("agent") >= 3, "never fewer than one on every node");
        most = most.max(cluster.pods("agent").len());
    }
    assert_eq!((most, cluster.images("agent")), (4, vec!["img:2".to_string()]));
}

#[test]
fn daemon_set_on_delete_waits_for_a_hand() {
    let mut cluster = running(2, json!({"updateStrategy": {"type": "OnDelete"}}));
    cluster.set_image(DS, "agent", "img:2");
    cluster.run(20);
    assert_eq!(cluster.images("agent"), ["img:1"]);
    for name in cluster.names("agent") {
        cluster.delete(Kind::Pod, &name, Propagation::Background);
    }
    cluster.run(10);
    assert_eq!(cluster.images("agent"), ["img:2"]);
}

#[test]
fn daemon_set_rollback_leaves_untouched_pods_alone() {
    let mut cluster = running(3, json!({}));
    let before: Vec<_> = cluster.pods("agent").iter().map(|pod| pod.meta.uid).collect();
    cluster.set_image(DS, "agent", "img:broken");
    cluster.run(10);
    assert_eq!(cluster.ready("agent"), 2, "one node tries the broken image");
    cluster.set_image(DS, "agent", "img:1");
    cluster.run(10);
    assert_eq!((cluster.ready("agent"), cluster.images("agent")), (3, vec!["img:1".to_string()]));
    let kept = cluster.pods("agent").iter().filter(|pod| before.contains(&pod.meta.uid)).count();
    assert_eq!(kept, 2, "no unnecessary restarts");
}

#[test]
fn daemon_set_deletion_takes_pods_and_revisions_along() {
    let mut cluster = running(2, json!({}));
    cluster.delete(DS, "agent", Propagation::Background);
    cluster.run(20);
    assert!(!cluster.exists(DS, "agent") && cluster.pods("agent").is_empty());
    assert!(cluster.all::<ControllerRevision>().is_empty());
}

#[test]
fn controller_revision_lifecycle() {
    let mut cluster = running(1, json!({"revisionHistoryLimit": 1}));
    for image in ["img:2", "img:3", "img:4"] {
        cluster.set_image(DS, "agent", image);
        cluster.run(10);
    }
    let mut revisions = cluster.all::<ControllerRevision>();
    revisions.sort_by_key(|revision| revision.revision);
    let numbers: Vec<i64> = revisions.iter().map(|revision| revision.revision).collect();
    assert_eq!(numbers, [3, 4], "the limit keeps one past revision");
    let data =
        cluster.field(Kind::ControllerRevision, &revisions[0].meta.name, "/data/spec/template/spec/containers/0/image");
    assert_eq!(data, json!("img:3"));
    assert_eq!(revisions[0].meta.controller().unwrap().name, "agent");
}
