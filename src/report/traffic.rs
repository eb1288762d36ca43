//! What users felt: requests by service and client, in a table, in the summary, and over time for spreadsheets.

use super::csv::Sheet;
use super::tables::{BAD, DIM, Table, paint};
use super::terminal::heading;
use super::text::{count, fit, length, percent};
use crate::metrics::Record;
use crate::metrics::traffic::{Counts, ENDS, End, FlowTraffic, PodTraffic, TrafficRecord};
use crate::time::{SimDuration, SimTime};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// A latency as precise as is read: `0.8ms`, `12.4ms`, `1.20s`.
fn latency(duration: Option<SimDuration>) -> String {
    match duration {
        None => "-".to_string(),
        Some(duration) if duration.0 < 100_000_000 => {
            let micros = (duration.0 + 500) / 1000;
            format!("{}.{}ms", micros / 1000, micros % 1000 / 100)
        }
        Some(duration) => length(duration),
    }
}

/// A share of failures: small ones are not nothing.
fn rate(share: f64) -> String {
    match share {
        0.0 => "0".to_string(),
        share if share < 0.0001 => "<0.01%".to_string(),
        share if share < 0.01 => format!("{:.2}%", share * 100.0),
        share => percent(share),
    }
}

/// The section of the report for a person.
pub(super) fn table(record: &Record) -> Vec<String> {
    let Some(traffic) = &record.traffic else { return Vec::new() };
    let title = if traffic.fluid { "Requests (as flows: means, without chance)" } else { "Requests" };
    let mut lines = vec![heading(title)];
    let mut table =
        Table::new(&["SERVICE", ">REQUESTS", ">ANSWERED/s", ">FAILED", ">MEAN", ">P50", ">P90", ">P99", ">P99.9"]);
    // A service that nobody came to ask says nothing (several may stand behind an ingress).
    for flow in traffic.services.iter().filter(|flow| flow.begun > 0 || traffic.services.len() == 1) {
        table.row(row(flow, &flow.name, record.end));
    }
    // A client of its own service only would say the same again.
    let asked = traffic.services.iter().filter(|flow| flow.begun > 0).count();
    let several = traffic.clients.len() > asked;
    for flow in traffic.clients.iter().filter(|_| several) {
        table.row(row(flow, &format!("of {}", flow.name), record.end));
    }
    lines.extend(table.lines());
    for flow in &traffic.services {
        lines.extend(failures(flow));
    }
    lines.extend(spread(traffic));
    if traffic.under_way > 0 {
        lines.push(paint(DIM, &format!("  {} under way at the end", count(traffic.under_way))));
    }
    lines
}

/// What a million answered requests cost; nothing where nobody asked, or machines have no price.
pub(super) fn cost_per_million(record: &Record) -> Option<f64> {
    let answered: u64 = record.traffic.as_ref()?.clients.iter().map(|flow| flow.ends.of(End::Success)).sum();
    let cost = record.cost_micros();
    // Millionths for each request are units for a million.
    (answered > 0 && cost > 0).then(|| cost as f64 / answered as f64)
}

fn row(flow: &FlowTraffic, name: &str, end: SimTime) -> Vec<String> {
    let at = |share: f64| latency(flow.latencies.quantile(share));
    vec![
        fit(name, 14),
        count(flow.ends.all()),
        format!("{:.1}", flow.throughput(end - SimTime::ZERO)),
        rate(flow.ends.error_rate()),
        latency(flow.latencies.mean()),
        at(0.5),
        at(0.9),
        at(0.99),
        at(0.999),
    ]
}

/// Why requests failed.
fn failures(flow: &FlowTraffic) -> Vec<String> {
    let failed = ENDS.iter().filter(|end| **end != End::Success && flow.ends.of(**end) > 0);
    let parts: Vec<String> = failed.map(|end| format!("{} {}", count(flow.ends.of(*end)), end.title())).collect();
    if parts.is_empty() {
        return Vec::new();
    }
    let text = format!("{}: {}", flow.name, parts.join(", "));
    super::text::wrap(&text, 76).into_iter().map(|line| format!("  {}", paint(BAD, &line))).collect()
}

/// How evenly pods were used, and how far requests went.
fn spread(traffic: &TrafficRecord) -> Vec<String> {
    let mut table = Table::new(&["LOAD", ">PODS", ">VARIATION", ">BUSIEST/MEAN", ">MOST AT ONCE", ">CROSSED ZONES"]);
    let mut rows = 0;
    for flow in &traffic.services {
        let Some((variation, peak)) = flow.balance() else { continue };
        let inside = flow.distances.node + flow.distances.zone + flow.distances.crossed;
        rows += 1;
        table.row(vec![
            fit(&flow.name, 20),
            flow.pods.len().to_string(),
            percent(variation),
            format!("{peak:.2}"),
            flow.pods.iter().map(|pod| pod.most).max().unwrap_or(0).to_string(),
            if inside == 0 { "-".to_string() } else { percent(flow.distances.crossing()) },
        ]);
    }
    if rows == 0 { Vec::new() } else { std::iter::once(String::new()).chain(table.lines()).collect() }
}

