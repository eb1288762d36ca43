//! What counts as broken: an expectation that fails, an invariant of the simulator, and two things that nobody has to
//! write down: an operation that never ends, and a workload that does not come back.

use super::draw::Deed;
use crate::model::Effect;
use crate::outcome::Outcome;
use crate::time::{SimDuration, SimTime};

/// How long after the last fault everything must be whole again. Default tolerations keep lost pods for 5 minutes,
/// detection takes 55 s, and what follows may wait for CrashLoopBackOff, whose longest pause is 5 minutes.
const RECOVERY: SimDuration = SimDuration::from_secs(15 * 60);

/// One thing that is broken.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Finding {
    /// An expectation of the scenario failed.
    Expectation(String),
    /// An operation such as a drain was still going on at the end.
    Unfinished(String),
    /// A workload was not whole at the end, long after the last fault.
    Unrecovered(String),
    /// The simulator contradicts itself.
    Invariant(String),
    /// A limit stopped the run.
    Limit(String),
}

impl Finding {
    /// What kind it is, for programs.
    pub const fn kind(&self) -> &'static str {
        match self {
            Finding::Expectation(_) => "expectation",
            Finding::Unfinished(_) => "unfinished",
            Finding::Unrecovered(_) => "unrecovered",
            Finding::Invariant(_) => "invariant",
            Finding::Limit(_) => "limit",
        }
    }

    /// The sentence for people.
    pub fn sentence(&self) -> String {
        match self {
            Finding::Expectation(text) => format!("expectation failed: {text}"),
            Finding::Unfinished(what) => format!("never ends: {what}"),
            Finding::Unrecovered(workload) => format!("does not recover: {workload}"),
            Finding::Invariant(text) => format!("BUG in the simulator: {text}"),
            Finding::Limit(what) => format!("a limit was reached: {what}"),
        }
    }
}

/// What was still going on at the end, long after it began, as it is described.
pub fn unfinished(outcome: &Outcome) -> impl Iterator<Item = &str> {
    let record = &outcome.record;
    let lasting = record.incidents.iter().filter(|incident| {
        let lasts = incident.ended.is_none() && record.end - incident.started > RECOVERY;
        lasts && matches!(incident.fault.effect, Effect::UserAction { .. } | Effect::Maintenance(_))
    });
    lasting.map(|incident| incident.description.as_str())
}

/// An operation without its object: `kubectl drain`.
pub fn operation(description: &str) -> String {
    description.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// Everything that is broken in a run with these deeds, sorted.
pub fn findings(outcome: &Outcome, deeds: &[Deed]) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    let failed = outcome.expectations.iter().filter(|expectation| !expectation.passed);
    found.extend(failed.map(|expectation| Finding::Expectation(expectation.text.clone())));
    // The number of an invariant, not the objects of this run.
    let short = |text: &String| text.lines().next().unwrap_or_default().chars().take(60).collect::<String>();
    found.extend(outcome.violations.iter().map(|text| Finding::Invariant(short(text))));
    let quiet_from = deeds.iter().map(|deed| deed.until).max().unwrap_or(SimTime::ZERO) + RECOVERY;
    let record = &outcome.record;
    // Which node it is does not matter: the same thing holds up any.
    found.extend(unfinished(outcome).map(|text| Finding::Unfinished(operation(text))));
    if record.end >= quiet_from {
        for row in &record.workloads {
            let (wished, ready) = (row.desired.last(), row.ready.last());
            if ready < wished {
                let kind = row.kind.as_str().to_lowercase();
                found.push(Finding::Unrecovered(format!("{kind}/{} in {}", row.name, row.namespace)));
            }
        }
    }
    found.sort();
    found.dedup();
    found
}
