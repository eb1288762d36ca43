//! Whether what a scenario expected came true, and what was measured.
//!
//! A measure with a value at every instant becomes a list of steps; then the question is only when the
//! comparison held.

use super::expect_traffic as traffic;
use super::{expect_jobs as jobs, expect_resilience as resilience};
use crate::metrics::{PodRecord, Record, Recovery, Series, Usage, WorkloadRecord};
use crate::model::Phase;
use crate::model::quantity::Quantity;
use crate::scenario::expect::{Comparison, Expectation, Literal, Measure, When};
use crate::time::{SimDuration, SimTime};
use std::fmt;

/// One expectation and how it turned out.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ExpectationResult {
    /// As the scenario wrote it.
    pub text: String,
    /// Whether it held.
    pub passed: bool,
    /// What was measured.
    pub detail: String,
}

/// A measured value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Value {
    /// In billionths.
    Number(i128),
    /// A length.
    Time(SimDuration),
    /// One word.
    Word(&'static str),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Number(nano) if nano % 1_000_000_000 == 0 => write!(f, "{}", nano / 1_000_000_000),
            Value::Number(nano) => {
                let text = format!("{:.4}", *nano as f64 / 1e9);
                f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
            }
            Value::Time(length) => write!(f, "{}", SimDuration(length.0 - length.0 % 1_000_000)),
            Value::Word("") => f.write_str("not there yet"),
            Value::Word(word) => f.write_str(word),
        }
    }
}

/// A value from each instant on; the first begins at the start of the run.
pub(super) type Steps = Vec<(SimTime, Value)>;

/// Every expectation against a complete record.
pub fn evaluate(record: &Record, expectations: &[Expectation]) -> Vec<ExpectationResult> {
    expectations
        .iter()
        .map(|one| {
            let (passed, detail) = match one.form().instant {
                true => steps(record, one).map(|steps| over_time(one, &steps, record.end)),
                false => whole(record, one).map(|value| (holds(one, value), format!("was {value}"))),
            }
            .unwrap_or_else(|why| (false, why));
            ExpectationResult { text: one.text.clone(), passed, detail }
        })
        .collect()
}

fn holds(one: &Expectation, value: Value) -> bool {
    match (value, &one.value) {
        (Value::Number(have), Literal::Number(Quantity { nano, .. })) => one.comparison.holds(have.cmp(nano)),
        (Value::Time(have), Literal::Time(want)) => one.comparison.holds(have.cmp(want)),
        (Value::Word(have), Literal::Word(want)) => one.comparison.holds(have.cmp(want.as_str())),
        _ => false,
    }
}

fn over_time(one: &Expectation, steps: &Steps, end: SimTime) -> (bool, String) {
    let at = |time: SimTime| steps[steps.partition_point(|step| step.0 <= time).saturating_sub(1)].1;
    match one.when {
        When::AtEnd => (holds(one, at(end)), format!("is {}", at(end))),
        When::At(time) if time > end => (false, format!("the run ended at {end}")),
        When::At(time) => (holds(one, at(time)), format!("was {}", at(time))),
        When::Always { from, to } => {
            let first = steps.iter().find(|step| holds(one, step.1)).map(|step| step.0);
            let Some(from) = from.or(first) else { return (false, format!("never held; {}", extreme(one, steps))) };
            let to = to.unwrap_or(end).min(end);
            let within = |step: &&(SimTime, Value)| step.0 > from && step.0 <= to;
            let span: Steps = std::iter::once((from, at(from))).chain(steps.iter().filter(within).copied()).collect();
            match span.iter().find(|step| !holds(one, step.1)) {
                Some((time, value)) => (false, format!("was {value} at {time}; {}", extreme(one, &span))),
                None => (true, extreme(one, &span)),
            }
        }
        When::Eventually { from, to } => {
            let (from, to) = (from.unwrap_or(SimTime::ZERO), to.unwrap_or(end).min(end));
            let within = |step: &&(SimTime, Value)| step.0 > from && step.0 <= to;
            let span: Steps = std::iter::once((from, at(from))).chain(steps.iter().filter(within).copied()).collect();
            match span.iter().find(|step| holds(one, step.1)) {
                Some((time, value)) => (true, format!("{value} from {time}")),
                None => (false, format!("never; {}", extreme(one, &span))),
            }
        }
    }
}

