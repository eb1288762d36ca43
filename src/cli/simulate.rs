//! One run for a command: progress, Ctrl-C, and how long it took.

use super::progress::{self, Progress};
use crate::cluster::{self, Options};
use crate::error::Result;
use crate::outcome::Outcome;
use crate::runtime::Stop;
use crate::scenario::Scenario;
use std::time::Duration;

/// A run that is over.
pub struct Finished {
    /// What it came to.
    pub outcome: Outcome,
    /// Why it stopped early, if it did.
    pub stop: Option<Stop>,
    /// Wall time.
    pub took: Duration,
}

/// Runs a scenario.
///
/// # Errors
/// Manifests that the API server would refuse to read.
pub fn simulate(scenario: &Scenario, options: &Options, quiet: bool) -> Result<Finished> {
    progress::listen();
    let mut progress = Progress::until(options.until.unwrap_or(scenario.end()), quiet);
    let (outcome, stop) = cluster::run(scenario, options, &mut |now, stats| progress.tick(now, stats))?;
    Ok(Finished { outcome, stop, took: progress.finish() })
}
