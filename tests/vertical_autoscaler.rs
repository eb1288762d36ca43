//! The Vertical Pod Autoscaler: what is recommended after which samples, which pods are touched, how many at once, and what
//! new pods get. The numbers follow from the rules of upstream's components; the arithmetic stands beside each row.

use kubesim::autoscaler::vertical::estimate::recommend;
use kubesim::autoscaler::vertical::priority::{Priority, priority, wanted};
use kubesim::autoscaler::vertical::restriction::{Group, InPlace, in_place};
use kubesim::autoscaler::vertical::usage::{Aggregate, Peaks, Scales};
use kubesim::cluster::{Cluster, Options};
use kubesim::model::pod::{ContainerState, ContainerStatus, Terminated, Usage};
use kubesim::model::vertical::{Amounts, Recommended, VerticalPodAutoscaler};
use kubesim::model::vertical_bounds::Bounds;
use kubesim::model::{Condition, CustomResource, Kind, Name, Object, Phase, Pod, Truth, builder};
use kubesim::scenario::load;
use kubesim::time::SimTime;
use kubesim::wire::{decode, encode};
use serde_json::{Value, json};
use std::sync::Arc;

fn at(minutes: i64) -> SimTime {
    SimTime::from_secs(minutes * 60)
}

/// Ends of buckets, the first of this width, each 5 % wider than the one before.
fn end(first: f64, above: f64) -> f64 {
    let (mut width, mut end) = (first, first);
    while end <= above {
        width *= 1.05;
        end += width;
    }
    end
}

/// Within one unit of what floating point makes of it.
fn near(ours: Option<i64>, expected: f64) -> bool {
    ours.is_some_and(|ours| (ours as f64 - expected).abs() <= 1.0 + expected * 1e-6)
}

#[test]
fn recommendations_follow_samples() {
    let name: Name = "app".into();
    let scales = Scales::default();
    let mut of = Aggregate::new(&scales, at(0));
    // Nothing is known: the least there is, for the pod's containers together.
    let none = recommend(&name, &of, 1);
    assert_eq!([none.target, none.lower, none.upper], [[Some(25), Some(250 << 20)]; 3]);
    assert_eq!(recommend(&name, &of, 2).target, [Some(12), Some(125 << 20)]);
    // A day of samples every minute: 400m and 1 GB.
    let mut peaks = Peaks::default();
    for minute in 0..=1440 {
        peaks.cpu(&mut of, 400, at(minute));
        peaks.memory(&mut of, 1_000_000_000, at(minute));
        // The same measurement twice is one.
        peaks.cpu(&mut of, 400, at(minute));
    }
    assert_eq!(of.samples, 1441);
    let found = recommend(&name, &of, 1);
    let cpu = (end(0.01, 0.4) * 1000.0).floor();
    let cpu = cpu + (cpu * 0.15).floor();
    let memory = end(1e7, 1e9).floor();
    let memory = memory + (memory * 0.15).floor();
    // Confidence: one day, and a little more than a day's samples.
    for (ours, factor) in [(found.target, 1.0), (found.lower, 1.0 / (1.001 * 1.001)), (found.upper, 2.0)] {
        assert!(near(ours[0], cpu * factor) && near(ours[1], memory * factor), "{ours:?} is not {cpu} * {factor}");
    }
    // Five minutes after the first sample little is known: 1 / c = 1440 / 5, so the upper bound is 289 times as high.
    let (mut young, mut peaks) = (Aggregate::new(&scales, at(0)), Peaks::default());
    for minute in 0..=5 {
        peaks.cpu(&mut young, 400, at(minute));
    }
    let found = recommend(&name, &young, 1);
    let lower = 1.0 + 0.001 * 288.0;
    assert!(near(found.upper[0], cpu * 289.0), "{found:?}");
    assert!(near(found.lower[0], (cpu / (lower * lower)).floor()), "{found:?}");
}

