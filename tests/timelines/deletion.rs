//! The milestones of pods, Deployments and a namespace that are deleted in every way, and the program that does it.

use super::plan::{Act, Planned, When};
use super::recording::{Mark, Op, Recording, Row};
use super::steps::{Step, Steps, ends};
use serde_json::{Value, json};

/// The kinds that are replayed.
const KINDS: [&str; 6] = ["Pod", "Deployment", "ReplicaSet", "StatefulSet", "Job", "Service"];

/// What was done, at the recorded instants: objects when they appeared, deletions at their marks.
pub fn plan(recording: &Recording) -> Vec<Planned> {
    let at = |t: f64, act: Act, mark: Option<(String, String)>| (t, Planned { when: When::At(t), act, mark });
    let mut plan = Vec::new();
    for row in recording.rows.iter().filter(|row| row.whole("Namespace", Op::Add)) {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": row.name}});
        plan.push(at(row.t, Act::Create(namespace), None));
    }
    let mut last = None;
    for document in &recording.manifests {
        let text = |field: &Value| field.as_str().unwrap_or_default().to_string();
        let (kind, name) = (text(&document["kind"]), text(&document["metadata"]["name"]));
        // Services are not recorded: each came right after the object before it.
        let added = recording.rows.iter().find(|row| row.whole(&kind, Op::Add) && row.name == name);
        last = added.map(|row| (row.t, row.namespace.clone())).or(last);
        let Some((t, namespace)) = last.clone().filter(|_| KINDS.contains(&kind.as_str())) else {
            println!("{}: {kind}/{name} left out", recording.name);
            continue;
        };
        let mut document = document.clone();
        document["metadata"]["namespace"] = json!(namespace);
        plan.push(at(t, Act::Create(document), None));
    }
    for mark in &recording.marks {
        let named = Some((mark.mark.clone(), mark.detail.clone()));
        let act = match (mark.mark.as_str(), mark.detail.as_str()) {
            ("delete", pod) => {
                let grace_seconds = pod.strip_prefix("p-grace").and_then(|seconds| seconds.parse().ok());
                Act::Delete { kind: "Pod", name: pod.to_string(), grace_seconds, cascade: "Background".to_string() }
            }
            ("delete-deployment", cascade) => Act::Delete {
                kind: "Deployment",
                name: format!("d-{}", cascade.to_lowercase()),
                grace_seconds: None,
                cascade: cascade.to_string(),
            },
            ("delete-namespace", name) => Act::Delete {
                kind: "Namespace",
                name: name.to_string(),
                grace_seconds: None,
                cascade: "Background".to_string(),
            },
            ("remove-finalizer", _) => Act::Release { pod: "p-finalizer".to_string() },
            ("end", _) => Act::Nothing,
            _ => continue,
        };
        plan.push(at(mark.t, act, named));
    }
    plan.sort_by(|a, b| a.0.total_cmp(&b.0));
    plan.into_iter().map(|(_, planned)| planned).collect()
}

/// Milestones of every deletion.
pub fn steps(rows: &[Row], marks: &[Mark]) -> Vec<Step> {
    let mut out = Vec::new();
    for (cycle, mark) in marks.iter().enumerate() {
        let mut steps = Steps { cycle, out: &mut out };
        let after = Window { rows, since: mark.t };
        match (mark.mark.as_str(), mark.detail.as_str()) {
            ("delete", pod) => {
                let held = pod == "p-finalizer";
                let mut add = |step: &str, at| steps.add(&format!("{pod}: {step}"), Some(mark.t), at);
                if pod != "p-grace0" {
                    add("deletionTimestamp", after.changed("Pod", pod, "deletionTimestamp"));
                    add("containers ended", after.changed("Pod", pod, "phase"));
                }
                if !held {
                    add("gone", after.gone("Pod", pod));
                }
            }
            ("remove-finalizer", _) => {
                steps.add("p-finalizer: gone", Some(mark.t), after.gone("Pod", "p-finalizer"));
            }
            ("delete-deployment", cascade) => deployment(&mut steps, mark, cascade, &after),
            ("delete-namespace", namespace) => {
                let mut add = |step: &str, at| steps.add(&format!("namespace: {step}"), Some(mark.t), at);
                let web = "web-";
                let marked = ends(after.all("Pod", web, |row| row.field == "deletionTimestamp" && row.new == "set"));
                let gone = ends(after.all("Pod", web, |row| row.op == Op::Delete));
                add("first pod deletionTimestamp", marked.0);
                add("last pod deletionTimestamp", marked.1);
                add("first pod gone", gone.0);
                add("last pod gone", gone.1);
                for (of, pods) in [("stateful set", "db-"), ("job", "j-")] {
                    let marked = after.all("Pod", pods, |row| row.field == "deletionTimestamp" && row.new == "set");
                    add(&format!("last pod of the {of} deletionTimestamp"), ends(marked).1);
                    let gone = after.all("Pod", pods, |row| row.op == Op::Delete);
                    add(&format!("last pod of the {of} gone"), ends(gone).1);
                }
                add("stateful set gone", after.gone("StatefulSet", "db"));
                add("job gone", after.gone("Job", "j"));
                add("deployment gone", after.gone("Deployment", "web"));
                add("replica set gone", ends(after.all("ReplicaSet", web, |row| row.op == Op::Delete)).1);
                add("gone", after.gone("Namespace", namespace));
            }
            _ => {}
        }
    }
    out
}

fn deployment(steps: &mut Steps<'_>, mark: &Mark, cascade: &str, after: &Window<'_>) {
    let name = format!("d-{}", cascade.to_lowercase());
    let below = format!("{name}-");
    let mut add = |step: &str, at| steps.add(&format!("{cascade}: {step}"), Some(mark.t), at);
    add("deployment gone", after.gone("Deployment", &name));
    if cascade == "Orphan" {
        let left = after.all("ReplicaSet", &below, |row| row.field == "owner" && row.new.is_empty());
        add("replica set has no owner", ends(left).0);
        return;
    }
    if cascade == "Foreground" {
        add("deployment deletionTimestamp", after.changed("Deployment", &name, "deletionTimestamp"));
    }
    let marked = ends(after.all("Pod", &below, |row| row.field == "deletionTimestamp" && row.new == "set"));
    let gone = ends(after.all("Pod", &below, |row| row.op == Op::Delete));
    add("replica set gone", ends(after.all("ReplicaSet", &below, |row| row.op == Op::Delete)).1);
    add("first pod deletionTimestamp", marked.0);
    add("last pod deletionTimestamp", marked.1);
    add("first pod gone", gone.0);
    add("last pod gone", gone.1);
}

/// What happened since an instant.
struct Window<'a> {
    rows: &'a [Row],
    since: f64,
}

impl<'a> Window<'a> {
    /// Instants of the rows of objects whose name begins so.
    fn all(&self, kind: &str, prefix: &str, wanted: impl Fn(&Row) -> bool) -> impl Iterator<Item = f64> {
        let found =
            |row: &&Row| row.t >= self.since - 0.001 && row.kind == kind && row.name.starts_with(prefix) && wanted(row);
        self.rows.iter().filter(found).map(|row| row.t).collect::<Vec<_>>().into_iter()
    }

    fn changed(&self, kind: &str, name: &str, field: &str) -> Option<f64> {
        ends(self.all(kind, name, |row| row.name == name && row.field == field && row.op == Op::Modify)).0
    }

    fn gone(&self, kind: &str, name: &str) -> Option<f64> {
        ends(self.all(kind, name, |row| row.name == name && row.op == Op::Delete)).0
    }
}
