//! Kubelets alone with the store: machines, pods and deletions are written by hand.

use super::*;
use crate::model::builder::{node as node_object, pod as pod_object, spec};
use crate::model::core::Namespace;
use crate::model::{ContainerState, Fault, Meta, PodSpec, PodStatus};
use crate::rng::Delay;
use crate::runtime::{ActorSettings, Runtime, RuntimeLimits};
use crate::store::Store;
use crate::time::SimDuration;

/// Behaviour by container name: what `fixed` says of it.
struct Fixed(fn(&str, u32, &mut ContainerBehavior));

impl BehaviorSource for Fixed {
    fn resolve(
        &self,
        _: &Pod,
        container: &crate::model::Container,
        run: u32,
        _: &config::Environment,
        _: Seed,
    ) -> ContainerBehavior {
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
        Self::seated(settings, source, eager, ActorSettings::immediate())
    }

    fn seated(settings: KubeletSettings, source: Box<dyn BehaviorSource>, eager: bool, client: ActorSettings) -> Self {
        let seed = Seed(1);
        let store = Store::new(seed, Default::default());
        let mut runtime = Runtime::new(store, seed, SimTime::ZERO, RuntimeLimits::default(), eager);
        for name in ["default", "kube-node-lease"] {
            let meta = Meta::named("", name);
            let namespace = Namespace { meta, terminating: false, spec_finalizers: vec![], conditions: vec![] };
            runtime.store.commit(SimTime::ZERO, Write::Create(namespace.into()), "test").unwrap();
        }
        runtime.add(Box::new(Kubelet::new(settings, source, seed)), client);
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
                setup: Default::default(),
                troubles: Default::default(),
                holds: Vec::new(),
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
        // Equal hashes would mean equal wishes.
        spec.hash = crate::model::hash::content_hash(&name.into());
        self.commit(Write::Create(pod_object(name, spec).into()));
    }

    fn delete(&mut self, name: &str, grace: Option<i64>) {
        let options = DeleteOptions { grace_seconds: grace, ..DeleteOptions::default() };
        self.commit(Write::Delete(Key::new(Kind::Pod, "default", name), options));
    }