#[test]
fn memory_is_a_matter_of_peaks_and_kills() {
    const MIB: i64 = 1 << 20;
    let name: Name = "app".into();
    let target = |of: &Aggregate| recommend(&name, of, 1).target[1];
    let with_margin = |bytes: i64| {
        let end = end(1e7, bytes as f64).floor();
        end + (end * 0.15).floor()
    };
    let (mut of, mut peaks) = (Aggregate::new(&Scales::default(), at(0)), Peaks::default());
    // Of one day only the highest counts, whatever came before and after.
    for (minute, used) in [(0, 300 * MIB), (60, 500 * MIB), (120, 400 * MIB)] {
        peaks.memory(&mut of, used, at(minute));
    }
    assert!(near(target(&of), with_margin(500 * MIB)), "{:?}", target(&of));
    // Killed at a request of 450 MiB: it had used 500; a fifth more is as much as 100 MiB more.
    peaks.killed(&mut of, 450 * MIB, at(180));
    assert!(near(target(&of), with_margin(600 * MIB)), "{:?}", target(&of));
    // At 1000 MiB the fifth is more.
    peaks.killed(&mut of, 1000 * MIB, at(240));
    assert!(near(target(&of), with_margin(1200 * MIB)), "{:?}", target(&of));
    // Ten days of 300 MiB later the old peak weighs a thousandth.
    for day in 1..=10 {
        peaks.memory(&mut of, 300 * MIB, at(day * 1440 + 1));
    }
    assert!(near(target(&of), with_margin(300 * MIB)), "{:?}", target(&of));
    assert!(!of.expired(at(8 * 1440 - 1)) && of.expired(at(8 * 1440)));
}

fn vertical(spec: Value, recommendation: Value) -> VerticalPodAutoscaler {
    let mut kinds = kubesim::model::custom::CustomKinds::default();
    let Ok(Object::CustomResourceDefinition(definition)) = decode::object(&definition()) else {
        panic!("a definition")
    };
    let Kind::Custom(kind) = kinds.learn(&definition) else { panic!("a kind") };
    decode::vertical(&CustomResource {
        meta: kubesim::model::Meta::named("default", "app"),
        kind,
        version: "v1".into(),
        body: Arc::new(json!({"spec": spec})),
        status: Arc::new(json!({"recommendation": {"containerRecommendations": [recommendation]}})),
        has_status: true,
    })
}

fn definition() -> Value {
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "verticalpodautoscalers.autoscaling.k8s.io"},
        "spec": {"group": "autoscaling.k8s.io", "scope": "Namespaced",
            "names": {"plural": "verticalpodautoscalers", "kind": "VerticalPodAutoscaler", "shortNames": ["vpa"]},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema},
                "subresources": {"status": {}}}]}})
}

fn recommended(target: [&str; 2]) -> Value {
    json!({"containerName": "app", "target": {"cpu": target[0], "memory": target[1]},
        "lowerBound": {"cpu": "150m", "memory": "100Mi"}, "upperBound": {"cpu": "2", "memory": "2Gi"}})
}

/// A pod of one container `app` with these resources.
fn pod(resources: &Value) -> Pod {
    let spec = json!({"containers": [{"name": "app", "image": "i", "resources": resources}]});
    let mut pod = builder::pod("app-1", decode::stored_pod_spec(&spec).unwrap());
    pod.status.phase = Phase::Running;
    pod.status.start_time = Some(at(0));
    pod
}

#[test]
fn policies_and_limits_bound_what_pods_get() {
    let both = |cpu: i64, mib: i64| -> Amounts { [Some(cpu), Some(mib << 20)] };
    let plain = json!({"requests": {"cpu": "100m", "memory": "100Mi"}});
    let limited = json!({"requests": {"cpu": "100m", "memory": "100Mi"}, "limits": {"cpu": "250m", "memory": "100Mi"}});
    let policy = |more: Value| {
        let mut policy = json!({"containerName": "*"});
        policy.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"targetRef": {}, "resourcePolicy": {"containerPolicies": [policy]}})
    };
    let rows = [
        ("as recommended", policy(json!({})), &plain, both(300, 200), [None; 2]),
        // 250 * 300 / 100; a limit that was the request stays the request.
        ("limits keep their distance", policy(json!({})), &limited, both(300, 200), both(750, 200)),
        ("not more", policy(json!({"maxAllowed": {"cpu": "200m"}})), &plain, both(200, 200), [None; 2]),
        ("not less", policy(json!({"minAllowed": {"memory": "1Gi"}})), &plain, both(300, 1024), [None; 2]),
        ("a bound of nothing is none", policy(json!({"maxAllowed": {"cpu": 0}})), &plain, both(300, 200), [None; 2]),
        (
            "requests only, below the limits",
            policy(json!({"controlledValues": "RequestsOnly"})),
            &limited,
            both(250, 100),
            [None; 2],
        ),
    ];
    for (name, spec, resources, requests, limits) in rows {
        let found = vertical(spec, recommended(["300m", "200Mi"])).resources(&pod(resources).spec);
        assert_eq!(found, [(0, requests, limits)], "{name}");
    }
    // A policy of its own goes before that of all.
    let own = json!({"resourcePolicy": {"containerPolicies": [
        {"containerName": "*", "maxAllowed": {"cpu": "50m"}}, {"containerName": "app", "maxAllowed": {"cpu": "70m"}}]}});
    assert_eq!(vertical(own, recommended(["300m", "200Mi"])).resources(&pod(&plain).spec)[0].1[0], Some(70));
}

