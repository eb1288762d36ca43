//! All faults: which test shows what each one does and how it ends, and that each can be said in every way.

use super::world::Files;
use crate::random::faults::{KEYS, Length, Place, body, with};
use kubesim::checks::Checks;
use kubesim::cluster::{Options, run};
use kubesim::scenario::FaultAction;
use kubesim::scenario::load::load;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// Each fault and the test that shows its signature and its end.
const SHOWN_BY: [(&str, &str); 32] = [
    ("nodeCrash", "a_crash_is_found_after_the_grace_period_and_evicted_after_the_toleration"),
    ("partition", "after_a_long_partition_the_kubelet_kills_what_was_replaced"),
    ("slowNetwork", "packets_that_are_late_make_answers_late"),
    ("servicePartition", "services_that_lose_each_other_leave_the_others_alone"),
    ("dnsOutage", "without_names_only_open_connections_go_on"),
    ("zoneOutage", "a_zone_and_a_rack_fail_with_all_that_is_in_them"),
    ("powerOutage", "a_zone_and_a_rack_fail_with_all_that_is_in_them"),
    ("spotReclaim", "a_reclaimed_machine_is_empty_before_it_goes_and_another_comes"),
    ("maintenance", "maintenance_goes_node_by_node"),
    ("cascadingFailure", "one_dead_node_brings_down_the_others"),
    ("quotaExhaustion", "a_quota_that_is_used_up_stops_new_pods_until_it_is_lifted"),
    ("badRollout", "a_bad_rollout_stops_halfway_and_is_taken_back"),
    ("componentDown", "every_fault_of_the_control_plane_shows_and_heals"),
    ("apiServer", "every_fault_of_the_control_plane_shows_and_heals"),
    ("slowStore", "every_fault_of_the_control_plane_shows_and_heals"),
    ("webhookTimeout", "every_fault_of_the_control_plane_shows_and_heals"),
    ("cloudOutage", "a_provider_that_does_not_answer_costs_the_backoff"),
    ("podCrash", "crashes_are_waited_out_ever_longer"),
    ("containerCrash", "crashes_are_waited_out_ever_longer"),
    ("containerHang", "a_container_that_hangs_is_killed_by_its_probe"),
    ("memoryLeak", "a_leak_kills_again_and_again"),
    ("slowStart", "slow_starts_are_slow"),
    ("kubeletCrash", "a_kubelet_that_is_gone_costs_no_container"),
    ("nodeReboot", "a_reboot_starts_every_container_anew"),
    ("nodeShutdown", "an_orderly_shutdown_stops_ordinary_pods_first"),
    ("slowNode", "a_slow_node_takes_longer"),
    ("clockSkew", "a_wrong_clock_shifts_when_pods_are_available"),
    ("diskFull", "a_full_disk_evicts_and_recovers"),
    ("memoryHog", "memory_that_something_else_takes_evicts_a_pod"),
    ("registryOutage", "a_registry_that_is_out_is_asked_less_and_less"),
    ("registryThrottle", "other_faults_of_images_say_what_they_are"),
    ("badImage", "other_faults_of_images_say_what_they_are"),
];

/// The text of all tests.
fn tests(folder: &Path) -> String {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let text = |path: std::path::PathBuf| match path.is_dir() {
        true => tests(&path),
        false if path.extension().is_some_and(|extension| extension == "rs") => fs::read_to_string(path).unwrap(),
        false => String::new(),
    };
    entries.map(text).collect()
}

#[test]
fn every_fault_has_a_test_of_its_own() {
    assert_eq!(FaultAction::keys(), SHOWN_BY.map(|(key, _)| key));
    let text = tests(Path::new("tests"));
    for (key, test) in SHOWN_BY {
        assert!(text.contains(&format!("#[test]\nfn {test}()")), "{key}: no test {test}");
    }
}

/// Two zones, two racks, three nodes and a pool of one more; a Deployment with a service.
fn scenario(timeline: &Value, rules: &Value) -> String {
    let node = |name: &str, zone: &str, rack: &str| {
        json!({"name": name, "zone": zone, "labels": {"rack": rack, "disk": "ssd"},
            "capacity": {"cpu": 4, "memory": "8Gi", "ephemeralStorage": "20Gi"}})
    };
    let labels = json!({"app": "web"});
    let container =
        json!({"name": "c", "image": "registry.example.com/app:v1", "resources": {"requests": {"cpu": "1"}}});
    serde_json::to_string(&json!({
        "name": "every", "duration": "8m",
        "cluster": {
            "controlPlane": {"replicas": 1},
            "nodes": [node("n-0", "zone-a", "r0"), node("n-1", "zone-b", "r1"), node("n-2", "zone-a", "r0")],
            "pools": [{"name": "preemptible", "count": 1, "zones": ["zone-b"], "labels": {"rack": "r1"}}],
        },
        "behavior": [{"startTime": "1s", "terminationTime": "1s"}],
        "manifests": {"inline": [
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 4,
                "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels},
                "spec": {"containers": [container]}}}},
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"selector": labels,
                "ports": [{"port": 80}]}},
        ]},
        "timeline": timeline, "faults": rules,
    }))
    .unwrap()
}

