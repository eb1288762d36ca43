//! A cluster of an API server and a few controllers, and short ways to write to it.

use kubesim::cluster::{machines::bootstrap_objects, roles::default_roles};
use kubesim::controllers::cluster_role_aggregation::{self, ClusterRoleAggregation};
use kubesim::controllers::disruption::{self, DisruptionController};
use kubesim::controllers::resource_quota::{self, ResourceQuotaController};
use kubesim::model::rbac::User;
use kubesim::model::{Condition, Key, Kind, Name, Object, Phase, Pod, Resource, Truth};
use kubesim::rng::Seed;
use kubesim::runtime::{Runtime, RuntimeLimits};
use kubesim::store::{DeleteOptions, Preconditions, Store, StoreError, Write, Written};
use kubesim::time::{SimDuration, SimTime};
use kubesim::wire::decode;
use kubesim::wire::patch::{Document, Form, Subresource};
use serde_json::{Value, json};
use std::sync::Arc;

pub struct World {
    pub runtime: Runtime,
}

impl World {
    pub fn new() -> World {
        let store = Store::new(Seed(1), Default::default());
        let mut runtime = Runtime::new(store, Seed(1), SimTime::ZERO, RuntimeLimits::default(), false);
        for object in bootstrap_objects().into_iter().chain(default_roles()) {
            runtime.commit_now(Write::Create(object), "test").unwrap();
        }
        runtime.add(Box::new(DisruptionController::default()), disruption::settings());
        runtime.add(Box::new(ResourceQuotaController), resource_quota::settings());
        runtime.add(Box::new(ClusterRoleAggregation), cluster_role_aggregation::settings());
        let mut world = World { runtime };
        world.wait(1);
        world
    }

    /// Lets the controllers work.
    pub fn wait(&mut self, seconds: i64) {
        let until = self.runtime.now() + SimDuration::from_secs(seconds);
        self.runtime.run_until(until, &mut |_, _| true).unwrap();
    }

    pub fn write(&mut self, write: Write) -> Result<Written, StoreError> {
        self.runtime.commit_now(write, "test")
    }

    /// Creates an object; in namespace `default` if it names none.
    pub fn create(&mut self, manifest: Value) -> Result<Written, StoreError> {
        self.write(Write::Create(read(manifest)))
    }

    /// The same in the name of a user.
    pub fn create_as(&mut self, user: &str, manifest: Value) -> Result<Written, StoreError> {
        self.write(Write::As(person(user), Box::new(Write::Create(read(manifest)))))
    }

    /// Asks for other cpu requests and limits in place (`pods/resize`).
    pub fn resize(&mut self, name: &str, cpu: &str) -> Result<Written, StoreError> {
        let resources = json!({"requests": {"cpu": cpu}, "limits": {"cpu": cpu}});
        let body = json!({"spec": {"containers": [{"name": "c", "resources": resources}]}});
        let document = Document { subresource: Subresource::Resize, ..Document::new(Form::Strategic, body, "test") };
        self.write(Write::Document(key(Kind::Pod, name), Arc::new(document), Preconditions::default()))
    }

    pub fn get<T: Resource>(&self, name: &str) -> Arc<T> {
        let namespace = if T::KIND.namespaced() { Name::from("default") } else { Name::new() };
        self.runtime.store.live().fetch::<T>(&namespace, &name.into()).unwrap().clone()
    }

    /// A running pod `app=web` with a name of its own, ready or not.
    pub fn web_pod(&mut self, name: &str, ready: bool) {
        let labels = json!({"app": "web"});
        let container = json!({"name": "c", "image": "web"});
        self.create(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels},
            "spec": {"nodeName": "n", "containers": [container]}}))
            .unwrap();
        self.phase(name, Phase::Running, ready);
    }

    pub fn phase(&mut self, name: &str, phase: Phase, ready: bool) {
        let mut pod = Pod::clone(&self.get::<Pod>(name));
        pod.status.phase = phase;
        let ready = Condition::new("Ready".into(), Truth::from(ready), Name::new(), "", self.runtime.now());
        pod.status.conditions.push(ready);
        self.write(Write::UpdateStatus(pod.into_object())).unwrap();
        self.wait(1);
    }

    pub fn evict(&mut self, name: &str, dry_run: bool) -> Result<Written, StoreError> {
        let pod = key(Kind::Pod, name);
        let evict = Write::Evict { pod, options: DeleteOptions::default() };
        self.write(if dry_run { Write::DryRun(Box::new(evict)) } else { evict })
    }

    pub fn delete_now(&mut self, kind: Kind, name: &str) {
        let options = DeleteOptions { grace_seconds: Some(0), ..DeleteOptions::default() };
        self.write(Write::Delete(key(kind, name), options)).unwrap();
        self.wait(1);
    }
}

pub fn key(kind: Kind, name: &str) -> Key {
    match kind.namespaced() {
        true => Key::new(kind, "default", name),
        false => Key::cluster(kind, name),
    }
}

pub fn person(name: &str) -> Arc<User> {
    Arc::new(User::new(name, &[]))
}

fn read(manifest: Value) -> Object {
    let mut object = decode::object(&manifest).unwrap_or_else(|errors| panic!("{manifest}: {errors:?}"));
    if object.kind().namespaced() && object.meta().namespace.is_empty() {
        object.meta_mut().namespace = "default".into();
    }
    object
}

/// A pod with one container `c` and these resources.
pub fn pod(name: &str, resources: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"containers": [{"name": "c", "image": "i", "resources": resources}]}})
}

/// The text of a refusal; `ok` for none.
pub fn answer<T>(result: Result<T, StoreError>) -> String {
    result.map_or_else(|error| error.to_string(), |_| "ok".to_string())
}
