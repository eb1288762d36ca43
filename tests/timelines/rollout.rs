//! The milestones of a Deployment that is created, updated, scaled, paused and rolled back.

use super::node_crash::{PodTimes, pods};
use super::recording::{Mark, Op, Row};
use super::steps::{Step, Steps, ends};
use serde_json::Value;
use std::collections::BTreeMap;

/// Scale-ups further apart than this are different waves. Pods need two seconds to start.
const WAVE_GAP: f64 = 1.5;

/// The driver waited longer than this where it wanted to see a rollout stand still.
const LONG_WAIT: f64 = 10.0;

/// What holds for one action of the driver, besides its milestones.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Course {
    /// The action: its mark, numbered if there are several.
    pub action: String,
    /// Whether it had come to rest when the next action came.
    pub settled: bool,
    /// Reasons of the Progressing condition in order.
    pub reasons: Vec<String>,
    /// Groups of scale-ups.
    pub waves: usize,
    /// By how much the sizes of all sets went beyond `replicas + maxSurge`, and the ready pods below
    /// `replicas - maxUnavailable`; nothing where no such promise holds. Pods that exist may be more for a
    /// moment: while deletes wait for the client's limit, creates of another set may pass them.
    pub over_limit: Option<i64>,
    pub under_limit: Option<i64>,
    /// Status and sizes when the next action comes.
    pub end: String,
}

/// The marks that are actions, not outcomes.
pub fn is_action(mark: &Mark) -> bool {
    !matches!(mark.mark.as_str(), "rollout-complete" | "end")
}

/// Milestones and course of every action.
pub fn steps(rows: &[Row], marks: &[Mark], manifests: &[Value]) -> (Vec<Step>, Vec<Course>) {
    let manifest = manifests.iter().find(|value| value["kind"] == "Deployment").expect("a rollout has a Deployment");
    let name = manifest["metadata"]["name"].as_str().expect("with a name");
    let deadline = manifest.pointer("/spec/progressDeadlineSeconds").and_then(Value::as_f64).unwrap_or(600.0);
    let pods = pods(rows);
    let actions: Vec<&Mark> = marks.iter().filter(|mark| is_action(mark)).collect();
    let end = marks.last().map_or(0.0, |mark| mark.t);
    let mut replay = Replay::new(name, manifest);
    let (mut out, mut courses) = (Vec::new(), Vec::new());
    for (cycle, mark) in actions.iter().enumerate() {
        let until = actions.get(cycle + 1).map_or(end, |next| next.t);
        let same: Vec<usize> = (0..actions.len()).filter(|other| actions[*other].mark == mark.mark).collect();
        let name = match same.iter().position(|other| *other == cycle) {
            Some(n) if same.len() > 1 => format!("{} #{}", mark.mark, n + 1),
            _ => mark.mark.clone(),
        };
        let action = Action { mark, name, until, deadline };
        let mut steps = Steps { cycle, out: &mut out };
        let window: Vec<&Row> = rows.iter().filter(|row| row.t >= mark.t && row.t < until).collect();
        courses.push(replay.run(&mut steps, &action, &window, &pods));
    }
    (out, courses)
}

struct Action<'a> {
    mark: &'a Mark,
    /// What its keys begin with. Details differ between variants of the program, so they are no part of it.
    name: String,
    until: f64,
    deadline: f64,
}

impl Action<'_> {
    fn key(&self, step: &str) -> String {
        format!("{}: {step}", self.name)
    }
}

/// The deployment and its pods, followed row by row.
struct Replay<'a> {
    deployment: &'a str,
    /// Fields of the deployment.
    fields: BTreeMap<String, String>,
    /// Wished size of each replica set.
    sizes: BTreeMap<String, i64>,
    surge: String,
    unavailable: String,
    recreate: bool,
    live: BTreeMap<String, bool>,
}

