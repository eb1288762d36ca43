//! Stateful sets: whole traces of writes, events and statuses.

use super::{agree, at, differs, int, list, text};
use kubesim::controllers::shared::{PodControl, history};
use kubesim::controllers::stateful_set::{status, sync};
use kubesim::model::sets::{StatefulSetPartition, StatefulSetStatus, StatefulSetUpdate, keys};
use kubesim::model::{
    Condition, ControllerRevision, Deletion, Kind, Name, Object, PersistentVolumeClaim, Phase, Pod, Resource,
    StatefulSet, Truth, Uid,
};
use kubesim::runtime::Order;
use kubesim::store::{Patch, Write};
use kubesim::time::SimTime;
use kubesim::wire::decode;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The set and what is around it, as the controller sees it: every write is seen at once.
struct World {
    set: StatefulSet,
    pods: BTreeMap<Name, Pod>,
    claims: BTreeMap<Name, Arc<PersistentVolumeClaim>>,
    revisions: Vec<Arc<ControllerRevision>>,
    gate: bool,
    lingers: bool,
    uids: u128,
}

impl World {
    fn start(case: &Value) -> World {
        let manifest = json!({"apiVersion": "apps/v1", "kind": "StatefulSet",
            "metadata": {"name": "db", "namespace": "default", "uid": "db", "generation": 1}, "spec": case["spec"]});
        let Object::StatefulSet(set) = decode::of_kind(Kind::StatefulSet, &manifest).unwrap() else { panic!() };
        World {
            set: Arc::unwrap_or_clone(set),
            pods: BTreeMap::new(),
            claims: BTreeMap::new(),
            revisions: Vec::new(),
            gate: case["max_unavailable_gate"] == true,
            lingers: int(&case["term_delay"]) > 0,
            uids: 0,
        }
    }

    fn act(&mut self, action: &Value) {
        let set = &mut self.set;
        for (what, value) in action.as_object().unwrap() {
            match what.as_str() {
                "set_image" => {
                    let template = json!({"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [
                        {"name": "c", "image": value, "resources": {}}], "restartPolicy": "Always"}});
                    set.template = Arc::new(decode::pod_template(&template).unwrap());
                }
                "scale" => set.replicas = int(value),
                "partition" => {
                    let limit = match set.update {
                        StatefulSetUpdate::RollingUpdate(Some(rolling)) => rolling.max_unavailable,
                        _ => None,
                    };
                    let rolling = StatefulSetPartition { partition: int(value), max_unavailable: limit };
                    set.update = StatefulSetUpdate::RollingUpdate(Some(rolling));
                }
                // What the pods do is given step by step.
                "ready_after" | "user_deletes_pod" | "pod_phase" | "pod_unready_until" => continue,
                other => panic!("unknown action {other}"),
            }
            if what != "ready_after" {
                set.meta.generation += 1;
            }
        }
    }

    /// Takes over the pods as they are at the beginning of a step.
    fn see(&mut self, rows: &Value) {
        let known = std::mem::take(&mut self.pods);
        for row in list(rows) {
            let mut pod = known.get(text(&row[0])).expect("a pod that was made").clone();
            pod.status.phase = match text(&row[1]) {
                "Pending" => Phase::Pending,
                "Running" => Phase::Running,
                "Failed" => Phase::Failed,
                _ => Phase::Succeeded,
            };
            let ready = match text(&row[2]) {
                "" => None,
                "True" => Some(Truth::True),
                _ => Some(Truth::False),
            };
            let condition = |truth| Condition::new("Ready".into(), truth, Name::new(), Name::new(), at(&row[3]));
            pod.status.conditions = ready.map(condition).into_iter().collect();
            pod.meta.deletion = (row[4] == true).then_some(Deletion { at: SimTime::ZERO, grace_seconds: 30 });
            self.pods.insert(pod.meta.name.clone(), pod);
        }
    }

    /// One sync; nothing if it writes nothing. The status stands there if it is not `told` in this step already.
    fn pass(&mut self, now: SimTime, told: &mut Value) -> Option<Value> {
        history::sort(&mut self.revisions);
        let owner = history::Owner { kind: Kind::StatefulSet, meta: &self.set.meta, template: &self.set.template };
        let newest = history::newest(owner, &self.revisions, 0, |_| None);
        if let Some(Write::Create(Object::ControllerRevision(new)) | Write::Update(Object::ControllerRevision(new))) =
            &newest.write
        {
            self.revisions.retain(|revision| revision.meta.name != new.meta.name);
            self.revisions.push(new.clone());
        }
        let current = self.revisions.iter().find(|one| one.meta.name == self.set.status.current_revision).cloned();
        let current = current.unwrap_or_else(|| newest.revision.clone());
        let pods: Vec<Arc<Pod>> = self.pods.values().cloned().map(Arc::new).collect();
        let object = Object::StatefulSet(Arc::new(self.set.clone()));
        let plan = sync::plan(&sync::Input {
            now,
            set: &self.set,
            pods: &pods,
            current: &current,
            update: &newest.revision,
            collisions: 0,
            claim: &|name| self.claims.get(name).cloned(),
            max_unavailable: self.gate,
            control: &PodControl::new(&object, "statefulset-controller".into()),
        });
        assert!(!plan.failed && plan.events.is_empty(), "{plan:?}");
        let (mut writes, mut events) = (Vec::new(), Vec::new());
        for order in plan.groups.into_iter().flatten() {
            events.extend(event(&order));
            writes.push(self.write(order.write));
        }
        if self.set.parallel {
            writes.sort();
            events.sort();
        }
        let next = status::completed(&self.set, plan.status);
        let changed = status::differs(&self.set.status, &next);
        if !changed && writes.is_empty() {
            return None;
        }
        let report = self.report(&next);
        if changed {
            self.set.status = next;
        }
        let mut pass = json!({});
        if report != *told {
            (pass["status"], *told) = (report.clone(), report);
        }
        for (field, rows) in [("writes", writes), ("events", events)] {
            if !rows.is_empty() {
                pass[field] = json!(rows);
            }
        }
        Some(pass)
    }

    /// Does a write and says what it was.
    fn write(&mut self, write: Write) -> String {
        match write {
            Write::Create(Object::Pod(pod)) => {
                let mut pod = Arc::unwrap_or_clone(pod);
                self.uids += 1;
                pod.meta.uid = Uid(self.uids);
                let name = pod.meta.name.clone();
                let image = pod.spec.containers[0].image.replace("img:", "");
                self.pods.insert(name.clone(), pod);
                format!("create {name} {image}")
            }
            Write::Create(Object::PersistentVolumeClaim(claim)) => {
                let name = claim.meta.name.clone();
                self.claims.insert(name.clone(), claim);
                format!("create_claim {name}")
            }
            Write::Delete(key, _) => {
                match self.lingers {
                    true => {
                        let deletion = Deletion { at: SimTime::ZERO, grace_seconds: 30 };
                        self.pods.get_mut(&key.name).expect("a pod").meta.deletion = Some(deletion);
                    }
                    false => drop(self.pods.remove(&key.name)),
                }
                format!("delete {}", key.name)
            }
            Write::Patch(key, Patch::AddOwner(owner), _) => {
                let claim = self.claims.get_mut(&key.name).expect("a claim");
                Arc::make_mut(claim).meta.owners.push(owner);
                owned(claim)
            }
            Write::Update(Object::PersistentVolumeClaim(claim)) => {
                self.claims.insert(claim.meta.name.clone(), claim.clone());
                owned(&claim)
            }
            other => format!("{other:?}"),
        }
    }

    fn report(&self, status: &StatefulSetStatus) -> Value {
        let alias = |name: &Name| {
            let revision = self.revisions.iter().find(|revision| revision.meta.name == *name).expect("a revision");
            let image = &history::template_of(revision).expect("a template").spec.containers[0].image;
            image.replace("img:", "rev-")
        };
        json!({"available": status.available, "current": status.current, "ready": status.ready,
            "currentRevision": alias(&status.current_revision), "updateRevision": alias(&status.update_revision),
            "observedGeneration": status.observed_generation, "replicas": status.replicas, "updated": status.updated})
    }
}

