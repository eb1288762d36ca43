//! The scenario of a command: its file, and what the command line changes in it.

use std::io::Read;
use std::path::Path;

use clap::{Args, ValueHint};

use super::diagnostics;
use super::files::{Folder, read_text};
use crate::error::{Error, Result};
use crate::scenario::{Scenario, load};
use crate::scheduler::config;

/// The arguments that say which scenario, shared by all commands that run one.
#[derive(Args, Clone, Debug)]
pub struct Source {
    /// The scenario file; `-` reads standard input
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: String,
    /// Use this seed instead of the scenario's
    #[arg(long, value_name = "N", env = "SIM_SEED")]
    pub seed: Option<u64>,
    /// Change a value of the scenario, such as cluster.pools[0].count=20 (repeatable)
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub assignments: Vec<String>,
}

impl Source {
    /// Reads the scenario, prints its warnings, applies `--set` and `--seed`.
    ///
    /// # Errors
    /// What is wrong with the file, or why it cannot be read.
    pub fn load(&self) -> Result<Scenario> {
        let (name, text) = read(&self.file)?;
        let mut scenario = load::load(&name, &text, &self.assignments, &Folder::of(&self.file))?;
        scenario.warnings.extend(config::check(&scenario)?);
        diagnostics::warn(&scenario.warnings);
        scenario.seed = self.seed.unwrap_or(scenario.seed);
        Ok(scenario)
    }
}

/// A file, or standard input for `-`, with the name that messages use.
///
/// # Errors
/// [`Error::Io`] with the system's reason.
pub fn read(file: &str) -> Result<(String, String)> {
    let failed = |cause: String| Error::Io { path: file.to_string(), cause };
    if file != "-" {
        return Ok((file.to_string(), read_text(Path::new(file)).map_err(failed)?));
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(|error| failed(error.to_string()))?;
    Ok(("<stdin>".to_string(), text))
}
