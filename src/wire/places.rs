//! Where every key and value of a read file stands, by field path.
//!
//! A path is written as Kubernetes writes it (`spec.containers[0].image`, `metadata.labels[app.kubernetes.io/name]`).
//! Looking up a path that is not in the file gives the nearest part of it that is: a missing field is shown at its
//! parent.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::{Place, Problem};

/// A position inside a file: line and column from 1, and a width in characters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Characters spanned, at least 1.
    pub width: usize,
}

/// Where one field stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Spot {
    /// The key that introduces it; none for list items and the root.
    pub key: Option<Position>,
    /// The value.
    pub value: Position,
    /// Whether the value is a scalar: only those are underlined themselves, the others by their key.
    pub scalar: bool,
}

/// The places of one document.
#[derive(Clone, PartialEq, Debug)]
pub struct Places {
    /// The file as the person named it.
    pub file: Arc<str>,
    lines: Arc<[String]>,
    spots: BTreeMap<String, Spot>,
    /// Values that came from elsewhere, such as the command line.
    overrides: BTreeMap<String, (Place, Place)>,
}

/// One step of a path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step<'a> {
    /// A field or map key.
    Key(&'a str),
    /// An item of a list.
    Index(usize),
}

/// `path` extended by one step, in Kubernetes' notation.
pub fn join(path: &str, step: &Step<'_>) -> String {
    match step {
        Step::Index(index) => format!("{path}[{index}]"),
        Step::Key(key) if key.is_empty() || key.contains(['.', '/', '[', ']']) => format!("{path}[{key}]"),
        Step::Key(key) if path.is_empty() => (*key).to_string(),
        Step::Key(key) => format!("{path}.{key}"),
    }
}

/// The steps of a path, without telling apart `.cpu` and `[cpu]`.
pub fn steps(path: &str) -> Vec<&str> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let end = inner.find(']').unwrap_or(inner.len());
            steps.push(&inner[..end]);
            rest = inner.get(end + 1..).unwrap_or("");
        } else {
            rest = rest.strip_prefix('.').unwrap_or(rest);
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            steps.push(&rest[..end]);
            rest = &rest[end..];
        }
    }
    steps
}

/// Steps as one look-up key; the separator cannot occur in YAML text.
fn canonical(steps: &[&str]) -> String {
    steps.join("\u{1}")
}

impl Places {
    /// No places yet, in a file whose text is `text`.
    pub fn new(file: &str, text: &str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let lines = text.lines().map(str::to_string).collect();
        Places { file: file.into(), lines, spots: BTreeMap::new(), overrides: BTreeMap::new() }
    }

    /// The same file without any spots, for its next document.
    pub fn empty(&self) -> Self {
        Places {
            file: self.file.clone(),
            lines: self.lines.clone(),
            spots: BTreeMap::new(),
            overrides: BTreeMap::new(),
        }
    }

    /// Records that `path` and all below it came from elsewhere: where its name and its value stand there.
    pub fn override_at(&mut self, path: &str, key: Place, value: Place) {
        self.overrides.insert(canonical(&steps(path)), (key, value));
    }

    /// Records where `path` stands.
    pub fn insert(&mut self, path: &str, spot: Spot) {
        self.spots.insert(canonical(&steps(path)), spot);
    }

    /// The spot of exactly this path.
    pub fn spot(&self, path: &str) -> Option<Spot> {
        self.spots.get(&canonical(&steps(path))).copied()
    }

    /// The place of a position in this file.
    pub fn place(&self, position: Position) -> Place {
        let source_line = self.lines.get(position.line.saturating_sub(1)).cloned().unwrap_or_default();
        let room = source_line.chars().count().saturating_sub(position.column - 1).max(1);
        Place {
            file: self.file.to_string(),
            line: position.line,
            column: position.column,
            width: position.width.clamp(1, room),
            source_line,
        }
    }

    /// Where `path` stands: the value if it is a scalar, else its key; for a path that is not in the file, the
    /// nearest parent that is.
    pub fn find(&self, path: &str) -> Place {
        self.overridden(path).map(|(_, value)| value.clone()).unwrap_or_else(|| {
            self.nearest(path, |spot| if spot.scalar { spot.value } else { spot.key.unwrap_or(spot.value) })
        })
    }

    /// Where the key of `path` stands.
    pub fn find_key(&self, path: &str) -> Place {
        let place = self.overridden(path).map(|(key, _)| key.clone());
        place.unwrap_or_else(|| self.nearest(path, |spot| spot.key.unwrap_or(spot.value)))
    }

    fn overridden(&self, path: &str) -> Option<&(Place, Place)> {
        let steps = steps(path);
        (0..=steps.len()).rev().find_map(|n| self.overrides.get(&canonical(&steps[..n])))
    }

    fn nearest(&self, path: &str, choose: impl Fn(&Spot) -> Position) -> Place {
        let steps = steps(path);
        let found = (0..=steps.len()).rev().find_map(|n| self.spots.get(&canonical(&steps[..n])));
        self.place(found.map_or(Position { line: 1, column: 1, width: 1 }, choose))
    }

    /// The part of these places below `prefix`, with paths relative to it.
    pub fn below(&self, prefix: &str) -> Places {
        let root = canonical(&steps(prefix));
        let mut part = self.empty();
        for (path, spot) in &self.spots {
            if *path == root {
                part.spots.insert(String::new(), *spot);
            } else if let Some(rest) = path.strip_prefix(&root).and_then(|rest| rest.strip_prefix('\u{1}')) {
                part.spots.insert(rest.to_string(), *spot);
            }
        }
        part
    }

    /// A problem at the value of `path`.
    pub fn problem(&self, path: &str, message: impl Into<String>, help: impl Into<String>) -> Problem {
        Problem {
            place: Some(self.find(path)),
            path: path.to_string(),
            message: message.into(),
            help: Some(help.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_take_both_notations() {
        assert_eq!(steps("spec.containers[0].image"), ["spec", "containers", "0", "image"]);
        assert_eq!(steps("metadata.labels[app.kubernetes.io/name]"), ["metadata", "labels", "app.kubernetes.io/name"]);
        assert_eq!(join("metadata.labels", &Step::Key("a.b/c")), "metadata.labels[a.b/c]");
        assert_eq!(join("", &Step::Key("kind")), "kind");
        assert_eq!(join("items", &Step::Index(3)), "items[3]");
    }
}
