//! Decisions recorded from the real kube-scheduler, family by family: verdict, plugin and reasons per node,
//! raw, normalized and weighted scores, winners, messages, and whole sequences.
//!
//! Any folder of the recordings' form can be read: `KUBESIM_GOLDEN` names the folder above `scheduler/`.

use kubesim::model::{Kind, Name, Object, Pod};
use kubesim::rng::Seed;
use kubesim::scheduler::config;
use kubesim::scheduler::cycle::{Framework, Outcome, select_host};
use kubesim::scheduler::explain::Record;
use kubesim::scheduler::fit_error::FitError;
use kubesim::scheduler::nominated::Nominated;
use kubesim::scheduler::plugin::NodeId;
use kubesim::scheduler::preemption::{Candidate, Preemption};
use kubesim::scheduler::profile::Profile;
use kubesim::scheduler::snapshot::Snapshot;
use kubesim::time::SimTime;
use kubesim::wire::decode;
use kubesim::wire::places::Places;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

/// Families whose plugins all exist: they must agree in everything.
const COMPLETE: [&str; 15] = [
    "taints",
    "node-affinity",
    "resources",
    "host-ports",
    "scoring",
    "image-locality",
    "inter-pod-affinity",
    "topology-spread",
    "default-spread",
    "kitchen-sink",
    "sequences",
    "sequences-native",
    "preemption",
    "sequences-preemption",
    "volumes",
];

#[allow(clippy::disallowed_methods)] // The one place where a test is told where recordings are.
fn golden() -> PathBuf {
    std::env::var("KUBESIM_GOLDEN").map_or_else(|_| PathBuf::from("tests/golden"), PathBuf::from).join("scheduler")
}