#[test]
fn limit_ranges_bound_what_pods_get() {
    let both = |cpu: i64, mib: i64| -> Amounts { [Some(cpu), Some(mib << 20)] };
    let plain = json!({"requests": {"cpu": "100m", "memory": "100Mi"}});
    let limited = json!({"requests": {"cpu": "100m", "memory": "100Mi"}, "limits": {"cpu": "250m", "memory": "100Mi"}});
    // 300m and 200 MiB are recommended. (item of the range, what the container has, requests, limits)
    let rows = [
        // A limit of at most 500m: a request of 100 * 500 / 250.
        (json!({"type": "Container", "max": {"cpu": "500m"}}), &limited, both(200, 200), both(500, 200)),
        // Without a limit there is none to be kept.
        (json!({"type": "Container", "min": {"cpu": "100m"}}), &plain, both(300, 200), [None; 2]),
        // The default is its limit then, which is the most if nothing is said: 100 * 200 / 200.
        (json!({"type": "Container", "max": {"cpu": "200m"}}), &plain, both(100, 200), [Some(200), None]),
        // 100 * 500 / 200; and the limit keeps its distance: 200 * 250 / 100.
        (
            json!({"type": "Container", "max": {"cpu": "500m"}, "default": {"cpu": "200m"}}),
            &plain,
            both(250, 200),
            [Some(500), None],
        ),
        // At least: of a limit of 1, 100 * 1000 / 250 = 400m; but the request itself must be 500m, too.
        (json!({"type": "Container", "min": {"cpu": "500m"}}), &limited, both(500, 200), both(1250, 200)),
        (json!({"type": "Container", "min": {"cpu": "1"}}), &limited, both(1000, 200), both(2500, 200)),
        // Of a whole pod: its limit would be 750m, so it gets 300 * 500 / 750.
        (json!({"type": "Pod", "max": {"cpu": "500m"}}), &limited, both(200, 200), both(500, 200)),
        // 400 MiB at least, in proportion; what has no limit stays.
        (json!({"type": "Pod", "min": {"memory": "400Mi"}}), &limited, both(300, 400), both(750, 400)),
        (json!({"type": "Pod", "min": {"memory": "400Mi"}}), &plain, both(300, 200), [None; 2]),
    ];
    for (item, resources, requests, limits) in rows {
        let range = json!({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "r", "namespace": "default"},
            "spec": {"limits": [item]}});
        let Ok(Object::LimitRange(range)) = decode::object(&range) else { panic!("{range}") };
        let mut vertical = vertical(json!({}), recommended(["300m", "200Mi"]));
        vertical.bounds = Bounds::of([range].iter());
        assert_eq!(vertical.resources(&pod(resources).spec), [(0, requests, limits)], "{item} {resources}");
    }
}

