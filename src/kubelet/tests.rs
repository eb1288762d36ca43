//! Kubelets alone with the store: machines, pods and deletions are written by hand.

use super::*;
use crate::model::builder::{node as node_object, pod as pod_object, spec};
use crate::model::core::Namespace;
use crate::model::{ContainerState, Meta, PodSpec, PodStatus};
use crate::rng::Delay;
use crate::runtime::{ActorSettings, Runtime, RuntimeLimits};
use crate::store::Store;
use crate::time::SimDuration;

/// Behaviour by container name: what `fixed` says of it.
struct Fixed(fn(&str, u32, &mut ContainerBehavior));

impl BehaviorSource for Fixed {
    fn resolve(&self, _: &Pod, container: &crate::model::Container, run: u32, _: Seed) -> ContainerBehavior {
        let mut behavior = ContainerBehavior::plain(container);
        (self.0)(&container.name, run, &mut behavior);
        behavior
    }
}

/// No latencies but those a test is about.
fn exact() -> KubeletSettings {
    KubeletSettings {
        relist: SimDuration::ZERO,
        sandbox: Delay::Constant(SimDuration::from_secs(1)),
        container_start: Delay::Constant(SimDuration::ZERO),
        resync_jitter: 0.0,
        crash_loop_shown: SimDuration::ZERO,
        pull_latency: Delay::Constant(SimDuration::ZERO),
        pull_bandwidth: 0,
        ..KubeletSettings::default()
    }
}

struct World {
    runtime: Runtime,
    incidents: u32,
}

impl World {
    fn new(settings: KubeletSettings, behavior: fn(&str, u32, &mut ContainerBehavior)) -> Self {
        Self::with(settings, Box::new(Fixed(behavior)), false)
    }

    fn with(settings: KubeletSettings, source: Box<dyn BehaviorSource>, eager: bool) -> Self {
        let seed = Seed(1);
        let store = Store::new(seed, Default::default());
        let mut runtime = Runtime::new(store, seed, SimTime::ZERO, RuntimeLimits::default(), eager);
        for name in ["default", "kube-node-lease"] {
            let meta = Meta::named("", name);
            let namespace = Namespace { meta, terminating: false, spec_finalizers: vec![], conditions: vec![] };
            runtime.store.commit(SimTime::ZERO, Write::Create(namespace.into()), "test").unwrap();
        }
        runtime.add(Box::new(Kubelet::new(settings, source, seed)), ActorSettings::immediate());
        let mut world = World { runtime, incidents: 0 };
        world.machine("n", true, 0);
        world
    }

    /// A machine of 4 CPUs, 8 GiB and 110 pods comes, goes or returns now.
    fn machine(&mut self, name: &str, up: bool, boot: u32) {
        let now = self.runtime.now();
        let old = self.runtime.store.live().fetch::<Machine>(&Name::new(), &Name::from(name)).cloned();
        let mut machine = match &old {
            Some(machine) => Machine::clone(machine),
            None => Machine {
                meta: Meta::named("", name),
                pool: Name::new(),
                node: Arc::new(node_object(name, 4000, 8 << 30, 110)),
                up,
                up_since: now,
                down_since: now,
                boot,
                price_per_hour_micros: 0,
            },
        };
        machine.boot = boot;
        match (machine.up, up) {
            (false, true) => machine.up_since = now,
            (true, false) => machine.down_since = now,
            _ => {}
        }
        machine.up = up;
        let write = if old.is_some() { Write::Update(machine.into()) } else { Write::Create(machine.into()) };
        self.commit(write);
    }

    fn commit(&mut self, write: Write) {
        self.runtime.commit_now(write, "test").unwrap();
    }

    fn create(&mut self, name: &str, change: impl FnOnce(&mut PodSpec)) {
        let mut spec = spec("app:1", 500, 1 << 20);
        spec.node_name = Some(crate::name!("n"));
        change(&mut spec);
        self.commit(Write::Create(pod_object(name, spec).into()));
    }

    fn delete(&mut self, name: &str, grace: Option<i64>) {
        let options = DeleteOptions { grace_seconds: grace, ..DeleteOptions::default() };
        self.commit(Write::Delete(Key::new(Kind::Pod, "default", name), options));
    }

    fn crash(&mut self, name: &str, exit_code: i32) {
        self.incidents += 1;
        let now = self.runtime.now();
        let fault = Fault::PodCrash { pods: vec![Key::new(Kind::Pod, "default", name)], exit_code };
        let meta = Meta::named("", format!("incident-{}", self.incidents));
        let incident = Incident { meta, fault, description: Name::new(), started: now, ended: Some(now) };
        self.commit(Write::Create(incident.into()));
    }

    fn until(&mut self, millis: i64) {
        let end = SimTime::ZERO + SimDuration::from_millis(millis);
        self.runtime.run_until(end, &mut |_, _| true).unwrap();
    }

    fn pod(&self, name: &str) -> Option<Arc<Pod>> {
        self.runtime.store.live().fetch::<Pod>(&crate::name!("default"), &Name::from(name)).cloned()
    }

    fn status(&self, name: &str) -> PodStatus {
        self.pod(name).expect("the pod exists").status.clone()
    }