/// The value that came closest to breaking the comparison.
fn extreme(one: &Expectation, span: &Steps) -> String {
    let numbers = || {
        span.iter().filter_map(|step| match step.1 {
            Value::Number(nano) => Some(nano),
            _ => None,
        })
    };
    let shown = match one.comparison {
        Comparison::Greater | Comparison::AtLeast => numbers().min().map(|nano| ("lowest", Value::Number(nano))),
        Comparison::Less | Comparison::AtMost => numbers().max().map(|nano| ("highest", Value::Number(nano))),
        Comparison::Equal | Comparison::NotEqual => span.last().map(|step| ("last", step.1)),
    };
    shown.map(|(name, value)| format!("{name} {value}")).unwrap_or_default()
}

// ---- measures over time ----

fn steps(record: &Record, one: &Expectation) -> Result<Steps, String> {
    let of = |series: fn(&WorkloadRecord) -> &Series| workload(record, one).map(|row| numbers(series(row)));
    match one.measure {
        Measure::Replicas => of(|row| &row.desired),
        Measure::Ready => of(|row| &row.ready),
        Measure::Available => of(|row| &row.available),
        Measure::Unavailable => of(|row| &row.unavailable),
        Measure::Updated => of(|row| &row.updated),
        Measure::Restarts => of(|row| &row.restarts),
        Measure::Rollout => workload(record, one).map(|row| {
            let turns = row.rollout.iter().map(|(time, state)| (*time, Value::Word(state.as_str())));
            from_start(Value::Word(""), turns)
        }),
        Measure::Endpoints => endpoints(record, one),
        Measure::Phase => phase(record, one),
        Measure::Pods => Ok(numbers(&sum(record.phases.iter()))),
        Measure::PendingPods => Ok(numbers(&record.phases[0])),
        Measure::RunningPods => Ok(numbers(&record.phases[1])),
        Measure::Job | Measure::Jobs | Measure::Succeeded | Measure::Failed | Measure::Active => {
            jobs::steps(record, one)
        }
        Measure::Nodes => Ok(numbers(&sum(record.nodes.iter().map(|node| &node.registered)))),
        Measure::ReadyNodes => Ok(numbers(&sum(record.nodes.iter().map(|node| &node.ready)))),
        _ => Err(format!("`{}` has one value for the whole run", one.form().name)),
    }
}

pub(super) fn from_start(before: Value, turns: impl Iterator<Item = (SimTime, Value)>) -> Steps {
    let mut steps = vec![(SimTime::ZERO, before)];
    for (time, value) in turns {
        match time <= SimTime::ZERO {
            true => steps[0].1 = value,
            false => steps.push((time, value)),
        }
    }
    steps
}

pub(super) fn numbers(series: &Series) -> Steps {
    let number = |value: i64| Value::Number(i128::from(value) * 1_000_000_000);
    from_start(number(0), series.points.iter().map(|(time, value)| (*time, number(*value))))
}

pub(super) fn sum<'a>(all: impl Iterator<Item = &'a Series>) -> Series {
    let mut deltas = Vec::new();
    for series in all {
        let mut before = 0;
        for (time, value) in &series.points {
            deltas.push((*time, value - before));
            before = *value;
        }
    }
    deltas.sort_by_key(|delta| delta.0);
    let mut total = Series::default();
    for (time, delta) in deltas {
        total.set(time, total.last() + delta);
    }
    total
}

/// The workload that an argument names: `web` or `deployment/web`.
fn workload<'a>(record: &'a Record, one: &Expectation) -> Result<&'a WorkloadRecord, String> {
    let name = one.argument.as_deref().unwrap_or_default();
    let index = workload_index(record, one, name)?;
    Ok(&record.workloads[index])
}

pub(super) fn workload_index(record: &Record, one: &Expectation, name: &str) -> Result<usize, String> {
    let (kind, bare) =
        name.split_once('/').map_or((None, name), |(kind, bare)| (crate::model::Kind::parse(kind), bare));
    let fits = |row: &WorkloadRecord| {
        row.name == bare && row.namespace == one.namespace.as_str() && kind.is_none_or(|kind| kind == row.kind)
    };
    record.workloads.iter().position(fits).ok_or_else(|| {
        let names: Vec<String> =
            record.workloads.iter().take(5).map(|row| format!("{}/{}", row.namespace, row.name)).collect();
        format!("no workload {name} in namespace {}; there was {}", one.namespace, list(&names))
    })
}

