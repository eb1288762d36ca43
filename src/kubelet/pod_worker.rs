//! One pod on its node: a state machine driven by instants (`pkg/kubelet/pod_workers.go`).
//!
//! Nothing ticks. The worker knows the next instant at which something happens (a process ends, a pull is
//! done, a probe is due) and is asked then; what fell due meanwhile happens in order, each at its own
//! instant, so a late caller changes nothing but when it is reported.
//!
//! ```text
//! Volumes ─▶ Sandbox ─▶ Pass ⇄ Idle        volumes.rs; starting.rs: sandbox, images, containers, restarts
//!    └──────────┴─────────┴─────┴─▶ Stopping ─▶ Stopped ─▶ Final      termination.rs
//! ```

use super::behavior::{BehaviorSource, ContainerBehavior};
use super::faults::{Leak, SlowStart};
use super::images::{Around, ImageStep, Wanted};
use super::instance::{Answer, Instance, State};
use super::node::NodeState;
use super::probes::{self, ProbeKind};
use super::registry::Registry;
use super::resize::Resize;
use super::settings::KubeletSettings;
use super::static_pods::StaticPods;
use super::volumes::{Mounts, Waiting};
use crate::metrics::Meters;
use crate::model::pod::{ConfigSeen, Usage};
use crate::model::{Condition, Container, Key, Name, Pod, PullPolicy, Uid};
use crate::network::listeners::{Process, Processes};
use crate::rng::{Delay, Seed};
use crate::store::View;
use crate::time::{SimDuration, SimTime};
use std::collections::VecDeque;
use std::net::Ipv4Addr;

/// A pod's worker.
#[derive(Clone, Debug)]
pub struct PodWorker {
    /// The pod.
    pub uid: Uid,
    /// Its node, by number.
    pub node: usize,
    /// Pods that were stopped to make room for this one, and those of them that are yet to be told.
    pub victims: Vec<Key>,
    /// See `victims`.
    pub preempts: Vec<Key>,
    /// How much the node's clock is ahead, as far as the worker knows.
    pub clock_ahead: SimDuration,
    /// The boot in which its containers run.
    pub boot: u32,
    /// Since when the kubelet has worked, as the worker knows it.
    pub since: SimTime,
    /// What the worker is at.
    pub stage: Stage,
    /// Init containers, then app containers.
    pub instances: Vec<Instance>,
    /// All init containers have done their work.
    pub initialized: bool,
    /// The sandbox exists.
    pub sandbox: bool,
    /// Counts sandboxes.
    pub sandboxes: u32,
    /// When the kubelet first handled the pod.
    pub start_time: SimTime,
    /// The pod's address.
    pub address: Option<Ipv4Addr>,
    /// Why the pod failed as a whole, if it did.
    pub verdict: Option<Verdict>,
    /// The end of the grace period, while stopping.
    pub stop_by: SimTime,
    /// There is something new to report.
    pub publish: bool,
    /// What it holds of its node.
    pub held: Option<super::node::Held>,
    /// Its volumes.
    pub mounts: Mounts,
    /// The leaks that its containers have.
    pub leaks: Vec<Leak>,
    /// What became of wishes for other resources.
    pub resize: Resize,
    /// The images that its containers use.
    pub images: Vec<Name>,
    /// Why it is disrupted, if its kubelet does it.
    pub disruption: Option<Condition>,
    /// When something happens next.
    pub next: Option<SimTime>,
}

