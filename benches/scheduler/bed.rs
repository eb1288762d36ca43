//! A cluster of a case, and how long the measured pods take in it.

use super::cases::{Case, Churn, Pods, Wish};
use super::templates as t;
use kubesim::model::core::Namespace;
use kubesim::model::{Key, Kind, Labels, Meta, Name, Object, Pod, PodSpec, Resource, TaintEffect};
use kubesim::rng::{Delay, Seed};
use kubesim::runtime::{ActorSettings, Observer, Runtime};
use kubesim::scheduler::{Options, Scheduler};
use kubesim::store::{Change, DeleteOptions, Patch, Preconditions, Store, Write};
use kubesim::time::{SimDuration, SimTime};
use kubesim::wire::decode;
use serde_json::Value;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a run took.
#[derive(Clone, Copy)]
pub struct Taken {
    /// On the wall clock.
    pub wall: Duration,
    /// On the processor, if the system tells.
    pub processor: Option<Duration>,
}

/// Counts bindings.
struct Bound(Rc<Cell<usize>>);

impl Observer for Bound {
    fn change(&mut self, change: &Change, _: &Store) {
        let node =
            |object: &Option<Object>| object.as_ref().and_then(Object::pod).is_some_and(|pod| pod.node.is_some());
        if change.key.kind == Kind::Pod && !node(&change.old) && node(&change.new) {
            self.0.set(self.0.get() + 1);
        }
    }
}

/// A cluster in which the scheduler alone acts.
pub struct Bed {
    runtime: Runtime,
    bound: Rc<Cell<usize>>,
    /// How much virtual time the scheduler takes over a pod.
    turn: SimDuration,
    churn: Churn,
    churned: usize,
    waiting: usize,
}

impl Bed {
    /// The cluster of `case` with everything that is there before, and the measured pods created but not yet heard
    /// of.
    pub fn new(case: &Case) -> Bed {
        let turn = SimDuration::from_secs_f64(1.0 / case.floor);
        let mut runtime =
            Runtime::new(Store::new(Seed(1), Default::default()), Seed(1), SimTime::ZERO, Default::default(), false);
        let settings = ActorSettings { workers: 1, work_time: Delay::Constant(turn), ..ActorSettings::immediate() };
        let bound = Rc::new(Cell::new(0));
        runtime.observe(Box::new(Bound(bound.clone())));
        runtime.add(Box::new(Scheduler::new(Options::default())), settings);
        let mut bed = Bed { runtime, bound, turn, churn: Churn::None, churned: 0, waiting: 0 };
        bed.join_nodes(case);
        bed.namespace("churn");
        bed.write(Write::Create(decoded(&t::high())));
        for pods in case.before {
            bed.create_pods(pods);
            bed.schedule();
        }
        bed.create_pods(&case.measured);
        bed.churn = case.churn;
        bed
    }

    /// Lets the scheduler place the pods that wait.
    pub fn measure(&mut self) -> Taken {
        let (started, busy) = (Instant::now(), processor_time());
        self.schedule();
        let processor = processor_time().zip(busy).map(|(now, before)| now - before);
        Taken { wall: started.elapsed(), processor }
    }

    /// Runs until all created pods that can be bound are, with churn as the virtual time passes.
    fn schedule(&mut self) {
        const TICK: SimDuration = SimDuration::from_millis(200);
        let target = self.bound.get() + self.waiting;
        // A wave of pods that never ends would be a bug of the case: twice the time is enough.
        let end = self.runtime.now() + self.turn * (2 * self.waiting as i64) + SimDuration::from_secs(60);
        let mut tick = 0;
        while self.bound.get() < target {
            assert!(self.runtime.now() < end, "{} pods are not placed", target - self.bound.get());
            let next = self.runtime.now() + TICK;
            self.runtime.run_until(next, &mut |_, _| true).expect("no limit is reached");
            match self.churn {
                Churn::None => {}
                Churn::Create(wish) => {
                    self.churn_pod(wish);
                }
                Churn::Recreate if tick % 5 == 4 => self.recreate(tick % 2 == 0),
                Churn::Recreate => {}
            }
            tick += 1;
        }
        self.waiting = 0;
    }

    fn churn_pod(&mut self, wish: fn() -> Value) -> Key {
        self.churned += 1;
        let Object::Pod(pod) = decoded(&wish()) else { panic!("a pod") };
        let mut pod = Arc::unwrap_or_clone(pod);
        pod.meta.namespace = Name::from("churn");
        pod.meta.name = Name::from(format!("churn-{}", self.churned));
        let key = pod.key();
        self.write(Write::Create(pod.into_object()));
        key
    }

