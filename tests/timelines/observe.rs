//! Our change log in the form of the recordings.

use super::recording::{Op, Row};
use kubesim::model::condition::find;
use kubesim::model::workload::keys;
use kubesim::model::{Condition, Meta, Object, sets};
use kubesim::runtime::Observer;
use kubesim::store::{Change, Store, Verb};
use kubesim::time::SimTime;
use std::cell::RefCell;
use std::rc::Rc;

/// Writes one row for each changed field, with times counted from `zero`.
pub struct Recorder {
    pub zero: SimTime,
    pub rows: Rc<RefCell<Vec<Row>>>,
}

impl Observer for Recorder {
    fn change(&mut self, change: &Change, _: &Store) {
        let fields = |object: &Option<Object>| object.as_ref().map(fields).unwrap_or_default();
        let (old, new) = (fields(&change.old), fields(&change.new));
        let row = |op: Op, field: &str, old: &str, new: &str| Row {
            t: (change.time - self.zero).as_secs_f64(),
            kind: change.key.kind.as_str().to_string(),
            namespace: change.key.namespace.to_string(),
            name: change.key.name.to_string(),
            op,
            field: field.to_string(),
            old: old.to_string(),
            new: new.to_string(),
        };
        let op = match change.verb {
            Verb::Added => Op::Add,
            Verb::Modified => Op::Modify,
            Verb::Deleted => return self.rows.borrow_mut().push(row(Op::Delete, "", "", "")),
        };
        let mut rows = self.rows.borrow_mut();
        if op == Op::Add {
            rows.push(row(op, "", "", ""));
        }
        let value = |fields: &Fields, name: &str| {
            fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.clone()).unwrap_or_default()
        };
        for (field, now) in &new {
            let before = value(&old, field);
            if before != *now {
                rows.push(row(op, field, &before, now));
            }
        }
        for (field, before) in old.iter().filter(|(field, _)| !new.iter().any(|(have, _)| have == field)) {
            rows.push(row(op, field, before, ""));
        }
    }
}

type Fields = Vec<(String, String)>;

