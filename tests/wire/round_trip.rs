//! Decoding what was encoded gives the same object, and what is encoded is of the Kubernetes type.

use super::{decoded, yaml};
use crate::support::{golden_files, read_jsonl_gz};
use kubesim::model::{Kind, Object};
use kubesim::wire::{decode, encode, strict};
use serde_json::Value;

/// `decode . encode . decode` is `decode`, and the JSON passes strict reading.
fn check(kind: Kind, value: &Value) {
    let first = decode::of_kind(kind, value).unwrap_or_else(|errors| panic!("{errors:?}\n{value}"));
    let encoded = encode::object(&first);
    let again = decode::object(&encoded).unwrap_or_else(|errors| panic!("{errors:?}\n{encoded}"));
    assert!(first == again, "{value}\nbecame {encoded}\n{first:#?}\n{again:#?}");
    assert_eq!(encode::object(&again), encoded);
    // These are never read from manifests.
    if kind == Kind::Event {
        return;
    }
    let places = kubesim::wire::places::Places::new("encoded", &encoded.to_string());
    assert_eq!(strict::check_form(&encoded, &places), Vec::new(), "{encoded}");
}

/// Objects looked at in one list of one case: the long ones are all alike.
const SAMPLED: usize = 25;

#[test]
fn golden_scheduler_cases() {
    let mut objects = 0;
    for path in golden_files("scheduler") {
        for case in read_jsonl_gz(&path) {
            let lists =
                [("nodes", Kind::Node), ("pods", Kind::Pod), ("nominatedPods", Kind::Pod), ("queue", Kind::Pod)];
            let more =
                [("namespaces", Kind::Namespace), ("services", Kind::Service), ("replicaSets", Kind::ReplicaSet)];
            let volumes = [
                ("persistentVolumes", Kind::PersistentVolume),
                ("persistentVolumeClaims", Kind::PersistentVolumeClaim),
                ("storageClasses", Kind::StorageClass),
                ("csiNodes", Kind::CSINode),
                ("podDisruptionBudgets", Kind::PodDisruptionBudget),
                ("statefulSets", Kind::StatefulSet),
                ("replicationControllers", Kind::ReplicationController),
            ];
            for (field, kind) in lists.into_iter().chain(more).chain(volumes) {
                for value in case[field].as_array().into_iter().flatten().take(SAMPLED) {
                    check(kind, value);
                    objects += 1;
                }
            }
            for field in ["pending", "pendingSubmitted"] {
                case.get(field).into_iter().for_each(|pod| check(Kind::Pod, pod));
            }
        }
    }
    println!("{objects} objects");
}

/// One object of each kind with every field that the model knows.
const MANIFESTS: &[&str] = &[
    include_str!("manifests/pod.yaml"),
    include_str!("manifests/node.yaml"),
    include_str!("manifests/deployment.yaml"),
    include_str!("manifests/small.yaml"),
    include_str!("manifests/service.yaml"),
    include_str!("manifests/storage.yaml"),
];

#[test]
fn manifests() {
    for document in MANIFESTS.iter().flat_map(|file| file.split("\n---\n")) {
        let value = yaml(document);
        check(decoded(&value).kind(), &value);
    }
}

#[test]
fn nothing_written_is_lost() {
    // Everything in these manifests is written as the API server gives it back.
    for document in MANIFESTS.iter().flat_map(|file| file.split("\n---\n")) {
        let value = yaml(document);
        let encoded = encode::object(&decoded(&value));
        super::contains(&encoded, &value, "").unwrap_or_else(|error| panic!("{error}\nin {encoded:#}"));
    }
}

#[test]
fn objects_that_no_manifest_wrote() {
    use kubesim::model::{Uid, builder};
    let mut pod = builder::pod("a", builder::spec("web:1", 250, 64 << 20)).on("n1");
    pod.meta.uid = Uid::from_random(7);
    let encoded = encode::object(&pod.into());
    let expected = "{spec: {nodeName: n1, priority: 0, preemptionPolicy: PreemptLowerPriority, serviceAccountName: default, \
                    containers: [{imagePullPolicy: IfNotPresent, resources: {requests: {cpu: 250m, memory: '67108864'}}}]}, \
                    status: {phase: Pending, qosClass: Burstable}}";
    super::contains(&encoded, &yaml(expected), "").unwrap();

    // A pod that a manifest puts on a node says so in its wish too: admission binds it by that.
    let pinned =
        decoded(&yaml("{apiVersion: v1, kind: Pod, spec: {nodeName: n1, containers: [{name: c, image: a:1}]}}"));
    let pinned = pinned.pod().unwrap();
    assert_eq!((pinned.node.as_deref(), pinned.spec.node_name.as_deref()), (Some("n1"), Some("n1")));

    let mut node = builder::node("n1", 4000, 16 << 30, 110);
    check(Kind::Node, &encode::object(&node.clone().into()));
    // What the model changes wins over what a manifest said.
    let raw = decoded(&encode::object(&node.clone().into())).node().unwrap().raw.clone();
    node.raw = raw;
    node.allocatable.milli_cpu = 3500;
    node.unschedulable = true;
    let expected =
        "{spec: {unschedulable: true}, status: {capacity: {cpu: '4', memory: 16Gi}, allocatable: {cpu: 3500m}}}";
    super::contains(&encode::object(&node.into()), &yaml(expected), "").unwrap();

    // A selector that no longer says what was written is written anew.
    let value = yaml("{apiVersion: apps/v1, kind: ReplicaSet, spec: {selector: {matchLabels: {a: b}}}}");
    let Object::ReplicaSet(set) = decoded(&value) else { panic!("{value}") };
    let mut set = set.as_ref().clone();
    set.selector = set.selector.and("hash".into(), "x".into());
    let encoded = encode::object(&set.into());
    super::contains(&encoded, &yaml("{spec: {selector: {matchLabels: {a: b, hash: x}}}}"), "").unwrap();
}
