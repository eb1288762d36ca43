//! All kubelets as one controller: each node's machine registers its node, runs its pods and reports them.
//!
//! ```text
//! mod.rs          the controller: what wakes which pod, what is written
//! node.rs         one kubelet's node: registration, status, lease, addresses
//! admission.rs    what it refuses to run
//! pod_worker.rs   one pod: a state machine driven by instants
//!   starting.rs   sandbox, images, start order, restarts      instance.rs  one container
//!   termination.rs  preStop, SIGTERM, SIGKILL, removal        restart.rs   CrashLoopBackOff
//! status.rs       phase, conditions, container statuses: pure
//! volumes.rs  what must be mounted first      config.rs  config maps and secrets as files and environment
//! images.rs  probes.rs  behavior.rs  settings.rs
//! load.rs     what containers take of a node        physics.rs  processors shared, the kernel out of memory: oom.rs
//! pressure.rs what a kubelet finds short: pure      evict.rs    whom it evicts then: eviction_rank.rs
//! static_pods.rs  pods from files of the machine, and their mirrors
//! ```
//!
//! One thing to know: a worker's time is not the caller's. Whatever fell due since the last look happens at
//! its own instant, so busy clients and slow requests delay reports, never the containers.
//!
//! Not here yet: device managers.

pub mod admission;
pub mod behavior;
pub mod config;
pub mod evict;
pub mod eviction_rank;
pub mod faults;
pub mod images;
pub mod instance;
pub mod load;
pub mod node;
pub mod oom;
pub mod physics;
pub mod pod_worker;
pub mod preemption;
pub mod pressure;
pub mod probes;
pub mod registry;
pub mod resize;
pub mod restart;
pub mod settings;
pub mod shutdown;
pub mod starting;
mod static_pods;
pub mod status;
pub mod termination;
pub mod volumes;

#[cfg(test)]
mod status_tests;
#[cfg(test)]
mod tests;

pub use behavior::{AnnotatedBehavior, BehaviorSource, ContainerBehavior, ScenarioBehavior};
pub use settings::KubeletSettings;

use crate::metrics::Meters;
use crate::model::{Key, Kind, Machine, Name, Node, Object, Pod, PodStatus, Truth};
use crate::network::listeners::Listeners;
use crate::rng::Seed;
use crate::runtime::{Controller, Cx, Requeue, Wake};
use crate::store::{Change, DeleteOptions, Patch, Preconditions, StoreError, Verb, View, Write, Written};
use crate::time::SimTime;
use evict::Eviction;
use faults::{Leak, SlowStart};
use load::Load;
use node::NodeState;
use pod_worker::{Env, PodWorker, Stage};
use registry::Registry;
use rustc_hash::FxHashMap;
use static_pods::StaticPods;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

/// The first pod address block; each node gets the next one.
const POD_NETWORK: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 0);
/// The smallest block: 253 pods.
const BLOCK_SIZE_MIN: u32 = 256;

/// The kubelets of all nodes.
pub struct Kubelet {
    settings: KubeletSettings,
    source: Box<dyn BehaviorSource>,
    seed: Seed,
    nodes: Vec<NodeState>,
    by_name: FxHashMap<Name, usize>,
    workers: FxHashMap<Key, Box<PodWorker>>,
    /// What is to be done to pods, and when.
    orders: FxHashMap<Key, Vec<(SimTime, Order)>>,
    /// The pods that read a config map or secret as files.
    readers: FxHashMap<Key, BTreeSet<Key>>,
    /// Pods by node that wait for their volumes.
    waiting: BTreeMap<Name, BTreeSet<Key>>,
    next_block: u32,
    meters: Meters,
    listeners: Option<Listeners>,
    registry: Registry,
    slow_starts: Vec<SlowStart>,
    statics: StaticPods,
}