fn cases(path: &PathBuf) -> Vec<Value> {
    let mut text = String::new();
    let file = std::fs::File::open(path).unwrap();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn golden_scheduler() {
    let mut files: Vec<PathBuf> = std::fs::read_dir(golden()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "gz"));
    files.sort();
    let mut failures = Vec::new();
    println!("{:<24} {:>6} {:>6}  first difference", "family", "cases", "agree");
    for file in files {
        let family = file.file_name().unwrap().to_string_lossy().replace(".jsonl.gz", "");
        let (mut agree, mut first) = (0, None);
        let all = cases(&file);
        for case in &all {
            match check(case) {
                Ok(()) => agree += 1,
                Err(difference) => {
                    first.get_or_insert_with(|| format!("{}: {difference}", case["id"].as_str().unwrap_or("?")));
                }
            }
        }
        println!("{family:<24} {:>6} {agree:>6}  {}", all.len(), first.clone().unwrap_or_default());
        if agree < all.len() && COMPLETE.iter().any(|complete| family == *complete) {
            failures.push(format!("{family}: {agree} of {}: {}", all.len(), first.unwrap_or_default()));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn check(case: &Value) -> Result<(), String> {
    match case.get("mode").and_then(Value::as_str) {
        None => check_decision(case),
        Some(mode) => check_sequence(case, mode),
    }
}

// ---- the cluster of a case ----

fn list<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    value.get(field).and_then(Value::as_array).into_iter().flatten()
}

fn of_kind(kind: Kind, value: &Value) -> Object {
    decode::of_kind(kind, value).unwrap_or_else(|errors| panic!("{kind}: {errors:?}: {value}"))
}

fn pod(value: &Value) -> Arc<Pod> {
    of_kind(Kind::Pod, value).pod().unwrap().clone()
}

/// What the scheduler knows beside nodes and pods.
const LISTED: [(&str, Kind); 10] = [
    ("namespaces", Kind::Namespace),
    ("services", Kind::Service),
    ("replicaSets", Kind::ReplicaSet),
    ("statefulSets", Kind::StatefulSet),
    ("replicationControllers", Kind::ReplicationController),
    ("podDisruptionBudgets", Kind::PodDisruptionBudget),
    ("persistentVolumes", Kind::PersistentVolume),
    ("persistentVolumeClaims", Kind::PersistentVolumeClaim),
    ("storageClasses", Kind::StorageClass),
    ("csiNodes", Kind::CSINode),
];

fn cluster(case: &Value) -> (Snapshot, Nominated) {
    let mut snapshot = Snapshot::default();
    for node in list(case, "nodes") {
        snapshot.set_node(of_kind(Kind::Node, node).node().unwrap());
    }
    for (field, kind) in LISTED {
        for value in list(case, field) {
            snapshot.listers.set(&of_kind(kind, value));
        }
    }
    for running in list(case, "pods") {
        let pod = pod(running);
        let info = snapshot.compile(&pod);
        snapshot.place(info, pod.node.as_ref().unwrap());
    }
    let mut nominated = Nominated::default();
    for waiting in list(case, "nominatedPods") {
        let pod = pod(waiting);
        nominated.add(&pod, pod.status.nominated_node.as_ref().unwrap());
    }
    (snapshot, nominated)
}

// ---- the profile of a case ----

/// The profile as the configuration reader makes it of the case's fragment; all nodes count.
fn profile(case: &Value) -> Profile {
    let read = match case.get("config") {
        None => Profile::default(),
        Some(config) => {
            let read = config::read(config, &Places::new("config", ""), Seed(1));
            read.unwrap_or_else(|problems| panic!("{}: {problems:?}", case["id"])).profiles.remove(0)
        }
    };
    Profile { percentage_of_nodes_to_score: 100, ..read }
}

// ---- one decision ----

fn same(what: &str, ours: &Value, theirs: &Value) -> Result<(), String> {
    match ours == theirs {
        true => Ok(()),
        false => Err(format!("{what}: ours {ours}, recorded {theirs}")),
    }
}

fn names(snapshot: &Snapshot, nodes: &[NodeId]) -> Value {
    nodes.iter().map(|node| json!(snapshot.name(*node).as_str())).collect()
}

fn check_decision(case: &Value) -> Result<(), String> {
    let expected = &case["expected"];
    let (mut snapshot, nominated) = cluster(case);
    let mut framework = Framework::new(profile(case), &mut snapshot);
    snapshot.refresh();
    same("snapshotOrder", &names(&snapshot, snapshot.order()), &expected["snapshotOrder"])?;
    let pending = pod(&case["pending"]);
    let mut without_nomination = (*pending).clone();
    without_nomination.status.nominated_node = None;
    let info = snapshot.compile(&Arc::new(without_nomination));
    let decision = framework.decide(&mut snapshot, &nominated, &info, true);
    let record = decision.record.expect("asked for");
    match &decision.outcome {
        Outcome::Unfit(fit) => {
            same("schedulable", &json!(false), &expected["schedulable"])?;
            if let Some(rejection) = &fit.pre_filter {
                let reasons: Vec<&str> = rejection.reasons.iter().map(Name::as_str).collect();
                let ours = json!({"code": rejection.code.as_str(), "plugin": rejection.plugin, "reasons": reasons});
                same("preFilter", &ours, &expected["preFilter"])?;
            } else {
                compare_filters(&snapshot, &record, &expected["filter"])?;
            }
            let whole = fit.to_string();
            let bare = FitError { post_filter: String::new(), ..(**fit).clone() };
            same("fitError", &json!(bare.to_string()), &expected["fitError"])?;
            match decision.preemption {
                Some(preemption) => compare_preemption(&snapshot, &preemption, &expected["preemption"])?,
                // PostFilter failed before it came to preemption.
                None => same("PostFilter", &json!(fit.post_filter), &expected["preemption"]["message"])?,
            }
            same("fitErrorWithPostFilter", &json!(whole), &expected["fitErrorWithPostFilter"])
        }
        Outcome::Fits(scored) => {
            same("schedulable", &json!(true), &expected["schedulable"])?;
            compare_filters(&snapshot, &record, &expected["filter"])?;
            compare_scores(&record, scored, &expected["scores"])?;
            let best = scored.iter().map(|(_, total)| *total).max();
            let mut winners: Vec<&str> = scored
                .iter()
                .filter(|(_, total)| Some(*total) == best)
                .map(|(node, _)| snapshot.name(*node).as_str())
                .collect();
            winners.sort_unstable();
            same("best", &json!(winners), &expected["best"])?;
            if let Some(native) = expected.get("nativeChosen") {
                let info = snapshot.compile(&pending);
                framework.next_start = 0;
                let decision = framework.decide(&mut snapshot, &nominated, &info, false);
                let Outcome::Fits(scored) = decision.outcome else { return Err("no longer fits".into()) };
                let winner = select_host(&scored).unwrap();
                same("nativeChosen", &json!(snapshot.name(scored[winner].0).as_str()), native)?;
            }
            Ok(())
        }
    }
}

fn compare_filters(snapshot: &Snapshot, record: &Record, expected: &Value) -> Result<(), String> {
    let mut ours = Map::new();
    let verdict = |rejection: &kubesim::scheduler::plugin::Rejection| {
        let mut reasons: Vec<&str> = rejection.reasons.iter().map(Name::as_str).collect();
        reasons.sort_unstable();
        let mut verdict = json!({"code": rejection.code.as_str()});
        if !rejection.plugin.is_empty() {
            verdict["plugin"] = json!(rejection.plugin);
        }
        verdict["reasons"] = json!(reasons);
        verdict
    };
    if let Some(absent) = &record.absent {
        for node in snapshot.order().iter() {
            ours.insert(snapshot.name(*node).to_string(), verdict(absent));
        }
    }
    for node in &record.feasible {
        ours.insert(node.to_string(), json!({"ok": true}));
    }
    for (node, rejection) in &record.rejected {
        ours.insert(node.to_string(), verdict(rejection));
    }
    for (node, theirs) in expected.as_object().into_iter().flatten() {
        same(&format!("filter of {node}"), ours.get(node).unwrap_or(&Value::Null), theirs)?;
    }
    Ok(())
}

fn compare_preemption(snapshot: &Snapshot, found: &Preemption, expected: &Value) -> Result<(), String> {
    same("eligible", &json!(found.eligible), &expected["eligible"])?;
    let mut potential: Vec<&str> = found.potential.iter().map(|node| snapshot.name(*node).as_str()).collect();
    potential.sort_unstable();
    if found.eligible {
        same("potentialNodes", &json!(potential), expected.get("potentialNodes").unwrap_or(&json!([])))?;
    }
    let mut candidates = Map::new();
    for candidate in &found.candidates {
        let ours = json!({"pdbViolations": candidate.violations, "victims": victims(candidate)});
        candidates.insert(snapshot.name(candidate.node).to_string(), ours);
    }
    same("candidates", &json!(candidates), expected.get("candidates").unwrap_or(&json!({})))?;
    let nominated = found.chosen.map_or("", |at| snapshot.name(found.candidates[at].node).as_str());
    same("nominatedNode", &json!(nominated), &expected["nominatedNode"])
}

fn victims(candidate: &Candidate) -> Vec<String> {
    let key = |pod: &Pod| format!("{}/{}", pod.meta.namespace, pod.meta.name);
    candidate.victims.iter().map(|victim| key(&victim.pod)).collect()
}

fn compare_scores(record: &Record, scored: &[(NodeId, i64)], expected: &Value) -> Result<(), String> {
    for (at, node) in record.feasible.iter().enumerate() {
        let theirs = &expected[node.as_str()];
        let mut plugins = BTreeMap::new();
        for plugin in &record.scores {
            let (raw, normalized, weighted) = plugin.scores[at];
            plugins.insert(plugin.plugin, json!([raw, normalized, weighted]));
        }
        for (plugin, numbers) in theirs["plugins"].as_object().into_iter().flatten() {
            if plugin != "DynamicResources" {
                let ours = plugins.remove(plugin.as_str()).unwrap_or(Value::Null);
                same(&format!("{plugin} of {node}"), &ours, numbers)?;
            }
        }
        if let Some((plugin, numbers)) = plugins.pop_first() {
            return Err(format!("{plugin} of {node}: ours {numbers}, recorded skipped"));
        }
        same(&format!("total of {node}"), &json!(scored[at].1), &theirs["total"])?;
    }
    Ok(())
}

// ---- sequences ----

/// Each pod once, in order: placed before the next one is looked at, or dropped.
fn check_sequence(case: &Value, mode: &str) -> Result<(), String> {
    let (native, preempts) = (mode == "native", mode == "preempt");
    let (mut snapshot, nominated) = cluster(case);
    let mut profile = profile(case);
    profile.percentage_of_nodes_to_score = if native { 0 } else { 100 };
    let mut framework = Framework::new(profile, &mut snapshot);
    let queue: Vec<&Value> = list(case, "queue").collect();
    for (at, (step, value)) in list(&case["expected"], "steps").zip(queue).enumerate() {
        let mut pod = (*pod(value)).clone();
        pod.status.start_time = Some(SimTime::from_secs(10_000_000 + at as i64));
        let pod = Arc::new(pod);
        let info = snapshot.compile(&pod);
        let decision = framework.decide(&mut snapshot, &nominated, &info, false);
        let mut ours = Map::new();
        ours.insert("pod".into(), json!(format!("{}/{}", pod.meta.namespace, pod.meta.name)));
        let mut winner = None;
        match decision.outcome {
            Outcome::Fits(scored) => {
                let best = scored.iter().map(|(_, total)| *total).max().unwrap();
                let ties: Vec<NodeId> =
                    scored.iter().filter(|(_, total)| *total == best).map(|(node, _)| *node).collect();
                let chosen = match native {
                    true => scored[select_host(&scored).unwrap()].0,
                    false => *ties.iter().min_by_key(|node| snapshot.name(**node)).unwrap(),
                };
                ours.insert("node".into(), json!(snapshot.name(chosen).as_str()));
                ours.insert("feasible".into(), json!(scored.len()));
                ours.insert("best".into(), json!(ties.len()));
                if scored.len() > 1 {
                    ours.insert("score".into(), json!(best));
                }
                winner = Some(snapshot.name(chosen).clone());
            }
            Outcome::Unfit(fit) => {
                ours.insert("feasible".into(), json!(0));
                let found = decision.preemption.expect("the profile preempts");
                match found.chosen.filter(|_| preempts).map(|at| &found.candidates[at]) {
                    Some(candidate) => {
                        let node = snapshot.name(candidate.node).clone();
                        ours.insert("node".into(), json!(node.as_str()));
                        ours.insert("nominated".into(), json!(node.as_str()));
                        ours.insert("feasible".into(), json!(1));
                        ours.insert("best".into(), json!(1));
                        ours.insert("preempted".into(), json!(victims(candidate)));
                        for victim in &candidate.victims {
                            snapshot.unplace(&victim.pod.meta.namespace, &victim.pod.meta.name);
                        }
                        winner = Some(node);
                    }
                    None if preempts => drop(ours.insert("fitError".into(), json!(fit.to_string()))),
                    None => {
                        let bare = FitError { post_filter: String::new(), ..*fit };
                        ours.insert("fitError".into(), json!(bare.to_string()));
                    }
                }
            }
        }
        ours.insert("evaluated".into(), json!(decision.evaluated));
        ours.insert("nextStartNodeIndex".into(), json!(framework.next_start));
        for (field, theirs) in step.as_object().unwrap() {
            let at = format!("{field} of {}", step["pod"]);
            same(&at, ours.get(field).unwrap_or(&Value::Null), theirs)?;
        }
        if let Some(node) = winner {
            snapshot.place(info, &node);
        }
    }
    Ok(())
}
