//! `sim run FILE`: run a scenario and report what happened.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};

use super::source::Source;
use crate::error::{Error, Result};
use crate::scenario::units::Duration;
use crate::time::SimDuration;

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
    #[arg(long, value_name = "T", value_parser = duration)]
    pub until: Option<Duration>,
    /// Run twice, the second time with all shortcuts off and all checks on, and compare
    #[arg(long)]
    pub verify: bool,
    /// Print only the verdict
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

/// Runs the scenario; the exit code says whether all expectations held.
///
/// # Errors
/// Wrong input, a limit that was reached, a file that cannot be written.
pub fn execute(arguments: &Arguments) -> Result<u8> {
    let _scenario = arguments.source.load()?;
    Err(Error::input("running a scenario is not built yet"))
}
