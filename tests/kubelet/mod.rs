//! One node and its kubelet in whole runs: what it does with its containers, and what they do to it. Every run is made
//! twice, with and without ticking what can be computed, and must be the same.

mod cpu;
mod disk;
mod lifecycle;
mod memory;
mod static_pods;

use kubesim::cluster::digest::Digest;
use kubesim::cluster::{Cluster, Options};
use kubesim::model::{ContainerState, Object, Pod};
use kubesim::runtime::Observer;
use kubesim::scenario::Scenario;
use kubesim::scenario::load::{SourceFiles, load};
use kubesim::store::{Change, Store};
use std::cell::RefCell;
use std::rc::Rc;

/// No file is there.
struct Nothing;

impl SourceFiles for Nothing {
    fn read(&self, file: &str) -> Result<String, String> {
        Err(format!("{file} is not there"))
    }

    fn glob(&self, _: &str) -> Vec<String> {
        Vec::new()
    }
}

/// No latency but those of kubelets that stand here: a sandbox takes a second, a pull two.
const EXACT: &str = "
timing:
  watchDelay: 0s
  requestLatency: 0s
  scheduler: {cycleTime: 0s}
  kubelet: {sandboxTime: 1s, containerStartTime: 0s, mountTime: 0s}
  registry: {latency: 2s, bandwidth: 1Ti, defaultImageSize: 1Mi}
";

/// What was seen of a run, with the instants in milliseconds.
pub struct Run {
    /// `event REASON MESSAGE` about an object.
    pub lines: Vec<(i64, String, String)>,
    /// The objects at the end.
    pub cluster: Cluster,
}

#[derive(Clone, Default)]
struct Seen(Rc<RefCell<Vec<(i64, String, String)>>>);

fn pod_line(pod: &Pod) -> String {
    let state = |state: &ContainerState| match state {
        ContainerState::Waiting { reason, .. } => reason.to_string(),
        ContainerState::Running { .. } => "running".to_string(),
        ContainerState::Terminated(how) => format!("{}({})", how.reason, how.exit_code),
    };
    let all = pod.status.init_containers.iter().chain(&pod.status.containers);
    let all: Vec<_> = all.map(|status| format!("{}#{}", state(&status.state), status.restart_count)).collect();
    let ready = if pod.is_ready() { "ready" } else { "unready" };
    format!("{} {ready} {}", pod.status.phase.as_str(), all.join(","))
}

impl Observer for Seen {
    fn change(&mut self, change: &Change, _: &Store) {
        let at = change.time.0 / 1_000_000;
        if let Some(Object::Pod(pod)) = &change.new {
            let resizes = pod.status.conditions.iter().filter(|condition| condition.kind.starts_with("PodResize"));
            for condition in resizes {
                let line = format!("resize {} {} {}", condition.kind, condition.reason, condition.message);
                self.see(at, &change.key.name, line);
            }
        }
        let (name, line) = match &change.new {
            Some(Object::Event(event)) => (&event.regarding.name, format!("event {} {}", event.reason, event.message)),
            Some(Object::Pod(pod)) => (&change.key.name, format!("status {}", pod_line(pod))),
            Some(Object::Node(node)) => {
                let holds = node.conditions.iter().filter(|condition| condition.status == kubesim::model::Truth::True);
                let holds: Vec<&str> = holds.map(|condition| condition.kind.as_str()).collect();
                let taints: Vec<&str> = node.taints.iter().map(|taint| taint.key.as_str()).collect();
                (&change.key.name, format!("node {} [{}]", holds.join(","), taints.join(",")))
            }
            Some(Object::Deployment(deployment)) => {
                (&change.key.name, format!("scale {} available", deployment.status.available))
            }
            None if change.key.kind == kubesim::model::Kind::Pod => (&change.key.name, "gone".to_string()),
            _ => return,
        };
        self.see(at, name, line);
    }
}

impl Seen {
    /// Keeps a line if it is an event, or another than the last of its kind about the object.
    fn see(&self, at: i64, name: &str, line: String) {
        let mut seen = self.0.borrow_mut();
        let last = seen.iter().rev().find(|(_, other, last)| *other == *name && last[..4] == line[..4]);
        if line.starts_with("event") || last.is_none_or(|(.., last)| *last != line) {
            seen.push((at, name.to_string(), line));
        }
    }
}

fn fingerprint(scenario: &Scenario, eager: bool) -> (String, Run) {
    let (digest, seen) = (Digest::default(), Seen::default());
    let options = Options { eager, ..Options::of(scenario) };
    let mut cluster = Cluster::new(scenario, &options, vec![Box::new(digest.clone()), Box::new(seen.clone())]).unwrap();
    cluster.run(&mut |_, _| true).unwrap();
    (digest.0.take().to_string(), Run { lines: seen.0.take(), cluster })
}

/// Runs a scenario, whose text is written without name and timing.
pub fn run(text: &str) -> Run {
    let text = format!("name: test\n{EXACT}\n{text}");
    let scenario = load("test.yaml", &text, &[], &Nothing).unwrap_or_else(|error| panic!("{error}"));
    let (lazy, run) = fingerprint(&scenario, false);
    let (eager, ticked) = fingerprint(&scenario, true);
    if lazy != eager {
        let first = run.lines.iter().zip(&ticked.lines).find(|(lazy, eager)| lazy != eager);
        panic!("a ticked run differs: {first:#?}");
    }
    run
}

impl Run {
    /// What was seen of an object that contains `word`, with the instants in milliseconds.
    pub fn of(&self, object: &str, word: &str) -> Vec<(i64, &str)> {
        let about = self.lines.iter().filter(|(_, name, line)| name == object && line.contains(word));
        about.map(|(at, _, line)| (*at, line.as_str())).collect()
    }

    /// The first instant at which a line of an object that contains `word` was seen, in milliseconds.
    pub fn at(&self, object: &str, word: &str) -> i64 {
        let found = self.of(object, word);
        found.first().unwrap_or_else(|| panic!("nothing of {object} with {word:?} in {:#?}", self.about(object))).0
    }

    /// When a Deployment first had an available pod, in milliseconds.
    pub fn available(&self, name: &str) -> i64 {
        self.at(name, "scale 1 available")
    }

    /// All that was seen of an object.
    pub fn about(&self, object: &str) -> Vec<(i64, &str)> {
        self.of(object, "")
    }

    /// A pod at the end.
    pub fn pod(&self, name: &str) -> Pod {
        let view = self.cluster.runtime().store.live();
        let pod = view.fetch::<Pod>(&kubesim::model::Name::from("default"), &kubesim::model::Name::from(name));
        Pod::clone(pod.unwrap_or_else(|| panic!("no pod {name}")))
    }
}

/// A pod of one container `c`; `more` of the container, `spec` of the pod, both as YAML in one line.
pub fn pod(name: &str, more: &str, spec: &str) -> String {
    format!(
        "  - {{apiVersion: v1, kind: Pod, metadata: {{name: {name}, labels: {{app: {name}}}}}, spec: {{containers: \
         [{{name: c, image: \"app:1\"{more}}}]{spec}}}}}\n"
    )
}