fn fields(object: &Object) -> Fields {
    let mut out: Fields = Vec::new();
    let mut add = |name: &str, value: String| out.push((name.to_string(), value));
    match object {
        Object::Pod(pod) => {
            add("node", pod.node.as_deref().unwrap_or_default().to_string());
            add("phase", pod.status.phase.as_str().to_string());
            add("ready", truth(&pod.status.conditions, "Ready"));
            add("deletionTimestamp", pod.meta.deletion.map_or("", |_| "set").to_string());
            let target = find(&pod.status.conditions, "DisruptionTarget");
            add("disruptionTarget", target.map(|target| target.reason.to_string()).unwrap_or_default());
            add("scheduled", truth_and_reason(&pod.status.conditions, "PodScheduled"));
            add("nominated", pod.status.nominated_node.as_deref().unwrap_or_default().to_string());
            add("restarts", pod.restarts().to_string());
            add("owner", owner(&pod.meta));
            let labels = &pod.meta.labels;
            let hash = labels.get(&keys::POD_TEMPLATE_HASH).or(labels.get(&sets::keys::REVISION_HASH));
            add("hash", hash.map(|hash| hash.to_string()).unwrap_or_default());
        }
        Object::Node(node) => {
            add("Ready", truth(&node.conditions, "Ready"));
            let short = |key: &str| key.trim_start_matches("node.kubernetes.io/").to_string();
            let mut taints: Vec<String> =
                node.taints.iter().map(|taint| format!("{}:{}", short(&taint.key), taint.effect.as_str())).collect();
            taints.sort();
            add("taints", taints.join(";"));
            add("zone", node.zone().to_string());
            add("unschedulable", node.unschedulable.to_string());
        }
        Object::Lease(lease) if lease.meta.namespace == "kube-system" => {
            add("holder", lease.holder.to_string());
            add("transitions", lease.transitions.to_string());
        }
        Object::EndpointSlice(slice) => {
            for endpoint in slice.endpoints.iter() {
                let state = (endpoint.ready, endpoint.serving, endpoint.terminating);
                let text = format!("ready={} serving={} terminating={}", state.0, state.1, state.2);
                add(&format!("ep:{}", endpoint.pod), text);
            }
        }
        Object::Deployment(deployment) => {
            let status = &deployment.status;
            add("deletionTimestamp", deployment.meta.deletion.map_or("", |_| "set").to_string());
            add("generation", deployment.meta.generation.to_string());
            add("observedGeneration", status.observed_generation.to_string());
            add("spec.replicas", deployment.replicas.to_string());
            let counts = [("replicas", status.replicas), ("updated", status.updated), ("ready", status.ready)];
            for (name, count) in counts.into_iter().chain([("available", status.available)]) {
                add(name, count.to_string());
            }
            add("cond:Progressing", truth_and_reason(&status.conditions, "Progressing"));
            add("cond:Available", truth_and_reason(&status.conditions, "Available"));
        }
        Object::StatefulSet(set) => {
            let status = &set.status;
            add("spec.replicas", set.replicas.to_string());
            let counts = [("replicas", status.replicas), ("current", status.current), ("updated", status.updated)];
            for (name, count) in counts.into_iter().chain([("ready", status.ready), ("available", status.available)]) {
                add(name, count.to_string());
            }
            add("currentRevision", status.current_revision.to_string());
            add("updateRevision", status.update_revision.to_string());
        }
        Object::DaemonSet(set) => {
            let status = &set.status;
            let counts = [("desired", status.desired), ("current", status.current), ("updated", status.updated)];
            let more =
                [("misscheduled", status.misscheduled), ("ready", status.ready), ("available", status.available)];
            for (name, count) in counts.into_iter().chain(more).chain([("unavailable", status.unavailable)]) {
                add(name, count.to_string());
            }
        }
        Object::ReplicaSet(set) => {
            add("owner", owner(&set.meta));
            let revision = set.meta.annotations.get(&keys::REVISION);
            add("revision", revision.map(|revision| revision.to_string()).unwrap_or_default());
            add("spec.replicas", set.replicas.to_string());
            let status = &set.status;
            for (name, count) in
                [("replicas", status.replicas), ("ready", status.ready), ("available", status.available)]
            {
                add(name, count.to_string());
            }
        }
        Object::HorizontalPodAutoscaler(autoscaler) => {
            let status = &autoscaler.status;
            add("current", status.current.to_string());
            add("desired", status.desired.to_string());
            for kind in ["AbleToScale", "ScalingActive", "ScalingLimited"] {
                add(&format!("cond:{kind}"), truth_and_reason(&status.conditions, kind));
            }
            let utilization = status.metrics.first().copied().flatten().and_then(|metric| metric.utilization);
            add("utilization", utilization.map(|percent| percent.to_string()).unwrap_or_default());
        }
        Object::PodDisruptionBudget(budget) => {
            let status = &budget.status;
            add("allowed", status.disruptions_allowed.to_string());
            add("currentHealthy", status.current_healthy.to_string());
            add("desiredHealthy", status.desired_healthy.to_string());
            add("expected", status.expected_pods.to_string());
            add("disruptedPods", status.disrupted.len().to_string());
        }
        Object::Job(job) => {
            let status = &job.status;
            for (name, count) in [("active", status.active), ("succeeded", status.succeeded), ("failed", status.failed)]
            {
                add(name, count.to_string());
            }
            for condition in &status.conditions {
                add(&format!("cond:{}", condition.kind), format!("{} {}", condition.status.as_str(), condition.reason));
            }
        }
        Object::Event(event) => {
            let kind = if event.warning { "Warning" } else { "Normal" };
            let regarding = format!("{}/{}", event.regarding.kind, event.regarding.name);
            add("event", [&regarding, kind, &event.reason, &event.source, &event.message].join("|"));
            add("count", event.count.to_string());
        }
        _ => {}
    }
    out
}

fn truth(conditions: &[Condition], kind: &str) -> String {
    find(conditions, kind).map_or("", |condition| condition.status.as_str()).to_string()
}

fn truth_and_reason(conditions: &[Condition], kind: &str) -> String {
    find(conditions, kind)
        .map(|condition| format!("{} {}", condition.status.as_str(), condition.reason))
        .unwrap_or_default()
}

fn owner(meta: &Meta) -> String {
    meta.controller().map(|owner| format!("{}/{}", owner.kind, owner.name)).unwrap_or_default()
}
