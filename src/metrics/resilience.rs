//! What the faults of a run cost, and what they would have cost further: availability, error budgets, mean times, blast
//! radius, headroom.
//!
//! A worked example: `web` wishes 4 replicas; in an hour one fault takes 1 of them for 6 minutes. All four served for
//! 54/60 = 90 % of the time (`whole`); its budget wants 3, and 3 served always (`budget` 100 %); of the replica time
//! 234/240 = 97.5 % was served (`served`). An objective of 95 % served allows 12 replica-minutes an hour; 6 were used:
//! half of the error budget is burnt.
//!
//! All of it is about pods that really serve: Ready, on a machine that runs. Time counts from the first moment at which
//! the workload was whole; the way up from nothing is no outage.

use super::record::{Record, WorkloadRecord};
use super::recovery::Recovery;
use super::series::together;
use crate::model::{Effect, Kind, Name};
use crate::time::SimDuration;

/// What counts as available.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Availability {
    /// The share of replica time that was served: the integral of serving / desired.
    #[default]
    Served,
    /// The share of time in which all replicas served.
    Whole,
    /// The share of time in which as many served as the disruption budget wants.
    Budget,
}

/// A promise about a workload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Objective {
    /// Its namespace.
    pub namespace: Name,
    /// Its kind, if that is said.
    pub kind: Option<Kind>,
    /// Its name.
    pub name: Name,
    /// The availability that is promised, in millionths.
    pub promise: i64,
    /// What counts.
    pub of: Availability,
}

impl Objective {
    /// Whether it is about this workload.
    pub fn is_about(&self, row: &WorkloadRecord) -> bool {
        self.name == row.name && self.namespace == row.namespace && self.kind.is_none_or(|kind| kind == row.kind)
    }
}

/// What a disruption budget asks of a workload, over time.
#[derive(Clone, PartialEq, Debug)]
pub struct BudgetRecord {
    /// Namespace.
    pub namespace: Name,
    /// Name.
    pub name: Name,
    /// The workload whose pods it selects: an index into [`Record::workloads`].
    pub workload: Option<usize>,
    /// Pods that must be healthy (`status.desiredHealthy`).
    pub desired: super::Series,
}

/// One workload. Shares are in millionths.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct WorkloadResilience {
    /// Which: an index into [`Record::workloads`].
    pub workload: usize,
    /// The time that counts.
    pub observed: SimDuration,
    /// As [`Availability::Whole`].
    pub whole: i64,
    /// As [`Availability::Budget`]; `None` without a budget.
    pub budget: Option<i64>,
    /// As [`Availability::Served`].
    pub served: i64,
    /// Missing replicas × nanoseconds.
    pub missing: i128,
    /// The worst share of its replicas that one fault took, in millionths.
    pub blast: i64,
    /// What was promised, and the share of the error budget that is burnt, in millionths (more than a million is too much).
    pub burnt: Option<(i64, i64)>,
}

/// All workloads and all faults.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Resilience {
    /// By workload, those that were whole at some time.
    pub workloads: Vec<WorkloadResilience>,
    /// Faults that hit something.
    pub faults: usize,
    /// Faults that took a replica from service.
    pub outages: usize,
    /// Mean time from a fault to its detection.
    pub detect: Option<SimDuration>,
    /// Mean time from a fault to full strength, of those that took something and were recovered from.
    pub recover: Option<SimDuration>,
    /// Mean time from one outage to the next: the time that counts over their number.
    pub between: Option<SimDuration>,
    /// Pods lost for good, restarted in place, and replaced by one that found a node.
    pub lost: usize,
    /// See there.
    pub restarted: usize,
    /// See there.
    pub rescheduled: usize,
    /// Time that pods of jobs ran in vain.
    pub work_lost: SimDuration,
    /// So many nodes, the fullest first, can still be lost at the end without leaving a pod without room.
    pub headroom: usize,
}

/// `part / whole` in millionths; everything of nothing.
fn millionths(part: i128, whole: i128) -> i64 {
    (part * 1_000_000).checked_div(whole).map_or(1_000_000, |share| i64::try_from(share).unwrap_or(i64::MAX))
}