impl<'a> Replay<'a> {
    fn new(deployment: &'a str, manifest: &Value) -> Self {
        let text = |path: &str| match manifest.pointer(path) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => "25%".to_string(),
        };
        Replay {
            deployment,
            fields: BTreeMap::new(),
            sizes: BTreeMap::new(),
            surge: text("/spec/strategy/rollingUpdate/maxSurge"),
            unavailable: text("/spec/strategy/rollingUpdate/maxUnavailable"),
            recreate: manifest.pointer("/spec/strategy/type").is_some_and(|kind| kind == "Recreate"),
            live: BTreeMap::new(),
        }
    }

    fn number(&self, field: &str) -> i64 {
        self.fields.get(field).and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// `DeploymentComplete`, as `kubectl rollout status` sees it.
    fn complete(&self) -> bool {
        let wished = self.number("spec.replicas");
        ["updated", "replicas", "available"].iter().all(|field| self.number(field) == wished)
            && self.number("observedGeneration") == self.number("generation")
    }

    fn run(&mut self, steps: &mut Steps, action: &Action, window: &[&Row], pods: &[(String, PodTimes)]) -> Course {
        self.take_strategy(&action.mark.detail);
        let start = action.mark.t;
        let rolling = !self.recreate && action.mark.mark != "create" && !action.mark.mark.contains("scale");
        let wished = self.number("spec.replicas");
        let (most, least) = (wished + resolve(&self.surge, wished, true), wished - self.max_unavailable(wished));
        let (mut over, mut under) = (i64::MIN, i64::MIN);
        let (mut complete, mut revision, mut new_set) = (None, None, None);
        let (mut up, mut down, mut ups, mut reasons) = (None, None, Vec::new(), Vec::new());
        for (at, row) in window.iter().enumerate() {
            let before = self.take(row);
            if row.is("ReplicaSet", "revision") && self.owns(row) {
                revision = revision.or(Some(row.t));
                new_set = Some(row.name.clone());
            }
            if let Some(before) = before {
                let after = self.sizes[&row.name];
                if after > before {
                    up = up.or(Some(row.t));
                    ups.push(row.t);
                } else {
                    down = down.or(Some(row.t));
                }
            }
            if row.is("Deployment", "cond:Progressing") && row.name == self.deployment {
                let reason = row.new.split(' ').nth(1).unwrap_or_default().to_string();
                reasons.push((row.t, reason));
            }
            // Fields of one write come as several rows.
            if window.get(at + 1).is_none_or(|next| next.t > row.t || next.name != row.name) {
                let changed = row.kind == "Deployment" && row.name == self.deployment;
                complete = match (self.complete(), complete) {
                    (true, None) if changed => Some(row.t),
                    (true, known) => known,
                    (false, _) => None,
                };
                over = over.max(self.sizes.values().sum::<i64>() - most);
                under = under.max(least - self.live.values().filter(|ready| **ready).count() as i64);
            }
        }
        let mut add = |name: &str, at: Option<f64>| {
            if at.is_some() {
                steps.add(&action.key(name), Some(start), at);
            }
        };
        add("new replica set", revision);
        add("first scale up", up);
        add("first scale down", down);
        let newest = new_set.map(|name| format!("ReplicaSet/{name}"));
        let fresh = pods
            .iter()
            .map(|(_, pod)| pod)
            .filter(|pod| Some(&pod.owner) == newest.as_ref() && pod.added >= start && pod.added < action.until);
        let ready = fresh.filter_map(|pod| pod.ready.iter().find(|(t, on)| *on && *t < action.until).map(|(t, _)| *t));
        add("first new pod Ready", ends(ready).0);
        add("complete", complete);
        for (t, reason) in &reasons {
            match reason.as_str() {
                "ProgressDeadlineExceeded" => {
                    add("progressDeadlineSeconds -> deadline exceeded", Some(t - action.deadline))
                }
                other => add(&format!("Progressing {other}"), Some(*t)),
            }
        }
        Course {
            action: action.name.clone(),
            settled: complete.is_some() || action.until - start >= LONG_WAIT,
            reasons: reasons.into_iter().map(|(_, reason)| reason).collect(),
            waves: ups.windows(2).filter(|pair| pair[1] - pair[0] > WAVE_GAP).count() + usize::from(!ups.is_empty()),
            over_limit: (rolling && over > i64::MIN).then_some(over),
            under_limit: (rolling && under > i64::MIN).then_some(under),
            end: self.end(),
        }
    }

    fn max_unavailable(&self, wished: i64) -> i64 {
        let unavailable = resolve(&self.unavailable, wished, false);
        // `ResolveFenceposts`: both zero would never move.
        if unavailable == 0 && resolve(&self.surge, wished, true) == 0 { 1 } else { unavailable }
    }

    fn owns(&self, row: &Row) -> bool {
        row.name.rsplit_once('-').is_some_and(|(name, _)| name == self.deployment)
    }

    /// Follows one row; for a changed size, gives the size before.
    fn take(&mut self, row: &Row) -> Option<i64> {
        match row.kind.as_str() {
            "Deployment" if row.name == self.deployment => {
                self.fields.insert(row.field.clone(), row.new.clone());
            }
            "Pod" if row.whole("Pod", Op::Add) => {
                self.live.insert(row.name.clone(), false);
            }
            "Pod" => {
                let ended = matches!(row.new.as_str(), "Succeeded" | "Failed") && row.field == "phase";
                if row.op == Op::Delete || row.field == "deletionTimestamp" || ended {
                    self.live.remove(&row.name);
                } else if let Some(ready) = self.live.get_mut(&row.name)
                    && row.field == "ready"
                {
                    *ready = row.new == "True";
                }
            }
            "ReplicaSet" if self.owns(row) && row.op == Op::Delete => {
                self.sizes.remove(&row.name);
            }
            "ReplicaSet" if self.owns(row) && row.field == "spec.replicas" => {
                let size = row.new.parse().expect("a number of replicas");
                let before = self.sizes.insert(row.name.clone(), size).unwrap_or(0);
                return (size != before).then_some(before);
            }
            _ => {}
        }
        None
    }

    /// The strategy is not among the recorded fields; the driver's marks say when it changes.
    fn take_strategy(&mut self, detail: &str) {
        let mut words = detail.split([' ', ',']).filter(|word| !word.is_empty());
        while let Some(word) = words.next() {
            match word {
                "maxSurge" => self.surge = words.next().unwrap_or_default().to_string(),
                "maxUnavailable" => self.unavailable = words.next().unwrap_or_default().to_string(),
                "Recreate" => self.recreate = true,
                _ => {}
            }
        }
    }

    fn end(&self) -> String {
        let field = |name: &str| self.fields.get(name).cloned().unwrap_or_default();
        let mut sizes: Vec<i64> = self.sizes.values().copied().filter(|size| *size > 0).collect();
        sizes.sort_unstable();
        format!(
            "replicas {}/{} updated {} ready {} available {} sets {sizes:?} Progressing {} Available {}",
            field("replicas"),
            field("spec.replicas"),
            field("updated"),
            field("ready"),
            field("available"),
            field("cond:Progressing"),
            field("cond:Available")
        )
    }
}

/// A number or a percentage of `total`.
fn resolve(text: &str, total: i64, up: bool) -> i64 {
    match text.strip_suffix('%').map(|percent| percent.parse::<i64>().expect("a percentage")) {
        None => text.parse().expect("a number"),
        Some(percent) if up => (percent * total + 99) / 100,
        Some(percent) => percent * total / 100,
    }
}