/// What is to be done to a pod that the API knows nothing of.
#[derive(Clone, Debug)]
enum Order {
    /// Containers end.
    Crash {
        /// Which; all of them if `None`.
        container: Option<Name>,
        /// Their code.
        exit_code: i32,
    },
    /// Containers hang, or do so no more.
    Hang {
        /// Which; all of them if `None`.
        container: Option<Name>,
        /// It begins, rather than being over.
        begins: bool,
    },
    /// Containers begin to leak.
    Leak(Leak),
    /// They leak no more.
    LeakOver(Name),
    /// Its node cannot keep it.
    Evict(Eviction),
    /// Its node is shut down.
    ShutDown(Eviction),
    /// A critical pod needs its room.
    Preempt,
    /// The kernel kills a container: its requests take more memory than its limit.
    OutOfMemory(Name),
    /// The work of a container goes at another pace.
    Pace {
        /// Which.
        container: usize,
        /// In thousandths of full speed.
        pace: i64,
        /// What it gets of the processors, in thousandths of a core.
        given: i64,
    },
}

impl Kubelet {
    /// Kubelets without machines yet: those come through the store.
    pub fn new(settings: KubeletSettings, source: Box<dyn BehaviorSource>, seed: Seed) -> Self {
        Kubelet {
            settings,
            source,
            seed,
            nodes: Vec::new(),
            by_name: FxHashMap::default(),
            workers: FxHashMap::default(),
            orders: FxHashMap::default(),
            readers: FxHashMap::default(),
            waiting: BTreeMap::new(),
            next_block: u32::from(POD_NETWORK),
            meters: Meters::default(),
            listeners: None,
            registry: Registry::default(),
            slow_starts: Vec::new(),
            statics: StaticPods::default(),
        }
    }

    /// Tells these meters what containers use.
    pub fn metering(self, meters: Meters) -> Self {
        Kubelet { meters, ..self }
    }

    /// Kubelets that tell the network which processes listen.
    #[must_use]
    pub fn telling(self, listeners: Listeners) -> Self {
        Kubelet { listeners: Some(listeners), ..self }
    }

    fn node_of(&self, name: &Name) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// What a machine does now.
    fn machine_changed(&mut self, machine: &Machine) {
        let name = &machine.meta.name;
        let Some(at) = self.node_of(name) else {
            let pods = u32::try_from(machine.node.allocatable.pods).unwrap_or(0);
            let size = BLOCK_SIZE_MIN.max(pods.saturating_add(3).next_power_of_two());
            let node = NodeState::new(machine, self.next_block, size, self.seed, &self.settings);
            self.next_block = self.next_block.wrapping_add(size);
            self.by_name.insert(name.clone(), self.nodes.len());
            self.statics.read(self.nodes.len(), machine);
            self.nodes.push(node);
            return;
        };
        let node = &mut self.nodes[at];
        if (machine.up, machine.up_since) != (node.up, node.since) {
            node.begins();
        }
        if machine.boot != node.boot {
            // Nothing runs any more, whenever its workers see that.
            node.load = Load::default();
        }
        node.up = machine.up;
        node.since = machine.up_since;
        node.down = machine.down_since;
        node.boot = machine.boot;
        node.registers = machine.node.clone();
        node.setup = machine.setup.clone();
        node.troubles = machine.troubles.clone();
    }

    /// A pod is gone: its node says with its next status which volumes it uses no more.
    fn volumes_left(&mut self, pod: &Pod, wake: &mut Wake<'_>) {
        for source in config::file_sources(pod) {
            let object = Key::new(source.kind(), pod.meta.namespace.clone(), source.name.clone());
            if let Some(readers) = self.readers.get_mut(&object) {
                readers.remove(&Key::new(Kind::Pod, pod.meta.namespace.clone(), pod.meta.name.clone()));
            }
        }
        let Some(at) = pod.node.as_ref().filter(|_| pod.claims().next().is_some()).and_then(|n| self.node_of(n)) else {
            return;
        };
        // The worker goes first, at this instant.
        let tick = self.nodes[at].plan_volumes(wake.now(), &self.settings);
        wake.add_after(Key::cluster(Kind::Machine, self.nodes[at].name.clone()), tick - wake.now());
    }

