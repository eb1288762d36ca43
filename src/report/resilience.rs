//! Availability, error budgets, mean times and headroom: a table for people, rows for programs.

use super::csv::Sheet;
use super::tables::{BAD, DIM, Table, paint};
use super::terminal::{WIDTH, heading};
use super::text::{fit, length, replica_seconds, whole_percent, wrap};
use crate::metrics::{Record, Recovery, Resilience};
use crate::time::SimDuration;
use serde::Serialize;
use std::io::{self, Write};

/// What `summary.json` says of it.
#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are their own documentation: this is the file's form")]
pub struct Row {
    pub faults: usize,
    pub outages: usize,
    pub mean_time_to_detect: Option<f64>,
    pub mean_time_to_recover: Option<f64>,
    pub mean_time_between: Option<f64>,
    pub pods_lost: usize,
    pub pods_restarted: usize,
    pub pods_rescheduled: usize,
    pub work_lost: f64,
    pub headroom_nodes: usize,
    pub workloads: Vec<WorkloadRow>,
}

#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "as above")]
pub struct WorkloadRow {
    pub namespace: String,
    pub name: String,
    pub observed: f64,
    pub availability: f64,
    pub whole_availability: f64,
    pub budget_availability: Option<f64>,
    pub unavailable_replica_seconds: f64,
    pub blast_radius: f64,
    pub promised: Option<f64>,
    pub error_budget_burnt: Option<f64>,
}

fn share(millionths: i64) -> f64 {
    millionths as f64 / 1e6
}

/// For `summary.json`.
pub fn row(record: &Record) -> Row {
    let found = Resilience::of(record);
    let seconds = |time: Option<SimDuration>| time.map(SimDuration::as_secs_f64);
    let workload = |row: &crate::metrics::resilience::WorkloadResilience| WorkloadRow {
        namespace: record.workloads[row.workload].namespace.to_string(),
        name: record.workloads[row.workload].name.to_string(),
        observed: row.observed.as_secs_f64(),
        availability: share(row.served),
        whole_availability: share(row.whole),
        budget_availability: row.budget.map(share),
        unavailable_replica_seconds: row.missing as f64 / 1e9,
        blast_radius: share(row.blast),
        promised: row.burnt.map(|burnt| share(burnt.0)),
        error_budget_burnt: row.burnt.map(|burnt| share(burnt.1)),
    };
    Row {
        faults: found.faults,
        outages: found.outages,
        mean_time_to_detect: seconds(found.detect),
        mean_time_to_recover: seconds(found.recover),
        mean_time_between: seconds(found.between),
        pods_lost: found.lost,
        pods_restarted: found.restarted,
        pods_rescheduled: found.rescheduled,
        work_lost: found.work_lost.as_secs_f64(),
        headroom_nodes: found.headroom,
        workloads: found.workloads.iter().map(workload).collect(),
    }
}

/// `resilience.csv`: one row for each workload; shares between 0 and 1, times in seconds.
pub fn csv(record: &Record, out: &mut dyn Write) -> io::Result<()> {
    let mut sheet = Sheet::new(
        out,
        &[
            "namespace",
            "workload",
            "observed_s",
            "availability",
            "whole_availability",
            "budget_availability",
            "unavailable_replica_s",
            "blast_radius",
            "promised",
            "error_budget_burnt",
        ],
    )?;
    let maybe = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    for row in row(record).workloads {
        sheet.row([
            row.namespace,
            row.name,
            row.observed.to_string(),
            row.availability.to_string(),
            row.whole_availability.to_string(),
            maybe(row.budget_availability),
            row.unavailable_replica_seconds.to_string(),
            row.blast_radius.to_string(),
            maybe(row.promised),
            maybe(row.error_budget_burnt),
        ])?;
    }
    sheet.end()
}