pub(super) fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_string() } else { names.join(", ") }
}

fn endpoints(record: &Record, one: &Expectation) -> Result<Steps, String> {
    let name = one.argument.as_deref().unwrap_or_default();
    let found = record.services.iter().find(|row| row.name == name && row.namespace == one.namespace.as_str());
    found.map(|row| numbers(&row.ready)).ok_or_else(|| {
        let names: Vec<String> =
            record.services.iter().take(5).map(|row| format!("{}/{}", row.namespace, row.name)).collect();
        format!("no service {name} in namespace {}; there was {}", one.namespace, list(&names))
    })
}

fn phase(record: &Record, one: &Expectation) -> Result<Steps, String> {
    let name = one.argument.as_deref().unwrap_or_default();
    let mut turns = Vec::new();
    for pod in record.pods.iter().filter(|pod| pod.name == name && pod.namespace == one.namespace.as_str()) {
        turns.extend(pod.phases.iter().map(|(time, phase): &(SimTime, Phase)| (*time, Value::Word(phase.as_str()))));
        turns.extend(pod.gone.map(|time| (time, Value::Word("Gone"))));
    }
    match turns.is_empty() {
        true => Err(format!("no pod {name} in namespace {}", one.namespace)),
        false => Ok(from_start(Value::Word(""), turns.into_iter())),
    }
}

// ---- measures of the whole run ----

fn whole(record: &Record, one: &Expectation) -> Result<Value, String> {
    let count = |number: usize| Value::Number(number as i128 * 1_000_000_000);
    if let Some(value) = traffic::whole(record, one) {
        return value;
    }
    match one.measure {
        Measure::RecoveryTime => longest(record, one, full_strength),
        Measure::DetectionTime => longest(record, one, |recovery, _| match recovery.nodes.is_empty() {
            true => Ok(SimDuration::ZERO),
            false => recovery.detection().ok_or("was not detected"),
        }),
        Measure::ReplacementTime => longest(record, one, replaced),
        Measure::UnavailableSeconds => {
            let row = workload(record, one)?;
            Ok(Value::Number(row.first_whole().map_or(0, |from| row.missing(from, record.end))))
        }
        Measure::Availability
        | Measure::WholeAvailability
        | Measure::BudgetAvailability
        | Measure::ErrorBudgetBurnt
        | Measure::BlastRadius
        | Measure::PodsLost
        | Measure::Mttd
        | Measure::Mttr
        | Measure::Mtbf
        | Measure::Headroom => resilience::whole(record, one),
        Measure::JobDuration | Measure::WorkLost => jobs::whole(record, one),
        Measure::Evictions => Ok(count(record.pods.iter().filter(|pod| pod.evicted).count())),
        Measure::Events => {
            let reason = one.argument.as_deref().unwrap_or_default();
            let all = record.events.iter().filter(|row| row.reason == reason).map(|row| row.count as usize);
            Ok(count(all.sum()))
        }
        Measure::Refusals => {
            let refusal = format!("Error from server ({})", one.argument.as_deref().unwrap_or_default());
            let lines = record.incidents.iter().flat_map(|incident| &incident.output);
            // kubectl prints this one in words of its own.
            let invalid = |line: &str| {
                refusal.ends_with("(Invalid)") && line.starts_with("The ") && line.contains(" is invalid: ")
            };
            Ok(count(lines.filter(|(_, line)| line.starts_with(&refusal) || invalid(line)).count()))
        }
        Measure::LoadLost => {
            let each = record.loads.iter().map(|load| load.quality(record.end));
            let (lost, all) =
                each.fold((0.0, 0.0), |(lost, all), one| (lost + one.lost * one.demand_mean, all + one.demand_mean));
            Ok(Value::Number(if all > 0.0 { (lost / all * 1e9).round() as i128 } else { 0 }))
        }
        Measure::Cost => Ok(Value::Number(record.cost_micros() * 1000)),
        Measure::Utilization => {
            let at = usize::from(one.argument.as_deref() == Some("memory"));
            Ok(Value::Number((Usage::of(record).all.requested[at] * 1e9) as i128))
        }
        _ => Err(format!("`{}` has a value at every instant", one.form().name)),
    }
}