/// What a worker is at.
#[derive(Clone, Debug)]
pub enum Stage {
    /// Its volumes are being attached and mounted.
    Volumes {
        /// What it waits for.
        waiting: Waiting,
    },
    /// The sandbox is being made.
    Sandbox {
        /// Done then.
        until: SimTime,
    },
    /// Containers are being started, one after the other.
    Pass {
        /// Those to come.
        todo: VecDeque<usize>,
        /// The one in hand.
        step: Step,
        /// Whether an init container is among them.
        init: bool,
    },
    /// Everything that can run does.
    Idle {
        /// When to look again.
        sync: Option<SimTime>,
    },
    /// Containers are being stopped.
    Stopping,
    /// No container runs any more.
    Stopped {
        /// The final status is due then.
        at: SimTime,
    },
    /// The final status is known.
    Final {
        /// When the object is to be removed.
        removal: Option<SimTime>,
    },
}

/// A container being started.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Which.
    pub container: usize,
    /// What is being done.
    pub doing: Doing,
    /// Done then.
    pub until: SimTime,
}

/// What is done to a container that is being started.
#[derive(Clone, Copy, Debug)]
pub enum Doing {
    /// Its image is being pulled.
    Pull(super::images::Pull),
    /// It is being created.
    Create,
    /// Its postStart hook runs.
    PostStart,
    /// Its postStart hook failed and it is being killed.
    Kill,
}

/// Why a pod failed as a whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// In one word.
    pub reason: Name,
    /// In a sentence.
    pub message: Name,
}

/// An event to record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Happening {
    /// `Warning` rather than `Normal`.
    pub warning: bool,
    /// In one word.
    pub reason: Name,
    /// In a sentence.
    pub message: Name,
}

/// What surrounds a worker.
pub struct Env<'a> {
    /// How fast kubelets are.
    pub settings: &'a KubeletSettings,
    /// How containers behave.
    pub source: &'a dyn BehaviorSource,
    /// The run's seed.
    pub seed: Seed,
    /// Tick what could be computed.
    pub eager: bool,
    /// The worker's node.
    pub node: &'a mut NodeState,
    /// The registry that all nodes pull from.
    pub registry: &'a mut Registry,
    /// What makes containers start slowly.
    pub slow_starts: &'a [SlowStart],
    /// The pods that kubelets run of themselves.
    pub(super) statics: &'a StaticPods,
    /// The pod as the API has it, or its kubelet if it is its own.
    pub pod: &'a Pod,
    /// The cluster as the kubelet's watches show it.
    pub view: View<'a>,
    /// Events so far.
    pub events: Vec<Happening>,
}

impl Env<'_> {
    /// Records an event.
    pub fn normal(&mut self, reason: Name, message: impl Into<Name>) {
        self.record(false, reason, message.into());
    }

    /// Records a warning.
    pub fn warn(&mut self, reason: Name, message: impl Into<Name>) {
        self.record(true, reason, message.into());
    }

    fn record(&mut self, warning: bool, reason: Name, message: Name) {
        if self.settings.events {
            self.events.push(Happening { warning, reason, message });
        }
    }

    /// A draw for this pod; `what` names the occasion.
    pub fn draw(&self, delay: Delay, purpose: &str, what: &str, count: u32) -> SimDuration {
        match delay {
            Delay::Constant(length) => length,
            _ => {
                let meta = &self.pod.meta;
                let entity = format!("{}/{}/{what}#{count}", meta.namespace, meta.name);
                delay.sample(&mut self.seed.stream(purpose, &entity))
            }
        }
    }

    /// What a container's image needs.
    pub fn prepare(
        &mut self,
        image: &Name,
        policy: PullPolicy,
        behavior: &ContainerBehavior,
        now: SimTime,
    ) -> ImageStep {
        let (size, layers) = (behavior.image_size, behavior.image_layers.as_ref());
        let wanted =
            Wanted { image, policy, size, layers, exists: behavior.image_exists && !self.registry.has_lost(image) };
        let room = self.node.disk_room(now);
        let mut around = Around {
            now,
            settings: self.settings,
            registry: self.registry,
            node: &self.node.name,
            parallel: match self.node.setup.parallel_pulls {
                Some(0) => self.settings.serial_pulls.then_some(1),
                other => other,
            },
            room,
            disk_speed: self.node.troubles.disk_speed(),
        };
        self.node.images.prepare(&wanted, &mut around)
    }

    /// The init or app container with that number.
    pub fn container(&self, at: usize) -> &Container {
        container_of(self.pod, at)
    }
}

