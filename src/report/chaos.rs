//! What a fault search came to, for people (80 columns) and programs.

use super::tables::{BAD, BOLD, DIM, GOOD, Table, paint};
use super::text::{fit, wrap};
use crate::experiment::chaos::judge::Finding;
use crate::experiment::chaos::{Found, Search};
use serde_json::{Value, json};
use std::path::Path;

/// The version of the JSON form.
pub const SCHEMA_VERSION: u32 = 1;

const WIDTH: usize = 80;

/// The file with the smallest schedule of the `at`-th finding.
pub fn file_name(at: usize) -> String {
    format!("failing-{}.yaml", at + 1)
}

/// For a person; the files of the findings are in `folder`.
pub fn render(search: &Search, folder: &Path) -> String {
    let (wished, done) = search.runs;
    let title = format!("{}: {done} random fault schedules, seed {}", search.scenario, search.seed);
    let mut lines = vec![paint(BOLD, &title)];
    if !search.broken_at_rest.is_empty() {
        lines.extend(wrap("The scenario is broken without any fault; nothing was searched:", WIDTH));
        for finding in &search.broken_at_rest {
            lines.push(format!("  {}", paint(BAD, &fit(&finding.sentence(), WIDTH - 2))));
        }
        return lines.join("\n") + "\n";
    }
    if done < wished {
        lines.push(format!("interrupted: {} of {wished} runs were not done", wished - done));
    }
    lines.push(String::new());
    if search.found.is_empty() {
        lines.push(paint(GOOD, "Nothing broke."));
    }
    for (at, found) in search.found.iter().enumerate() {
        lines.extend(block(search, at, found, folder));
        lines.push(String::new());
    }
    lines.extend(coverage(search));
    lines.join("\n") + "\n"
}

fn block(search: &Search, at: usize, found: &Found, folder: &Path) -> Vec<String> {
    let mut lines = vec![paint(BAD, &fit(&format!("{}. {}", at + 1, found.sentence()), WIDTH))];
    let faults = |count: usize| if count == 1 { "1 fault".to_string() } else { format!("{count} faults") };
    let how = wrap(
        &format!(
            "in {} of {} runs; run {} had {}, {} of them {} needed (found in {} runs):",
            found.runs,
            search.runs.1,
            found.first,
            faults(found.faults),
            found.schedule.len(),
            if found.schedule.len() == 1 { "is" } else { "are" },
            found.attempts
        ),
        WIDTH - 3,
    );
    lines.extend(how.iter().map(|line| format!("   {line}")));
    for entry in found.schedule.iter().flat_map(|deed| &deed.entries) {
        lines.push(fit(&format!("     - {}", flow(entry)), WIDTH));
    }
    // Not cut, however long: it is to be copied.
    lines.push(paint(DIM, &format!("   sim run {}", quoted(&folder.join(file_name(at)).display().to_string()))));
    lines.extend(look_for(found).map(|text| paint(DIM, &format!("   {text}"))));
    lines
}

/// What to look for where no expectation can say it: the file has nothing that fails.
pub fn look_for(found: &Found) -> Option<&'static str> {
    matches!(found.finding, Finding::Unfinished(_) | Finding::Unrecovered(_)).then_some(match found.finding {
        Finding::Unfinished(_) => "No expectation says that it ends: look for \"not done at the end\".",
        _ => "No expectation says that it recovers: look at its replicas at the end.",
    })
}

/// A path as a shell takes it.
fn quoted(path: &str) -> String {
    match path.chars().all(|c| c.is_alphanumeric() || "/._-+,:@%".contains(c)) {
        true => path.to_string(),
        false => format!("'{}'", path.replace('\'', "'\\''")),
    }
}

/// A value as YAML in one line: `{at: 2m0s, nodeCrash: {node: a}}`.
fn flow(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let pairs: Vec<String> = map.iter().map(|(key, value)| format!("{key}: {}", flow(value))).collect();
            format!("{{{}}}", pairs.join(", "))
        }
        Value::Array(list) => format!("[{}]", list.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn coverage(search: &Search) -> Vec<String> {
    let coverage = &search.coverage;
    let mut lines = vec![paint(BOLD, "What was tried")];
    let mut table = Table::new(&["FAULT", ">TIMES", ">TARGETS", ">IN RUNS THAT BROKE"]);
    for (kind, tried) in &coverage.kinds {
        table.row(vec![kind.clone(), tried.times.to_string(), tried.targets.to_string(), tried.broke.to_string()]);
    }
    lines.extend(table.lines());
    let of = |(have, all): (usize, usize)| format!("{have} of {all}");
    lines.extend(wrap(
        &format!(
            "Pairs of kinds together: {}. Nodes hit: {}. Minutes in which a fault began: {}.",
            of(coverage.pairs),
            of(coverage.machines),
            of(coverage.minutes)
        ),
        WIDTH,
    ));
    lines
}

/// For a program.
pub fn json(search: &Search) -> String {
    let found = |(at, found): (usize, &Found)| {
        json!({
            "kind": found.finding.kind(),
            "finding": found.sentence(),
            "runs": found.runs,
            "firstRun": found.first,
            "seed": found.seed,
            "faultsBefore": found.faults,
            "faults": found.schedule.len(),
            "attempts": found.attempts,
            "timeline": found.schedule.iter().flat_map(|deed| deed.entries.clone()).collect::<Vec<Value>>(),
            "file": file_name(at),
        })
    };
    let coverage = &search.coverage;
    let kinds = coverage.kinds.iter().map(|(kind, tried)| {
        json!({"fault": kind, "times": tried.times, "targets": tried.targets, "inRunsThatBroke": tried.broke})
    });
    let of = |(have, all): (usize, usize)| json!({"tried": have, "of": all});
    let value = json!({
        "schemaVersion": SCHEMA_VERSION,
        "scenario": search.scenario,
        "seed": search.seed,
        "runsWished": search.runs.0,
        "runs": search.runs.1,
        "brokenAtRest": search.broken_at_rest.iter().map(|finding| finding.sentence()).collect::<Vec<_>>(),
        "found": search.found.iter().enumerate().map(found).collect::<Vec<_>>(),
        "coverage": {
            "faults": kinds.collect::<Vec<_>>(),
            "pairs": of(coverage.pairs),
            "nodes": of(coverage.machines),
            "minutes": of(coverage.minutes),
        },
    });
    serde_json::to_string_pretty(&value).expect("plain data becomes JSON") + "\n"
}
