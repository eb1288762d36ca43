//! The composition root: who sits at the table, and a run from beginning to end.
//!
//! A run is a function of scenario, seed and options. Nothing here touches a file, a thread or a clock.

pub mod boot;
pub mod digest;
pub mod machines;
pub mod observe;
pub mod roles;
pub mod seats;
pub mod settings;
pub mod steps;

use crate::checks::{Checker, Checks, expect};
use crate::error::{Error, Result};
use crate::metrics::{Meters, Record, TrafficRecord, scaling};
use crate::model::Name;
use crate::outcome::Outcome;
use crate::rng::Seed;
use crate::runtime::{Observer, Runtime, Stats, Stop};
use crate::scenario::Scenario;
use crate::scheduler::explain::Explanations;
use crate::scheduler::strategies::Strategy;
use crate::store::{Store, StoreError, Write};
use crate::time::SimTime;
use crate::traffic;
use digest::Digest;
use observe::RecorderSeat;

/// When the machines of a cluster come up: a little before the manifests are applied at time zero, so that
/// a scenario begins with a cluster at rest.
pub const BOOT: SimTime = SimTime::from_secs(-20);

/// What of a run is not in its scenario.
#[derive(Clone, Debug)]
pub struct Options {
    /// The seed.
    pub seed: Seed,
    /// Stop here, if earlier than the scenario's end.
    pub until: Option<SimTime>,
    /// Tick what could be computed when asked; the outcome is the same.
    pub eager: bool,
    /// Pods whose placement is to be explained, by name.
    pub explain: Vec<Name>,
    /// Whether to look for what would let those of them in that fit nowhere.
    pub what_if: bool,
    /// How much is checked; it changes nothing that happens.
    pub checks: Checks,
    /// How pods are placed instead of as the scenario says.
    pub strategy: Option<&'static Strategy>,
}

impl Options {
    /// As the scenario says.
    pub fn of(scenario: &Scenario) -> Self {
        Options {
            seed: scenario.seed(),
            until: None,
            eager: false,
            explain: Vec::new(),
            what_if: false,
            checks: Checks::default(),
            strategy: None,
        }
    }
}

/// A cluster with everyone seated, before its first event.
pub struct Cluster {
    runtime: Runtime,
    end: SimTime,
    explanations: Explanations,
    traffic: Option<traffic::Seat>,
    meters: Meters,
}

impl Cluster {
    /// Builds the cluster of a scenario, with observers that see everything from the first write on.
    ///
    /// # Errors
    /// Manifests that the API server would refuse to read; limits that a cluster cannot even start in.
    pub fn new(scenario: &Scenario, options: &Options, observers: Vec<Box<dyn Observer>>) -> Result<Cluster> {
        let store = Store::new(options.seed, settings::store_limits(&scenario.limits)).knowing(&scenario.kinds);
        let limits = settings::runtime_limits(&scenario.limits);
        let mut runtime = Runtime::new(store, options.seed, BOOT, limits, options.eager);
        runtime.serve(settings::server(&scenario.timing));
        for observer in observers {
            runtime.observe(observer);
        }
        let seats = seats::all(scenario, options)?;
        if let Some(traffic) = &seats.traffic {
            runtime.observe(Box::new(traffic.clone()));
            runtime.attach(Box::new(traffic.clone()));
        }
        // Without users nobody asks what roles allow.
        let named = scenario.timeline.iter().any(|entry| entry.user.is_some());
        let roles = if named { roles::default_roles() } else { Vec::new() };
        for object in machines::bootstrap_objects().into_iter().chain(roles) {
            runtime.commit_now(Write::Create(object), "bootstrap").map_err(refused)?;
        }
        for seat in seats.seats {
            seat.take(&mut runtime);
        }
        let end = options.until.map_or(scenario.end(), |until| until.min(scenario.end()));
        let (explanations, traffic, meters) = (seats.explanations, seats.traffic, seats.meters);
        Ok(Cluster { runtime, end, explanations, traffic, meters })
    }

    /// Runs to the end, calling `progress` now and then; it answers whether to go on.
    ///
    /// # Errors
    /// A limit was reached, or `progress` said stop.
    pub fn run(&mut self, progress: &mut dyn FnMut(SimTime, Stats) -> bool) -> std::result::Result<(), Stop> {
        let result = self.runtime.run_until(self.end, progress);
        self.runtime.finish();
        result
    }

    /// The runtime, for those who look closer.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// What became of requests; the engine is gone then.
    pub fn take_traffic(&mut self) -> Option<TrafficRecord> {
        self.traffic.take().and_then(|seat| seat.take())
    }

    /// Why the pods named in the options are where they are, as far as it was decided.
    pub fn explanations(&self) -> Explanations {
        self.explanations.clone()
    }
}

/// Why an empty store refuses what every cluster starts with: only a limit can be the reason.
fn refused(error: StoreError) -> Error {
    let StoreError::Limit(message) = error else { panic!("an empty store takes the first objects: {error}") };
    Error::Limit(format!("{message} before the run begins; raise it under `limits` in the scenario"))
}

/// Runs a scenario and says what it came to, and why it stopped early if it did.
///
/// # Errors
/// Manifests that the API server would refuse to read; limits that a cluster cannot even start in.
pub fn run(
    scenario: &Scenario,
    options: &Options,
    progress: &mut dyn FnMut(SimTime, Stats) -> bool,
) -> Result<(Outcome, Option<Stop>)> {
    let (digest, recorder) = (Digest::default(), RecorderSeat::default());
    let (checker, findings) = Checker::within(options.checks, settings::check_bounds(scenario));
    let mut observers: Vec<Box<dyn Observer>> = vec![Box::new(digest.clone()), Box::new(recorder.clone())];
    if options.checks != Checks::Off {
        observers.push(Box::new(checker));
    }
    let mut cluster = Cluster::new(scenario, options, observers)?;
    let stop = cluster.run(progress).err();
    let traffic = cluster.take_traffic();
    let mut broken = Vec::new();
    if let Some(traffic) = &traffic {
        // A limit or a person may stop a run between two halves of one thing.
        broken.extend(traffic.unaccounted().filter(|_| stop.is_none()));
    }
    let objectives = scenario.slo.iter().map(|slo| slo.objective()).collect();
    let mut record = Record { traffic, objectives, ..recorder.0.take().into_record() };
    record.loads = cluster.meters.loads();
    scaling::add_use(&mut record);
    let mut findings = findings.take();
    if stop.is_none() {
        findings.busy_at_end(&cluster.runtime.busy_keys());
    }
    let outcome = Outcome {
        scenario_name: scenario.name.clone(),
        description: scenario.description.clone(),
        seed: options.seed.0,
        duration: scenario.duration.0,
        end: cluster.runtime.now(),
        fingerprint: digest.0.borrow().to_string(),
        stats: cluster.runtime.stats(),
        expectations: expect::evaluate(&record, &scenario.expect),
        record,
        violations: findings.violations.iter().map(ToString::to_string).chain(broken).collect(),
        stopped: stop.as_ref().map(ToString::to_string),
    };
    Ok((outcome, stop))
}