/// The init or app container of a pod with that number.
pub fn container_of(pod: &Pod, at: usize) -> &Container {
    let init = &pod.spec.init_containers;
    init.get(at).unwrap_or_else(|| &pod.spec.containers[at - init.len()])
}

/// What a container uses at most: its limit throttles it.
pub fn throttled(container: &Container, usage: Usage) -> Usage {
    Usage { milli_cpu: super::load::demand(container, usage.milli_cpu).most(), ..usage }
}

/// What happens; of several at one instant the first in this order comes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Due {
    /// The end of a container's run is seen.
    End(usize),
    /// The stage goes on.
    Stage,
    /// A probe is due.
    Probe(usize, ProbeKind),
    /// Files from config maps and secrets follow a change.
    Config,
    /// Other resources are seen in force.
    Resized,
    /// `activeDeadlineSeconds` are over.
    Deadline,
}

impl PodWorker {
    /// The worker of a pod that its kubelet sees for the first time.
    pub fn new(pod: &Pod, node: usize, state: &NodeState, now: SimTime) -> Self {
        let containers: Vec<&Container> = pod.spec.init_containers.iter().chain(&pod.spec.containers).collect();
        let count = containers.len();
        PodWorker {
            uid: pod.meta.uid,
            node,
            victims: Vec::new(),
            preempts: Vec::new(),
            clock_ahead: state.troubles.clock_ahead(),
            boot: state.boot,
            since: state.since,
            stage: Stage::Idle { sync: None },
            instances: vec![Instance::default(); count],
            initialized: false,
            sandbox: false,
            sandboxes: 0,
            start_time: now,
            address: None,
            verdict: None,
            stop_by: now,
            publish: true,
            held: None,
            mounts: Mounts::default(),
            leaks: Vec::new(),
            resize: Resize::default(),
            images: containers.iter().map(|container| container.image.clone()).collect(),
            disruption: None,
            next: None,
        }
    }

    /// Lets everything happen that is due by `now`.
    pub fn advance(&mut self, env: &mut Env<'_>, now: SimTime) {
        loop {
            let due = self.next_due(env.pod, env.node.since, true);
            match due {
                Some((at, due)) if at <= now => self.happen(env, due, at),
                _ => break,
            }
        }
        // Nobody wakes for an attempt that changes nothing; an eager run makes it up at the next wake-up.
        self.next = self.next_due(env.pod, env.node.since, false).map(|(at, _)| at);
        if let Stage::Final { removal: Some(at) } = self.stage {
            self.next = Some(at);
        }
    }

    /// The next thing that happens. Nothing happens before the kubelet works: what fell due while it did
    /// not is seen when it does again.
    fn next_due(&self, pod: &Pod, since: SimTime, all: bool) -> Option<(SimTime, Due)> {
        let mut next: Option<(SimTime, Due)> = None;
        let mut consider = |at: SimTime, due: Due| {
            let candidate = (at.max(since), due);
            if next.is_none_or(|next| candidate < next) {
                next = Some(candidate);
            }
        };
        match &self.stage {
            Stage::Volumes { waiting: Waiting::Retry(at) | Waiting::Mount(at) } => consider(*at, Due::Stage),
            Stage::Volumes { waiting: Waiting::Report } => {}
            Stage::Sandbox { until } => consider(*until, Due::Stage),
            Stage::Pass { step, .. } => consider(step.until, Due::Stage),
            Stage::Idle { sync: Some(at) } | Stage::Stopped { at } => consider(*at, Due::Stage),
            Stage::Idle { sync: None } | Stage::Stopping => {}
            Stage::Final { .. } => return None,
        }
        for (at, instance) in self.instances.iter().enumerate().filter(|(_, instance)| instance.running()) {
            if let Some(end) = &instance.end {
                consider(end.observed, Due::End(at));
            }
            if let Some((tick, kind)) = instance.probes.as_ref().and_then(|probes| probes.next(since, all)) {
                consider(tick, Due::Probe(at, kind));
            }
        }
        if let Some(at) = self.mounts.refresh {
            consider(at, Due::Config);
        }
        if let Some(at) = self.resize.due() {
            consider(at, Due::Resized);
        }
        let stopping = matches!(self.stage, Stage::Stopping | Stage::Stopped { .. });
        if let Some(seconds) = pod.spec.active_deadline_seconds.filter(|_| !stopping) {
            let begun = pod.status.start_time.unwrap_or(self.start_time + self.clock_ahead);
            consider(begun + SimDuration::from_secs(seconds) - self.clock_ahead, Due::Deadline);
        }
        next
    }

