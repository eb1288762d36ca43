//! The order in which a kubelet evicts pods when its node runs short.

use super::{agree, differs, list, text};
use kubesim::kubelet::eviction_rank::{Candidate, Measured, Pressure, compare};
use kubesim::model::builder;
use kubesim::wire::decode;
use serde_json::{Map, Value, json};

#[test]
fn evict_rank() {
    agree("evict_rank", |case| {
        let pressure = match text(&case["kind"]) {
            "memory" => Pressure::Memory,
            "disk" => Pressure::Disk,
            "pid" => Pressure::Pid,
            other => panic!("an unknown pressure: {other}"),
        };
        let mut pods: Vec<(Candidate, &str)> =
            list(&case["pods"]).iter().map(|pod| (candidate(pod), text(&pod["name"]))).collect();
        pods.sort_by(|(a, _), (b, _)| compare(pressure, a, b));
        differs(&json!(pods.iter().map(|(_, name)| *name).collect::<Vec<_>>()), &case["out"])
    });
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

fn candidate(pod: &Value) -> Candidate {
    let sum = |field: &str| list(&pod["containers"]).iter().map(|container| number(&container[field])).sum::<i64>();
    let local = matches!(text(&pod["volume"][0]), "hostPath" | "emptyDir" | "configMap");
    let volume = if local { number(&pod["volume"][1]) } else { 0 };
    let measured = Measured {
        memory: number(&pod["mem_working_set"]),
        disk: sum("rootfs") + sum("logs") + volume,
        processes: pod["processes"].as_u64().unwrap_or(0),
        ..Measured::default()
    };
    let quantities = |memory: &Value, disk: &Value| {
        let given = [("memory", memory), ("ephemeral-storage", disk)].into_iter().filter(|(_, value)| !value.is_null());
        given.map(|(name, value)| (name.to_string(), json!(value.to_string()))).collect::<Map<String, Value>>()
    };
    let container = |(at, one): (usize, &Value)| {
        let requests = quantities(&one["mem_request"], &one["eph_request"]);
        json!({"name": format!("c{at}"), "image": "i", "resources": {"requests": requests}})
    };
    let mut spec = json!({"containers": list(&pod["containers"]).iter().enumerate().map(container).collect::<Vec<_>>(),
        "overhead": quantities(&pod["overhead_mem"], &Value::Null)});
    if !pod["priority"].is_null() {
        spec["priority"] = pod["priority"].clone();
    }
    let ours = builder::pod(text(&pod["name"]), decode::stored_pod_spec(&spec).unwrap());
    Candidate::of(&ours, (pod["no_stats"] != true).then_some(measured))
}
