//! `sim trace`: what happened, one line a change: when, what, who, and which fields changed from what to what.
//!
//! ```text
//!    2:45.070  node/large-0  Ready True → Unknown (NodeStatusUnknown)  [node-lifecycle-controller]
//! ```

use super::text::{clean, instant};
use crate::model::batch::{CronJob, Job, JobStatus};
use crate::model::core::{Event, Incident, Lease};
use crate::model::service::{Endpoint, EndpointSlice};
use crate::model::workload::ReplicaSetStatus;
use crate::model::{Condition, ContainerState, DaemonSet, Deployment, Key, Machine, Node, Object, Pod, PodTemplate};
use crate::model::{CustomResourceDefinition, PersistentVolume, PersistentVolumeClaim, VolumeAttachment};
use crate::model::{ReplicaSet, ReplicationController, StatefulSet, Taint};
use crate::store::{Change, Verb};
use crate::time::SimTime;
use std::sync::Arc;

/// The line of a change.
pub fn line(change: &Change) -> String {
    let text = clean(&words(change));
    let subject = match change.object() {
        Object::Event(event) => &event.regarding,
        _ => &change.key,
    };
    format!("{:>12}  {}  {text}  [{}]", instant(change.time), name(subject), change.writer)
}

/// `pod/web-1`, or `pod/shop/web-1` outside of namespace `default`.
fn name(key: &Key) -> String {
    let kind = key.kind.as_str().to_lowercase();
    match key.namespace.as_str() {
        "" | "default" => format!("{kind}/{}", key.name),
        namespace => format!("{kind}/{namespace}/{}", key.name),
    }
}

fn words(change: &Change) -> String {
    if change.verb == Verb::Deleted {
        let event = matches!(change.object(), Object::Event(_));
        return if event { "an event expires" } else { "gone" }.to_string();
    }
    let mut parts = Vec::new();
    let (old, new) = (change.old.as_ref(), change.object());
    let deletion = |object: &Object| object.meta().deletion;
    if let (Some(old), Some(mark)) = (old, deletion(new))
        && deletion(old).is_none()
    {
        parts.push(format!("deletion asked for, {} s of grace", mark.grace_seconds));
    }
    match new {
        Object::Pod(new) => pod(old.and_then(Object::pod).map(|pod| &**pod), new, &mut parts),
        Object::Node(new) => node(old.and_then(Object::node).map(|node| &**node), new, &mut parts),
        Object::Deployment(new) => deployment(old.and_then(Object::as_kind).map(|old| &**old), new, &mut parts),
        Object::ReplicaSet(new) => replica_set(old.and_then(Object::as_kind).map(|old| &**old), new, &mut parts),
        Object::StatefulSet(new) => stateful_set(old.and_then(Object::as_kind).map(|old| &**old), new, &mut parts),
        Object::DaemonSet(new) => daemon_set(old.and_then(Object::as_kind).map(|old| &**old), new, &mut parts),
        Object::ReplicationController(new) => {
            let old: Option<&ReplicationController> = old.and_then(Object::as_kind).map(|old| &**old);
            turn(&mut parts, "replicas", old.map(|old| old.replicas), new.replicas);
            old.into_iter().for_each(|old| replica_status(&old.status, &new.status, &mut parts));
        }
        Object::Job(new) => job(old.and_then(Object::as_kind).map(|old| &**old), new, &mut parts),
        Object::CronJob(new) => cron_job(old.and_then(Object::as_kind).map(|old| &**old), new, &mut parts),
        Object::EndpointSlice(new) => slice(old.and_then(Object::as_kind).map(|old| &**old), new, &mut parts),
        Object::PersistentVolume(new) => volume(old.and_then(Object::as_kind).map(|old| &**old), new, &mut parts),
        Object::PersistentVolumeClaim(new) => claim(old.and_then(Object::as_kind).map(|old| &**old), new, &mut parts),
        Object::VolumeAttachment(new) => attachment(old.and_then(Object::as_kind).map(|old| &**old), new, &mut parts),
        Object::CustomResourceDefinition(new) => {
            let old: Option<&CustomResourceDefinition> = old.and_then(Object::as_kind).map(|old| &**old);
            conditions(old.map(|old| old.conditions.as_slice()), &new.conditions, &mut parts);
        }
        Object::Custom(new) => {
            if let Some(Object::Custom(old)) = old {
                super::trace_custom::fields(old, new, &mut parts);
            }
        }
        Object::Machine(new) => machine(old.and_then(Object::as_kind).map(|old| &**old), new, &mut parts),
        Object::Lease(new) => lease(old.and_then(Object::as_kind).map(|old| &**old), new, &mut parts),
        Object::Event(event) => return event_words(event),
        Object::Incident(incident) if old.is_none() => return incident.description.to_string(),
        Object::Incident(incident) => return incident_goes_on(old, incident),
        _ => {}
    }
    metadata(old, new, &mut parts);
    match (parts.is_empty(), change.verb) {
        (true, Verb::Added) => "created".to_string(),
        (true, _) => "changed".to_string(),
        (false, Verb::Added) => format!("created: {}", parts.join(", ")),
        (false, _) => parts.join(", "),
    }
}

