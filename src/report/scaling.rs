//! How capacity followed the load, for people and for programs. Scenarios without loads and autoscaled nodes have no
//! such section.

use super::tables::{DIM, Table, paint};
use super::terminal::heading;
use super::text::{fit, length, percent};
use crate::metrics::scaling::{Latency, LoadRecord, Quality, node_latency, pod_latency};
use crate::metrics::{PodRecord, Record};
use crate::time::{SimDuration, SimTime};
use serde::Serialize;

/// A pod that waited longer than this for its place waited for a node.
const WAITED: SimDuration = SimDuration::from_secs(5);

/// Pods of loads that were made during the run, and whether they waited for a node.
fn latencies(record: &Record) -> Vec<(&'static str, Latency)> {
    let later = |pod: &PodRecord| pod.created > SimTime::from_secs(1) && pod.workload.is_some();
    let waited = |pod: &PodRecord| pod.queue_delay().is_some_and(|delay| delay > WAITED);
    let all = [
        ("pods with room", pod_latency(record, |pod| later(pod) && !waited(pod))),
        ("pods that waited for a node", pod_latency(record, |pod| later(pod) && waited(pod))),
        ("nodes", node_latency(record)),
    ];
    all.into_iter().filter(|(_, latency)| latency.count > 0).collect()
}

fn concerned(record: &Record) -> bool {
    !record.loads.is_empty() || record.nodes.iter().any(|node| node.asked.is_some())
}

/// The section of the report.
pub fn lines(record: &Record) -> Vec<String> {
    if !concerned(record) {
        return Vec::new();
    }
    let mut lines = vec![heading("Scaling: capacity of ready pods against the load")];
    if !record.loads.is_empty() {
        let mut table = Table::new(&["", ">CORES", ">MOST", ">LOST", ">SHORT", ">IDLE", ">SPARE", ">TURNS"]);
        for load in &record.loads {
            let quality = load.quality(record.end);
            let cores = |milli: f64| format!("{:.1}", milli / 1000.0);
            table.row(vec![
                fit(&load.name, 24),
                cores(quality.demand_mean),
                cores(quality.demand_max as f64),
                percent(quality.lost),
                percent(quality.too_little),
                percent(quality.idle),
                percent(quality.too_much),
                quality.turns.to_string(),
            ]);
        }
        lines.extend(table.lines());
        let what = "lost, idle: part of the load; short, spare: share of the run";
        lines.push(format!("  {}", paint(DIM, what)));
    }
    for (name, latency) in latencies(record) {
        let (median, longest) = latency.whole;
        let times = format!("{} (median), {} (longest)", length(median), length(longest));
        lines.push(format!("  {} {name}: {times}", latency.count));
        let steps = latency.steps.iter().map(|(step, median, _)| format!("{step} {}", length(*median)));
        lines.push(format!("    {}", paint(DIM, &steps.collect::<Vec<_>>().join(", "))));
    }
    lines
}

/// The same for programs.
#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are their own documentation: this is the file's form")]
pub struct Scaling<'a> {
    pub loads: Vec<LoadRow<'a>>,
    pub latencies: Vec<LatencyRow>,
}

#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "as above; shares are between 0 and 1")]
pub struct LoadRow<'a> {
    pub load: &'a str,
    pub cores_mean: f64,
    pub cores_max: f64,
    pub lost: f64,
    pub too_little: f64,
    pub idle: f64,
    pub too_much: f64,
    pub under: f64,
    pub over: f64,
    pub turns: usize,
}

#[derive(Serialize, Debug)]
#[expect(missing_docs, reason = "as above; times are in seconds")]
pub struct LatencyRow {
    pub of: &'static str,
    pub count: usize,
    pub median: f64,
    pub max: f64,
    pub steps: Vec<(&'static str, f64, f64)>,
}

/// The figures; none where there is nothing to scale.
pub fn summary(record: &Record) -> Option<Scaling<'_>> {
    let load = |load: &'_ LoadRecord| -> Quality { load.quality(record.end) };
    let row = |one| {
        let quality = load(one);
        LoadRow {
            load: &one.name,
            cores_mean: quality.demand_mean / 1000.0,
            cores_max: quality.demand_max as f64 / 1000.0,
            lost: quality.lost,
            too_little: quality.too_little,
            idle: quality.idle,
            too_much: quality.too_much,
            under: quality.under,
            over: quality.over,
            turns: quality.turns,
        }
    };
    let seconds = SimDuration::as_secs_f64;
    let latency = |(of, latency): (&'static str, Latency)| LatencyRow {
        of,
        count: latency.count,
        median: seconds(latency.whole.0),
        max: seconds(latency.whole.1),
        steps: latency.steps.iter().map(|(step, median, max)| (*step, seconds(*median), seconds(*max))).collect(),
    };
    concerned(record).then(|| Scaling {
        loads: record.loads.iter().map(row).collect(),
        latencies: latencies(record).into_iter().map(latency).collect(),
    })
}