fn owned(claim: &PersistentVolumeClaim) -> String {
    let owners: Vec<String> = claim.meta.owners.iter().map(|owner| format!("{}/{}", owner.kind, owner.name)).collect();
    format!("update_claim {} owners={}", claim.meta.name, owners.join(","))
}

fn event(order: &Order) -> Option<String> {
    let event = order.told.as_ref()?.done.first()?;
    Some(format!("{} {} {}", if event.warning { "Warning" } else { "Normal" }, event.reason, event.message))
}

#[test]
fn statefulset_trace() {
    agree("statefulset_trace", |case| {
        let mut world = World::start(case);
        for step in list(&case["steps"]) {
            list(&step["actions"]).iter().for_each(|action| world.act(action));
            world.see(&step["pods"]);
            let (mut passes, mut told) = (Vec::new(), Value::Null);
            while let Some(pass) = world.pass(at(&step["t"]), &mut told) {
                passes.push(pass);
                assert!(passes.len() < 50, "case {} does not settle", case["id"]);
            }
            if let Some(why) = differs(&json!(passes), &json!(list(&step["passes"]))) {
                return Some(format!("passes at {}: {why}", step["t"]));
            }
        }
        None
    });
}

#[test]
fn pods_and_claims_carry_their_names() {
    let manifest = json!({"metadata": {"name": "db", "namespace": "shop"}, "spec": {"serviceName": "db",
        "selector": {"matchLabels": {"app": "db"}}, "ordinals": {"start": 2}, "replicas": 1,
        "template": {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "c", "image": "i:1"}],
            "volumes": [{"name": "data", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}]}},
        "volumeClaimTemplates": [{"metadata": {"name": "data", "labels": {"tier": "gold"}},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}]}});
    let Object::StatefulSet(set) = decode::of_kind(Kind::StatefulSet, &manifest).unwrap() else { panic!() };
    let owner = history::Owner { kind: Kind::StatefulSet, meta: &set.meta, template: &set.template };
    let revision = history::newest(owner, &[], 0, |_| None).revision;
    let pod = kubesim::controllers::stateful_set::identity::new_pod(&set, &set.template, &revision, 2);
    let label = |key: &Name| pod.meta.labels.get(key).map(Name::as_str);
    assert_eq!((label(&keys::POD_NAME), label(&keys::POD_INDEX)), (Some("db-2"), Some("2")));
    assert_eq!(label(&keys::REVISION_HASH), Some(revision.meta.name.as_str()));
    let json = kubesim::wire::encode::object(&pod.into_object());
    assert_eq!((&json["spec"]["hostname"], &json["spec"]["subdomain"]), (&json!("db-2"), &json!("db")));
    let volumes = json!([{"name": "data", "persistentVolumeClaim": {"claimName": "data-db-2"}},
        {"name": "tmp", "emptyDir": {}}]);
    assert_eq!(json["spec"]["volumes"], volumes, "a volume of the claim's name gives way");
    let claim = kubesim::controllers::stateful_set::identity::claims(&set, 2).remove(0).into_object();
    let json = kubesim::wire::encode::object(&claim);
    assert_eq!(
        json["metadata"],
        json!({"name": "data-db-2", "namespace": "shop", "labels": {"app": "db", "tier": "gold"}})
    );
}
