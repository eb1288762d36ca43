//! Latencies over time as a heat map: the darker, the more requests took so long. With the median and the 99th
//! percentile.

use super::Drawn;
use super::canvas::{Frame, GREY, GRID, INK, Pen, Sheet, unit_of};
use crate::metrics::traffic::{BANDS, FlowTraffic, Window, band, band_start};
use crate::outcome::Outcome;
use crate::time::SimDuration;
use plotters::prelude::{DrawingBackend, RGBColor};
use plotters::style::text_anchor::HPos;

/// The service with the most requests: one to a picture.
fn busiest(outcome: &Outcome) -> Option<&FlowTraffic> {
    let flows = &outcome.record.traffic.as_ref()?.services;
    flows.iter().filter(|flow| flow.latencies.count() > 0).max_by_key(|flow| flow.latencies.count())
}

/// Whether anything was answered.
pub fn applies(outcome: &Outcome) -> bool {
    busiest(outcome).is_some()
}

/// Draws it.
///
/// # Errors
/// A failure of the drawing library.
pub fn draw<B: DrawingBackend>(outcome: &Outcome, sheet: &Sheet<B>) -> Drawn {
    let (Some(flow), Some(traffic)) = (busiest(outcome), &outcome.record.traffic) else { return Ok(()) };
    let record = &outcome.record;
    let explanation = "Darker: more answered requests of that latency in that time. Lines: median and 99th percentile.";
    let mut pen = Pen::new(sheet, &format!("{}: latency of {}", outcome.scenario_name, flow.name), explanation);
    let (unit, name) = unit_of(record.end);
    let used = |at: usize| flow.windows.iter().any(|window| window.bands[at] > 0);
    let (Some(low), Some(high)) = ((0..BANDS).find(|at| used(*at)), (0..BANDS).rev().find(|at| used(*at))) else {
        return pen.done();
    };
    let (low, high) = (low.saturating_sub(2), (high + 3).min(BANDS));
    let end = record.end.as_secs_f64() / unit;
    let frame = Frame { edges: [96, 112, 1170, 610], x: (0.0, end), y: (low as f64, high as f64) };
    pen.x_axis(&frame, &format!("virtual time ({name})"));
    let seconds = traffic.window.as_secs_f64();
    let most = flow.windows.iter().flat_map(|window| window.bands).max().unwrap_or(1).max(1);
    for (column, window) in flow.windows.iter().enumerate() {
        let x = |at: usize| (at as f64 * seconds / unit).min(end);
        for (row, count) in window.bands.iter().enumerate().filter(|(_, count)| **count > 0) {
            let (from, to) = (frame.at(x(column), row as f64 + 1.0), frame.at(x(column + 1), row as f64));
            pen.bar(from, to, shade(*count, most));
        }
    }
    axis(&mut pen, &frame);
    for (share, width) in [(0.5, 1), (0.99, 2)] {
        let place = |(at, window): (usize, &Window)| {
            let row = band(window.quantile(share)?) as f64;
            Some(frame.at(((at as f64 + 0.5) * seconds / unit).min(end), row.clamp(low as f64, high as f64)))
        };
        pen.line(flow.windows.iter().enumerate().filter_map(place).collect(), INK, width);
    }
    pen.faults(record, &frame, unit);
    pen.done()
}

/// From pale to dark blue, by the square root of the share: rare latencies are to be seen, too.
fn shade(count: u32, most: u32) -> RGBColor {
    let share = libm::sqrt(f64::from(count) / f64::from(most));
    let mix = |pale: f64, dark: f64| (pale + (dark - pale) * share) as u8;
    RGBColor(mix(222.0, 0.0), mix(235.0, 64.0), mix(247.0, 128.0))
}

/// Latencies at round values.
fn axis<B: DrawingBackend>(pen: &mut Pen<'_, B>, frame: &Frame) {
    let [left, top, right, bottom] = frame.edges;
    for (micros, label) in [
        (100, "0.1 ms"),
        (1_000, "1 ms"),
        (10_000, "10 ms"),
        (100_000, "100 ms"),
        (1_000_000, "1 s"),
        (10_000_000, "10 s"),
    ] {
        let latency = SimDuration::from_micros(micros);
        let at = band(latency);
        // Within its band, by how far it is into it.
        let (from, to) = (band_start(at), band_start(at + 1));
        let row = at as f64 + (latency.0 - from.0) as f64 / (to.0 - from.0).max(1) as f64;
        if row > frame.y.0 && row < frame.y.1 {
            let y = frame.at(frame.x.0, row).1;
            pen.line(vec![(left, y), (right, y)], GRID, 1);
            pen.text(label, (left - 8, y - 8), 15, GREY, HPos::Right);
        }
    }
    pen.line(vec![(left, top), (left, bottom)], GREY, 1);
}
