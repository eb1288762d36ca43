//! Fault search: random schedules of faults against one scenario, and the smallest one that breaks it.
//!
//! ```text
//! draw.rs    a random schedule: which kinds, whom, when, how long      judge.rs   what counts as broken
//! shrink.rs  the smallest schedule that still breaks it                write.rs   that schedule as a scenario file
//! ```
//!
//! A worked example: run 17 draws a drain of `worker-2` at 3:00, a crash of `worker-0` at 4:10 and a restart of `api`.
//! At the end the drain of `worker-2` is still going on: broken. Without the restart it is, too, and without the crash:
//! one fault is left, and a scenario file with that drain is written.
//!
//! Every run is a function of the scenario and its number: threads change nothing but the time it takes.

// Row 9: threads are this module's business.
#![allow(clippy::disallowed_methods)]

pub mod draw;
pub mod judge;
pub mod shrink;
pub mod write;

use super::sweep::Watch;
use crate::checks::Checks;
use crate::cluster::{self, Options};
use crate::error::{Error, Result};
use crate::rng::Seed;
use crate::runtime::Stop;
use crate::scenario::{Scenario, TimelineEntry};
use crate::wire::typed;
use draw::{Deed, Menu};
use judge::Finding;
use rayon::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;

/// At most so many different findings are shrunk.
pub const MAX_FINDINGS: usize = 20;

/// What is searched.
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    /// The scenario, without faults of the search.
    pub scenario: &'a Scenario,
    /// How many schedules.
    pub runs: usize,
    /// Kinds to draw from, by their keys in a scenario; all that the scenario allows if empty.
    pub kinds: Vec<String>,
    /// Most faults in one schedule.
    pub faults_max: usize,
    /// The seed of the search.
    pub seed: u64,
    /// Threads; as many as there are processors if absent.
    pub jobs: Option<NonZeroUsize>,
}

/// What the search came to.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Search {
    /// The scenario's name.
    pub scenario: String,
    /// The seed of the search.
    pub seed: u64,
    /// How many runs were wished, and how many were done.
    pub runs: (usize, usize),
    /// What breaks without any fault: then nothing was searched.
    pub broken_at_rest: Vec<Finding>,
    /// What was found, each with its smallest schedule; those of most runs first.
    pub found: Vec<Found>,
    /// What was tried.
    pub coverage: Coverage,
    /// Why it stopped early.
    pub interrupted: bool,
}

/// One way to break the scenario.
#[derive(Clone, PartialEq, Debug)]
pub struct Found {
    /// What breaks.
    pub finding: Finding,
    /// What it is in the run of the smallest schedule: the operation that never ends, with its object.
    pub object: Option<String>,
    /// In how many runs.
    pub runs: usize,
    /// The first of them.
    pub first: usize,
    /// The seed of that run.
    pub seed: u64,
    /// How many faults that run had.
    pub faults: usize,
    /// The smallest schedule that breaks it.
    pub schedule: Vec<Deed>,
    /// How many runs the shrinking took.
    pub attempts: usize,
}

/// What was tried.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Coverage {
    /// For each kind: how often it was drawn, how many different targets, and in how many runs that broke it had a part.
    pub kinds: BTreeMap<String, Tried>,
    /// Pairs of kinds that were together in a run, of all pairs.
    pub pairs: (usize, usize),
    /// Machines that were hit, of all.
    pub machines: (usize, usize),
    /// The fraction of the minutes of the search's window in which some fault began.
    pub minutes: (usize, usize),
}

/// One kind of fault.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tried {
    /// How often it was drawn.
    pub times: usize,
    /// How many different targets.
    pub targets: usize,
    /// In how many of the runs that broke it had a part.
    pub broke: usize,
}

/// The seed with which run `index` is run.
fn seed_of(plan: &Plan<'_>, index: usize) -> u64 {
    plan.seed.wrapping_add(index as u64)
}

