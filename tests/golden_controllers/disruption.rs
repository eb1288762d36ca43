//! One look of the disruption controller at a budget and its pods.

use super::{agree, at, differs, int, list, text, unix};
use kubesim::controllers::disruption::budget::{Target, Verdict, judge};
use kubesim::model::core::Namespace;
use kubesim::model::policy::BudgetStatus;
use kubesim::model::workload::IntOrPercent;
use kubesim::model::{Condition, Meta, Name, Object, OwnerReference, Phase, Pod, PodDisruptionBudget, Truth, builder};
use kubesim::model::{Key, Resource, Selector};
use kubesim::rng::Seed;
use kubesim::store::{DeleteOptions, Store, Write};
use kubesim::time::{SimDuration, SimTime};
use kubesim::wire::decode;
use serde_json::{Value, json};

const NAMESPACE: &str = "ns";

#[test]
fn pdb() {
    agree("pdb", |case| {
        let now = at(&case["now"]);
        let mut world = World { store: Store::new(Seed(1), Default::default()), now };
        let meta = Meta::named("", NAMESPACE);
        let namespace = Namespace { meta, terminating: false, spec_finalizers: Vec::new(), conditions: Vec::new() };
        world.create(namespace);
        for owner in list(&case["owners"]) {
            world.owner(owner, list(&case["pods"]));
        }
        let budget = budget(case, now);
        let verdict = judge(world.store.live(), &budget, now);
        differs(&answer(&verdict, &budget), &case["out"])
    });
}

struct World {
    store: Store,
    now: SimTime,
}

impl World {
    fn create(&mut self, resource: impl Resource) -> Object {
        let written = self.store.commit(self.now, Write::Create(resource.into_object()), "test").unwrap();
        self.store.live().get(&written.key).unwrap().clone()
    }

    /// Creates an owner and its pods; those of a Deployment are shared by two replica sets.
    fn owner(&mut self, owner: &Value, pods: &[Value]) {
        let (name, kind, scale) = (text(&owner["name"]), text(&owner["kind"]), &owner["scale"]);
        let mut owners = match kind {
            "none" => Vec::new(),
            "Deployment" => {
                let deployment = self.workload("apps/v1", kind, name, scale, None);
                let set = |n: usize, world: &mut World| {
                    world.workload("apps/v1", "ReplicaSet", &format!("{name}-{n}"), &json!(n), Some(&deployment))
                };
                vec![set(1, self), set(2, self)]
            }
            "ReplicationController" => vec![self.workload("v1", kind, name, scale, None)],
            _ => vec![self.workload("apps/v1", kind, name, scale, None)],
        };
        for pod in pods.iter().filter(|pod| text(&pod["owner"]) == name) {
            self.pod(pod, owners.first());
            let turns = usize::from(owners.len() > 1);
            owners.rotate_left(turns);
        }
    }

    fn workload(&mut self, version: &str, kind: &str, name: &str, scale: &Value, owner: Option<&Object>) -> Object {
        let labels = json!({"app": name});
        let template = json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
        let selector = if kind == "ReplicationController" { labels.clone() } else { json!({"matchLabels": labels}) };
        let mut object = decode::object(&json!({
            "apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"replicas": scale, "selector": selector, "template": template, "serviceName": "s"},
        }))
        .unwrap();
        object.meta_mut().owners = owner.map(reference).into_iter().collect();
        let key = object.key();
        self.store.commit(self.now, Write::Create(object), "test").unwrap();
        self.store.live().get(&key).unwrap().clone()
    }

