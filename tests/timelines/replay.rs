//! Our cluster under the conditions of a recording: the same machines, the same actions.

use super::driver::{Diary, Driver};
use super::observe::Recorder;
use super::passes::Passes;
use super::plan::{Act, Planned, When};
use super::recording::{Mark, Op, Recording, Row, Scenario};
use kubesim::cluster::machines::bootstrap_objects;
use kubesim::cluster::settings;
use kubesim::control_plane::process::Supervisor;
use kubesim::control_plane::{ControlPlane, ControlPlaneSettings};
use kubesim::controllers::{
    self,
    node_lifecycle::{NodeLifecycle, NodeLifecycleSettings},
};
use kubesim::kubelet::{AnnotatedBehavior, Kubelet, KubeletSettings};
use kubesim::metrics::{Meters, MetricsApi, MetricsServer};
use kubesim::model::core::Namespace;
use kubesim::model::{Labels, Machine, Meta, Name, Node, Object, Resources};
use kubesim::rng::Seed;
use kubesim::runtime::control::Factory;
use kubesim::runtime::{ActorSettings, Controller, Runtime, RuntimeLimits};
use kubesim::scenario::Timing;
use kubesim::scheduler::{Options, Scheduler};
use kubesim::store::{Store, Write};
use kubesim::time::{SimDuration, SimTime};
use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::sync::Arc;

/// Pods a node has room for.
const POD_SLOTS: i64 = 110;

/// The address of the first node: 10.0.0.10.
const FIRST_ADDRESS: u32 = 0x0a00_000a;

/// Zones of clusters whose nodes are not among the recorded kinds.
const ZONES: usize = 3;

/// Without recorded nodes: so long before the zero are they up.
const WARM_UP: f64 = 30.0;

/// The conditions under which a recording began.
struct Conditions {
    /// Our time at the recording's zero.
    zero: SimTime,
    /// When the nodes were there.
    nodes_up: f64,
    /// The first pass of the node monitor.
    first_pass: f64,
    /// How long a pass took: the next one comes five seconds after its end.
    pass_time: f64,
    machines: Vec<Machine>,
    namespace: String,
}

/// Processor cores and GiB of the nodes, dealt round-robin.
fn capacities(scenario: Scenario) -> &'static [(i64, i64)] {
    match scenario {
        Scenario::NodeCrash | Scenario::ZoneOutage | Scenario::ControlPlane => &[(8, 32), (4, 16), (16, 64), (8, 64)],
        Scenario::Preemption => &[(8, 32)],
        Scenario::Rollout | Scenario::Deletion | Scenario::Jobs | Scenario::StatefulSet | Scenario::Autoscaling => {
            &[(16, 64), (8, 32)]
        }
    }
}

fn conditions(recording: &Recording) -> Conditions {
    let nodes_up = recording.rows.iter().find(|row| row.whole("Node", Op::Add)).map_or(-WARM_UP, |row| row.t);
    let registered = recording.rows.iter().find(|row| row.kind == "Event" && row.new.contains("|RegisteredNode|"));
    let registered = registered.map_or(nodes_up, |row| row.t.max(nodes_up));
    let (first_pass, pass_time) = passes(&recording.rows, registered);
    let workload = |row: &&Row| matches!(row.kind.as_str(), "Deployment" | "Job" | "StatefulSet");
    let namespace = recording.rows.iter().find(workload).map(|row| row.namespace.clone());
    // Cron jobs go by the minute, everything else by the second.
    let phase = if recording.scenario == Scenario::Jobs { 60 } else { 1 };
    let zero = zero(&recording.rows, phase);
    Conditions {
        zero,
        nodes_up,
        first_pass,
        pass_time,
        machines: machines(recording, instant(zero, nodes_up)),
        namespace: namespace.unwrap_or_else(|| "default".to_string()),
    }
}

/// Kubernetes keeps whole seconds in most timestamps, and availability counts from them, so it matters how far
/// into a second (or into a minute) the recording began. Names of events end with their nanosecond, and the one that arrived
/// soonest tells.
fn zero(rows: &[Row], seconds: i64) -> SimTime {
    let event = |row: &Row| {
        let nanoseconds = i64::from_str_radix(row.name.rsplit_once('.')?.1, 16).ok()?;
        Some(nanoseconds - SimDuration::from_secs_f64(row.t).0)
    };
    let began = rows.iter().filter(|row| row.kind == "Event" && row.op == Op::Add).filter_map(event).max();
    SimTime(began.unwrap_or(0).rem_euclid(seconds * 1_000_000_000))
}

/// How long a pass takes that writes nothing, until a recording tells.
const QUIET_PASS: f64 = 0.0025;

