//! The report for a person at a terminal: 80 columns, the verdict first, then what happened, how the
//! cluster recovered, and what it cost. Colours are always written; who prints them takes them out where
//! they are not wanted.

use super::chart::{Chart, fault_marks};
use super::tables::{BAD, BOLD, DIM, GOOD, Table, WARN, paint};
use super::text::{self, clean, count, fit, instant, length, money, percent, replica_seconds, wrap};
use crate::metrics::recovery::Step;
use crate::metrics::{Impact, NodeMark, Record, Recovery, Usage, UsageRow, WorkloadRecord};
use crate::outcome::Outcome;
use crate::time::{SimDuration, SimTime};

pub(super) const WIDTH: usize = 80;
/// Lines of the timeline before the rest is only counted.
const TIMELINE_LINES: usize = 24;
/// Recoveries shown step by step.
const RECOVERIES_SHOWN: usize = 4;
/// Charts of replicas.
const CHARTS_SHOWN: usize = 4;
/// Clusters of at most so many nodes are listed node by node.
const NODES_LISTED: usize = 12;

/// The whole report.
pub fn render(outcome: &Outcome) -> String {
    let mut lines = verdict(outcome);
    let record = &outcome.record;
    for section in [
        timeline(record),
        recoveries(record),
        super::resilience::table(record),
        rollouts(record),
        super::traffic::table(record),
        super::jobs::table(record),
        charts(record),
        pods(record),
        super::scaling::lines(record),
        warnings(record),
        usage(record),
    ] {
        if !section.is_empty() {
            lines.push(String::new());
            lines.extend(section);
        }
    }
    lines.join("\n") + "\n"
}

/// The first lines alone: verdict, expectations, and what reproduces the run.
pub fn render_verdict(outcome: &Outcome) -> String {
    verdict(outcome).join("\n") + "\n"
}

pub(super) fn heading(text: &str) -> String {
    paint(BOLD, &fit(text, WIDTH))
}

fn verdict(outcome: &Outcome) -> Vec<String> {
    let failed = outcome.expectations.iter().filter(|one| !one.passed).count();
    let all = outcome.expectations.len();
    let (style, mark, text) = match (outcome.violations.len(), failed, all) {
        (1.., ..) => (BAD, '✗', "the simulator broke a rule of its own: please report this".to_string()),
        (_, 1.., _) => (BAD, '✗', format!("{failed} of {all} expectations failed")),
        _ if outcome.stopped.is_some() => (WARN, '!', "stopped before its end".to_string()),
        (_, _, 0) => (GOOD, '✓', "done (nothing was expected)".to_string()),
        (_, _, 1) => (GOOD, '✓', "the expectation holds".to_string()),
        _ => (GOOD, '✓', format!("all {all} expectations hold")),
    };
    let name = fit(&outcome.scenario_name, WIDTH.saturating_sub(text.chars().count() + 4));
    let mut lines = vec![format!("{}  {}", heading(&name), paint(style, &format!("{mark} {text}")))];
    lines.extend(wrap(&outcome.description, WIDTH));
    if let Some(why) = &outcome.stopped {
        lines.extend(wrap(&format!("Stopped: {why}"), WIDTH).iter().map(|line| paint(WARN, line)));
    }
    lines.push(String::new());
    for one in &outcome.expectations {
        let mark = if one.passed { paint(GOOD, "✓") } else { paint(BAD, "✗") };
        let room = WIDTH - 6;
        let (text, detail) = (clean(&one.text), clean(&one.detail));
        match text.chars().count() + detail.chars().count() < room {
            true => lines.push(format!("  {mark} {text}  {}", paint(DIM, &detail))),
            false => {
                lines.push(format!("  {mark} {}", fit(&text, room)));
                lines.extend(wrap(&detail, room).iter().map(|line| format!("      {}", paint(DIM, line))));
            }
        }
    }
    for violation in &outcome.violations {
        // What led to it is on standard error and in summary.json.
        let what = violation.lines().next().unwrap_or_default();
        let marks = std::iter::once(paint(BAD, "✗")).chain(std::iter::repeat(" ".to_string()));
        lines.extend(wrap(what, WIDTH - 4).iter().zip(marks).map(|(line, mark)| format!("  {mark} {line}")));
    }
    if !outcome.expectations.is_empty() || !outcome.violations.is_empty() {
        lines.push(String::new());
    }
    let run = format!(
        "seed {} · {} of virtual time · {} events · {} writes",
        outcome.seed,
        (outcome.end - SimTime::ZERO),
        count(outcome.stats.events),
        count(outcome.stats.writes)
    );
    lines.extend(wrap(&run, WIDTH).iter().map(|line| paint(DIM, line)));
    lines.push(paint(DIM, &format!("fingerprint {}", outcome.fingerprint)));
    lines
}

