//! A whole cluster that a test can write to at any instant.

use crate::support::NoFiles;
use kubesim::cluster::machines::bootstrap_objects;
use kubesim::cluster::{BOOT, Options, seats};
use kubesim::model::{Key, Object};
use kubesim::runtime::{Observer, Runtime, RuntimeLimits};
use kubesim::scenario::load;
use kubesim::store::{Change, DeleteOptions, Preconditions, Propagation, Store, Verb, View, Write};
use kubesim::time::SimTime;
use kubesim::wire::patch::{Document, Form, Subresource};
use kubesim::wire::{decode, encode};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// When and in which order objects went.
#[derive(Clone, Default)]
struct Gone(Rc<RefCell<Vec<(SimTime, Key)>>>);

impl Observer for Gone {
    fn change(&mut self, change: &Change, _: &Store) {
        if change.verb == Verb::Deleted {
            self.0.borrow_mut().push((change.time, change.key.clone()));
        }
    }
}

/// Two nodes and everyone who belongs to a cluster, at rest.
pub struct World {
    runtime: Runtime,
    gone: Gone,
}

impl World {
    pub fn new() -> Self {
        World::behaving(json!([]))
    }

    /// With the `behavior` of a scenario.
    pub fn behaving(behavior: Value) -> Self {
        let text = json!({"name": "x", "duration": "1h", "seed": 1, "behavior": behavior,
            "cluster": {"pools": [{"name": "n", "count": 2, "capacity": {"cpu": 8, "memory": "16Gi"}}]}});
        let scenario = load::load("x.yaml", &text.to_string(), &[], &NoFiles).unwrap();
        let options = Options::of(&scenario);
        let store = Store::new(options.seed, Default::default());
        let mut runtime = Runtime::new(store, options.seed, BOOT, RuntimeLimits::default(), false);
        let gone = Gone::default();
        runtime.observe(Box::new(gone.clone()));
        for object in bootstrap_objects() {
            runtime.commit_now(Write::Create(object), "bootstrap").unwrap();
        }
        for seat in seats::all(&scenario, &options).unwrap().seats {
            seat.take(&mut runtime);
        }
        let mut world = World { runtime, gone };
        world.until(0);
        world
    }

    /// Lets the cluster run until this second.
    pub fn until(&mut self, second: i64) {
        self.runtime.run_until(SimTime::from_secs(second), &mut |_, _| true).unwrap();
    }

    pub fn live(&self) -> View<'_> {
        self.runtime.store.live()
    }

    pub fn write(&mut self, write: Write) -> Result<Key, String> {
        self.runtime.commit_now(write, "test").map(|written| written.key).map_err(|error| error.to_string())
    }

    pub fn create(&mut self, object: Value) -> Key {
        self.try_create(object).unwrap()
    }

    /// The key, or what the API server answers.
    pub fn try_create(&mut self, object: Value) -> Result<Key, String> {
        let decoded = decode::object_of(&object, self.live().custom_kinds());
        self.write(Write::Create(decoded.unwrap_or_else(|errors| panic!("{object}: {errors:?}"))))
    }

    pub fn delete(&mut self, key: &Key, propagation: Propagation) {
        let options = DeleteOptions { propagation: Some(propagation), ..DeleteOptions::default() };
        self.write(Write::Delete(key.clone(), options)).unwrap();
    }

    /// A merge patch.
    pub fn patch(&mut self, key: &Key, body: Value) -> Result<Key, String> {
        self.send(key, Document::new(Form::Merge, body, "test"))
    }

    /// A merge patch of the status.
    pub fn patch_status(&mut self, key: &Key, body: Value) -> Result<Key, String> {
        let document = Document { subresource: Subresource::Status, ..Document::new(Form::Merge, body, "test") };
        self.send(key, document)
    }

    pub fn send(&mut self, key: &Key, document: Document) -> Result<Key, String> {
        self.write(Write::Document(key.clone(), Arc::new(document), Preconditions::default()))
    }

    /// The object as JSON; null if it is not there.
    pub fn json(&self, key: &Key) -> Value {
        self.live().get(key).map(encode::object).unwrap_or_default()
    }

    /// How many objects of a kind live in a namespace.
    pub fn count(&self, kind: kubesim::model::Kind, namespace: &str) -> usize {
        self.live().objects(kind).filter(|object| object.meta().namespace == namespace).count()
    }

    /// The only object of a kind in a namespace.
    pub fn only(&self, kind: kubesim::model::Kind, namespace: &str) -> Key {
        let mut found = self.live().objects(kind).filter(|object| object.meta().namespace == namespace);
        let key = found.next().map(Object::key).expect("there is one");
        assert!(found.next().is_none(), "there is only one");
        key
    }

    /// When an object went, in seconds.
    pub fn gone(&self, key: &Key) -> Option<f64> {
        self.gone.0.borrow().iter().find(|(_, gone)| gone == key).map(|(time, _)| time.as_secs_f64())
    }

    /// An owner reference to the object.
    pub fn owner(&self, key: &Key, block: bool) -> Value {
        let object = self.json(key);
        json!({"apiVersion": object["apiVersion"], "kind": object["kind"], "name": object["metadata"]["name"],
            "uid": object["metadata"]["uid"], "blockOwnerDeletion": block})
    }
}

pub fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

pub fn config_map(namespace: &str, name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}})
}

pub fn pod(namespace: &str, name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace},
        "spec": {"containers": [{"name": "c", "image": "img:1"}]}})
}

pub fn deployment(namespace: &str, name: &str, replicas: i32) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": namespace},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": {
            "metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": "img:1"}]}}}})
}

pub fn replica_set(namespace: &str, name: &str, replicas: i32) -> Value {
    let mut set = deployment(namespace, name, replicas);
    set["kind"] = json!("ReplicaSet");
    set
}
