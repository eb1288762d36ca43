//! The rules of the horizontal autoscaler one by one, where recordings meet them rarely or never. The facts are those of
//! upstream's own tests (`pkg/controller/podautoscaler/replica_calculator_test.go` and `horizontal_test.go`); the
//! arithmetic stands beside each row.

use super::autoscalers::calculated;
use kubesim::controllers::horizontal::judge::{Metrics, Refusal, Scale, judge, refused};
use kubesim::controllers::horizontal::normalize::{Bounds, Memory};
use kubesim::controllers::horizontal::replicas::{Sample, Samples};
use kubesim::model::autoscaling::HorizontalPodAutoscaler;
use kubesim::model::{Name, Object, Pod, Truth, builder};
use kubesim::time::{SimDuration, SimTime};
use kubesim::wire::{decode, encode};
use serde_json::{Value, json};
use std::sync::Arc;

const NOW: i64 = 1_767_272_400;

/// Pods by one letter each: `r` ready for an hour, `u` never ready, `s` ready once and not now, `h` started a minute ago
/// and ready for half of it, `n` without a Ready condition, `p` pending, `f` failed, `d` being deleted.
fn pods(letters: &str) -> Vec<Value> {
    let row = |(at, letter): (usize, char)| {
        let old = NOW - 3600;
        let (phase, start, ready, since) = match letter {
            'u' => ("Running", old, "False", old),
            's' => ("Running", old, "False", NOW - 600),
            'h' => ("Running", NOW - 60, "True", NOW - 30),
            'n' => ("Running", old, "", 0),
            'p' => ("Pending", old, "False", old),
            'f' => ("Failed", old, "True", old),
            _ => ("Running", old, "True", old),
        };
        let since = if ready.is_empty() { Value::Null } else { json!(since) };
        json!([format!("p{at}"), phase, letter == 'd', start, ready, since])
    };
    letters.chars().enumerate().map(row).collect()
}

/// A case in the form of the recordings. A level below 0 is a missing sample; levels beyond the pods belong to others.
fn case(kind: &str, current: i32, target: i64, letters: &str, levels: &[i64]) -> Value {
    let pods = pods(letters);
    let named = levels.iter().enumerate().filter(|(_, level)| **level >= 0);
    let samples: Vec<Value> = named.map(|(at, level)| json!([format!("p{at}"), NOW, 60, level])).collect();
    json!({"kind": kind, "current": current, "target": target, "tol": [0.1, 0.1], "resource": "cpu", "now": NOW,
        "requests": vec![json!([[1000, 1000]]); pods.len()], "pods": pods, "samples": samples,
        "object": levels.first(), "external": levels})
}

/// Replicas and current value, or why there are none.
type Expected = Result<(i32, i64), &'static str>;

