//! Machines that fail, are cut off, are taken away: what Kubernetes' defaults make of it.
//!
//! The numbers: a lease is renewed every 10 s and stale after 50 s (`--node-monitor-grace-period`), which a pass every
//! 5 s sees (`--node-monitor-period`), so a silent node is Unknown 40 to 60 s after its last beat. Pods tolerate the taint
//! for 300 s (`DefaultTolerationSeconds`). A monitor pass and its writes take less than a second.

use super::world::{down, hits, mark, record, web};
use kubesim::metrics::{IncidentRecord, NodeMark, PodRecord, Record, Resilience};
use kubesim::time::SimTime;

/// The seconds after which a silent node is found: the last beat may be 10.4 s old, the passes are 5 s apart.
const FOUND: std::ops::RangeInclusive<f64> = 39.6..=61.0;
const TOLERATED: f64 = 300.0;

fn on<'a>(record: &'a Record, node: &'a str) -> impl Iterator<Item = &'a PodRecord> {
    record.pods.iter().filter(move |pod| pod.node == node && pod.workload.is_some())
}

/// The first thing that went wrong.
fn fault_of(record: &Record) -> &IncidentRecord {
    record.incidents.iter().find(|incident| incident.is_fault()).unwrap()
}

fn serving(record: &Record, from: f64, to: f64) -> i64 {
    let at = |seconds: f64| SimTime((seconds * 1e9) as i64);
    record.workload("web").unwrap().serving.min(at(from), at(to))
}

#[test]
fn a_crash_is_found_after_the_grace_period_and_evicted_after_the_toleration() {
    let record = record("10m", &format!("{}timeline: [{{at: 60s, nodeCrash: {{node: n-0}}}}]", web(6)));
    let found = mark(&record, "n-0", NodeMark::Unknown).unwrap() - 60.0;
    assert!(FOUND.contains(&found), "{found}");
    let tainted = mark(&record, "n-0", NodeMark::NoExecute).unwrap();
    let lost: Vec<f64> = on(&record, "n-0").filter_map(|pod| pod.deleted).map(|at| at.as_secs_f64()).collect();
    assert!(!lost.is_empty());
    assert!(lost.iter().all(|at| (at - tainted - TOLERATED).abs() < 1.0), "{lost:?} after {tainted}");
    assert!(serving(&record, 61.0, 60.0 + found) < 6, "what is dead does not serve, whatever the API says");
}

#[test]
fn a_short_partition_from_the_control_plane_ends_without_a_trace() {
    // Four minutes are less than detection and toleration together.
    let record = record("10m", &format!("{}timeline: [{{at: 60s, for: 4m, partition: {{zone: zone-a}}}}]", web(6)));
    let found = mark(&record, "n-0", NodeMark::Unknown).unwrap() - 60.0;
    assert!(FOUND.contains(&found), "{found}");
    assert_eq!(serving(&record, 60.0, 60.0 + found - 0.1), 6, "the containers run on");
    assert!(serving(&record, 60.0 + found + 1.0, 290.0) < 6, "what cannot be seen gets no traffic");
    assert_eq!(serving(&record, 305.0, 600.0), 6, "nothing has to start");
    assert_eq!(record.pods.iter().filter(|pod| pod.deleted.is_some()).count(), 0);
    let back = record.nodes.iter().find(|node| node.name == "n-0").unwrap();
    let back = back.first_mark(NodeMark::Ready, SimTime::from_secs(300), record.end).unwrap();
    assert!(back < SimTime::from_secs(302), "{back}");
    assert!(down(&record, "n-0").is_empty());
}

#[test]
fn after_a_long_partition_the_kubelet_kills_what_was_replaced() {
    let record = record("15m", &format!("{}timeline: [{{at: 60s, for: 10m, partition: {{node: n-1}}}}]", web(6)));
    let tainted = mark(&record, "n-1", NodeMark::NoExecute).unwrap();
    let replaced: Vec<&PodRecord> = on(&record, "n-1").filter(|pod| pod.deleted.is_some()).collect();
    assert!(!replaced.is_empty());
    for pod in replaced {
        let deleted = pod.deleted.unwrap().as_secs_f64();
        assert!((deleted - tainted - TOLERATED).abs() < 1.0, "{deleted}");
        // It hears of it when the network is back at 660 s; the container takes a second to end.
        let gone = pod.gone.unwrap().as_secs_f64();
        assert!((660.0..670.0).contains(&gone), "{gone}");
    }
    assert_eq!(serving(&record, 670.0, 900.0), 6);
}

#[test]
fn what_is_cut_off_from_everything_serves_nobody() {
    let parts = format!("{}timeline: [{{at: 60s, for: 2m, partition: {{node: n-1, from: everything}}}}]", web(6));
    let record = record("5m", &parts);
    let there = on(&record, "n-1").count() as i64;
    assert!(there > 0);
    assert_eq!(serving(&record, 60.5, 179.0), 6 - there);
    assert_eq!(serving(&record, 200.0, 300.0), 6, "nothing was evicted, and it serves on");
}

