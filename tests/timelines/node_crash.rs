//! The milestones of a node that stops and comes back.

use super::recording::{Mark, Op, Row};
use super::steps::{Step, Steps, ends};
use serde_json::Value;
use std::collections::BTreeMap;

/// `DefaultTolerationSeconds`: how long a pod without own tolerations stays on a node that is gone.
const DEFAULT_TOLERATION_SECONDS: f64 = 300.0;

/// One crash and, if it happened, the return.
struct Cycle<'a> {
    node: &'a str,
    crash: f64,
    recover: Option<f64>,
    /// The beginning of the next crash.
    end: f64,
}

fn cycles(marks: &[Mark]) -> Vec<Cycle<'_>> {
    let begins: Vec<usize> = (0..marks.len()).filter(|at| marks[*at].mark.starts_with("crash")).collect();
    let cycle = |(n, at): (usize, &usize)| {
        let next = begins.get(n + 1).copied().unwrap_or(marks.len());
        let back = marks[*at..next].iter().find(|mark| mark.mark.starts_with("recover"));
        Cycle {
            node: &marks[*at].detail,
            crash: marks[*at].t,
            recover: back.map(|mark| mark.t),
            end: begins.get(n + 1).map_or(f64::MAX, |next| marks[*next].t),
        }
    };
    begins.iter().enumerate().map(cycle).collect()
}

/// What is known of a pod from its rows.
#[derive(Clone, Default, Debug)]
pub struct PodTimes {
    pub owner: String,
    pub node: String,
    pub added: f64,
    pub scheduled: Option<f64>,
    /// When its Ready condition became True or stopped being True.
    pub ready: Vec<(f64, bool)>,
    pub deleting: Option<f64>,
    pub gone: Option<f64>,
    /// When one of its endpoints became ready or stopped being ready.
    pub endpoint: Vec<(f64, bool)>,
}

/// All pods by name, in order of creation. A name that comes back (StatefulSets) is two pods.
pub fn pods(rows: &[Row]) -> Vec<(String, PodTimes)> {
    let mut all: Vec<(String, PodTimes)> = Vec::new();
    let mut current: BTreeMap<String, usize> = BTreeMap::new();
    for row in rows {
        if let Some(pod) = row.field.strip_prefix("ep:") {
            let ready = row.new.starts_with("ready=true");
            if let Some(at) = current.get(pod)
                && (ready || row.old.starts_with("ready=true"))
            {
                all[*at].1.endpoint.push((row.t, ready));
            }
            continue;
        }
        if row.kind != "Pod" {
            continue;
        }
        if row.whole("Pod", Op::Add) {
            current.insert(row.name.clone(), all.len());
            all.push((row.name.clone(), PodTimes { added: row.t, ..PodTimes::default() }));
        }
        let Some(at) = current.get(&row.name) else { continue };
        let pod = &mut all[*at].1;
        match (row.op, row.field.as_str()) {
            (Op::Delete, _) => pod.gone = Some(row.t),
            (_, "owner") => pod.owner = row.new.clone(),
            (_, "node") => (pod.node, pod.scheduled) = (row.new.clone(), Some(row.t)),
            (_, "deletionTimestamp") => pod.deleting = pod.deleting.or(Some(row.t)),
            (_, "ready") if row.new == "True" || row.old == "True" => pod.ready.push((row.t, row.new == "True")),
            _ => {}
        }
    }
    all
}

/// All milestones of all crashes, from what changed and what the driver did.
pub fn steps(rows: &[Row], marks: &[Mark], manifests: &[Value]) -> Vec<Step> {
    let pods = pods(rows);
    let mut out = Vec::new();
    for (number, cycle) in cycles(marks).iter().enumerate() {
        let mut steps = Steps { cycle: number, out: &mut out };
        crash_steps(&mut steps, cycle, rows, &pods, manifests);
        recovery_steps(&mut steps, cycle, rows, &pods);
    }
    out
}

