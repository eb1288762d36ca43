//! Load that kills, quotas that are used up, configurations that do not work.

use super::world::{Files, down, record, web};
use kubesim::cluster::{Options, run};
use kubesim::metrics::Record;
use kubesim::scenario::load::load;
use kubesim::time::SimTime;

fn at(series: &kubesim::metrics::Series, seconds: i64) -> i64 {
    series.at(SimTime::from_secs(seconds))
}

#[test]
fn one_dead_node_brings_down_the_others() {
    // Four nodes of 4 cores, six pods of 1.5 cores: at first 37 or 75 %. Two on each of three nodes are 75 %, three are
    // 112 %. The pods of a dead node are somewhere else 360 s after its death at the latest.
    let text = |load: &str| {
        format!(
            "name: test\nduration: 30m\ncluster: {{pools: [{{name: w, count: 3}}]}}\n\
             behavior: [{{imageSize: 0, startTime: 1s, cpu: {{absolute: 1500m}}}}]\n{}\n\
             timeline: [{{at: 60s, for: 29m, cascadingFailure: {{load: {load}, after: 30s}}}}, \
             {{at: 90s, nodeCrash: {{node: w-0}}}}]",
            web(6)
        )
    };
    let deaths = |load: &str| {
        let scenario = load_text(&text(load));
        let (outcome, _) = run(&scenario, &Options::of(&scenario), &mut |_, _| true).unwrap();
        let record = outcome.record;
        (1..3).filter_map(|node| down(&record, &format!("w-{node}")).first().map(|span| span.0)).collect::<Vec<f64>>()
    };
    // Lost at 90 s, found within 60 s, evicted 300 s later, running within 10 s, averaged over 10 s, borne for 30 s.
    let dead = deaths("90%");
    assert_eq!(dead.len(), 2, "both die: {dead:?}");
    assert!(dead.iter().all(|at| (90.0 + 40.0 + 300.0 + 30.0..90.0 + 61.0 + 300.0 + 65.0).contains(at)), "{dead:?}");
    assert_eq!(deaths("100%"), Vec::<f64>::new(), "nobody uses more than there is");
}

fn load_text(text: &str) -> kubesim::scenario::Scenario {
    load("test.yaml", text, &[], &Files("")).unwrap_or_else(|error| panic!("{error}"))
}

fn events(record: &Record, reason: &str) -> u32 {
    record.events.iter().filter(|event| event.reason == reason).map(|event| event.count).sum()
}

#[test]
fn a_quota_that_is_used_up_stops_new_pods_until_it_is_lifted() {
    let record = record(
        "6m",
        &format!(
            "{}timeline: [{{at: 60s, for: 2m, quotaExhaustion: {{}}}}, \
             {{at: 90s, scale: {{object: deployment/web, replicas: 7}}}}]",
            web(4)
        ),
    );
    let row = record.workload("web").unwrap();
    assert_eq!((at(&row.desired, 100), at(&row.current, 170)), (7, 4), "the four that are there are all there may be");
    assert!(events(&record, "FailedCreate") > 0);
    // The replica set tries again with backoff, at most 1000 s apart; after 90 s of failures within as long again.
    assert_eq!(at(&row.ready, 355), 7);
}

#[test]
fn a_bad_rollout_stops_halfway_and_is_taken_back() {
    let fault = "badRollout: {object: deployment/web, requests: {cpu: '1000'}}";
    let record = record("6m", &format!("{}timeline: [{{at: 60s, for: 2m, {fault}}}]", web(4)));
    let row = record.workload("web").unwrap();
    // 25 % of 4 may be missing, and one more may be there: the new pods fit nowhere and wait.
    assert_eq!((at(&row.ready, 170), at(&record.phases[0], 170)), (3, 2));
    assert_eq!((at(&row.ready, 350), at(&row.updated, 350), at(&record.phases[0], 350)), (4, 4, 0));
}
