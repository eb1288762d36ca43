//! A cluster for the behaviours of the workload kinds: all controllers, the scheduler, and kubelets that
//! start a pod in two seconds and end it in one.

use kubesim::cluster::machines::bootstrap_objects;
use kubesim::cluster::settings;
use kubesim::controllers;
use kubesim::kubelet::{AnnotatedBehavior, Kubelet, KubeletSettings};
use kubesim::metrics::{Meters, MetricsServer};
use kubesim::model::core::Event;
use kubesim::model::{Key, Kind, Labels, Machine, Meta, Name, Node, Object, Pod, Resource, builder};
use kubesim::rng::Seed;
use kubesim::runtime::{Controller, Observer, Runtime, RuntimeLimits};
use kubesim::scenario::Timing;
use kubesim::scheduler::{Options, Scheduler};
use kubesim::store::{Change, DeleteOptions, Propagation, Store, StoreError, Verb, Write};
use kubesim::time::{SimDuration, SimTime};
use kubesim::wire::{decode, encode};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// What happened to pods, in order: `+web-0`, `ready web-0`, `ending web-0`, `over web-0`, `-web-0`.
#[derive(Clone, Default)]
struct Story(Rc<RefCell<Vec<String>>>);

impl Observer for Story {
    fn change(&mut self, change: &Change, _: &Store) {
        if change.key.kind != Kind::Pod {
            return;
        }
        let name = &change.key.name;
        let pod = |object: &Option<Object>| object.as_ref().and_then(Object::pod).cloned();
        let (old, new) = (pod(&change.old), pod(&change.new));
        let tell = |word: &str| self.0.borrow_mut().push(format!("{word}{name}"));
        match change.verb {
            Verb::Added => tell("+"),
            Verb::Deleted => tell("-"),
            Verb::Modified => {
                let turned = |test: fn(&Pod) -> bool| {
                    new.as_ref().is_some_and(|pod| test(pod)) && !old.as_ref().is_some_and(|pod| test(pod))
                };
                if turned(Pod::is_ready) {
                    tell("ready ");
                }
                if turned(|pod| pod.meta.deleting()) {
                    tell("ending ");
                }
                if turned(|pod| pod.status.phase.terminal()) {
                    tell("over ");
                }
            }
        }
    }
}

/// A cluster at work, with the tester's hands on it.
pub struct Cluster {
    pub runtime: Runtime,
    story: Story,
}

impl Cluster {
    /// With that many nodes `n0`, `n1`, …
    pub fn new(nodes: usize) -> Self {
        let timing = Timing::default();
        let store = Store::new(Seed(3), Default::default());
        let mut runtime = Runtime::new(store, Seed(3), SimTime::from_secs(-20), RuntimeLimits::default(), false);
        let story = Story::default();
        runtime.observe(Box::new(story.clone()));
        for object in bootstrap_objects() {
            runtime.commit_now(Write::Create(object), "bootstrap").unwrap();
        }
        for index in 0..nodes {
            let name = format!("n{index}");
            let mut node: Node = builder::node(&name, 8000, 32 << 30, 110);
            let labels = [("kubernetes.io/hostname", name.as_str()), ("kubernetes.io/os", "linux")];
            node.meta.labels = Labels::from_iter(labels);
            let machine = Machine {
                meta: Meta::named("", name.as_str()),
                pool: Name::new(),
                node: Arc::new(node),
                up: true,
                up_since: runtime.now(),
                down_since: runtime.now(),
                boot: 0,
                setup: Default::default(),
                troubles: Default::default(),
                holds: Vec::new(),
                price_per_hour_micros: 0,
            };
            runtime.commit_now(Write::Create(machine.into_object()), "bootstrap").unwrap();
        }
        let kubelet = Kubelet::new(KubeletSettings::work_free(), Box::new(AnnotatedBehavior), Seed(3));
        let mut actors = controllers::all(&timing, Box::new(MetricsServer::new(Meters::default(), Seed(3))));
        actors.push((Box::new(Scheduler::new(Options::default())), settings::scheduler(&timing)));
        actors.push((Box::new(kubelet) as Box<dyn Controller>, settings::kubelet()));
        for (actor, own) in actors {
            let settings = settings::actor(&timing, actor.name(), own);
            runtime.add(actor, settings);
        }
        let mut cluster = Cluster { runtime, story };
        cluster.run(20);
        cluster
    }

    /// Lets so many seconds pass.
    pub fn run(&mut self, seconds: i64) {
        let until = self.runtime.now() + SimDuration::from_secs(seconds);
        self.runtime.run_until(until, &mut |_, _| true).unwrap();
    }

    pub fn write(&mut self, write: Write) -> Result<(), StoreError> {
        self.runtime.commit_now(write, "tester").map(|_| ())
    }

    /// Creates the object of a manifest in `default`.
    pub fn create(&mut self, manifest: Value) {
        let object = decode::object(&manifest).unwrap_or_else(|errors| panic!("{errors:?}\n{manifest}"));
        self.write(Write::Create(object)).unwrap();
    }