impl Resilience {
    /// Of a complete record.
    pub fn of(record: &Record) -> Resilience {
        let faults: Vec<&Recovery> = faults(record).collect();
        let mean = |times: Vec<SimDuration>| {
            let count = i64::try_from(times.len()).unwrap_or(i64::MAX);
            (count > 0).then(|| SimDuration(times.iter().map(|time| time.0 / count).sum()))
        };
        let outages: Vec<&&Recovery> = faults.iter().filter(|fault| fault.unavailable() > 0).collect();
        let workloads: Vec<WorkloadResilience> =
            (0..record.workloads.len()).filter_map(|at| workload(record, at, &faults)).collect();
        let observed = workloads.iter().map(|row| row.observed).max();
        let sum = |of: fn(&Recovery) -> usize| faults.iter().map(|fault| of(fault)).sum();
        Resilience {
            faults: faults.len(),
            outages: outages.len(),
            detect: mean(faults.iter().filter_map(|fault| fault.detection()).collect()),
            recover: mean(outages.iter().filter_map(|fault| fault.time_to_full_strength()).collect()),
            between: observed
                .filter(|_| !outages.is_empty())
                .map(|observed| SimDuration(observed.0 / i64::try_from(outages.len()).unwrap_or(i64::MAX))),
            lost: sum(Recovery::lost),
            restarted: sum(Recovery::restarted),
            rescheduled: sum(Recovery::rescheduled),
            work_lost: SimDuration(record.jobs.iter().map(|job| job.lost.0).sum()),
            headroom: super::headroom::headroom(record),
            workloads,
        }
    }

    /// The row of a workload.
    pub fn row(&self, workload: usize) -> Option<&WorkloadResilience> {
        self.workloads.iter().find(|row| row.workload == workload)
    }
}

/// The recoveries from faults, without those from what people did.
pub fn faults(record: &Record) -> impl Iterator<Item = &Recovery> {
    record
        .recoveries
        .iter()
        .filter(|recovery| !matches!(record.incidents[recovery.incident].fault.effect, Effect::UserAction { .. }))
}

fn workload(record: &Record, at: usize, faults: &[&Recovery]) -> Option<WorkloadResilience> {
    let row = &record.workloads[at];
    let from = row.first_whole()?;
    let (mut observed, mut whole, mut wished, mut served) = (0i128, 0i128, 0i128, 0i128);
    for (_, length, [desired, serving]) in together([&row.desired, &row.serving], from, record.end) {
        let length = i128::from(length.0);
        observed += length;
        whole += if serving >= desired { length } else { 0 };
        wished += i128::from(desired) * length;
        served += i128::from(serving.min(desired)) * length;
    }
    let budget = record.budgets.iter().find(|budget| budget.workload == Some(at));
    let kept = budget.map(|budget| {
        let pieces = together([&budget.desired, &row.serving], from, record.end);
        let kept: i128 = pieces.filter(|(.., [want, have])| have >= want).map(|(_, l, _)| i128::from(l.0)).sum();
        millionths(kept, observed)
    });
    let impacts = faults.iter().flat_map(|fault| &fault.impacts).filter(|impact| impact.workload == at);
    let blast = impacts.map(super::Impact::blast).max();
    let mut found = WorkloadResilience {
        workload: at,
        observed: SimDuration(i64::try_from(observed).unwrap_or(i64::MAX)),
        whole: millionths(whole, observed),
        budget: kept,
        served: millionths(served, wished),
        missing: wished - served,
        blast: blast.unwrap_or(0),
        burnt: None,
    };
    let objective = record.objectives.iter().find(|objective| objective.is_about(row));
    found.burnt = objective.map(|objective| {
        let have = match objective.of {
            Availability::Served => found.served,
            Availability::Whole => found.whole,
            Availability::Budget => found.budget.unwrap_or(found.whole),
        };
        let allowed = i128::from((1_000_000 - objective.promise).max(1));
        (objective.promise, millionths(i128::from(1_000_000 - have), allowed))
    });
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::testing::node_crash;

    #[test]
    fn a_crash_costs_what_it_costs() {
        // Three replicas, whole from 15 s on; one is lost from 100 s until its replacement serves at 445 s; end at 600 s.
        let mut record = node_crash().finish(600.0);
        let promise = |promise: i64, of: Availability| Objective {
            namespace: crate::name!("default"),
            kind: None,
            name: crate::name!("web"),
            promise,
            of,
        };
        record.objectives = vec![promise(900_000, Availability::Served)];
        let found = Resilience::of(&record);
        let row = &found.workloads[0];
        let observed = SimDuration::from_secs(585);
        assert_eq!(row.observed, observed);
        // 585 - 345 = 240 s whole; (3 * 585 - 345) / (3 * 585) served; one of three is the worst.
        assert_eq!((row.whole, row.served, row.budget, row.blast), (410_256, 803_418, None, 333_333));
        // 19.66 % were missing where 10 % are allowed.
        assert_eq!(row.burnt, Some((900_000, 1_965_820)));
        assert_eq!((found.faults, found.outages, found.lost, found.rescheduled), (1, 1, 1, 1));
        assert_eq!(found.detect, Some(SimDuration::from_secs(40)));
        assert_eq!(found.recover, Some(SimDuration::from_secs(345)));
        assert_eq!(found.between, Some(observed));
        record.objectives = vec![promise(500_000, Availability::Whole)];
        assert_eq!(Resilience::of(&record).workloads[0].burnt, Some((500_000, 1_179_488)));
    }
}