    fn happen(&mut self, env: &mut Env<'_>, due: Due, at: SimTime) {
        match due {
            Due::End(container) => self.container_ended(env, container, at),
            Due::Probe(container, kind) => self.probe(env, container, kind, at),
            Due::Config => self.refresh_files(env),
            Due::Resized => self.resize_seen(),
            Due::Deadline => {
                let verdict = Verdict {
                    reason: crate::name!("DeadlineExceeded"),
                    message: crate::name!("Pod was active on the node longer than the specified deadline"),
                };
                env.normal(verdict.reason.clone(), verdict.message.clone());
                self.verdict = Some(verdict);
                self.stop(env, at, env.pod.spec.grace_seconds);
            }
            Due::Stage => match &self.stage {
                Stage::Volumes { waiting } => self.volumes_due(env, *waiting, at),
                Stage::Sandbox { .. } => self.sandbox_ready(env, at),
                Stage::Pass { .. } => self.step_done(env, at),
                Stage::Idle { .. } => self.sync(env, at),
                Stage::Stopped { .. } => self.conclude(env, at),
                Stage::Stopping | Stage::Final { .. } => {}
            },
        }
    }

    /// The config maps and secrets that it reads, in the versions that it reads.
    pub fn config_seen(&self) -> Vec<ConfigSeen> {
        let variables = self.instances.iter().flat_map(|instance| &instance.environment);
        self.mounts.files.iter().chain(variables).cloned().collect()
    }

    /// The processes that may listen at the pod's address.
    pub fn processes(&self, pod: &Pod) -> Processes {
        let inits = &pod.spec.init_containers;
        let containers = inits.iter().chain(&pod.spec.containers);
        let serving = |at: usize| at >= inits.len() || inits[at].sidecar;
        let process = |(at, (instance, container)): (usize, (&Instance, &Container))| {
            (serving(at) && instance.running()).then(|| Process {
                container: container.name.clone(),
                listens: instance.run.serves,
                hangs: instance.run.hung > 0,
                signalled: instance.signalled,
                ends: instance.end.as_ref().map(|end| end.at),
            })
        };
        self.instances.iter().zip(containers).enumerate().filter_map(process).collect()
    }

    /// Whether nothing has been done for the pod yet.
    pub fn fresh(&self) -> bool {
        self.held.is_none() && self.sandboxes == 0 && matches!(self.stage, Stage::Idle { sync: None })
    }

    /// Whether the pod is over.
    pub fn concluded(&self) -> bool {
        matches!(self.stage, Stage::Final { .. })
    }

    /// The work of a container goes at another pace from `at` on.
    pub fn pace(&mut self, env: &Env<'_>, container: usize, pace: i64, at: SimTime) {
        let instance = &mut self.instances[container];
        if instance.running() && instance.run.pace_from(pace, at) {
            instance.plan_end(env.node, env.settings);
            instance.unsettle(env.container(container), at);
        }
    }