#[test]
fn pods_are_touched_for_a_reason() {
    let requests = |cpu: &str, memory: &str| json!({"requests": {"cpu": cpu, "memory": memory}});
    let vertical = vertical(json!({}), recommended(["300m", "200Mi"]));
    // (requests, minutes since the start, relative difference in thousandths if it is touched)
    let rows = [
        // Below the lower bound of 150m: |100 - 300| / 100.
        (requests("100m", "200Mi"), 1, Some(2000)),
        // Above the upper bound of 2: |3000 - 300| / 3000.
        (requests("3", "200Mi"), 1, Some(900)),
        // Within: after twelve hours, if it is off by a tenth at least: |200 - 300| / 200.
        (requests("200m", "200Mi"), 719, None),
        (requests("200m", "200Mi"), 720, Some(500)),
        (requests("280m", "200Mi"), 720, None),
        // A request that is missing is outside; it counts as 1: 299.
        (json!({"requests": {"memory": "200Mi"}}), 1, Some(299_000)),
    ];
    for (resources, minutes, expected) in rows {
        let found = wanted(&vertical, &pod(&resources), at(minutes));
        assert_eq!(found.map(|found| found.difference_milli), expected, "{resources} after {minutes} minutes");
    }
    // Killed for its memory ten minutes after its start at most, it is touched although it is within the bounds.
    for (lived, touched) in [(9, true), (10, false)] {
        let mut pod = pod(&requests("200m", "200Mi"));
        let (reason, message) = ("OOMKilled".into(), Name::new());
        let last = Terminated { exit_code: 137, reason, message, started: at(0), finished: at(lived) };
        pod.status.containers.push(ContainerStatus {
            name: "app".into(),
            state: ContainerState::Running { started: at(lived) },
            last: Some(Box::new(last)),
            ready: true,
            started: true,
            restart_count: 1,
            allocated: None,
            usage: Usage::default(),
        });
        assert_eq!(wanted(&vertical, &pod, at(lived + 1)).is_some(), touched, "killed after {lived} minutes");
    }
    // Those that need more go first, then those that are most off.
    let order = |scale_up, difference_milli| Priority { outside: true, scale_up, difference_milli }.order();
    assert!(order(true, 100) < order(false, 900) && order(true, 900) < order(true, 100));
    assert!(
        !priority(
            &pod(&requests("3", "300Mi")),
            &[Recommended { container: "app".into(), target: [Some(300), Some(200 << 20)], ..Recommended::default() }]
        )
        .scale_up
    );
}

#[test]
fn requirements_hold_evictions_back() {
    let only = |change: &str, resource: &str| json!({"updatePolicy": {"evictionRequirements": [{"resources": [resource], "changeRequirement": change}]}});
    let pod = pod(&json!({"requests": {"cpu": "100m", "memory": "1Gi"}}));
    // CPU goes up from 100m to 300m, memory down from 1Gi to 200Mi.
    for (change, resource, touched) in [
        ("TargetHigherThanRequests", "cpu", true),
        ("TargetLowerThanRequests", "cpu", false),
        ("TargetHigherThanRequests", "memory", false),
        ("TargetLowerThanRequests", "memory", true),
    ] {
        let vertical = vertical(only(change, resource), recommended(["300m", "200Mi"]));
        assert_eq!(wanted(&vertical, &pod, at(1)).is_some(), touched, "{change} {resource}");
    }
}

#[test]
fn enough_pods_stay() {
    // (configured, running, disturbed, one more may go): half of them may, cut; of a single one that one.
    let rows = [
        (4, 4, 0, true),
        (4, 4, 1, true),
        (4, 4, 2, false),
        (4, 3, 0, true),
        (4, 2, 0, false),
        (3, 3, 0, true),
        (3, 3, 1, false),
        (1, 1, 0, true),
        (1, 1, 1, false),
        (1, 0, 0, false),
    ];
    for (configured, running, disturbed, expected) in rows {
        let group = Group { configured, running, disturbed };
        assert_eq!(group.spares_one(), expected, "{group:?}");
    }
    // What becomes of a resize: pods with a condition for so many minutes.
    let group = Group { configured: 4, running: 4, disturbed: 0 };
    let cases = [
        (None, 0, InPlace::Approved),
        (Some(("PodResizePending", "Deferred")), 5, InPlace::Deferred),
        (Some(("PodResizePending", "Deferred")), 6, InPlace::Evict),
        (Some(("PodResizePending", "Infeasible")), 0, InPlace::Evict),
        (Some(("PodResizeInProgress", "")), 60, InPlace::Deferred),
        (Some(("PodResizeInProgress", "")), 61, InPlace::Evict),
        (Some(("PodResizeInProgress", "Error")), 0, InPlace::Evict),
    ];
    for (condition, minutes, expected) in cases {
        let mut pod = pod(&json!({}));
        let stands = condition.map(|(kind, reason)| Condition::new(kind.into(), Truth::True, reason.into(), "", at(0)));
        pod.status.conditions.extend(stands);
        assert_eq!(in_place(&pod, &group, at(0), at(minutes)), expected, "{condition:?} for {minutes} minutes");
        let scarce = Group { running: 2, ..group };
        assert_eq!(in_place(&pod, &scarce, at(0), at(minutes)), InPlace::Deferred);
    }
}

