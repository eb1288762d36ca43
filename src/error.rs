//! What a person can cause, with a place and a remedy, and the exit code of each class.
//!
//! What only a bug can cause is an `assert!` with values instead. The exit codes are part of the
//! command line's contract: 0 fine, 1 an expectation failed, 2 bad input, 3 a limit was hit,
//! 4 input or output failed, 101 a bug, 130 interrupted.

use std::fmt;

/// Where in a file something stands. Lines and columns count from 1.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Place {
    /// The file as the person named it.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// How many characters the thing spans; at least 1.
    pub width: usize,
    /// The text of that line, for showing it.
    pub source_line: String,
}

/// One thing that is wrong with an input, and what would be right.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// Where it stands, if it stands in a file.
    pub place: Option<Place>,
    /// The field path, such as `cluster.pools[0].count`; empty where there is none.
    pub path: String,
    /// What is wrong, one sentence without a final stop.
    pub message: String,
    /// What would be right (`did you mean …?`, the allowed range, an example).
    pub help: Option<String>,
}

/// What can go wrong because of what a person wrote, asked for, or has on disk.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The input is wrong: exit code 2. Never empty.
    #[error("{}", list(.0))]
    Input(Vec<Problem>),
    /// A named limit was reached: exit code 3.
    #[error("{0}")]
    Limit(String),
    /// A file could not be read or written: exit code 4.
    #[error("{path}: {cause}")]
    Io {
        /// The file or folder.
        path: String,
        /// The system's reason.
        cause: String,
    },
    /// The person pressed Ctrl-C: exit code 130.
    #[error("interrupted")]
    Interrupted,
}

/// The result of everything that depends on a person's input.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// One problem without a place.
    pub fn input(message: impl Into<String>) -> Self {
        Error::Input(vec![Problem { place: None, path: String::new(), message: message.into(), help: None }])
    }

    /// The exit code of this class of error.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Input(_) => 2,
            Error::Limit(_) => 3,
            Error::Io { .. } => 4,
            Error::Interrupted => 130,
        }
    }
}

impl fmt::Display for Problem {
    /// The one-line form: `file:line:column: error: path: message; help`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{}:{}:{}: ", place.file, place.line, place.column)?;
        }
        f.write_str("error: ")?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// The candidate a person most likely meant: the nearest by Damerau-Levenshtein distance, if it is
/// within two edits or a third of the length.
pub fn did_you_mean<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = (written.chars().count() / 3).max(2);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&written.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= near && *distance < candidate.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// What to do about an unknown name: take the nearest of those that exist, or one of the first few.
pub fn those_there_are(what: &str, name: &str, known: &[&str]) -> String {
    match did_you_mean(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => format!("there is no {what} in this scenario"),
        None => {
            let some = known.iter().take(5).copied().collect::<Vec<_>>().join(", ");
            let more = if known.len() > 5 { format!(" and {} more", known.len() - 5) } else { String::new() };
            format!("there are {some}{more}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggestions_are_near() {
        let fields = ["nodes", "pools", "controlPlane"];
        assert_eq!(did_you_mean("nodse", fields), Some("nodes"));
        assert_eq!(did_you_mean("controlplane", fields), Some("controlPlane"));
        assert_eq!(did_you_mean("zebra", fields), None);
    }
}