/// `faults.csv`: one row for each fault; times in seconds from its beginning, empty for never.
pub fn faults_csv(record: &Record, out: &mut dyn Write) -> io::Result<()> {
    let mut sheet = Sheet::new(
        out,
        &[
            "started_s",
            "ended_s",
            "kind",
            "description",
            "detection_s",
            "decision_s",
            "replacement_s",
            "full_strength_s",
            "unavailable_replica_s",
            "pods_lost",
            "pods_restarted",
            "pods_rescheduled",
            "work_lost_s",
            "blast_radius",
        ],
    )?;
    let seconds = |time: Option<SimDuration>| time.map(|time| time.as_secs_f64().to_string()).unwrap_or_default();
    for (at, incident) in record.incidents.iter().enumerate().filter(|(_, incident)| incident.is_fault()) {
        let recovery = record.recoveries.iter().find(|recovery| recovery.incident == at);
        let time = |of: fn(&Recovery) -> Option<SimDuration>| seconds(recovery.and_then(of));
        let count = |of: fn(&Recovery) -> usize| recovery.map_or(0, of).to_string();
        sheet.row([
            incident.started.as_secs_f64().to_string(),
            incident.ended.map(|end| end.as_secs_f64().to_string()).unwrap_or_default(),
            incident.fault.kind.to_string(),
            incident.description.to_string(),
            time(Recovery::detection),
            time(Recovery::decision),
            time(Recovery::time_to_replace),
            time(Recovery::time_to_full_strength),
            recovery.map_or(0.0, |recovery| recovery.unavailable() as f64 / 1e9).to_string(),
            count(Recovery::lost),
            count(Recovery::restarted),
            count(Recovery::rescheduled),
            recovery.map_or(0.0, |recovery| recovery.work_lost().as_secs_f64()).to_string(),
            share(recovery.map_or(0, Recovery::blast)).to_string(),
        ])?;
    }
    sheet.end()
}

/// Workloads listed before the rest is only counted.
const SHOWN: usize = 12;

/// The section of the report; nothing if nothing went wrong and nothing was promised.
pub fn table(record: &Record) -> Vec<String> {
    let found = Resilience::of(record);
    if found.workloads.is_empty() || (found.outages == 0 && record.objectives.is_empty()) {
        return Vec::new();
    }
    let mut lines = vec![heading("Availability")];
    let mut table = Table::new(&["WORKLOAD", ">SERVED", ">ALL UP", ">≥ PDB", ">MISSING s", ">WORST", ">BURNT"]);
    for row in found.workloads.iter().take(SHOWN) {
        let burnt = row.burnt.map_or("-".to_string(), |(_, burnt)| {
            let text = whole_percent(burnt);
            if burnt > 1_000_000 { paint(BAD, &text) } else { text }
        });
        table.row(vec![
            fit(&record.workloads[row.workload].name, 16),
            nines(row.served),
            nines(row.whole),
            row.budget.map_or("-".to_string(), nines),
            replica_seconds(row.missing),
            whole_percent(row.blast),
            burnt,
        ]);
    }
    lines.extend(table.lines());
    if found.workloads.len() > SHOWN {
        lines.push(paint(DIM, &format!("  … and {} more; resilience.csv has them all", found.workloads.len() - SHOWN)));
    }
    let time = |time: Option<SimDuration>| time.map_or("-".to_string(), length);
    lines.push(String::new());
    let mut say = |text: String| lines.extend(wrap(&text, WIDTH - 2).into_iter().map(|line| format!("  {line}")));
    say(format!(
        "mean time to detect {}, to recover {}, between outages {}",
        time(found.detect),
        time(found.recover),
        time(found.between)
    ));
    let work = match found.work_lost {
        SimDuration::ZERO => String::new(),
        work => format!(", work {}", length(work)),
    };
    say(format!(
        "pods lost {}{work}, restarted {}, rescheduled {}; {} more nodes can be lost",
        found.lost, found.restarted, found.rescheduled, found.headroom
    ));
    lines
}

/// `99.9871%`; `100%` only if nothing is missing.
fn nines(millionths: i64) -> String {
    match millionths {
        1_000_000.. => "100%".to_string(),
        _ => format!("{}.{:04}%", millionths / 10_000, millionths % 10_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_percent_is_everything() {
        let table = [(1_000_000, "100%"), (999_999, "99.9999%"), (803_418, "80.3418%"), (0, "0.0000%")];
        for (millionths, text) in table {
            assert_eq!(nines(millionths), text);
        }
    }
}
