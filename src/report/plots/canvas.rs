//! A sheet with a title, a frame, axes and a legend: what the charts have in common.

use super::super::text::{clean, fit};
use crate::metrics::Record;
use crate::time::SimTime;
use plotters::coord::Shift;
use plotters::prelude::{DrawingArea, DrawingBackend, IntoFont, PathElement, Polygon, RGBColor, Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontTransform, ShapeStyle, TextStyle};

/// Width of every chart in pixels.
pub const WIDTH: u32 = 1200;
/// Height of every chart in pixels.
pub const HEIGHT: u32 = 675;

/// What is drawn on.
pub type Sheet<B> = DrawingArea<B, Shift>;
/// A place in pixels from the top left.
pub type At = (i32, i32);

/// The colours of Okabe and Ito: blue, orange, green, purple, sky blue, vermilion, yellow.
pub const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(213, 94, 0),
    RGBColor(240, 228, 66),
];
/// Faults.
pub const FAULT: RGBColor = RGBColor(213, 94, 0);
/// Text.
pub const INK: RGBColor = RGBColor(34, 34, 34);
/// Text of less importance.
pub const GREY: RGBColor = RGBColor(105, 105, 105);
/// Lines of the grid.
pub const GRID: RGBColor = RGBColor(222, 222, 222);

/// The part of the sheet where values are, in pixels, and the values at its edges.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// Left, top, right, bottom.
    pub edges: [i32; 4],
    /// Values at the left and right edge.
    pub x: (f64, f64),
    /// Values at the bottom and top edge.
    pub y: (f64, f64),
}

impl Frame {
    /// The pixel of a value.
    pub fn at(&self, x: f64, y: f64) -> At {
        let [left, top, right, bottom] = self.edges.map(f64::from);
        let share = |value: f64, (from, to): (f64, f64)| if to > from { (value - from) / (to - from) } else { 0.0 };
        let px = left + share(x, self.x) * (right - left);
        let py = bottom - share(y, self.y) * (bottom - top);
        (px.round() as i32, py.round() as i32)
    }
}

/// Draws on one sheet; the first failure is kept and shown at the end.
pub struct Pen<'a, B: DrawingBackend> {
    sheet: &'a Sheet<B>,
    failure: Option<String>,
}

impl<'a, B: DrawingBackend> Pen<'a, B> {
    /// A white sheet with a title and a line that says how to read it.
    pub fn new(sheet: &'a Sheet<B>, title: &str, explanation: &str) -> Self {
        let failure = sheet.fill(&plotters::style::WHITE).err().map(|error| error.to_string());
        let mut pen = Pen { sheet, failure };
        pen.text(&fit(title, 80), (24, 14), 26, INK, HPos::Left);
        pen.text(&fit(explanation, 150), (24, 48), 15, GREY, HPos::Left);
        pen
    }

    /// How it went.
    ///
    /// # Errors
    /// The first failure of the drawing library.
    pub fn done(self) -> super::Drawn {
        self.failure.map_or(Ok(()), Err)
    }

    fn note<E: std::fmt::Display>(&mut self, result: Result<(), E>) {
        if let Err(error) = result {
            self.failure.get_or_insert(error.to_string());
        }
    }

    /// Text whose top is at `at`.
    pub fn text(&mut self, text: &str, at: At, size: i32, colour: RGBColor, anchor: HPos) {
        let style = TextStyle::from(("sans-serif", size).into_font()).color(&colour).pos(Pos::new(anchor, VPos::Top));
        let result = self.sheet.draw(&Text::new(clean(text), at, style));
        self.note(result);
    }

    /// Text that reads upwards, centred at `at`.
    pub fn upright(&mut self, text: &str, at: At, size: i32) {
        let font = ("sans-serif", size).into_font().transform(FontTransform::Rotate270);
        let style = TextStyle::from(font).color(&GREY).pos(Pos::new(HPos::Center, VPos::Center));
        let result = self.sheet.draw(&Text::new(text.to_string(), at, style));
        self.note(result);
    }

    /// A line through these points. A thick one is drawn piece by piece: where it turns back on itself its mitred
    /// corner would go far beyond the value, or vanish.
    pub fn line(&mut self, points: Vec<At>, colour: RGBColor, width: u32) {
        if width > 1 && points.len() > 2 {
            return points.windows(2).for_each(|pair| self.piece(pair[0], pair[1], colour, width));
        }
        let result = self.sheet.draw(&PathElement::new(points, ShapeStyle::from(&colour).stroke_width(width)));
        self.note(result);
    }

    /// A straight piece of a thick line.
    fn piece(&mut self, from: At, to: At, colour: RGBColor, width: u32) {
        if from.0 != to.0 && from.1 != to.1 {
            return self.line(vec![from, to], colour, width);
        }
        // A bar ends before its second corner.
        let (before, after) = (width as i32 / 2, (width as i32 + 1) / 2);
        let (low, high) = ((from.0.min(to.0), from.1.min(to.1)), (from.0.max(to.0), from.1.max(to.1)));
        self.bar((low.0 - before, low.1 - before), (high.0 + after, high.1 + after), colour);
    }

    /// A dashed line from one point to another.
    pub fn dashed(&mut self, from: At, to: At, colour: RGBColor, width: u32) {
        let (dx, dy) = (f64::from(to.0 - from.0), f64::from(to.1 - from.1));
        let length = dx.hypot(dy);
        let dashes = (length / 10.0).ceil().max(1.0) as i32;
        for dash in 0..dashes {
            let point = |offset: f64| {
                let share = ((f64::from(dash) * 10.0 + offset) / length.max(1.0)).min(1.0);
                (from.0 + (dx * share).round() as i32, from.1 + (dy * share).round() as i32)
            };
            self.line(vec![point(0.0), point(5.0)], colour, width);
        }
    }

