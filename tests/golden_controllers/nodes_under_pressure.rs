//! The order in which a kubelet evicts pods when its node runs short.

use super::{agree, differs, int, list, text};
use kubesim::kubelet::eviction_rank::{Candidate, Measured, Pressure, compare};
use serde_json::{Value, json};

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
    // Overhead counts only on top of a request.
    let overhead = if sum("mem_request") == 0 { 0 } else { number(&pod["overhead_mem"]) };
    let local = matches!(text(&pod["volume"][0]), "hostPath" | "emptyDir" | "configMap");
    let volume = if local { number(&pod["volume"][1]) } else { 0 };
    let measured = Measured {
        memory: number(&pod["mem_working_set"]),
        disk: sum("rootfs") + sum("logs") + volume,
        processes: pod["processes"].as_u64().unwrap_or(0),
    };
    Candidate {
        priority: if pod["priority"].is_null() { 0 } else { int(&pod["priority"]) },
        measured: (pod["no_stats"] != true).then_some(measured),
        memory_request: sum("mem_request") + overhead,
        disk_request: sum("eph_request"),
    }
}
