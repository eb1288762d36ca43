//! Capacity over time: what loads and pods want of processors and what the nodes have, how many nodes are ready, and what
//! all has cost so far.

use super::Drawn;
use super::canvas::{COLOURS, Frame, INK, Pen, Sheet, unit_of};
use super::replicas::corners;
use crate::metrics::{NodeRecord, Record, Series};
use crate::outcome::Outcome;
use crate::time::{SimDuration, SimTime};
use plotters::prelude::DrawingBackend;

/// Points of a line that is not made of steps.
const POINTS: i64 = 240;
/// Milli-CPU of a core.
const MILLI: f64 = 1000.0;
/// From price per hour, in millionths, and nanoseconds to the amount.
const MICRO_HOURS: f64 = 1e6 * 3.6e12;

/// Whether there is a node for pods.
pub fn applies(outcome: &Outcome) -> bool {
    workers(&outcome.record).next().is_some() && outcome.record.end > SimTime::ZERO
}

fn workers(record: &Record) -> impl Iterator<Item = &NodeRecord> {
    record.nodes.iter().filter(|node| !node.control_plane)
}

/// The sum of a series of some nodes, each times its weight.
fn sum<'a>(nodes: impl Iterator<Item = &'a NodeRecord>, of: fn(&NodeRecord) -> (&Series, i64)) -> Series {
    let mut changes: Vec<(SimTime, i64)> = Vec::new();
    for (series, weight) in nodes.map(of) {
        let mut before = 0;
        for (at, value) in &series.points {
            changes.push((*at, (value - before) * weight));
            before = *value;
        }
    }
    changes.sort_by_key(|change| change.0);
    let mut sum = Series::default();
    changes.into_iter().for_each(|(at, change)| sum.add(at, change));
    sum
}

/// Instants that are evenly apart, from the beginning to the end.
fn instants(end: SimTime) -> impl Iterator<Item = SimTime> {
    (0..=POINTS).map(move |index| SimTime::ZERO + SimDuration(end.0 / POINTS * index))
}

/// What has been paid by each of these instants.
fn paid(record: &Record) -> Vec<(SimTime, f64)> {
    let price = sum(record.nodes.iter(), |node| (&node.up, node.price_per_hour_micros));
    let (mut before, mut total) = (SimTime::ZERO, 0);
    let mut until = |at| {
        total += price.integral(before, at);
        before = at;
        (at, total as f64 / MICRO_HOURS)
    };
    instants(record.end).map(&mut until).collect()
}

/// Draws it.
///
/// # Errors
/// A failure of the drawing library.
pub fn draw<B: DrawingBackend>(outcome: &Outcome, sheet: &Sheet<B>) -> Drawn {
    let record = &outcome.record;
    let explanation = "Above: cores that pods may have and that they ask for. Below: nodes that are ready, and what all nodes have cost so far.";
    let mut pen = Pen::new(sheet, &format!("{}: capacity and cost", outcome.scenario_name), explanation);
    let (unit, name) = unit_of(record.end);
    let end = record.end.as_secs_f64() / unit;
    let cores = [
        sum(workers(record), |node| (&node.allocatable_cpu, 1)),
        sum(workers(record), |node| (&node.requested_cpu, 1)),
    ];
    let wanted = |at: SimTime| record.loads.iter().map(|load| load.demand.at(at)).sum::<i64>() as f64;
    let most = cores.iter().map(|series| series.max(SimTime::ZERO, record.end)).max().unwrap_or(0).max(1) as f64;
    let upper = Frame { edges: [80, 112, 1170, 330], x: (0.0, end), y: (0.0, most * 1.15 / MILLI) };
    pen.x_axis(&upper, "");
    pen.y_axis(&upper, "cores");
    pen.faults(record, &upper, unit);
    let thousandths = Frame { y: (0.0, most * 1.15), ..upper };
    for (series, colour) in cores.iter().zip(COLOURS) {
        pen.line(corners(series, &thousandths, unit, record.end), colour, 2);
    }
    let mut legend = vec![(COLOURS[0], "allocatable".to_string()), (COLOURS[1], "requested".to_string())];
    if !record.loads.is_empty() {
        let shown = |at: SimTime| thousandths.at(at.as_secs_f64() / unit, wanted(at).min(thousandths.y.1));
        pen.line(instants(record.end).map(shown).collect(), INK, 1);
        legend.push((INK, "wanted by loads".to_string()));
    }
    pen.legend(&legend);
    let ready = sum(workers(record), |node| (&node.ready, 1));
    let nodes = ready.max(SimTime::ZERO, record.end).max(1) as f64;
    let middle = Frame { edges: [80, 365, 1170, 465], x: (0.0, end), y: (0.0, nodes * 1.2) };
    pen.x_axis(&middle, "");
    pen.y_axis(&middle, "nodes");
    pen.line(corners(&ready, &middle, unit, record.end), COLOURS[2], 2);
    let paid = paid(record);
    let all = paid.last().map_or(0.0, |(_, amount)| *amount);
    let lower = Frame { edges: [80, 510, 1170, 610], x: (0.0, end), y: (0.0, (all * 1.1).max(0.01)) };
    pen.x_axis(&lower, &format!("virtual time ({name})"));
    pen.y_amounts(&lower, "cost");
    let place = |&(at, amount): &(SimTime, f64)| lower.at(at.as_secs_f64() / unit, amount);
    pen.line(paid.iter().map(place).collect(), COLOURS[3], 2);
    pen.done()
}
