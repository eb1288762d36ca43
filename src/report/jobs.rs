//! Jobs: a table for the terminal and rows for `summary.json`.

use super::tables::{DIM, Table, paint};
use super::terminal::heading;
use super::text::{fit, length};
use crate::metrics::{JobRecord, JobState, Record};
use serde::Serialize;

/// Most rows of the table.
const SHOWN: usize = 12;

/// One job in `summary.json`.
#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are their own documentation: this is the file's form")]
pub struct JobRow<'a> {
    pub namespace: &'a str,
    pub name: &'a str,
    pub cron_job: Option<&'a str>,
    pub state: &'static str,
    pub reason: &'a str,
    pub completions: Option<i32>,
    pub succeeded: i64,
    pub failed: i64,
    pub created: f64,
    pub ended: Option<f64>,
    pub work_seconds: f64,
    pub lost_seconds: f64,
}

/// A job as a row.
pub fn row(job: &JobRecord) -> JobRow<'_> {
    JobRow {
        namespace: &job.namespace,
        name: &job.name,
        cron_job: Some(job.cron.as_str()).filter(|cron| !cron.is_empty()),
        state: job.state().as_str(),
        reason: &job.reason,
        completions: job.completions,
        succeeded: job.succeeded.last(),
        failed: job.failed.last(),
        created: job.created.as_secs_f64(),
        ended: job.ended().map(|at| at.as_secs_f64()),
        work_seconds: job.work.as_secs_f64(),
        lost_seconds: job.lost.as_secs_f64(),
    }
}

/// The table; nothing where there is no job.
pub fn table(record: &Record) -> Vec<String> {
    if record.jobs.is_empty() {
        return Vec::new();
    }
    let mut table = Table::new(&["JOB", "STATE", ">COMPLETIONS", ">FAILED", ">TOOK", ">WORK", ">LOST"]);
    for job in record.jobs.iter().take(SHOWN) {
        let state = match (job.state(), job.reason.as_str()) {
            (JobState::Failed, reason) if !reason.is_empty() => format!("failed: {reason}"),
            (state, _) => state.as_str().to_string(),
        };
        let wished = job.completions.map_or(String::new(), |wished| format!("/{wished}"));
        table.row(vec![
            fit(&job.name, 24),
            fit(&state, 22),
            format!("{}{wished}", job.succeeded.last()),
            job.failed.last().to_string(),
            job.duration().map_or("-".to_string(), length),
            length(job.work),
            length(job.lost),
        ]);
    }
    let mut lines = vec![heading("Jobs")];
    lines.extend(table.lines());
    if let more @ 1.. = record.jobs.len().saturating_sub(SHOWN) {
        lines.push(paint(DIM, &format!("  and {more} more; all of them are in summary.json")));
    }
    lines.push(paint(DIM, "  WORK: time of pods that ended well; LOST: time of those that did not"));
    lines
}
