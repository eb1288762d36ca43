//! The reports of a crash played by hand.

use super::{summary, terminal};
use crate::metrics::Record;
use crate::metrics::testing::node_crash;
use crate::metrics::traffic::{End, FlowTraffic, TrafficRecord, Window, band};
use crate::model::Name;
use crate::outcome::{ExpectationResult, Outcome, RunStats};
use crate::time::{SimDuration, SimTime};

/// Ten minutes of a request a second, a tenth of them refused, the others answered after 20 ms.
fn traffic() -> TrafficRecord {
    let latency = SimDuration::from_millis(20);
    let mut flow = FlowTraffic { name: Name::from("web"), namespace: Name::from("default"), ..FlowTraffic::default() };
    flow.windows = vec![Window::default(); 60];
    for second in 0..600 {
        let end = if second % 10 == 0 { End::Refused } else { End::Success };
        let window = &mut flow.windows[second / 10];
        (flow.begun, window.begun) = (flow.begun + 1, window.begun + 1);
        flow.ends.add(end);
        window.ends.add(end);
        if end == End::Success {
            flow.latencies.add(latency);
            window.bands[band(latency)] += 1;
        }
    }
    let services = vec![flow];
    TrafficRecord { window: SimDuration::from_secs(10), services, ..TrafficRecord::default() }
}

#[test]
fn requests_are_in_every_report() {
    let outcome = outcome();
    let text = plain(&terminal::render(&outcome));
    assert!(text.contains("web           600         0.9   10.0%  20.0ms"), "{text}");
    assert!(text.contains("web: 60 connection refused"), "{text}");
    let summary: serde_json::Value = serde_json::from_str(&summary::json(&outcome)).unwrap();
    let web = &summary["traffic"]["services"][0];
    assert_eq!((&web["answered"], &web["failures"]["refused"]), (&540.into(), &60.into()));
    let traffic = outcome.record.traffic.as_ref().unwrap();
    let table = super::csv::text(|out| super::traffic::csv(traffic, out));
    assert_eq!(table.lines().count(), 61);
    assert!(table.lines().nth(1).unwrap().starts_with("0,service,web,1,0.9,0,0.1,"), "{table}");
}

/// The outcome of `testing::node_crash`, with one expectation held and one failed.
pub(super) fn outcome() -> Outcome {
    let end = SimTime::from_secs(600);
    let expectation = |text: &str, passed, detail: &str| ExpectationResult {
        text: text.to_string(),
        passed,
        detail: detail.to_string(),
    };
    Outcome {
        scenario_name: "node-failure".to_string(),
        description: "A worker dies; its pods are replaced elsewhere.".to_string(),
        seed: 42,
        duration: SimDuration::from_secs(600),
        end,
        fingerprint: "00112233445566778899aabbccddeeff".to_string(),
        stats: RunStats { events: 12_345, reconciles: 4_000, writes: 321, refused: 0 },
        record: Record { traffic: Some(traffic()), ..node_crash().finish(600.0) },
        expectations: vec![
            expectation("available(web) >= 2 always", true, "lowest 2"),
            expectation("recovery_time < 90s", false, "345s"),
        ],
        violations: Vec::new(),
        stopped: None,
    }
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

#[test]
fn the_terminal_report_fits_80_columns_and_says_what_matters() {
    let text = plain(&terminal::render(&outcome()));
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{} columns: {line}", line.chars().count());
    }
    for part in [
        "node-failure  ✗ 1 of 2 expectations failed",
        "✓ available(web) >= 2 always  lowest 2",
        "seed 42 · 10m0s of virtual time",
        "1:00.000  node b crashes",
        "web             3       2              5m45.0s                 345.0",
        "5m40.1s     +100ms",
        "▲",
        "all workers (3)",
    ] {
        assert!(text.contains(part), "missing {part:?} in\n{text}");
    }
}

#[test]
fn the_summary_is_json_and_yaml_of_one_form() {
    let outcome = outcome();
    let json: serde_json::Value = serde_json::from_str(&summary::json(&outcome)).unwrap();
    let yaml: serde_json::Value = serde_yaml::from_str(&summary::yaml(&outcome)).unwrap();
    assert_eq!(json, yaml);
    assert_eq!(json["schemaVersion"], 1);
    assert_eq!(json["passed"], false);
    assert_eq!(json["recoveries"][0]["detection"], 40.0);
    assert_eq!(json["recoveries"][0]["pods"][0]["replacement"], "web-4");
    assert_eq!(json["workloads"][0]["servingLowest"], 2);
}