/// What a command printed since, or that the incident is over.
fn incident_goes_on(old: Option<&Object>, new: &Incident) -> String {
    let known = old.and_then(Object::as_kind::<Incident>).map_or(0, |old| old.output.len());
    let printed: Vec<&str> = new.output.iter().skip(known).map(|(_, line)| line.trim()).collect();
    match printed.as_slice() {
        [] => super::text::ended(&new.fault, &new.description),
        lines => format!("prints: {}", lines.join(" ⏎ ")),
    }
}

fn event_words(event: &Event) -> String {
    let kind = if event.warning { "Warning" } else { "Normal" };
    let times = if event.count > 1 { format!(" (x{})", event.count) } else { String::new() };
    format!("event {kind} {}{times}: {}", event.reason, event.message)
}

/// Notes `what a → b` where the two differ.
fn turn<T: PartialEq + ToString>(parts: &mut Vec<String>, what: &str, old: Option<T>, new: T) {
    match old {
        None => parts.push(format!("{what} {}", new.to_string())),
        Some(old) if old != new => parts.push(format!("{what} {} → {}", old.to_string(), new.to_string())),
        Some(_) => {}
    }
}

/// Notes every number that changed.
fn turns<const N: usize>(counts: [(&str, i32, i32); N], parts: &mut Vec<String>) {
    for (what, before, after) in counts {
        turn(parts, what, Some(before), after);
    }
}

fn conditions(old: Option<&[Condition]>, new: &[Condition], parts: &mut Vec<String>) {
    let ready_first = new.iter().filter(|c| c.kind == "Ready").chain(new.iter().filter(|c| c.kind != "Ready"));
    for condition in ready_first {
        let before = old.and_then(|old| old.iter().find(|before| before.kind == condition.kind));
        if before.is_some_and(|before| (before.status, &before.reason) == (condition.status, &condition.reason)) {
            continue;
        }
        let why = if condition.reason.is_empty() { String::new() } else { format!(" ({})", condition.reason) };
        let from = before.filter(|before| before.status != condition.status);
        let from = from.map(|before| format!("{} → ", before.status.as_str())).unwrap_or_default();
        parts.push(format!("{} {from}{}{why}", condition.kind, condition.status.as_str()));
    }
}

fn metadata(old: Option<&Object>, new: &Object, parts: &mut Vec<String>) {
    let Some(old) = old.map(Object::meta) else { return };
    let new = new.meta();
    for (what, before, after) in
        [("label", &old.labels, &new.labels), ("annotation", &old.annotations, &new.annotations)]
    {
        for (key, value) in after.iter().filter(|(key, value)| before.get(key) != Some(value)) {
            let value: String = value.chars().take(40).collect();
            parts.push(format!("{what} {key}={value}"));
        }
        parts.extend(
            before.iter().filter(|(key, _)| after.get(key).is_none()).map(|(key, _)| format!("{what} {key} removed")),
        );
    }
    let gone = old.finalizers.iter().filter(|finalizer| !new.finalizers.contains(finalizer));
    parts.extend(gone.map(|finalizer| format!("finalizer {finalizer} removed")));
    parts.extend(
        new.finalizers.iter().filter(|finalizer| !old.finalizers.contains(finalizer)).map(|f| format!("finalizer {f}")),
    );
}

