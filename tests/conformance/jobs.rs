//! Jobs: how they end, whose the pods are, and what policies make of failures.

use super::world::World;
use kubesim::model::{Key, Kind};
use kubesim::store::Propagation;
use serde_json::{Value, json};

const NS: &str = "default";

/// A job of one container; `spec` beside its template, which restarts as `restart` says.
fn job(name: &str, restart: &str, spec: Value) -> Value {
    let mut object = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "namespace": NS},
        "spec": spec});
    object["spec"]["template"] = json!({"metadata": {"labels": {"app": name}}, "spec": {"restartPolicy": restart, "containers": [
            {"name": "c", "image": "img:1"}]}});
    object
}

/// A world in which containers run ten seconds, and in which `more` holds.
fn world(more: Value) -> World {
    let mut behavior = vec![json!({"runTime": "10s"})];
    behavior.extend(more.as_array().cloned().unwrap_or_default());
    World::behaving(json!(behavior))
}

/// The reason of a condition that is True.
fn reason(world: &World, key: &Key, kind: &str) -> Option<String> {
    let job = world.json(key);
    let conditions = job["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let found = conditions.iter().find(|c| c["type"] == kind && c["status"] == "True");
    found.map(|condition| condition["reason"].as_str().unwrap_or_default().to_string())
}

fn pods(world: &World) -> Vec<Value> {
    let keys: Vec<Key> = world.live().objects(Kind::Pod).map(|pod| pod.key()).collect();
    keys.iter().filter(|key| key.namespace == NS).map(|key| world.json(key)).collect()
}

fn counts(world: &World, key: &Key) -> [i64; 2] {
    let status = world.json(key)["status"].clone();
    ["succeeded", "failed"].map(|field| status[field].as_i64().unwrap_or(0))
}

#[test]
fn a_job_runs_to_completion_when_its_tasks_succeed() {
    // Completions, at once, after how many waves of ten seconds.
    for (completions, parallelism, waves) in [(1, 1, 1), (4, 2, 2), (3, 5, 1)] {
        let mut world = world(json!([]));
        let wish = json!({"completions": completions, "parallelism": parallelism});
        let key = world.create(job("all-succeed", "Never", wish));
        world.until(waves * 10 - 1);
        assert_eq!(reason(&world, &key, "Complete"), None, "{completions} by {parallelism}");
        world.until(waves * 20);
        assert_eq!(reason(&world, &key, "Complete").as_deref(), Some("CompletionsReached"));
        assert_eq!(counts(&world, &key), [completions, 0]);
        let finalizers = pods(&world).iter().filter(|pod| !pod["metadata"]["finalizers"].is_null()).count();
        assert_eq!((pods(&world).len() as i64, finalizers), (completions, 0));
    }
}

#[test]
fn completion_after_a_failure_that_the_kubelet_restarts() {
    // The first run fails, the second succeeds, in one pod.
    let mut world = World::behaving(json!([{"runTime": "10s", "failureProbability": 1, "runs": 1}]));
    let key = world.create(job("fail-once", "OnFailure", json!({"completions": 1})));
    world.until(30);
    assert_eq!(counts(&world, &key), [0, 0]);
    assert_eq!(pods(&world)[0]["status"]["containerStatuses"][0]["restartCount"], 1);
}

#[test]
fn pods_of_an_indexed_job_get_indexes_hostnames_and_labels() {
    let mut world = world(json!([]));
    let wish = json!({"completions": 4, "parallelism": 2, "completionMode": "Indexed"});
    let key = world.create(job("indexed", "Never", wish));
    world.until(60);
    assert_eq!(world.json(&key)["status"]["completedIndexes"], "0-3");
    let mut seen: Vec<String> = Vec::new();
    for pod in pods(&world) {
        let index = pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"].as_str().unwrap();
        assert_eq!(pod["metadata"]["labels"]["batch.kubernetes.io/job-completion-index"], index);
        assert_eq!(pod["spec"]["hostname"], format!("indexed-{index}"));
        assert!(pod["metadata"]["name"].as_str().unwrap().starts_with(&format!("indexed-{index}-")));
        let variable = &pod["spec"]["containers"][0]["env"][0];
        let path = "metadata.labels['batch.kubernetes.io/job-completion-index']";
        assert_eq!(
            (&variable["name"], &variable["valueFrom"]["fieldRef"]["fieldPath"]),
            (&json!("JOB_COMPLETION_INDEX"), &json!(path))
        );
        seen.push(index.to_string());
    }
    seen.sort();
    assert_eq!(seen, ["0", "1", "2", "3"]);
}

#[test]
fn every_index_runs_though_some_fail_for_good() {
    let mut world = world(json!([{"match": {"index": "0,2"}, "exitCode": 1}]));
    let wish = json!({"completions": 4, "parallelism": 4, "completionMode": "Indexed", "backoffLimitPerIndex": 1});
    let key = world.create(job("even-fail", "Never", wish));
    world.until(120);
    assert_eq!(reason(&world, &key, "Failed").as_deref(), Some("FailedIndexes"));
    let status = world.json(&key)["status"].clone();
    assert_eq!((&status["completedIndexes"], &status["failedIndexes"]), (&json!("1,3"), &json!("0,2")));
    // Two indexes, each with its first try and one more.
    assert_eq!(counts(&world, &key), [2, 4]);
}

#[test]
fn a_job_ends_early_when_its_success_policy_is_met() {
    let mut world = world(json!([{"match": {"index": "1-4"}, "runTime": "10m"}]));
    let wish = json!({"completions": 5, "parallelism": 5, "completionMode": "Indexed",
        "successPolicy": {"rules": [{"succeededIndexes": "0"}]}});
    let key = world.create(job("leader", "Never", wish));
    world.until(60);
    assert_eq!(reason(&world, &key, "SuccessCriteriaMet").as_deref(), Some("SuccessPolicy"));
    assert_eq!(reason(&world, &key, "Complete").as_deref(), Some("SuccessPolicy"));
    assert_eq!(world.json(&key)["status"]["completedIndexes"], "0");
    assert_eq!(world.json(&key)["status"]["terminating"], 0);
}

#[test]
fn pod_failure_policies_decide_by_exit_code() {
    // Action, what the job comes to within a minute, failures counted.
    for (action, failed, least) in [("FailJob", Some("PodFailurePolicy"), 1), ("Ignore", None, 0)] {
        let mut world = world(json!([{"exitCode": 42}]));
        let wish = json!({"backoffLimit": 0, "podFailurePolicy": {"rules": [
            {"action": action, "onExitCodes": {"operator": "In", "values": [42]}}]}});
        let key = world.create(job("policy", "Never", wish));
        world.until(60);
        assert_eq!(reason(&world, &key, "Failed").as_deref(), failed, "{action}");
        assert_eq!(counts(&world, &key), [0, least], "{action}");
    }
}

#[test]
fn a_job_fails_past_its_backoff_limit_and_past_its_deadline() {
    let rows = [
        (json!({"backoffLimit": 0}), 1, "BackoffLimitExceeded"),
        (json!({"activeDeadlineSeconds": 5}), 0, "DeadlineExceeded"),
    ];
    for (wish, code, why) in rows {
        let mut world = world(json!([{"exitCode": code}]));
        let key = world.create(job("fails", "Never", wish));
        world.until(60);
        assert_eq!(reason(&world, &key, "FailureTarget").as_deref(), Some(why));
        assert_eq!(reason(&world, &key, "Failed").as_deref(), Some(why));
        assert_eq!(world.json(&key)["status"]["active"], Value::Null);
    }
}

#[test]
fn failed_pods_are_replaced_after_ten_seconds_and_then_twenty() {
    let mut world = world(json!([{"exitCode": 1}]));
    let key = world.create(job("retries", "Never", json!({"backoffLimit": 2})));
    // Runs of ten seconds from about 3, 23 and 53 on: the waits are 10 and 20 seconds.
    for (second, made) in [(18, 1), (30, 2), (48, 2), (60, 3)] {
        world.until(second);
        assert_eq!(pods(&world).len(), made, "at {second}");
    }
    world.until(90);
    assert_eq!(counts(&world, &key), [0, 3]);
}

#[test]
fn a_suspended_job_has_no_pods_until_it_is_resumed() {
    let mut world = world(json!([]));
    let key = world.create(job("waits", "Never", json!({"suspend": true, "completions": 2, "parallelism": 2})));
    world.until(10);
    assert_eq!((pods(&world).len(), reason(&world, &key, "Suspended").as_deref()), (0, Some("JobSuspended")));
    assert_eq!(world.json(&key)["status"]["startTime"], Value::Null);
    world.patch(&key, json!({"spec": {"suspend": false}})).unwrap();
    world.until(15);
    assert_eq!((pods(&world).len(), reason(&world, &key, "Suspended")), (2, None));
    // Suspended again, what runs is ended and does not count.
    world.patch(&key, json!({"spec": {"suspend": true}})).unwrap();
    world.until(20);
    assert_eq!((pods(&world).len(), counts(&world, &key)), (0, [0, 0]));
    world.patch(&key, json!({"spec": {"suspend": false}})).unwrap();
    world.until(60);
    assert_eq!(reason(&world, &key, "Complete").as_deref(), Some("CompletionsReached"));
}

#[test]
fn deleting_a_job_ends_its_pods() {
    let mut world = World::behaving(json!([]));
    let key = world.create(job("foo", "Never", json!({"completions": 4, "parallelism": 2})));
    world.until(10);
    assert_eq!(pods(&world).len(), 2);
    world.delete(&key, Propagation::Background);
    world.until(60);
    assert!(world.gone(&key).is_some());
    assert_eq!(pods(&world).len(), 0);
}

#[test]
fn a_pod_that_lost_its_job_is_adopted_again_and_one_with_other_labels_is_released() {
    let mut world = World::behaving(json!([]));
    let key = world.create(job("adopts", "Never", json!({"completions": 2, "parallelism": 2})));
    world.until(10);
    let first = pods(&world)[0]["metadata"]["name"].as_str().unwrap().to_string();
    let pod = Key::new(Kind::Pod, NS, first.as_str());
    world.patch(&pod, json!({"metadata": {"ownerReferences": null}})).unwrap();
    world.until(20);
    assert_eq!(world.json(&pod)["metadata"]["ownerReferences"][0]["name"], "adopts");
    world.patch(&pod, json!({"metadata": {"labels": {"batch.kubernetes.io/controller-uid": null}}})).unwrap();
    world.until(30);
    assert_eq!(world.json(&pod)["metadata"]["ownerReferences"], Value::Null);
    // The released pod is no longer tracked, and another has taken its place.
    assert_eq!(world.json(&pod)["metadata"]["finalizers"], Value::Null);
    assert_eq!(world.json(&key)["status"]["active"], 2);
}

#[test]
fn a_finished_job_is_removed_after_its_time() {
    for (seconds, gone) in [(0, true), (20, true), (3600, false)] {
        let mut world = world(json!([]));
        let key = world.create(job("ttl", "Never", json!({"ttlSecondsAfterFinished": seconds})));
        world.until(60);
        assert_eq!(world.gone(&key).is_some(), gone, "{seconds}");
        assert_eq!(pods(&world).is_empty(), gone, "{seconds}");
    }
}

#[test]
fn a_job_managed_by_another_is_left_alone() {
    let mut world = world(json!([]));
    let key = world.create(job("other", "Never", json!({"managedBy": "example.com/queue"})));
    world.until(30);
    assert_eq!((pods(&world).len(), world.json(&key)["status"]["startTime"].clone()), (0, Value::Null));
}
