//! How well capacity followed the load: what was served, what was lost, what stood idle, and how long pods and nodes
//! took to come.
//!
//! Capacity of a load is its ready pods times what one of them can take: its CPU limit, or its request where it has none.
//!
//! * **lost** the part of the load for which there was no capacity; **too little** the share of the run in which that was so.
//! * **idle** capacity beyond the load, as a part of the load; **too much** the share of the run in which a whole pod less
//!   would have done.
//! * **under**, **over**: the accuracy of provisioning of the SPEC research group (Herbst et al., TOMPECS 2018): over time,
//!   how many pods too few or too many there were, as a part of those that the load needed just then.
//! * **turns** how often the number of ready pods changed its direction: few is calm.

use super::record::Record;
use super::series::{Series, share, together};
use super::traffic::TrafficRecord;
use crate::model::curve::Curve;
use crate::model::{Name, Uid};
use crate::time::{SimDuration, SimTime};
use std::collections::BTreeMap;

/// A load and who took it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct LoadRecord {
    /// The selector of its pods.
    pub name: Name,
    /// What it wants of processors, in milli-CPU.
    pub demand: Curve<SimTime>,
    /// What one pod can take.
    pub each: i64,
    /// Pods that joined (`true`) and left.
    pub crew: Vec<(SimTime, Uid, bool)>,
}

/// How well a load was served.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Quality {
    /// Mean demand in milli-CPU.
    pub demand_mean: f64,
    /// The largest demand.
    pub demand_max: i64,
    /// Part of the load that was lost.
    pub lost: f64,
    /// Share of the run in which some was lost.
    pub too_little: f64,
    /// Capacity beyond the load, as a part of it.
    pub idle: f64,
    /// Share of the run in which there was a pod too many.
    pub too_much: f64,
    /// Pods too few, as a part of those that were needed at each instant, averaged over the run.
    pub under: f64,
    /// Pods too many, likewise.
    pub over: f64,
    /// Changes of direction.
    pub turns: usize,
}

/// From an instant to the next within which `value` is on one line: the share of that time above `level`.
fn time_above([a, b]: [(SimTime, i64); 2], level: i64) -> i128 {
    let length = i128::from((b.0 - a.0).0);
    match (a.1 > level, b.1 > level) {
        (true, true) => length,
        (false, false) => 0,
        (above, _) => {
            let before = length * i128::from(level - a.1) / i128::from(b.1 - a.1);
            if above { before } else { length - before }
        }
    }
}

/// Pods too few and too many, as parts of those that are needed (at least one), each multiplied by its nanoseconds.
fn off([a, b]: [(SimTime, i64); 2], pods: i64, each: i64) -> [f64; 2] {
    let length = (b.0 - a.0).0 as f64;
    let (low, high) = (a.1.min(b.1), a.1.max(b.1));
    let needed = |demand: i64| ((demand + each - 1) / each).max(1);
    let mut sums = [0.0; 2];
    for need in needed(low)..=needed(high) {
        // The part of the line on which so many are needed.
        let from = if need == needed(low) { low } else { (need - 1) * each };
        let to = if need == needed(high) { high } else { need * each };
        let part = if high == low { 1.0 } else { (to - from) as f64 / (high - low) as f64 };
        sums[0] += part * length * (need - pods).max(0) as f64 / need as f64;
        sums[1] += part * length * (pods - need).max(0) as f64 / need as f64;
    }
    sums
}

impl LoadRecord {
    /// Ready pods over time.
    pub fn pods(&self) -> Series {
        let mut pods = Series::default();
        self.crew.iter().for_each(|(at, _, joined)| pods.add(*at, if *joined { 1 } else { -1 }));
        pods
    }