/// What was done, and what Kubernetes made of it, in order of time.
fn timeline(record: &Record) -> Vec<String> {
    let mut entries: Vec<(SimTime, String)> = Vec::new();
    for incident in &record.incidents {
        let style = if incident.is_fault() { BAD } else { BOLD };
        entries.push((incident.started, paint(style, &fit(&incident.description, WIDTH - 14))));
        let printed = incident.output.iter().filter(|(_, line)| !text::is_routine(line));
        entries.extend(printed.map(|(time, line)| (*time, paint(DIM, &fit(line, WIDTH - 14)))));
        if let Some(ended) = incident.ended.filter(|ended| incident.is_fault() && *ended > incident.started) {
            entries.push((ended, fit(&text::ended(&incident.fault, &incident.description), WIDTH - 14)));
        }
    }
    for node in &record.nodes {
        for (time, mark) in node.marks.iter().filter(|(time, _)| *time > SimTime::ZERO) {
            let what = match mark {
                NodeMark::Ready => "is Ready",
                NodeMark::NotReady => "is not Ready",
                NodeMark::Unknown => "is Unknown: no heartbeat for the grace period",
                NodeMark::NoSchedule => "gets a NoSchedule taint: no new pods there",
                NodeMark::NoExecute => "gets a NoExecute taint: its pods' tolerations run",
                NodeMark::Cordoned => "is cordoned",
                NodeMark::Uncordoned => "is uncordoned",
                NodeMark::Down | NodeMark::Up => continue,
            };
            entries.push((*time, fit(&format!("node {} {what}", node.name), WIDTH - 14)));
        }
    }
    for recovery in &record.recoveries {
        entries.extend(milestones(record, recovery));
    }
    entries.sort_by_key(|entry| entry.0);
    // Overlapping incidents end in the same moment.
    entries.dedup();
    if entries.is_empty() {
        return Vec::new();
    }
    let hidden = entries.len().saturating_sub(TIMELINE_LINES);
    let shown = entries.iter().take(TIMELINE_LINES).map(|(time, text)| format!("  {:>10}  {text}", instant(*time)));
    let mut lines: Vec<String> = std::iter::once(heading("What happened")).chain(shown).collect();
    if hidden > 0 {
        lines.push(paint(DIM, &format!("              … and {hidden} more; events.csv has them all")));
    }
    lines.extend(under_way(record));
    lines
}

/// What a person began and what is not done: a drain that waits for ever, say.
fn under_way(record: &Record) -> Vec<String> {
    const SHOWN: usize = 5;
    let going_on = |one: &&crate::metrics::record::IncidentRecord| {
        let operation = !one.is_fault() || matches!(one.fault.effect, crate::model::Effect::Maintenance(_));
        operation && one.ended.is_none()
    };
    let all: Vec<_> = record.incidents.iter().filter(going_on).collect();
    let line = |text: &str| paint(WARN, &fit(&format!("  {text}"), WIDTH));
    let mut lines: Vec<String> = all
        .iter()
        .take(SHOWN)
        .map(|one| line(&format!("not done at the end, since {}: {}", instant(one.started), one.description)))
        .collect();
    if all.len() > SHOWN {
        lines.push(line(&format!("… and {} more", all.len() - SHOWN)));
    }
    lines
}

