//! A number over time as a chart of blocks for the terminal.

use super::tables::{BAD, DIM, paint};
use crate::metrics::Series;
use crate::time::{SimDuration, SimTime};

const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// What to draw.
pub struct Chart<'a> {
    /// The number.
    pub series: &'a Series,
    /// The top of the scale.
    pub top: i64,
    /// The first instant.
    pub from: SimTime,
    /// The last instant.
    pub to: SimTime,
    /// Columns.
    pub width: usize,
    /// Lines.
    pub height: usize,
}

impl Chart<'_> {
    /// The instant at which a column begins.
    fn start(&self, column: usize) -> SimTime {
        let span = i128::from((self.to - self.from).0);
        let offset = span * column as i128 / self.width.max(1) as i128;
        self.from + SimDuration(i64::try_from(offset).unwrap_or(i64::MAX))
    }

    /// The column in which an instant lies.
    pub fn column(&self, time: SimTime) -> usize {
        let span = i128::from((self.to - self.from).0).max(1);
        let offset = i128::from((time - self.from).0) * self.width as i128 / span;
        usize::try_from(offset).unwrap_or(0).min(self.width.saturating_sub(1))
    }

    /// The lines from top to bottom. A column shows the smallest value in its span: a short dip is what one looks for.
    pub fn lines(&self) -> Vec<String> {
        let eighths: Vec<usize> = (0..self.width).map(|column| self.eighths(column)).collect();
        let line = |from_bottom: usize| {
            let block = |height: &usize| BLOCKS[height.saturating_sub(from_bottom * 8).min(8)];
            eighths.iter().map(block).collect::<String>()
        };
        (0..self.height).rev().map(line).collect()
    }

    fn eighths(&self, column: usize) -> usize {
        let (start, end) = (self.start(column), self.start(column + 1));
        let last = if end > start { SimTime(end.0 - 1) } else { start };
        let value = self.series.min(start, last).max(0) as usize;
        let full = self.height * 8;
        // At least a sliver for anything above nothing.
        let height = (value * full).div_ceil(self.top.max(1) as usize);
        height.min(full)
    }
}

/// The line below a chart: the marks, and what they are where there is room, behind the last one or in a gap.
pub(super) fn fault_marks(mut marks: Vec<char>) -> String {
    let label = "fault";
    let whole = marks.len();
    while marks.last() == Some(&' ') {
        marks.pop();
    }
    if marks.len() + 1 + label.len() <= whole + 1 {
        return format!("{} {}", paint(BAD, &marks.iter().collect::<String>()), paint(DIM, label));
    }
    let gap = (0..marks.len()).rev().find(|at| {
        let before = if *at == 0 { 0 } else { at - 1 };
        marks.get(before..at + label.len() + 1).is_some_and(|cells| cells.iter().all(|cell| *cell == ' '))
    });
    let text = |cells: &[char]| cells.iter().collect::<String>();
    match gap {
        Some(at) => {
            let (left, right) = (text(&marks[..at]), text(&marks[at + label.len()..]));
            format!("{}{}{}", paint(BAD, &left), paint(DIM, label), paint(BAD, &right))
        }
        None => paint(BAD, &text(&marks)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dip_shows_even_when_it_is_short() {
        let mut series = Series::default();
        for (second, value) in [(0, 4), (50, 2), (51, 4)] {
            series.set(SimTime::from_secs(second), value);
        }
        let chart =
            Chart { series: &series, top: 4, from: SimTime::ZERO, to: SimTime::from_secs(100), width: 10, height: 2 };
        assert_eq!(chart.lines(), ["█████ ████", "██████████"]);
        assert_eq!(chart.column(SimTime::from_secs(50)), 5);
        assert_eq!(chart.column(SimTime::from_secs(100)), 9);
    }

    #[test]
    fn marks_of_faults_stay_within_the_width() {
        // (columns, columns with a mark, line)
        let table: [(usize, &[usize], &str); 5] = [
            (20, &[3], "   ▲ fault"),
            (20, &[14], "              ▲ fault"),
            (20, &[19], "             fault ▲"),
            (12, &[0, 11], "▲    fault ▲"),
            (8, &[0, 3, 7], "▲  ▲   ▲"),
        ];
        for (width, faults, expected) in table {
            let mut marks = vec![' '; width];
            faults.iter().for_each(|at| marks[*at] = '▲');
            let line = anstream::adapter::strip_str(&fault_marks(marks)).to_string();
            assert_eq!(line, expected);
        }
    }
}
