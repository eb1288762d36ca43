//! `sim run --verify`: the same run twice, the second time with every shortcut off and every invariant checked,
//! and a comparison.

use super::progress::Progress;
use crate::checks::{Checker, Checks};
use crate::cluster::digest::{Digest, Window};
use crate::cluster::{Cluster, Options, settings};
use crate::engine::Fingerprint;
use crate::error::{Error, Result};
use crate::runtime::{Observer, Stop};
use crate::scenario::Scenario;
use std::rc::Rc;

/// The two fingerprints, and the first difference if there is one.
pub struct Verdict {
    /// Of the run as it always is.
    pub plain: Fingerprint,
    /// Of the run that ticks what could be computed.
    pub eager: Fingerprint,
    /// What differs first, in words.
    pub difference: Option<String>,
    /// Invariants that were broken.
    pub violations: Vec<String>,
}

/// Runs twice and compares.
///
/// # Errors
/// Wrong input, a limit that was reached, an interruption.
pub fn verify(scenario: &Scenario, options: &Options) -> Result<Verdict> {
    let eager_options = Options { eager: true, ..options.clone() };
    let plain = Digest::default();
    run(scenario, options, vec![Box::new(plain.clone())])?;
    let eager = Digest::default();
    let (checker, findings) = Checker::within(Checks::All, settings::check_bounds(scenario));
    let cluster = run(scenario, &eager_options, vec![Box::new(eager.clone()), Box::new(checker)])?;
    findings.borrow_mut().busy_at_end(&cluster.runtime().busy_keys());
    let (plain, eager) = (plain.0.take(), eager.0.take());
    let difference = match plain.first_difference(&eager) {
        None => None,
        Some((from, to)) => Some(first_difference(scenario, options, &eager_options, from, to)?),
    };
    let violations = findings.borrow().violations.iter().map(ToString::to_string).collect();
    Ok(Verdict { plain, eager, difference, violations })
}

fn run(scenario: &Scenario, options: &Options, observers: Vec<Box<dyn Observer>>) -> Result<Cluster> {
    let mut cluster = Cluster::new(scenario, options, observers)?;
    let mut progress = Progress::until(options.until.unwrap_or(scenario.end()), false);
    let result = cluster.run(&mut |now, stats| progress.tick(now, stats));
    progress.finish();
    result.map_err(stopped)?;
    Ok(cluster)
}

/// The error of a run that was stopped.
pub fn stopped(stop: Stop) -> Error {
    match stop {
        Stop::Limit(message) => Error::Limit(message),
        Stop::Interrupted => Error::Interrupted,
    }
}

/// Replays both runs and compares the changes of the window that differs, one by one.
fn first_difference(scenario: &Scenario, plain: &Options, eager: &Options, from: u64, to: u64) -> Result<String> {
    let mut histories = Vec::new();
    for options in [plain, eager] {
        let window = Window::new(from, to);
        let lines = Rc::clone(&window.lines);
        run(scenario, options, vec![Box::new(window)])?;
        histories.push(lines.take());
    }
    let at = histories[0].iter().zip(&histories[1]).position(|(a, b)| a.0 != b.0);
    let at = at.unwrap_or_else(|| histories[0].len().min(histories[1].len()));
    let line = |history: &[(u128, String)]| history.get(at).map_or("(the history ends)", |(_, line)| line).to_string();
    Ok(format!(
        "the first difference is change {}:\n  plain: {}\n  eager: {}",
        from + at as u64 + 1,
        line(&histories[0]),
        line(&histories[1])
    ))
}
