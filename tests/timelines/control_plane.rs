//! The milestones of a control plane that loses its parts one after the other, and what the driver did to make them.

use super::compare::{AT_A_LOOK, AT_A_PASS, AT_A_RETRY};
use super::plan::{Act, Planned, When};
use super::recording::{Mark, Op, Recording, Row};
use super::steps::{Step, Steps, ends};
use serde_json::json;

/// From the start of our API server to its first answer: the driver's `readyz` comes that much later.
const API_SERVER_START: f64 = 2.2;

/// The component and the instance that a word of the driver means: `kcm2` is the second controller manager.
fn instance(word: &str) -> Option<(&'static str, usize)> {
    let name = word.trim_end_matches('2');
    let component = match name {
        "sched" => "kube-scheduler",
        "kcm" => "kube-controller-manager",
        "apiserver" => "kube-apiserver",
        _ => return None,
    };
    Some((component, usize::from(name != word)))
}

/// The driver's program from the first failure on: all by the clock. What ends by itself, the supervisor brings back.
pub fn plan(recording: &Recording) -> Vec<Planned> {
    let begin = recording.added("Deployment", "web").expect("the Deployment");
    let at = |t: f64, act: Act, mark: Option<(String, String)>| Planned { when: When::At(t), act, mark };
    let process = |component: &str, host: usize, down: bool, term: bool| Act::Process {
        component: component.to_string(),
        host,
        down,
        term,
    };
    // Until the driver starts them, there is no second instance of anything.
    let mut plan: Vec<Planned> = ["kube-scheduler", "kube-controller-manager"]
        .map(|component| at(begin - 8.0, process(component, 1, true, false), None))
        .to_vec();
    for document in recording.manifests.iter().filter(|value| value["kind"] != "Service") {
        plan.push(at(begin, Act::Create(document.clone()), None));
    }
    let from = recording.marks.iter().position(|mark| mark.mark == "phase").expect("the first failure");
    let ready = recording.marks.iter().find(|mark| mark.mark == "readyz ok").map(|mark| mark.t);
    let mut down = Vec::new();
    for mark in &recording.marks[from..] {
        let named = Some((mark.mark.clone(), mark.detail.clone()));
        let words: Vec<&str> = mark.detail.split(' ').collect();
        let patch = |replicas: i64| Act::Patch {
            kind: "Deployment".to_string(),
            name: "web".to_string(),
            patch: json!({"spec": {"replicas": replicas}}),
        };
        let act = match (mark.mark.as_str(), instance(words[0])) {
            ("stop", Some((component, host))) => {
                down.push((component, host));
                process(component, host, true, words.last() == Some(&"15"))
            }
            ("started", Some((component, host))) => {
                let known = down.iter().position(|one| *one == (component, host));
                match known {
                    Some(index) => _ = down.remove(index),
                    None if host == 1 => {}
                    None => continue,
                }
                let act = process(component, host, false, false);
                if component == "kube-apiserver" {
                    let t = ready.map_or(mark.t, |ready| ready - API_SERVER_START);
                    plan.push(at(t, act, named));
                    continue;
                }
                act
            }
            ("scale", _) => patch(words[0].parse().expect("a number")),
            ("delete-pod", _) => Act::DeleteOne { prefix: "web-".to_string() },
            ("crash" | "recover", _) => {
                let detected = (mark.mark == "crash").then_some(0.0);
                Act::Power { node: mark.detail.clone(), up: detected.is_none(), detected: None }
            }
            ("phase" | "readyz ok" | "kill-leader" | "end", _) => Act::Nothing,
            _ => continue,
        };
        plan.push(at(mark.t, act, named));
    }
    plan.sort_by(|a, b| due(a).total_cmp(&due(b)));
    plan
}

fn due(planned: &Planned) -> f64 {
    match planned.when {
        When::At(t) => t,
        _ => 0.0,
    }
}

/// What happens from one phase to the next.
struct Phase<'a> {
    rows: &'a [Row],
    marks: &'a [Mark],
    from: f64,
    until: f64,
}

impl Phase<'_> {
    /// When the driver did that: the mark and the beginning of its detail.
    fn did(&self, mark: &str, detail: &str) -> Option<f64> {
        let meant = |one: &&Mark| {
            one.mark == mark && one.detail.starts_with(detail) && one.t >= self.from && one.t < self.until
        };
        self.marks.iter().find(meant).map(|one| one.t)
    }

    fn within(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.t >= self.from && row.t < self.until)
    }

    /// When a lease got a holder after `since`, or lost it.
    fn lease(&self, component: &str, held: bool, since: Option<f64>) -> Option<f64> {
        let meant = |row: &&Row| {
            row.is("Lease", "holder") && row.name == component && row.new.is_empty() != held && Some(row.t) >= since
        };
        self.within().find(meant).map(|row| row.t)
    }

    fn pods(&self, since: Option<f64>, wanted: impl Fn(&Row) -> bool) -> (Option<f64>, Option<f64>) {
        let meant = |row: &&Row| row.kind == "Pod" && row.name.starts_with("web-") && wanted(row);
        ends(self.within().filter(meant).map(|row| row.t).filter(|t| Some(*t) >= since))
    }
}