fn pod(old: Option<&Pod>, new: &Pod, parts: &mut Vec<String>) {
    if let (Some(node), true) = (&new.node, old.is_none_or(|old| old.node.is_none())) {
        parts.push(format!("bound to {node}"));
    }
    if old.is_some_and(|old| old.status.nominated_node != new.status.nominated_node) {
        parts.push(format!("nominated to {}", new.status.nominated_node.as_deref().unwrap_or("nowhere")));
    }
    turn(parts, "phase", old.map(|old| old.status.phase.as_str()), new.status.phase.as_str());
    let all = |pod: &Pod| pod.status.init_containers.iter().chain(&pod.status.containers).cloned().collect::<Vec<_>>();
    let before = old.map(all).unwrap_or_default();
    for container in all(new) {
        let was = before.iter().find(|was| was.name == container.name);
        turn(parts, &container.name, was.map(|was| state(&was.state)), state(&container.state));
        if let Some(was) = was.filter(|was| was.restart_count != container.restart_count) {
            parts.push(format!("{} restarts {} → {}", container.name, was.restart_count, container.restart_count));
        }
    }
    conditions(old.map(|old| old.status.conditions.as_slice()), &new.status.conditions, parts);
    let read = old.map(|old| old.status.config.as_slice()).unwrap_or_default();
    for seen in new.status.config.iter().filter(|seen| !read.contains(seen)) {
        let kind = seen.kind.as_str().to_lowercase();
        parts.push(format!("{} reads {kind}/{} at version {}", seen.reader, seen.name, seen.revision));
    }
}

fn state(state: &ContainerState) -> String {
    match state {
        ContainerState::Waiting { reason, .. } => format!("waiting ({reason})"),
        ContainerState::Running { .. } => "running".to_string(),
        ContainerState::Terminated(ended) => format!("ended ({}, exit code {})", ended.reason, ended.exit_code),
    }
}

fn node(old: Option<&Node>, new: &Node, parts: &mut Vec<String>) {
    conditions(old.map(|old| old.conditions.as_slice()), &new.conditions, parts);
    let taint = |taint: &Taint| format!("{}:{}", taint.key, taint.effect.as_str());
    let before: Vec<String> = old.map(|old| old.taints.iter().map(taint).collect()).unwrap_or_default();
    let after: Vec<String> = new.taints.iter().map(taint).collect();
    parts.extend(after.iter().filter(|taint| !before.contains(taint)).map(|taint| format!("taint {taint} added")));
    parts.extend(before.iter().filter(|taint| !after.contains(taint)).map(|taint| format!("taint {taint} removed")));
    if let Some(old) = old {
        turn(parts, "unschedulable", Some(old.unschedulable), new.unschedulable);
        turn(parts, "images", Some(old.images.len()), new.images.len());
        turn(parts, "volumes attached", Some(old.volumes_attached.len()), new.volumes_attached.len());
        turn(parts, "volumes in use", Some(old.volumes_in_use.len()), new.volumes_in_use.len());
    }
}

/// Bytes in the largest unit that leaves no rest.
fn bytes(amount: i64) -> String {
    crate::model::quantity::Quantity::bytes(amount).to_string()
}

fn volume(old: Option<&PersistentVolume>, new: &PersistentVolume, parts: &mut Vec<String>) {
    let promised = |volume: &PersistentVolume| {
        let claim = volume.claim.as_ref();
        claim.map_or("nobody".to_string(), |claim| format!("{}/{}", claim.namespace, claim.name))
    };
    turn(parts, "promised to", old.map(promised), promised(new));
    turn(parts, "capacity", old.map(|old| bytes(old.capacity)), bytes(new.capacity));
    turn(parts, "phase", old.map(|old| old.phase.as_str()), new.phase.as_str());
    if old.is_some_and(|old| old.message != new.message) && !new.message.is_empty() {
        parts.push(new.message.to_string());
    }
}

fn claim(old: Option<&PersistentVolumeClaim>, new: &PersistentVolumeClaim, parts: &mut Vec<String>) {
    turn(parts, "asks for", old.map(|old| bytes(old.request)), bytes(new.request));
    if old.is_none_or(|old| old.volume != new.volume) && !new.volume.is_empty() {
        parts.push(format!("volume {}", new.volume));
    }
    turn(parts, "phase", old.map(|old| old.phase.as_str()), new.phase.as_str());
    if let Some(old) = old {
        turn(parts, "capacity", Some(bytes(old.capacity)), bytes(new.capacity));
    }
}