type OfRecovery = fn(&Recovery, (&Record, Option<usize>)) -> Result<SimDuration, &'static str>;

/// The longest over all faults; fails if one never came to an end, or if there was none.
fn longest(record: &Record, one: &Expectation, of: OfRecovery) -> Result<Value, String> {
    let workload = one.argument.as_deref().map(|name| workload_index(record, one, name)).transpose()?;
    let faults = record.recoveries.iter().filter(|recovery| record.incidents[recovery.incident].is_fault());
    let mut all = Vec::new();
    for recovery in faults {
        let incident = &record.incidents[recovery.incident];
        let at = |why: &str| format!("\"{}\" at {} {why}", incident.description, incident.started);
        all.push(of(recovery, (record, workload)).map_err(at)?);
    }
    all.into_iter().max().map(Value::Time).ok_or_else(|| "no fault happened".to_string())
}

fn full_strength(recovery: &Recovery, (_, only): (&Record, Option<usize>)) -> Result<SimDuration, &'static str> {
    let mut longest = SimDuration::ZERO;
    for impact in recovery.impacts.iter().filter(|impact| only.is_none_or(|only| impact.workload == only)) {
        if impact.unavailable > 0 {
            let back = impact.full_strength.ok_or("was not recovered from by the end")?;
            longest = longest.max(back - recovery.started);
        }
    }
    Ok(longest)
}

fn replaced(recovery: &Recovery, (record, only): (&Record, Option<usize>)) -> Result<SimDuration, &'static str> {
    let mut longest = SimDuration::ZERO;
    let concerned = |pod: &PodRecord| only.is_none_or(|only| pod.workload == Some(only)) && pod.workload.is_some();
    for pod in recovery.pods.iter().filter(|pod| concerned(&record.pods[pod.pod])) {
        let ready = pod.ready.ok_or("left a pod without a ready replacement")?;
        longest = longest.max(ready - recovery.started);
    }
    Ok(longest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::testing::node_crash;

    #[test]
    fn expectations_of_a_crash() {
        let record = node_crash().finish(600.0);
        // (expression, holds, what was measured)
        let table = [
            ("available(web) >= 2 always", true, "lowest 2"),
            ("available(web) >= 3 always", false, "was 2 at 00:01:40.000; lowest 2"),
            ("available(deployment/web) == 3 at end", true, "is 3"),
            ("ready(web) == 2 at 2m", true, "was 2"),
            ("ready(web) > 3 eventually", false, "never; lowest 0"),
            ("ready(web) == 3 eventually before 20s", true, "3 from 00:00:15.000"),
            ("ready(web) >= 3 always after 5s", false, "was 0 at 00:00:05.000; lowest 0"),
            ("endpoints(web) >= 2 always", true, "lowest 2"),
            ("rollout(web) == complete eventually", true, "complete from 00:00:15.500"),
            ("phase(web-4) == Running at end", true, "is Running"),
            ("phase(web-4) == Running at 1m", false, "was not there yet"),
            ("nodes == 3 at end", true, "is 3"),
            ("ready_nodes >= 3 always", false, "was 2 at 00:01:40.000; lowest 2"),
            ("recovery_time < 6m", true, "was 5m45s"),
            ("recovery_time(web) < 90s", false, "was 5m45s"),
            ("detection_time <= 40s", true, "was 40s"),
            ("replacement_time < 1m", false, "was 5m45s"),
            ("unavailable_seconds(web) == 345", true, "was 345"),
            ("events(Pulled) == 4", true, "was 4"),
            ("pods == 4 at end", true, "is 4"),
            ("cost < 1", true, "was 0.07"),
            ("utilization(cpu) > 10%", true, "was 0.1367"),
            ("ready(shop) == 1", false, "no workload shop in namespace default; there was default/web"),
            ("endpoints(shop) == 1", false, "no service shop in namespace default; there was default/web"),
        ];
        for (text, passed, detail) in table {
            let expectation = Expectation::parse(text).unwrap();
            let result = &evaluate(&record, &[expectation])[0];
            assert_eq!((result.passed, result.detail.as_str()), (passed, detail), "{text}");
        }
    }
}
