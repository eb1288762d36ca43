//! How many replicas metrics ask for, and whole passes of the horizontal autoscaler over time.

use super::{agree, at, differs, int, list, text, unix};
use kubesim::controllers::horizontal::judge::{Metrics, Note, Scale, judge};
use kubesim::controllers::horizontal::normalize::Memory;
use kubesim::controllers::horizontal::replicas::{
    Proposed, Sample, Samples, Scene, Tolerances, average, for_each, total, utilization,
};
use kubesim::model::autoscaling::HorizontalPodAutoscaler;
use kubesim::model::{Condition, Name, Object, Phase, Pod, Truth, builder};
use kubesim::time::SimDuration;
use kubesim::wire::decode;
use serde_json::{Value, json};
use std::sync::Arc;

#[test]
fn golden_hpa() {
    agree("hpa_calc", |case| differs(&calculated(case), &case["out"]));
    agree("hpa_trace", traced);
}

fn number(value: &Value) -> i64 {
    value.as_i64().expect("an integer")
}

/// A pod as the recording writes it, with the requests of its containers `c0`, `c1` and so on.
fn pod(row: &Value, requests: &[Value]) -> Arc<Pod> {
    let containers: Vec<Value> = requests
        .iter()
        .enumerate()
        .map(|(n, request)| {
            let mut asked = json!({});
            for (at, (resource, unit)) in [("cpu", "m"), ("memory", "")].into_iter().enumerate() {
                if number(&request[at]) >= 0 {
                    asked[resource] = json!(format!("{}{unit}", number(&request[at])));
                }
            }
            json!({"name": format!("c{n}"), "image": "i", "resources": {"requests": asked}})
        })
        .collect();
    let spec = decode::stored_pod_spec(&json!({"containers": containers})).expect("a pod spec");
    let mut pod = builder::pod(text(&row[0]), spec);
    pod.status.phase = match text(&row[1]) {
        "Pending" => Phase::Pending,
        "Running" => Phase::Running,
        "Succeeded" => Phase::Succeeded,
        "Failed" => Phase::Failed,
        other => panic!("an unknown phase: {other}"),
    };
    if row[2] == true {
        pod.meta.deletion = Some(kubesim::model::Deletion { at: kubesim::time::SimTime::ZERO, grace_seconds: 30 });
    }
    pod.status.start_time = (!row[3].is_null()).then(|| at(&row[3]));
    let status = match text(&row[4]) {
        "True" => Some(Truth::True),
        "False" => Some(Truth::False),
        "Unknown" => Some(Truth::Unknown),
        _ => None,
    };
    let ready = status.map(|status| Condition::new("Ready".into(), status, Name::new(), "", at(&row[5])));
    pod.status.conditions.extend(ready);
    Arc::new(pod)
}

/// Samples, or what the metrics API says when it has none.
fn samples(rows: &Value, api: &str) -> Result<Samples, String> {
    let sample = |row: &Value| {
        let window = SimDuration::from_secs(number(&row[2]));
        (Name::from(text(&row[0])), Sample { time: at(&row[1]), window, value: number(&row[3]) })
    };
    match rows.is_null() {
        true => Err(format!("no metrics returned from {api} metrics API")),
        false => Ok(list(rows).iter().map(sample).collect()),
    }
}

pub(super) fn calculated(case: &Value) -> Value {
    let requests = list(&case["requests"]);
    let pods: Vec<Arc<Pod>> =
        (list(&case["pods"]).iter().zip(requests)).map(|(row, own)| pod(row, list(own))).collect();
    let (down, up) = (case["tol"][0].as_f64().unwrap(), case["tol"][1].as_f64().unwrap());
    let tolerances = Tolerances { down, up };
    let scene = Scene { now: at(&case["now"]), current: int(&case["current"]), pods: &pods, tolerances };
    let (target, resource, container) = (number(&case["target"]), text(&case["resource"]), case["container"].as_str());
    let of_resource = |count: &dyn Fn(&mut Samples) -> Proposed| {
        let why = |why| format!("unable to get metrics for resource {resource}: {why}");
        samples(&case["samples"], "resource").map_err(why).and_then(|mut samples| count(&mut samples))
    };
    let external = || list(&case["external"]).iter().map(number).sum();
    let proposed = match text(&case["kind"]) {
        "util" => of_resource(&|samples| utilization(&scene, samples, resource, container, target as i32)),
        "value" => of_resource(&|samples| average(&scene, samples, resource, target)),
        "pods" => samples(&case["samples"], "custom").and_then(|mut samples| average(&scene, &mut samples, "", target)),
        "object_value" => total(&scene, number(&case["object"]), target),
        "external_value" => total(&scene, external(), target),
        "object_avg" => Ok(for_each(tolerances, scene.current, number(&case["object"]), target)),
        "external_avg" => Ok(for_each(tolerances, scene.current, external(), target)),
        other => panic!("an unknown kind of case: {other}"),
    };
    match proposed {
        Err(why) => json!({"err": why}),
        Ok(found) => {
            let mut out = json!({"replicas": found.replicas, "usage": found.value});
            if let Some(percent) = found.utilization {
                out["util"] = json!(percent);
            }
            out
        }
    }
}

/// The metrics of one step.
struct Recorded<'a> {
    step: &'a Value,
    of_pods: Samples,
}