    /// The kubelet works again.
    pub fn resume(&mut self, env: &Env<'_>) {
        for (at, instance) in self.instances.iter_mut().enumerate() {
            let container = env.container(at);
            instance.probes.iter_mut().for_each(|probes| probes.paused(container, env.node.down, env.node.since));
        }
    }

    /// Whether the pod is being stopped or over.
    pub fn stopping(&self) -> bool {
        matches!(self.stage, Stage::Stopping | Stage::Stopped { .. } | Stage::Final { .. })
    }

    /// Tells the meters which processes have started and which are gone.
    pub fn meter(&mut self, pod: &Pod, meters: &Meters) {
        let containers = pod.spec.init_containers.iter().chain(&pod.spec.containers);
        for (instance, container) in self.instances.iter_mut().zip(containers) {
            let (started, ended) = match &instance.state {
                State::Running { started } => (*started, None),
                State::Ended { how, .. } => (how.started, Some(how.finished)),
                State::Waiting(_) => match &instance.last {
                    Some(how) => (how.started, Some(how.finished)),
                    None => continue,
                },
            };
            let known = instance.metered.filter(|(known, _)| *known == started);
            if known.is_none() {
                let usage = instance.behavior.as_ref().map_or_else(Default::default, |behavior| behavior.usage);
                meters.start(self.uid, &container.name, started, throttled(container, usage));
                if let Some(curve) = instance.run.memory.as_ref().filter(|_| ended.is_none()) {
                    meters.follow_memory(self.uid, &container.name, started, curve);
                }
            }
            if std::mem::take(&mut instance.remeter)
                && ended.is_none()
                && let Some(curve) = &instance.run.memory
            {
                meters.follow_memory(self.uid, &container.name, started, curve);
            }
            if let Some(at) = ended.filter(|_| known.is_none_or(|(_, over)| !over)) {
                meters.end(self.uid, &container.name, at);
            }
            instance.metered = Some((started, ended.is_some()));
        }
    }

    /// A process is gone and the kubelet sees it.
    fn container_ended(&mut self, env: &mut Env<'_>, at: usize, now: SimTime) {
        let instance = &mut self.instances[at];
        let State::Running { started } = instance.state else { return };
        let Some(end) = instance.end.take() else { return };
        let how = crate::model::Terminated {
            exit_code: end.exit_code,
            reason: end.reason,
            message: Name::new(),
            started,
            finished: end.at.max(started),
        };
        instance.state = State::Ended { how: Box::new(how), seen: now };
        instance.seen = true;
        instance.probes = None;
        match self.stage {
            Stage::Idle { .. } => self.sync(env, now),
            Stage::Stopping => self.go_on_stopping(env, now),
            // A pass looks again when it is through.
            _ => {}
        }
    }

    /// A probe asks.
    fn probe(&mut self, env: &mut Env<'_>, at: usize, kind: ProbeKind, now: SimTime) {
        let container = env.container(at);
        let instance = &mut self.instances[at];
        if !instance.running() {
            return;
        }
        let answer = instance.answers(kind == ProbeKind::Readiness, probes::timeout(container, kind), now);
        let good = answer == Answer::Good;
        let Some(probes) = instance.probes.as_mut() else { return };
        let attempt = probes.attempt(container, kind, now, good, env.eager);
        let message = (!good).then(|| {
            let address = self.address.map_or(String::new(), |address| address.to_string());
            probes::failure_message(kind, container, answer, &address)
        });
        if let Some(message) = message {
            env.warn(crate::name!("Unhealthy"), message);
        }
        self.publish |= attempt.changed;
        if !attempt.changed || kind == ProbeKind::Readiness {
            return;
        }
        if good {
            // A sidecar that has started lets the next container start.
            if let Stage::Idle { .. } = self.stage {
                self.sync(env, now);
            }
            return;
        }
        self.kill_for_probe(env, at, kind, now);
    }
}