#[test]
fn zones_that_lose_each_other_keep_their_kubelets() {
    let parts = format!("{}timeline: [{{at: 60s, for: 5m, partition: {{zone: zone-a, from: zone-b}}}}]", web(6));
    let record = record("8m", &parts);
    let (mut cut, lasted) = hits(&record).remove(0);
    cut.sort();
    assert_eq!((cut, lasted), (["n-0", "n-2", "spot-0"].map(str::to_string).to_vec(), Some(300.0)));
    assert_eq!(mark(&record, "n-0", NodeMark::Unknown), None);
}

#[test]
fn a_zone_and_a_rack_fail_with_all_that_is_in_them() {
    let record = record(
        "10m",
        &format!(
            "{}timeline: [{{at: 60s, for: 2m, zoneOutage: {{zone: zone-a}}}}, \
             {{at: 300s, for: 1m, powerOutage: {{domain: rack, value: r2}}}}]",
            web(6)
        ),
    );
    // The only machine of the control plane stands in the first zone.
    for node in ["n-0", "n-2", "spot-0", "control-plane-0"] {
        assert_eq!(down(&record, node), [(60.0, 180.0)], "{node}");
    }
    assert_eq!(down(&record, "n-3"), [(300.0, 360.0)]);
    assert!(down(&record, "n-1").is_empty());
    // A power cut: what ran there starts anew, in its place.
    assert!(on(&record, "n-0").count() > 0);
    assert!(on(&record, "n-0").all(|pod| pod.restarts == 1 && pod.deleted.is_none()));
}

#[test]
fn a_reclaimed_machine_is_empty_before_it_goes_and_another_comes() {
    let fault = "spotReclaim: {node: spot-0, notice: 2m, replacementAfter: 90s}";
    let record = record("10m", &format!("{}timeline: [{{at: 60s, {fault}}}]", web(6)));
    let cordoned = mark(&record, "spot-0", NodeMark::Cordoned).unwrap();
    assert!((60.0..61.0).contains(&cordoned), "{cordoned}");
    for pod in on(&record, "spot-0") {
        let gone = pod.gone.unwrap().as_secs_f64();
        assert!(gone < 70.0, "a drain without budgets is over in seconds: {gone}");
    }
    // Gone at 60 + 120 s; another at 180 + 90 s.
    let gone = down(&record, "spot-0")[0].0;
    assert!((180.0..180.1).contains(&gone), "{gone}");
    let other = record.nodes.iter().find(|node| node.name == "spot-0-r1").expect("another machine has come");
    let came = other.up.points.iter().find(|(_, up)| *up == 1).unwrap().0.as_secs_f64();
    assert!((270.0..270.1).contains(&came), "{came}");
    // Its Node is removed once it is silent, by the next pass that asks the provider.
    let old = record.nodes.iter().find(|node| node.name == "spot-0").unwrap();
    let removed = old.registered.points.iter().rev().find(|(_, there)| *there == 0).unwrap().0.as_secs_f64() - gone;
    assert!((*FOUND.start()..=FOUND.end() + 5.0).contains(&removed), "{removed}");
}

#[test]
fn without_anyone_who_acts_on_the_notice_pods_are_orphans() {
    let fault = "spotReclaim: {node: spot-0, notice: 30s, drain: false}";
    let record = record("6m", &format!("{}timeline: [{{at: 60s, {fault}}}]", web(6)));
    assert_eq!(mark(&record, "spot-0", NodeMark::Cordoned), None);
    let old = record.nodes.iter().find(|node| node.name == "spot-0").unwrap();
    let removed = old.registered.points.iter().rev().find(|(_, there)| *there == 0).unwrap().0.as_secs_f64();
    assert!(on(&record, "spot-0").count() > 0);
    for pod in on(&record, "spot-0") {
        // Pod GC looks every 20 s and waits 40 s before it believes that a node is gone.
        let gone = pod.gone.unwrap().as_secs_f64() - removed;
        assert!((40.0..=81.0).contains(&gone), "{gone}");
    }
    assert_eq!(serving(&record, 300.0, 360.0), 6);
}

#[test]
fn maintenance_goes_node_by_node() {
    let fault = "maintenance: {node: 'n-*', rebootTime: 1m, pause: 10s}";
    let record = record("12m", &format!("{}timeline: [{{at: 60s, {fault}}}]", web(6)));
    let spans: Vec<(f64, f64)> = ["n-0", "n-1", "n-2", "n-3"].iter().flat_map(|node| down(&record, node)).collect();
    assert_eq!(spans.len(), 4);
    for (from, to) in &spans {
        assert!((to - from - 60.0).abs() < 0.1, "{from} {to}");
    }
    for pair in spans.windows(2) {
        // Back, Ready and uncordoned, ten seconds, cordoned and drained.
        assert!(pair[1].0 - pair[0].1 >= 10.0, "{pair:?}");
    }
    assert!(serving(&record, 60.0, 720.0) >= 5, "a drained pod is replaced, one at a time or few");
    let over = fault_of(&record).ended.unwrap().as_secs_f64();
    assert!(over > spans[3].1, "{over}");
    let cordoned = record.nodes.iter().filter(|node| node.marks.iter().any(|(_, mark)| *mark == NodeMark::Uncordoned));
    assert_eq!(cordoned.count(), 4);
}

