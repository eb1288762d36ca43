//! The record of a crash played by hand: every expected figure follows from the times in `testing.rs`.

use super::testing::{Play, node_crash, s};
use super::{NodeMark, Usage};
use crate::model::Truth;
use crate::time::SimDuration;

const SECOND: i128 = 1_000_000_000;

#[test]
fn a_node_crash_is_decomposed_step_by_step() {
    let record = node_crash().finish(600.0);
    assert_eq!(record.recoveries.len(), 1);
    let recovery = &record.recoveries[0];
    // Milliseconds since the fault at 60 s.
    let expected: [(&str, Option<i64>); 11] = [
        ("node Unknown", Some(40_000)),
        ("NoSchedule taint", Some(40_000)),
        ("NoExecute taint", Some(40_100)),
        ("endpoint removed", Some(40_200)),
        ("pod evicted", Some(340_000)),
        ("replacement created", Some(340_100)),
        ("scheduled", Some(340_200)),
        ("image pulled", Some(342_200)),
        ("containers started", Some(342_500)),
        ("ready", Some(345_000)),
        ("endpoint added", Some(345_100)),
    ];
    let steps: Vec<_> = recovery
        .steps()
        .iter()
        .map(|step| (step.name, step.spread.map(|spread| spread.median.0 / 1_000_000)))
        .collect();
    assert_eq!(steps, expected);
    assert_eq!(recovery.detection(), Some(SimDuration::from_secs(40)));
    assert_eq!(recovery.time_to_replace(), Some(SimDuration::from_secs(345)));
    assert_eq!(recovery.time_to_full_strength(), Some(SimDuration::from_secs(345)));
    // One replica of three was missing from the crash at 60 s until 405 s.
    assert_eq!(recovery.unavailable(), 345 * SECOND);
    let impact = &recovery.impacts[0];
    assert_eq!((impact.before, impact.lowest), (3, 2));
    let lost = &recovery.pods[0];
    assert_eq!(record.pods[lost.pod].name, "web-2");
    assert_eq!(record.pods[lost.replacement.unwrap()].name, "web-4");
}

#[test]
fn workloads_are_counted_from_their_pods() {
    let record = node_crash().finish(600.0);
    let web = record.workload("web").unwrap();
    // (second, desired, current, ready, available, serving)
    let table = [
        (5.0, 0, 0, 0, 0, 0),
        (10.0, 3, 3, 0, 0, 0),
        (20.0, 3, 3, 3, 3, 3),
        (61.0, 3, 3, 3, 3, 2),
        (101.0, 3, 3, 2, 2, 2),
        (400.05, 3, 2, 2, 2, 2),
        (402.0, 3, 3, 2, 2, 2),
        (405.0, 3, 3, 3, 3, 3),
    ];
    for (at, desired, current, ready, available, serving) in table {
        let t = s(at);
        let have = [&web.desired, &web.current, &web.ready, &web.available, &web.serving].map(|series| series.at(t));
        assert_eq!(have, [desired, current, ready, available, serving], "at {at} s");
    }
    assert_eq!(web.unavailable.integral(s(0.0), s(600.0)), (5 * 3 + 305) * SECOND, "10-15 s all, 100-405 s one");
    assert_eq!(web.rollouts[0].completed, Some(s(15.5)));
    assert_eq!(record.services[0].ready.at(s(200.0)), 2);
}

