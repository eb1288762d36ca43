//! What runs are compared by: one number for a whole run each.

use crate::metrics::{Cost, Record, Usage, fragmentation};
use crate::time::{SimDuration, SimTime};

/// Which direction is good.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Better {
    /// More is better.
    Higher,
    /// Less is better.
    Lower,
}

/// What a value is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// Between 0 and 1.
    Share,
    /// A plain number without a unit.
    Ratio,
    /// Seconds.
    Seconds,
    /// A count.
    Count,
    /// The currency of the scenario.
    Money,
    /// Replicas times seconds.
    ReplicaSeconds,
}

impl Unit {
    /// As data files name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Unit::Share => "share",
            Unit::Ratio => "ratio",
            Unit::Seconds => "s",
            Unit::Count => "count",
            Unit::Money => "currency",
            Unit::ReplicaSeconds => "replica-s",
        }
    }
}

/// One measure of a run.
#[derive(Clone, Copy, Debug)]
pub struct Measure {
    /// Its name in data files.
    pub id: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// What it is counted in.
    pub unit: Unit,
    /// Which direction is good.
    pub better: Better,
    of: fn(&Facts<'_>) -> Option<f64>,
}

impl PartialEq for Measure {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

/// What the measures are taken from; computed once for a run.
struct Facts<'a> {
    record: &'a Record,
    usage: Usage,
    fragments: [f64; 2],
    /// From creation to binding, sorted; a pod that was never bound waited until it was gone, or the end.
    delays: Vec<SimDuration>,
    preemptions: u32,
}

const fn lower(id: &'static str, title: &'static str, unit: Unit, of: fn(&Facts<'_>) -> Option<f64>) -> Measure {
    Measure { id, title, unit, better: Better::Lower, of }
}

const fn higher(id: &'static str, title: &'static str, unit: Unit, of: fn(&Facts<'_>) -> Option<f64>) -> Measure {
    Measure { id, title, unit, better: Better::Higher, of }
}

/// All measures, in the order of reports.
pub const MEASURES: &[Measure] = &[
    higher("packing_cpu", "packing of cpu", Unit::Share, |run| Some(run.usage.all.packing[0])),
    higher("packing_memory", "packing of memory", Unit::Share, |run| Some(run.usage.all.packing[1])),
    lower("nodes_in_use", "nodes in use", Unit::Count, |run| Some(nodes_in_use(run.record))),
    lower("fragmentation_cpu", "fragmentation of free cpu", Unit::Share, |run| Some(run.fragments[0])),
    lower("fragmentation_memory", "fragmentation of free memory", Unit::Share, |run| Some(run.fragments[1])),
    lower("stranded_cpu", "stranded share of free cpu", Unit::Share, |run| Some(run.usage.all.stranded[0])),
    lower("stranded_memory", "stranded share of free memory", Unit::Share, |run| Some(run.usage.all.stranded[1])),
    lower("imbalance_cpu", "imbalance of cpu", Unit::Ratio, |run| Some(run.usage.imbalance[0])),
    lower("imbalance_memory", "imbalance of memory", Unit::Ratio, |run| Some(run.usage.imbalance[1])),
    lower("queue_delay_p50", "queueing delay, median", Unit::Seconds, |run| quantile(&run.delays, 50)),
    lower("queue_delay_p95", "queueing delay, 95th percentile", Unit::Seconds, |run| quantile(&run.delays, 95)),
    lower("queue_delay_p99", "queueing delay, 99th percentile", Unit::Seconds, |run| quantile(&run.delays, 99)),
    lower("unscheduled_at_end", "pods without a node at the end", Unit::Count, |run| Some(unscheduled(run.record))),
    lower("preemptions", "preemptions", Unit::Count, |run| Some(f64::from(run.preemptions))),
    lower("evictions", "other evictions", Unit::Count, |run| Some(evictions(run))),
    lower("cost", "cost of all machines", Unit::Money, |run| Some(run.record.cost_micros() as f64 / 1e6)),
    lower("cost_in_use", "cost of nodes while in use", Unit::Money, |run| Some(cost_in_use(run.record))),
    lower("recovery_time", "longest recovery from a fault", Unit::Seconds, |run| recovery_time(run.record)),
    lower("unavailable", "unavailable replica-seconds", Unit::ReplicaSeconds, |run| Some(unavailable(run.record))),
];

/// Every measure of a run, in the order of [`MEASURES`]; `None` where there was nothing to measure.
pub fn measure(record: &Record) -> Vec<Option<f64>> {
    let preempted = record.events.iter().filter(|event| event.reason == "Preempted");
    let facts = Facts {
        record,
        usage: Usage::of(record),
        fragments: fragmentation(record),
        delays: delays(record),
        preemptions: preempted.map(|event| event.count).sum(),
    };
    MEASURES.iter().map(|measure| (measure.of)(&facts)).collect()
}

fn delays(record: &Record) -> Vec<SimDuration> {
    let waited = |pod: &crate::metrics::PodRecord| {
        pod.scheduled.or(pod.deleted).or(pod.gone).unwrap_or(record.end) - pod.created
    };
    let mut delays: Vec<SimDuration> = record.pods.iter().map(waited).collect();
    delays.sort_unstable();
    delays
}

/// The nearest rank: the smallest value that at least `percent` of all do not exceed.
fn quantile(sorted: &[SimDuration], percent: usize) -> Option<f64> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).map(|delay| delay.as_secs_f64())
}

fn unscheduled(record: &Record) -> f64 {
    let waits = |pod: &&crate::metrics::PodRecord| {
        pod.scheduled.is_none() && pod.deleted.is_none() && pod.gone.is_none() && !pod.phase().terminal()
    };
    record.pods.iter().filter(waits).count() as f64
}

fn evictions(run: &Facts<'_>) -> f64 {
    let evicted = run.record.pods.iter().filter(|pod| pod.evicted).count();
    evicted.saturating_sub(run.preemptions as usize) as f64
}

fn workers(record: &Record) -> impl Iterator<Item = &crate::metrics::NodeRecord> {
    record.nodes.iter().filter(|node| !node.control_plane)
}

/// Nanoseconds in which the node held a pod.
fn in_use(node: &crate::metrics::NodeRecord, end: SimTime) -> i128 {
    let held = node.pods.pieces(SimTime::ZERO, end).filter(|piece| piece.2 > 0);
    held.map(|piece| i128::from(piece.1.0)).sum()
}

fn nodes_in_use(record: &Record) -> f64 {
    let time: i128 = workers(record).map(|node| in_use(node, record.end)).sum();
    crate::metrics::series::share(time, i128::from(record.end.0))
}

fn cost_in_use(record: &Record) -> f64 {
    let price = |node: &crate::metrics::NodeRecord| Cost::of(in_use(node, record.end), node.price_per_hour_micros);
    workers(record).map(price).sum::<Cost>().micros() as f64 / 1e6
}

/// The longest of all faults; one that was not made good counts until the end.
fn recovery_time(record: &Record) -> Option<f64> {
    let faults = record.recoveries.iter().filter(|recovery| record.incidents[recovery.incident].is_fault());
    let lengths = faults.map(|recovery| {
        let hit = recovery.impacts.iter().filter(|impact| impact.unavailable > 0);
        let back = hit.map(|impact| impact.full_strength.unwrap_or(record.end)).max();
        back.map_or(SimDuration::ZERO, |back| back - recovery.started)
    });
    lengths.max().map(SimDuration::as_secs_f64)
}

/// Wished and not serving, from the start of the run on: a pod that never gets a node is missing all the time.
fn unavailable(record: &Record) -> f64 {
    let missing = record.workloads.iter().map(|row| row.missing(SimTime::ZERO, record.end));
    missing.sum::<i128>() as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::PodRecord;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique() {
        let ids: BTreeSet<&str> = MEASURES.iter().map(|measure| measure.id).collect();
        assert_eq!(ids.len(), MEASURES.len());
    }

    #[test]
    fn a_pod_that_never_got_a_node_waited_until_the_end() {
        let s = SimTime::from_secs;
        let pod = |created, scheduled: Option<i64>, deleted: Option<i64>| PodRecord {
            created: s(created),
            scheduled: scheduled.map(s),
            deleted: deleted.map(s),
            ..PodRecord::default()
        };
        let pods = vec![pod(0, Some(1), Some(50)), pod(10, None, None), pod(20, None, Some(25))];
        let record = Record { end: s(100), pods, ..Record::default() };
        let delays = delays(&record);
        assert_eq!(delays, [1, 5, 90].map(SimDuration::from_secs));
        let quantiles = [1, 33, 34, 50, 95, 99].map(|percent| quantile(&delays, percent).unwrap());
        assert_eq!(quantiles, [1.0, 1.0, 5.0, 5.0, 90.0, 90.0]);
        assert_eq!(unscheduled(&record), 1.0);
        assert_eq!(quantile(&[], 50), None);
    }
}
