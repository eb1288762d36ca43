//! Pods by phase over time, one upon the other.

use super::Drawn;
use super::canvas::{At, COLOURS, Frame, Pen, Sheet, unit_of};
use crate::metrics::record::PHASES;
use crate::metrics::series::together;
use crate::outcome::Outcome;
use crate::time::SimTime;
use plotters::prelude::{DrawingBackend, RGBColor};

/// From the bottom up, with colours: Running, Pending, Terminating, Succeeded, Failed.
const ORDER: [(usize, RGBColor); 5] =
    [(1, COLOURS[2]), (0, COLOURS[1]), (4, COLOURS[4]), (2, COLOURS[0]), (3, COLOURS[5])];

/// Whether there was a pod.
pub fn applies(outcome: &Outcome) -> bool {
    !outcome.record.pods.is_empty() && outcome.record.end > SimTime::ZERO
}

/// Draws it.
///
/// # Errors
/// A failure of the drawing library.
pub fn draw<B: DrawingBackend>(outcome: &Outcome, sheet: &Sheet<B>) -> Drawn {
    let record = &outcome.record;
    let title = format!("{}: pods by phase", outcome.scenario_name);
    let explanation = "As the API shows them: until a lost node is noticed, its pods count as Running.";
    let mut pen = Pen::new(sheet, &title, explanation);
    let (unit, name) = unit_of(record.end);
    let [a, b, c, d, e] = &record.phases;
    let pieces: Vec<_> = together([a, b, c, d, e], SimTime::ZERO, record.end).collect();
    let top = pieces.iter().map(|(_, _, values)| values.iter().sum::<i64>()).max().unwrap_or(1).max(1) as f64;
    let end = record.end.as_secs_f64() / unit;
    let frame = Frame { edges: [80, 112, 1170, 610], x: (0.0, end), y: (0.0, top * 1.2) };
    pen.x_axis(&frame, &format!("virtual time ({name})"));
    pen.y_axis(&frame, "pods");
    let mut legend = Vec::new();
    for (level, (phase, colour)) in ORDER.iter().enumerate() {
        if pieces.iter().all(|(_, _, values)| values[*phase] == 0) {
            continue;
        }
        legend.push((*colour, PHASES[*phase].to_string()));
        let edge = |values: &[i64; 5], levels: usize| ORDER[..levels].iter().map(|(row, _)| values[*row]).sum::<i64>();
        // Where there is none, not even an edge is drawn.
        let runs = pieces.chunk_by(|a, b| (a.2[*phase] > 0) == (b.2[*phase] > 0));
        for run in runs.filter(|run| run[0].2[*phase] > 0) {
            let (mut upper, mut lower): (Vec<At>, Vec<At>) = (Vec::new(), Vec::new());
            for (start, length, values) in run {
                for time in [*start, *start + *length] {
                    let x = time.as_secs_f64() / unit;
                    upper.push(frame.at(x, edge(values, level + 1) as f64));
                    lower.push(frame.at(x, edge(values, level) as f64));
                }
            }
            upper.dedup();
            lower.dedup();
            upper.extend(lower.into_iter().rev());
            pen.shape(upper, *colour);
        }
    }
    pen.faults(record, &frame, unit);
    pen.legend(&legend);
    pen.done()
}
