//! The milestones of a Deployment that follows its load, what the driver did, and the metrics that it was given.

use super::plan::{Act, Planned, When};
use super::recording::{Mark, Recording, Row};
use super::steps::{Step, Steps};
use kubesim::metrics::meters::GaugeKey;
use kubesim::metrics::scrape::{MetricsApi, PodMetrics};
use kubesim::model::pod::Usage;
use kubesim::model::{Phase, Pod};
use kubesim::store::View;
use kubesim::time::{SimDuration, SimTime};

/// The window that the recorded metrics had: pods ready 12 s before the first look did not count yet, pods ready 27 s
/// before the second did.
const WINDOW: SimDuration = SimDuration::from_secs(15);
const LOAD: &str = "load-millicores";

/// The metrics API of the recording: the load divided by the pods that run.
pub struct Stub {
    zero: SimTime,
    /// Milli-CPU from an instant on.
    load: Vec<(f64, i64)>,
}

impl Stub {
    pub fn new(recording: &Recording, zero: SimTime) -> Stub {
        let marks = recording.marks.iter().filter(|mark| mark.mark == LOAD);
        let load = marks.map(|mark| (mark.t, mark.detail.parse().expect("a number of millicores")));
        Stub { zero, load: load.collect() }
    }
}

impl MetricsApi for Stub {
    fn pod(&self, view: View<'_>, pod: &Pod, now: SimTime) -> Option<PodMetrics> {
        let runs = |pod: &Pod| pod.status.phase == Phase::Running;
        let pods = view.list_in::<Pod>(&pod.meta.namespace).filter(|pod| runs(pod)).count() as i64;
        let t = (now - self.zero).as_secs_f64();
        let load = self.load.iter().rev().find(|(since, _)| *since <= t).map_or(0, |(_, load)| *load);
        let usage = Usage { milli_cpu: (load + pods - 1) / pods.max(1), memory: 0 };
        let containers = pod.spec.containers.iter().map(|container| (container.name.clone(), usage)).collect();
        runs(pod).then_some(PodMetrics { time: now, window: WINDOW, containers })
    }

    fn gauge(&self, _: &GaugeKey, _: SimTime) -> Option<i64> {
        None
    }

    fn gauge_of_pod(&self, _: &GaugeKey, _: &Pod, _: SimTime) -> Option<i64> {
        None
    }
}

/// The objects when they appeared, and the marks.
pub fn plan(recording: &Recording) -> Vec<Planned> {
    let mut plan = Vec::new();
    for document in &recording.manifests {
        let text = |field: &serde_json::Value| field.as_str().unwrap_or_default().to_string();
        let t = recording.added(&text(&document["kind"]), &text(&document["metadata"]["name"])).unwrap_or(0.0);
        plan.push(Planned { when: When::At(t), act: Act::Create(document.clone()), mark: None });
    }
    for mark in recording.marks.iter().filter(|mark| mark.t > 1.0) {
        let named = Some((mark.mark.clone(), mark.detail.clone()));
        plan.push(Planned { when: When::At(mark.t), act: Act::Nothing, mark: named });
    }
    plan
}

/// Every change of the size, and every new reason of a condition: the first after a change of the load is measured from
/// that, the others from the change of size before.
pub fn steps(rows: &[Row], marks: &[Mark]) -> Vec<Step> {
    let loads: Vec<&Mark> = marks.iter().filter(|mark| mark.mark == LOAD && mark.t > 1.0).collect();
    let mut out = Vec::new();
    let begun = rows.iter().find(|row| row.kind == "HorizontalPodAutoscaler").map_or(0.0, |row| row.t);
    let mut steps = Steps { cycle: 0, out: &mut out };
    for row in rows.iter().filter(|row| row.t > begun) {
        let since = loads.iter().rev().find(|mark| mark.t <= row.t).map_or(begun, |mark| mark.t);
        let key = match (row.kind.as_str(), row.field.as_str()) {
            ("Deployment", "spec.replicas") => format!("replicas {} -> {}", row.old, row.new),
            ("HorizontalPodAutoscaler", "cond:AbleToScale" | "cond:ScalingActive" | "cond:ScalingLimited") => {
                format!("{} -> {}", &row.field[5..], row.new)
            }
            _ => continue,
        };
        let load = loads.iter().rev().find(|mark| mark.t <= row.t).map_or("no load", |mark| mark.detail.as_str());
        steps.add(&format!("load {load}: {key}"), Some(since), Some(row.t));
    }
    out
}