/// Searches.
///
/// # Errors
/// Wrong input, a limit that was reached by the scenario as it stands.
pub fn search(plan: &Plan<'_>, watch: &Watch<'_>) -> Result<Search> {
    let menu = Menu::of(plan.scenario, &plan.kinds)?;
    let mut search =
        Search { scenario: plan.scenario.name.clone(), seed: plan.seed, runs: (plan.runs, 0), ..Search::default() };
    search.broken_at_rest = run(plan.scenario, plan.seed, &[], watch)?.unwrap_or_default();
    if !search.broken_at_rest.is_empty() {
        return Ok(search);
    }
    let threads = plan.jobs.map_or(0, NonZeroUsize::get);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool.map_err(|error| Error::Limit(format!("cannot start {threads} threads: {error}")))?;
    let schedule = |index: usize| {
        let mut stream = Seed(plan.seed).stream("chaos", &index.to_string());
        menu.draw(plan.faults_max, &mut stream)
    };
    let one = |index: usize| -> Result<Option<Vec<Finding>>> {
        let found = run(plan.scenario, seed_of(plan, index), &schedule(index), watch)?;
        (watch.finished)();
        Ok(found)
    };
    let results: Vec<Result<Option<Vec<Finding>>>> =
        pool.install(|| (0..plan.runs).into_par_iter().with_max_len(1).map(one).collect());
    let mut broken: BTreeMap<Finding, Vec<usize>> = BTreeMap::new();
    let mut done = Vec::new();
    for (index, result) in results.into_iter().enumerate() {
        let Some(findings) = result? else { continue };
        done.push((index, !findings.is_empty()));
        for finding in findings {
            broken.entry(finding).or_default().push(index);
        }
    }
    search.runs.1 = done.len();
    search.coverage = menu.coverage(&done, &schedule);
    search.interrupted = !(watch.go_on)();
    let mut broken: Vec<(Finding, Vec<usize>)> = broken.into_iter().collect();
    broken.sort_by_key(|(_, runs)| (std::cmp::Reverse(runs.len()), runs[0]));
    broken.truncate(MAX_FINDINGS);
    let shrunk = |(finding, runs): (Finding, Vec<usize>)| -> Result<Found> {
        // The run with the fewest faults is nearest to the answer.
        let first = *runs.iter().min_by_key(|run| (schedule(**run).len(), **run)).unwrap_or(&runs[0]);
        let (seed, whole) = (seed_of(plan, first), schedule(first));
        let breaks = |deeds: &[Deed]| -> Result<bool> {
            Ok(run(plan.scenario, seed, deeds, watch)?.is_some_and(|found| found.contains(&finding)))
        };
        let (faults, count) = (whole.len(), runs.len());
        let (schedule, attempts) = shrink::smallest(whole, &breaks)?;
        let object = object_of(plan.scenario, seed, &schedule, &finding)?;
        Ok(Found { finding: finding.clone(), object, runs: count, first, seed, faults, schedule, attempts })
    };
    let found: Vec<Result<Found>> = pool.install(|| broken.into_par_iter().with_max_len(1).map(shrunk).collect());
    search.found = found.into_iter().collect::<Result<_>>()?;
    Ok(search)
}

/// The scenario with a schedule.
///
/// # Errors
/// An entry that cannot be read.
pub fn with_schedule(scenario: &Scenario, deeds: &[Deed]) -> Result<Scenario> {
    let mut scenario = scenario.clone();
    for entry in deeds.iter().flat_map(|deed| &deed.entries) {
        scenario.timeline.push(read(entry).map_err(Error::input)?);
    }
    Ok(scenario)
}

/// An entry of a timeline.
fn read(entry: &Value) -> std::result::Result<TimelineEntry, String> {
    typed::read::<TimelineEntry>(entry)
        .map_err(|problems| problems.first().map_or(String::new(), |problem| format!("{entry}: {}", problem.message)))
}

/// What a finding is called in the run of its smallest schedule, where that says more.
fn object_of(scenario: &Scenario, seed: u64, deeds: &[Deed], finding: &Finding) -> Result<Option<String>> {
    let Finding::Unfinished(what) = finding else { return Ok(None) };
    let scenario = with_schedule(scenario, deeds)?;
    let options = Options { seed: Seed(seed), checks: Checks::Off, ..Options::of(&scenario) };
    let (outcome, _) = cluster::run(&scenario, &options, &mut |_, _| true)?;
    Ok(judge::unfinished(&outcome).find(|text| judge::operation(text) == *what).map(str::to_string))
}

impl Found {
    /// What breaks, for people, with its object.
    pub fn sentence(&self) -> String {
        match (&self.finding, &self.object) {
            (Finding::Unfinished(_), Some(object)) => Finding::Unfinished(object.clone()).sentence(),
            (finding, _) => finding.sentence(),
        }
    }
}

/// What one schedule breaks; `None` if the run was interrupted.
fn run(scenario: &Scenario, seed: u64, deeds: &[Deed], watch: &Watch<'_>) -> Result<Option<Vec<Finding>>> {
    if !(watch.go_on)() {
        return Ok(None);
    }
    let scenario = with_schedule(scenario, deeds)?;
    let options = Options { seed: Seed(seed), checks: Checks::Cheap, ..Options::of(&scenario) };
    let (outcome, stop) = cluster::run(&scenario, &options, &mut |_, _| (watch.go_on)())?;
    match stop {
        Some(Stop::Interrupted) => Ok(None),
        Some(Stop::Limit(what)) => Ok(Some(vec![Finding::Limit(what)])),
        None => Ok(Some(judge::findings(&outcome, deeds))),
    }
}