    fn pod(&mut self, case: &Value, owner: Option<&Object>) {
        let state = text(&case["state"]);
        let mut pod = builder::pod(text(&case["name"]), builder::spec("i", 0, 0)).label("app", "a").on("n");
        pod.spec = std::sync::Arc::new(kubesim::model::PodSpec {
            node_name: Some(Name::from("n")),
            ..kubesim::model::PodSpec::clone(&pod.spec)
        });
        pod.meta.namespace = Name::from(NAMESPACE);
        pod.meta.owners = owner.map(reference).into_iter().collect();
        let Object::Pod(pod) = self.create(pod) else { panic!("a pod was created") };
        let mut pod = Pod::clone(&pod);
        pod.status.phase = match state {
            "pending" => Phase::Pending,
            "failed" => Phase::Failed,
            "succeeded" => Phase::Succeeded,
            _ => Phase::Running,
        };
        let ready = match state {
            "nocond" => None,
            "ready" | "terminating" => Some(Truth::True),
            _ => Some(Truth::False),
        };
        let condition = |status| Condition::new("Ready".into(), status, Name::new(), "", self.now);
        pod.status.conditions.extend(ready.map(condition));
        let key = pod.key();
        self.store.commit(self.now, Write::UpdateStatus(pod.into_object()), "test").unwrap();
        if state == "terminating" {
            self.store.commit(self.now, Write::Delete(key, DeleteOptions::default()), "test").unwrap();
        }
    }
}

fn reference(owner: &Object) -> OwnerReference {
    let Key { kind, name, .. } = owner.key();
    OwnerReference { kind, name, uid: owner.meta().uid, controller: true, block_owner_deletion: true }
}

fn budget(case: &Value, now: SimTime) -> PodDisruptionBudget {
    let amount = |value: &Value| match value {
        Value::Null => None,
        Value::String(text) => Some(IntOrPercent::Percent(text.trim_end_matches('%').parse().unwrap())),
        number => Some(IntOrPercent::Int(int(number))),
    };
    let ago = |seconds: i64| now - SimDuration::from_secs(seconds);
    let evicted = |pod: &Value| Some((Name::from(text(&pod["name"])), ago(pod["evicted_ago"].as_i64()?)));
    let mut disrupted: Vec<(Name, SimTime)> = list(&case["pods"]).iter().filter_map(evicted).collect();
    if case["gone_in_disrupted"] == true {
        disrupted.push((Name::from("gone"), ago(10)));
    }
    disrupted.sort();
    let mut meta = Meta::named(NAMESPACE, "b");
    meta.generation = case["generation"].as_i64().unwrap();
    PodDisruptionBudget {
        meta,
        min_available: amount(&case["spec"]["minAvailable"]),
        max_unavailable: amount(&case["spec"]["maxUnavailable"]),
        selector: Some(Selector { requirements: Vec::new() }),
        unhealthy: None,
        status: BudgetStatus { disrupted, ..BudgetStatus::default() },
    }
}

/// The verdict in the form of the recordings, which cut events at 90 characters.
fn answer(verdict: &Verdict, budget: &PodDisruptionBudget) -> Value {
    let mut out = json!({});
    let events: Vec<String> = verdict
        .remarks
        .iter()
        .map(|remark| {
            let severity = if remark.warning { "Warning" } else { "Normal" };
            assert!(matches!(remark.about, Target::Budget) || remark.reason == "NotDeleted");
            format!("{severity} {} {}", remark.reason, remark.message).chars().take(90).collect()
        })
        .collect();
    if !events.is_empty() {
        out["events"] = json!(events);
    }
    out["status"] = verdict.status.as_ref().map_or(Value::Null, |status| {
        let disrupted: serde_json::Map<String, Value> =
            status.disrupted.iter().map(|(pod, since)| (pod.to_string(), json!(unix(*since)))).collect();
        let conditions = status.conditions.iter().map(|c| {
            json!([c.kind.as_str(), c.status.as_str(), c.reason.as_str(), c.message.as_str(), budget.meta.generation])
        });
        json!({
            "conditions": conditions.collect::<Vec<_>>(),
            "currentHealthy": status.current_healthy,
            "desiredHealthy": status.desired_healthy,
            "disruptedPods": disrupted,
            "disruptionsAllowed": status.disruptions_allowed,
            "expectedPods": status.expected_pods,
            "observedGeneration": status.observed_generation,
        })
    });
    out
}
