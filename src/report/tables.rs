//! Columns of text without borders, as kubectl prints them, never wider than 80 columns if names can be shortened.

use super::terminal::WIDTH;
use super::text::fit;
use anstyle::{AnsiColor, Style};

/// Bold.
pub const BOLD: Style = Style::new().bold();
/// Less important.
pub const DIM: Style = Style::new().dimmed();
/// Good.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// Bad.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// To be looked at.
pub const WARN: Style = AnsiColor::Yellow.on_default();

/// `text` in `style`.
pub fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// Text is cut to no less than this.
const SHORTEST: usize = 8;

/// How a column stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Column {
    /// To the left; cut where there is no room.
    Text,
    /// To the left, never cut.
    Whole,
    /// To the right, never cut.
    Right,
}

/// How many characters of a cell are seen: colours take no room.
fn seen(cell: &str) -> usize {
    anstream::adapter::strip_str(cell).map(|part| part.chars().count()).sum()
}

/// Rows under a head, two blanks between columns.
pub struct Table {
    head: Vec<String>,
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns; those that begin with `>` are right-aligned. The others are text, which is cut where
    /// there is no room, except where the name begins with `<`.
    pub fn new(columns: &[&str]) -> Table {
        let column = |name: &&str| match name.as_bytes().first() {
            Some(b'>') => Column::Right,
            Some(b'<') => Column::Whole,
            _ => Column::Text,
        };
        let head = columns.iter().map(|name| name.trim_start_matches(['>', '<']).to_string()).collect();
        Table { head, columns: columns.iter().map(column).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<String>) {
        assert_eq!(cells.len(), self.head.len(), "one cell for each column");
        self.rows.push(cells);
    }

    /// How wide each column is: what its longest cell takes, the widest text less where that is too much.
    fn widths(&self) -> Vec<usize> {
        let width = |column: usize| {
            let cells = self.rows.iter().map(|row| seen(&row[column]));
            cells.chain([seen(&self.head[column])]).max().unwrap_or(0)
        };
        let mut widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        // The last cell takes no blanks behind it, so this is exact for the longest line.
        while widths.iter().map(|width| width + 2).sum::<usize>() > WIDTH {
            let text = (0..widths.len()).filter(|at| self.columns[*at] == Column::Text && widths[*at] > SHORTEST);
            let Some(widest) = text.max_by_key(|at| (widths[*at], std::cmp::Reverse(*at))) else { break };
            widths[widest] -= 1;
        }
        widths
    }

    /// The lines, indented by two, the head dimmed.
    pub fn lines(&self) -> Vec<String> {
        let widths = self.widths();
        let line = |cells: &[String]| {
            let padded: Vec<String> = cells
                .iter()
                .enumerate()
                .map(|(at, cell)| {
                    let long = seen(cell) > widths[at];
                    let cell = if long {
                        fit(&anstream::adapter::strip_str(cell).to_string(), widths[at])
                    } else {
                        cell.clone()
                    };
                    let blanks = " ".repeat(widths[at].saturating_sub(seen(&cell)));
                    if self.columns[at] == Column::Right { blanks + &cell } else { cell + &blanks }
                })
                .collect();
            format!("  {}", padded.join("  ")).trim_end().to_string()
        };
        let mut lines = vec![paint(DIM, &line(&self.head))];
        lines.extend(self.rows.iter().map(|row| line(row)));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(columns: &[&str], row: &[&str]) -> Vec<String> {
        let mut table = Table::new(columns);
        table.row(row.iter().map(ToString::to_string).collect());
        table.lines().iter().map(|line| anstream::adapter::strip_str(line).to_string()).collect()
    }

    #[test]
    fn the_widest_text_makes_room() {
        let (long, longer) = ("a".repeat(40), "b".repeat(60));
        // 2 + 40 + 2 + 60 + 2 + 1 are 107: the second column loses 20 to be as long as the first, then it is 4 and 3 more.
        let lines = shown(&["A", "B", ">N"], &[&long, &longer, "7"]);
        assert_eq!(lines[1], format!("  {}…  {}…  7", "a".repeat(35), "b".repeat(36)));
        assert_eq!(lines[1].chars().count(), 80);
        // What must be whole is whole.
        let lines = shown(&["A", "<B"], &[&long, &longer]);
        assert_eq!(lines[1], format!("  {}…  {longer}", "a".repeat(15)), "2 + 16 + 2 + 60");
        assert_eq!(shown(&["A", ">N"], &["x", "10"]), ["  A   N", "  x  10"]);
    }

    #[test]
    fn colours_take_no_room() {
        let lines = shown(&["A", ">N", ">M"], &["x", &paint(BAD, "120%"), "1"]);
        assert_eq!(lines, ["  A     N  M", "  x  120%  1"]);
    }
}
