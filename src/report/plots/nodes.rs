//! Utilization by node: requested and used shares of cpu and memory, averaged over the run.

use super::super::text::fit;
use super::Drawn;
use super::canvas::{COLOURS, Frame, INK, Pen, Sheet};
use crate::metrics::{Usage, UsageRow};
use crate::outcome::Outcome;
use crate::time::SimTime;
use plotters::prelude::{DrawingBackend, RGBColor};
use plotters::style::text_anchor::HPos;

/// Nodes drawn one by one; of more, pools are drawn.
const SHOWN: usize = 16;

type Share = fn(&UsageRow) -> f64;

const BARS: [(&str, RGBColor, Share); 4] = [
    ("cpu requested", COLOURS[0], |row| row.requested[0]),
    ("cpu used", COLOURS[4], |row| row.used[0]),
    ("memory requested", COLOURS[5], |row| row.requested[1]),
    ("memory used", COLOURS[1], |row| row.used[1]),
];

/// Whether there is a node.
pub fn applies(outcome: &Outcome) -> bool {
    !outcome.record.nodes.is_empty() && outcome.record.end > SimTime::ZERO
}

/// Draws it.
///
/// # Errors
/// A failure of the drawing library.
pub fn draw<B: DrawingBackend>(outcome: &Outcome, sheet: &Sheet<B>) -> Drawn {
    let usage = Usage::of(&outcome.record);
    let workers: Vec<&UsageRow> = usage
        .nodes
        .iter()
        .zip(&outcome.record.nodes)
        .filter(|(_, node)| !node.control_plane)
        .map(|pair| pair.0)
        .collect();
    let (what, mut rows) = match workers.len() <= SHOWN {
        true => ("node", workers),
        false => ("pool", usage.pools.iter().take(SHOWN).collect()),
    };
    rows.push(&usage.all);
    let title = format!("{}: utilization by {what}", outcome.scenario_name);
    let explanation = "Mean over the run, as a share of what pods may have (allocatable). Control plane left out.";
    let mut pen = Pen::new(sheet, &title, explanation);
    let widest = rows.iter().flat_map(|row| BARS.iter().map(|bar| bar.2(row))).fold(0.0, f64::max);
    // A scale that ends at a round tenth just above the longest bar.
    let top = ((widest * 10.0).floor() + 1.0).min(10.0) * 10.0;
    let frame = Frame { edges: [190, 112, 1150, 610], x: (0.0, top), y: (0.0, rows.len() as f64) };
    pen.x_axis(&frame, "share of allocatable (%)");
    for (at, row) in rows.iter().enumerate() {
        let slot = rows.len() as f64 - at as f64;
        let (start, end) = (frame.at(0.0, slot).1, frame.at(0.0, slot - 1.0).1);
        let thickness = ((end - start) * 4 / 5 / 4).max(1);
        let first = start + (end - start - 4 * thickness) / 2;
        let name = if at + 1 == rows.len() { "all workers" } else { row.name.as_str() };
        pen.text(&fit(name, 22), (180, (start + end) / 2 - 8), 15, INK, HPos::Right);
        for (bar, (_, colour, share)) in BARS.iter().enumerate() {
            let value = share(row) * 100.0;
            let y = first + bar as i32 * thickness;
            let x = frame.at(value, 0.0).0;
            pen.bar((frame.edges[0], y), (x, y + thickness - 1), *colour);
            if thickness >= 11 {
                pen.text(&format!("{value:.1}"), (x + 5, y + thickness / 2 - 6), 12, INK, HPos::Left);
            }
        }
    }
    let legend: Vec<_> = BARS.iter().map(|(name, colour, _)| (*colour, (*name).to_string())).collect();
    pen.legend(&legend);
    pen.done()
}
