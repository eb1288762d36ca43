//! `sim run FILE`: run a scenario and report what happened.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum, ValueHint};

use super::simulate::simulate;
use super::source::Source;
use super::verify::{stopped, verify};
use super::{BUG, EXPECTATION_FAILED, FINE, print, progress};
use crate::checks::Checks;
use crate::cluster::Options;
use crate::error::Result;
use crate::report::{files, summary, terminal};
use crate::runtime::Stop;
use crate::scenario::Scenario;
use crate::scenario::units::Duration;
use crate::scheduler::strategies::{self, Strategy};
use crate::time::{SimDuration, SimTime};

/// The arguments of `sim run`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Which scenario.
    #[command(flatten)]
    pub source: Source,
    /// Write results into this folder instead of results/<scenario>
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub out: Option<PathBuf>,
    /// The form of the report on standard output
    #[arg(short, long, value_enum, default_value_t = Output::Table, value_name = "FORMAT")]
    pub output: Output,
    /// Stop at this virtual time instead of at the scenario's end
    #[arg(long, value_name = "T", value_parser = positive)]
    pub until: Option<Duration>,
    /// Place pods by this strategy instead of as the scenario says
    #[arg(long, value_name = "NAME", value_parser = strategies::find)]
    pub strategy: Option<&'static Strategy>,
    /// Run twice, the second time with all shortcuts off and all checks on, and compare
    #[arg(long)]
    pub verify: bool,
    /// Which invariants to check on the way; the outcome is the same
    #[arg(long, value_enum, default_value_t = Level::Cheap, value_name = "LEVEL")]
    pub checks: Level,
    /// Print only the verdict
    #[arg(short, long)]
    pub quiet: bool,
}

/// How much is checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Level {
    /// Every invariant
    All,
    /// Those that cost little
    Cheap,
    /// None
    Off,
}

impl From<Level> for Checks {
    fn from(level: Level) -> Self {
        match level {
            Level::All => Checks::All,
            Level::Cheap => Checks::Cheap,
            Level::Off => Checks::Off,
        }
    }
}

/// The form of the report.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Output {
    /// For a person, 80 columns
    Table,
    /// JSON, one object
    Json,
    /// YAML, one document
    Yaml,
}

/// Reads a duration of the command line.
///
/// # Errors
/// What is wrong with it, for clap to show.
pub fn duration(text: &str) -> std::result::Result<Duration, String> {
    SimDuration::parse(text).map(Duration)
}

/// Reads a length that a run can have.
///
/// # Errors
/// As [`duration`], and anything that is not after the start.
pub fn positive(text: &str) -> std::result::Result<Duration, String> {
    match duration(text)? {
        length if length.0 > SimDuration::ZERO => Ok(length),
        _ => Err("it must be positive; write a duration such as 10m".to_string()),
    }
}

/// Runs the scenario; the exit code says whether all expectations held.
///
/// # Errors
/// Wrong input, a limit that was reached, a file that cannot be written.
pub fn execute(arguments: &Arguments) -> Result<u8> {
    let scenario = arguments.source.load()?;
    let until = arguments.until.map(|until| SimTime(until.0.0));
    if until.is_some_and(|until| until > scenario.end()) {
        eprintln!("--until is after the end of the scenario; to run longer: --set duration=…");
    }
    let options =
        Options { until, checks: arguments.checks.into(), strategy: arguments.strategy, ..Options::of(&scenario) };
    if arguments.verify {
        return compare(&scenario, &options);
    }
    let finished = simulate(&scenario, &options, arguments.quiet)?;
    let outcome = &finished.outcome;
    // Results first: a reader that closes the pipe early does not cost them.
    let mut folder = arguments.out.clone().unwrap_or_else(|| Path::new("results").join(&scenario.name));
    if finished.stop == Some(Stop::Interrupted) {
        // The result of the last whole run stays.
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        folder.set_file_name(format!("{name}.incomplete"));
    }
    files::write(&folder, &files::contents(outcome))?;
    print(&match (arguments.output, arguments.quiet) {
        (Output::Table, true) => terminal::render_verdict(outcome),
        (Output::Table, false) => terminal::render(outcome),
        (Output::Json, _) => summary::json(outcome),
        (Output::Yaml, _) => summary::yaml(outcome),
    })?;
    if !arguments.quiet {
        eprintln!("results in {}, {:.0} ms", folder.display(), finished.took.as_secs_f64() * 1000.0);
    }
    match finished.stop {
        Some(stop) => Err(stopped(stop)),
        None if !outcome.violations.is_empty() => Ok(BUG),
        None if outcome.passed() => Ok(FINE),
        None => Ok(EXPECTATION_FAILED),
    }
}

/// `--verify`: the verdict on standard output.
fn compare(scenario: &Scenario, options: &Options) -> Result<u8> {
    progress::listen();
    let verdict = verify(scenario, options)?;
    for violation in &verdict.violations {
        print(&format!("{violation}\n"))?;
    }
    match verdict.difference {
        None => {
            let changes = verdict.plain.entries();
            print(&format!("{}: equal, fingerprint {} over {changes} changes\n", scenario.name, verdict.plain))?;
            Ok(if verdict.violations.is_empty() { FINE } else { BUG })
        }
        Some(difference) => {
            print(&format!("{}: {} and {} differ\n{difference}\n", scenario.name, verdict.plain, verdict.eager))?;
            Ok(BUG)
        }
    }
}
