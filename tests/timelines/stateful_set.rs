//! The milestones of stateful sets that are created, scaled, updated, get stuck and are cured, and what the driver did.

use super::plan::{Act, Planned, When};
use super::recording::{Mark, Op, Recording, Row};
use super::steps::{Step, Steps};
use serde_json::{Value, json};

/// The marks that are actions, not outcomes.
fn is_action(mark: &Mark) -> bool {
    !matches!(mark.mark.as_str(), "rollout-complete" | "end")
}

/// The set that an action concerns: its marks say `parallel` or `maxunavailable` for the second and the third.
fn set_of(mark: &str) -> &'static str {
    match mark {
        mark if mark.contains("parallel") => "par",
        mark if mark.contains("maxunavailable") => "mu",
        _ => "db",
    }
}

/// What happens to each pod of the set after each action, each measured from what happened before it. Where several
/// pods come or go at once, their order is an accident, so they are measured from the action; where pods have to be
/// ready for a while, that counts from the last one that became ready, which may be before the action.
pub fn steps(rows: &[Row], marks: &[Mark]) -> Vec<Step> {
    let actions: Vec<&Mark> = marks.iter().filter(|mark| is_action(mark)).collect();
    let end = marks.last().map_or(0.0, |mark| mark.t);
    let mut out = Vec::new();
    let mut previous = 0.0;
    for (cycle, action) in actions.iter().enumerate() {
        let until = actions.get(cycle + 1).map_or(end, |next| next.t);
        let set = set_of(&action.mark);
        let at_once = matches!(action.mark.as_str(), "create-parallel" | "parallel-scale-down");
        let mut steps = Steps { cycle, out: &mut out };
        if !action.mark.starts_with("min-ready") {
            previous = action.t;
        }
        for row in rows.iter().filter(|row| row.t >= action.t && row.t < until) {
            let Some(what) = milestone(row, set).filter(|_| !goes_at_once(rows, row)) else { continue };
            let key = format!("{}: {} {what}", action.mark, row.name);
            steps.add(&key, Some(if at_once { action.t } else { previous }), Some(row.t));
            previous = row.t;
        }
    }
    out
}

/// Whether a pod is gone as soon as it is marked: a cluster may show that in one change or in two.
fn goes_at_once(rows: &[Row], row: &Row) -> bool {
    let gone = |other: &&Row| other.whole("Pod", Op::Delete) && other.name == row.name && other.t >= row.t;
    row.field == "deletionTimestamp" && rows.iter().find(gone).is_some_and(|gone| gone.t - row.t < 0.1)
}

fn milestone(row: &Row, set: &str) -> Option<&'static str> {
    let parent = row.name.rsplit_once('-').map(|(parent, _)| parent);
    match (row.kind.as_str(), row.op, row.field.as_str()) {
        ("Pod", ..) if parent != Some(set) => None,
        ("Pod", Op::Add, "") => Some("created"),
        ("Pod", Op::Delete, _) => Some("gone"),
        ("Pod", _, "deletionTimestamp") => Some("deleted"),
        ("Pod", _, "ready") if row.new == "True" => Some("ready"),
        ("StatefulSet", Op::Modify, "currentRevision") if row.name == set && !row.old.is_empty() => Some("rolled out"),
        _ => None,
    }
}

/// The driver's actions. It waited for each rollout that it has a mark for.
pub fn plan(recording: &Recording) -> Vec<Planned> {
    let document = |kind: &str, name: &str| {
        let found = recording.manifests.iter().find(|value| value["kind"] == kind && value["metadata"]["name"] == name);
        found.unwrap_or_else(|| panic!("a {kind} {name}")).clone()
    };
    let service = document("Service", "db");
    let mut plan = vec![Planned { when: When::At(0.0), act: Act::Create(service), mark: None }];
    let mut sets: Vec<Value> = ["db", "par", "mu"].map(|name| document("StatefulSet", name)).to_vec();
    let mut previous: Option<f64> = None;
    let mut complete: Option<f64> = None;
    for mark in &recording.marks {
        if mark.mark == "rollout-complete" {
            complete = Some(mark.t);
            continue;
        }
        let when = match (complete.take(), previous) {
            (Some(done), _) => When::AfterComplete(mark.t - done, mark.t),
            (None, Some(before)) => When::AfterPrevious(mark.t - before),
            (None, None) => When::At(mark.t),
        };
        let set = sets.iter_mut().find(|set| set["metadata"]["name"] == set_of(&mark.mark)).expect("one of three");
        plan.push(Planned {
            when,
            act: act(&mark.mark, &mark.detail, set),
            mark: Some((mark.mark.clone(), mark.detail.clone())),
        });
        previous = Some(mark.t);
    }
    plan
}

fn act(mark: &str, detail: &str, set: &mut Value) -> Act {
    let words: Vec<&str> = detail.split([' ', ',']).filter(|word| !word.is_empty()).collect();
    match mark {
        "end" => return Act::Nothing,
        "delete-pod" | "delete-broken-pod" => {
            let cascade = "Background".to_string();
            return Act::Delete { kind: "Pod", name: detail.to_string(), grace_seconds: None, cascade };
        }
        "fail-pod" => return Act::FailPod(words[0].to_string()),
        _ if mark.starts_with("create") => return Act::Create(set.clone()),
        "partition-zero" => set["spec"]["updateStrategy"]["rollingUpdate"]["partition"] = json!(0),
        _ if mark.contains("scale") => set["spec"]["replicas"] = json!(words[0].parse::<i32>().expect("a number")),
        _ => {}
    }
    for pair in words.windows(2) {
        match pair {
            ["image", image] => {
                let image = format!("registry.k8s.io/pause:{image}");
                set["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image);
            }
            ["minReadySeconds", seconds] => {
                set["spec"]["minReadySeconds"] = json!(seconds.parse::<i32>().expect("seconds"))
            }
            ["partition", place] => {
                set["spec"]["updateStrategy"]["rollingUpdate"]["partition"] =
                    json!(place.parse::<i32>().expect("a place"));
            }
            _ => {}
        }
    }
    Act::Update(set.clone())
}
