//! `kubectl drain` against a disruption budget: done again on our cluster, and compared line by line with what the
//! recorded kubectl printed and with what the recorded budget, pods and nodes went through.
//!
//! Pods have other names and are evicted side by side, so what is compared is the n-th time that something happens:
//! its instant since the beginning of its drain, and its place among the others where the gap is no accident.

use super::events;
use super::observe::Recorder;
use super::recording::{self, Mark, Op, Row};
use super::replay;
use kubesim::cluster::{machines::bootstrap_objects, settings};
use kubesim::controllers::node_lifecycle::NodeLifecycleSettings;
use kubesim::model::core::{Incident, Namespace};
use kubesim::model::{Key, Kind, Meta, Name, Node, Object, Resource};
use kubesim::rng::Seed;
use kubesim::runtime::{Runtime, RuntimeLimits};
use kubesim::scenario::Timing;
use kubesim::script::drain::DrainOptions;
use kubesim::script::{Entry, Kubectl, Step};
use kubesim::store::{Patch, Preconditions, Store, Write};
use kubesim::time::{SimDuration, SimTime};
use kubesim::wire::decode;
use kubesim::wire::patch::{Document, Form};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

const SEEDS: u64 = 10;
/// The cluster comes up so long before the zero, and the objects are created.
const WARM_UP: SimDuration = SimDuration::from_secs(40);
const CREATED: SimDuration = SimDuration::from_secs(-12);
/// Steps further apart than this come in an order that is no accident.
const CLEAR_GAP: f64 = 1.0;

/// What happened since a drain began: what, and when.
type Story = Vec<(String, f64)>;

/// One cluster with the recorded objects.
struct World {
    runtime: Runtime,
    namespace: Name,
    rows: Rc<RefCell<Vec<Row>>>,
    marks: Vec<Mark>,
    commands: usize,
}

impl World {
    fn new(seed: u64, namespace: &str, manifests: &[Value]) -> World {
        let seed = Seed(seed);
        let up = SimTime::ZERO - WARM_UP;
        let mut runtime = Runtime::new(Store::new(seed, Default::default()), seed, up, RuntimeLimits::default(), false);
        let rows = Rc::new(RefCell::new(Vec::new()));
        runtime.observe(Box::new(Recorder { zero: SimTime::ZERO, rows: rows.clone() }));
        let meta = Meta::named("", namespace);
        let home = Namespace { meta, terminating: false, spec_finalizers: Vec::new(), conditions: Vec::new() };
        let machines = (0..4).map(|index| {
            let zone = format!("z{}", index % 3);
            Object::from(replay::machine(&format!("n{index}"), &zone, [(16, 64), (8, 32)][index % 2], index, up))
        });
        for object in bootstrap_objects().into_iter().chain(machines).chain([home.into_object()]) {
            runtime.commit_now(Write::Create(object), "bootstrap").expect("an empty store takes the first objects");
        }
        let timing = Timing::default();
        for (actor, settings) in replay::actors(seed, &timing, NodeLifecycleSettings::from_timing(&timing)) {
            runtime.add(actor, settings);
        }
        let mut world = World { runtime, namespace: namespace.into(), rows, marks: Vec::new(), commands: 0 };
        world.run_until(SimTime::ZERO + CREATED);
        for manifest in manifests {
            let mut object = decode::object(manifest).unwrap();
            object.meta_mut().namespace = world.namespace.clone();
            world.runtime.commit_now(Write::Create(object), "kubectl").unwrap();
        }
        world.run_until(SimTime::ZERO);
        world
    }

    fn run_until(&mut self, until: SimTime) {
        self.runtime.run_until(until, &mut |_, _| true).expect("no limit is near");
    }

    fn wait(&mut self, seconds: f64) {
        self.run_until(self.runtime.now() + SimDuration::from_secs_f64(seconds));
    }

    /// The node with that many protected and unprotected pods, or the nearest to it.
    fn node_with(&self, wanted: (usize, usize), but: Option<&Name>) -> Name {
        let live = self.runtime.store.live();
        let distance = |node: &Name| {
            let pods: Vec<_> = live.pods_on(node).collect();
            let of = |app: &str| pods.iter().filter(|pod| pod.meta.labels.get("app").is_some_and(|a| a == app)).count();
            of("app").abs_diff(wanted.0) * 10 + of("free").abs_diff(wanted.1)
        };
        let names = live.list::<Node>().map(|node| node.meta.name.clone()).filter(|name| Some(name) != but);
        names.min_by_key(|name| (distance(name), name.clone())).expect("there are nodes")
    }

