//! Limit ranges.

use super::small_world::{World, answer, pod};
use kubesim::model::Pod;
use serde_json::{Value, json};

fn world(limits: Value) -> World {
    let mut world = World::new();
    world
        .create(
            json!({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "l"}, "spec": {"limits": limits}}),
        )
        .unwrap();
    world
}

#[test]
fn should_give_containers_the_defaults_they_lack() {
    let limits = json!([{"type": "Container", "default": {"cpu": "500m", "memory": "512Mi"},
        "defaultRequest": {"cpu": "100m"}}]);
    // (written, requests and limits as stored, annotation)
    let table = [
        (
            json!({}),
            json!({"requests": {"cpu": "100m", "memory": "512Mi"}, "limits": {"cpu": "500m", "memory": "512Mi"}}),
            Some("LimitRanger plugin set: cpu, memory request for container c; cpu, memory limit for container c"),
        ),
        (
            json!({"requests": {"cpu": "50m"}, "limits": {"memory": "1Gi"}}),
            json!({"requests": {"cpu": "50m", "memory": "1Gi"}, "limits": {"cpu": "500m", "memory": "1Gi"}}),
            Some("LimitRanger plugin set: cpu limit for container c"),
        ),
        (
            json!({"limits": {"cpu": "1", "memory": "1Gi"}}),
            json!({"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}}),
            None,
        ),
    ];
    for (written, stored, note) in table {
        let mut world = world(limits.clone());
        world.create(pod("p", written.clone())).unwrap();
        let pod = world.get::<Pod>("p");
        assert_eq!(pod.spec.raw["containers"][0]["resources"], stored, "{written}");
        let have = pod.meta.annotations.get("kubernetes.io/limit-ranger").map(|note| note.as_str());
        assert_eq!(have, note, "{written}");
        let cpu = stored["requests"]["cpu"].as_str().map(|cpu| kubesim::model::quantity::parse_quantity(cpu).unwrap());
        assert_eq!(pod.spec.requests.milli_cpu, cpu.unwrap().milli(), "{written}");
    }
}

#[test]
fn should_refuse_what_is_out_of_bounds() {
    let container = json!([{"type": "Container", "min": {"cpu": "100m"}, "max": {"cpu": "1"},
        "maxLimitRequestRatio": {"cpu": "2"}, "default": {"cpu": "200m"}, "defaultRequest": {"cpu": "100m"}}]);
    let whole = json!([{"type": "Pod", "max": {"memory": "1Gi"}}]);
    let of = |request: &str, limit: &str| json!({"requests": {"cpu": request}, "limits": {"cpu": limit}});
    // (limits, resources, what is said)
    let table = [
        (&container, json!({}), ""),
        (&container, of("50m", "100m"), "minimum cpu usage per Container is 100m, but request is 50m"),
        (&container, of("1", "2"), "maximum cpu usage per Container is 1, but limit is 2"),
        (
            &container,
            of("100m", "400m"),
            "cpu max limit to request ratio per Container is 2, but provided ratio is 4.000000",
        ),
        (
            &container,
            of("50m", "2"),
            "[minimum cpu usage per Container is 100m, but request is 50m, maximum cpu usage per Container is 1, but \
             limit is 2, cpu max limit to request ratio per Container is 2, but provided ratio is 40.000000]",
        ),
        (&whole, json!({"limits": {"memory": "2Gi"}}), "maximum memory usage per Pod is 1Gi, but limit is 2Gi"),
        (&whole, json!({}), "maximum memory usage per Pod is 1Gi.  No limit is specified"),
    ];
    for (limits, resources, why) in table {
        let expected = if why.is_empty() { "ok".to_string() } else { format!("pods \"p\" is forbidden: {why}") };
        assert_eq!(answer(world(limits.clone()).create(pod("p", resources.clone()))), expected, "{resources}");
    }
}

#[test]
fn should_hold_claims_to_their_sizes() {
    let limits = json!([{"type": "PersistentVolumeClaim", "min": {"storage": "1Gi"}, "max": {"storage": "10Gi"}}]);
    let table = [
        ("5Gi", "ok"),
        (
            "500Mi",
            "persistentvolumeclaims \"c\" is forbidden: minimum storage usage per PersistentVolumeClaim is 1Gi, but \
             request is 500Mi",
        ),
        (
            "20Gi",
            "persistentvolumeclaims \"c\" is forbidden: maximum storage usage per PersistentVolumeClaim is 10Gi, but \
             request is 20Gi",
        ),
    ];
    for (size, expected) in table {
        let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "c"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}});
        assert_eq!(answer(world(limits.clone()).create(claim)), expected);
    }
}