    /// Merges a patch into an object (RFC 7386); what the API server answers.
    pub fn try_patch(&mut self, kind: Kind, name: &str, patch: Value) -> Result<(), StoreError> {
        let live = self.object(kind, name);
        let mut json = encode::object(&live);
        merge(&mut json, &patch);
        let mut object = decode::object(&json).unwrap_or_else(|errors| panic!("{errors:?}\n{json}"));
        object.meta_mut().resource_version = 0;
        self.write(Write::Update(object))
    }

    pub fn patch(&mut self, kind: Kind, name: &str, patch: Value) {
        self.try_patch(kind, name, patch).unwrap();
    }

    /// Gives the first container of a workload's template another image.
    pub fn set_image(&mut self, kind: Kind, name: &str, image: &str) {
        let containers = json!([{"name": "c", "image": image}]);
        self.patch(kind, name, json!({"spec": {"template": {"spec": {"containers": containers}}}}));
    }

    pub fn scale(&mut self, kind: Kind, name: &str, replicas: i32) {
        self.patch(kind, name, json!({"spec": {"replicas": replicas}}));
    }

    pub fn delete(&mut self, kind: Kind, name: &str, propagation: Propagation) {
        let options = DeleteOptions { propagation: Some(propagation), ..DeleteOptions::default() };
        self.write(Write::Delete(Self::key(kind, name), options)).unwrap();
    }

    pub fn key(kind: Kind, name: &str) -> Key {
        Key::new(kind, if kind.namespaced() { "default" } else { "" }, name)
    }

    pub fn object(&self, kind: Kind, name: &str) -> Object {
        let key = Self::key(kind, name);
        self.runtime.store.live().get(&key).unwrap_or_else(|| panic!("{key} is not there")).clone()
    }

    pub fn exists(&self, kind: Kind, name: &str) -> bool {
        self.runtime.store.live().get(&Self::key(kind, name)).is_some()
    }

    /// A field of an object's JSON form; null if it is not there.
    pub fn field(&self, kind: Kind, name: &str, path: &str) -> Value {
        encode::object(&self.object(kind, name)).pointer(path).cloned().unwrap_or(Value::Null)
    }

    pub fn all<T: Resource + 'static>(&self) -> Vec<Arc<T>> {
        self.runtime.store.live().list::<T>().cloned().collect()
    }

    /// The pods of an application that are not on their way out, by name.
    pub fn pods(&self, app: &str) -> Vec<Arc<Pod>> {
        let of = |pod: &Arc<Pod>| pod.meta.labels.get("app").is_some_and(|value| value == app) && pod.is_active();
        let mut pods: Vec<Arc<Pod>> = self.all::<Pod>().into_iter().filter(of).collect();
        pods.sort_by(|a, b| a.meta.name.cmp(&b.meta.name));
        pods
    }

    pub fn names(&self, app: &str) -> Vec<String> {
        self.pods(app).iter().map(|pod| pod.meta.name.to_string()).collect()
    }

    pub fn ready(&self, app: &str) -> usize {
        self.pods(app).iter().filter(|pod| pod.is_ready()).count()
    }

    /// The images that the pods of an application run, each once.
    pub fn images(&self, app: &str) -> Vec<String> {
        let mut images: Vec<String> = self.pods(app).iter().map(|p| p.spec.containers[0].image.to_string()).collect();
        images.sort();
        images.dedup();
        images
    }

    /// What happened to pods since the last time it was asked.
    pub fn story(&self) -> Vec<String> {
        std::mem::take(&mut *self.story.0.borrow_mut())
    }

    /// The reasons of the events about an object.
    pub fn events(&self, kind: Kind, name: &str) -> Vec<String> {
        let about = |event: &Arc<Event>| event.regarding.kind == kind && event.regarding.name == name;
        self.all::<Event>().iter().filter(|event| about(event)).map(|event| event.reason.to_string()).collect()
    }
}

pub fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in fields {
        match value {
            Value::Null => drop(target.as_object_mut().unwrap().remove(key)),
            value => merge(&mut target[key], value),
        }
    }
}

/// A workload of that kind: pods with the label `app`, one container with that image, and further fields of its spec.
pub fn workload(kind: Kind, name: &str, image: &str, more: Value) -> Value {
    let labels = json!({"app": name});
    let selector = if kind == Kind::ReplicationController { labels.clone() } else { json!({"matchLabels": labels}) };
    let template = json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": image}]}});
    let mut spec = json!({"selector": selector, "template": template});
    merge(&mut spec, &more);
    json!({"apiVersion": kind.api_version(), "kind": kind.as_str(), "metadata": {"name": name, "labels": labels},
        "spec": spec})
}

/// A pod that nobody owns, with the label `app`.
pub fn orphan(name: &str, app: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": app}},
        "spec": {"containers": [{"name": "c", "image": "img:1"}]}})
}

/// The name of a pod's managing controller.
pub fn controller_of(cluster: &Cluster, pod: &str) -> Option<String> {
    let object = cluster.object(Kind::Pod, pod);
    object.meta().controller().map(|owner| format!("{}/{}", owner.kind, owner.name))
}
