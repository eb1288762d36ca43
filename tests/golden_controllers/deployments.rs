//! Rollouts: the arithmetic, and whole traces of writes, events and statuses.

use super::{agree, at, differs, int, list, text, unix};
use kubesim::controllers::deployment::sync::{self, Input, Plan};
use kubesim::controllers::deployment::{math, revision};
use kubesim::model::workload::{DeploymentStatus, ReplicaSetStatus, keys};
use kubesim::model::{Deployment, Key, Kind, Labels, Meta, Object, ReplicaSet, Resource};
use kubesim::rng::Seed;
use kubesim::store::slots::StoreLimits;
use kubesim::store::{Store, Write};
use kubesim::time::SimTime;
use kubesim::wire::decode;
use serde_json::{Value, json};
use std::sync::Arc;

fn deployment(spec: &Value) -> Deployment {
    let manifest = json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"}, "spec": spec});
    match decode::of_kind(Kind::Deployment, &manifest).unwrap() {
        Object::Deployment(deployment) => Arc::unwrap_or_clone(deployment),
        other => panic!("{other:?} is no deployment"),
    }
}

fn of_strategy(strategy: &Value, replicas: &Value) -> Deployment {
    deployment(&json!({"replicas": replicas, "strategy": strategy, "selector": {"matchLabels": {"app": "web"}},
        "template": template("img:new")}))
}

fn template(image: &str) -> Value {
    json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": image}]}})
}

fn replica_set(name: &str, deployment: &Deployment, image: &str, replicas: i32) -> ReplicaSet {
    ReplicaSet {
        meta: Meta::named("default", name),
        replicas,
        selector: deployment.selector.clone(),
        template: Arc::new(decode::pod_template(&template(image)).unwrap()),
        min_ready_seconds: 0,
        status: ReplicaSetStatus::default(),
        raw: None,
    }
}

#[test]
fn deploy_math() {
    agree("deploy_math", |case| match text(&case["kind"]) {
        "rolling" => rolling(case),
        _ => scale(case),
    });
}

fn rolling(case: &Value) -> Option<String> {
    let deployment = of_strategy(&case["strategy"], &case["replicas"]);
    let old: i32 = list(&case["oldRS"]).iter().map(int).sum();
    let new = int(&case["newRS"]);
    let mut ours = json!({"maxSurge": math::max_surge(&deployment), "maxUnavailable": math::max_unavailable(&deployment),
        "newRSNewReplicas": math::new_set_size(&deployment, old + new, new)});
    if !case["out"]["fenceposts"].is_null() {
        let (surge, unavailable) = math::fence_posts(deployment.strategy, deployment.replicas);
        ours["fenceposts"] = json!([surge, unavailable]);
    }
    differs(&ours, &case["out"])
}

fn scale(case: &Value) -> Option<String> {
    let deployment = of_strategy(&case["strategy"], &case["replicas"]);
    let mut sets: Vec<Arc<ReplicaSet>> = Vec::new();
    for recorded in list(&case["rs"]) {
        let name = text(&recorded["name"]);
        let image = if name == "new" { "img:new" } else { "img:old" };
        let mut set = replica_set(name, &deployment, image, int(&recorded["replicas"]));
        set.status.available = int(&recorded["available"]);
        set.meta.created = at(&recorded["created"]);
        for (field, key) in [("desired", keys::DESIRED_REPLICAS), ("max", keys::MAX_REPLICAS)] {
            if let Some(number) = recorded[field].as_i64() {
                set.meta.annotations = set.meta.annotations.with(key, number.to_string());
            }
        }
        sets.push(Arc::new(set));
    }
    let input = Input {
        now: SimTime::ZERO,
        deployment: Arc::new(deployment),
        sets: sets.clone(),
        name_taken: &|_| false,
        has_running_pods: &|_| false,
    };
    let plan = sync::scale_plan(&input);
    for write in &plan.writes {
        let Write::Update(Object::ReplicaSet(updated)) = write else { panic!("only sets are written") };
        let place = sets.iter_mut().find(|set| set.meta.name == updated.meta.name).unwrap();
        *place = updated.clone();
    }
    sets.sort_by(|a, b| a.meta.name.cmp(&b.meta.name));
    let after: Vec<Value> = sets
        .iter()
        .map(|set| {
            let mut row = json!({"name": set.meta.name.as_str(), "replicas": set.replicas, "desired": "", "max": ""});
            annotation(&mut row, "desired", set, &keys::DESIRED_REPLICAS);
            annotation(&mut row, "max", set, &keys::MAX_REPLICAS);
            row
        })
        .collect();
    let mut events = events(&plan);
    events.sort();
    let mut recorded = case["out"].clone();
    let wanted = recorded["events"].take();
    let mut wanted_after = list(&recorded["after"]).to_vec();
    wanted_after.sort_by_key(|set| text(&set["name"]).to_string());
    let same = differs(&json!(after), &json!(wanted_after));
    same.or_else(|| differs(&json!(events), &json!(list(&wanted))))
}

