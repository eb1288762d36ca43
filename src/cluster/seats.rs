//! Who sits at the table, in a fixed order, with what machinery.

use super::{Options, boot, machines, settings, steps};
use crate::autoscaler::karpenter::{self, Karpenter};
use crate::autoscaler::{self, ClusterAutoscaler};
use crate::cloud::machines::MachineProvider;
use crate::cloud::node_lifecycle::{self, CloudNodeLifecycle};
use crate::control_plane::process::{Component, Supervisor};
use crate::control_plane::{ControlPlane, ControlPlaneSettings};
use crate::controllers::ingress::{self, IngressController};
use crate::controllers::scaled_object::ScaledObjects;
use crate::error::Result;
use crate::faults;
use crate::kubelet::{Kubelet, KubeletSettings, ScenarioBehavior};
use crate::metrics::{Meters, MetricsServer};
use crate::model::{Object, vertical};
use crate::network::listeners::Listeners;
use crate::rng::Seed;
use crate::runtime::control::Factory;
use crate::runtime::{ActorSettings, Controller, Runtime};
use crate::scenario::faults::of_network;
use crate::scenario::{Action, Scenario};
use crate::scheduler::config::{self, Configuration};
use crate::scheduler::explain::Explanations;
use crate::scheduler::profile::Profile;
use crate::scheduler::queue::QueueSettings;
use crate::scheduler::{self, Scheduler};
use crate::script::Kubectl;
use crate::script::operator::Operator;
use crate::traffic;
use crate::wire::decode;
use std::rc::Rc;

/// The actors, and where explanations of placements will be found.
pub struct Seats {
    /// Everyone.
    pub seats: Vec<Seat>,
    /// Filled by the scheduler for the pods named in the options.
    pub explanations: Explanations,
    /// The traffic engine, if the scenario has traffic.
    pub traffic: Option<traffic::Seat>,
    /// What containers use.
    pub meters: Meters,
}

