//! Cron jobs: overlap, suspension, history. Virtual time begins at midnight, so a run of every minute is due at 60 s.

use super::world::World;
use kubesim::model::{Key, Kind};
use serde_json::{Value, json};

const NS: &str = "default";

/// A cron job of every minute, whose jobs run one container.
fn cron(name: &str, spec: Value) -> Value {
    let mut object = json!({"apiVersion": "batch/v1", "kind": "CronJob",
        "metadata": {"name": name, "namespace": NS}, "spec": spec});
    object["spec"]["schedule"] = json!("* * * * *");
    object["spec"]["jobTemplate"] = json!({"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [
        {"name": "c", "image": "img:1"}]}}}});
    object
}

fn jobs(world: &World) -> Vec<String> {
    world.live().objects(Kind::Job).map(|job| job.meta().name.to_string()).collect()
}

/// The minute of a run in the name of its job: minutes since 1970 at virtual zero.
const FIRST: i64 = 1_767_225_600 / 60;

#[test]
fn runs_overlap_where_they_may_wait_where_they_must_and_replace_each_other() {
    // Policy; jobs at 2:30, of runs that take five minutes.
    let rows = [("Allow", vec![1, 2]), ("Forbid", vec![1]), ("Replace", vec![2])];
    for (policy, runs) in rows {
        let mut world = World::behaving(json!([{"runTime": "5m"}]));
        let key = world.create(cron("concurrent", json!({"concurrencyPolicy": policy})));
        world.until(150);
        let names: Vec<String> = runs.iter().map(|run| format!("concurrent-{}", FIRST + run)).collect();
        assert_eq!(jobs(&world), names, "{policy}");
        let active = world.json(&key)["status"]["active"].as_array().map_or(0, Vec::len);
        assert_eq!(active, names.len(), "{policy}");
        let last = if policy == "Forbid" { "2026-01-01T00:01:00Z" } else { "2026-01-01T00:02:00Z" };
        assert_eq!(world.json(&key)["status"]["lastScheduleTime"], last, "{policy}");
    }
}

#[test]
fn a_suspended_cron_job_starts_nothing() {
    let mut world = World::behaving(json!([{"runTime": "10s"}]));
    let key = world.create(cron("suspended", json!({"suspend": true})));
    world.until(150);
    assert_eq!(jobs(&world), Vec::<String>::new());
    world.patch(&key, json!({"spec": {"suspend": false}})).unwrap();
    world.until(170);
    // Of the runs that were missed only the last is made up for.
    assert_eq!(jobs(&world), [format!("suspended-{}", FIRST + 2)]);
}

#[test]
fn a_run_that_is_too_late_is_left_out() {
    let mut world = World::behaving(json!([{"runTime": "10s"}]));
    let key = world.create(cron("late", json!({"suspend": true, "startingDeadlineSeconds": 15})));
    world.until(150);
    world.patch(&key, json!({"spec": {"suspend": false}})).unwrap();
    world.until(170);
    assert_eq!(jobs(&world), Vec::<String>::new());
    world.until(190);
    assert_eq!(jobs(&world), [format!("late-{}", FIRST + 3)]);
}

#[test]
fn finished_jobs_are_kept_as_the_limits_say() {
    // Exit code; limits of the successful and the failed; jobs left at 5:50, of five runs.
    for (code, good, bad, left) in [(0, 2, 1, 2), (1, 2, 1, 1), (0, 0, 1, 0)] {
        let mut world = World::behaving(json!([{"runTime": "5s", "exitCode": code}]));
        let mut object = cron("history", json!({"successfulJobsHistoryLimit": good, "failedJobsHistoryLimit": bad}));
        object["spec"]["jobTemplate"]["spec"]["backoffLimit"] = json!(0);
        world.create(object);
        world.until(350);
        assert_eq!(jobs(&world).len(), left, "exit code {code}, limits {good} and {bad}");
    }
}

#[test]
fn a_cron_job_owns_its_jobs_and_names_the_tick() {
    let mut world = World::behaving(json!([{"runTime": "10s"}]));
    let mut object = cron("tokyo", json!({"timeZone": "Asia/Tokyo"}));
    object["spec"]["jobTemplate"]["metadata"] = json!({"labels": {"team": "a"}, "annotations": {"note": "b"}});
    let key = world.create(object);
    world.until(90);
    let job = world.json(&Key::new(Kind::Job, NS, jobs(&world)[0].as_str()));
    let (meta, owner) = (&job["metadata"], &job["metadata"]["ownerReferences"][0]);
    assert_eq!(
        (&owner["kind"], &owner["name"], &owner["controller"]),
        (&json!("CronJob"), &json!("tokyo"), &json!(true))
    );
    assert_eq!((&meta["labels"]["team"], &meta["annotations"]["note"]), (&json!("a"), &json!("b")));
    let tick = "batch.kubernetes.io/cronjob-scheduled-timestamp";
    assert_eq!(meta["annotations"][tick], "2026-01-01T09:01:00+09:00");
    assert_eq!(world.json(&key)["status"]["active"], Value::Null);
    assert!(world.json(&key)["status"]["lastSuccessfulTime"].is_string());
}