fn crash_steps(steps: &mut Steps, cycle: &Cycle, rows: &[Row], pods: &[(String, PodTimes)], manifests: &[Value]) {
    let until = cycle.recover.unwrap_or(cycle.end);
    let during = |t: f64| t >= cycle.crash && t < until;
    let node_row = |row: &&Row| row.kind == "Node" && row.name == cycle.node && during(row.t);
    let unknown =
        rows.iter().filter(node_row).find(|row| row.field == "Ready" && row.new == "Unknown").map(|row| row.t);
    let tainted = |effect: &str| {
        let taint = format!("unreachable:{effect}");
        let row = rows.iter().filter(node_row).find(|row| row.field == "taints" && row.new.contains(&taint));
        row.map(|row| row.t)
    };
    let no_execute = tainted("NoExecute");
    steps.add("crash -> node Ready=Unknown", Some(cycle.crash), unknown);
    steps.add("Unknown -> taint NoSchedule", unknown, tainted("NoSchedule"));
    steps.add("Unknown -> taint NoExecute", unknown, no_execute);

    let there = |pod: &PodTimes| pod.node == cycle.node && pod.scheduled.is_some_and(|t| t < cycle.crash);
    let here: Vec<&PodTimes> = pods
        .iter()
        .map(|(_, pod)| pod)
        .filter(|pod| there(pod) && pod.gone.is_none_or(|t| t > cycle.crash) && !before(pod.deleting, cycle.crash))
        .collect();
    let lost = |changes: &[(f64, bool)]| changes.iter().find(|(t, on)| during(*t) && !on).map(|(t, _)| *t);
    let was_on =
        |changes: &[(f64, bool)]| changes.iter().rev().find(|(t, _)| *t < cycle.crash).is_some_and(|(_, on)| *on);
    let (first, last) = ends(here.iter().filter(|pod| was_on(&pod.ready)).filter_map(|pod| lost(&pod.ready)));
    if here.iter().any(|pod| was_on(&pod.ready)) {
        steps.add("Unknown -> first pod Ready=False", unknown, first);
        steps.add("Unknown -> last pod Ready=False", unknown, last);
    }
    let (first, last) = ends(here.iter().filter(|pod| was_on(&pod.endpoint)).filter_map(|pod| lost(&pod.endpoint)));
    if here.iter().any(|pod| was_on(&pod.endpoint)) {
        steps.add("Unknown -> first endpoint ready=false", unknown, first);
        steps.add("Unknown -> last endpoint ready=false", unknown, last);
    }
    let mut owners: Vec<&String> = here.iter().map(|pod| &pod.owner).collect();
    owners.sort();
    owners.dedup();
    for owner in owners {
        let victims: Vec<&PodTimes> = here.iter().copied().filter(|pod| pod.owner == *owner).collect();
        let Some(seconds) = toleration_seconds(owner, manifests) else { continue };
        let due = no_execute.map(|t| t + seconds);
        // A second of slack: whoever is due right before the return may or may not go.
        if due.is_some_and(|due| due + 1.0 < until) {
            eviction_steps(steps, owner, due, until, &victims, pods);
        }
    }
}

fn before(time: Option<f64>, limit: f64) -> bool {
    time.is_some_and(|t| t < limit)
}

/// From the moment the toleration of one owner's pods ends to full strength.
fn eviction_steps(
    steps: &mut Steps,
    owner: &str,
    due: Option<f64>,
    until: f64,
    victims: &[&PodTimes],
    pods: &[(String, PodTimes)],
) {
    let kind = owner.split('/').next().unwrap_or_default();
    let key = |text: &str| format!("{kind}: {text}");
    let marked = victims.iter().filter_map(|pod| pod.deleting).filter(|t| *t < until);
    let (first, last) = ends(marked);
    steps.of(&key("tolerationSeconds after NoExecute -> first pod deletionTimestamp"), owner, due, first);
    steps.of(&key("tolerationSeconds after NoExecute -> last pod deletionTimestamp"), owner, due, last);
    // A StatefulSet waits for the node; only its return brings the replacement.
    if kind == "StatefulSet" || first.is_none() {
        return;
    }
    let replaces = |pod: &&PodTimes| pod.owner == owner && first.is_some_and(|t| pod.added >= t) && pod.added < until;
    let mut replacements: Vec<&PodTimes> = pods.iter().map(|(_, pod)| pod).filter(replaces).collect();
    replacements.truncate(victims.len());
    let (created, created_last) = ends(replacements.iter().map(|pod| pod.added));
    let all_there = created_last.filter(|_| replacements.len() == victims.len());
    steps.of(&key("deletionTimestamp -> first replacement created"), owner, first, created);
    steps.of(&key("last deletionTimestamp -> last replacement created"), owner, last, all_there);
    for pod in replacements {
        let ready = pod.ready.iter().find(|(_, on)| *on).map(|(t, _)| *t);
        steps.of(&key("replacement created -> scheduled"), owner, Some(pod.added), pod.scheduled);
        steps.of(&key("replacement scheduled -> Ready"), owner, pod.scheduled, ready);
        if kind == "ReplicaSet" {
            let endpoint = pod.endpoint.iter().find(|(_, on)| *on).map(|(t, _)| *t);
            steps.of(&key("replacement Ready -> endpoint ready"), owner, ready, endpoint);
        }
    }
}

