//! A cluster played by hand, for tests: every write is given its time, so that expected figures follow
//! by arithmetic.

use super::{Record, Recorder};
use crate::model::builder::{node, pod, service, spec};
use crate::model::core::{Incident, Lease, Namespace};
use crate::model::pod::Usage;
use crate::model::service::{Endpoint, EndpointSlice, SERVICE_NAME, Service};
use crate::model::workload::{DeploymentStatus, IntOrPercent, Strategy};
use crate::model::{
    Condition, ContainerState, ContainerStatus, Deployment, Fault, Key, Kind, Labels, Machine, Meta, Name, Phase,
};
use crate::model::{
    Object, OwnerReference, Pod, PodStatus, PodTemplate, ReplicaSet, Selector, Taint, TaintEffect, Truth,
};
use crate::rng::Seed;
use crate::store::{Change, DeleteOptions, EventRecord, Patch, Preconditions, Store, Write};
use crate::time::{SimDuration, SimTime};
use std::sync::Arc;

/// Sees every change.
pub(crate) type Watch = Box<dyn FnMut(&Change, &Store)>;

/// A store whose changes are kept and fed to a recorder.
pub(crate) struct Play {
    pub(crate) store: Store,
    pub(crate) recorder: Recorder,
    pub(crate) changes: Vec<Change>,
    pub(crate) watch: Watch,
}

/// An instant in seconds.
pub(crate) fn s(seconds: f64) -> SimTime {
    SimTime((seconds * 1e9).round() as i64)
}

const GIB: i64 = 1 << 30;

impl Play {
    /// An empty cluster with the namespace `default`.
    pub(crate) fn new() -> Play {
        Play::watched(Box::new(|_, _| {}))
    }

    /// The same, with another observer that sees every change.
    pub(crate) fn watched(watch: Watch) -> Play {
        let store = Store::new(Seed(1), Default::default());
        let mut play = Play { store, recorder: Recorder::new(), changes: Vec::new(), watch };
        let namespace = Namespace {
            meta: Meta::named("", "default"),
            terminating: false,
            spec_finalizers: Vec::new(),
            conditions: Vec::new(),
        };
        play.write(0.0, Write::Create(namespace.into()), "test");
        play
    }

    /// Does a write and tells the recorder.
    pub(crate) fn write(&mut self, at: f64, write: Write, writer: &'static str) {
        let before = self.store.revision();
        self.store.commit(s(at), write, writer).unwrap();
        for revision in before + 1..=self.store.revision() {
            let change = self.store.log().get(revision).unwrap().clone();
            self.recorder.change(&change, &self.store);
            (self.watch)(&change, &self.store);
            self.changes.push(change);
        }
    }

    /// Ends it.
    pub(crate) fn finish(mut self, at: f64) -> Record {
        self.recorder.finish(s(at));
        self.recorder.into_record()
    }

    pub(crate) fn create(&mut self, at: f64, object: impl Into<Object>) {
        self.write(at, Write::Create(object.into()), "test");
    }

    pub(crate) fn patch(&mut self, at: f64, key: Key, patch: Patch) {
        self.write(at, Write::Patch(key, patch, Preconditions::default()), "test");
    }

    /// A ready worker of 4 cores and 8 GiB in pool `workers` at 0.20 an hour.
    pub(crate) fn worker(&mut self, at: f64, name: &str) {
        let mut body = node(name, 4000, 8 * GIB, 110).label("topology.kubernetes.io/zone", "a");
        body.conditions =
            vec![Condition::new(crate::name!("Ready"), Truth::True, crate::name!("KubeletReady"), "", s(at))];
        let machine = Machine {
            meta: Meta::named("", name),
            pool: crate::name!("workers"),
            node: Arc::new(body.clone()),
            up: true,
            up_since: s(at),
            down_since: SimTime::ZERO,
            boot: 1,
            setup: Default::default(),
            troubles: Default::default(),
            holds: Vec::new(),
            price_per_hour_micros: 200_000,
        };
        self.create(at, machine);
        self.create(at, body);
        let remove = vec![(crate::name!("node.kubernetes.io/not-ready"), TaintEffect::NoSchedule)];
        self.patch(at, Key::cluster(Kind::Node, name), Patch::Taints { add: Vec::new(), remove });
    }

