//! The events of a timeline: who told what about what, and how often.
//!
//! Names that end in chance or in the minute of a cron job, and nodes, are starred: `Created pod: web-*-*`. An event that
//! was told again is one row with a higher count, whatever the recorder combined with it.

use super::recording::{Op, Row};
use std::collections::BTreeMap;

/// How often each event was told.
pub type Told = BTreeMap<String, u64>;

/// What workloads' controllers and the scheduler told after the zero.
pub fn told(rows: &[Row]) -> Told {
    let mut events: BTreeMap<(&str, &str), (String, u64)> = BTreeMap::new();
    let of_workloads = |row: &&Row| row.kind == "Event" && row.op != Op::Delete && row.t >= 0.0;
    for row in rows.iter().filter(of_workloads) {
        let event = events.entry((&row.namespace, &row.name)).or_default();
        match row.field.as_str() {
            // The first content says what it is; one that stands for similar ones changes its message.
            "event" if event.0.is_empty() => *event = (starred(&row.new), event.1.max(1)),
            "count" => event.1 = row.new.parse().expect("a count"),
            _ => {}
        }
    }
    let mut told = Told::new();
    let left_out = |text: &str| {
        let of_cluster = text.starts_with("Node/") || text.starts_with("Lease/");
        // Which pods of a job that fails are still there to be deleted, is a matter of a tenth of a second.
        of_cluster || text.contains("|SuccessfulDelete|job-controller|")
    };
    for (text, count) in events.into_values() {
        if !text.is_empty() && !left_out(&text) {
            *told.entry(text).or_default() += count;
        }
    }
    told
}

/// `Kind/name|type|reason|source|message`, without what chance decides.
fn starred(text: &str) -> String {
    let fields: Vec<&str> = text.splitn(5, '|').collect();
    let [regarding, kind, reason, source, message] = fields.as_slice() else { return text.to_string() };
    // The recordings have the component twice, as the source and as the one that reports.
    let (first, second) = source.split_at(source.len() / 2);
    let source = if first == second { first } else { source };
    let message = message.trim_start_matches("(combined from similar events): ");
    [without_chance(regarding), kind.to_string(), reason.to_string(), source.to_string(), without_chance(message)]
        .join("|")
}

fn without_chance(text: &str) -> String {
    let in_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let mut out = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c| !in_name(c)).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let segments: Vec<&str> =
            name.split('-').map(|segment| if by_chance(segment) { "*" } else { segment }).collect();
        out.push_str(&segments.join("-"));
        let next = after.chars().next().map_or(0, char::len_utf8);
        out.push_str(&after[..next]);
        rest = &after[next..];
    }
    out
}

/// A suffix that the API server drew, a hash of a template, the minute of a cron job, or a node.
fn by_chance(segment: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let drawn = segment.len() >= 5 && segment.bytes().all(|b| b"bcdfghjklmnpqrstvwxz2456789".contains(&b));
    drawn || (segment.len() >= 8 && digits(segment)) || segment.strip_prefix('n').is_some_and(digits)
}

/// What was told oftener in one than in the other. Where sizes vary from run to run, only what was told counts.
pub fn differences(recorded: &Told, ours: &Told, counted: bool) -> Vec<String> {
    let numberless = |told: &Told| -> Told {
        let plain = |text: &str| text.chars().filter(|c| !c.is_ascii_digit()).collect();
        told.keys().map(|text| (plain(text), 1)).collect()
    };
    let (recorded, ours) =
        if counted { (recorded.clone(), ours.clone()) } else { (numberless(recorded), numberless(ours)) };
    let texts: std::collections::BTreeSet<&String> = recorded.keys().chain(ours.keys()).collect();
    let count = |told: &Told, text: &String| told.get(text).copied().unwrap_or(0);
    let different = texts.into_iter().filter(|text| count(&recorded, text) != count(&ours, text));
    different
        .map(|text| format!("event {text}: {} times, recorded {}", count(&ours, text), count(&recorded, text)))
        .collect()
}