#[test]
fn nodes_are_used_and_paid_for_by_the_second() {
    let record = node_crash().finish(600.0);
    let usage = Usage::of(&record);
    let b = &usage.nodes[1];
    // Bound from 10.5 s to the end (its dead kubelet never lets go): 589.5 s of 500m on 4000m.
    assert!((b.requested[0] - 500.0 * 589.5 / (4000.0 * 600.0)).abs() < 1e-12);
    // Used 250m from 12.5 s to the crash at 60 s.
    assert!((b.used[0] - 250.0 * 47.5 / (4000.0 * 600.0)).abs() < 1e-12);
    // 0.20 an hour for 60 s.
    assert_eq!(b.cost_micros, 200_000 * 60 / 3600);
    // Three nodes, of which two for 600 s: 33 333.3 + 3 333.3 + 33 333.3 are 70 000, not a millionth less.
    assert_eq!(usage.all.cost_micros, 70_000);
    assert_eq!(record.cost_micros(), 70_000);
    assert!((b.up - 0.1).abs() < 1e-12);
    assert_eq!(usage.all.nodes, 3);
    assert_eq!(usage.pools[0].name, "workers");
    assert!((b.packing[0] - 0.125).abs() < 1e-12, "500m of 4000m while it holds a pod");
    assert_eq!(b.stranded, [0.0, 0.0]);
    let marks: Vec<_> = record.nodes[1].marks.iter().map(|(time, mark)| (time.0 / 1_000_000_000, *mark)).collect();
    let expected = [(0, NodeMark::Ready), (0, NodeMark::NoSchedule), (60, NodeMark::Down), (100, NodeMark::Unknown)];
    assert_eq!(marks[..4], expected);
}

#[test]
fn imbalance_and_stranded_capacity() {
    let mut play = Play::new();
    for name in ["a", "b"] {
        play.worker(0.0, name);
    }
    play.deployment(0.0, "web", 8);
    // Eight pods of 500m and 1 GiB fill both resources of `a`: 4 cores and 8 GiB.
    for at in 0..7 {
        let name = format!("web-{at}");
        play.pod(0.0, &name, "web");
        play.bind(0.0, &name, "a");
    }
    let record = play.finish(100.0);
    let usage = Usage::of(&record);
    // Shares 0.875 and 0: mean 0.4375, standard deviation 0.4375.
    assert!((usage.imbalance[0] - 1.0).abs() < 1e-6, "{:?}", usage.imbalance);
    assert!((usage.all.packing[0] - 0.875).abs() < 1e-12);
    assert_eq!(usage.all.stranded, [0.0, 0.0]);
}

#[test]
fn capacity_is_stranded_when_the_other_resource_is_gone() {
    use crate::model::builder::{node, pod, spec};
    let mut play = Play::new();
    play.create(0.0, node("a", 1000, 10 << 30, 110));
    play.create(0.0, node("b", 1000, 10 << 30, 110));
    play.create(0.0, pod("big", spec("x", 1000, 1 << 30)));
    play.bind(0.0, "big", "a");
    let usage = Usage::of(&play.finish(10.0));
    // `a` has no cpu left: its free 9 GiB of the cluster's free 19 GiB are stranded.
    assert!((usage.all.stranded[1] - 9.0 / 19.0).abs() < 1e-12, "{:?}", usage.all.stranded);
    assert_eq!(usage.all.stranded[0], 0.0);
}

#[test]
fn a_node_that_comes_back_ends_its_story() {
    let mut play = node_crash();
    play.power(500.0, "b", true);
    play.node_ready(501.0, "b", Truth::True);
    let record = play.finish(600.0);
    assert_eq!(record.recoveries[0].nodes[0].back, Some(s(501.0)));
    assert_eq!(record.nodes[1].up.last(), 1);
}

#[test]
fn a_pod_that_came_back_by_itself_was_not_replaced() {
    let mut play = Play::new();
    play.worker(0.0, "a");
    play.deployment(1.0, "web", 1);
    play.pod(1.0, "web-1", "web");
    play.bind(2.0, "web-1", "a");
    play.running(3.0, "web-1", true);
    play.power(60.0, "a", false);
    let nodes = vec!["a".into()];
    play.incident(
        60.0,
        "crash",
        crate::model::Fault { kind: "node-crash", nodes, ..Default::default() },
        "node a falls silent",
    );
    play.running(100.0, "web-1", false);
    play.power(120.0, "a", true);
    play.running(125.0, "web-1", true);
    // Long after, someone deletes it: another story.
    play.delete(300.0, "web-1", Some(0));
    play.pod(301.0, "web-2", "web");
    let record = play.finish(600.0);
    let pod = &record.recoveries[0].pods[0];
    assert_eq!((pod.evicted, pod.replacement), (None, None));
    assert_eq!(pod.ready, Some(s(125.0)));
}