fn recovery_steps(steps: &mut Steps, cycle: &Cycle, rows: &[Row], pods: &[(String, PodTimes)]) {
    let Some(back) = cycle.recover else { return };
    let after = |t: f64| t >= back && t < cycle.end;
    let node_row = |row: &&Row| row.kind == "Node" && row.name == cycle.node && after(row.t);
    let ready = rows.iter().filter(node_row).find(|row| row.field == "Ready" && row.new == "True").map(|row| row.t);
    let untainted = |effect: &str| {
        let taint = format!("unreachable:{effect}");
        let gone = |row: &&Row| row.field == "taints" && row.old.contains(&taint) && !row.new.contains(&taint);
        rows.iter().filter(node_row).find(gone).map(|row| row.t)
    };
    steps.add("recover -> node Ready=True", Some(back), ready);
    steps.add("recover -> taint NoSchedule gone", Some(back), untainted("NoSchedule"));
    steps.add("recover -> taint NoExecute gone", Some(back), untainted("NoExecute"));
    let there = |pod: &&PodTimes| pod.node == cycle.node && before(pod.scheduled, back) && !before(pod.gone, back);
    let here: Vec<&PodTimes> = pods.iter().map(|(_, pod)| pod).filter(there).collect();
    let ending: Vec<&&PodTimes> = here.iter().filter(|pod| before(pod.deleting, back)).collect();
    if !ending.is_empty() {
        let gone = ends(ending.iter().filter_map(|pod| pod.gone)).1;
        let all_gone = gone.filter(|_| ending.iter().all(|pod| pod.gone.is_some()));
        steps.add("recover -> last terminating pod gone", Some(back), all_gone);
    }
    // Those that were there all the time and lost only their readiness.
    let survivors: Vec<&&PodTimes> = here
        .iter()
        .filter(|pod| {
            pod.deleting.is_none_or(|t| t > cycle.end)
                && pod.ready.iter().rev().find(|(t, _)| *t < back).is_some_and(|(_, on)| !on)
        })
        .collect();
    if !survivors.is_empty() {
        let again = |pod: &&&PodTimes| pod.ready.iter().find(|(t, on)| after(*t) && *on).map(|(t, _)| *t);
        let (first, last) = ends(survivors.iter().filter_map(again));
        steps.add("recover -> first surviving pod Ready", Some(back), first);
        steps.add("recover -> last surviving pod Ready", Some(back), last);
    }
}

/// How long the pods of `owner` tolerate `unreachable:NoExecute`; nothing if for ever.
fn toleration_seconds(owner: &str, manifests: &[Value]) -> Option<f64> {
    let (kind, name) = owner.split_once('/')?;
    if kind == "DaemonSet" {
        return None;
    }
    let manifest = manifests.iter().find(|value| {
        let manifest_name = value["metadata"]["name"].as_str().unwrap_or_default();
        let wanted = if kind == "ReplicaSet" { "Deployment" } else { kind };
        value["kind"] == wanted && (name == manifest_name || parent(name) == manifest_name)
    })?;
    let tolerations = manifest.pointer("/spec/template/spec/tolerations").and_then(Value::as_array);
    let matches = |toleration: &&Value| {
        let covers = |field: &str, wanted: &str| toleration[field].is_null() || toleration[field] == wanted;
        covers("key", "node.kubernetes.io/unreachable") && covers("effect", "NoExecute")
    };
    match tolerations.and_then(|all| all.iter().find(matches)) {
        None => Some(DEFAULT_TOLERATION_SECONDS),
        Some(toleration) => toleration["tolerationSeconds"].as_f64(),
    }
}

/// The deployment of a replica set: its name without the template hash.
fn parent(replica_set: &str) -> &str {
    replica_set.rsplit_once('-').map_or(replica_set, |(name, _)| name)
}
