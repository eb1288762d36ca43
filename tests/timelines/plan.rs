//! What the driver of a recording did, as a list of actions that can be done again.
//!
//! The recorded driver waited: three seconds after each completed rollout, twelve after it saw a node
//! Unknown. So an action that followed an outcome is timed from our own outcome, with the delay that was
//! recorded; every other action is timed from the action before it, or by the clock.

use super::recording::{Op, Recording, Row, Scenario};
use super::{control_plane, deletion, preemption, rollout, stateful_set, zone_outage};
use serde_json::{Value, json};

/// When an action is due. Lengths are in seconds.
#[derive(Clone, Debug)]
pub enum When {
    /// At this instant of the recording.
    At(f64),
    /// So long after the action before.
    AfterPrevious(f64),
    /// So long after the rollout of the newest workload was complete, at the same point of a second as the second number:
    /// timestamps are whole seconds, so that point decides when pods count as available.
    AfterComplete(f64, f64),
    /// So long after the node became Ready=Unknown.
    AfterUnknown(String, f64),
}

#[derive(Clone, Debug)]
pub enum Act {
    /// Creates the object of a document.
    Create(Value),
    /// Gives a workload the `spec` of this document.
    Update(Value),
    /// Writes a pod's phase: Failed.
    FailPod(String),
    /// Starts or stops a machine. `detected`: how long after the stop the node became Unknown.
    Power { node: String, up: bool, detected: Option<f64> },
    /// Deletes an object by kind and name; pods and Deployments are in the recording's namespace.
    Delete { kind: &'static str, name: String, grace_seconds: Option<i64>, cascade: String },
    /// Takes the finalizers off a pod.
    Release { pod: String },
    /// Changes an object.
    Patch { kind: String, name: String, patch: Value },
    /// Deletes the first pod whose name begins so.
    DeleteOne { prefix: String },
    /// Ends a process of the control plane, or starts it again. `term`: it is asked to.
    Process { component: String, host: usize, down: bool, term: bool },
    /// Only the mark.
    Nothing,
}

#[derive(Clone, Debug)]
pub struct Planned {
    pub when: When,
    pub act: Act,
    /// Mark and detail, for the first write of an action.
    pub mark: Option<(String, String)>,
}

/// The workload kinds that are replayed so far.
const KINDS: [&str; 6] = ["Deployment", "ReplicaSet", "Service", "Job", "StatefulSet", "DaemonSet"];

pub fn plan(recording: &Recording) -> Vec<Planned> {
    match recording.scenario {
        Scenario::NodeCrash => crashes(recording),
        Scenario::Rollout => rollouts(recording),
        Scenario::Deletion => deletion::plan(recording),
        Scenario::Jobs => super::jobs::plan(recording),
        Scenario::StatefulSet => stateful_set::plan(recording),
        Scenario::Autoscaling => super::hpa::plan(recording),
        Scenario::Preemption => preemption::plan(recording),
        Scenario::ControlPlane => control_plane::plan(recording),
        Scenario::ZoneOutage => created(recording).into_iter().chain(zone_outage::plan(recording)).collect(),
    }
}

/// The documents of kinds that are replayed; the others are named.
pub fn supported(recording: &Recording) -> Vec<&Value> {
    let known = |value: &&Value| KINDS.iter().any(|kind| value["kind"] == *kind);
    for other in recording.manifests.iter().filter(|value| !known(value)) {
        println!("{}: {}/{} left out", recording.name, other["kind"], other["metadata"]["name"]);
    }
    recording.manifests.iter().filter(known).collect()
}

/// Creates the objects when they were created.
fn created(recording: &Recording) -> Vec<Planned> {
    let mut plan = Vec::new();
    let mut created = recording.rows.first().map_or(0.0, |row| row.t);
    for document in supported(recording) {
        let text = |field: &Value| field.as_str().unwrap_or_default().to_string();
        // Services are not among the recorded kinds: each came right after the object before it.
        let added = recording.added(&text(&document["kind"]), &text(&document["metadata"]["name"]));
        created = added.unwrap_or(created);
        plan.push(Planned { when: When::At(created), act: Act::Create(document.clone()), mark: None });
    }
    plan
}

fn crashes(recording: &Recording) -> Vec<Planned> {
    let mut plan = created(recording);
    let mut previous = None;
    for mark in &recording.marks {
        let up = mark.mark.starts_with("recover");
        if !up && !mark.mark.starts_with("crash") {
            continue;
        }
        let node = mark.detail.clone();
        let seen = |row: &&Row| {
            row.kind == "Node"
                && row.name == node
                && row.new == "Unknown"
                && row.t < mark.t
                && previous.is_some_and(|t| row.t > t)
        };
        let unknown = recording.rows.iter().rev().find(seen).map(|row| row.t);
        let when = match (previous, unknown) {
            // Only the short outages ended when the driver had seen enough.
            (_, Some(t)) if up && mark.mark.ends_with("-short") => When::AfterUnknown(node.clone(), mark.t - t),
            (Some(t), _) => When::AfterPrevious(mark.t - t),
            (None, _) => When::At(mark.t),
        };
        let named = Some((mark.mark.clone(), node.clone()));
        let after = |row: &&Row| row.is("Node", "Ready") && row.name == node && row.new == "Unknown" && row.t > mark.t;
        let detected = recording.rows.iter().find(after).map(|row| row.t - mark.t).filter(|_| !up);
        plan.push(Planned { when, act: Act::Power { node: node.clone(), up, detected }, mark: named });
        previous = Some(mark.t);
    }
    // Long enough for the last return to show.
    plan.push(Planned {
        when: When::AfterPrevious(15.0),
        act: Act::Nothing,
        mark: Some(("end".into(), String::new())),
    });
    plan
}

fn rollouts(recording: &Recording) -> Vec<Planned> {
    let document = supported(recording).into_iter().find(|value| value["kind"] == "Deployment").expect("a Deployment");
    let name = document["metadata"]["name"].as_str().expect("a name");
    let completions = completions(recording);
    let mut state = State { base: document["spec"]["template"].clone(), document: document.clone() };
    let others = supported(recording).into_iter().filter(|value| value["kind"] != "Deployment");
    let beside = |value: &Value| Planned { when: When::At(0.0), act: Act::Create(value.clone()), mark: None };
    let mut plan: Vec<Planned> = others.map(beside).collect();
    let actions: Vec<usize> = (0..recording.marks.len())
        .filter(|at| rollout::is_action(&recording.marks[*at]) || recording.marks[*at].mark == "end")
        .collect();
    for (number, at) in actions.iter().enumerate() {
        let mark = &recording.marks[*at];
        let waited = *at > 0 && recording.marks[*at - 1].mark == "rollout-complete";
        // The write before: an action may have made several.
        let when = match (number.checked_sub(1), waited) {
            (Some(before), true) => {
                When::AfterComplete(mark.t - completions[before].unwrap_or(recording.marks[*at - 1].t), mark.t)
            }
            (Some(before), false) => {
                let mine = |one: &Planned| one.mark.is_none();
                let since_mark: f64 = plan.iter().rev().take_while(|one| mine(one)).map(delay_of).sum();
                When::AfterPrevious((mark.t - recording.marks[actions[before]].t - since_mark).max(0.0))
            }
            (None, _) => When::At(mark.t),
        };
        let until = actions.get(number + 1).map_or(f64::MAX, |next| recording.marks[*next].t);
        let writes: Vec<f64> = recording
            .rows
            .iter()
            .filter(|row| row.is("Deployment", "generation") && row.name == name && row.op == Op::Modify)
            .map(|row| row.t - mark.t)
            .filter(|t| *t >= 0.0 && mark.t + t < until)
            .collect();
        let mut acts = state.acts(&mark.mark, &mark.detail);
        if acts.len() > writes.len() && !writes.is_empty() {
            // What comes later under a mark of its own.
            acts.truncate(writes.len());
            state.document = match &acts.last().expect("as many as writes").1 {
                Act::Update(document) => document.clone(),
                _ => state.document,
            };
        }
        let named = Some((mark.mark.clone(), mark.detail.clone()));
        let mut acts = acts.into_iter().enumerate();
        let first = acts.next();
        let mut passed = 0.0;
        plan.push(Planned { when, act: first.map_or(Act::Nothing, |(_, (_, act))| act), mark: named });
        for (n, (delay, act)) in acts {
            // The recorded instants are exact; the words of the detail round them.
            let due = writes.get(n).map_or(delay, |t| t - writes[0]);
            plan.push(Planned { when: When::AfterPrevious(due - passed), act, mark: None });
            passed = due;
        }
    }
    plan
}

fn delay_of(planned: &Planned) -> f64 {
    match planned.when {
        When::AfterPrevious(delay) => delay,
        _ => 0.0,
    }
}

/// When the rollout of each action was complete in the recording.
fn completions(recording: &Recording) -> Vec<Option<f64>> {
    let (steps, courses) = rollout::steps(&recording.rows, &recording.marks, &recording.manifests);
    let of = |cycle: usize| steps.iter().find(|step| step.cycle == cycle && step.key.ends_with(": complete"));
    (0..courses.len()).map(|cycle| of(cycle).and_then(|step| step.at)).collect()
}

/// The Deployment as the driver wants it.
struct State {
    base: Value,
    document: Value,
}

impl State {
    /// The writes of one action, each with its delay. What changes nothing is no write.
    fn acts(&mut self, mark: &str, detail: &str) -> Vec<(f64, Act)> {
        if mark == "end" {
            return Vec::new();
        }
        if mark == "create" {
            return vec![(0.0, Act::Create(self.document.clone()))];
        }
        let mut acts = Vec::new();
        let spoken = match mark {
            "set-minReady" => format!("minReadySeconds {detail}"),
            "resume" | "pause" => mark.to_string(),
            _ if mark.starts_with("scale") => format!("scale to {detail}"),
            _ => detail.to_string(),
        };
        for clause in spoken.split(", ").filter(|clause| !clause.is_empty()) {
            let (delay, words) = timed(clause);
            let before = self.document.clone();
            self.apply(&words);
            if self.document != before {
                acts.push((delay, Act::Update(self.document.clone())));
            }
        }
        acts
    }