/// When the monitor's first pass came, and how long a pass takes that writes nothing. The monitor sleeps five seconds
/// between passes, so its phase moves by the length of each. Where they stand, the first node that became Unknown
/// shows; how fast they move, the first that was cleaned.
fn passes(rows: &[Row], registered: f64) -> (f64, f64) {
    let unknown = |row: &&Row| row.is("Node", "Ready") && row.new == "Unknown";
    let cleaned = |row: &&Row| {
        row.is("Node", "taints") && row.old.contains("unreachable:NoExecute") && !row.new.contains("NoExecute")
    };
    let Some(first) = rows.iter().find(unknown).map(|row| row.t - 0.005) else { return (registered, QUIET_PASS) };
    let until = rows.iter().find(cleaned).map_or(first, |row| row.t - 0.005);
    let count = ((until - first) / (5.0 + QUIET_PASS)).round();
    let length = if count < 1.0 { QUIET_PASS } else { ((until - first) / count - 5.0).clamp(0.001, 0.02) };
    let before = ((first - registered) / (5.0 + length)).round();
    (first - before * (5.0 + length), length)
}

fn machines(recording: &Recording, nodes_up: SimTime) -> Vec<Machine> {
    let zone_of = |name: &str| {
        let row = recording.rows.iter().find(|row| row.is("Node", "zone") && row.name == name);
        row.map(|row| row.new.clone())
    };
    let number = |name: &str| name.trim_start_matches('n').parse::<usize>().ok();
    let seen = recording.rows.iter().filter_map(|row| match row.kind.as_str() {
        "Node" => number(&row.name),
        "Pod" if row.field == "node" => number(&row.new),
        _ => None,
    });
    let given = |key: &str| recording.params[key].as_u64().map(|n| n as usize);
    let count = given("nodes").unwrap_or_else(|| seen.max().map_or(1, |last| last + 1));
    let zones = given("zones").unwrap_or(ZONES);
    let capacities = capacities(recording.scenario);
    (0..count)
        .map(|index| {
            let name = format!("n{index}");
            let zone = zone_of(&name).unwrap_or_else(|| format!("z{}", index % zones));
            machine(&name, &zone, capacities[index % capacities.len()], index, nodes_up)
        })
        .collect()
}

pub fn machine(name: &str, zone: &str, (cores, gibibytes): (i64, i64), index: usize, up: SimTime) -> Machine {
    let capacity = Resources {
        milli_cpu: cores * 1000,
        memory: gibibytes << 30,
        pods: POD_SLOTS,
        ephemeral_storage: 100 << 30,
        ..Resources::default()
    };
    let mut meta = Meta::named("", name);
    let labels =
        [("kubernetes.io/hostname", name), ("kubernetes.io/os", "linux"), ("topology.kubernetes.io/zone", zone)];
    meta.labels = Labels::from_iter(labels);
    let node = Node {
        meta,
        unschedulable: false,
        taints: Vec::new(),
        provider_id: Name::new(),
        capacity: capacity.clone(),
        allocatable: capacity,
        images: Arc::default(),
        conditions: Vec::new(),
        address: Some(Ipv4Addr::from(FIRST_ADDRESS + index as u32)),
        volumes_attached: Vec::new(),
        volumes_in_use: Vec::new(),
        raw: None,
    };
    Machine {
        meta: Meta::named("", name),
        pool: Name::new(),
        node: Arc::new(node),
        up: true,
        up_since: up,
        down_since: up,
        boot: 0,
        setup: Default::default(),
        troubles: Default::default(),
        holds: Vec::new(),
        price_per_hour_micros: 0,
    }
}

/// The first crash of a node, if its instant is known beforehand, and how long its detection took.
fn first_crash(zero: SimTime, plan: &[Planned], name: &str) -> Option<(SimTime, f64)> {
    plan.iter().find_map(|planned| match (&planned.act, &planned.when) {
        (Act::Power { node, up: false, detected }, When::At(t)) if node == name => {
            Some((instant(zero, *t), (*detected)?))
        }
        _ => None,
    })
}

fn instant(zero: SimTime, seconds: f64) -> SimTime {
    zero + SimDuration::from_secs_f64(seconds)
}