fn annotation(row: &mut Value, field: &str, set: &ReplicaSet, key: &str) {
    if let Some(value) = set.meta.annotations.get(key) {
        row[field] = json!(value.as_str());
    }
}

fn events(plan: &Plan) -> Vec<String> {
    let kind = |warning: bool| if warning { "Warning" } else { "Normal" };
    plan.events.iter().map(|(warning, reason, message)| format!("{} {reason} {message}", kind(*warning))).collect()
}

// ---- traces ----

/// A deployment in a store of its own.
struct Trace {
    store: Store,
    terminating: bool,
}

impl Trace {
    fn start(spec: &Value, now: SimTime) -> Self {
        let mut store = Store::new(Seed(1), StoreLimits::default());
        let default = decode::of_kind(
            Kind::Namespace,
            &json!({"apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": "default"}}),
        );
        store.commit(now, Write::Create(default.unwrap()), "test").unwrap();
        store.commit(now, Write::Create(deployment(spec).into_object()), "test").unwrap();
        Trace { store, terminating: false }
    }

    fn deployment(&self) -> Arc<Deployment> {
        let key = Key::new(Kind::Deployment, "default", "web");
        self.store.live().fetch_key::<Deployment>(&key).unwrap().clone()
    }

    fn sets(&self) -> Vec<Arc<ReplicaSet>> {
        self.store.live().list::<ReplicaSet>().cloned().collect()
    }

    fn edit(&mut self, now: SimTime, action: &Value) {
        let mut edited = Deployment::clone(&self.deployment());
        edited.meta.resource_version = 0;
        // The recorded edit of an annotation is no new generation, as it would be through the API.
        let quiet = !action["annotate"].is_null();
        for (what, value) in action.as_object().unwrap() {
            match what.as_str() {
                "set_image" => edited.template = Arc::new(decode::pod_template(&template(text(value))).unwrap()),
                "scale" => edited.replicas = int(value),
                "paused" => edited.paused = value.as_bool().unwrap(),
                "max_surge" => {
                    if let kubesim::model::workload::Strategy::RollingUpdate { max_surge, .. } = &mut edited.strategy {
                        *max_surge = kubesim::model::workload::IntOrPercent::Int(int(value));
                    }
                }
                "annotate" => edited.meta.annotations = edited.meta.annotations.with("note", text(value)),
                "ready_after" => {}
                other => panic!("unknown action {other}"),
            }
        }
        let edited = edited.into_object();
        let write = if quiet { Write::UpdateStatus(edited) } else { Write::Update(edited) };
        self.store.commit(now, write, "user").unwrap();
    }

    fn report(&mut self, now: SimTime, rows: &Value) {
        self.terminating = false;
        for row in list(rows) {
            let set = self.sets().into_iter().find(|set| alias(set) == text(&row["rs"])).expect("a known set");
            let mut set = ReplicaSet::clone(&set);
            let count = |field: &str| int(&row[field]);
            set.status = ReplicaSetStatus {
                observed_generation: set.meta.generation,
                replicas: count("replicas"),
                fully_labeled: count("replicas"),
                ready: count("ready"),
                available: count("available"),
                terminating: row["terminating"].as_i64().map(|n| n as i32),
                conditions: Vec::new(),
            };
            self.terminating |= set.status.terminating.unwrap_or(0) > 0;
            self.store.commit(now, Write::UpdateStatus(set.into_object()), "test").unwrap();
        }
    }

    /// One sync; nothing if it writes nothing.
    fn pass(&mut self, now: SimTime) -> Option<Value> {
        let deployment = self.deployment();
        let view = self.store.live();
        let input = Input {
            now,
            sets: view.controlled::<ReplicaSet>(deployment.meta.uid).cloned().collect(),
            deployment,
            name_taken: &|name| view.fetch::<ReplicaSet>(&"default".into(), name).is_some(),
            has_running_pods: &|_| self.terminating,
        };
        let plan = sync::plan(&input);
        let before = self.store.revision();
        let events: Vec<String> = events(&plan).into_iter().map(|event| self.with_aliases(event)).collect();
        for write in plan.writes {
            self.store.commit(now, write, "deployment-controller").unwrap();
        }
        let events: Vec<String> = events.into_iter().map(|event| self.with_aliases(event)).collect();
        if self.store.revision() == before {
            return None;
        }
        let mut sets = self.sets();
        revision::by_age(&mut sets);
        let mut rows: Vec<Value> = sets.iter().map(|set| row(set)).collect();
        rows.sort_by_key(|row| text(&row["rs"]).to_string());
        let mut pass = json!({"rs": rows});
        if !events.is_empty() {
            pass["events"] = json!(events);
        }
        Some(pass)
    }

    fn with_aliases(&self, text: String) -> String {
        self.sets().iter().fold(text, |text, set| text.replace(set.meta.name.as_str(), &alias(set)))
    }
}