/// What is special, current size, target, pods, levels, and what comes out.
type Row = (&'static str, i32, i64, &'static str, &'static [i64], Expected);

fn check(name: &str, case: &Value, expected: Expected) {
    let out = calculated(case);
    let ours = match out["err"].as_str() {
        Some(why) => Err(why.to_string()),
        None => Ok((out["replicas"].as_i64().unwrap() as i32, out["usage"].as_i64().unwrap())),
    };
    assert_eq!(ours, expected.map_err(str::to_string), "{name}: {case}");
}

#[test]
fn pods_that_say_nothing_yet_and_samples_that_are_missing() {
    let unready = "did not receive metrics for targeted pods (pods might be unready)";
    let rows: [Row; 22] = [
        // 50 % / 30 % * 3 = 5
        ("all are ready", 3, 30, "rrr", &[300, 500, 700], Ok((5, 500))),
        // 60 % / 30 % = 2; the unready one at 0: 40 % / 30 % * 3 = 4
        ("an unready pod slows growth", 3, 30, "urr", &[300, 500, 700], Ok((4, 600))),
        ("so does a pod that has just started", 3, 30, "hrr", &[300, 500, 700], Ok((4, 600))),
        ("and one without Ready condition", 3, 30, "nrr", &[300, 500, 700], Ok((4, 600))),
        ("not one that was ready before", 3, 30, "srr", &[300, 500, 700], Ok((5, 500))),
        // 40 % / 30 % > 1; at 0: 13 % / 30 % < 1: it turns, so nothing
        ("two of them stop it", 3, 30, "ruu", &[400, 500, 700], Ok((3, 400))),
        ("two hot ones, too", 3, 30, "rhh", &[400, 500, 700], Ok((3, 400))),
        // 60 % / 30 % * 2
        ("failed pods do not count", 2, 30, "rrff", &[500, 700], Ok((4, 600))),
        ("nor do pods that go", 2, 30, "rrdd", &[500, 700, 900, 900], Ok((4, 600))),
        // 28 % / 50 % * 5 = 2.8
        ("down", 5, 50, "rrrrr", &[100, 300, 500, 250, 250], Ok((3, 280))),
        // 30 % / 50 % * 3 ready = 1.8
        ("down without the unready", 5, 50, "rrruu", &[100, 300, 500, 250, 250], Ok((2, 300))),
        // 23500 / 4000 = 587 %, * 4 = 23.48; p4 and p5 are no pods of the target
        ("samples of others", 4, 100, "rrrr", &[4000, 9500, 3000, 7000, 3200, 2000], Ok((24, 5875))),
        // 24 %; two missing at 100 %: 62 % * 4 = 2.48
        ("missing ones count as full when it shrinks", 4, 100, "rrrr", &[400, 95], Ok((3, 247))),
        // 1000 and 1000 of 2000: 100 % of 150 %; missing at 150 %: 125 / 150 * 4 = 3.33
        ("as full as the target, if that is more", 4, 150, "rrrr", &[1000, 1000], Ok((4, 1000))),
        ("and not at all when all is even", 2, 100, "rr", &[1000, -1], Ok((2, 1000))),
        // 190 %; with 0: 95 %
        ("as idle when it grows", 2, 100, "rr", &[1900, -1], Ok((2, 1900))),
        // 200 %; unready and missing at 0: 66 / 50 * 3 = 3.96
        ("missing and unready", 3, 50, "urr", &[100, 2000, -1], Ok((4, 2000))),
        // 10 %; missing at 100 %, unready left out: 40 / 50 * 3 = 2.4
        ("missing and unready, down", 4, 50, "urrr", &[100, 100, 100, -1], Ok((3, 100))),
        // 1200 / 3000 = 40 / 50 * 3 = 2.4, more than there are although it shrinks: a surge of a rollout
        ("never more when it shrinks", 2, 50, "rrr", &[100, 100, -1], Ok((2, 100))),
        // 200 %; unready at 0: 66 / 50 * 3 = 3.96, fewer than there are although it grows
        ("never fewer when it grows", 5, 50, "rru", &[1000, 1000, 0], Ok((5, 1000))),
        ("only samples of others", 1, 100, "r", &[-1, 500], Err("no metrics returned matched known pods")),
        ("nobody says anything yet", 2, 50, "un", &[500, 500], Err(unready)),
    ];
    for (name, current, target, letters, levels, expected) in rows {
        check(name, &case("util", current, target, letters, levels), expected);
    }
    // Memory has nothing to warm up: 50 % of 1000 bytes, whoever is ready.
    let mut memory = case("util", 3, 30, "uhr", &[300_000, 500_000, 700_000]);
    memory["resource"] = json!("memory");
    check("memory", &memory, Ok((5, 500_000)));
    let mut without = case("util", 2, 30, "rr", &[300, 300]);
    without["requests"] = json!([[[1000, 1000]], [[-1, 1000]]]);
    check("no request", &without, Err("missing request for cpu in container c0 of Pod p1"));
    // Of two containers the second has a request of 500: 250 of it is 50 %, on target.
    let mut container = case("util", 2, 50, "rr", &[250, 250]);
    container["requests"] = json!([[[1000, 1], [500, 1]], [[1000, 1], [500, 1]]]);
    container["container"] = json!("c1");
    check("a container", &container, Ok((2, 250)));
    container["container"] = json!("c2");
    check("no such container", &container, Err("container c2 not found in Pod p0"));
}

#[test]
fn tolerances_have_directions() {
    // Three pods at `level` of 1000, the target is 50 %.
    let rows = [
        ("within both", [0.1, 0.1], 550, 3),
        ("above: 1.2 * 3", [0.1, 0.1], 600, 4),
        ("within the upper", [0.1, 0.3], 650, 3),
        ("below: 0.8 * 3", [0.1, 0.3], 400, 3),
        ("below: 0.6 * 3", [0.1, 0.3], 300, 2),
        ("within the lower", [0.4, 0.1], 300, 3),
        ("none at all: 1.02 * 3", [0.0, 0.0], 510, 4),
    ];
    for (name, tolerances, level, replicas) in rows {
        let mut case = case("util", 3, 50, "rrr", &[level; 3]);
        case["tol"] = json!(tolerances);
        check(name, &case, Ok((replicas, level)));
    }
}

#[test]
fn amounts_in_all_and_for_each_pod() {
    let none = "no pods returned by selector while calculating replica count";
    let uncounted = "unable to calculate ready pods: no pods returned by selector while calculating replica count";
    let rows: [(&str, Row); 20] = [
        // 20000 / 15000 * 3
        ("pods", ("pods", 3, 15_000, "rrr", &[20_000, 10_000, 30_000], Ok((4, 20_000)))),
        ("pods", ("readiness is no matter", 3, 15_000, "urh", &[50_000, 10_000, 30_000], Ok((6, 30_000)))),
        // 30000; the pending one at 0: 20000 / 15000 * 3
        ("pods", ("a pending pod is", 3, 15_000, "rrp", &[50_000, 10_000], Ok((4, 30_000)))),
        ("pods", ("down", 5, 20_000, "rrrrr", &[12_000; 5], Ok((3, 12_000)))),
        ("pods", ("near enough", 3, 20_000, "rrr", &[20_000, 21_000, 21_000], Ok((3, 20_666)))),
        // The missing one at the target: 7500 / 10000 * 2 = 1.5
        ("pods", ("missing, down", 2, 10_000, "rr", &[5_000, -1], Ok((2, 5_000)))),
        // Here, unlike with utilizations, a missing one counts as idle when all is even: 0.5 * 2
        ("pods", ("missing, even", 2, 20_000, "rr", &[20_000, -1], Ok((1, 20_000)))),
        ("pods", ("no pods", 2, 20_000, "", &[20_000], Err(none))),
        ("value", ("cpu by amount", 3, 300, "rrr", &[400, 500, 600], Ok((5, 500)))),
        ("object_value", ("an object", 3, 15_000, "rrr", &[20_000], Ok((4, 20_000)))),
        // 5 * 1 ready
        ("object_value", ("only ready ones count", 3, 10_000, "ruu", &[50_000], Ok((5, 50_000)))),
        ("object_value", ("from zero: 2.5", 0, 20_000, "", &[50_000], Ok((3, 50_000)))),
        ("object_value", ("to zero", 3, 15_000, "rrr", &[0], Ok((0, 0)))),
        ("object_value", ("nobody to count", 3, 15_000, "", &[50_000], Err(uncounted))),
        // 20000 / (5000 * 3) is too much: 20000 / 5000; on average 6666.7
        ("object_avg", ("an object for each", 3, 5_000, "rrr", &[20_000], Ok((4, 6_667)))),
        // 20166 / 20000
        ("object_avg", ("near enough for each", 4, 5_000, "rrrr", &[20_166], Ok((4, 5_042)))),
        ("external_value", ("outside", 1, 4_400, "r", &[8_600], Ok((2, 8_600)))),
        ("external_value", ("series add up", 1, 4_400, "r", &[4_000, 4_600], Ok((2, 8_600)))),
        ("external_avg", ("outside for each", 3, 2_150, "rrr", &[8_600], Ok((4, 2_867)))),
        // 8600 / (2867 * 5) = 0.6: 8600 / 2867 = 2.9997
        ("external_avg", ("outside for each, down", 5, 2_867, "rrrrr", &[8_600], Ok((3, 1_720)))),
    ];
    for (kind, (name, current, target, letters, levels, expected)) in rows {
        check(name, &case(kind, current, target, letters, levels), expected);
    }
}

/// Metrics of one value each, or none.
struct Stub {
    value: Option<i64>,
    refusal: Option<Refusal>,
    samples: Samples,
}

impl Stub {
    fn answer(&self) -> Result<i64, String> {
        self.value.ok_or_else(|| "broken".to_string())
    }
}

impl Metrics for Stub {
    fn refusal(&self) -> Option<Refusal> {
        self.refusal.clone()
    }
    fn resource(&self, _: &str, _: Option<&str>) -> Result<Samples, String> {
        self.answer().map(|_| self.samples.clone())
    }
    fn pods(&mut self, _: &str) -> Result<&mut Samples, String> {
        self.answer().map(|_| &mut self.samples)
    }
    fn object(&self, _: &str, _: &str, _: &str) -> Result<i64, String> {
        self.answer()
    }
    fn external(&self, _: &str, _: &str) -> Result<i64, String> {
        self.answer()
    }
}

fn autoscaler(metrics: &Value) -> HorizontalPodAutoscaler {
    let written = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web", "namespace": "ns"}, "spec": {"maxReplicas": 10, "metrics": metrics,
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}}});
    let Ok(Object::HorizontalPodAutoscaler(hpa)) = decode::object(&written) else { panic!("{written}") };
    HorizontalPodAutoscaler::clone(&hpa)
}

