//! Resource quotas.

use super::small_world::{World, answer, pod};
use kubesim::model::quota::{ResourceQuota, listed};
use kubesim::model::{Kind, Phase};
use serde_json::{Value, json};

fn quota(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": name}, "spec": spec})
}

fn used(world: &World, name: &str) -> String {
    listed(world.get::<ResourceQuota>(name).status.used.as_ref().unwrap())
}

fn requests(cpu: &str, memory: &str) -> Value {
    json!({"requests": {"cpu": cpu, "memory": memory}})
}

#[test]
fn should_report_the_status_of_a_new_quota() {
    let mut world = World::new();
    world.create(pod("p", requests("500m", "1Gi"))).unwrap();
    world.create(quota("q", json!({"hard": {"pods": "5", "cpu": "1", "count/secrets": "2"}}))).unwrap();
    world.wait(1);
    assert_eq!(used(&world, "q"), "count/secrets=0,cpu=500m,pods=1");
}

#[test]
fn should_capture_the_life_of_a_pod() {
    let mut world = World::new();
    let refused =
        answer(world.create(quota("q", json!({"hard": {"pods": "2", "requests.cpu": "1", "memory": "2Gi"}}))));
    assert_eq!(refused, "ok");
    world.wait(1);
    assert_eq!(answer(world.create(pod("fits", requests("500m", "1Gi")))), "ok");
    assert_eq!(used(&world, "q"), "memory=1Gi,pods=1,requests.cpu=500m");
    // (resources, what creating a pod with them gets)
    let table = [
        (
            requests("600m", "1Gi"),
            "exceeded quota: q, requested: requests.cpu=600m, used: requests.cpu=500m, limited: requests.cpu=1",
        ),
        (
            requests("600m", "2Gi"),
            "exceeded quota: q, requested: memory=2Gi,requests.cpu=600m, used: memory=1Gi,requests.cpu=500m, \
             limited: memory=2Gi,requests.cpu=1",
        ),
        (json!({}), "failed quota: q: must specify memory for: c; requests.cpu for: c"),
    ];
    for (resources, why) in table {
        let text = answer(world.create(pod("more", resources)));
        assert_eq!(text, format!("pods \"more\" is forbidden: {why}"));
    }
    assert_eq!(used(&world, "q"), "memory=1Gi,pods=1,requests.cpu=500m", "what is refused is not charged");
    world.phase("fits", Phase::Succeeded, false);
    assert_eq!(used(&world, "q"), "memory=0,pods=0,requests.cpu=0", "a pod that has ended uses nothing");
    assert_eq!(answer(world.create(pod("next", requests("1", "2Gi")))), "ok");
    world.delete_now(Kind::Pod, "next");
    assert_eq!(used(&world, "q"), "memory=0,pods=0,requests.cpu=0");
}

#[test]
fn should_count_objects_of_every_kind() {
    let mut world = World::new();
    let hard = json!({"configmaps": "1", "count/deployments.apps": "1", "services": "3", "services.nodeports": "1",
        "services.loadbalancers": "0", "persistentvolumeclaims": "2", "requests.storage": "10Gi",
        "fast.storageclass.storage.k8s.io/requests.storage": "5Gi"});
    world.create(quota("q", json!({"hard": hard}))).unwrap();
    world.wait(1);
    let map = |name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
    let service = |name: &str, kind: &str| {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"type": kind, "ports": [{"port": 80}]}})
    };
    let claim = |name: &str, class: &str, size: &str| {
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name},
            "spec": {"storageClassName": class, "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": size}}}})
    };
    // (object, whether it is let in)
    let table = [
        (map("a"), true),
        (map("b"), false),
        (service("a", "ClusterIP"), true),
        (service("b", "NodePort"), true),
        (service("c", "NodePort"), false),
        (service("d", "LoadBalancer"), false),
        (claim("a", "fast", "5Gi"), true),
        (claim("b", "fast", "1Gi"), false),
        (claim("c", "slow", "6Gi"), false),
        (claim("d", "slow", "5Gi"), true),
    ];
    for (manifest, fits) in table {
        let text = answer(world.create(manifest.clone()));
        assert_eq!(text == "ok", fits, "{manifest}: {text}");
        assert!(fits || text.contains("exceeded quota: q"), "{text}");
    }
}

