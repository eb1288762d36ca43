//! Requests over time: how many came, how many were answered, how many failed, and the endpoints that there were.

use super::Drawn;
use super::canvas::{At, COLOURS, FAULT, Frame, Pen, Sheet, unit_of};
use crate::metrics::traffic::{End, FlowTraffic, TrafficRecord, Window};
use crate::outcome::Outcome;
use crate::time::{SimDuration, SimTime};
use plotters::prelude::{DrawingBackend, RGBColor};

/// Services drawn; more would not be told apart.
const SHOWN: usize = 3;

/// Capacity is shown up to so many times the highest rate.
const CAPACITY_SHOWN: f64 = 2.5;
/// The colour of capacity.
const GRID_DARK: RGBColor = RGBColor(165, 165, 165);

/// Whether anybody asked anything.
pub fn applies(outcome: &Outcome) -> bool {
    outcome.record.traffic.as_ref().is_some_and(|traffic| traffic.services.iter().any(|flow| flow.begun > 0))
}

/// Draws it.
///
/// # Errors
/// A failure of the drawing library.
pub fn draw<B: DrawingBackend>(outcome: &Outcome, sheet: &Sheet<B>) -> Drawn {
    let record = &outcome.record;
    let Some(traffic) = &record.traffic else { return Ok(()) };
    let explanation = "Thin: begun. Thick: answered. Red, or dashed: failed. Grey: what the ready endpoints can do, if not far more. Below: those.";
    let mut pen = Pen::new(sheet, &format!("{}: requests a second", outcome.scenario_name), explanation);
    let (unit, name) = unit_of(record.end);
    let flows: Vec<&FlowTraffic> = traffic.services.iter().take(SHOWN).collect();
    let seconds = traffic.window.as_secs_f64();
    let rate = |count: u64| count as f64 / seconds;
    let windows = || flows.iter().flat_map(|flow| &flow.windows);
    let most = windows().map(|window| rate(window.begun.max(window.ends.failed()))).fold(0.0, f64::max);
    let endpoints = |flow: &FlowTraffic| {
        record
            .services
            .iter()
            .find(|row| row.name == flow.name && row.namespace == flow.namespace)
            .map(|row| &row.ready)
    };
    // Capacity far above the rate must not flatten it: the line leaves the picture then. One that is mostly outside
    // would be a few scraps.
    let shown = most.max(1.0) * CAPACITY_SHOWN;
    let able = |flow: &&FlowTraffic| {
        endpoints(flow).is_some_and(|ready| {
            let mean = ready.mean(SimTime::ZERO, record.end) * flow.capacity;
            mean > 0.0 && mean <= shown
        })
    };
    let drawn = flows.iter().filter(|flow| able(flow)).filter_map(|flow| Some((endpoints(flow)?, flow.capacity)));
    let levels = drawn.flat_map(|(ready, each)| {
        ready.pieces(SimTime::ZERO, record.end).map(move |piece| piece.2 as f64 * each).collect::<Vec<_>>()
    });
    let top = levels.filter(|level| *level <= shown).fold(most, f64::max);
    let end = record.end.as_secs_f64() / unit;
    let upper = Frame { edges: [80, 112, 1170, 440], x: (0.0, end), y: (0.0, top.max(1.0) * 1.15) };
    pen.x_axis(&upper, "");
    pen.y_axis(&upper, "requests/s");
    pen.faults(record, &upper, unit);
    let several = flows.iter().filter(|flow| flow.ends.failed() > 0).count() > 1;
    for flow in flows.iter().filter(|flow| able(flow)) {
        let Some(ready) = endpoints(flow) else { continue };
        let can = |value: i64| value as f64 * flow.capacity;
        let place = |&(start, length, value): &(SimTime, SimDuration, i64)| {
            [start, start + length].map(|time| upper.at(time.as_secs_f64() / unit, can(value)))
        };
        let pieces: Vec<_> = ready.pieces(SimTime::ZERO, record.end).collect();
        let inside = |piece: &(SimTime, SimDuration, i64)| can(piece.2) <= shown;
        for run in pieces.chunk_by(|a, b| inside(a) == inside(b)).filter(|run| inside(&run[0])) {
            pen.line(run.iter().flat_map(place).collect(), GRID_DARK, 2);
        }
    }
    for (flow, colour) in flows.iter().zip(COLOURS) {
        let line = |of: fn(&Window) -> u64| points(traffic, flow, &upper, unit, |window| rate(of(window)));
        pen.line(line(|window| window.begun), colour, 1);
        pen.line(line(|window| window.ends.of(End::Success)), colour, 3);
        let failed = line(|window| window.ends.failed());
        match flow.ends.failed() {
            0 => {}
            _ if !several => pen.line(failed, FAULT, 2),
            // Of several it must be told whose.
            _ => failed.windows(2).for_each(|pair| pen.dashed(pair[0], pair[1], colour, 2)),
        }
    }
    let ready: Vec<_> = flows
        .iter()
        .filter_map(|flow| record.services.iter().find(|row| row.name == flow.name && row.namespace == flow.namespace))
        .collect();
    let most = ready.iter().map(|row| row.ready.max(SimTime::ZERO, record.end)).max().unwrap_or(0).max(1);
    let lower = Frame { edges: [80, 480, 1170, 610], x: (0.0, end), y: (0.0, most as f64 * 1.2) };
    pen.x_axis(&lower, &format!("virtual time ({name})"));
    pen.y_axis(&lower, "endpoints");
    for (row, colour) in ready.iter().zip(COLOURS) {
        pen.line(super::replicas::corners(&row.ready, &lower, unit, record.end), colour, 2);
    }
    let legend: Vec<_> = flows.iter().zip(COLOURS).map(|(flow, colour)| (colour, flow.name.to_string())).collect();
    pen.legend(&legend);
    pen.done()
}

/// One point in the middle of each window.
fn points(
    traffic: &TrafficRecord,
    flow: &FlowTraffic,
    frame: &Frame,
    unit: f64,
    of: impl Fn(&Window) -> f64,
) -> Vec<At> {
    let seconds = traffic.window.as_secs_f64();
    let middle = |at: usize| ((at as f64 + 0.5) * seconds / unit).min(frame.x.1);
    flow.windows.iter().enumerate().map(|(at, window)| frame.at(middle(at), of(window))).collect()
}