/// All milestones, phase by phase.
pub fn steps(rows: &[Row], marks: &[Mark]) -> Vec<Step> {
    let mut starts: Vec<(f64, &str)> =
        marks.iter().filter(|mark| mark.mark == "phase").map(|mark| (mark.t, mark.detail.as_str())).collect();
    let kills = marks.iter().filter(|mark| mark.mark == "kill-leader" && mark.detail.ends_with("SIGTERM"));
    starts.extend(kills.take(1).map(|mark| (mark.t - 0.001, "leader stopped")));
    let end = marks.last().map_or(f64::MAX, |mark| mark.t);
    let mut out = Vec::new();
    for (cycle, (from, name)) in starts.iter().enumerate() {
        let until = starts.get(cycle + 1).map_or(end, |next| next.0);
        let phase = Phase { rows, marks, from: *from, until };
        let mut steps = Steps { cycle, out: &mut out };
        match *name {
            "scheduler down" => scheduler(&mut steps, name, &phase, true),
            "scheduler killed -9" => scheduler(&mut steps, name, &phase, false),
            "KCM down" => manager(&mut steps, &phase),
            "apiserver down" => api_server(&mut steps, &phase),
            _ => leaders(&mut steps, if *name == "leader stopped" { name } else { "leader killed" }, &phase),
        }
    }
    out
}

const SCHEDULER: &str = "kube-scheduler";
const MANAGER: &str = "kube-controller-manager";

fn created(row: &Row) -> bool {
    row.op == Op::Add && row.field.is_empty()
}

fn bound(row: &Row) -> bool {
    row.field == "node" && !row.new.is_empty()
}

fn scheduler(steps: &mut Steps<'_>, name: &str, phase: &Phase<'_>, releases: bool) {
    let stopped = phase.did("stop", "sched");
    if releases {
        steps.add(&format!("{name}: stop -> lease given back"), stopped, phase.lease(SCHEDULER, false, stopped));
    }
    let started = phase.did("started", "sched");
    let leads = phase.lease(SCHEDULER, true, started);
    steps.add(&format!("{name}: started -> leads {AT_A_LOOK}"), started, leads);
    let (first, last) = phase.pods(stopped, bound);
    steps.add(&format!("{name}: leads -> first waiting pod bound"), leads, first);
    steps.add(&format!("{name}: leads -> last waiting pod bound"), leads, last);
}

fn manager(steps: &mut Steps<'_>, phase: &Phase<'_>) {
    let name = "KCM down";
    let (stopped, started) = (phase.did("stop", "kcm"), phase.did("started", "kcm"));
    let leads = phase.lease(MANAGER, true, started);
    steps.add(&format!("{name}: started -> leads {AT_A_LOOK}"), started, leads);
    let (first, last) = phase.pods(stopped, created);
    steps.add(&format!("{name}: leads -> first pod created"), leads, first);
    steps.add(&format!("{name}: leads -> last pod created"), leads, last);
    let node = |field: &str, wanted: &dyn Fn(&Row) -> bool| {
        phase.within().find(|row| row.is("Node", field) && row.name == "n1" && wanted(row)).map(|row| row.t)
    };
    let unknown = node("Ready", &|row| row.new == "Unknown");
    steps.add(&format!("{name}: leads -> node Ready=Unknown"), leads, unknown);
    let no_execute = node("taints", &|row| row.new.contains("unreachable:NoExecute") && !row.old.contains("NoExecute"));
    steps.add(&format!("{name}: Unknown -> taint NoExecute"), unknown, no_execute);
    let back = phase.did("recover", "n1");
    steps.add(&format!("{name}: recover -> Ready=True"), back, node("Ready", &|row| row.new == "True"));
    let cleaned = node("taints", &|row| row.old.contains("NoExecute") && !row.new.contains("NoExecute"));
    steps.add(&format!("{name}: recover -> taint NoExecute gone {AT_A_PASS}"), back, cleaned);
}

fn api_server(steps: &mut Steps<'_>, phase: &Phase<'_>) {
    let name = "API server down";
    let ready = phase.did("readyz ok", "");
    let manager = phase.lease(MANAGER, true, ready);
    steps.add(&format!("{name}: ready -> controller manager leads {AT_A_LOOK}"), ready, manager);
    let scheduler = phase.lease(SCHEDULER, true, ready);
    steps.add(&format!("{name}: ready -> scheduler leads {AT_A_RETRY}"), ready, scheduler);
    let (first, last) = phase.pods(ready, |row| row.field == "deletionTimestamp" && row.new == "set");
    steps.add(&format!("{name}: leads -> first surplus pod deleted"), manager, first);
    steps.add(&format!("{name}: leads -> last surplus pod deleted"), manager, last);
    // Nobody judged the nodes, so none is Unknown.
    let judged = phase.within().any(|row| row.is("Node", "Ready") && row.new == "Unknown");
    steps.add(&format!("{name}: no node Unknown"), ready, ready.filter(|_| !judged));
}

fn leaders(steps: &mut Steps<'_>, name: &str, phase: &Phase<'_>) {
    let stopped = phase.did("kill-leader", "");
    if name == "leader stopped" {
        let released = phase.lease(SCHEDULER, false, stopped);
        steps.add(&format!("{name}: scheduler's lease given back"), stopped, released);
    }
    let (manager, scheduler) = (phase.lease(MANAGER, true, stopped), phase.lease(SCHEDULER, true, stopped));
    steps.add(&format!("{name}: scheduler leads {AT_A_LOOK}"), stopped, scheduler);
    steps.add(&format!("{name}: controller manager leads {AT_A_LOOK}"), stopped, manager);
    let (first, last) = phase.pods(stopped, created);
    steps.add(&format!("{name}: leads -> first pod created"), manager, first);
    steps.add(&format!("{name}: leads -> last pod created"), manager, last);
    let able = manager.zip(scheduler).map(|(one, other)| one.max(other));
    steps.add(&format!("{name}: both lead -> last pod bound"), able, phase.pods(stopped, bound).1);
}