    fn apply(&mut self, words: &[&str]) {
        let spec = &mut self.document["spec"];
        match words {
            ["image", image] => {
                spec["template"] = self.base.clone();
                spec["template"]["spec"]["containers"][0]["image"] = json!(format!("registry.k8s.io/pause:{image}"));
            }
            ["annotation", pair] => {
                let (key, value) = pair.split_once('=').expect("key=value");
                spec["template"]["metadata"]["annotations"][key] = json!(value);
            }
            ["minReadySeconds", n] => spec["minReadySeconds"] = number(n),
            ["scale", "to", n] => spec["replicas"] = number(n),
            ["pause"] => spec["paused"] = json!(true),
            ["resume"] => spec["paused"] = json!(false),
            ["Recreate"] => spec["strategy"] = json!({"type": "Recreate"}),
            ["maxSurge", surge, "maxUnavailable", unavailable] => {
                let rolling = json!({"maxSurge": number(surge), "maxUnavailable": number(unavailable)});
                spec["strategy"] = json!({"type": "RollingUpdate", "rollingUpdate": rolling});
            }
            other => panic!("the driver did something unknown: {other:?}"),
        }
    }
}

/// Splits `after 2.5 s scale to 20` or `pause after 2 s` into the delay and the rest.
fn timed(clause: &str) -> (f64, Vec<&str>) {
    let words: Vec<&str> = clause.split(' ').collect();
    match words.iter().position(|word| *word == "after") {
        Some(at) => {
            let delay = words[at + 1].parse().expect("seconds");
            (delay, words[..at].iter().chain(&words[at + 3..]).copied().collect())
        }
        _ => (0.0, words),
    }
}

/// A number, or text such as `25%`.
fn number(text: &str) -> Value {
    text.parse::<i64>().map_or_else(|_| json!(text), |n| json!(n))
}