    fn reconcile_pod(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        let view = cx.view;
        let is_static = self.statics.look(view, key);
        let pod = self.statics.pod(view, key).cloned();
        let pod = pod.as_ref();
        if let Some(pod) = pod.filter(|_| is_static) {
            self.follow_mirror(key, pod.meta.uid);
            if self.begins_anew(key) {
                self.forget(key, cx);
                return self.reconcile_pod(key, cx);
            }
        } else if self.workers.get(key).is_some_and(|worker| pod.is_none_or(|pod| pod.meta.uid != worker.uid)) {
            // Removed behind the kubelet's back: its containers are killed without a word.
            self.forget(key, cx);
        }
        let Some(pod) = pod else { return Requeue::Done };
        let Some(node) = pod.node.as_ref().and_then(|name| self.node_of(name)) else { return Requeue::Done };
        if !self.nodes[node].up {
            return Requeue::Done;
        }
        let mut orders = self.orders.remove(key).unwrap_or_default();
        if let Some(listeners) = &self.listeners {
            let killed = listeners.take_killed(pod.meta.uid).into_iter();
            orders.extend(killed.map(|(container, at)| (at, Order::OutOfMemory(container))));
        }
        let mut worker = match self.workers.remove(key) {
            Some(worker) => worker,
            None if pod.status.phase.terminal() => return Requeue::Done,
            None => Box::new(PodWorker::new(pod, node, &self.nodes[node], cx.now)),
        };
        worker.clock_ahead = self.nodes[node].troubles.clock_ahead();
        let mut env = Env {
            settings: &self.settings,
            source: &*self.source,
            seed: cx.seed,
            eager: cx.eager,
            node: &mut self.nodes[node],
            registry: &mut self.registry,
            slow_starts: &self.slow_starts,
            statics: &self.statics,
            pod,
            view,
            events: Vec::new(),
        };
        work(&mut worker, &mut env, &orders, cx);
        let (events, host) = (std::mem::take(&mut env.events), env.node.registers.address);
        if !events.is_empty() {
            let object = Object::Pod(pod.clone());
            for event in events {
                cx.event(&object, event.warning, node::SOURCE, event.reason, event.message);
            }
        }
        worker.meter(pod, &self.meters);
        if let Some(listeners) = &self.listeners {
            listeners.report(worker.uid, worker.processes(pod));
        }
        for (at, order) in &orders {
            if let Order::Pace { container, given, .. } = order {
                let name = &pod_worker::container_of(pod, *container).name;
                self.meters.set_cpu(worker.uid, name, *at, *given);
            }
        }
        let unseen = match self.static_pod(key) {
            Some(own) => own.report(&mut worker, host, cx),
            None => {
                report(&mut worker, pod, host, cx);
                false
            }
        };
        let again = unseen.then(|| self.next_sync(key, cx.now));
        for victim in std::mem::take(&mut worker.preempts) {
            self.orders.entry(victim.clone()).or_default().push((cx.now, Order::Preempt));
            cx.wake(victim, cx.now);
        }
        let next = worker.next.into_iter().chain(again.map(|again| cx.now + again)).min();
        let waits = matches!(worker.stage, Stage::Volumes { .. });
        self.follow_volumes(key, pod, waits);
        let over = worker.concluded();
        let preempts = worker.fresh() && !worker.victims.is_empty();
        self.nodes[node].defer(key, (worker.resize.deferred() || preempts) && !over);
        self.workers.insert(key.clone(), worker);
        self.weigh(key, pod, node, cx);
        if over {
            // What had to wait for room is tried again.
            self.nodes[node].deferred().for_each(|key| cx.wake(key, cx.now));
        }
        if over && (self.nodes[node].cleaned_up(key, cx.now) || self.nodes[node].shutdown.is_some()) {
            cx.wake(physics::key(&self.nodes[node].name), cx.now);
        }
        match next {
            // After writes the key is woken by `settled`, at the exact instant.
            Some(at) if !cx.has_writes() => Requeue::After(at - cx.now),
            _ => Requeue::Done,
        }
    }