fn lease(old: Option<&Lease>, new: &Lease, parts: &mut Vec<String>) {
    match (old.map(|old| &old.holder), new.holder.as_str()) {
        (Some(before), now) if before == now => {}
        (None, "") => {}
        (Some(_), "") => parts.push("given back".to_string()),
        (_, now) => parts.push(format!("held by {now}")),
    }
}

fn attachment(old: Option<&VolumeAttachment>, new: &VolumeAttachment, parts: &mut Vec<String>) {
    if old.is_none() {
        parts.push(format!("volume {} to {}", new.volume, new.node));
    }
    turn(parts, "attached", old.map(|old| old.attached), new.attached);
    for (what, before, after) in [
        ("attach error", old.map(|old| &old.attach_error), &new.attach_error),
        ("detach error", old.map(|old| &old.detach_error), &new.detach_error),
    ] {
        if before != Some(after) && !after.is_empty() {
            parts.push(format!("{what}: {after}"));
        }
    }
}

fn deployment(old: Option<&Deployment>, new: &Deployment, parts: &mut Vec<String>) {
    turn(parts, "replicas", old.map(|old| old.replicas), new.replicas);
    turn(parts, "image", old.map(|old| image(&old.template)), image(&new.template));
    let Some(old) = old else { return };
    if old.template != new.template && image(&old.template) == image(&new.template) {
        parts.push("template changed".to_string());
    }
    turn(parts, "paused", Some(old.paused), new.paused);
    let (a, b) = (&old.status, &new.status);
    let counts = [
        ("pods", a.replicas, b.replicas),
        ("updated", a.updated, b.updated),
        ("ready", a.ready, b.ready),
        ("available", a.available, b.available),
    ];
    turns(counts, parts);
    turn(parts, "observed generation", Some(a.observed_generation), b.observed_generation);
    conditions(Some(&a.conditions), &b.conditions, parts);
}

fn replica_set(old: Option<&ReplicaSet>, new: &ReplicaSet, parts: &mut Vec<String>) {
    turn(parts, "replicas", old.map(|old| old.replicas), new.replicas);
    old.into_iter().for_each(|old| replica_status(&old.status, &new.status, parts));
}

fn stateful_set(old: Option<&StatefulSet>, new: &StatefulSet, parts: &mut Vec<String>) {
    turn(parts, "replicas", old.map(|old| old.replicas), new.replicas);
    turn(parts, "image", old.map(|old| image(&old.template)), image(&new.template));
    let Some(old) = old else { return };
    let (a, b) = (&old.status, &new.status);
    let counts = [
        ("pods", a.replicas, b.replicas),
        ("current", a.current, b.current),
        ("updated", a.updated, b.updated),
        ("ready", a.ready, b.ready),
        ("available", a.available, b.available),
    ];
    turns(counts, parts);
    turn(parts, "current revision", Some(&a.current_revision), &b.current_revision);
    turn(parts, "update revision", Some(&a.update_revision), &b.update_revision);
    turn(parts, "observed generation", Some(a.observed_generation), b.observed_generation);
}

fn daemon_set(old: Option<&DaemonSet>, new: &DaemonSet, parts: &mut Vec<String>) {
    turn(parts, "image", old.map(|old| image(&old.template)), image(&new.template));
    let Some(old) = old else { return };
    let (a, b) = (&old.status, &new.status);
    let counts = [
        ("desired", a.desired, b.desired),
        ("current", a.current, b.current),
        ("misscheduled", a.misscheduled, b.misscheduled),
        ("updated", a.updated, b.updated),
        ("ready", a.ready, b.ready),
        ("available", a.available, b.available),
    ];
    turns(counts, parts);
    turn(parts, "observed generation", Some(a.observed_generation), b.observed_generation);
}

fn image(of: &PodTemplate) -> String {
    of.spec.containers.first().map(|container| container.image.to_string()).unwrap_or_default()
}

fn replica_status(a: &ReplicaSetStatus, b: &ReplicaSetStatus, parts: &mut Vec<String>) {
    let counts =
        [("pods", a.replicas, b.replicas), ("ready", a.ready, b.ready), ("available", a.available, b.available)];
    turns(counts, parts);
    turn(parts, "observed generation", Some(a.observed_generation), b.observed_generation);
    conditions(Some(&a.conditions), &b.conditions, parts);
}