    /// A node, a pod and a service come, or go again.
    fn recreate(&mut self, come: bool) {
        let churned = self.churned + usize::from(come);
        let names = [
            Key::cluster(Kind::Node, format!("node-churn-{churned}")),
            Key::new(Kind::Pod, "churn", format!("churn-{churned}")),
            Key::new(Kind::Service, "churn", format!("service-churn-{churned}")),
        ];
        if !come {
            let now = DeleteOptions { grace_seconds: Some(0), ..DeleteOptions::default() };
            return names.into_iter().for_each(|key| self.write(Write::Delete(key, now)));
        }
        self.join(&t::useless_node(&names[0].name));
        self.churn_pod(t::too_large);
        let mut service = decoded(&t::useless_service(&names[2].name));
        service.meta_mut().namespace = Name::from("churn");
        self.write(Write::Create(service));
    }

    fn join_nodes(&mut self, case: &Case) {
        if case.nodes.roomy {
            self.join(&t::roomy_node("scheduler-perf-node"));
        }
        for at in 0..case.nodes.count {
            let name = format!("scheduler-perf-{at}");
            let mut node = t::node(&name);
            if !case.nodes.zones.is_empty() {
                node["metadata"]["labels"][t::ZONE] = case.nodes.zones[at % case.nodes.zones.len()].into();
            }
            self.join(&node);
            if case.nodes.csi {
                self.write(Write::Create(decoded(&t::csi_node(&name))));
            }
        }
    }

    /// A node that is ready: without the taint that admission gives to new ones.
    fn join(&mut self, node: &Value) {
        let node = decoded(node);
        let key = node.key();
        self.write(Write::Create(node));
        let remove = vec![(Name::from("node.kubernetes.io/not-ready"), TaintEffect::NoSchedule)];
        self.write(Write::Patch(key, Patch::Taints { add: Vec::new(), remove }, Preconditions::default()));
    }

    fn namespace(&mut self, name: &str) {
        if self.runtime.store.live().get(&Key::cluster(Kind::Namespace, name)).is_some() {
            return;
        }
        let mut meta = Meta::named("", name);
        meta.labels = Labels::from_iter([("team", "devops")]);
        let namespace = Namespace { meta, terminating: false, spec_finalizers: Vec::new(), conditions: Vec::new() };
        self.write(Write::Create(namespace.into_object()));
    }

    fn create_pods(&mut self, pods: &Pods) {
        for number in 0..pods.namespaces.max(1) {
            let namespace = match pods.namespaces {
                0 => pods.namespace.to_string(),
                _ => format!("{}-{number}", pods.namespace),
            };
            self.namespace(&namespace);
            if matches!(pods.wish, Wish::Served(_)) {
                let mut service = decoded(&t::service("service"));
                service.meta_mut().namespace = Name::from(namespace.as_str());
                self.write(Write::Create(service));
            }
            let first = self.bound.get() + self.waiting;
            let shared: Option<(Labels, Arc<PodSpec>)> = match pods.wish {
                Wish::Equal(wish) | Wish::Served(wish) => match decoded(&wish()) {
                    Object::Pod(pod) => Some((pod.meta.labels.clone(), pod.spec.clone())),
                    _ => panic!("a pod"),
                },
                Wish::Claim { .. } => None,
            };
            for at in first..first + pods.count {
                let (labels, spec) = match (&shared, pods.wish) {
                    (None, Wish::Claim { csi }) => (Labels::EMPTY, self.with_claim(&namespace, at, csi)),
                    (Some(shared), _) => shared.clone(),
                    (None, _) => unreachable!("only claims differ"),
                };
                let mut meta = Meta::named(namespace.as_str(), format!("pod-{at}"));
                meta.labels = labels;
                let pod = Pod { meta, spec, node: None, status: Default::default() };
                self.write(Write::Create(pod.into_object()));
            }
            self.waiting += pods.count;
        }
    }

    /// The wish of a pod with a claim of its own, which is bound to a volume of its own.
    fn with_claim(&mut self, namespace: &str, at: usize, csi: bool) -> Arc<PodSpec> {
        let (volume, claim) = (format!("pv-{at}"), format!("pvc-{at}"));
        self.write(Write::Create(decoded(&t::volume(&volume, namespace, &claim, csi))));
        let mut object = decoded(&t::claim(&claim, &volume));
        object.meta_mut().namespace = Name::from(namespace);
        self.write(Write::Create(object));
        match decoded(&t::with_claim(&claim)) {
            Object::Pod(pod) => pod.spec.clone(),
            _ => panic!("a pod"),
        }
    }

    fn write(&mut self, write: Write) {
        self.runtime.commit_now(write, "scheduler_perf").unwrap();
    }
}

fn decoded(value: &Value) -> Object {
    decode::object(value).unwrap_or_else(|errors| panic!("{value}: {errors:?}"))
}

/// What this thread has used of the processor, on systems that have `/proc`.
fn processor_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}