    /// The leases of these nodes, held.
    pub(crate) fn leases(&mut self, names: &[&str]) {
        if self.store.live().get(&Key::cluster(Kind::Namespace, "kube-node-lease")).is_none() {
            let meta = Meta::named("", "kube-node-lease");
            let (spec_finalizers, conditions) = (Vec::new(), Vec::new());
            self.create_late(Namespace { meta, terminating: false, spec_finalizers, conditions });
        }
        for name in names {
            let (meta, holder, at) = (Meta::named("kube-node-lease", *name), Name::from(*name), self.last());
            let duration = SimDuration::from_secs(40);
            self.create_late(Lease { meta, holder, duration, acquired: at, renewed: at, transitions: 0 });
        }
    }

    fn last(&self) -> SimTime {
        self.changes.last().map_or(SimTime::ZERO, |change| change.time)
    }

    fn create_late(&mut self, object: impl Into<Object>) {
        let at = self.last().0 as f64 / 1e9;
        self.create(at, object);
    }

    /// A machine stops or comes back.
    pub(crate) fn power(&mut self, at: f64, name: &str, up: bool) {
        let key = Key::cluster(Kind::Machine, name);
        let mut machine = Machine::clone(self.store.live().fetch_key::<Machine>(&key).unwrap());
        machine.up = up;
        match up {
            true => machine.up_since = s(at),
            false => machine.down_since = s(at),
        }
        self.write(at, Write::Update(machine.into()), "faults");
    }

    pub(crate) fn incident(&mut self, at: f64, name: &str, fault: Fault, description: &str) {
        let incident = Incident {
            meta: Meta::named("", name),
            fault,
            description: description.into(),
            started: s(at),
            ended: None,
            output: Vec::new(),
        };
        self.write(at, Write::Create(incident.into()), "faults");
    }

    /// The Ready condition of a node and, when it is lost, its taints.
    pub(crate) fn node_ready(&mut self, at: f64, name: &str, truth: Truth) {
        let ready = Condition::new(crate::name!("Ready"), truth, Name::new(), "", s(at));
        self.patch(at, Key::cluster(Kind::Node, name), Patch::Conditions(vec![ready]));
    }

    pub(crate) fn taint(&mut self, at: f64, name: &str, effect: TaintEffect) {
        let key = crate::name!("node.kubernetes.io/unreachable");
        let add = vec![Taint { key, value: Name::new(), effect, added: Some(s(at)) }];
        self.patch(at, Key::cluster(Kind::Node, name), Patch::Taints { add, remove: Vec::new() });
    }

    /// A deployment with one replica set `NAME-1`.
    pub(crate) fn deployment(&mut self, at: f64, name: &str, replicas: i32) {
        let labels = Labels::from_iter([("app", name)]);
        let template = Arc::new(PodTemplate {
            labels: labels.clone(),
            annotations: Labels::EMPTY,
            finalizers: Vec::new(),
            spec: Arc::new(spec("web:1", 500, GIB)),
        });
        let deployment = Deployment {
            meta: Meta::named("default", name),
            replicas,
            selector: Selector::from_labels(&labels),
            template: template.clone(),
            strategy: Strategy::RollingUpdate {
                max_surge: IntOrPercent::Percent(25),
                max_unavailable: IntOrPercent::Percent(25),
            },
            min_ready_seconds: 0,
            revision_history_limit: 10,
            progress_deadline_seconds: Some(600),
            paused: false,
            status: DeploymentStatus::default(),
            raw: None,
        };
        self.create(at, deployment);
        let owner = self.owner(Kind::Deployment, name);
        let mut meta = Meta::named("default", format!("{name}-1"));
        meta.owners = vec![owner];
        self.create(
            at,
            ReplicaSet {
                meta,
                replicas,
                selector: Selector::from_labels(&labels),
                template,
                min_ready_seconds: 0,
                status: Default::default(),
                raw: None,
            },
        );
    }