/// Running pods of a step, those that share its load.
fn running(step: &Value) -> Vec<&Value> {
    list(&step["pods"]).iter().filter(|row| text(&row[1]) == "Running" && row[2] == false).collect()
}

/// What the pods' own metric may have been in a step. Steps in which the resource metrics API failed were written
/// without it, though it was served: what is known then is the load, which it follows with a scatter of a few percent and
/// with samples missing now and then. Any such value that explains the step and all later ones will do.
fn of_pods(step: &Value, steps: &[Value]) -> Vec<Samples> {
    if step["resource_metrics_fail"] != true {
        return vec![samples(&step["podsmetric"], "custom").unwrap_or_default()];
    }
    let told = steps.iter().filter_map(|other| {
        let rows = list(&other["podsmetric"]);
        let sum: i64 = rows.iter().map(|row| number(&row[3])).sum();
        let mean = sum as f64 / rows.len() as f64;
        (!rows.is_empty()).then(|| mean * running(other).len() as f64 / number(&other["object"]) as f64)
    });
    let factors: Vec<f64> = told.collect();
    let pods = running(step);
    let factor = factors.iter().sum::<f64>() / (factors.len() * pods.len().max(1)) as f64;
    let usual = number(&step["object"]) as f64 * factor;
    let possible = (0..=pods.len().min(2)).flat_map(|missing| (-10..=10).map(move |scatter| (missing, scatter)));
    let with = |(missing, scatter): (usize, i32)| {
        let value = (usual * (1.0 + f64::from(scatter) / 50.0)) as i64;
        let sample = Sample { time: at(&step["t"]), window: SimDuration::from_secs(60), value };
        pods.iter().skip(missing).map(|row| (Name::from(text(&row[0])), sample)).collect()
    };
    std::iter::once(Samples::new()).chain(possible.map(with)).collect()
}

impl Metrics for Recorded<'_> {
    fn resource(&self, resource: &str, _: Option<&str>) -> Result<Samples, String> {
        match self.step["resource_metrics_fail"] == true {
            true => Err("no metrics returned from resource metrics API".to_string()),
            false => samples(&self.step[resource], "resource"),
        }
    }
    fn pods(&mut self, _: &str) -> Result<&mut Samples, String> {
        Ok(&mut self.of_pods)
    }
    fn object(&self, _: &str, _: &str, _: &str) -> Result<i64, String> {
        Ok(number(&self.step["object"]))
    }
    fn external(&self, _: &str, _: &str) -> Result<i64, String> {
        Ok(list(&self.step["external"]).iter().map(number).sum())
    }
}

fn traced(case: &Value) -> Option<String> {
    let written = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web", "namespace": "ns"}, "spec": case["hpa"]});
    let Ok(Object::HorizontalPodAutoscaler(hpa)) = decode::object(&written) else { panic!("{written}") };
    let request = [json!([case["request"]["cpu_milli"], case["request"]["memory_bytes"]])];
    // Where an input is not known, several states may explain what was recorded so far.
    let mut states = vec![(HorizontalPodAutoscaler::clone(&hpa), Memory::default())];
    for step in list(&case["steps"]) {
        let pods: Vec<Arc<Pod>> = list(&step["pods"]).iter().map(|row| pod(row, &request)).collect();
        let metrics = of_pods(step, list(&case["steps"]));
        let mut after: Vec<(HorizontalPodAutoscaler, Memory)> = Vec::new();
        let mut wrong = None;
        for (state, of_pods) in states.iter().flat_map(|state| metrics.iter().map(move |one| (state, one))) {
            let (mut hpa, mut memory) = state.clone();
            let ours = pass(&mut hpa, &mut memory, step, &pods, of_pods.clone());
            match differs(&ours, &step["out"]) {
                Some(why) => wrong = Some(format!("at {}: {why}", step["t"])),
                None if after.contains(&(hpa.clone(), memory.clone())) => {}
                None => after.push((hpa, memory)),
            }
        }
        if after.is_empty() {
            return wrong;
        }
        states = after;
    }
    None
}

/// One pass, in the form of the recording.
fn pass(
    hpa: &mut HorizontalPodAutoscaler,
    memory: &mut Memory,
    step: &Value,
    pods: &[Arc<Pod>],
    of_pods: Samples,
) -> Value {
    let spec = int(&step["spec"]);
    let scale = Scale { spec, status: spec, pods };
    let judged = judge(hpa, memory, scale, &mut Recorded { step, of_pods }, at(&step["t"]));
    let s = &judged.status;
    let conditions: Vec<Value> = (s.conditions.iter())
        .map(|c| json!([&*c.kind, c.status.as_str(), &*c.reason, &*c.message, unix(c.last_transition)]))
        .collect();
    let note = |note: &Note| {
        let kind = if note.warning { "Warning" } else { "Normal" };
        json!(format!("{kind} {} {}", note.reason, note.message))
    };
    let mut ours = json!({"spec": judged.rescale.map_or(spec, |(size, _)| size), "current": s.current, "desired": s.desired,
        "conditions": conditions, "lastScale": s.last_scale.map(unix), "err": judged.error});
    if !judged.notes.is_empty() {
        ours["events"] = judged.notes.iter().map(note).collect();
    }
    ours.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    hpa.status = judged.status;
    ours
}
