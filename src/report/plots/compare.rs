//! Strategies side by side: a small chart for each measure in which they differ, a point for each mean, a bar
//! for its interval. `means` shows the strategies, `differences` each of them less the first.

use super::super::form::Form;
use super::super::text::fit;
use super::canvas::{COLOURS, FAULT, Frame, GREY, GRID, HEIGHT, INK, Pen, Sheet, WIDTH, ticks};
use super::{Drawn, Picture, picture, register};
use crate::experiment::{Better, Comparison, Estimate, Row};
use plotters::prelude::{DrawingBackend, RGBColor};
use plotters::style::text_anchor::HPos;

/// Most charts of a sheet.
const CHARTS_MAX: usize = 20;
/// Where the charts begin, below title and legend.
const TOP: i32 = 98;

/// What the points are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Points {
    Means,
    Differences,
}

/// Both sheets in both formats; nothing if the strategies do not differ.
///
/// # Errors
/// What the drawing library could not do.
pub fn all(comparison: &Comparison) -> Result<Vec<Picture>, String> {
    register();
    let mut contents = Vec::new();
    if comparison.rows.iter().all(Row::equal) {
        return Ok(contents);
    }
    for (name, points) in [("means", Points::Means), ("differences", Points::Differences)] {
        contents.extend(picture(
            name,
            |sheet| draw(comparison, points, sheet),
            |sheet| draw(comparison, points, sheet),
        )?);
    }
    Ok(contents)
}

fn draw<B: DrawingBackend>(comparison: &Comparison, points: Points, sheet: &Sheet<B>) -> Drawn {
    let first = comparison.strategies[0];
    let seeds = match comparison.seeds.len() {
        1 => "1 seed".to_string(),
        several => format!("{several} seeds"),
    };
    let (title, explanation) = match points {
        Points::Means => (
            format!("{}: means over {seeds}", comparison.scenario),
            "Mean and 95 % interval of each strategy, from left to right as they stand here.",
        ),
        Points::Differences => (
            format!("{}: difference to {first} over {seeds}", comparison.scenario),
            "Mean difference seed by seed and its 95 % interval; one that crosses the dashed line shows no difference.",
        ),
    };
    let mut pen = Pen::new(sheet, &title, explanation);
    let skipped = usize::from(points == Points::Differences);
    let legend: Vec<(RGBColor, String)> = comparison.strategies.iter().enumerate().skip(skipped).map(entry).collect();
    pen.legend(&legend);
    let rows: Vec<&Row> = comparison.rows.iter().filter(|row| !row.equal()).take(CHARTS_MAX).collect();
    let across = if rows.len() > 12 { 5 } else { rows.len().min(4) };
    let down = rows.len().div_ceil(across);
    let (width, height) = ((WIDTH as i32 - 20) / across as i32, (HEIGHT as i32 - TOP - 2) / down as i32);
    for (at, row) in rows.into_iter().enumerate() {
        let (left, top) = (10 + (at % across) as i32 * width, TOP + (at / across) as i32 * height);
        let edges = [left + 62, top + 42, left + width - 12, top + height - 14];
        panel(&mut pen, row, points, edges);
    }
    pen.done()
}

fn entry((at, name): (usize, &&'static str)) -> (RGBColor, String) {
    (COLOURS[at % COLOURS.len()], (*name).to_string())
}

/// One measure.
fn panel<B: DrawingBackend>(pen: &mut Pen<'_, B>, row: &Row, points: Points, edges: [i32; 4]) {
    let [left, top, right, _] = edges;
    let found: Vec<(usize, Estimate)> = match points {
        Points::Means => row.means.iter().enumerate().filter_map(|(at, one)| Some((at, (*one)?))).collect(),
        Points::Differences => {
            let all = row.differences.iter().enumerate();
            all.filter_map(|(at, one)| Some((at + 1, one.estimate?))).collect()
        }
    };
    let form = Form::of(row.measure.unit, found.iter().map(|one| one.1.mean));
    let scale = form.scale;
    let low = found.iter().map(|one| one.1.low * scale).fold(0.0, f64::min);
    let high = found.iter().map(|one| one.1.high * scale).fold(0.0, f64::max);
    let room = (high - low).max(1e-6) * 0.08;
    let y = (if low < 0.0 { low - room } else { 0.0 }, high + room);
    let first = if points == Points::Differences { 1.0 } else { 0.0 };
    let frame = Frame { edges, x: (first, row.values.len() as f64), y };
    let better = if row.measure.better == Better::Higher { "more is better" } else { "less is better" };
    let unit = if form.suffix.is_empty() { String::new() } else { format!("{}, ", form.suffix) };
    pen.text(&fit(row.measure.title, 40), (left - 50, top - 38), 15, INK, HPos::Left);
    pen.text(&format!("{unit}{better}"), (left - 50, top - 20), 12, GREY, HPos::Left);
    for (value, label) in ticks(y, 5) {
        let at = frame.at(0.0, value).1;
        pen.line(vec![(left, at), (right, at)], if value == 0.0 && points == Points::Means { GREY } else { GRID }, 1);
        pen.text(&label, (left - 6, at - 4), 12, GREY, HPos::Right);
    }
    if points == Points::Differences {
        let zero = frame.at(0.0, 0.0).1;
        pen.dashed((left, zero), (right, zero), FAULT, 1);
    }
    for (at, one) in found {
        let colour = COLOURS[at % COLOURS.len()];
        let place = |value: f64| frame.at(at as f64 + 0.5, value * scale);
        let (x, middle) = place(one.mean);
        let (low, high) = (place(one.low).1, place(one.high).1);
        pen.line(vec![(x, low), (x, high)], colour, 2);
        for end in [low, high] {
            pen.line(vec![(x - 7, end), (x + 7, end)], colour, 2);
        }
        pen.bar((x - 4, middle - 4), (x + 4, middle + 4), colour);
    }
}