/// A Deployment of four pods that request 100m and use 400m, with a vertical pod autoscaler in this mode, for so long.
fn run(mode: &str, minutes: u32) -> (Vec<Pod>, Value, Vec<String>) {
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "app"}, "spec": {
        "replicas": 4, "selector": {"matchLabels": {"app": "app"}}, "template": {"metadata": {"labels": {"app": "app"}},
        "spec": {"containers": [{"name": "app", "image": "i", "resources": {"requests": {"cpu": "100m", "memory": "1Gi"}}}]}}}});
    let own = json!({"apiVersion": "autoscaling.k8s.io/v1", "kind": "VerticalPodAutoscaler", "metadata": {"name": "app"},
        "spec": {"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"},
        "updatePolicy": {"updateMode": mode}}});
    let text = json!({"name": "x", "duration": format!("{minutes}m"), "cluster": {"controlPlane": {"replicas": 0},
        "pools": [{"name": "n", "count": 2, "capacity": {"cpu": 8, "memory": "32Gi"}}]},
        "manifests": {"inline": [definition(), own, deployment]},
        "behavior": [{"startTime": "2s", "cpu": {"absolute": "400m"}, "memory": {"absolute": "300Mi"}}], "expect": ["pending_pods == 0 at end"]});
    let scenario = load::load("x.yaml", &text.to_string(), &[], &crate::support::NoFiles)
        .unwrap_or_else(|error| panic!("{error}"));
    let mut cluster = Cluster::new(&scenario, &Options::of(&scenario), Vec::new()).unwrap();
    cluster.run(&mut |_, _| true).unwrap();
    let view = cluster.runtime().store.live();
    let pods = view.list::<Pod>().filter(|pod| pod.meta.namespace == "default").map(|pod| Pod::clone(pod)).collect();
    let kind = view.custom_kinds().iter().next().expect("the kind is defined");
    let status = encode::object(view.objects(kind).next().expect("there is one"))["status"].clone();
    let mut reasons: Vec<String> = view
        .list::<kubesim::model::core::Event>()
        .map(|event| event.reason.to_string())
        .filter(|reason| reason.contains("VPA"))
        .collect();
    reasons.sort();
    (pods, status, reasons)
}

#[test]
fn modes_decide_how_pods_get_there() {
    // The bucket that 0.4 falls in ends at 0.414; with the margin that is 476m.
    let cpu = (end(0.01, 0.4) * 1000.0).floor();
    let cpu = (cpu + (cpu * 0.15).floor()) as i64;
    let given = |pods: &[Pod]| pods.iter().filter(|pod| pod.spec.requests.milli_cpu == cpu).count();
    let (pods, status, reasons) = run("Recreate", 15);
    assert_eq!((given(&pods), reasons), (4, vec!["EvictedByVPA".to_string(); 4]), "{status}");
    let note = pods[0].meta.annotations.get("vpaUpdates").expect("an annotation");
    assert_eq!(note, "Pod resources updated by app: container 0: cpu request, memory request");
    assert_eq!(status["recommendation"]["containerRecommendations"][0]["target"]["cpu"], format!("{cpu}m"));
    assert_eq!(status["conditions"][0]["type"], "RecommendationProvided");
    let (pods, _, reasons) = run("InPlaceOrRecreate", 15);
    assert_eq!((given(&pods), reasons), (4, vec!["InPlaceResizedByVPA".to_string(); 4]));
    assert!(pods.iter().all(|pod| pod.restarts() == 0));
    for mode in ["Initial", "Off"] {
        let (pods, status, reasons) = run(mode, 15);
        assert_eq!((given(&pods), reasons), (0, Vec::new()), "{mode}");
        assert!(status["recommendation"].is_object());
    }
}
