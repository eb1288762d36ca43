//! `sim compare FILE --strategy A --strategy B`: the same scenario under several strategies, on many seeds.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum, ValueHint};

use super::progress::Runs;
use super::source::Source;
use super::{FINE, print, progress};
use crate::error::{Error, Result};
use crate::experiment::{self, Comparison, Plan, Watch};
use crate::report::{compare, csv, files};
use crate::scheduler::strategies::{self, Strategy};

/// More seeds than this are refused.
const MOST_SEEDS: u64 = 100_000;

/// The arguments of `sim compare`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Which scenario; its own seed is the first of the seeds.
    #[command(flatten)]
    pub source: Source,
    /// A strategy; the first is what the others are compared with (repeatable)
    #[arg(long = "strategy", value_name = "NAME", required = true, value_parser = strategies::find)]
    pub strategies: Vec<&'static Strategy>,
    /// How many seeds, or which: 30 or 1..30
    #[arg(long, value_name = "N|A..B", default_value = "30", value_parser = seeds)]
    pub seeds: Seeds,
    /// Runs at a time [default: one for each processor]
    #[arg(short, long, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
    /// Write results into this folder instead of results/<scenario>-compare
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub out: Option<PathBuf>,
    /// The form of the report on standard output
    #[arg(short, long, value_enum, default_value_t = Output::Table, value_name = "FORMAT")]
    pub output: Output,
    /// No progress
    #[arg(short, long)]
    pub quiet: bool,
}

/// The form of the report.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Output {
    /// For a person, 80 columns
    Table,
    /// JSON, one object
    Json,
    /// CSV, one row for each seed, strategy and metric
    Csv,
}

/// Which seeds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Seeds {
    /// So many, from the scenario's on.
    Count(u64),
    /// From one to another, both included.
    Range(u64, u64),
}

impl Seeds {
    /// One by one, the scenario's seed being `first`.
    fn list(self, first: u64) -> Vec<u64> {
        match self {
            Seeds::Count(count) => (0..count).map(|at| first.wrapping_add(at)).collect(),
            Seeds::Range(from, to) => (from..=to).collect(),
        }
    }
}

/// Reads `30` or `1..30`.
///
/// # Errors
/// What is wrong with it, for clap to show.
pub fn seeds(text: &str) -> std::result::Result<Seeds, String> {
    let number =
        |text: &str| text.parse::<u64>().map_err(|_| "expected a number, or a range such as 1..30".to_string());
    let (seeds, count) = match text.split_once("..") {
        Some((from, to)) => {
            let (from, to) = (number(from)?, number(to.trim_start_matches('='))?);
            (Seeds::Range(from, to), to.checked_sub(from).map_or(0, |more| more.saturating_add(1)))
        }
        None => number(text).map(|count| (Seeds::Count(count), count))?,
    };
    match count {
        1..=MOST_SEEDS => Ok(seeds),
        _ => Err(format!("expected between 1 and {MOST_SEEDS} seeds")),
    }
}

/// Runs all and compares.
///
/// # Errors
/// Wrong input, a limit that was reached, an interruption, a file that cannot be written.
pub fn execute(arguments: &Arguments) -> Result<u8> {
    let scenario = arguments.source.load()?;
    let strategies = arguments.strategies.clone();
    distinct(&strategies)?;
    let seeds = arguments.seeds.list(scenario.seed);
    let plan = Plan { scenario: &scenario, strategies, seeds, jobs: arguments.jobs };
    progress::listen();
    let bar = Runs::new(plan.strategies.len() * plan.seeds.len(), arguments.quiet);
    let watch = Watch { go_on: &|| !progress::interrupted(), finished: &|| bar.one_more() };
    let runs = experiment::run(&plan, &watch);
    let took = bar.finish();
    let comparison = Comparison::of(&plan, &runs?);
    // Results first: a reader that closes the pipe early does not cost them.
    let folder =
        arguments.out.clone().unwrap_or_else(|| Path::new("results").join(format!("{}-compare", scenario.name)));
    files::write(&folder, &compare::contents(&comparison))?;
    print(&match arguments.output {
        Output::Table => compare::render(&comparison),
        Output::Json => compare::json(&comparison),
        Output::Csv => csv::text(|out| compare::csv(&comparison, out)),
    })?;
    if !arguments.quiet {
        let runs = plan.strategies.len() * plan.seeds.len();
        eprintln!("results in {}, {runs} runs in {:.1} s", folder.display(), took.as_secs_f64());
    }
    Ok(FINE)
}

/// At least two, and none twice.
fn distinct(strategies: &[&'static Strategy]) -> Result<()> {
    for (at, strategy) in strategies.iter().enumerate() {
        if strategies[..at].iter().any(|other| other.name == strategy.name) {
            return Err(Error::input(format!("--strategy {} is given twice", strategy.name)));
        }
    }
    match strategies.len() {
        0 | 1 => Err(Error::input("a comparison needs two strategies at least; give --strategy once more")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_a_number_or_a_range() {
        let table = [("3", 7, vec![7, 8, 9]), ("1..3", 7, vec![1, 2, 3]), ("5..5", 7, vec![5])];
        for (text, first, expected) in table {
            assert_eq!(seeds(text).unwrap().list(first), expected, "{text}");
        }
        for text in ["0", "3..1", "x", "1..", "", "0..18446744073709551615"] {
            assert!(seeds(text).is_err(), "{text}");
        }
    }
}