fn milestones(record: &Record, recovery: &Recovery) -> Vec<(SimTime, String)> {
    let mut entries = Vec::new();
    let evicted: Vec<SimTime> = recovery.pods.iter().filter_map(|pod| pod.evicted).collect();
    if let (Some(first), Some(last)) = (evicted.iter().min(), evicted.iter().max()) {
        let pods = plural(evicted.len(), "pod");
        let until = if first == last { String::new() } else { format!(" (until {})", instant(*last)) };
        entries.push((*first, format!("{pods} evicted{until}")));
    }
    for impact in &recovery.impacts {
        let row = &record.workloads[impact.workload];
        let name = fit(&row.name, 40);
        if let (Some(at), None) = (impact.full_strength, &impact.rollout) {
            entries.push((at, paint(GOOD, &format!("{name} is at full strength: {} serve", row.serving.at(at)))));
        }
    }
    for rollout in recovery.impacts.iter().filter_map(|impact| impact.rollout.as_ref()) {
        let image = fit(short(&rollout.image), 50);
        entries.extend(rollout.completed.map(|at| (at, paint(GOOD, &format!("rollout of {image} is complete")))));
        entries.extend(rollout.stalled.map(|at| (at, paint(WARN, &format!("rollout of {image} has stalled")))));
    }
    entries
}

/// An image without its registry and folders: `web:v2`.
fn short(image: &str) -> &str {
    image.rsplit('/').next().unwrap_or(image)
}

fn plural(n: usize, noun: &str) -> String {
    match noun.strip_suffix('y') {
        _ if n == 1 => format!("1 {noun}"),
        Some(stem) => format!("{n} {stem}ies"),
        None => format!("{n} {noun}s"),
    }
}

fn recoveries(record: &Record) -> Vec<String> {
    let faults: Vec<&Recovery> =
        record.recoveries.iter().filter(|recovery| record.incidents[recovery.incident].is_fault()).collect();
    let mut lines = Vec::new();
    for recovery in faults.iter().take(RECOVERIES_SHOWN) {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.extend(recovery_table(record, recovery));
    }
    let hidden = faults.len().saturating_sub(RECOVERIES_SHOWN);
    if hidden > 0 {
        lines.push(paint(DIM, &format!("… and {} more; summary.json has them all", plural(hidden, "recovery"))));
    }
    lines
}

fn recovery_table(record: &Record, recovery: &Recovery) -> Vec<String> {
    let incident = &record.incidents[recovery.incident];
    let mut lines = vec![heading(&format!("Recovery: {}, at {}", incident.description, instant(incident.started)))];
    let figure = |name: &str, value: Option<String>, none: &str, style| {
        let text = value.map_or_else(|| paint(WARN, none), |value| paint(style, &value));
        format!("  {name:<22}  {text}")
    };
    let hit = recovery.pods.len();
    let unnoticed = recovery.steps().iter().all(|step| step.spread.is_none());
    if recovery.detection().is_some() || !recovery.nodes.is_empty() {
        lines.push(figure("detected after", recovery.detection().map(length), "never", BOLD));
    }
    if hit > 0 && !unnoticed {
        let what = if recovery.pods.iter().any(|pod| pod.replacement.is_some()) { "replaced" } else { "ready again" };
        let name = format!("{} {what} after", plural(hit, "pod"));
        lines.push(figure(&name, recovery.time_to_replace().map(length), "never", BOLD));
    }
    if recovery.work_lost() > SimDuration::ZERO {
        lines.push(figure("work of jobs lost", Some(length(recovery.work_lost())), "", BOLD));
    }
    if !recovery.impacts.is_empty() {
        lines.push(String::new());
        lines.extend(impacts(record, recovery));
    }
    let steps: Vec<_> = recovery.steps().into_iter().filter(|step| step.spread.is_some()).collect();
    if steps.is_empty() {
        let what = match hit {
            0 => "no pod was there, nothing to recover".to_string(),
            _ => format!("{} served again before Kubernetes noticed", plural(hit, "pod")),
        };
        lines.push(paint(DIM, &format!("  {what}")));
        return lines;
    }
    lines.push(String::new());
    lines.extend(match recovery.impacts.len() {
        2..=3 => steps_by_workload(record, recovery),
        _ => steps_of_all(&steps),
    });
    lines
}

