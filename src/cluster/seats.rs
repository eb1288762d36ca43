//! Who sits at the table, in a fixed order, with what machinery.

use super::{Options, boot, machines, settings, steps};
use crate::error::Result;
use crate::faults;
use crate::kubelet::{Kubelet, KubeletSettings, ScenarioBehavior};
use crate::runtime::{ActorSettings, Controller};
use crate::scenario::Scenario;
use crate::scheduler::explain::Explanations;
use crate::scheduler::{self, Scheduler};
use crate::script::Kubectl;

/// The actors, and where explanations of placements will be found.
pub struct Seats {
    /// Everyone.
    pub actors: Vec<(Box<dyn Controller>, ActorSettings)>,
    /// Filled by the scheduler for the pods named in the options.
    pub explanations: Explanations,
}

/// Everyone that the scenario needs.
///
/// # Errors
/// Manifests that the API server would refuse to read.
pub fn all(scenario: &Scenario, options: &Options) -> Result<Seats> {
    let machines = machines::machines(&scenario.cluster, options.seed);
    let mut actors: Vec<(Box<dyn Controller>, ActorSettings)> =
        vec![(Box::new(boot::Deliveries::new(machines)), ActorSettings::immediate())];
    actors.extend(faults::all(&scenario.timeline));
    let scheduler = scheduler(scenario, options);
    let explanations = scheduler.explanations();
    let clients: Vec<(Box<dyn Controller>, ActorSettings)> = vec![
        (Box::new(Kubectl::new(steps::steps(scenario)?)), settings::kubectl()),
        (Box::new(scheduler), settings::scheduler(&scenario.timing)),
        (Box::new(kubelet(scenario, options)), settings::kubelet()),
    ];
    for (controller, own) in clients.into_iter().chain(crate::controllers::all(&scenario.timing)) {
        let settings = settings::actor(&scenario.timing, controller.name(), own);
        actors.push((controller, settings));
    }
    Ok(Seats { actors, explanations })
}

fn scheduler(scenario: &Scenario, options: &Options) -> Scheduler {
    let queue = settings::scheduler_queue(&scenario.timing);
    let mut own = scheduler::Options { queue, explain: options.explain.clone(), ..scheduler::Options::default() };
    if let Some(strategy) = options.strategy {
        own.profiles = vec![(strategy.profile)(options.seed)];
    }
    Scheduler::new(own)
}

fn kubelet(scenario: &Scenario, options: &Options) -> Kubelet {
    let settings = KubeletSettings::from_timing(&scenario.timing);
    let source = ScenarioBehavior { rules: scenario.behavior.clone() };
    Kubelet::new(settings, Box::new(source), options.seed)
}
