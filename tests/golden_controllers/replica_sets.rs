//! The order in which a shrinking replica set gives up its pods.

use super::{agree, at, differs, list, text};
use kubesim::controllers::shared::rank::{Candidate, deletion_cost, sort};
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[test]
fn rs_rank() {
    agree("rs_rank", |case| {
        let pods = list(&case["pods"]);
        let mut on_node: BTreeMap<&str, usize> = BTreeMap::new();
        let over = |phase: &str| matches!(phase, "Succeeded" | "Failed");
        for (place, count) in case["related_extra"].as_object().into_iter().flatten() {
            let (node, phase) = place.split_once('/').unwrap();
            if !over(phase) {
                *on_node.entry(node).or_default() += count.as_u64().unwrap() as usize;
            }
        }
        for pod in pods.iter().filter(|pod| !text(&pod["node"]).is_empty()) {
            *on_node.entry(text(&pod["node"])).or_default() += 1;
        }
        let rank = |pod: &Value| on_node.get(text(&pod["node"])).copied().unwrap_or(0);
        let now = at(&case["now"]);
        let ranked: Vec<(Candidate, &str)> =
            pods.iter().map(|pod| (candidate(pod, rank(pod)), text(&pod["name"]))).collect();
        let ranked = sort(ranked, now);
        let order: Vec<&str> = ranked.iter().map(|(_, name)| *name).collect();
        differs(&json!(order), &case["out"]["order"])
    });
}

fn candidate(pod: &Value, rank: usize) -> Candidate {
    let mut uid = [0u8; 16];
    let name = text(&pod["uid"]).as_bytes();
    uid[..name.len()].copy_from_slice(name);
    let restarts = list(&pod["restarts"]).iter().filter_map(Value::as_u64).max().unwrap_or(0);
    Candidate {
        assigned: !text(&pod["node"]).is_empty(),
        phase: match text(&pod["phase"]) {
            "Pending" => 0,
            "Unknown" => 1,
            _ => 2,
        },
        ready_since: (text(&pod["ready"]) == "True").then(|| at(&pod["readyAt"])),
        cost: pod["cost"].as_str().map_or(0, deletion_cost),
        rank,
        restarts: restarts as u32,
        sidecar_restarts: pod["sidecarRestarts"].as_u64().unwrap_or(0) as u32,
        created: at(&pod["created"]),
        uid: u128::from_be_bytes(uid),
    }
}
