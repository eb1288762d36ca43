//! Random clusters, workloads, user actions and faults, run whole with all invariants watched, lazily and eagerly.
//!
//! A case is a handful of small numbers ([`plan::Plan`]) from which a scenario is written, so a failing case shrinks
//! to few objects and few actions, and what is left is printed as a scenario file. Files that once failed are kept in
//! `tests/random/kept/` and run for ever. `PROPTEST_CASES=1000 cargo test --release random` looks further.

#[path = "random/faults.rs"]
pub mod faults;
#[path = "random/plan.rs"]
mod plan;

use kubesim::checks::{Bounds, Checker, Checks};
use kubesim::cluster::digest::Digest;
use kubesim::cluster::{Cluster, Options};
use kubesim::model::Effect;
use kubesim::scenario::{Action, Scenario, load::load};
use kubesim::time::SimDuration;
use plan::Plan;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};
use std::fs;
use std::path::Path;

/// Cases of an ordinary test run: whole clusters take their time in a debug build.
const CASES: u32 = 24;

/// Where the smallest scenario that fails is written.
const FAILED: &str = "random-failure.yaml";

fn read(name: &str, text: &str) -> Scenario {
    load(name, text, &[], &kubesim::cli::files::Folder::of(name)).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// What takes several requests takes as much longer as each of them, where an API server is slow.
fn bounds(scenario: &Scenario) -> Bounds {
    let faults = scenario.timeline.iter().filter_map(|entry| match &entry.action {
        Action::Fault(fault) => Some(fault.form().effect()),
        _ => None,
    });
    let delays = faults.filter_map(|effect| match effect {
        Effect::Hindrance(gate) => Some(gate.delay.1),
        _ => None,
    });
    let usual = Bounds::default();
    Bounds { stale: usual.stale + delays.max().unwrap_or(SimDuration::ZERO) * 8, ..usual }
}

/// Runs with all invariants watched; the fingerprint, or what was broken.
fn run(scenario: &Scenario, eager: bool) -> Result<String, String> {
    let options = Options { eager, ..Options::of(scenario) };
    let (checker, findings) = Checker::within(Checks::All, bounds(scenario));
    let digest = Digest::default();
    let mut cluster = Cluster::new(scenario, &options, vec![Box::new(checker), Box::new(digest.clone())])
        .map_err(|error| error.to_string())?;
    cluster.run(&mut |_, _| true).map_err(|stop| stop.to_string())?;
    let findings = findings.take();
    match findings.violations.is_empty() {
        true => Ok(digest.0.take().to_string()),
        false => Err(findings.violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")),
    }
}

/// Holds if no invariant is broken and eager ticking gives the same run.
fn holds(name: &str, text: &str) -> Result<(), String> {
    let scenario = read(name, text);
    let (lazy, eager) = (run(&scenario, false)?, run(&scenario, true)?);
    if lazy == eager { Ok(()) } else { Err(format!("fingerprint {lazy}, but {eager} when ticked")) }
}

#[test]
fn random_clusters_keep_every_invariant() {
    let asked = std::env::var_os("PROPTEST_CASES").and_then(|text| text.to_str()?.parse().ok());
    let cases = asked.unwrap_or(CASES);
    let shrink = Config { max_shrink_iters: 2_000, max_shrink_time: 60_000, ..Config::default() };
    let config = Config { cases, failure_persistence: None, ..shrink };
    // Fixed in an ordinary run, so that a red test is red again; a longer look takes new cases each time.
    let mut runner = match cases {
        CASES => {
            TestRunner::new_with_rng(config, proptest::test_runner::TestRng::deterministic_rng(Default::default()))
        }
        _ => TestRunner::new(config),
    };
    let failed = std::cell::Cell::new(false);
    let outcome = runner.run(&plan::plans(), |plan| {
        holds("random.yaml", &plan.yaml()).map_err(|why| {
            // Before it shrinks: that can take a while.
            if !failed.replace(true) {
                eprintln!("{why}\n{}", plan.yaml());
            }
            TestCaseError::fail(format!("{why}\n"))
        })
    });
    let text = |plan: &Plan| plan.yaml();
    if let Err(TestError::Fail(why, plan)) = outcome {
        let file = std::env::temp_dir().join(FAILED);
        fs::write(&file, text(&plan)).expect("the temporary folder takes a file");
        panic!("{why}\nthe smallest scenario that fails is in {}:\n{}", file.display(), text(&plan));
    }
    outcome.expect("no case is rejected");
}

#[test]
fn what_failed_once_holds() {
    for entry in fs::read_dir("tests/random/kept").unwrap() {
        let path = entry.unwrap().path();
        let name = path.to_string_lossy();
        let kept = holds(&name, &fs::read_to_string(Path::new(&*name)).unwrap());
        assert_eq!(kept, Ok(()), "{name}");
    }
}

/// A fault that is new is drawn, too.
#[test]
fn every_fault_is_drawn() {
    assert_eq!(kubesim::scenario::FaultAction::keys(), faults::KEYS);
}

proptest! {
    #![proptest_config(Config::with_cases(64))]

    /// The generator writes only scenarios that load, so that a failure is never about its own form.
    #[test]
    fn random_scenarios_load(plan in plan::plans()) {
        read("random.yaml", &plan.yaml());
    }
}
