//! `sim validate FILE…`: check scenarios and Kubernetes manifests without running anything.

use clap::{Args, ValueHint};

use super::files::Folder;
use super::{FINE, diagnostics, print, source};
use crate::error::{Error, Problem, Result};
use crate::rng::Seed;
use crate::scenario::custom::Definitions;
use crate::scenario::limits::grouped;
use crate::scenario::load::{self, read_manifests};
use crate::scheduler::config;

/// The arguments of `sim validate`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Scenarios or Kubernetes manifests; `-` reads standard input
    #[arg(value_name = "FILE", required = true, value_hint = ValueHint::FilePath)]
    pub files: Vec<String>,
}

/// Checks every file, says `ok` for the good ones and everything that is wrong with the others.
///
/// # Errors
/// The first class of error met; all problems of that class.
pub fn execute(arguments: &Arguments) -> Result<u8> {
    let mut problems = Vec::new();
    for file in &arguments.files {
        let (name, text) = source::read(file)?;
        match check(&name, &text) {
            Ok((summary, warnings)) => {
                diagnostics::warn(&warnings);
                print(&format!("{name}: ok ({summary})\n"))?;
            }
            Err(Error::Input(found)) => problems.extend(found),
            Err(other) => return Err(other),
        }
    }
    if problems.is_empty() { Ok(FINE) } else { Err(Error::Input(problems)) }
}

/// Checks one file and says what it holds.
///
/// # Errors
/// Everything that is wrong with it.
pub fn check(name: &str, text: &str) -> Result<(String, Vec<Problem>)> {
    let count = |n: u64, what: &str| format!("{} {what}{}", grouped(n), if n == 1 { "" } else { "s" });
    if is_configuration(text) {
        let read = config::read_text(name, text, Seed(1)).map_err(Error::Input)?;
        return Ok((count(read.profiles.len() as u64, "profile"), read.warnings));
    }
    if is_manifest(text) {
        let (objects, warnings) = read_manifests(name, text).map_err(Error::Input)?;
        let definitions = Definitions::among(objects.iter());
        let problems: Vec<Problem> = objects.iter().flat_map(|object| definitions.problems(object)).collect();
        if !problems.is_empty() {
            return Err(Error::Input(problems));
        }
        return Ok((count(objects.len() as u64, "object"), warnings));
    }
    let mut scenario = load::load(name, text, &[], &Folder::of(name))?;
    scenario.warnings.extend(config::check(&scenario)?);
    let parts = [
        count(scenario.cluster.node_count(), "node"),
        count(scenario.manifests.objects.len() as u64, "object"),
        count(scenario.timeline.len() as u64, "action"),
        count(scenario.expect.len() as u64, "expectation"),
        scenario.duration.0.to_string(),
    ];
    Ok((parts.join(", "), scenario.warnings))
}

/// A scheduler's configuration says so at the left margin.
fn is_configuration(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("kind:") && line.contains(config::KIND))
        || text.lines().any(|line| line.starts_with("apiVersion:") && line.contains("kubescheduler.config.k8s.io"))
}

/// A manifest says `apiVersion` or `kind` at the left margin; a scenario has neither.
fn is_manifest(text: &str) -> bool {
    let starts = ["apiVersion:", "kind:", "\"apiVersion\"", "\"kind\"", "{\"apiVersion\"", "{\"kind\""];
    text.trim_start_matches('\u{feff}').lines().any(|line| starts.iter().any(|start| line.starts_with(start)))
}