/// `web-v1` for the set of image `img:v1`.
fn alias(set: &ReplicaSet) -> String {
    format!("web-{}", set.template.spec.containers[0].image.trim_start_matches("img:"))
}

fn row(set: &ReplicaSet) -> Value {
    let mut row = json!({"created": unix(set.meta.created), "replicas": set.replicas, "rs": alias(set)});
    annotation(&mut row, "desired", set, &keys::DESIRED_REPLICAS);
    annotation(&mut row, "max", set, &keys::MAX_REPLICAS);
    annotation(&mut row, "revision", set, &keys::REVISION);
    annotation(&mut row, "history", set, &keys::REVISION_HISTORY);
    row
}

fn report(status: &DeploymentStatus, annotations: &Labels) -> Value {
    let conditions: Vec<Value> = status
        .conditions
        .iter()
        .map(|c| {
            let (updated, turned) = (unix(c.last_update), unix(c.last_transition));
            json!([c.kind.as_str(), c.status.as_str(), c.reason.as_str(), c.message.as_str(), updated, turned])
        })
        .collect();
    let mut row = json!({"available": status.available, "conditions": conditions,
        "observedGeneration": status.observed_generation, "ready": status.ready, "replicas": status.replicas,
        "revision": annotations.get(&keys::REVISION).map(|text| text.as_str()), "unavailable": status.unavailable,
        "updated": status.updated});
    if let Some(terminating) = status.terminating {
        row["terminating"] = json!(terminating);
    }
    row
}

#[test]
fn deploy_trace() {
    agree("deploy_trace", |case| {
        let steps = list(&case["steps"]);
        let mut trace = Trace::start(&case["spec"], at(&steps[0]["t"]));
        let mut reported = Value::Null;
        for step in steps {
            let now = at(&step["t"]);
            list(&step["actions"]).iter().for_each(|action| trace.edit(now, action));
            trace.report(now, &step["rs_status"]);
            let mut passes = Vec::new();
            while let Some(pass) = trace.pass(now) {
                passes.push(pass);
                assert!(passes.len() < 50, "case {} does not settle", case["id"]);
            }
            let deployment = trace.deployment();
            let status = report(&deployment.status, &deployment.meta.annotations);
            let status: Value = serde_json::from_str(&trace.with_aliases(status.to_string())).unwrap();
            if let Some(why) = differs(&json!(passes), &json!(list(&step["passes"]))) {
                return Some(format!("passes at {}: {why}", step["t"]));
            }
            if !step["deployment"].is_null() {
                reported = step["deployment"].clone();
            }
            if let Some(why) = differs(&status, &reported) {
                return Some(format!("status at {}: {why}", step["t"]));
            }
        }
        None
    });
}