#[test]
fn should_count_only_what_is_within_the_scopes() {
    let best_effort = json!({});
    let burstable = requests("100m", "1Mi");
    let classed = |name: &str| {
        json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
        "metadata": {"name": name}, "value": 10})
    };
    let selector = |operator: &str, values: Value| json!({"matchExpressions": [{"scopeName": "PriorityClass", "operator": operator, "values": values}]});
    // (scopes of a quota, pods of it that count: best effort, burstable, with a deadline, of class high)
    let table = [
        (json!({"scopes": ["BestEffort"]}), [true, false, false, false]),
        (json!({"scopes": ["NotBestEffort"]}), [false, true, true, true]),
        (json!({"scopes": ["Terminating"]}), [false, false, true, false]),
        (json!({"scopes": ["NotTerminating"]}), [true, true, false, true]),
        (json!({"scopes": ["NotTerminating", "BestEffort"]}), [true, false, false, false]),
        (json!({"scopeSelector": selector("In", json!(["high"]))}), [false, false, false, true]),
        (json!({"scopeSelector": selector("NotIn", json!(["high"]))}), [true, true, true, false]),
        (json!({"scopeSelector": selector("Exists", Value::Null)}), [false, false, false, true]),
    ];
    for (scopes, counts) in table {
        let mut world = World::new();
        world.create(classed("high")).unwrap();
        let mut spec = scopes.clone();
        spec["hard"] = json!({"pods": "5"});
        world.create(quota("q", spec)).unwrap();
        world.wait(1);
        let mut deadline = pod("deadline", burstable.clone());
        deadline["spec"]["activeDeadlineSeconds"] = json!(60);
        let mut high = pod("high", burstable.clone());
        high["spec"]["priorityClassName"] = json!("high");
        let pods = [pod("best", best_effort.clone()), pod("burst", burstable.clone()), deadline, high];
        let mut expected = 0;
        for (manifest, counted) in pods.into_iter().zip(counts) {
            world.create(manifest.clone()).unwrap();
            expected += i32::from(counted);
            assert_eq!(used(&world, "q"), format!("pods={expected}"), "{scopes} {manifest}");
        }
    }
}

/// A resize in place is charged for what it asks more, and held to the limits of a namespace
/// (`pkg/quota/v1/evaluator/core/pods.go`, `plugin/pkg/admission/limitranger/admission.go`).
#[test]
fn should_count_a_resize() {
    let both = |cpu: &str| json!({"requests": {"cpu": cpu}, "limits": {"cpu": cpu}});
    let mut world = World::new();
    world.create(quota("q", json!({"hard": {"requests.cpu": "2"}}))).unwrap();
    world
        .create(json!({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "l"},
        "spec": {"limits": [{"type": "Container", "max": {"cpu": "1800m"}}]}}))
        .unwrap();
    world.wait(1);
    world.create(pod("p", both("1"))).unwrap();
    world.create(pod("other", both("500m"))).unwrap();
    let table = [
        ("2", "maximum cpu usage per Container is 1800m, but limit is 2"),
        ("1600m", "exceeded quota: q, requested: requests.cpu=600m, used: requests.cpu=1500m, limited: requests.cpu=2"),
    ];
    for (cpu, why) in table {
        assert_eq!(answer(world.resize("p", cpu)), format!("pods \"p\" is forbidden: {why}"));
    }
    assert_eq!(answer(world.resize("p", "1500m")), "ok");
    assert_eq!(used(&world, "q"), "requests.cpu=2");
}