    pub(crate) fn owner(&self, kind: Kind, name: &str) -> OwnerReference {
        let key = Key::new(kind, "default", name);
        let uid = self.store.live().get(&key).unwrap().meta().uid;
        OwnerReference { kind, name: name.into(), uid, controller: true, block_owner_deletion: true }
    }

    /// A pod of deployment `app`, not yet bound.
    pub(crate) fn pod(&mut self, at: f64, name: &str, app: &str) {
        let mut body = pod(name, spec("web:1", 500, GIB)).label("app", app);
        body.meta.owners = vec![self.owner(Kind::ReplicaSet, &format!("{app}-1"))];
        self.create(at, body);
    }

    pub(crate) fn get_pod(&self, name: &str) -> Pod {
        Pod::clone(self.store.live().fetch_key::<Pod>(&pod_key(name)).unwrap())
    }

    pub(crate) fn bind(&mut self, at: f64, name: &str, node: &str) {
        let uid = self.get_pod(name).meta.uid;
        self.write(at, Write::Bind { pod: pod_key(name), uid, node: node.into(), note: None }, "scheduler");
    }

    /// A kubelet's report: running since `at`, ready or not, using 250m and 512 MiB.
    pub(crate) fn running(&mut self, at: f64, name: &str, ready: bool) {
        let before = self.get_pod(name);
        let started = match before.status.containers.first().map(|container| &container.state) {
            Some(ContainerState::Running { started }) => *started,
            _ => s(at),
        };
        let container = ContainerStatus {
            name: crate::name!("c"),
            state: ContainerState::Running { started },
            last: None,
            ready,
            started: true,
            restart_count: 0,
            allocated: None,
            usage: Usage { milli_cpu: 250, memory: GIB / 2 },
        };
        let mut conditions = vec![Condition::new(crate::name!("PodScheduled"), Truth::True, Name::new(), "", s(at))];
        conditions.push(Condition::new(crate::name!("Ready"), ready.into(), Name::new(), "", s(at)));
        let status = PodStatus {
            phase: Phase::Running,
            conditions,
            start_time: before.status.start_time.or(Some(s(at))),
            containers: vec![container],
            pod_ip: Some([10, 0, 0, 1].into()),
            ..PodStatus::default()
        };
        self.write(
            at,
            Write::Patch(pod_key(name), Patch::PodStatus(Box::new(status)), Preconditions::default()),
            "kubelet",
        );
    }

    pub(crate) fn event(&mut self, at: f64, name: &str, reason: &str, message: &str) {
        let uid = self.get_pod(name).meta.uid;
        let record = EventRecord {
            regarding: pod_key(name),
            uid,
            warning: false,
            reason: reason.into(),
            message: message.into(),
            source: crate::name!("kubelet"),
        };
        self.write(at, Write::Event(record), "kubelet");
    }

    pub(crate) fn delete(&mut self, at: f64, name: &str, grace_seconds: Option<i64>) {
        let options = DeleteOptions { grace_seconds, ..DeleteOptions::default() };
        self.write(at, Write::Delete(pod_key(name), options), "test");
    }

    /// The endpoints of service `name`: these pods, all ready.
    pub(crate) fn endpoints(&mut self, at: f64, name: &str, pods: &[&str]) {
        let endpoint = |pod: &&str| {
            let body = self.get_pod(pod);
            Endpoint {
                address: [10, 0, 0, 1].into(),
                ready: true,
                serving: true,
                terminating: false,
                node: body.node.clone(),
                zone: Name::new(),
                hostname: Name::new(),
                pod: body.meta.name.clone(),
                pod_uid: body.meta.uid,
                hint_zones: Vec::new(),
                hint_nodes: Vec::new(),
            }
        };
        let endpoints = Arc::new(pods.iter().map(endpoint).map(Arc::new).collect());
        let mut meta = Meta::named("default", format!("{name}-slice"));
        meta.labels = Labels::EMPTY.with(SERVICE_NAME, name);
        let slice = EndpointSlice { meta, ports: Arc::default(), endpoints };
        let key = Key::new(Kind::EndpointSlice, "default", format!("{name}-slice"));
        match self.store.live().get(&key).is_some() {
            true => self.write(at, Write::Update(slice.into()), "endpointslice-controller"),
            false => self.write(at, Write::Create(slice.into()), "endpointslice-controller"),
        }
    }

