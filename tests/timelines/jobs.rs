//! Milestones of jobs and cron jobs.

use super::plan::{Act, Planned, When};
use super::recording::{Mark, Op, Recording, Row};
use super::steps::{Step, Steps};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// Jobs whose pods come one after the other.
const ONE_BY_ONE: &str = "backoff-never";

/// What the recorded driver did: it created everything in the first second, and suspended and resumed one job.
pub fn plan(recording: &Recording) -> Vec<Planned> {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_string();
    let mut plan: Vec<(f64, Planned)> = Vec::new();
    for document in &recording.manifests {
        let added = recording.added(&text(&document["kind"]), &text(&document["metadata"]["name"]));
        let at = added.expect("what was sent was seen");
        plan.push((at, Planned { when: When::At(at), act: Act::Create(document.clone()), mark: None }));
    }
    for mark in &recording.marks {
        let act = match mark.mark.as_str() {
            "suspend" | "unsuspend" => Act::Patch {
                kind: "Job".to_string(),
                name: "suspend".to_string(),
                patch: json!({"spec": {"suspend": mark.mark == "suspend"}}),
            },
            "end" => Act::Nothing,
            _ => continue,
        };
        let named = Some((mark.mark.clone(), mark.detail.clone()));
        plan.push((mark.t, Planned { when: When::At(mark.t), act, mark: named }));
    }
    plan.sort_by(|a, b| a.0.total_cmp(&b.0));
    plan.into_iter().map(|(_, planned)| planned).collect()
}

/// The rows of one job and of its pods.
struct Story<'a> {
    job: Vec<&'a Row>,
    pods: Vec<&'a Row>,
}

impl Story<'_> {
    /// When a condition turned to `truth`.
    fn turned(&self, kind: &str, truth: &str) -> Option<f64> {
        let field = format!("cond:{kind}");
        self.job.iter().find(|row| row.field == field && row.new.starts_with(truth)).map(|row| row.t)
    }

    /// The last row of its pods before an instant that says what led to it.
    fn before(&self, at: f64, cause: impl Fn(&Row) -> bool) -> Option<f64> {
        let causes = self.pods.iter().filter(|row| row.t <= at && cause(row));
        causes.map(|row| row.t).max_by(f64::total_cmp)
    }
}

fn made(row: &Row) -> bool {
    row.whole("Pod", Op::Add)
}

/// A pod ended, or its container was started anew.
fn ended(row: &Row) -> bool {
    (row.field == "phase" && matches!(row.new.as_str(), "Succeeded" | "Failed"))
        || (row.field == "restarts" && row.op == Op::Modify)
        || row.op == Op::Delete
}

fn deleting(row: &Row) -> bool {
    row.field == "deletionTimestamp"
}

/// The milestones, each counted from what leads to it; those of cron jobs from the beginning.
pub fn steps(rows: &[Row], marks: &[Mark]) -> Vec<Step> {
    let end = marks.iter().find(|mark| mark.mark == "end").map_or(f64::MAX, |mark| mark.t);
    let rows: Vec<&Row> = rows.iter().filter(|row| row.t <= end).collect();
    let mut out = Vec::new();
    let mut steps = Steps { cycle: 0, out: &mut out };
    let mut runs: BTreeMap<&str, usize> = BTreeMap::new();
    for job in rows.iter().filter(|row| row.whole("Job", Op::Add)) {
        // The jobs of a cron job are named after it and its minute, which is another one in each cluster.
        let cron = job.name.rsplit_once('-').filter(|(_, minute)| minute.bytes().all(|b| b.is_ascii_digit()));
        let mut name = job.name.clone();
        if let Some((cron, _)) = cron {
            let run = runs.entry(cron).or_default();
            *run += 1;
            name = format!("{cron} run {run}");
            steps.of(&format!("{name}: made"), &name, Some(0.0), Some(job.t));
        }
        let owner = format!("Job/{}", job.name);
        let owned = rows.iter().filter(|row| row.is("Pod", "owner") && row.new == owner);
        let names: BTreeSet<&str> = owned.map(|row| row.name.as_str()).collect();
        let story = Story {
            job: rows.iter().filter(|row| row.kind == "Job" && row.name == job.name).copied().collect(),
            pods: rows.iter().filter(|row| row.kind == "Pod" && names.contains(row.name.as_str())).copied().collect(),
        };
        milestones(&name, job.t, &story, marks, &mut steps);
    }
    out
}

fn milestones(name: &str, created: f64, story: &Story<'_>, marks: &[Mark], steps: &mut Steps<'_>) {
    let mut of = |key: &str, since: Option<f64>, at: Option<f64>| {
        if at.is_some() {
            steps.of(&format!("{name}: {key}"), name, since.or(Some(created)), at);
        }
    };
    let active = story.job.iter().find(|row| row.field == "active" && !matches!(row.new.as_str(), "" | "0"));
    let active = active.map(|row| row.t);
    of("active", active.and_then(|at| story.before(at, made)), active);
    for (interim, last) in [("FailureTarget", "Failed"), ("SuccessCriteriaMet", "Complete")] {
        let (first, second) = (story.turned(interim, "True"), story.turned(last, "True"));
        of(interim, first.and_then(|at| story.before(at, ended)), first);
        // The last pods may have had to go first.
        let since = second.and_then(|at| story.before(at, ended)).max_by_time(first);
        of(last, since, second);
    }
    let over = story.turned("Complete", "True").or(story.turned("Failed", "True"));
    of("gone", over, story.job.iter().find(|row| row.op == Op::Delete).map(|row| row.t));
    let suspended = story.turned("Suspended", "True");
    of("Suspended", suspended.and_then(|at| story.before(at, deleting)), suspended);
    let resumed = marks.iter().find(|mark| mark.mark == "unsuspend").map(|mark| mark.t);
    of("resumed", resumed, story.turned("Suspended", "False"));
    if name == ONE_BY_ONE {
        let pods: Vec<f64> = story.pods.iter().filter(|row| made(row)).map(|row| row.t).collect();
        for (at, pod) in pods.iter().enumerate().skip(1) {
            of(&format!("pod {} after the failure before", at + 1), story.before(*pod, ended), Some(*pod));
        }
    }
}

/// The later of two instants.
trait Later {
    fn max_by_time(self, other: Option<f64>) -> Option<f64>;
}

impl Later for Option<f64> {
    fn max_by_time(self, other: Option<f64>) -> Option<f64> {
        self.into_iter().chain(other).max_by(f64::total_cmp)
    }
}
