//! The milestones of pods that push others aside, and what the driver did to make them.

use super::plan::{Act, Planned, When};
use super::recording::{Mark, Op, Recording, Row};
use super::steps::{Step, Steps, ends};
use serde_json::Value;

/// So long before the zero the cluster is filled: the recording begins when the first pods are ready.
const FILLED: f64 = 10.0;

/// The driver's program: all by the clock. The pod that may not preempt is taken away before the budget comes.
pub fn plan(recording: &Recording) -> Vec<Planned> {
    let document = |kind: &str, name: &str| {
        let found = recording.manifests.iter().find(|value| value["kind"] == kind && value["metadata"]["name"] == name);
        Act::Create(found.unwrap_or_else(|| panic!("a {kind} {name}")).clone())
    };
    let classes = recording.manifests.iter().filter(|value| value["kind"] == "PriorityClass");
    let first = |value: &Value| Planned { when: When::At(-FILLED), act: Act::Create(value.clone()), mark: None };
    let mut plan: Vec<Planned> = classes.map(first).collect();
    plan.push(Planned { when: When::At(-FILLED), act: document("Deployment", "low"), mark: None });
    let delete = |kind: &'static str, name: &str, grace_seconds: Option<i64>| {
        let (name, cascade) = (name.to_string(), "Background".to_string());
        Act::Delete { kind, name, grace_seconds, cascade }
    };
    for mark in &recording.marks {
        let act = match mark.mark.as_str() {
            "create-high-single" => document("Pod", "hi"),
            "create-high-deployment" => document("Deployment", "high"),
            "create-never" => document("Pod", "never"),
            "pdb-on-low" => {
                let gone = recording.rows.iter().find(|row| row.whole("Pod", Op::Delete) && row.name == "never");
                let when = When::At(gone.map_or(mark.t, |row| row.t).min(mark.t) - 0.005);
                plan.push(Planned { when, act: delete("Pod", "never", Some(0)), mark: None });
                document("PodDisruptionBudget", "low")
            }
            "create-high-despite-pdb" => document("Pod", "hi2"),
            "delete-high" => delete("Deployment", "high", None),
            "end" => Act::Nothing,
            _ => continue,
        };
        let named = Some((mark.mark.clone(), mark.detail.clone()));
        plan.push(Planned { when: When::At(mark.t), act, mark: named });
    }
    plan
}

/// What happens after one action and before the next.
struct Window<'a> {
    rows: Vec<&'a Row>,
}

impl Window<'_> {
    /// First and last change of `field` to a value that `wanted` likes, of the pods whose name begins so.
    fn pods(&self, pods: &str, field: &str, wanted: impl Fn(&str) -> bool) -> (Option<f64>, Option<f64>) {
        let meant = |row: &&&Row| row.is("Pod", field) && row.name.starts_with(pods) && wanted(&row.new);
        ends(self.rows.iter().filter(meant).map(|row| row.t))
    }

    fn created(&self, pods: &str) -> (Option<f64>, Option<f64>) {
        let meant = |row: &&&Row| row.whole("Pod", Op::Add) && row.name.starts_with(pods);
        ends(self.rows.iter().filter(meant).map(|row| row.t))
    }
}

/// All milestones.
pub fn steps(rows: &[Row], marks: &[Mark]) -> Vec<Step> {
    let actions: Vec<&Mark> = marks.iter().filter(|mark| mark.mark != "high-ready").collect();
    let mut out = Vec::new();
    for (cycle, mark) in actions.iter().enumerate() {
        let until = actions.get(cycle + 1).map_or(mark.t, |next| next.t);
        let during = |row: &&Row| row.t >= mark.t && row.t < until;
        let window = Window { rows: rows.iter().filter(during).collect() };
        let mut steps = Steps { cycle, out: &mut out };
        match mark.mark.as_str() {
            "create-high-single" => preempted(&mut steps, mark, "hi", &window),
            "create-high-deployment" => preempted(&mut steps, mark, "high-", &window),
            "create-high-despite-pdb" => preempted(&mut steps, mark, "hi2", &window),
            "create-never" => never(&mut steps, mark, &window),
            "delete-high" => {
                let ended = window.pods("high-", "phase", |phase| phase == "Succeeded");
                let bound = window.pods("low-", "node", |node| !node.is_empty());
                let ready = window.pods("low-", "ready", |ready| ready == "True");
                steps.add("delete-high: last pod's containers ended", Some(mark.t), ended.1);
                steps.add("delete-high: first room -> first waiting pod bound", ended.0, bound.0);
                steps.add("delete-high: last room -> last waiting pod bound", ended.1, bound.1);
                steps.add("delete-high: bound -> last waiting pod Ready", bound.1, ready.1);
            }
            _ => {}
        }
    }
    out
}

/// From nomination to the victims' end to the binding, each step from the one before it.
fn preempted(steps: &mut Steps<'_>, mark: &Mark, pods: &str, window: &Window<'_>) {
    let key = |step: &str| format!("{}: {step}", mark.mark);
    let set = |value: &str| !value.is_empty();
    let created = window.created(pods);
    let nominated = window.pods(pods, "nominated", set);
    let marked = window.pods("low-", "disruptionTarget", |reason| reason == "PreemptionByScheduler");
    let deleted = window.pods("low-", "deletionTimestamp", set);
    let ended = window.pods("low-", "phase", |phase| phase == "Succeeded");
    let gone = |row: &&&Row| row.whole("Pod", Op::Delete) && row.name.starts_with("low-");
    let gone = ends(window.rows.iter().filter(gone).map(|row| row.t));
    let bound = window.pods(pods, "node", set);
    let ready = window.pods(pods, "ready", |ready| ready == "True");
    let begun = (Some(mark.t), Some(mark.t));
    let chain = [
        ("pod created", begun, created),
        ("pod nominated", created, nominated),
        ("victim marked", created, marked),
        ("victim deletionTimestamp", marked, deleted),
        ("victim's containers ended", deleted, ended),
        ("victim gone", ended, gone),
        ("pod bound", ended, bound),
        ("pod Ready", bound, ready),
    ];
    for (step, since, at) in chain {
        steps.add(&key(&format!("first {step}")), since.0, at.0);
        steps.add(&key(&format!("last {step}")), since.1, at.1);
    }
    let victims = window.rows.iter().filter(|row| row.is("Pod", "disruptionTarget") && row.name.starts_with("low-"));
    // Two pods of 950m make room for one of 1900m. A pod that looks for victims on a node where some are ending already
    // may choose others of them: they began in the same second, so none is more important.
    let highs = window.rows.iter().filter(|row| row.is("Pod", "node") && row.name.starts_with(pods)).count();
    let spare = 2 * usize::from(highs > 1);
    let enough = (2 * highs..=2 * highs + spare).contains(&victims.count()).then_some(mark.t);
    steps.add(&key("two victims for each pod"), Some(mark.t), enough);
}

/// It waits, and nobody goes.
fn never(steps: &mut Steps<'_>, mark: &Mark, window: &Window<'_>) {
    let unschedulable = window.pods("never", "scheduled", |state| state.starts_with("False Unschedulable"));
    steps.add("create-never: unschedulable", Some(mark.t), unschedulable.0);
    let (victim, _) = window.pods("low-", "deletionTimestamp", |value| !value.is_empty());
    steps.add("create-never: no victim", Some(mark.t), victim.is_none().then_some(mark.t));
}