    /// Keeps in mind who waits for volumes, and who reads which config map or secret as files.
    fn follow_volumes(&mut self, key: &Key, pod: &Pod, waits: bool) {
        if let Some(node) = pod.node.as_ref().filter(|_| pod.claims().next().is_some()) {
            let waiting = self.waiting.entry(node.clone()).or_default();
            match waits {
                true => _ = waiting.insert(key.clone()),
                false => _ = waiting.remove(key),
            }
        }
        for source in config::file_sources(pod) {
            let object = Key::new(source.kind(), pod.meta.namespace.clone(), source.name.clone());
            self.readers.entry(object).or_default().insert(key.clone());
        }
    }

    fn forget(&mut self, key: &Key, cx: &mut Cx<'_>) {
        self.orders.remove(key);
        self.waiting.values_mut().for_each(|waiting| _ = waiting.remove(key));
        if let Some(mut worker) = self.workers.remove(key) {
            self.meters.forget(worker.uid);
            self.listeners.iter().for_each(|listeners| listeners.report(worker.uid, Default::default()));
            let node = &mut self.nodes[worker.node];
            node.use_volumes(&worker.mounts.in_use, &[]);
            // One that is over has given back everything.
            if let Some(held) = worker.held.take() {
                node.give_back(&held);
                worker.address.into_iter().for_each(|address| node.free_address(address));
                // What it had of the processors is for others now.
                if cx.eager || node.concerned(cx.now) {
                    cx.wake(physics::key(&node.name), cx.now);
                }
            }
        }
    }
}

/// Brings a worker up to date with what the API wants and with what happened.
fn work(worker: &mut PodWorker, env: &mut Env<'_>, orders: &[(SimTime, Order)], cx: &Cx<'_>) {
    let now = cx.now;
    if worker.fresh() {
        begin(worker, env, cx);
    }
    if std::mem::replace(&mut worker.since, env.node.since) != env.node.since {
        worker.resume(env);
    }
    if worker.boot != env.node.boot {
        let (boot, since) = (env.node.boot, env.node.since);
        worker.reboot(env, boot, since);
    }
    for (at, order) in orders {
        worker.advance(env, (*at).min(now));
        match order {
            Order::Crash { container, exit_code } => worker.crash(env, container.as_ref(), *exit_code, *at),
            Order::Hang { container, begins } => worker.hang(env, container.as_ref(), *begins, *at),
            Order::Leak(leak) => worker.leak(env, leak, *at),
            Order::LeakOver(incident) => worker.leak_over(env, incident, *at),
            Order::Evict(eviction) => worker.evict(env, eviction, *at),
            Order::ShutDown(eviction) => worker.end_as(env, crate::name!("Terminated"), eviction, *at),
            Order::Preempt => worker.preempted(env, *at),
            Order::OutOfMemory(container) => worker.out_of_memory(env, container, *at),
            Order::Pace { container, pace, .. } => worker.pace(env, *container, *pace, *at),
        }
    }
    worker.advance(env, now);
    worker.definitions_changed(env, now);
    worker.resized(env, now);
    worker.volumes_changed(env, now);
    if !worker.mounts.files.is_empty() {
        worker.config_changed(env, now);
    }
    let ended_by_others = env.pod.status.phase.terminal() && !worker.stopping();
    if let Some(deletion) = env.pod.meta.deletion {
        worker.deletion(env, deletion, now);
    } else if ended_by_others {
        worker.stop(env, now, env.pod.spec.grace_seconds);
    }
    worker.advance(env, now);
}