    /// Of the whole run.
    pub fn quality(&self, end: SimTime) -> Quality {
        let (start, pods) = (SimTime::ZERO, self.pods());
        let (mut wanted, mut served, mut capacity) = (0i128, 0i128, 0i128);
        let (mut little, mut much) = (0i128, 0i128);
        let mut accuracy = [0.0; 2];
        for (from, length, count) in pods.pieces(start, end) {
            let (to, most) = (from + length, count * self.each);
            wanted += self.demand.integral(from, to, None);
            served += self.demand.integral(from, to, Some(most));
            capacity += i128::from(most) * i128::from(length.0);
            for piece in self.demand.pieces(from, to) {
                little += time_above(piece, most);
                let parts = off(piece, count, self.each.max(1));
                accuracy = [accuracy[0] + parts[0], accuracy[1] + parts[1]];
                let one_less = (count - 1).max(0) * self.each;
                much += i128::from((piece[1].0 - piece[0].0).0) - time_above(piece, one_less.max(0));
            }
            if count == 0 {
                // Without pods there is none too many.
                much -=
                    i128::from(length.0) - self.demand.pieces(from, to).map(|piece| time_above(piece, 0)).sum::<i128>();
            }
        }
        let time = i128::from((end - start).0);
        let points = self.demand.points().iter().filter(|point| point.0 <= end).map(|point| point.1);
        Quality {
            demand_mean: share(wanted, time),
            demand_max: points.chain([self.demand.at(start), self.demand.at(end)]).max().unwrap_or(0),
            lost: share(wanted - served, wanted),
            too_little: share(little, time),
            idle: share(capacity - served, wanted),
            too_much: share(much, time),
            under: if time == 0 { 0.0 } else { accuracy[0] / time as f64 },
            over: if time == 0 { 0.0 } else { accuracy[1] / time as f64 },
            turns: turns(&pods),
        }
    }
}

fn turns(pods: &Series) -> usize {
    let steps = pods.points.windows(2).map(|pair| pair[1].1 > pair[0].1);
    let directions: Vec<bool> = steps.collect();
    directions.windows(2).filter(|pair| pair[0] != pair[1]).count()
}

/// How long what was added took, from the wish to its use; the steps in between, and the whole.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Latency {
    /// How many.
    pub count: usize,
    /// Each step's median and longest.
    pub steps: Vec<(&'static str, SimDuration, SimDuration)>,
    /// The whole's median and longest.
    pub whole: (SimDuration, SimDuration),
}

fn middle(mut lengths: Vec<SimDuration>) -> (SimDuration, SimDuration) {
    lengths.sort_unstable();
    let longest = lengths.last().copied().unwrap_or_default();
    (lengths.get(lengths.len() / 2).copied().unwrap_or_default(), longest)
}

