//! Columns of text without borders, as kubectl prints them.

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

/// Rows under a head, two blanks between columns. The first column is left-aligned, the others as said.
pub struct Table {
    head: Vec<String>,
    right: Vec<bool>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns; those that begin with `>` are right-aligned.
    pub fn new(columns: &[&str]) -> Table {
        let right = columns.iter().map(|name| name.starts_with('>')).collect();
        let head = columns.iter().map(|name| name.trim_start_matches('>').to_string()).collect();
        Table { head, right, rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<String>) {
        assert_eq!(cells.len(), self.head.len(), "one cell for each column");
        self.rows.push(cells);
    }

    /// The lines, indented by two, the head dimmed.
    pub fn lines(&self) -> Vec<String> {
        let width = |column: usize| {
            let cells = self.rows.iter().map(|row| row[column].chars().count());
            cells.chain([self.head[column].chars().count()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        let line = |cells: &[String]| {
            let padded: Vec<String> = cells
                .iter()
                .enumerate()
                .map(|(at, cell)| match self.right[at] {
                    true => format!("{cell:>width$}", width = widths[at]),
                    false => format!("{cell:<width$}", width = widths[at]),
                })
                .collect();
            format!("  {}", padded.join("  ")).trim_end().to_string()
        };
        let mut lines = vec![paint(DIM, &line(&self.head))];
        lines.extend(self.rows.iter().map(|row| line(row)));
        lines
    }
}