    /// A filled rectangle.
    pub fn bar(&mut self, from: At, to: At, colour: RGBColor) {
        let result = self.sheet.draw(&Rectangle::new([from, to], colour.filled()));
        self.note(result);
    }

    /// A filled shape.
    pub fn shape(&mut self, points: Vec<At>, colour: RGBColor) {
        let result = self.sheet.draw(&Polygon::new(points, colour.filled()));
        self.note(result);
    }

    /// Colours and what they mean, in a row under the explanation.
    pub fn legend(&mut self, entries: &[(RGBColor, String)]) {
        let mut x = 24;
        for (colour, name) in entries {
            let name = fit(name, 40);
            self.bar((x, 74), (x + 22, 86), *colour);
            self.text(&name, (x + 28, 75), 15, INK, HPos::Left);
            x += 28 + (name.chars().count() as i32) * 8 + 26;
        }
    }

    /// The horizontal axis: grid lines, values and a name.
    pub fn x_axis(&mut self, frame: &Frame, name: &str) {
        let [left, top, right, bottom] = frame.edges;
        for (value, label) in ticks(frame.x, 12) {
            let x = frame.at(value, frame.y.0).0;
            self.line(vec![(x, top), (x, bottom)], GRID, 1);
            self.text(&label, (x, bottom + 8), 15, GREY, HPos::Center);
        }
        self.line(vec![(left, bottom), (right, bottom)], GREY, 1);
        self.text(name, ((left + right) / 2, bottom + 32), 16, GREY, HPos::Center);
    }

    /// The vertical axis: grid lines, values and a name.
    pub fn y_axis(&mut self, frame: &Frame, name: &str) {
        // Pods are counted in whole numbers.
        let whole = ticks(frame.y, 8).into_iter().filter(|tick| tick.0.fract() == 0.0);
        self.scale(frame, name, whole.map(|tick| (tick.0, format!("{:.0}", tick.0))));
    }

    /// The vertical axis of an amount that need not be whole, in few steps.
    pub fn y_amounts(&mut self, frame: &Frame, name: &str) {
        self.scale(frame, name, ticks(frame.y, 4).into_iter());
    }

    fn scale(&mut self, frame: &Frame, name: &str, ticks: impl Iterator<Item = (f64, String)>) {
        let [left, top, right, bottom] = frame.edges;
        for (value, label) in ticks {
            let y = frame.at(frame.x.0, value).1;
            self.line(vec![(left, y), (right, y)], GRID, 1);
            self.text(&label, (left - 8, y - 8), 15, GREY, HPos::Right);
        }
        self.line(vec![(left, top), (left, bottom)], GREY, 1);
        self.upright(name, (26, (top + bottom) / 2), 16);
    }

    /// Faults as dashed lines with their descriptions. Labels that would overlap go below each other.
    pub fn faults(&mut self, record: &Record, frame: &Frame, unit: f64) {
        let [left, top, right, bottom] = frame.edges;
        let mut free = [left; 4];
        for incident in record.incidents.iter().filter(|incident| incident.is_fault()).take(24) {
            let x = frame.at(incident.started.as_secs_f64() / unit, 0.0).0;
            self.dashed((x, top), (x, bottom), FAULT, 2);
            let label = fit(&incident.description, 44);
            let width = label.chars().count() as i32 * 7 + 12;
            let start = if x + width > right { x - width } else { x + 6 };
            if let Some(row) = free.iter().position(|free| start >= *free) {
                free[row] = start + width;
                self.text(&label, (start, top + 4 + 18 * row as i32), 14, FAULT, HPos::Left);
            }
        }
    }
}

/// Round values between two ends, at most about `most`, with their labels.
pub fn ticks((from, to): (f64, f64), most: usize) -> Vec<(f64, String)> {
    let span = to - from;
    if span <= 0.0 {
        return vec![(from, format!("{from}"))];
    }
    let mut step = 1e-6;
    let round = [2.0, 2.5, 2.0];
    let mut at = 0;
    // 1, 2, 5, 10, 20, 50, …
    while span / step > most as f64 {
        step *= round[at % 3];
        at += 1;
    }
    let (mut decimals, mut digits) = (0, step);
    while digits < 0.999 {
        decimals += 1;
        digits *= 10.0;
    }
    let first = (from / step).ceil() as i64;
    let last = (to / step + 1e-9).floor() as i64;
    (first..=last).map(|n| n as f64 * step).map(|value| (value, format!("{value:.decimals$}"))).collect()
}

/// Seconds in a unit that suits a length of time, and the unit's name.
pub fn unit_of(length: SimTime) -> (f64, &'static str) {
    match length.as_secs_f64() {
        seconds if seconds <= 180.0 => (1.0, "seconds"),
        seconds if seconds <= 3.0 * 3600.0 => (60.0, "minutes"),
        seconds if seconds <= 3.0 * 86_400.0 => (3600.0, "hours"),
        _ => (86_400.0, "days"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        let labels = |ends, most| ticks(ends, most).into_iter().map(|tick| tick.1).collect::<Vec<_>>().join(" ");
        assert_eq!(labels((0.0, 10.0), 12), "0 1 2 3 4 5 6 7 8 9 10");
        assert_eq!(labels((0.0, 3.0), 8), "0.0 0.5 1.0 1.5 2.0 2.5 3.0");
        assert_eq!(labels((0.0, 0.0004), 5), "0.0000 0.0001 0.0002 0.0003 0.0004");
        assert_eq!(labels((0.0, 345.0), 12), "0 50 100 150 200 250 300");
    }
}