/// First sight: the pod is accepted or refused.
fn begin(worker: &mut PodWorker, env: &mut Env<'_>, cx: &Cx<'_>) {
    let registered: &Arc<Node> = &env.node.registers.clone();
    let node = cx.view.node(&env.node.name).unwrap_or(registered);
    match admission::admit(env.pod, env.node, node) {
        Ok(()) => {
            worker.held = Some(env.node.hold(env.pod));
            worker.begin_volumes(env, cx.now);
        }
        Err(rejection) if evict::is_critical(env.pod) && !rejection.short.is_empty() => {
            worker.make_room(env, &rejection.short);
        }
        Err(rejection) => worker.refuse(env, &rejection),
    }
}

/// What there is to report of a pod, unless it is best left until more of it has started.
fn current_status(worker: &mut PodWorker, pod: &Pod, host: Option<Ipv4Addr>, now: SimTime) -> Option<PodStatus> {
    let starting = matches!(worker.stage, Stage::Volumes { .. } | Stage::Sandbox { .. } | Stage::Pass { .. });
    (std::mem::take(&mut worker.publish) || !starting).then(|| status::generate(worker, pod, host, now))
}

/// Writes what is new: the status, or the removal of a pod that is over.
fn report(worker: &mut PodWorker, pod: &Arc<Pod>, host: Option<Ipv4Addr>, cx: &mut Cx<'_>) {
    let key = Key { kind: Kind::Pod, namespace: pod.meta.namespace.clone(), name: pod.meta.name.clone() };
    let preconditions = Preconditions::uid(pod.meta.uid);
    if let Some(status) = current_status(worker, pod, host, cx.now).filter(|status| *status != pod.status) {
        cx.write(Write::Patch(key.clone(), Patch::PodStatus(Box::new(status)), preconditions));
    }
    if let Stage::Final { removal: Some(at) } = worker.stage
        && at <= cx.now
    {
        worker.next = None;
        // With grace 0 only finalizers keep it, and those are not the kubelet's.
        if pod.meta.deletion.is_some_and(|deletion| deletion.grace_seconds > 0) {
            cx.write(Write::Delete(key, DeleteOptions { grace_seconds: Some(0), propagation: None, preconditions }));
        }
    }
}