/// Two pods of one container `c` that asks for 100m, old enough.
fn two() -> Vec<Arc<Pod>> {
    let pod = |name: &str| {
        let mut pod = builder::pod(name, builder::spec("app", 100, 1 << 20));
        pod.status.phase = kubesim::model::Phase::Running;
        pod.status.start_time = Some(SimTime::ZERO);
        let ready = kubesim::model::Condition::new("Ready".into(), Truth::True, Name::new(), "", SimTime::ZERO);
        pod.status.conditions.push(ready);
        Arc::new(pod)
    };
    vec![pod("p0"), pod("p1")]
}

fn stub(value: Option<i64>) -> Stub {
    let now = SimTime::from_secs(1000);
    let sample = |value| Sample { time: now, window: SimDuration::from_secs(60), value };
    let samples = value.into_iter().flat_map(|value| ["p0", "p1"].map(|name| (name.into(), sample(value)))).collect();
    Stub { value, refusal: None, samples }
}

/// Each kind of metric: what it is called when it is found, and the failure of one, in events, condition and summary.
#[test]
fn metrics_have_the_names_that_upstream_gives_them() {
    let selector =
        "&LabelSelector{MatchLabels:map[string]string{q: a,},MatchExpressions:[]LabelSelectorRequirement{},}";
    let metric = json!({"name": "depth", "selector": {"matchLabels": {"q": "a"}}});
    let util = json!({"type": "Utilization", "averageUtilization": 50});
    let average = json!({"type": "AverageValue", "averageValue": "50m"});
    let value = json!({"type": "Value", "value": "50m"});
    let object = |target: &Value| {
        let described = json!({"apiVersion": "v1", "kind": "Service", "name": "s"});
        json!({"type": "Object", "object": {"describedObject": described, "metric": metric, "target": target}})
    };
    let external = |target: &Value| json!({"type": "External", "external": {"metric": metric, "target": target}});
    let resource = |target: &Value| json!({"type": "Resource", "resource": {"name": "cpu", "target": target}});
    let container = |target: &Value| {
        json!({"type": "ContainerResource",
            "containerResource": {"name": "cpu", "container": "c", "target": target}})
    };
    let pods = json!({"type": "Pods", "pods": {"metric": metric, "target": average}});
    let share = "utilization (percentage of request)";
    let no_cpu = "unable to get metrics for resource cpu: broken";
    let no_object = "unable to get metric depth: Service on ns s/broken";
    let no_external = format!("unable to get external metric ns/depth/{selector}: broken");
    let rows = [
        (
            resource(&util),
            format!("cpu resource {share}"),
            "FailedGetResourceMetric",
            format!("failed to get cpu utilization: {no_cpu}"),
            "failed to get cpu resource metric value: ",
        ),
        (
            resource(&average),
            "cpu resource".into(),
            "FailedGetResourceMetric",
            format!("failed to get cpu usage: {no_cpu}"),
            "failed to get cpu resource metric value: ",
        ),
        (
            container(&util),
            format!("cpu container resource {share}"),
            "FailedGetContainerResourceMetric",
            format!("failed to get cpu utilization: {no_cpu}"),
            "failed to get c container metric value: ",
        ),
        (
            container(&average),
            "cpu resource".into(),
            "FailedGetContainerResourceMetric",
            format!("failed to get cpu usage: {no_cpu}"),
            "failed to get c container metric value: ",
        ),
        (
            pods,
            "pods metric depth".into(),
            "FailedGetPodsMetric",
            "unable to get metric depth: broken".into(),
            "failed to get pods metric value: ",
        ),
        (
            object(&value),
            "Service metric depth".into(),
            "FailedGetObjectMetric",
            no_object.into(),
            "failed to get object metric value: ",
        ),
        (
            object(&average),
            format!("external metric depth({selector})"),
            "FailedGetObjectMetric",
            no_object.into(),
            "failed to get object metric value: failed to get depth object metric: ",
        ),
        (
            external(&value),
            format!("external metric depth({selector})"),
            "FailedGetExternalMetric",
            no_external.clone(),
            "failed to get depth external metric value: failed to get external metric depth: ",
        ),
        (
            external(&average),
            format!("external metric depth({selector})"),
            "FailedGetExternalMetric",
            no_external,
            "failed to get depth external metric value: failed to get depth external metric: ",
        ),
    ];
    let now = SimTime::from_secs(1000);
    let pods = two();
    let scale = Scale { spec: 2, status: 2, pods: &pods };
    for (spec, name, reason, why, prefix) in rows {
        let hpa = autoscaler(&json!([spec]));
        let found = judge(&hpa, &mut Memory::default(), scale, &mut stub(Some(90)), now);
        let active = found.status.conditions.iter().find(|one| one.kind == "ScalingActive").expect("a condition");
        let text = format!("the HPA was able to successfully calculate a replica count from {name}");
        assert_eq!((&*active.reason, &*active.message), ("ValidMetricFound", text.as_str()));
        let told = format!("New size: 4; reason: {name} above target");
        // 90 of 50, two pods: 3.6; 90 in all for each of two is 45 of 50, near enough.
        let for_each = name.starts_with("external") && spec.to_string().contains("averageValue");
        let expected: Vec<&str> = if for_each { vec![] } else { vec![&told] };
        assert_eq!(found.notes.iter().map(|note| &*note.message).collect::<Vec<_>>(), expected, "{spec}");

        let failed = judge(&hpa, &mut Memory::default(), scale, &mut stub(None), now);
        let notes: Vec<(&str, &str)> = failed.notes.iter().map(|note| (note.reason, &*note.message)).collect();
        let summary = format!("invalid metrics (1 invalid out of 1), first error is: {prefix}{why}");
        assert_eq!(notes, [(reason, &*why), ("FailedComputeMetricsReplicas", &*summary)]);
        let active = failed.status.conditions.iter().find(|one| one.kind == "ScalingActive").expect("a condition");
        let text = format!("the HPA was unable to compute the replica count: {why}");
        assert_eq!((active.status, &*active.reason, &*active.message), (Truth::False, reason, text.as_str()));
        let error = "failed to compute desired number of replicas based on listed metrics for Deployment/ns/web: ";
        assert_eq!(failed.error, Some(format!("{error}{summary}")));
    }
}

