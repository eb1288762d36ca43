//! Clocks that are wrong, and what hangs on them. Every run is made with and without ticks.

use crate::kubelet::run;

/// A pod of a Deployment with `minReadySeconds: 20` on the only node, ready at 3 s; the clock of the node is wrong from 1 s on. The pod is Available when its Ready condition, whose time the kubelet wrote, is 20 s old
/// by the controller manager's clock: 20 s later, plus what the node is ahead; at once if it is 20 s behind or more. Its
/// node stays Ready whatever its clock says.
#[test]
fn a_wrong_clock_shifts_when_pods_are_available() {
    // (fault, seconds from Ready to Available)
    let table = [
        ("", 20),
        ("timeline: [{at: 1s, clockSkew: {node: node-0, ahead: 40s}}]", 60),
        ("timeline: [{at: 1s, clockSkew: {node: node-0, behind: 15s}}]", 5),
        ("timeline: [{at: 1s, clockSkew: {node: node-0, behind: 10m}}]", 0),
    ];
    for (fault, expected) in table {
        let text = format!(
            "duration: 3m\ncluster:\n  controlPlane: {{replicas: 0}}\n  pools: [{{name: node, count: 1, startAfter: \
             0s}}]\nmanifests:\n  inline:\n  - apiVersion: apps/v1\n    kind: Deployment\n    metadata: {{name: web}}\n    \
             spec:\n      replicas: 1\n      minReadySeconds: 20\n      selector: {{matchLabels: {{app: web}}}}\n      \
             template:\n        metadata: {{labels: {{app: web}}}}\n        spec: {{containers: [{{name: c, image: \
             \"app:1\"}}]}}\n{fault}\nexpect:\n- available(web) == 1 eventually\n"
        );
        let run = run(&text);
        let ready = run.lines.iter().find(|(_, _, line)| line.starts_with("status Running ready")).unwrap().0;
        let available = run.available("web");
        // Conditions are kept in whole seconds.
        let late = (available - ready) / 1000;
        assert!((expected - 1..=expected).contains(&late), "{fault}: {ready} {available}");
        assert!(run.of("node-0", "unreachable").is_empty(), "{fault}");
    }
}

/// `activeDeadlineSeconds: 60`, counted by the kubelet from the start that it wrote down: half a minute later its clock is
/// set 20 s ahead, and the pod is over 20 s early.
#[test]
fn a_clock_that_is_set_ahead_ends_deadlines_early() {
    let deadline = |fault: &str| {
        let text = format!(
            "duration: 3m\ncluster:\n  controlPlane: {{replicas: 0}}\n  pools: [{{name: node, count: 1, startAfter: \
             0s}}]\nmanifests:\n  inline:\n{}{fault}\n",
            crate::kubelet::pod("job", "", ", restartPolicy: Never, activeDeadlineSeconds: 60")
        );
        run(&text).at("job", "status Failed")
    };
    let (right, early) = (deadline(""), deadline("timeline: [{at: 30s, clockSkew: {node: node-0, ahead: 20s}}]"));
    assert_eq!(right - early, 20_000, "{right} {early}");
}

/// A CronJob of every minute; the clock of the only master is 30 s ahead, so that the run of 2:00 begins at 1:30.
#[test]
fn cron_jobs_run_by_the_clock_of_the_controller_manager() {
    let runs = |fault: &str| {
        let text = format!(
            "duration: 4m\ncluster:\n  pools: [{{name: node, count: 1, startAfter: 0s}}]\nmanifests:\n  inline:\n  - \
             {{apiVersion: batch/v1, kind: CronJob, metadata: {{name: tick}}, spec: {{schedule: \"* * * * *\", jobTemplate: \
             {{spec: {{template: {{spec: {{restartPolicy: Never, containers: [{{name: c, image: \"app:1\"}}]}}}}}}}}}}}}\n\
             behavior: [{{runTime: 1s}}]\n{fault}\n"
        );
        let run = run(&text);
        let made = run.of("tick", "event SuccessfulCreate");
        made.into_iter().map(|(at, _)| at / 1000 % 60).collect::<Vec<i64>>()
    };
    assert_eq!(runs(""), [0, 0, 0], "1:00, 2:00, 3:00");
    let skewed = runs("timeline: [{at: 10s, clockSkew: {node: control-plane-0, ahead: 30s}}]");
    // The first was waited for before; from then on they come half a minute early.
    assert_eq!(skewed, [0, 30, 30, 30]);
}