fn latency(names: &[&'static str], rows: &[Vec<SimDuration>]) -> Latency {
    let column = |at: usize| middle(rows.iter().map(|row| row[at]).collect());
    let steps = names.iter().enumerate().map(|(at, name)| (*name, column(at).0, column(at).1)).collect();
    let whole = rows.iter().map(|row| SimDuration(row.iter().map(|step| step.0).sum())).collect();
    Latency { count: rows.len(), steps, whole: middle(whole) }
}

/// Nodes that were asked for during the run: until the machine works, is known, and is ready.
pub fn node_latency(record: &Record) -> Latency {
    let first = |series: &Series, from: SimTime| {
        series.points.iter().find(|point| point.1 == 1 && point.0 >= from).map(|point| point.0)
    };
    let row = |node: &super::NodeRecord| {
        let asked = node.asked?;
        let up = first(&node.up, asked)?;
        let ready = first(&node.ready, up)?;
        Some(vec![up - asked, ready - up])
    };
    let rows: Vec<Vec<SimDuration>> = record.nodes.iter().filter_map(row).collect();
    latency(&["machine up", "node ready"], &rows)
}

/// Pods that were made while the run was under way: until they are placed, run, and are ready.
pub fn pod_latency(record: &Record, of: impl Fn(&super::PodRecord) -> bool) -> Latency {
    let row = |pod: &super::PodRecord| {
        let (scheduled, started, ready) = (pod.scheduled?, pod.started?, pod.first_ready()?);
        Some(vec![scheduled - pod.created, started - scheduled, (ready - started).max_zero()])
    };
    let rows: Vec<Vec<SimDuration>> = record.pods.iter().filter(|pod| of(pod)).filter_map(row).collect();
    latency(&["placed", "started", "ready"], &rows)
}

/// How often the shares of pods are looked at where nothing else changes.
const GRID: SimDuration = SimDuration::from_secs(30);

/// Adds what requests and loads take to what their nodes use.
pub fn add_use(record: &mut Record) {
    if let Some(traffic) = record.traffic.take() {
        add_requests(record, &traffic);
        record.traffic = Some(traffic);
    }
    if !record.loads.is_empty() {
        add_loads(record);
    }
}

fn add_requests(record: &mut Record, traffic: &TrafficRecord) {
    let end = record.end;
    for used in &traffic.nodes {
        let Some(node) = record.nodes.iter_mut().find(|node| node.name == used.node) else { continue };
        let (mut cpu, mut memory) = (Series::default(), Series::default());
        for (window, (core_ns, byte_seconds)) in used.cpu.iter().zip(&used.memory).enumerate() {
            let from = traffic.start + traffic.window * window as i64;
            // The last one may be cut short.
            let length = traffic.window.0.min((end - from).0).max(1);
            cpu.set(from, (i128::from(*core_ns) * 1000 / i128::from(length)) as i64);
            memory.set(from, (i128::from(*byte_seconds) * 1_000_000_000 / i128::from(length)) as i64);
        }
        add(&mut node.used_cpu, &cpu, end);
        add(&mut node.used_memory, &memory, end);
    }
}

/// Adds another series to one.
fn add(to: &mut Series, more: &Series, end: SimTime) {
    let mut sum = Series::default();
    for (at, _, [one, other]) in together([&*to, more], SimTime(i64::MIN / 4), end) {
        sum.set(at, one + other);
    }
    *to = sum;
}

fn add_loads(record: &mut Record) {
    let nodes: BTreeMap<Name, usize> =
        record.nodes.iter().enumerate().map(|(at, node)| (node.name.clone(), at)).collect();
    let place: BTreeMap<Uid, usize> =
        record.pods.iter().filter_map(|pod| Some((pod.uid, *nodes.get(&pod.node)?))).collect();
    let mut extra: Vec<Series> = vec![Series::default(); record.nodes.len()];
    let mut totals: BTreeMap<(usize, usize), i64> = BTreeMap::new();
    for (number, load) in record.loads.iter().enumerate() {
        let grid = (0i64..).map(|step| SimTime::ZERO + GRID * step).take_while(|at| *at < record.end);
        let mut times: Vec<SimTime> = load.crew.iter().map(|one| one.0).chain(grid).collect();
        times.sort_unstable();
        times.dedup();
        let (mut next, mut crew, mut on_node) = (0, 0i64, BTreeMap::<usize, i64>::new());
        for at in times {
            while let Some((_, pod, joined)) = load.crew.get(next).filter(|one| one.0 <= at) {
                let change = if *joined { 1 } else { -1 };
                crew += change;
                if let Some(node) = place.get(pod) {
                    *on_node.entry(*node).or_default() += change;
                }
                next += 1;
            }
            let each = if crew == 0 { 0 } else { (load.demand.at(at) / crew).min(load.each.max(1)) };
            for (node, count) in &on_node {
                let old = totals.insert((*node, number), each * count).unwrap_or(0);
                extra[*node].points.push((at, each * count - old));
            }
        }
    }
    for (node, changes) in record.nodes.iter_mut().zip(extra) {
        let mut changes = changes.points;
        changes.sort_by_key(|change| change.0);
        let mut loads = Series::default();
        changes.into_iter().for_each(|(at, change)| loads.add(at, change));
        add(&mut node.used_cpu, &loads, record.end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_time_and_load() {
        let at = SimTime::from_secs;
        // 1000m until 100 s, then 3000m until 200 s; two pods of 1000m, a third from 150 s on.
        let load = LoadRecord {
            name: crate::name!("app=web"),
            demand: Curve::steps(&[(at(0), 1000), (at(100), 3000)]),
            each: 1000,
            crew: vec![(at(0), Uid(1), true), (at(0), Uid(2), true), (at(150), Uid(3), true)],
        };
        let quality = load.quality(at(200));
        // In all 100 + 300 core-seconds; lost 1 × 50; idle 1 × 100.
        assert_eq!((quality.demand_mean, quality.demand_max), (2000.0, 3000));
        assert_eq!((quality.lost, quality.too_little), (50.0 / 400.0, 0.25));
        assert_eq!((quality.idle, quality.too_much, quality.turns), (100.0 / 400.0, 0.5, 0));
        // One pod needed and two there, then three needed: half too many for 100 s is 1; one of three too few for 50 s.
        let near = |a: f64, b: f64| (a - b).abs() < 1e-12;
        assert!(near(quality.over, 100.0 / 200.0) && near(quality.under, 50.0 / 3.0 / 200.0), "{quality:?}");
        // A line from 0 to 2000m: one pod for half of the time, two for the other; of none there all are too few.
        assert_eq!(off([(at(0), 0), (at(10), 2000)], 1, 1000), [2.5e9, 0.0]);
        // A line from 0 to 4000m over 100 s is above 1000m for three quarters of it.
        assert_eq!(time_above([(at(0), 0), (at(100), 4000)], 1000), 75_000_000_000);
        assert_eq!(time_above([(at(0), 4000), (at(100), 0)], 1000), 75_000_000_000);
    }

    #[test]
    fn turns_count_changes_of_direction() {
        let mut pods = Series::default();
        for (second, count) in [(1, 2), (2, 4), (3, 6), (4, 3), (5, 5)] {
            pods.set(SimTime::from_secs(second), count);
        }
        assert_eq!(turns(&pods), 2);
    }
}
