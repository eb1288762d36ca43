//! Faults between nodes, services and names, as requests meet them. Every run is made with and without ticks.

use super::world::Files;
use kubesim::checks::Checks;
use kubesim::cluster::{Options, run};
use kubesim::scenario::load::load;

/// `shop` on n-0 in zone-a asks `db` on n-1 in zone-b every 100 ms, one way 800 µs, with an answer after 10 ms; `web` on
/// n-2 in zone-a does, too. From 60 s to 120 s something is wrong. Of each who asks, one client asks before, one while it
/// lasts and one after; `open` keeps its connection all the time.
fn expectations(fault: &str, expect: &[&str]) {
    let pod = |name: &str, node: u32| {
        format!(
            "  - {{apiVersion: v1, kind: Pod, metadata: {{name: {name}, labels: {{app: {name}}}}}, spec: {{nodeName: \
             n-{node}, containers: [{{name: c, image: \"app:1\"}}]}}}}\n  - {{apiVersion: v1, kind: Service, metadata: \
             {{name: {name}}}, spec: {{selector: {{app: {name}}}, ports: [{{port: 80}}]}}}}\n"
        )
    };
    let client = |name: &str, from: &str, start: u32, end: u32, more: &str| {
        format!(
            "  - {{name: {name}, service: db, from: {{pods: app={from}}}, arrivals: {{constant: 10/s}}, start: {start}s, \
             end: {end}s{more}}}\n"
        )
    };
    let clients = [
        client("before", "shop", 40, 58, ""),
        client("while", "shop", 62, 118, ""),
        client("after", "shop", 125, 150, ""),
        client("other", "web", 62, 118, ""),
        client("open", "shop", 40, 118, ", timeout: 5s, connections: {count: 1}"),
    ];
    let expect: Vec<String> = expect.iter().map(|line| format!("- {line}\n")).collect();
    let text = format!(
        "name: network\nduration: 160s\ncluster:\n  nodes:\n  - {{name: n-0, zone: zone-a}}\n  - {{name: n-1, zone: \
         zone-b}}\n  - {{name: n-2, zone: zone-a}}\nbehavior: [{{imageSize: 0, startTime: 1s}}]\nmanifests:\n  inline:\n\
         {}{}{}traffic:\n  dns: {{ttl: 30s}}\n  clients:\n{}timeline: [{{at: 60s, for: 60s, {fault}}}]\nexpect:\n{}",
        pod("shop", 0),
        pod("db", 1),
        pod("web", 2),
        clients.concat(),
        expect.concat()
    );
    let scenario = load("network.yaml", &text, &[], &Files("")).unwrap_or_else(|error| panic!("{error}"));
    let mut prints = Vec::new();
    for eager in [false, true] {
        let options = Options { checks: Checks::All, eager, ..Options::of(&scenario) };
        let (outcome, stop) = run(&scenario, &options, &mut |_, _| true).unwrap();
        assert_eq!((stop, outcome.violations), (None, Vec::new()), "{fault}");
        let failed: Vec<_> = outcome.expectations.iter().filter(|one| !one.passed).collect();
        assert!(failed.is_empty(), "{fault}: {failed:#?}");
        prints.push(outcome.fingerprint);
    }
    assert_eq!(prints[0], prints[1], "{fault}: a ticked run differs");
}

/// Nothing that waits a second for a connection, or five for an answer, hears anything across the cut; within a zone,
/// before and after, all is well. The client with an open connection asks on until it ends: of its 78 s, 58 are cut off.
#[test]
fn zones_that_lose_each_other_do_not_answer_each_other() {
    expectations(
        "partition: {zone: zone-b, from: zone-a}",
        &[
            "error_rate(before) == 0",
            "error_rate(while) == 1",
            "error_rate(other) == 1",
            "error_rate(after) == 0",
            "error_rate(open) > 0.7",
            "ready_nodes == 4 always after 30s",
        ],
    );
}

/// `shop` and `db` do not reach each other, whatever lies between; `web` and `db` do.
#[test]
fn services_that_lose_each_other_leave_the_others_alone() {
    expectations(
        "servicePartition: {service: db, from: shop}",
        &["error_rate(before) == 0", "error_rate(while) == 1", "error_rate(other) == 0", "error_rate(after) == 0"],
    );
    expectations(
        "servicePartition: {service: db}",
        &["error_rate(while) == 1", "error_rate(other) == 1", "error_rate(after) == 0"],
    );
}

/// 100 ms more each way: 2 × (0.8 + 100) + 10 = 211.6 ms instead of 11.6. Nodes are Ready all the time: a lease that comes
/// 100 ms later is no lease lost.
#[test]
fn packets_that_are_late_make_answers_late() {
    expectations(
        "slowNetwork: {node: n-0, latency: 100ms}",
        &[
            "latency_max(before) <= 11.7ms",
            "latency_p50(while) >= 211.4ms",
            "latency_max(while) <= 211.8ms",
            "latency_max(other) <= 11.7ms",
            "latency_max(after) <= 11.7ms",
            "error_rate(while) == 0",
            "ready_nodes == 4 always after 30s",
        ],
    );
}

/// Of ten packets one is lost. A connection needs two to arrive, 0.81 of them; the next SYN comes after a second, which is
/// what the client waits: those that need a second one are as good as lost if that is lost too, 0.19² = 3.6 % (two
/// standard deviations of 560: 1.6 %). Of the others a fifth waits for a second, and so does the 90th percentile.
#[test]
fn packets_that_are_lost_are_sent_again() {
    expectations(
        "slowNetwork: {node: n-1, loss: 10%}",
        &[
            "latency_max(before) <= 11.7ms",
            "latency_p50(while) <= 12ms",
            "latency_p90(while) >= 1s",
            "error_rate(while) > 0.01",
            "error_rate(while) < 0.07",
            "error_rate(after) == 0",
        ],
    );
}

/// Answers of DNS are good for 30 s. `other` asks the first time while nobody answers, from 62 s on, and never hears of an
/// address: no request arrives. `shop` as the client `while`, neither. Who has an open connection needs no name.
#[test]
fn without_names_only_open_connections_go_on() {
    expectations(
        "dnsOutage: {}",
        &[
            "error_rate(before) == 0",
            "error_rate(while) == 1",
            "error_rate(other) == 1",
            "error_rate(open) == 0",
            "error_rate(after) == 0",
        ],
    );
}
