//! Runs every strategy on every seed. Parallelism is between whole runs only, and results are collected in the
//! order of the plan: the number of threads changes nothing but the time it takes.

// Row 8: threads are this module's business.
#![allow(clippy::disallowed_methods)]

use super::measures::measure;
use crate::checks::Checks;
use crate::cluster::{self, Options};
use crate::error::{Error, Result};
use crate::rng::Seed;
use crate::runtime::Stop;
use crate::scenario::Scenario;
use crate::scheduler::strategies::Strategy;
use rayon::prelude::*;
use std::num::NonZeroUsize;

/// What is to be run: every strategy on every seed.
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    /// The scenario.
    pub scenario: &'a Scenario,
    /// The strategies; the first is what the others are compared with.
    pub strategies: Vec<&'static Strategy>,
    /// The seeds.
    pub seeds: Vec<u64>,
    /// Threads; as many as there are processors if absent.
    pub jobs: Option<NonZeroUsize>,
}

/// Someone who watches a sweep; called from many threads.
pub struct Watch<'a> {
    /// Whether to go on.
    pub go_on: &'a (dyn Fn() -> bool + Sync),
    /// A run is over.
    pub finished: &'a (dyn Fn() + Sync),
}

/// One run of a plan.
#[derive(Clone, PartialEq, Debug)]
pub struct Run {
    /// Which strategy: an index into the plan's.
    pub strategy: usize,
    /// The seed.
    pub seed: u64,
    /// The fingerprint of everything that happened.
    pub fingerprint: String,
    /// In the order of [`super::MEASURES`].
    pub values: Vec<Option<f64>>,
}

/// Runs the plan: for each seed in order, each strategy in order.
///
/// # Errors
/// The first error in the order of the plan: manifests that the API server would refuse to read, a limit that was
/// reached, or [`Error::Interrupted`] if the watcher said stop.
pub fn run(plan: &Plan<'_>, watch: &Watch<'_>) -> Result<Vec<Run>> {
    let threads = plan.jobs.map_or(0, NonZeroUsize::get);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool.map_err(|error| Error::Limit(format!("cannot start {threads} threads: {error}")))?;
    let strategies = plan.strategies.len();
    let work = || {
        let all = (0..strategies * plan.seeds.len()).into_par_iter().with_max_len(1);
        all.map(|at| one(plan, at % strategies, plan.seeds[at / strategies], watch)).collect::<Vec<Result<Run>>>()
    };
    let runs = pool.install(work);
    if !(watch.go_on)() {
        return Err(Error::Interrupted);
    }
    runs.into_iter().collect()
}

fn one(plan: &Plan<'_>, strategy: usize, seed: u64, watch: &Watch<'_>) -> Result<Run> {
    if !(watch.go_on)() {
        return Err(Error::Interrupted);
    }
    let chosen = plan.strategies[strategy];
    let options =
        Options { seed: Seed(seed), strategy: Some(chosen), checks: Checks::Off, ..Options::of(plan.scenario) };
    let (outcome, stop) = cluster::run(plan.scenario, &options, &mut |_, _| (watch.go_on)())?;
    match stop {
        None => {}
        Some(Stop::Interrupted) => return Err(Error::Interrupted),
        Some(Stop::Limit(what)) => return Err(Error::Limit(format!("{}, seed {seed}: {what}", chosen.name))),
    }
    (watch.finished)();
    Ok(Run { strategy, seed, fingerprint: outcome.fingerprint, values: measure(&outcome.record) })
}
