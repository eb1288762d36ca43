//! A small cluster in which something goes wrong.

use kubesim::cluster::{Options, run};
use kubesim::metrics::{NodeMark, Record};
use kubesim::outcome::Outcome;
use kubesim::scenario::Scenario;
use kubesim::scenario::load::{SourceFiles, load};
use kubesim::time::SimTime;

/// No files beside the scenario, but for one that a test gives.
pub struct Files<'a>(pub &'a str);

impl SourceFiles for Files<'_> {
    fn read(&self, _: &str) -> Result<String, String> {
        Ok(self.0.to_string())
    }

    fn glob(&self, _: &str) -> Vec<String> {
        Vec::new()
    }
}

/// Two zones, two racks in each, one node in each rack: `n-0` (zone-a, rack r0) to `n-3`, then a pool of spot machines.
pub const CLUSTER: &str = "
cluster:
  controlPlane: {replicas: 1}
  nodes:
  - {name: n-0, zone: zone-a, labels: {rack: r0, disk: ssd}}
  - {name: n-1, zone: zone-b, labels: {rack: r1}}
  - {name: n-2, zone: zone-a, labels: {rack: r0}}
  - {name: n-3, zone: zone-b, labels: {rack: r2, disk: ssd}}
  pools: [{name: spot, count: 2, zones: [zone-a, zone-b]}]
behavior:
- {startTime: 1s, imageSize: 0, terminationTime: 1s}
";

/// A Deployment `web` of so many replicas, and what belongs to it.
pub fn web(replicas: u32) -> String {
    format!(
        "
manifests:
  inline:
  - apiVersion: apps/v1
    kind: Deployment
    metadata: {{name: web}}
    spec:
      replicas: {replicas}
      selector: {{matchLabels: {{app: web}}}}
      template:
        metadata: {{labels: {{app: web}}}}
        spec: {{containers: [{{name: main, image: web, resources: {{requests: {{cpu: 100m}}}}}}]}}
  - apiVersion: v1
    kind: Service
    metadata: {{name: web}}
    spec: {{selector: {{app: web}}, ports: [{{port: 80}}]}}
"
    )
}

/// The scenario of these parts.
pub fn scenario(duration: &str, parts: &str) -> Scenario {
    let text = format!("name: test\nduration: {duration}\n{CLUSTER}{parts}");
    load("test.yaml", &text, &[], &Files("")).unwrap_or_else(|error| panic!("{error}"))
}

/// What becomes of it, with all checks on.
pub fn outcome(duration: &str, parts: &str) -> Outcome {
    let scenario = scenario(duration, parts);
    let options = Options { checks: kubesim::checks::Checks::All, ..Options::of(&scenario) };
    let (outcome, stop) = run(&scenario, &options, &mut |_, _| true).unwrap();
    assert_eq!(stop, None);
    assert_eq!(outcome.violations, Vec::<String>::new());
    outcome
}

/// The record of it.
pub fn record(duration: &str, parts: &str) -> Record {
    outcome(duration, parts).record
}

/// When a node's mark was set, in seconds.
pub fn mark(record: &Record, node: &str, mark: NodeMark) -> Option<f64> {
    let node = record.nodes.iter().find(|row| row.name == node)?;
    let at = node.marks.iter().find(|(time, have)| *have == mark && *time > SimTime::ZERO)?;
    Some(at.0.as_secs_f64())
}

/// The spans in which a node's machine did not run, in seconds.
pub fn down(record: &Record, node: &str) -> Vec<(f64, f64)> {
    let marks = &record.nodes.iter().find(|row| row.name == node).unwrap().marks;
    let mut spans = Vec::new();
    let mut since = None;
    for (time, mark) in marks {
        match mark {
            NodeMark::Down => since = Some(time.as_secs_f64()),
            NodeMark::Up => spans.extend(since.take().map(|since: f64| (since, time.as_secs_f64()))),
            _ => {}
        }
    }
    spans.extend(since.map(|since| (since, f64::INFINITY)));
    spans
}

/// Who was hit by each fault, in order, with the seconds it lasted.
pub fn hits(record: &Record) -> Vec<(Vec<String>, Option<f64>)> {
    let faults = record.incidents.iter().filter(|incident| incident.is_fault());
    let row = |incident: &kubesim::metrics::IncidentRecord| {
        let nodes = incident.fault.nodes.iter().map(ToString::to_string);
        let pods = incident.fault.pods.iter().map(|pod| pod.name.to_string());
        (nodes.chain(pods).collect(), incident.ended.map(|end| (end - incident.started).as_secs_f64()))
    };
    faults.map(row).collect()
}