/// `traffic.csv`: one row for each service or client and window.
pub(super) fn csv(traffic: &TrafficRecord, out: &mut dyn Write) -> io::Result<()> {
    let mut head = vec!["time_s", "kind", "name", "begun_per_s"];
    let ends: Vec<String> = ENDS.iter().map(|end| format!("{}_per_s", end.as_str())).collect();
    head.extend(ends.iter().map(String::as_str));
    head.extend(["p50_s", "p90_s", "p99_s"]);
    let mut sheet = Sheet::new(out, &head)?;
    let length = traffic.window.as_secs_f64();
    let per_second = |number: u64| format!("{}", number as f64 / length);
    let flows = traffic.services.iter().map(|flow| ("service", flow));
    for (kind, flow) in flows.chain(traffic.clients.iter().map(|flow| ("client", flow))) {
        for (at, window) in flow.windows.iter().enumerate() {
            let time = traffic.start.as_secs_f64() + at as f64 * length;
            let mut cells = vec![format!("{time}"), kind.to_string(), flow.name.to_string(), per_second(window.begun)];
            cells.extend(window.ends.0.iter().map(|number| per_second(*number)));
            let at = |share| window.quantile(share).map_or(String::new(), |time| format!("{}", time.as_secs_f64()));
            cells.extend([0.5, 0.9, 0.99].map(at));
            sheet.row(cells)?;
        }
    }
    sheet.end()
}

/// Traffic in the summary.
#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are their own documentation: this is the file's form")]
pub struct TrafficRow<'a> {
    pub mode: &'static str,
    pub under_way: u64,
    pub cost_per_million: Option<f64>,
    pub services: Vec<FlowRow<'a>>,
    pub clients: Vec<FlowRow<'a>>,
}

#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "as above; latencies in seconds, of answered requests")]
pub struct FlowRow<'a> {
    pub namespace: &'a str,
    pub name: &'a str,
    pub begun: u64,
    pub attempts: u64,
    pub answered: u64,
    pub failed: u64,
    pub error_rate: f64,
    pub throughput: f64,
    pub failures: BTreeMap<&'static str, u64>,
    pub latency: Option<LatencyRow>,
    pub load_variation: Option<f64>,
    pub load_peak: Option<f64>,
    pub zone_crossing: f64,
    pub pods: Vec<PodRow<'a>>,
}

#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "as above")]
pub struct LatencyRow {
    pub mean: f64,
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "as above")]
pub struct PodRow<'a> {
    pub pod: &'a str,
    pub node: &'a str,
    pub zone: &'a str,
    pub answered: u64,
    pub failures: BTreeMap<&'static str, u64>,
    pub mean_inside: f64,
    pub cpu_seconds: f64,
    pub most_at_once: u32,
    pub served_seconds: f64,
}

/// Of a record.
pub(super) fn summary(record: &Record) -> Option<TrafficRow<'_>> {
    let traffic = record.traffic.as_ref()?;
    let length = record.end - SimTime::ZERO;
    let flow = |flow| flow_row(flow, length);
    Some(TrafficRow {
        mode: if traffic.fluid { "fluid" } else { "exact" },
        under_way: traffic.under_way,
        cost_per_million: cost_per_million(record),
        services: traffic.services.iter().map(flow).collect(),
        clients: traffic.clients.iter().map(flow).collect(),
    })
}

fn named(ends: &Counts) -> BTreeMap<&'static str, u64> {
    let failed = ENDS.into_iter().filter(|end| *end != End::Success && ends.of(*end) > 0);
    failed.map(|end| (end.as_str(), ends.of(end))).collect()
}

fn flow_row(flow: &FlowTraffic, length: SimDuration) -> FlowRow<'_> {
    let seconds = |time: Option<SimDuration>| time.map_or(0.0, SimDuration::as_secs_f64);
    let at = |share| seconds(flow.latencies.quantile(share));
    let latency = (flow.latencies.count() > 0).then(|| LatencyRow {
        mean: seconds(flow.latencies.mean()),
        p50: at(0.5),
        p90: at(0.9),
        p99: at(0.99),
        p999: at(0.999),
        max: seconds(flow.latencies.max()),
    });
    let pod =
        |pod: &'_ PodTraffic| -> (u64, BTreeMap<&'static str, u64>) { (pod.ends.of(End::Success), named(&pod.ends)) };
    FlowRow {
        namespace: &flow.namespace,
        name: &flow.name,
        begun: flow.begun,
        attempts: flow.attempts,
        answered: flow.ends.of(End::Success),
        failed: flow.ends.failed(),
        error_rate: flow.ends.error_rate(),
        throughput: flow.throughput(length),
        failures: named(&flow.ends),
        latency,
        load_variation: flow.balance().map(|balance| balance.0),
        load_peak: flow.balance().map(|balance| balance.1),
        zone_crossing: flow.distances.crossing(),
        pods: flow
            .pods
            .iter()
            .map(|one| {
                let (answered, failures) = pod(one);
                PodRow {
                    pod: &one.pod,
                    node: &one.node,
                    zone: &one.zone,
                    answered,
                    failures,
                    mean_inside: one.mean.as_secs_f64(),
                    cpu_seconds: one.cpu.as_secs_f64(),
                    most_at_once: one.most,
                    served_seconds: one.served.as_secs_f64(),
                }
            })
            .collect(),
    }
}