/// Every step with its spread over the pods, and what it took after the one before.
fn steps_of_all(steps: &[Step]) -> Vec<String> {
    let several = steps.iter().any(|step| step.spread.is_some_and(|spread| spread.count > 1));
    let mut table = match several {
        true => Table::new(&["STEP", ">AFTER THE FAULT", ">MIN", ">MAX", ">STEP TOOK", ">COUNT"]),
        false => Table::new(&["STEP", ">AFTER THE FAULT", ">STEP TOOK"]),
    };
    let mut before = SimDuration::ZERO;
    for step in steps {
        let Some(spread) = step.spread else { continue };
        // Some steps run side by side: one that ended before the last did took no time of its own.
        let took = (spread.median - before).max_zero();
        before = before.max(spread.median);
        let (after, took) = (length(spread.median), format!("+{}", length(took)));
        table.row(match several {
            true => {
                let count = spread.count.to_string();
                vec![step.name.to_string(), after, length(spread.min), length(spread.max), took, count]
            }
            false => vec![step.name.to_string(), after, took],
        });
    }
    table.lines()
}

/// Every step with its median for each workload: they may tolerate a lost node for different times.
fn steps_by_workload(record: &Record, recovery: &Recovery) -> Vec<String> {
    let of = |workload: usize| Recovery {
        pods: recovery.pods.iter().filter(|pod| record.pods[pod.pod].workload == Some(workload)).cloned().collect(),
        ..recovery.clone()
    };
    let each: Vec<Recovery> = recovery.impacts.iter().map(|impact| of(impact.workload)).collect();
    let pods = each.iter().map(|one| plural(one.pods.len(), "pod"));
    let names: Vec<String> = recovery
        .impacts
        .iter()
        .zip(pods)
        .map(|(impact, pods)| format!(">{} ({pods})", fit(&record.workloads[impact.workload].name, 17)))
        .collect();
    let mut columns = vec!["AFTER THE FAULT (MEDIAN)"];
    columns.extend(names.iter().map(String::as_str));
    let mut table = Table::new(&columns);
    let all: Vec<Vec<Step>> = each.iter().map(Recovery::steps).collect();
    for at in 0..all[0].len() {
        if all.iter().any(|steps| steps[at].spread.is_some()) {
            let times =
                all.iter().map(|steps| steps[at].spread.map_or("-".to_string(), |spread| length(spread.median)));
            table.row(std::iter::once(all[0][at].name.to_string()).chain(times).collect());
        }
    }
    table.lines()
}

fn impacts(record: &Record, recovery: &Recovery) -> Vec<String> {
    const SHOWN: usize = 6;
    let columns = ["WORKLOAD", ">SERVING", ">LOWEST", ">FULL STRENGTH AFTER", ">REPLICA-SECONDS LOST"];
    let mut table = Table::new(&columns);
    let mut worst: Vec<&Impact> = recovery.impacts.iter().collect();
    worst.sort_by_key(|impact| (std::cmp::Reverse(impact.unavailable), impact.workload));
    for impact in worst.iter().take(SHOWN) {
        let back = match impact.full_strength {
            _ if impact.unavailable == 0 => "never below".to_string(),
            Some(at) => length(at - recovery.started),
            None => "not by the end".to_string(),
        };
        table.row(vec![
            fit(&record.workloads[impact.workload].name, 20),
            impact.before.to_string(),
            impact.lowest.to_string(),
            back,
            replica_seconds(impact.unavailable),
        ]);
    }
    let mut lines = table.lines();
    if worst.len() > SHOWN {
        lines.push(paint(DIM, &format!("  … and {} more; summary.json has them all", worst.len() - SHOWN)));
    }
    lines
}

fn rollouts(record: &Record) -> Vec<String> {
    let mut table = Table::new(&["WORKLOAD", "BEGAN", "IMAGE", ">TOOK", ">LOWEST", ">MISSING", "STATE"]);
    let mut rows = 0;
    for recovery in &record.recoveries {
        for impact in &recovery.impacts {
            let (Some(rollout), row) = (&impact.rollout, &record.workloads[impact.workload]) else { continue };
            let end = rollout.completed.unwrap_or(record.end);
            let state = match (rollout.completed, rollout.stalled) {
                (Some(_), _) => "complete",
                (None, Some(_)) => "stalled",
                (None, None) => "not complete",
            };
            rows += 1;
            table.row(vec![
                fit(&row.name, 20),
                instant(rollout.started),
                fit(short(&rollout.image), 22),
                rollout.completed.map_or("-".to_string(), |at| length(at - rollout.started)),
                row.serving.min(rollout.started, end).to_string(),
                replica_seconds(row.missing(rollout.started, end)),
                state.to_string(),
            ]);
        }
    }
    if rows == 0 {
        return Vec::new();
    }
    let note = paint(DIM, "  LOWEST: fewest that served; MISSING: replica-seconds wished and not served");
    std::iter::once(heading("Rollouts")).chain(table.lines()).chain([note]).collect()
}