    /// Does one command and waits for its end.
    fn command(&mut self, step: Step) {
        let (now, index) = (self.runtime.now(), self.commands);
        self.commands += 1;
        self.runtime.add(Box::new(Kubectl::new(vec![Entry { index, at: now, step, user: None }])), settings::kubectl());
        let key = Key::cluster(Kind::Incident, format!("incident-{index:04}"));
        for _ in 0..200 * 60 {
            self.wait(0.005);
            let over = self.runtime.store.live().fetch_key::<Incident>(&key).is_some_and(|done| done.ended.is_some());
            if over {
                break;
            }
        }
    }

    /// What all commands printed: read when the last line has long been written down.
    fn printed(&self) -> Vec<Mark> {
        let incidents: Vec<_> = self.runtime.store.live().list::<Incident>().collect();
        let lines = incidents.iter().flat_map(|incident| &incident.output);
        let mark = |(t, line): &(SimTime, Name)| (t.as_secs_f64(), line.to_string());
        lines.map(mark).map(|(t, detail)| Mark { t, mark: "kubectl".to_string(), detail }).collect()
    }

    fn drain(&mut self, node: &Name, timeout: Option<i64>) {
        let (t, mark) = (self.runtime.now().as_secs_f64(), "drain-start".to_string());
        self.marks.push(Mark { t, mark, detail: node.to_string() });
        let options = DrainOptions {
            ignore_daemon_sets: true,
            timeout: timeout.map(SimDuration::from_secs),
            ..DrainOptions::default()
        };
        self.command(Step::Drain { key: Key::cluster(Kind::Node, node.clone()), options });
    }

    fn cordon(&mut self, node: &Name, unschedulable: bool) {
        let key = Key::cluster(Kind::Node, node.clone());
        let write = Write::Patch(key, Patch::Unschedulable(unschedulable), Preconditions::default());
        self.runtime.commit_now(write, "kubectl").unwrap();
    }

    fn min_available(&mut self, least: i32) {
        let key = Key::new(Kind::PodDisruptionBudget, self.namespace.clone(), "app");
        let patch = json!({"spec": {"minAvailable": least}});
        let document = Arc::new(Document::new(Form::Merge, patch, "kubectl-patch"));
        self.command(Step::Change { key, document, command: "patch {}".to_string(), dry_run: false });
    }
}

/// The recorded program, with the recorded pauses.
fn replay(recorded: &[Mark], namespace: &str, manifests: &[Value], seed: u64) -> (Vec<Mark>, Vec<Row>) {
    let mut world = World::new(seed, namespace, manifests);
    let at = |wanted: &str, nth: usize| recorded.iter().filter(|mark| mark.mark == wanted).nth(nth).unwrap().t;
    let first = world.node_with((2, 1), None);
    world.drain(&first, None);
    world.wait(at("uncordon", 0) - at("drain-exit", 0));
    world.cordon(&first, false);
    world.wait(at("pdb-blocks-all", 0) - at("uncordon", 0));
    world.min_available(6);
    world.wait(at("drain-start", 1) - at("pdb-blocks-all", 0));
    let second = world.node_with((2, 1), Some(&first));
    world.drain(&second, Some(22));
    world.wait(at("pdb-relaxed", 0) - at("drain-exit", 1));
    world.min_available(5);
    world.wait(at("drain-start", 2) - at("pdb-relaxed", 0));
    world.drain(&second, None);
    world.wait(6.0);
    world.runtime.finish();
    world.marks.extend(world.printed());
    (world.marks, world.rows.take())
}

/// What each drain brought about, in order of time.
fn stories(marks: &[Mark], rows: &[Row], namespace: &str) -> Vec<Story> {
    let begins: Vec<f64> = marks.iter().filter(|mark| mark.mark == "drain-start").map(|mark| mark.t).collect();
    let owner: BTreeMap<&str, &str> = rows
        .iter()
        .filter(|row| row.kind == "Pod" && row.field == "owner")
        .map(|row| (row.name.as_str(), row.new.as_str()))
        .collect();
    let app = |pod: &str| match owner.get(pod).copied().unwrap_or(pod) {
        name if name.contains("app") => "app",
        name if name.contains("free") => "free",
        _ => "agent",
    };
    begins
        .iter()
        .enumerate()
        .map(|(at, begin)| {
            let end = begins.get(at + 1).copied().unwrap_or(begin + 12.0);
            let mut story = Story::new();
            for mark in marks.iter().filter(|mark| mark.mark == "kubectl" && mark.t >= *begin && mark.t < end) {
                if let Some(line) = shortened(&mark.detail) {
                    story.push((line, mark.t - begin));
                }
            }
            for row in rows.iter().filter(|row| row.t >= *begin && row.t < end && row.namespace == namespace) {
                let what = match (row.kind.as_str(), row.op, row.field.as_str()) {
                    ("PodDisruptionBudget", _, "allowed" | "desiredHealthy" | "currentHealthy") => {
                        format!("budget {} {} -> {}", row.field, row.old, row.new)
                    }
                    ("Pod", Op::Delete, _) => format!("a pod of {} is gone", app(&row.name)),
                    ("Pod", _, "disruptionTarget" | "deletionTimestamp") => {
                        format!("a pod of {} gets {} {}", app(&row.name), row.field, row.new)
                    }
                    ("Pod", Op::Modify, "ready") if row.new == "True" => {
                        format!("a pod of {} is ready", app(&row.name))
                    }
                    _ => continue,
                };
                story.push((what, row.t - begin));
            }
            story.sort_by(|a, b| a.1.total_cmp(&b.1));
            story
        })
        .collect()
}

