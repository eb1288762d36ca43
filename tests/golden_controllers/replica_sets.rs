//! The order in which a shrinking replica set gives up its pods.

use super::{agree, at, differs, list, text};
use kubesim::controllers::replica_set::by_deletion;
use kubesim::controllers::shared::rank::{Candidate, sort};
use kubesim::model::workload::ReplicaSetStatus;
use kubesim::model::{
    Condition, ContainerState, ContainerStatus, Kind, Meta, Name, OwnerReference, Phase, Pod, ReplicaSet, Resource,
    Selector, Truth, Uid, builder,
};
use kubesim::name;
use kubesim::rng::Seed;
use kubesim::store::{Store, Write};
use kubesim::time::SimTime;
use kubesim::wire::decode;
use serde_json::{Map, Value, json};
use std::sync::Arc;

#[test]
fn rs_rank() {
    agree("rs_rank", |case| {
        let pods = list(&case["pods"]);
        let mut world = World { store: Store::new(Seed(1), Default::default()), pods: 0 };
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}});
        let namespace = decode::object(&namespace).unwrap();
        world.store.commit(SimTime::ZERO, Write::Create(namespace), "test").unwrap();
        let (set, related) = (world.set("web-1"), world.set("web-2"));
        pods.iter().for_each(|pod| world.pod(&set, text(&pod["node"]), phase(&pod["phase"])));
        for (place, count) in case["related_extra"].as_object().into_iter().flatten() {
            let (node, of) = place.split_once('/').unwrap();
            (0..count.as_u64().unwrap()).for_each(|_| world.pod(&related, node, phase(&json!(of))));
        }
        let active: Vec<Arc<Pod>> = pods.iter().map(|pod| Arc::new(active(pod))).collect();
        let now = at(&case["now"]);
        let ranked = by_deletion(&set, &active.iter().collect::<Vec<_>>(), world.store.live(), now);
        let ranked =
            sort(ranked.into_iter().map(|(candidate, pod)| (as_recorded(candidate, pod, pods), pod)).collect(), now);
        let order: Vec<&str> = ranked.iter().map(|(_, pod)| pod.meta.name.as_str()).collect();
        let ranks: Map<String, Value> =
            ranked.iter().map(|(candidate, pod)| (pod.meta.name.to_string(), json!(candidate.rank))).collect();
        differs(&json!({"order": order, "rank": ranks}), &case["out"])
    });
}

/// No pod here is ever in phase Unknown, which nothing has set since Kubernetes 1.13: the recorded ones are told by hand.
fn as_recorded(candidate: Candidate, pod: &Pod, rows: &[Value]) -> Candidate {
    let unknown = rows.iter().any(|row| text(&row["name"]) == pod.meta.name.as_str() && row["phase"] == "Unknown");
    Candidate { phase: if unknown { 1 } else { candidate.phase }, ..candidate }
}

fn phase(text: &Value) -> Phase {
    match text.as_str() {
        Some("Pending") => Phase::Pending,
        Some("Succeeded") => Phase::Succeeded,
        Some("Failed") => Phase::Failed,
        _ => Phase::Running,
    }
}

/// Two replica sets of one owner, and where their pods are.
struct World {
    store: Store,
    pods: usize,
}

impl World {
    fn set(&mut self, name: &str) -> Arc<ReplicaSet> {
        let template = json!({"spec": {"containers": [{"name": "c", "image": "i"}]}});
        let mut set = ReplicaSet {
            meta: Meta::named("default", name),
            replicas: 0,
            selector: Selector { requirements: Vec::new() },
            template: Arc::new(decode::pod_template(&template).unwrap()),
            min_ready_seconds: 0,
            status: ReplicaSetStatus::default(),
            raw: None,
        };
        set.meta.owners.push(owner(Kind::Deployment, "web", Uid(1)));
        let key = set.key();
        self.store.commit(SimTime::ZERO, Write::Create(set.into_object()), "test").unwrap();
        self.store.live().fetch_key::<ReplicaSet>(&key).unwrap().clone()
    }

    fn pod(&mut self, set: &ReplicaSet, node: &str, phase: Phase) {
        self.pods += 1;
        let mut spec = json!({"containers": [{"name": "c", "image": "i"}]});
        if !node.is_empty() {
            spec["nodeName"] = json!(node);
        }
        let mut pod = builder::pod(&format!("pod-{}", self.pods), decode::stored_pod_spec(&spec).unwrap());
        pod.meta.owners.push(owner(Kind::ReplicaSet, &set.meta.name, set.meta.uid));
        let key = pod.key();
        self.store.commit(SimTime::ZERO, Write::Create(pod.into_object()), "test").unwrap();
        let mut pod = Pod::clone(self.store.live().fetch_key::<Pod>(&key).unwrap());
        pod.status.phase = phase;
        self.store.commit(SimTime::ZERO, Write::UpdateStatus(pod.into_object()), "test").unwrap();
    }
}

fn owner(kind: Kind, name: &str, uid: Uid) -> OwnerReference {
    OwnerReference { kind, name: Name::from(name), uid, controller: true, block_owner_deletion: true }
}

/// A pod as it is ranked.
fn active(row: &Value) -> Pod {
    let mut spec = builder::spec("i", 0, 0);
    if !row["sidecarRestarts"].is_null() {
        let mut sidecar = spec.containers[0].clone();
        (sidecar.name, sidecar.sidecar) = (name!("sidecar"), true);
        spec.init_containers.push(sidecar);
    }
    let mut pod = builder::pod(text(&row["name"]), spec);
    if !text(&row["node"]).is_empty() {
        pod = pod.on(text(&row["node"]));
    }
    let mut uid = [0u8; 16];
    let digits = text(&row["uid"]).as_bytes();
    uid[..digits.len()].copy_from_slice(digits);
    pod.meta.uid = Uid(u128::from_be_bytes(uid));
    pod.meta.created = at(&row["created"]);
    if let Some(cost) = row["cost"].as_str() {
        pod.meta.annotations = pod.meta.annotations.with("controller.kubernetes.io/pod-deletion-cost", cost);
    }
    pod.status.phase = phase(&row["phase"]);
    if let Some(ready) = row["ready"].as_str() {
        let truth = if ready == "True" { Truth::True } else { Truth::False };
        pod.status.conditions.push(Condition::new(name!("Ready"), truth, Name::new(), "", at(&row["readyAt"])));
    }
    let restarted = |name: &str, restarts: &Value| status(Name::from(name), restarts.as_u64().unwrap() as u32);
    pod.status.containers = list(&row["restarts"]).iter().map(|restarts| restarted("c", restarts)).collect();
    pod.status.init_containers.extend(row["sidecarRestarts"].as_u64().map(|n| status(name!("sidecar"), n as u32)));
    pod
}

fn status(name: Name, restart_count: u32) -> ContainerStatus {
    ContainerStatus {
        name,
        state: ContainerState::Running { started: SimTime::ZERO },
        last: None,
        ready: false,
        started: false,
        restart_count,
        allocated: None,
        usage: Default::default(),
    }
}