/// Runs it with all checks on; the faults that happened, each with how many it hit.
fn faults(text: &str) -> Result<Vec<(f64, usize)>, String> {
    // The file beside it is a trace: at 250 s, for 20 s.
    let scenario =
        load("every.yaml", text, &[], &Files("start,duration\n250,20\n")).map_err(|error| error.to_string())?;
    let options = Options { checks: Checks::All, ..Options::of(&scenario) };
    let (outcome, stop) = run(&scenario, &options, &mut |_, _| true).map_err(|error| error.to_string())?;
    assert_eq!((stop, outcome.violations), (None, Vec::new()), "{text}");
    let incidents = outcome.record.incidents.iter().filter(|incident| incident.is_fault());
    Ok(incidents.map(|one| (one.started.as_secs_f64(), one.fault.nodes.len() + one.fault.pods.len())).collect())
}

fn place() -> Place {
    Place {
        node: json!({"count": 1}),
        pods: json!({"selector": "app=web"}),
        namespace: "default",
        deployment: Some("deployment/web".to_string()),
        service: Some("web".to_string()),
    }
}

#[test]
fn every_fault_happens_at_an_instant_again_and_again_and_by_trace() {
    for key in KEYS {
        let (fault, length) = body(key, &place(), 1).unwrap();
        let entry = |mut when: Value, fault: &Value| {
            when[key] = fault.clone();
            when
        };
        let lasts = |when: Value| if length == Length::For { with(&when, json!({"for": "20s"})) } else { when };
        let timeline = json!([entry(lasts(json!({"at": "60s"})), &fault)]);
        let rules = json!([
            entry(lasts(json!({"every": "100s", "after": "50s", "times": 1})), &fault),
            entry(json!({"trace": "trace.csv"}), &fault),
        ]);
        let seen = faults(&scenario(&timeline, &rules)).unwrap_or_else(|error| panic!("{key}: {error}"));
        let at = |second: f64| seen.iter().any(|(at, _)| *at == second);
        assert!([60.0, 150.0, 250.0].into_iter().all(at), "{key}: {seen:?}");
    }
}

#[test]
fn every_fault_finds_whom_it_hits_by_each_way_to_say_it() {
    // (what is said, how many nodes it finds)
    let nodes = [
        (json!({"node": "n-*"}), 3),
        (json!({"pool": "preemptible"}), 1),
        (json!({"zone": "zone-b"}), 2),
        (json!({"selector": "disk=ssd"}), 3),
        (json!({"domain": "rack", "selector": "rack=r0"}), 2),
        (json!({"share": "50%"}), 2),
        (json!({"count": 1}), 1),
    ];
    let on_nodes = [
        "nodeCrash",
        "partition",
        "slowNetwork",
        "spotReclaim",
        "maintenance",
        "kubeletCrash",
        "nodeReboot",
        "nodeShutdown",
        "slowNode",
        "clockSkew",
        "diskFull",
        "memoryHog",
    ];
    // Of four pods on four nodes.
    let pods = [
        (json!({"pod": "web-*"}), 4),
        (json!({"selector": "app=web", "count": 9}), 4),
        (json!({"selector": "app=web", "zone": "zone-b", "count": 9}), 2),
        (json!({"selector": "app=web", "node": "n-1"}), 1),
        (json!({"selector": "app=web", "share": "50%"}), 2),
    ];
    let on_pods = ["podCrash", "containerCrash", "containerHang", "memoryLeak"];
    let check = |keys: &[&str], whom: &[(Value, usize)]| {
        for key in keys {
            // All ways to say it at once, one minute after the other, in runs as long as a minute: only the first counts.
            for (target, expected) in whom {
                let (fault, _) = body(key, &Place { node: json!({}), pods: json!({}), ..place() }, 1).unwrap();
                let mut fault = with(&fault, target.clone());
                if target.get("count").is_none() {
                    fault.as_object_mut().unwrap().shift_remove("count");
                }
                let text = scenario(&json!([{"at": "30s", *key: fault}]), &json!([])).replace("\"8m\"", "\"31s\"");
                let seen = faults(&text).unwrap_or_else(|error| panic!("{key} {target}: {error}"));
                assert_eq!(seen, [(30.0, *expected)], "{key} {target}");
            }
        }
    };
    check(&on_nodes, &nodes);
    check(&on_pods, &pods);
}