    /// `phase ready|unready container,container` with each container's state and restarts.
    fn line(&self, name: &str) -> String {
        let Some(pod) = self.pod(name) else { return "gone".to_string() };
        let all = pod.status.init_containers.iter().chain(&pod.status.containers);
        let states: Vec<String> = all
            .map(|status| {
                let state = match &status.state {
                    ContainerState::Waiting { reason, .. } => reason.to_string(),
                    ContainerState::Running { .. } => "running".to_string(),
                    ContainerState::Terminated(how) => format!("{}({})", how.reason, how.exit_code),
                };
                format!("{state}#{}", status.restart_count)
            })
            .collect();
        let ready = if pod.is_ready() { "ready" } else { "unready" };
        format!("{} {ready} {}", pod.status.phase.as_str(), states.join(","))
    }

    /// Every different line of a pod until then, with the instant in milliseconds.
    fn history(&mut self, name: &str, until: i64) -> Vec<(i64, String)> {
        let mut lines: Vec<(i64, String)> = Vec::new();
        let start = self.runtime.now().0 / 1_000_000;
        for millis in (start..=until).step_by(10) {
            self.until(millis);
            let line = self.line(name);
            if lines.last().is_none_or(|(_, last)| *last != line) {
                lines.push((millis, line));
            }
        }
        lines
    }

    fn events(&self, name: &str) -> Vec<String> {
        let events = self.runtime.store.live().list::<crate::model::core::Event>();
        let about = events.filter(|event| event.regarding.name == name);
        about.map(|event| format!("{} {}", event.reason, event.message)).collect()
    }
}

fn lines(rows: &[(i64, &str)]) -> Vec<(i64, String)> {
    rows.iter().map(|(at, line)| (*at, line.to_string())).collect()
}

#[test]
fn a_node_registers_and_a_pod_runs_and_goes() {
    let mut world = World::new(exact(), |_, _, _| {});
    world.until(10);
    let node = world.runtime.store.live().node(&crate::name!("n")).unwrap().clone();
    assert_eq!(node.ready(), Truth::True);
    assert_eq!(node.conditions.len(), 4);
    world.create("web", |_| {});
    let seen = world.history("web", 3000);
    let expected = [(10, "Pending unready ContainerCreating#0"), (1010, "Running ready running#0")];
    assert_eq!(seen, lines(&expected));
    let status = world.status("web");
    assert_eq!(status.pod_ip, Some(Ipv4Addr::new(10, 244, 0, 2)));
    // Half of the request of 500m.
    assert_eq!(status.containers[0].usage.milli_cpu, 250);
    assert_eq!(status.start_time, Some(SimTime(10_000_000)));
    world.delete("web", None);
    // SIGTERM at 3 s, ends 1 s later, removed 1 s after the final status.
    let seen = world.history("web", 6000);
    let expected = [(3000, "Running ready running#0"), (4000, "Succeeded unready Completed(0)#0"), (5000, "gone")];
    assert_eq!(seen, lines(&expected));
    let events = world.events("web");
    let expected = [
        "Pulling Pulling image \"app:1\"",
        "Pulled Successfully pulled image \"app:1\" in 0s (0s including waiting). Image size: 104857600 bytes.",
        "Created Container created",
        "Started Container started",
        "Killing Stopping container c",
    ];
    assert_eq!(events, expected);
    let node_events = world.events("n");
    assert_eq!(node_events.first().map(String::as_str), Some("Starting Starting kubelet."));
    assert!(node_events.contains(&"NodeReady Node n status is now: NodeReady".to_string()));
}

#[test]
fn a_machine_dies_and_returns() {
    let mut world = World::new(exact(), |_, _, _| {});
    world.until(10);
    world.create("stays", |_| {});
    world.create("goes", |_| {});
    world.until(10_000);
    world.machine("n", false, 0);
    // The node controller's part.
    let ready = crate::model::Condition::new(
        crate::name!("Ready"),
        Truth::Unknown,
        crate::name!("NodeStatusUnknown"),
        "Kubelet stopped posting node status.",
        world.runtime.now(),
    );
    let key = Key::cluster(Kind::Node, "n");
    world.commit(Write::Patch(key, Patch::Conditions(vec![ready]), Preconditions::default()));
    let unready =
        crate::model::Condition::new(crate::name!("Ready"), Truth::False, Name::new(), "", world.runtime.now());
    for pod in ["stays", "goes"] {
        let key = Key::new(Kind::Pod, "default", pod);
        world.commit(Write::Patch(key, Patch::Conditions(vec![unready.clone()]), Preconditions::default()));
    }
    world.delete("goes", None);
    world.create("later", |_| {});
    world.until(60_000);
    assert_eq!(world.line("stays"), "Running unready running#0");
    assert_eq!(world.line("goes"), "Running unready running#0");
    assert_eq!(world.line("later"), "Pending unready ");
    world.machine("n", true, 0);
    world.until(60_010);
    assert_eq!(world.runtime.store.live().node(&crate::name!("n")).unwrap().ready(), Truth::True);
    assert_eq!(world.line("stays"), "Running ready running#0");
    world.until(61_010);
    assert_eq!(world.line("goes"), "Succeeded unready Completed(0)#0");
    assert_eq!(world.line("later"), "Running ready running#0");
    world.until(62_010);
    assert_eq!(world.line("goes"), "gone");
    // Power lost and back: every container is gone and started again, with a restart to show for it.
    world.machine("n", false, 0);
    world.until(70_000);
    world.machine("n", true, 1);
    let seen = world.history("stays", 75_000);
    let expected = [(70_000, "Running unready Unknown(255)#0"), (71_000, "Running ready running#1")];
    assert_eq!(seen, lines(&expected));
}
