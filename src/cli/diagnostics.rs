//! Errors as a person sees them: with the line they mean on a terminal, one line each elsewhere.

use std::io::{IsTerminal, Write};
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use crate::error::{Error, Place, Problem};

/// More problems than this are only counted.
const SHOWN_MAX: usize = 20;

/// Prints an error to standard error.
pub fn print(error: &Error) {
    let terminal = std::io::stderr().is_terminal();
    let text = render(error, terminal);
    // Nobody is left to be told when standard error cannot be written.
    let _ = anstream::stderr().write_all(text.as_bytes());
}

/// Prints warnings to standard error.
pub fn warn(warnings: &[Problem]) {
    let terminal = std::io::stderr().is_terminal();
    let text: String = warnings.iter().take(SHOWN_MAX).map(|warning| show(warning, "warning", terminal)).collect();
    let _ = anstream::stderr().write_all(text.as_bytes());
}

/// The text of an error: with source lines and colour, or one line a problem.
pub fn render(error: &Error, with_source: bool) -> String {
    let Error::Input(problems) = error else { return format!("error: {error}\n") };
    let mut text: String = problems.iter().take(SHOWN_MAX).map(|problem| show(problem, "error", with_source)).collect();
    if problems.len() > SHOWN_MAX {
        text.push_str(&format!("error: and {} more problems\n", problems.len() - SHOWN_MAX));
    }
    text
}

fn show(problem: &Problem, level: &'static str, with_source: bool) -> String {
    match &problem.place {
        Some(place) if with_source => format!("{}\n\n", source_form(problem, place, level)),
        _ => format!("{}\n", problem.to_string().replacen("error: ", &format!("{level}: "), 1)),
    }
}

fn source_form(problem: &Problem, place: &Place, level: &'static str) -> String {
    let title = if level == "error" { Level::ERROR } else { Level::WARNING };
    // The path comes first, as the API server writes it, unless the message names it.
    let named = problem.path.is_empty() || problem.message.contains(&problem.path);
    let message = if named { problem.message.clone() } else { format!("{}: {}", problem.path, problem.message) };
    let snippet = Snippet::source(place.source_line.as_str())
        .line_start(place.line)
        .path(place.file.as_str())
        .annotation(AnnotationKind::Primary.span(byte_range(place)));
    let mut group = title.primary_title(message.as_str()).element(snippet);
    if let Some(help) = &problem.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    Renderer::styled().render(&[group])
}

/// The characters of a place as bytes of its line.
fn byte_range(place: &Place) -> Range<usize> {
    let line = &place.source_line;
    let byte = |column: usize| line.char_indices().nth(column).map_or(line.len(), |(index, _)| index);
    let start = byte(place.column - 1);
    start..byte(place.column - 1 + place.width).max(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_show_their_line() {
        let place = Place {
            file: "a.yaml".to_string(),
            line: 12,
            column: 7,
            width: 5,
            source_line: "  ä: { nodse: 3 }".to_string(),
        };
        let problem = Problem {
            place: Some(place),
            path: "cluster.nodse".to_string(),
            message: "unknown field \"cluster.nodse\"".to_string(),
            help: Some("did you mean `nodes`?".to_string()),
        };
        let error = Error::Input(vec![problem]);
        assert_eq!(
            render(&error, false),
            "a.yaml:12:7: error: cluster.nodse: unknown field \"cluster.nodse\"; did you mean `nodes`?\n"
        );
        let plain = anstream::adapter::strip_str(&render(&error, true)).to_string();
        let expected = "\
error: unknown field \"cluster.nodse\"
  --> a.yaml:12:7
   |
12 |   ä: { nodse: 3 }
   |       ^^^^^
   |
   = help: did you mean `nodes`?

";
        assert_eq!(plain.replace(" \n", "\n"), expected);
    }
}