fn charts(record: &Record) -> Vec<String> {
    let mut lines = Vec::new();
    let rows: Vec<&WorkloadRecord> = record.workloads.iter().filter(|row| !row.desired.points.is_empty()).collect();
    for row in rows.iter().take(CHARTS_SHOWN) {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.extend(chart(record, row));
    }
    lines
}

fn chart(record: &Record, row: &WorkloadRecord) -> Vec<String> {
    let wished = row.desired.max(SimTime::ZERO, record.end);
    let top = wished.max(row.serving.max(SimTime::ZERO, record.end)).max(1);
    let height = usize::try_from(top).unwrap_or(4).clamp(2, 4);
    let width = WIDTH - 8;
    let chart = Chart { series: &row.serving, top, from: SimTime::ZERO, to: record.end, width, height };
    let title = format!("Replicas of {} that serve (of {wished} wished, lowest value of each column)", row.name);
    let mut lines = vec![heading(&title)];
    for (at, line) in chart.lines().into_iter().enumerate() {
        let label = match at {
            0 => top.to_string(),
            _ => String::new(),
        };
        lines.push(format!("  {label:>4} {}", paint(GOOD, line.trim_end())));
    }
    let faults: Vec<SimTime> = record.incidents.iter().filter(|one| one.is_fault()).map(|one| one.started).collect();
    if !faults.is_empty() {
        let mut marks = vec![' '; width];
        for fault in faults {
            marks[chart.column(fault)] = '▲';
        }
        lines.push(format!("       {}", fault_marks(marks)));
    }
    let (from, middle, to) = (SimTime::ZERO, SimTime(record.end.0 / 2), record.end);
    let [from, middle, to] = [from, middle, to].map(|time| instant(time).trim_end_matches(".000").to_string());
    let gap = width.saturating_sub(from.len() + to.len());
    lines.push(paint(DIM, &format!("       {from}{middle:^gap$}{to}")));
    lines
}

fn pods(record: &Record) -> Vec<String> {
    let restarts: u32 = record.pods.iter().map(|pod| pod.restarts).sum();
    let evicted = record.pods.iter().filter(|pod| pod.evicted).count();
    let mut delays: Vec<_> = record.pods.iter().filter_map(|pod| pod.queue_delay()).collect();
    delays.sort_unstable();
    let mut parts = vec![format!("{} created", record.pods.len())];
    for (series, name) in record.phases.iter().zip(crate::metrics::record::PHASES) {
        if series.last() > 0 {
            parts.push(format!("{} {name} at the end", series.last()));
        }
    }
    parts.push(format!("{evicted} evicted"));
    parts.push(plural(restarts as usize, "container restart"));
    if let (Some(median), Some(last)) = (delays.get(delays.len() / 2), delays.last()) {
        parts.push(format!("bound after {} (median), {} (longest)", length(*median), length(*last)));
    }
    if record.pods.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![heading("Pods")];
    lines.extend(wrap(&parts.join(", "), WIDTH - 2).into_iter().map(|line| format!("  {line}")));
    lines.extend(troubles(record));
    lines
}

/// Pods that do not run at the end, and why.
fn troubles(record: &Record) -> Vec<String> {
    const SHOWN: usize = 5;
    let troubled = |pod: &&crate::metrics::PodRecord| {
        pod.gone.is_none() && !pod.reason.is_empty() && pod.phase() != crate::model::Phase::Succeeded
    };
    let all: Vec<_> = record.pods.iter().filter(troubled).collect();
    let mut lines: Vec<String> = all
        .iter()
        .take(SHOWN)
        .map(|pod| {
            let restarts = if pod.restarts > 0 {
                format!(", {}", plural(pod.restarts as usize, "restart"))
            } else {
                String::new()
            };
            let text = format!("{}: {} ({}){restarts}", pod.name, pod.reason, pod.phase().as_str());
            format!("  {}", paint(WARN, &fit(&text, WIDTH - 2)))
        })
        .collect();
    if all.len() > SHOWN {
        lines.push(format!("  … and {} more; pods.csv has them all", all.len() - SHOWN));
    }
    lines
}

