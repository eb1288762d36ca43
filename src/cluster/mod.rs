//! The composition root: who sits at the table, and a run from beginning to end.
//!
//! A run is a function of scenario, seed and options. Nothing here touches a file, a thread or a clock.

pub mod boot;
pub mod digest;
pub mod machines;
pub mod settings;
pub mod steps;

use crate::error::Result;
use crate::rng::Seed;
use crate::runtime::{ActorSettings, Controller, Observer, Runtime, Stats, Stop};
use crate::scenario::Scenario;
use crate::store::{Store, Write};
use crate::time::SimTime;

/// When the machines of a cluster come up: a little before the manifests are applied at time zero, so that
/// a scenario begins with a cluster at rest.
pub const BOOT: SimTime = SimTime::from_secs(-20);

/// What of a run is not in its scenario.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The seed.
    pub seed: Seed,
    /// Stop here, if earlier than the scenario's end.
    pub until: Option<SimTime>,
    /// Tick what could be computed when asked; the outcome is the same.
    pub eager: bool,
}

impl Options {
    /// As the scenario says.
    pub fn of(scenario: &Scenario) -> Self {
        Options { seed: scenario.seed(), until: None, eager: false }
    }
}

/// A cluster with everyone seated, before its first event.
pub struct Cluster {
    runtime: Runtime,
    end: SimTime,
}

impl Cluster {
    /// Builds the cluster of a scenario, with observers that see everything from the first write on.
    ///
    /// # Errors
    /// Manifests that the API server would refuse to read.
    pub fn new(scenario: &Scenario, options: &Options, observers: Vec<Box<dyn Observer>>) -> Result<Cluster> {
        let store = Store::new(options.seed, settings::store_limits(&scenario.limits));
        let limits = settings::runtime_limits(&scenario.limits);
        let mut runtime = Runtime::new(store, options.seed, BOOT, limits, options.eager);
        for observer in observers {
            runtime.observe(observer);
        }
        for object in machines::bootstrap_objects() {
            runtime.commit_now(Write::Create(object), "bootstrap").expect("an empty store takes the first objects");
        }
        for (controller, own) in actors(scenario, options)? {
            runtime.add(controller, own);
        }
        let end = options.until.map_or(scenario.end(), |until| until.min(scenario.end()));
        Ok(Cluster { runtime, end })
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
}

type Seats = Vec<(Box<dyn Controller>, ActorSettings)>;

/// Everyone at the table, in a fixed order.
fn actors(scenario: &Scenario, options: &Options) -> Result<Seats> {
    let timing = &scenario.timing;
    let api = |seats: Seats| {
        seats.into_iter().map(|(controller, own)| {
            let settings = settings::actor(timing, controller.name(), own);
            (controller, settings)
        })
    };
    let machines = machines::machines(&scenario.cluster, options.seed);
    let user = script(scenario)?;
    let mut seats: Seats = vec![(Box::new(boot::Deliveries::new(machines)), ActorSettings::immediate())];
    seats.extend(crate::faults::all(&scenario.timeline));
    seats.extend(api(vec![(user, settings::kubectl())]));
    Ok(seats)
}

fn script(scenario: &Scenario) -> Result<Box<dyn Controller>> {
    Ok(Box::new(crate::script::Kubectl::new(steps::steps(scenario)?)))
}