fn job(old: Option<&Job>, new: &Job, parts: &mut Vec<String>) {
    turn(parts, "parallelism", old.map(|old| old.spec.parallelism), new.spec.parallelism);
    turn(parts, "suspended", old.map(|old| old.spec.suspend), new.spec.suspend);
    let Some(old) = old else { return };
    let (a, b) = (&old.status, &new.status);
    let uncounted = |status: &JobStatus| status.uncounted.as_ref().map_or(0, |uncounted| uncounted.len() as i32);
    let counts = [
        ("active", a.active, b.active),
        ("ready", a.ready.unwrap_or(0), b.ready.unwrap_or(0)),
        ("terminating", a.terminating.unwrap_or(0), b.terminating.unwrap_or(0)),
        ("uncounted", uncounted(a), uncounted(b)),
        ("succeeded", a.succeeded, b.succeeded),
        ("failed", a.failed, b.failed),
    ];
    turns(counts, parts);
    turn(parts, "completed indexes", Some(&a.completed_indexes), &b.completed_indexes);
    let failed = |status: &JobStatus| status.failed_indexes.clone().unwrap_or_default();
    turn(parts, "failed indexes", Some(failed(a)), failed(b));
    conditions(Some(&a.conditions), &b.conditions, parts);
}

fn cron_job(old: Option<&CronJob>, new: &CronJob, parts: &mut Vec<String>) {
    turn(parts, "schedule", old.map(|old| &old.schedule), &new.schedule);
    turn(parts, "suspended", old.map(|old| old.suspend), new.suspend);
    let Some(old) = old else { return };
    let (a, b) = (&old.status, &new.status);
    turn(parts, "active jobs", Some(a.active.len()), b.active.len());
    let when = |at: Option<SimTime>| at.map_or("never".to_string(), SimTime::clock);
    turn(parts, "last schedule", Some(when(a.last_schedule)), when(b.last_schedule));
    turn(parts, "last success", Some(when(a.last_successful)), when(b.last_successful));
}

fn slice(old: Option<&EndpointSlice>, new: &EndpointSlice, parts: &mut Vec<String>) {
    let none: &[Arc<Endpoint>] = &[];
    let before = old.map_or(none, |old| &old.endpoints);
    let word = |endpoint: &Endpoint| match (endpoint.ready, endpoint.terminating) {
        (true, _) => "ready",
        (false, true) => "terminating",
        (false, false) => "not ready",
    };
    for endpoint in new.endpoints.iter() {
        let was = before.iter().find(|was| was.pod_uid == endpoint.pod_uid);
        match was {
            None => parts.push(format!("{} added, {}", endpoint.pod, word(endpoint))),
            Some(was) => turn(parts, &endpoint.pod, Some(word(was)), word(endpoint)),
        }
    }
    let kept = |gone: &&Arc<Endpoint>| !new.endpoints.iter().any(|endpoint| endpoint.pod_uid == gone.pod_uid);
    parts.extend(before.iter().filter(kept).map(|gone| format!("{} removed", gone.pod)));
}

fn machine(old: Option<&Machine>, new: &Machine, parts: &mut Vec<String>) {
    let power = |machine: &Machine| if machine.up { "up" } else { "down" };
    turn(parts, "machine", old.map(power), power(new));
    if let Some(old) = old {
        turn(parts, "boot", Some(old.boot), new.boot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::testing::node_crash;

    #[test]
    fn changes_read_as_sentences() {
        let lines: Vec<String> = node_crash().changes.iter().map(line).collect();
        for expected in [
            "   0:10.000  deployment/web  created: replicas 3, image web:1  [test]",
            "   0:10.500  pod/web-2  bound to b, PodScheduled True, label topology.kubernetes.io/zone=a  [scheduler]",
            "   0:12.500  pod/web-1  phase Pending → Running, c running, Ready False  [kubelet]",
            "   0:15.000  pod/web-1  Ready False → True  [kubelet]",
            "   1:00.000  machine/b  machine up → down  [faults]",
            "   1:00.000  incident/1  node b crashes  [faults]",
            "   1:40.000  node/b  Ready True → Unknown  [test]",
            "   1:40.100  node/b  taint node.kubernetes.io/unreachable:NoExecute added  [test]",
            "   1:40.200  endpointslice/web-slice  web-2 removed  [endpointslice-controller]",
            "   6:40.000  pod/web-2  deletion asked for, 30 s of grace  [test]",
        ] {
            assert!(
                lines.iter().any(|line| line.trim_start() == expected.trim_start()),
                "{expected}\n{}",
                lines.join("\n")
            );
        }
    }
}