    fn crash(&mut self, name: &str, exit_code: i32) {
        self.incidents += 1;
        let now = self.runtime.now();
        let effect = crate::model::Effect::End { container: None, exit_code };
        let pods = vec![Key::new(Kind::Pod, "default", name)];
        let fault = Fault { kind: "pod-crash", pods, effect, ..Fault::default() };
        let key = Key::cluster(Kind::Incident, format!("incident-{}", self.incidents));
        self.commit(crate::store::incident::begun(&key, fault, String::new(), now, Some(now)));
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

#[test]
fn crash_loop_waits() {
    // Ends one second after every start, with code 1.
    let mut world = World::new(exact(), |_, _, behavior| {
        behavior.run_time = Some(SimDuration::from_secs(1));
        behavior.exit_code = 1;
    });
    world.create("loop", |_| {});
    let seen = world.history("loop", 1_000_000);
    let starts: Vec<i64> = seen.iter().filter(|(_, line)| line.contains("running")).map(|(at, _)| *at).collect();
    // The sandbox takes 1 s. Each run lasts 1 s; the waits after the exits are 0, 10, 20 … 300, 300 s.
    let mut expected = vec![1000];
    for wait in [0, 10, 20, 40, 80, 160, 300, 300] {
        expected.push(expected.last().unwrap() + 1000 + wait * 1000);
    }
    assert_eq!(starts, expected);
    assert_eq!(seen[3], (3000, "Running unready CrashLoopBackOff#1".to_string()));
    let status = world.status("loop");
    let ContainerState::Waiting { message, .. } = &status.containers[0].state else { panic!("{status:?}") };
    let uid = world.pod("loop").unwrap().meta.uid;
    assert_eq!(*message, format!("back-off 5m0s restarting failed container=c pod=loop_default({uid})"));
    let backoff = format!("BackOff Back-off restarting failed container c in pod loop_default({uid})");
    assert!(world.events("loop").contains(&backoff));
}

#[test]
fn restart_policies_end_pods() {
    use crate::model::RestartPolicy::{Never, OnFailure};
    // (policy, exit code of the first run, last line)
    let table = [
        (Never, 0, "Succeeded unready Completed(0)#0"),
        (Never, 3, "Failed unready Error(3)#0"),
        (OnFailure, 0, "Succeeded unready Completed(0)#0"),
        (OnFailure, 3, "Succeeded unready Completed(0)#1"),
    ];
    for (policy, code, expected) in table {
        let behavior: fn(&str, u32, &mut ContainerBehavior) = match code {
            0 => |_, _, behavior| behavior.run_time = Some(SimDuration::from_secs(5)),
            _ => |_, run, behavior| {
                behavior.run_time = Some(SimDuration::from_secs(5));
                behavior.exit_code = if run == 0 { 3 } else { 0 };
            },
        };
        let mut world = World::new(exact(), behavior);
        world.create("job", |spec| spec.restart_policy = policy);
        world.until(60_000);
        assert_eq!(world.line("job"), expected, "{policy:?} {code}");
    }
}

#[test]
fn init_containers_then_sidecars_then_apps() {
    let mut world = World::new(exact(), |name, _, behavior| match name {
        "init" => behavior.run_time = Some(SimDuration::from_secs(2)),
        "app" => behavior.run_time = Some(SimDuration::from_secs(10)),
        _ => {}
    });
    world.create("batch", |spec| {
        spec.restart_policy = crate::model::RestartPolicy::Never;
        let template = spec.containers[0].clone();
        let named =
            |name: &str, sidecar: bool| crate::model::Container { name: Name::from(name), sidecar, ..template.clone() };
        spec.init_containers = vec![named("init", false), named("side", true)];
        spec.containers = vec![named("app", false)];
    });
    let seen = world.history("batch", 20_000);
    let expected = [
        (0, "Pending unready PodInitializing#0,PodInitializing#0,PodInitializing#0"),
        (1000, "Pending unready running#0,PodInitializing#0,PodInitializing#0"),
        (3000, "Running ready Completed(0)#0,running#0,running#0"),
        // The app ended well; the sidecar is stopped, which takes a second, and the pod has done its work.
        (13_000, "Running unready Completed(0)#0,running#0,Completed(0)#0"),
        (14_000, "Succeeded unready Completed(0)#0,Completed(0)#0,Completed(0)#0"),
    ];
    assert_eq!(seen, lines(&expected));
}

#[test]
fn images_that_cannot_be_pulled() {
    let mut world = World::new(exact(), |_, _, behavior| behavior.image_exists = false);
    world.create("broken", |_| {});
    let seen = world.history("broken", 32_000);
    // Fails at 1 s; back-off 10 s, shown at its end; then 20 s.
    let expected = [
        (0, "Pending unready ContainerCreating#0"),
        (1000, "Pending unready ErrImagePull#0"),
        (21_000, "Pending unready ImagePullBackOff#0"),
        (31_000, "Pending unready ErrImagePull#0"),
    ];
    assert_eq!(seen, lines(&expected));
    let never = |spec: &mut PodSpec| spec.containers[0].pull_policy = crate::model::PullPolicy::Never;
    world.create("never", never);
    world.until(35_000);
    assert_eq!(world.line("never"), "Pending unready ErrImageNeverPull#0");
}

#[test]
fn grace_periods() {
    // (termination time, grace of the request, seconds until the end, exit code)
    let table =
        [(1, None, 1, 0), (60, None, 30, 137), (60, Some(5), 5, 137), (60, Some(1), 2, 137), (3, Some(5), 3, 0)];
    for (time, grace, end, code) in table {
        let source = Box::new(Terminating(SimDuration::from_secs(time)));
        let mut world = World::with(exact(), source, false);
        world.create("slow", |_| {});
        world.until(5000);
        world.delete("slow", grace);
        world.until(5000 + end * 1000 - 10);
        assert_eq!(world.line("slow"), "Running ready running#0", "{time} {grace:?}");
        world.until(5000 + end * 1000);
        let (phase, reason) = if code == 0 { ("Succeeded", "Completed") } else { ("Failed", "Error") };
        assert_eq!(world.line("slow"), format!("{phase} unready {reason}({code})#0"), "{time} {grace:?}");
        world.until(6000 + end * 1000);
        assert_eq!(world.line("slow"), "gone");
    }
    // A second, shorter request hurries; a forced one removes the object at once.
    let mut world = World::with(exact(), Box::new(Terminating(SimDuration::from_secs(60))), false);
    world.create("slow", |_| {});
    world.until(5000);
    world.delete("slow", None);
    world.until(10_000);
    // Five of three seconds are over: the API makes it one, the runtime two.
    world.delete("slow", Some(3));
    world.until(11_990);
    assert_eq!(world.line("slow"), "Running ready running#0");
    world.until(12_000);
    assert_eq!(world.line("slow"), "Failed unready Error(137)#0");
    world.create("forced", |_| {});
    world.until(20_000);
    world.delete("forced", Some(0));
    world.until(20_010);
    assert_eq!(world.line("forced"), "gone");
}

/// Takes that long to end after SIGTERM.
struct Terminating(SimDuration);

impl BehaviorSource for Terminating {
    fn resolve(
        &self,
        _: &Pod,
        container: &crate::model::Container,
        _: u32,
        _: &config::Environment,
        _: Seed,
    ) -> ContainerBehavior {
        ContainerBehavior { termination_time: self.0, ..ContainerBehavior::plain(container) }
    }
}

fn probe(period: i64, failures: u32) -> crate::model::Probe {
    crate::model::Probe {
        handler: crate::model::pod_spec::ProbeHandler::Http,
        target: crate::name!("http://{}:8080/"),
        initial_delay: SimDuration::ZERO,
        period: SimDuration::from_secs(period),
        timeout: SimDuration::from_secs(1),
        success_threshold: 1,
        failure_threshold: failures,
        termination_grace_seconds: None,
    }
}

#[test]
fn probes_make_ready_and_kill() {
    let slow = |_: &str, _: u32, behavior: &mut ContainerBehavior| behavior.serve_after = SimDuration::from_secs(12);
    let mut outcomes = Vec::new();
    for eager in [false, true] {
        let mut world = World::with(exact(), Box::new(Fixed(slow)), eager);
        world.until(100_000);
        world.create("web", |spec| spec.containers[0].readiness = Some(probe(5, 3)));
        // Killed by the third failed liveness probe before it serves, again and again.
        world.create("sick", |spec| spec.containers[0].liveness = Some(probe(3, 3)));
        let seen = world.history("web", 160_000);
        // Running at 101 s, asked at once and every 5 s, serves from 113 s on.
        let expected = [
            (100_000, "Pending unready ContainerCreating#0"),
            (101_000, "Running unready running#0"),
            (116_000, "Running ready running#0"),
        ];
        assert_eq!(seen, lines(&expected));
        let unhealthy = "Unhealthy Readiness probe failed: HTTP probe failed with statuscode: 503".to_string();
        assert!(world.events("web").contains(&unhealthy));
        // Asked at 103, 106, 109 s: ended 1 s later and started again at once.
        assert!(world.status("sick").containers[0].restart_count >= 3, "{}", world.line("sick"));
        let killing = "Killing Container c failed liveness probe, will be restarted".to_string();
        assert!(world.events("sick").contains(&killing));
        outcomes.push((world.status("web"), world.status("sick"), world.runtime.store.revision()));
    }
    assert_eq!(outcomes[0], outcomes[1], "ticking everything changes nothing");
}

#[test]
fn crashes_deadlines_and_refusals() {
    let mut world = World::new(KubeletSettings { relist: SimDuration::from_secs(1), ..exact() }, |_, _, _| {});
    world.create("web", |_| {});
    world.until(10_300);
    world.crash("web", 139);
    let seen = world.history("web", 12_000);
    // Seen at the next look at the runtime, at most a second later, and started again at once.
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert!((10_310..=11_300).contains(&seen[1].0), "{seen:?}");
    assert_eq!(seen[1].1, "Running ready running#1");
    let last = world.status("web").containers[0].last.clone().unwrap();
    assert_eq!((last.exit_code, last.finished), (139, SimTime(10_300_000_000)));

    world.create("short", |spec| spec.active_deadline_seconds = Some(5));
    world.until(20_000);
    let status = world.status("short");
    assert_eq!((status.phase.as_str(), status.reason.as_str()), ("Failed", "DeadlineExceeded"));
    assert_eq!(status.message, "Pod was active on the node longer than the specified deadline");

    // 4000m in all; web holds 500m.
    world.create("large", |spec| spec.requests.milli_cpu = 3600);
    world.create("elsewhere", |spec| {
        spec.node_selector = crate::model::Labels::from_iter([("disk", "ssd")]);
    });
    world.until(20_010);
    let status = world.status("large");
    assert_eq!((status.phase.as_str(), status.reason.as_str()), ("Failed", "OutOfcpu"));
    let why = "Pod was rejected: Node didn't have enough resource: cpu, requested: 3600, used: 500, capacity: 4000";
    assert_eq!(status.message, why);
    let status = world.status("elsewhere");
    let why = "Pod was rejected: Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector";
    assert_eq!((status.reason.as_str(), status.message.as_str()), ("NodeAffinity", why));
    // What is over holds nothing: `short` ended, `large` was never accepted.
    world.create("fits", |spec| spec.requests.milli_cpu = 3500);
    world.until(25_000);
    assert_eq!(world.line("fits"), "Running ready running#0");
}

#[test]
fn the_work_free_kubelet() {
    let mut world = World::with(KubeletSettings::work_free(), Box::new(AnnotatedBehavior), false);
    let annotated = |world: &mut World, name: &str, image: &str, pairs: &[(&'static str, &'static str)]| {
        let mut spec = spec(image, 100, 1 << 20);
        spec.node_name = Some(crate::name!("n"));
        let mut pod = pod_object(name, spec);
        pod.meta.annotations = pairs.iter().copied().collect();
        world.commit(Write::Create(pod.into()));
    };
    annotated(&mut world, "plain", "app", &[("sim/start-seconds", "2"), ("sim/term-seconds", "3")]);
    annotated(&mut world, "never", "app", &[("sim/start-seconds", "2"), ("sim/ready", "never")]);
    annotated(&mut world, "broken", "app:broken", &[("sim/start-seconds", "2")]);
    annotated(
        &mut world,
        "loop",
        "app",
        &[("sim/start-seconds", "1"), ("sim/run-seconds", "4"), ("sim/exit-code", "1")],
    );
    annotated(&mut world, "jitter", "app", &[]);
    let seen = world.history("plain", 4000);
    assert_eq!(seen, lines(&[(0, "Pending unready ContainerCreating#0"), (2000, "Running ready running#0")]));
    assert_eq!(world.line("never"), "Running unready running#0");
    assert_eq!(world.line("broken"), "Pending unready ErrImagePull#0");
    assert_eq!(world.line("jitter"), "Running ready running#0");
    world.until(10_000);
    world.delete("plain", None);
    let seen = world.history("plain", 14_000);
    let expected =
        [(10_000, "Running ready running#0"), (13_000, "Succeeded unready Completed(0)#0"), (13_200, "gone")];
    assert_eq!(seen, lines(&expected));
    // One not yet started ends after 0.1 s and is removed 0.2 s later.
    annotated(&mut world, "young", "app", &[("sim/start-seconds", "5")]);
    world.until(15_000);
    world.delete("young", None);
    world.until(15_290);
    assert_ne!(world.line("young"), "gone");
    world.until(15_300);
    assert_eq!(world.line("young"), "gone");
    // Ran 1-5 s, again after 1 s: 6-10 s, back-off shown 1 s after the end, until 10 s after it.
    assert_eq!(world.line("loop"), "Running unready CrashLoopBackOff#1");
    world.until(20_000);
    assert_eq!(world.line("loop"), "Running ready running#2");
    // Failed at 2 s; ten seconds later the back-off shows and stays; its end takes a second.
    assert_eq!(world.line("broken"), "Pending unready ImagePullBackOff#0");
    world.delete("broken", None);
    let seen = world.history("broken", 22_000);
    let expected = [
        (20_000, "Pending unready ImagePullBackOff#0"),
        (21_000, "Failed unready ContainerStatusUnknown(137)#0"),
        (21_200, "gone"),
    ];
    assert_eq!(seen, lines(&expected));
}

/// A kubelet's client on a healthy cluster.
fn client() -> ActorSettings {
    ActorSettings { milli_qps: 50_000, burst: 100, workers: usize::MAX, ..ActorSettings::default() }
}

#[test]
fn a_busy_client_delays_reports_not_containers() {
    let source = Box::new(Fixed(|_, _, _| {}));
    let mut world = World::seated(KubeletSettings::default(), source, false, client());
    for at in 0..100 {
        world.create(&format!("p{at:03}"), |spec| spec.requests.milli_cpu = 1);
    }
    world.until(60_000);
    let pods: Vec<Arc<Pod>> = world.runtime.store.live().list::<Pod>().cloned().collect();
    let begun = |pod: &Pod| match pod.status.containers[0].state {
        ContainerState::Running { started } => started.0 / 1_000_000,
        ref other => panic!("{other:?}"),
    };
    // Sandbox up to 0.7 s, one pull of up to 0.6 s + 2 s that all others wait for and then resolve in line
    // (0.2 s to 0.6 s each, 100 of them), 0.3 s to start.
    let last = pods.iter().map(|pod| begun(pod)).max().unwrap();
    assert!((20_000..=64_000).contains(&last), "{last}");
    assert!(pods.iter().all(|pod| pod.is_ready()));
}

#[test]
fn many_pods_on_many_nodes() {
    let (nodes, pods) = if cfg!(debug_assertions) { (30, 3000) } else { (300, 30_000) };
    let source = Box::new(Fixed(|_, _, _| {}));
    let mut world = World::seated(KubeletSettings::default(), source, false, client());
    for node in 0..nodes {
        world.machine(&format!("n{node}"), true, 0);
    }
    for at in 0..pods {
        let name = format!("p{at}");
        world.create(&name, |spec| {
            spec.node_name = Some(Name::from(format!("n{}", at % nodes)));
            spec.requests.milli_cpu = 10;
        });
    }
    world.until(120_000);
    let ready = world.runtime.store.live().list::<Pod>().filter(|pod| pod.is_ready()).count();
    assert_eq!(ready, pods);
}