/// The most frequent kinds of warning event.
fn warnings(record: &Record) -> Vec<String> {
    const SHOWN: usize = 5;
    let mut kinds: Vec<(&str, u32, &crate::metrics::EventRow)> = Vec::new();
    for row in record.events.iter().filter(|row| row.warning) {
        match kinds.iter_mut().find(|kind| kind.0 == row.reason) {
            Some(kind) => kind.1 += row.count,
            None => kinds.push((&row.reason, row.count, row)),
        }
    }
    if kinds.is_empty() {
        return Vec::new();
    }
    kinds.sort_by_key(|kind| std::cmp::Reverse(kind.1));
    let mut lines = vec![heading("Warnings (Kubernetes events)")];
    for (reason, count, row) in kinds.iter().take(SHOWN) {
        let first = format!("{reason} x{count}, first at {}: {}", instant(row.first), row.message);
        lines.push(format!("  {}", fit(&first, WIDTH - 2)));
    }
    if kinds.len() > SHOWN {
        lines.push(paint(DIM, &format!("  … and {} more kinds; events.csv has them all", kinds.len() - SHOWN)));
    }
    lines
}

fn usage(record: &Record) -> Vec<String> {
    if record.nodes.is_empty() {
        return Vec::new();
    }
    let usage = Usage::of(record);
    let mut table = Table::new(&["", ">PODS", ">CPU REQ", ">CPU USED", ">MEM REQ", ">MEM USED", ">UP", ">COST"]);
    let row = |row: &UsageRow, name: String| {
        vec![
            fit(&name, 20),
            format!("{:.1}", row.pods_mean),
            percent(row.requested[0]),
            percent(row.used[0]),
            percent(row.requested[1]),
            percent(row.used[1]),
            format!("{:.0}%", row.up * 100.0),
            money(row.cost_micros),
        ]
    };
    let control_plane = |name: &str| record.nodes.iter().any(|node| node.control_plane && node.pool == name);
    let workers: Vec<&UsageRow> =
        usage.nodes.iter().zip(&record.nodes).filter(|(_, node)| !node.control_plane).map(|pair| pair.0).collect();
    if workers.len() <= NODES_LISTED {
        workers.iter().for_each(|node| table.row(row(node, node.name.to_string())));
    }
    let (masters, pools): (Vec<_>, Vec<_>) = usage.pools.iter().partition(|pool| control_plane(&pool.name));
    if pools.len() > 1 || workers.len() > NODES_LISTED {
        for pool in pools {
            let name = if pool.name.is_empty() { "(no pool)" } else { pool.name.as_str() };
            table.row(row(pool, format!("pool {} ({})", fit(name, 11), pool.nodes)));
        }
    }
    table.row(row(&usage.all, format!("all workers ({})", usage.all.nodes)));
    for pool in masters {
        table.row(row(pool, format!("control plane ({})", pool.nodes)));
    }
    let mut lines = vec![heading("Utilization (mean over the run, of what pods may have) and cost")];
    lines.extend(table.lines());
    let both = |name: &str, [cpu, memory]: [f64; 2], what: &str| {
        format!("  {name:<10} cpu {:>6}  memory {:>6}   {}", percent(cpu), percent(memory), paint(DIM, what))
    };
    lines.push(String::new());
    lines.push(both("packing", usage.all.packing, "requested on nodes that hold pods"));
    lines.push(both("imbalance", usage.imbalance, "spread between nodes (0% is even)"));
    lines.push(both("stranded", usage.all.stranded, "free, but its node lacks the other one"));
    let total = money(record.cost_micros());
    lines.push(format!("  {:<10} {} for {} nodes", "cost", paint(BOLD, &total), record.nodes.len()));
    if let Some(each) = super::traffic::cost_per_million(record) {
        lines.push(format!("  {:<10} {each:.4} for a million answered requests", ""));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_nouns() {
        let table =
            [(1, "pod", "1 pod"), (2, "pod", "2 pods"), (1, "recovery", "1 recovery"), (8, "recovery", "8 recoveries")];
        for (n, noun, text) in table {
            assert_eq!(plural(n, noun), text);
        }
    }
}