/// One seat at the table.
pub enum Seat {
    /// An actor of its own.
    Actor(Box<dyn Controller>, ActorSettings),
    /// The actors of a component of the control plane, which can end and begin anew.
    Component(&'static str, Factory),
}

impl Seat {
    /// Sits down.
    pub fn take(self, runtime: &mut Runtime) {
        match self {
            Seat::Actor(controller, own) => runtime.add(controller, own),
            Seat::Component(name, factory) => runtime.add_component(name, factory),
        }
    }
}

/// Everyone that the scenario needs.
///
/// # Errors
/// Manifests that the API server would refuse to read, and scheduler configurations that kube-scheduler refuses.
pub fn all(scenario: &Scenario, options: &Options) -> Result<Seats> {
    let machines = machines::machines(&scenario.cluster, options.seed);
    let masters = machines.iter().map(|(_, machine)| machine).filter(|machine| machine.node.is_control_plane());
    let settings = ControlPlaneSettings {
        machines: masters.map(|machine| machine.meta.name.clone()).collect(),
        hosted: 1,
        supervisor: Supervisor::Kubelet,
    };
    let mut seats = vec![
        Seat::Actor(Box::new(boot::Deliveries::new(machines)), ActorSettings::immediate()),
        Seat::Actor(Box::new(ControlPlane::new(settings)), ActorSettings::immediate()),
    ];
    let meters = Meters::default();
    seats.extend(faults::all(scenario, options.seed, &meters).into_iter().map(|(actor, own)| Seat::Actor(actor, own)));
    seats.extend(crate::workload::all(&scenario.load, &meters).into_iter().map(|(actor, own)| Seat::Actor(actor, own)));
    let explanations = Explanations::default();
    let scenario = Rc::new(scenario.clone());
    let client = |actor: Box<dyn Controller>, own: ActorSettings| {
        let settings = settings::actor(&scenario.timing, actor.name(), own);
        Seat::Actor(actor, settings)
    };
    seats.push(client(Box::new(Kubectl::new(steps::steps(&scenario)?)), settings::kubectl()));
    if operated(&scenario) {
        seats.push(client(Box::<Operator>::default(), settings::kubectl()));
    }
    seats.push(schedulers(&scenario, options, &explanations)?);
    let listeners = Listeners::default();
    let kubelet = kubelet(&scenario, options).metering(meters.clone());
    let kubelet = if scenario.traffic.is_some() { kubelet.telling(listeners.clone()) } else { kubelet };
    seats.push(client(Box::new(kubelet), settings::kubelet()));
    seats.push(controllers(&scenario, &meters, options.seed));
    if has_ingresses(&scenario) {
        seats.push(client(Box::new(IngressController), ingress::settings()));
    }
    let first = storage_objects(&scenario);
    seats.extend(crate::cloud::all(&scenario.cluster.cloud, &first).into_iter().map(|(actor, own)| client(actor, own)));
    if !scenario.scaled_objects.is_empty() {
        let api = Box::new(MetricsServer::new(meters.clone(), options.seed));
        let (operator, own) = ScaledObjects::new(&scenario.scaled_objects, api).seat();
        seats.push(client(operator, own));
    }
    if scenario.kinds.of_group(vertical::GROUP, vertical::KIND).is_some() {
        let api = Box::new(MetricsServer::new(meters.clone(), options.seed));
        seats.extend(autoscaler::vertical::all(api, options.seed).into_iter().map(|(actor, own)| client(actor, own)));
    }
    let traffic = scenario.traffic.as_ref().map(|written| {
        let end = options.until.map_or(scenario.end(), |until| until.min(scenario.end()));
        let watch_delay = scenario.timing.watch_delay.into();
        let settings =
            traffic::Settings { seed: options.seed, end, watch_delay, network_faults: of_network(&scenario) };
        traffic::Seat::new(written, &settings, listeners, meters.clone())
    });
    seats.extend(autoscalers(&scenario).into_iter().map(|(actor, own)| Seat::Actor(actor, own)));
    Ok(Seats { seats, explanations, meters, traffic })
}

/// Whether there are Ingresses, now or later.
fn has_ingresses(scenario: &Scenario) -> bool {
    scenario.documents().any(|document| document.value["kind"] == "Ingress")
}

/// Those who add nodes and take them away, with the provider's part in it.
fn autoscalers(scenario: &Scenario) -> Vec<(Box<dyn Controller>, ActorSettings)> {
    let (cluster, timing) = (&scenario.cluster, &scenario.timing);
    let groups = machines::groups(cluster);
    let mut seated: Vec<(Box<dyn Controller>, ActorSettings)> = Vec::new();
    if !groups.is_empty() {
        seated.push((Box::new(ClusterAutoscaler::new(cluster.autoscaler.clone(), groups)), autoscaler::settings()));
    }
    if !cluster.karpenter.node_pools.is_empty() {
        let (offerings, launch) = machines::offerings(cluster);
        let provisioner = Karpenter::new(cluster.karpenter.clone(), offerings, launch);
        seated.push((Box::new(provisioner), karpenter::settings()));
    }
    let scaled = !seated.is_empty();
    // Machines that leave for good leave their nodes behind.
    if scaled || operated(scenario) {
        seated.push((Box::new(CloudNodeLifecycle), node_lifecycle::settings()));
    }
    for (controller, own) in &mut seated {
        *own = settings::actor(timing, controller.name(), *own);
    }
    if scaled {
        seated.push(MachineProvider::new(&cluster.cloud.machines).seat());
    }
    seated
}

/// The schedulers, one for each configuration.
fn schedulers(scenario: &Rc<Scenario>, options: &Options, explanations: &Explanations) -> Result<Seat> {
    let mut configurations = config::of_scenario(scenario, options.seed)?;
    if let Some(strategy) = options.strategy {
        take_on(&mut configurations[0].profiles, (strategy.profile)(options.seed));
    }
    let (scenario, options, explanations) = (scenario.clone(), options.clone(), explanations.clone());
    let factory = move || {
        let seat = |configuration: &Configuration| {
            let (milli_qps, burst) = (configuration.milli_qps, configuration.burst);
            let own = ActorSettings { milli_qps, burst, ..settings::scheduler(&scenario.timing) };
            let actor: Box<dyn Controller> =
                Box::new(scheduler(&scenario, &options, configuration.clone(), &explanations));
            let settings = settings::actor(&scenario.timing, actor.name(), own);
            (actor, settings)
        };
        configurations.iter().map(seat).collect()
    };
    Ok(Seat::Component(Component::Scheduler.name(), Box::new(factory)))
}

/// The controllers of the controller manager.
fn controllers(scenario: &Rc<Scenario>, meters: &Meters, seed: Seed) -> Seat {
    let (scenario, meters) = (scenario.clone(), meters.clone());
    let factory = move || {
        let seat = |(actor, own): (Box<dyn Controller>, ActorSettings)| {
            let settings = settings::actor(&scenario.timing, actor.name(), own);
            (actor, settings)
        };
        let metrics_server = MetricsServer::new(meters.clone(), seed);
        crate::controllers::all(&scenario.timing, Box::new(metrics_server)).into_iter().map(seat).collect()
    };
    Seat::Component(Component::ControllerManager.name(), Box::new(factory))
}

/// Whether machines go away with a warning.
fn operated(scenario: &Scenario) -> bool {
    let timed = scenario.timeline.iter().filter_map(|entry| match &entry.action {
        Action::Fault(fault) => Some(fault),
        _ => None,
    });
    timed.chain(scenario.faults.iter().map(|rule| &rule.fault)).any(|fault| fault.form().goes_its_own_way())
}

/// The classes, volumes and drivers of the scenario's manifests.
fn storage_objects(scenario: &Scenario) -> Vec<Object> {
    const KINDS: [&str; 3] = ["CSIDriver", "PersistentVolume", "StorageClass"];
    let written = scenario.manifests.objects.iter().map(|document| &document.value);
    let storage = written.filter(|value| value["kind"].as_str().is_some_and(|kind| KINDS.contains(&kind)));
    storage.filter_map(|value| decode::object(value).ok()).collect()
}

/// kube-scheduler's profile of that name, else its first one, gives way to `strategy`.
fn take_on(profiles: &mut [Profile], strategy: Profile) {
    let at = profiles.iter().position(|profile| profile.scheduler_name == strategy.scheduler_name).unwrap_or(0);
    profiles[at] = Profile { scheduler_name: profiles[at].scheduler_name.clone(), ..strategy };
}

fn scheduler(
    scenario: &Scenario,
    options: &Options,
    configuration: Configuration,
    explanations: &Explanations,
) -> Scheduler {
    let timing = settings::scheduler_queue(&scenario.timing);
    let queue = QueueSettings {
        initial_backoff: configuration.initial_backoff.unwrap_or(timing.initial_backoff),
        max_backoff: configuration.max_backoff.unwrap_or(timing.max_backoff),
        ..timing
    };
    let (profiles, explain) = (configuration.profiles, options.explain.clone());
    let what_if = options.what_if.then(|| machines::templates(&scenario.cluster).into());
    let options =
        scheduler::Options { profiles, queue, explain, what_if, seed: options.seed, ..scheduler::Options::default() };
    Scheduler::new(options).explaining_to(explanations.clone())
}

fn kubelet(scenario: &Scenario, options: &Options) -> Kubelet {
    let settings = KubeletSettings::from_timing(&scenario.timing);
    let serving = scenario.traffic.iter().flat_map(|traffic| traffic.serving.clone()).collect();
    let source = ScenarioBehavior { rules: scenario.behavior.clone(), serving };
    Kubelet::new(settings, Box::new(source), options.seed)
}