#[test]
fn what_was_found_is_reported_beside_what_was_not() {
    let spec = json!([
        {"type": "Object", "object": {"describedObject": {"kind": "Service", "name": "s"}, "metric": {"name": "depth"},
            "target": {"type": "AverageValue", "averageValue": "30m"}}},
        {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}},
    ]);
    let mut hpa = autoscaler(&spec);
    let (pods, now) = (two(), SimTime::from_secs(1000));
    let mut metrics = Stub { samples: Samples::new(), ..stub(Some(90)) };
    let scale = Scale { spec: 2, status: 2, pods: &pods };
    let judged = judge(&hpa, &mut Memory::default(), scale, &mut metrics, now);
    // 90 / 30: three pods, and the failure of the other metric is told all the same.
    assert_eq!(judged.rescale.as_ref().map(|(size, _)| *size), Some(3));
    let reasons: Vec<&str> = judged.notes.iter().map(|note| note.reason).collect();
    assert_eq!(reasons, ["FailedGetResourceMetric", "SuccessfulRescale"]);
    assert!(judged.error.is_some_and(|error| error.starts_with("invalid metrics (1 invalid out of 2)")));
    hpa.status = judged.status;
    let told = encode::object(&Object::HorizontalPodAutoscaler(Arc::new(hpa.clone())));
    // 90 over two pods; upstream leaves out which object, and leaves an empty entry for what it could not get.
    assert_eq!(told["status"]["currentMetrics"][0]["object"]["current"], json!({"averageValue": "45m"}));
    assert_eq!(told["status"]["currentMetrics"][0]["object"]["describedObject"]["name"], "");
    assert_eq!(told["status"]["currentMetrics"][1], json!({"type": ""}));

    // When the rest would shrink it, nothing is done.
    let judged = judge(&hpa, &mut Memory::default(), Scale { spec: 8, status: 8, pods: &pods }, &mut metrics, now);
    assert_eq!((judged.rescale, judged.status.desired), (None, 3));
    // A size that the API server refuses leaves everything else.
    let mut status = hpa.status.clone();
    refused(&autoscaler(&spec).status, &mut status, "no", SimTime::from_secs(1001));
    let able = status.conditions.iter().find(|one| one.kind == "AbleToScale").expect("a condition");
    assert_eq!((able.status, &*able.reason), (Truth::False, "FailedUpdateScale"));
    assert_eq!(&*able.message, "the HPA controller was unable to update the target scale: no");
    assert_eq!((status.desired, status.last_scale), (0, None));
}