/// Does `plan` on our cluster with one seed. Times of the results are those of the recording: zero is zero.
pub fn run(recording: &Recording, plan: &[Planned], seed: u64) -> (Vec<Row>, Vec<Mark>) {
    let conditions = conditions(recording);
    let start = instant(conditions.zero, conditions.nodes_up);
    let store = Store::new(Seed(seed), Default::default());
    let mut runtime = Runtime::new(store, Seed(seed), start, RuntimeLimits::default(), false);
    let rows = Rc::new(RefCell::new(Vec::new()));
    runtime.observe(Box::new(Recorder { zero: conditions.zero, rows: rows.clone() }));
    let mut first = bootstrap_objects();
    if !first.iter().any(|object| object.meta().name == conditions.namespace.as_str()) {
        let meta = Meta::named("", conditions.namespace.as_str());
        first.push(Object::from(Namespace {
            meta,
            terminating: false,
            spec_finalizers: Vec::new(),
            conditions: vec![],
        }));
    }
    let monitor = monitor(&conditions);
    let passes = Passes { first: monitor.start, period: monitor.period + monitor.pass_time, lag: monitor.watch_delay };
    for mut machine in conditions.machines {
        let crash = first_crash(conditions.zero, plan, &machine.meta.name);
        machine.up_since = passes.heartbeats_since(Seed(seed), &machine.meta.name, machine.up_since, crash);
        first.push(Object::from(machine));
    }
    for object in first {
        runtime.commit_now(Write::Create(object), "bootstrap").expect("an empty store takes the first objects");
    }
    let diary = Rc::new(RefCell::new(Diary::default()));
    let driver = Driver::new(plan.to_vec(), conditions.zero, &conditions.namespace, passes, diary.clone());
    runtime.add(Box::new(driver), ActorSettings::immediate());
    let metrics: Box<dyn MetricsApi> = match recording.scenario {
        Scenario::Autoscaling => Box::new(super::hpa::Stub::new(recording, conditions.zero)),
        _ => Box::new(MetricsServer::new(Meters::default(), Seed(seed))),
    };
    if recording.scenario == Scenario::ControlPlane {
        seat_processes(&mut runtime, Seed(seed), monitor);
    } else {
        for (actor, settings) in actors_asking(Seed(seed), &Timing::default(), monitor, metrics) {
            runtime.add(actor, settings);
        }
    }
    // Twice the recorded time is plenty; a driver that waits for ever ends here.
    let end = instant(conditions.zero, recording.marks.last().map_or(0.0, |mark| mark.t) * 2.0 + 60.0);
    while !diary.borrow().done && runtime.now() < end {
        let next = runtime.now() + SimDuration::from_secs(1);
        advance(&mut runtime, next);
    }
    runtime.finish();
    (rows.take(), diary.take().marks)
}

/// Everyone at the table where the processes of the control plane can end: two of each, and a supervisor that brings
/// back what ends by itself after two seconds.
fn seat_processes(runtime: &mut Runtime, seed: Seed, monitor: NodeLifecycleSettings) {
    let supervisor = Supervisor::Always(SimDuration::from_secs(2));
    let settings = ControlPlaneSettings { hosted: 2, supervisor, ..ControlPlaneSettings::default() };
    runtime.add(Box::new(ControlPlane::new(settings)), ActorSettings::immediate());
    let of = move |wanted: &'static str| -> Factory {
        let named = move |name: &str| match name {
            "kube-scheduler" | "kubelet" => wanted == name,
            _ => wanted == "kube-controller-manager",
        };
        Box::new(move || {
            let mut seats = actors(seed, &Timing::default(), monitor);
            seats.retain(|(actor, _)| named(actor.name()));
            seats
        })
    };
    runtime.add_component("kube-controller-manager", of("kube-controller-manager"));
    runtime.add_component("kube-scheduler", of("kube-scheduler"));
    for (kubelets, settings) in of("kubelet")() {
        runtime.add(kubelets, settings);
    }
}

fn advance(runtime: &mut Runtime, until: SimTime) {
    runtime.run_until(until, &mut |_, _| true).expect("no limit is near");
}

/// The node monitor: its passes come when those of the recording came.
fn monitor(conditions: &Conditions) -> NodeLifecycleSettings {
    NodeLifecycleSettings {
        start: instant(conditions.zero, conditions.first_pass),
        pass_time: SimDuration::from_secs_f64(conditions.pass_time),
        ..NodeLifecycleSettings::from_timing(&Timing::default())
    }
}

/// Everyone at the table but the driver: kubelets that do no container work, the rest as in any cluster.
pub fn actors(
    seed: Seed,
    timing: &Timing,
    monitor: NodeLifecycleSettings,
) -> Vec<(Box<dyn Controller>, ActorSettings)> {
    actors_asking(seed, timing, monitor, Box::new(MetricsServer::new(Meters::default(), seed)))
}

/// The same, with autoscalers that ask these metrics APIs.
fn actors_asking(
    seed: Seed,
    timing: &Timing,
    monitor: NodeLifecycleSettings,
    metrics: Box<dyn MetricsApi>,
) -> Vec<(Box<dyn Controller>, ActorSettings)> {
    let monitor = NodeLifecycle::new(monitor);
    let kubelets = Kubelet::new(KubeletSettings::work_free(), Box::new(AnnotatedBehavior), seed);
    let mut monitor: Option<Box<dyn Controller>> = Some(Box::new(monitor));
    let mut actors = controllers::all(timing, metrics);
    // ConfigMaps are not among what was recorded.
    actors.retain(|(actor, _)| actor.name() != "root-ca-cert-publisher");
    for (actor, _) in &mut actors {
        if Some(actor.name()) == monitor.as_ref().map(|monitor| monitor.name()) {
            *actor = monitor.take().expect("it is there to have a name");
        }
    }
    actors.push((Box::new(Scheduler::new(Options::default())), settings::scheduler(timing)));
    actors.push((Box::new(kubelets), settings::kubelet()));
    let seated = actors.into_iter().map(|(actor, own)| {
        let settings = settings::actor(timing, actor.name(), own);
        (actor, settings)
    });
    seated.collect()
}