    pub(crate) fn service(&mut self, at: f64, name: &str) {
        let service = Service { selector: Some(Labels::from_iter([("app", name)])), ..service("default", name) };
        self.create(at, service);
    }

    /// What the deployment controller reports.
    pub(crate) fn report(&mut self, at: f64, name: &str, [replicas, updated, ready, available]: [i32; 4]) {
        let key = Key::new(Kind::Deployment, "default", name);
        let mut body = Deployment::clone(self.store.live().fetch_key::<Deployment>(&key).unwrap());
        let wished = body.replicas;
        body.status = DeploymentStatus {
            observed_generation: body.meta.generation,
            replicas,
            updated,
            ready,
            available,
            unavailable: (wished - available).max(0),
            ..body.status
        };
        self.write(at, Write::UpdateStatus(body.into()), "deployment-controller");
        let key = Key::new(Kind::ReplicaSet, "default", format!("{name}-1"));
        let mut set = ReplicaSet::clone(self.store.live().fetch_key::<ReplicaSet>(&key).unwrap());
        set.status.observed_generation = set.meta.generation;
        set.status.replicas = replicas;
        set.status.ready = ready;
        set.status.available = available;
        self.write(at, Write::UpdateStatus(set.into()), "replicaset-controller");
    }
}

/// The key of a pod in `default`.
pub(crate) fn pod_key(name: &str) -> Key {
    Key::new(Kind::Pod, "default", name)
}

/// Three workers, three pods of `web`, and at 60 s the machine `b` under `web-2` stops. It is Unknown at
/// 100 s; `web-2` is evicted at 400 s and replaced by `web-4` on `c`: created 400.1, bound 400.2, image
/// there 402.2, running 402.5, ready 405, an endpoint at 405.1.
pub(crate) fn node_crash() -> Play {
    let mut play = Play::new();
    play_node_crash(&mut play);
    play
}

/// The same in a cluster that is already there.
pub(crate) fn play_node_crash(play: &mut Play) {
    for name in ["a", "b", "c"] {
        play.worker(0.0, name);
    }
    play.deployment(10.0, "web", 3);
    play.service(10.0, "web");
    let placed = [("web-1", "a"), ("web-2", "b"), ("web-3", "c")];
    placed.iter().for_each(|(pod, _)| play.pod(10.0, pod, "web"));
    placed.iter().for_each(|(pod, node)| play.bind(10.5, pod, node));
    placed.iter().for_each(|(pod, _)| play.event(12.0, pod, "Pulled", "image present"));
    placed.iter().for_each(|(pod, _)| play.running(12.5, pod, false));
    placed.iter().for_each(|(pod, _)| play.running(15.0, pod, true));
    play.endpoints(15.5, "web", &["web-1", "web-2", "web-3"]);
    play.report(15.5, "web", [3, 3, 3, 3]);
    let fault = Fault { kind: "node-crash", nodes: vec![crate::name!("b")], ..Fault::default() };
    play.incident(60.0, "1", fault, "node b crashes");
    play.power(60.0, "b", false);
    play.node_ready(100.0, "b", Truth::Unknown);
    play.taint(100.0, "b", TaintEffect::NoSchedule);
    play.patch(
        100.0,
        pod_key("web-2"),
        Patch::Conditions(vec![Condition::new(crate::name!("Ready"), Truth::False, Name::new(), "", s(100.0))]),
    );
    play.taint(100.1, "b", TaintEffect::NoExecute);
    play.endpoints(100.2, "web", &["web-1", "web-3"]);
    play.report(100.2, "web", [3, 3, 2, 2]);
    play.delete(400.0, "web-2", None);
    play.pod(400.1, "web-4", "web");
    play.bind(400.2, "web-4", "c");
    play.event(402.2, "web-4", "Pulled", "image present");
    play.running(402.5, "web-4", false);
    play.running(405.0, "web-4", true);
    play.endpoints(405.1, "web", &["web-1", "web-3", "web-4"]);
    play.report(405.1, "web", [3, 3, 3, 3]);
}