impl Controller for Kubelet {
    fn name(&self) -> &'static str {
        "kubelet"
    }

    fn watches(&self) -> &'static [Kind] {
        &[
            Kind::Machine,
            Kind::Pod,
            Kind::Incident,
            Kind::Node,
            Kind::ConfigMap,
            Kind::Secret,
            Kind::PersistentVolumeClaim,
            Kind::PersistentVolume,
            Kind::CSIDriver,
        ]
    }

    fn follows(&self, change: &Change) -> bool {
        let Object::Pod(pod) = change.object() else { return true };
        // Its own reports tell a kubelet nothing, but that a mirror has come does.
        let (comes, goes) = (change.old.is_none(), change.new.is_none());
        goes || pod.node.is_some() && (comes || change.writer != self.name())
    }

    fn wake(&mut self, change: &Change, view: View<'_>, wake: &mut Wake<'_>) {
        match change.object() {
            Object::Machine(machine) => {
                self.machine_changed(machine);
                let old = change.old.as_ref().and_then(Object::machine);
                if let Some(old) = old.filter(|old| old.troubles != machine.troubles) {
                    if let Some(at) = self.node_of(&machine.meta.name) {
                        self.nodes[at].watch.has_passed(wake.now());
                        // Deadlines come earlier or later.
                        if old.troubles.clock_ahead() != machine.troubles.clock_ahead() {
                            self.nodes[at].accepted().for_each(|pod| wake.add(pod.clone()));
                        }
                    }
                    wake.add(physics::key(&machine.meta.name));
                }
                if change.verb == Verb::Deleted {
                    if let Some(at) = self.node_of(&machine.meta.name) {
                        self.nodes[at].up = false;
                        self.statics.leave(at).into_iter().for_each(|key| wake.add(key));
                    }
                } else if machine.up {
                    wake.add(change.key.clone());
                    // What it did not look at while it was away it looks at now.
                    if old.is_some_and(|old| (old.up, old.up_since) != (true, machine.up_since)) {
                        wake.add(physics::key(&machine.meta.name));
                    }
                    for pod in view.pods_on(&machine.meta.name) {
                        wake.add(Key::new(Kind::Pod, pod.meta.namespace.clone(), pod.meta.name.clone()));
                    }
                    let own = self.node_of(&machine.meta.name).into_iter().flat_map(|at| self.statics.of(at));
                    own.for_each(|key| wake.add(key.clone()));
                }
            }
            Object::Pod(pod) => {
                if pod.node.is_some() {
                    wake.add(change.key.clone());
                }
                if change.new.is_none() {
                    self.volumes_left(pod, wake);
                }
            }
            Object::ConfigMap(_) | Object::Secret(_) => {
                let readers = self.readers.get(&change.key).into_iter().flatten();
                readers.for_each(|pod| wake.add(pod.clone()));
            }
            Object::Node(node) => {
                let old = change.old.as_ref().and_then(Object::node);
                let facts = |node: &Arc<Node>| (node.volumes_attached.clone(), node.volumes_in_use.clone());
                if old.map(facts) != Some(facts(node)) {
                    let waiting = self.waiting.get(&node.meta.name).into_iter().flatten();
                    waiting.for_each(|pod| wake.add(pod.clone()));
                }
                let Some(at) = self.node_of(&node.meta.name) else { return };
                if change.verb == Verb::Added {
                    self.statics.of(at).for_each(|key| wake.add(key.clone()));
                }
                let state = &self.nodes[at];
                if state.up && change.verb != Verb::Deleted && node.ready() != Truth::True {
                    let tick = state.next_status_tick(wake.now(), &self.settings);
                    wake.add_after(Key::cluster(Kind::Machine, node.meta.name.clone()), tick - wake.now());
                }
            }
            Object::Incident(incident) if change.verb == Verb::Added => self.incident(incident, true, wake),
            Object::Incident(incident) => {
                let lasted = change.old.as_ref().and_then(Object::incident).is_some_and(|old| old.ended.is_none());
                if lasted && incident.ended.is_some() {
                    self.incident(incident, false, wake);
                }
            }
            _ => {}
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        match key.kind {
            Kind::Machine => match self.node_of(&key.name) {
                Some(at) if physics::is_key(key) => self.physics(at, cx),
                Some(at) => {
                    if cx.eager {
                        cx.wake(physics::key(&key.name), cx.now);
                    }
                    self.nodes[at].reconcile(cx, &self.settings)
                }
                None => Requeue::Done,
            },
            _ => self.reconcile_pod(key, cx),
        }
    }

    fn events_share_client(&self) -> bool {
        false
    }

    fn lane(&self, key: &Key, _view: View<'_>) -> u64 {
        let at = match key.kind {
            Kind::Machine => self.node_of(&key.name),
            _ => self.workers.get(key).map(|worker| worker.node),
        };
        at.map_or(0, |at| at as u64 + 1)
    }

    fn settled(&mut self, key: &Key, result: Result<&[Written], &StoreError>, wake: &mut Wake<'_>) {
        self.mirror_settled(key, &result, wake);
        let Some(worker) = self.workers.get(key) else { return };
        if let Some(at) = worker.next {
            wake.add_after(key.clone(), at - wake.now());
        }
        let node = &mut self.nodes[worker.node];
        if let Some(at) = node.plan_report(wake.now(), &self.settings) {
            wake.add_after(Key::cluster(Kind::Machine, node.name.clone()), at - wake.now());
        }
    }
}