#[test]
fn maintenance_leaves_a_node_that_a_budget_holds() {
    let budget = "
  - apiVersion: policy/v1
    kind: PodDisruptionBudget
    metadata: {name: web}
    spec: {maxUnavailable: 0, selector: {matchLabels: {app: web}}}
";
    let fault = |timeout: &str| format!("timeline: [{{at: 60s, maintenance: {{node: n-0{timeout}}}}}]");
    let held = record("10m", &format!("{}{budget}{}", web(6), fault("")));
    assert!(down(&held, "n-0").is_empty());
    assert_eq!(fault_of(&held).ended, None, "it waits for ever");
    let given_up = record("10m", &format!("{}{budget}{}", web(6), fault(", drainTimeout: 1m")));
    assert!(down(&given_up, "n-0").is_empty());
    // kubectl looks again every 5 s: after a minute it gives up.
    let ended = fault_of(&given_up).ended.unwrap().as_secs_f64();
    assert!((120.0..127.0).contains(&ended), "{ended}");
    assert!(fault_of(&given_up).output[0].1.contains("cannot be drained"));
}

/// Each fault answers for what it threw away: a pod that fails has run in vain, one that starts anew in its place up to
/// its new start. Ends are seen within a second, starts after a crash within two.
#[test]
fn a_fault_answers_for_the_work_it_undid() {
    let job = |name: &str, policy: &str| {
        format!(
            "  - {{apiVersion: batch/v1, kind: Job, metadata: {{name: {name}}}, spec: {{template: {{metadata: {{labels: \
             {{app: {name}}}}}, spec: {{restartPolicy: {policy}, containers: [{{name: c, image: \"a:1\"}}]}}}}}}}}\n"
        )
    };
    let jobs = format!("manifests:\n  inline:\n{}{}", job("new", "Never"), job("again", "OnFailure"));
    let timeline =
        "timeline:\n- {at: 60s, podCrash: {selector: app=new}}\n- {at: 90s, podCrash: {selector: app=again}}\n";
    let record = record("20m", &format!("{jobs}{timeline}"));
    let lost: Vec<f64> = record.recoveries.iter().map(|one| one.work_lost().as_secs_f64()).collect();
    let begun =
        |app: &str| record.pods.iter().find(|pod| pod.name.starts_with(app)).unwrap().started.unwrap().as_secs_f64();
    assert_eq!(lost.len(), 2);
    for (lost, fault, app) in [(lost[0], 60.0, "new"), (lost[1], 90.0, "again")] {
        let wasted = fault - begun(app);
        assert!((wasted..=wasted + 2.0).contains(&lost), "{app}: {lost} s, of {wasted}");
    }
    // The second still runs, and nobody knows yet what will come of it.
    let known: f64 = record.jobs.iter().map(|job| job.lost.as_secs_f64()).sum();
    assert!((known - lost[0]).abs() < 1.0, "{known} s");
}

/// A crash while the same machine's packets are late and its clock is wrong: what is lost is the crash's, found and made
/// good after as long as without the others.
#[test]
fn a_loss_is_laid_at_one_door() {
    let beside = "- {at: 30s, for: 10m, slowNetwork: {node: n-0, latency: 1ms}}\n- {at: 40s, for: 10m, clockSkew: {node: n-0, ahead: 1s}}\n";
    let crash = "- {at: 60s, nodeCrash: {node: n-0}}\n";
    let of = |timeline: &str| Resilience::of(&record("12m", &format!("{}timeline:\n{timeline}", web(6))));
    let (alone, all) = (of(crash), of(&format!("{beside}{crash}")));
    assert!(alone.lost > 0);
    assert_eq!((alone.faults, all.faults), (1, 3));
    let figures =
        |one: &Resilience| (one.outages, one.lost, one.rescheduled, one.detect.map(|time| time.0 / 1_000_000_000));
    assert_eq!(figures(&all), figures(&alone));
}

/// Work is lost from the start of a process to its end, whenever the API hears of that: a node that is dead for ever, and
/// one that comes back long after, take what had run until they fell silent.
#[test]
fn work_is_lost_until_the_machine_fell_silent() {
    let job = "manifests:\n  inline:\n  - {apiVersion: batch/v1, kind: Job, metadata: {name: j}, spec: {template: {spec: \
               {restartPolicy: Never, nodeSelector: {disk: ssd, rack: r0}, containers: [{name: c, image: \"a:1\"}]}}}}\n";
    for lasts in ["", "for: 15m, "] {
        let record = record("25m", &format!("{job}timeline:\n- {{at: 180s, {lasts}nodeCrash: {{node: n-0}}}}\n"));
        let begun = record.pods.iter().find(|pod| pod.node == "n-0").unwrap().started.unwrap().as_secs_f64();
        let lost: f64 = record.jobs.iter().map(|job| job.lost.as_secs_f64()).sum();
        assert!((lost - (180.0 - begun)).abs() < 1.0, "{lost} s since {begun}, {lasts:?}");
    }
}