/// A line of kubectl without the names of pods and nodes. Pods of DaemonSets are not always there. The recorder cut
/// long lines.
fn shortened(line: &str) -> Option<String> {
    let words: Vec<&str> = line.split(' ').collect();
    let app = if line.contains("free-") { "free" } else { "app" };
    let short = match words.as_slice() {
        ["evicting", ..] => format!("evicting {app}"),
        [_, "evicted"] => format!("{app} evicted"),
        [node, rest @ ..] if node.starts_with("node/") => rest.join(" "),
        ["error", ..] if line.contains("will retry") => format!("{app} refused: {}", line.rsplit(": ").next()?),
        ["error", ..] => format!("{app}: {}", line.rsplit(": ").next()?),
        ["error:", ..] => "error: unable to drain".to_string(),
        ["There", "are", "pending", what, ..] => format!("pending {what}"),
        [pod] if pod.starts_with("pod/") => format!("pending {app}"),
        _ => return None,
    };
    Some(short)
}

/// What differs: other happenings, other instants, another order.
fn differences(ours: &Story, recorded: &Story) -> Vec<String> {
    let numbered = |story: &Story| {
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let number = |(what, at): &(String, f64)| {
            let nth = seen.entry(what.clone()).or_default();
            *nth += 1;
            (format!("{what} #{nth}"), *at)
        };
        story.iter().map(number).collect::<BTreeMap<_, _>>()
    };
    let (ours, recorded) = (numbered(ours), numbered(recorded));
    let mut out = Vec::new();
    for (what, at) in &recorded {
        match ours.get(what) {
            None => out.push(format!("`{what}` never happened, recorded at {at:.3}")),
            Some(mine) if (mine - at).abs() > (at * 0.05).max(1.0) => {
                out.push(format!("`{what}` at {mine:.3}, recorded at {at:.3}"));
            }
            Some(mine) => {
                for (later, after) in recorded.iter().filter(|(_, after)| **after > at + CLEAR_GAP) {
                    if ours.get(later).is_some_and(|theirs| theirs < mine) {
                        out.push(format!("`{what}` after `{later}`, recorded {:.3} s before", after - at));
                    }
                }
            }
        }
    }
    // How many unprotected pods the node has is the scheduler's affair; each goes like the others.
    let unknown = ours.iter().filter(|(what, _)| !recorded.contains_key(*what) && !what.contains("free"));
    out.extend(unknown.map(|(what, at)| format!("`{what}` at {at:.3}, never recorded")));
    out
}

#[test]
fn golden_drain() {
    let folder = recording::folder();
    let mut paths: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("drain")));
    paths.sort();
    let mut problems = Vec::new();
    for path in paths {
        let text = |file: &str| std::fs::read_to_string(path.join(file)).unwrap();
        let marks = recording::read_marks(&text("marks.csv"));
        let rows = recording::read_rows(&recording::changes(&path).expect("a drain has changes"));
        let manifests = recording::documents(&text("manifests.yaml"));
        let namespace = rows.iter().find(|row| row.kind == "Deployment").expect("a Deployment").namespace.clone();
        let recorded = stories(&marks, &rows, &namespace);
        let told = events::told(&rows);
        for seed in 0..SEEDS {
            let (marks, rows) = replay(&marks, &namespace, &manifests, seed);
            let ours = stories(&marks, &rows, &namespace);
            assert_eq!(ours.len(), recorded.len());
            let events = events::differences(&told, &events::told(&rows), false);
            problems.extend(events.into_iter().map(|why| format!("{} seed {seed}: {why}", path.display())));
            for (number, (mine, theirs)) in ours.iter().zip(&recorded).enumerate() {
                let named = |why: String| format!("{} seed {seed} drain {}: {why}", path.display(), number + 1);
                problems.extend(differences(mine, theirs).into_iter().map(named));
            }
        }
        println!("{}: {} steps compared, {SEEDS} times", path.display(), recorded.iter().map(Vec::len).sum::<usize>());
    }
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}