#[test]
fn pods_must_be_told_from_others() {
    let rows = [
        (
            Refusal::NoSelector,
            "SelectorRequired",
            "selector is required",
            "InvalidSelector",
            "the HPA target's scale is missing a selector",
        ),
        (
            Refusal::Ambiguous("pods of two".into()),
            "AmbiguousSelector",
            "pods of two",
            "AmbiguousSelector",
            "pods of two",
        ),
    ];
    let hpa = autoscaler(&json!([]));
    for (refusal, event, why, reason, message) in rows {
        let mut metrics = Stub { refusal: Some(refusal), ..stub(Some(1)) };
        let (pods, now) = (two(), SimTime::from_secs(1000));
        let scale = Scale { spec: 2, status: 2, pods: &pods };
        let judged = judge(&hpa, &mut Memory::default(), scale, &mut metrics, now);
        let notes: Vec<(&str, &str)> = judged.notes.iter().map(|note| (note.reason, &*note.message)).collect();
        assert_eq!(notes, [(event, why), ("FailedComputeMetricsReplicas", why)]);
        let active = judged.status.conditions.iter().find(|one| one.kind == "ScalingActive").expect("a condition");
        assert_eq!((active.status, &*active.reason, &*active.message), (Truth::False, reason, message));
        assert_eq!(judged.rescale, None);
    }
}

