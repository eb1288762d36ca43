//! Replicas that serve, over time, with the wish and the faults.

use super::Drawn;
use super::canvas::{At, COLOURS, Frame, Pen, Sheet, unit_of};
use crate::metrics::{Series, WorkloadRecord};
use crate::outcome::Outcome;
use crate::time::SimTime;
use plotters::prelude::DrawingBackend;

/// Workloads drawn; more would not be told apart.
const SHOWN: usize = 6;

fn shown(outcome: &Outcome) -> Vec<&WorkloadRecord> {
    outcome.record.workloads.iter().filter(|row| !row.desired.points.is_empty()).take(SHOWN).collect()
}

/// Whether there is a workload.
pub fn applies(outcome: &Outcome) -> bool {
    !shown(outcome).is_empty() && outcome.record.end > SimTime::ZERO
}

/// Draws it.
///
/// # Errors
/// A failure of the drawing library.
pub fn draw<B: DrawingBackend>(outcome: &Outcome, sheet: &Sheet<B>) -> Drawn {
    let record = &outcome.record;
    let rows = shown(outcome);
    let explanation = "Solid: pods that are ready on a machine that is up. Dashed: pods that are wished for.";
    let mut pen = Pen::new(sheet, &format!("{}: replicas that serve", outcome.scenario_name), explanation);
    let (unit, name) = unit_of(record.end);
    let most = |series: &Series| series.max(SimTime::ZERO, record.end);
    let top = rows.iter().map(|row| most(&row.desired).max(most(&row.serving))).max().unwrap_or(1).max(1) as f64;
    let end = record.end.as_secs_f64() / unit;
    let frame = Frame { edges: [80, 112, 1170, 610], x: (0.0, end), y: (0.0, top * 1.2) };
    pen.x_axis(&frame, &format!("virtual time ({name})"));
    pen.y_axis(&frame, "pods");
    pen.faults(record, &frame, unit);
    for (row, colour) in rows.iter().zip(COLOURS) {
        for pair in corners(&row.desired, &frame, unit, record.end).windows(2) {
            pen.dashed(pair[0], pair[1], colour, 1);
        }
        pen.line(corners(&row.serving, &frame, unit, record.end), colour, 3);
    }
    let legend: Vec<_> = rows.iter().zip(COLOURS).map(|(row, colour)| (colour, row.name.to_string())).collect();
    pen.legend(&legend);
    pen.done()
}

/// The corners of a series drawn as steps.
pub fn corners(series: &Series, frame: &Frame, unit: f64, end: SimTime) -> Vec<At> {
    let mut corners: Vec<At> = Vec::new();
    for (start, length, value) in series.pieces(SimTime::ZERO, end) {
        let at = |time: SimTime| frame.at(time.as_secs_f64() / unit, value as f64);
        for corner in [at(start), at(start + length)] {
            if corners.last() != Some(&corner) {
                corners.push(corner);
            }
        }
    }
    corners
}
