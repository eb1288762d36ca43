//! Decisions recorded from the real controllers, file by file. Every case must agree.

mod autoscaler_rules;
mod autoscalers;
mod cron_jobs;
mod deployments;
mod disruption;
mod endpoint_slices;
mod jobs;
mod nodes;
mod nodes_under_pressure;
mod pods_and_selectors;
mod quotas;
mod replica_sets;
mod stateful_sets;
mod topology_hints;

use crate::support;
use kubesim::time::{EPOCH_UNIX_SECONDS, SimTime};
use serde_json::Value;

/// The virtual time of a Unix second.
fn at(seconds: &Value) -> SimTime {
    SimTime::from_secs(seconds.as_i64().expect("a time in Unix seconds") - EPOCH_UNIX_SECONDS)
}

/// The Unix second of a virtual time.
fn unix(time: SimTime) -> i64 {
    EPOCH_UNIX_SECONDS + time.whole_seconds()
}

fn int(value: &Value) -> i32 {
    i32::try_from(value.as_i64().expect("an integer")).expect("a small integer")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Runs `case` on every line of a file; it answers what differs, if anything does.
fn agree(file: &str, case: impl Fn(&Value) -> Option<String>) {
    let cases = support::read_jsonl_gz(&support::golden_dir().join("controllers").join(format!("{file}.jsonl.gz")));
    let wrong: Vec<String> =
        cases.iter().filter_map(|value| case(value).map(|why| format!("case {}: {why}", value["id"]))).collect();
    println!("{file}: {} of {} agree", cases.len() - wrong.len(), cases.len());
    assert!(
        wrong.is_empty(),
        "{file}: {} of {} differ\n{}",
        wrong.len(),
        cases.len(),
        wrong[..wrong.len().min(5)].join("\n")
    );
}

/// What differs between an answer and the recorded one.
fn differs(ours: &Value, recorded: &Value) -> Option<String> {
    (ours != recorded).then(|| format!("\n     ours {ours}\n recorded {recorded}"))
}