/// Rates: of two policies the one that allows most, or least, or none at all.
#[test]
fn policies_limit_the_rate() {
    let rules = |select: &str| {
        let pods = |count: i64| json!({"type": "Pods", "value": count, "periodSeconds": 60});
        let percent = |share: i64| json!({"type": "Percent", "value": share, "periodSeconds": 60});
        json!({"selectPolicy": select, "stabilizationWindowSeconds": 0, "policies": [pods(4), percent(50)]})
    };
    // From 10 pods, which were 10 a minute ago: ±4, or ±50 %.
    let rows = [
        ("Max", 100, 15, "ScaleUpLimit"),
        ("Min", 100, 14, "ScaleUpLimit"),
        ("Disabled", 100, 10, "ScaleUpLimit"),
        ("Max", 0, 5, "ScaleDownLimit"),
        ("Min", 0, 6, "ScaleDownLimit"),
        ("Disabled", 0, 10, "ScaleDownLimit"),
        ("Max", 12, 12, "DesiredWithinRange"),
        ("Min", 8, 8, "DesiredWithinRange"),
    ];
    for (select, desired, expected, reason) in rows {
        let written = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "web", "namespace": "ns"}, "spec": {"maxReplicas": 40, "minReplicas": 2,
            "behavior": {"scaleUp": rules(select), "scaleDown": rules(select)},
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}}});
        let Ok(Object::HorizontalPodAutoscaler(hpa)) = decode::object(&written) else { panic!("{written}") };
        let now = SimTime::from_secs(1000);
        let bounds = Bounds { current: 10, least: 2, most: 40 };
        let mut memory = Memory::default();
        let done = memory.normalize(bounds, desired, hpa.behavior.as_ref(), now);
        assert_eq!((done.replicas, done.limited.1), (expected, reason), "{select} {desired}");
        // What was changed within the period counts against it, until it is taken back.
        if expected > 10 {
            memory.scaled(hpa.behavior.as_ref(), 10, expected, now);
            let bounds = Bounds { current: expected, ..bounds };
            let soon = now + SimDuration::from_secs(15);
            let more = memory.clone().normalize(bounds, 100, hpa.behavior.as_ref(), soon);
            let none_left = if reason == "ScaleUpLimit" { expected } else { 15.max(expected) };
            assert_eq!(more.replicas, none_left, "{select}");
            memory.not_scaled(now);
            assert!(memory.normalize(bounds, 100, hpa.behavior.as_ref(), soon).replicas > expected, "{select}");
        }
    }
}
