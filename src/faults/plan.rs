//! When faults happen: the instants of the timeline, and clocks that run by chance.

use crate::model::{Key, Kind, Name};
use crate::rng::{Delay, Seed};
use crate::scenario::faults::trace::{Row, Whom};
use crate::scenario::{Action, FaultAction, Scenario, faults::When};
use crate::store::incident::entry_key;
use crate::time::{SimDuration, SimTime};

/// From one occurrence to the next of its clock, whatever is drawn.
const SHORTEST: SimDuration = SimDuration::from_millis(1);

/// A fault of the scenario and when it happens.
pub(super) struct Source {
    pub(super) fault: FaultAction,
    pub(super) lasts: Option<Delay>,
    pub(super) when: Timing,
}

pub(super) enum Timing {
    /// An entry of the timeline, by its index.
    Once(usize, SimTime),
    /// A rule, by its index.
    Rule(usize, When),
}

/// Which of a fault's machines one occurrence is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Only {
    /// Those of one clock of a rule: one node, or one domain.
    Clock {
        /// `node`, `zone`, `pool`, or a label.
        domain: String,
        /// Which of them.
        value: Name,
    },
    /// The n-th, counted round: a line of a trace.
    Index(u32),
}

/// One time that a fault happens.
#[derive(Clone, Debug)]
pub(super) struct Occurrence {
    pub(super) key: Key,
    /// Which source: an index into the actor's.
    pub(super) source: usize,
    pub(super) at: SimTime,
    pub(super) lasts: Option<SimDuration>,
    pub(super) only: Option<Only>,
}

/// Every fault of a scenario.
pub(super) fn sources(scenario: &Scenario) -> impl Iterator<Item = Source> {
    let timed = scenario.timeline.iter().enumerate().filter_map(|(index, entry)| {
        let Action::Fault(fault) = &entry.action else { return None };
        let lasts = entry.lasts.or_else(|| fault.form().length());
        let when = Timing::Once(index, entry.at);
        Some(Source { fault: fault.clone(), lasts: lasts.map(Delay::from), when })
    });
    let rules = scenario.faults.iter().enumerate().map(|(index, rule)| {
        let when = Timing::Rule(index, rule.when.clone());
        Source { fault: rule.fault.clone(), lasts: rule.length().map(Delay::from), when }
    });
    timed.chain(rules)
}

impl Source {
    /// What has a clock of its own, if it is not the source as a whole.
    pub(super) fn each(&self) -> Option<&str> {
        match &self.when {
            Timing::Rule(_, When::Every { each, .. }) => each.as_deref(),
            _ => None,
        }
    }

    /// Every time it happens until `end`, by one clock that begins to run at `now`; `room` is for so many.
    pub(super) fn occurrences(
        &self,
        source: usize,
        clock: Option<&Only>,
        seed: Seed,
        (now, end): (SimTime, SimTime),
        room: usize,
    ) -> Vec<Occurrence> {
        let occurrence = |key: Key, at: SimTime| {
            let lasts = self.lasts.map(|lasts| lasts.sample(&mut seed.stream("fault-length", &key.name)));
            Occurrence { key, source, at, lasts, only: clock.cloned() }
        };
        let (rule, When::Every { interval, from, until, times, .. }) = (match &self.when {
            Timing::Once(index, at) => return vec![occurrence(entry_key(*index), *at)],
            Timing::Rule(rule, When::Trace(trace)) => return traced(*rule, source, &trace.rows, end),
            Timing::Rule(rule, when) => (rule, when),
        }) else {
            return Vec::new();
        };
        let name = match clock {
            Some(Only::Clock { value, .. }) => format!("{rule}-{value}"),
            _ => rule.to_string(),
        };
        let mut stream = seed.stream("fault-clock", &name);
        let (interval, until) = (Delay::from(*interval), until.unwrap_or(end).min(end));
        let most = times.map_or(room, |times| (times as usize).min(room));
        let (mut at, mut found) = (now.max(*from), Vec::new());
        while found.len() < most {
            at += interval.sample(&mut stream).max(SHORTEST);
            if at > until {
                break;
            }
            let key = Key::cluster(Kind::Incident, format!("fault-{name}-{}", found.len()));
            let next = occurrence(key, at);
            let lasts = next.lasts;
            found.push(next);
            match (clock, lasts) {
                // What is down cannot fail.
                (Some(_), Some(lasts)) => at += lasts,
                (Some(_), None) => break,
                (None, _) => {}
            }
        }
        found
    }
}

/// The occurrences that a trace tells.
fn traced(rule: usize, source: usize, rows: &[Row], end: SimTime) -> Vec<Occurrence> {
    let within = rows.iter().take_while(|row| SimTime::ZERO + row.at <= end);
    let occurrence = |(at, row): (usize, &Row)| Occurrence {
        key: Key::cluster(Kind::Incident, format!("fault-{rule}-{at}")),
        source,
        at: SimTime::ZERO + row.at,
        lasts: row.lasts,
        only: match &row.whom {
            Whom::Any => None,
            Whom::Name(name) => Some(Only::Clock { domain: "node".to_string(), value: Name::from(name.as_str()) }),
            Whom::Index(index) => Some(Only::Index(*index)),
        },
    };
    within.enumerate().map(occurrence).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::faults::FaultRule;

    #[test]
    fn one_clock_beats_no_faster_than_it_can_be_heard() {
        // Half of the draws are below a nanosecond; the mean is exp(6.5² / 2) of them, a second and a half.
        let written =
            serde_json::json!({"every": {"lognormal": {"median": "1ns", "sigma": 6.5}}, "nodeCrash": {"node": "a"}});
        let rule: FaultRule = crate::wire::typed::read(&written).unwrap();
        let source = Source { fault: rule.fault.clone(), lasts: None, when: Timing::Rule(0, rule.when) };
        let span = (SimTime::ZERO, SimTime::from_secs(1_000_000));
        let found = source.occurrences(0, None, Seed(1), span, 100);
        assert_eq!(found.len(), 100, "there is room for so many");
        let gaps: Vec<SimDuration> = found.windows(2).map(|two| two[1].at - two[0].at).collect();
        assert_eq!(gaps.iter().min(), Some(&SimDuration::from_millis(1)));
    }
}
