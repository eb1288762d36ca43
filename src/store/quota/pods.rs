//! What a pod uses of a quota (`pkg/quota/v1/evaluator/core/pods.go`).

use crate::model::quantity::{Quantity, parse_quantity};
use crate::model::quota::{Amounts, add, plus, raise};
use crate::model::{Name, Pod};
use crate::time::{SimDuration, SimTime};
use serde_json::Value;

/// Resources that a quota of pods may name, besides those with a prefix.
pub const POD_RESOURCES: [&str; 11] = [
    "count/pods",
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
];
/// What every container must state once a quota names it.
const REQUIRED: [&str; 6] = ["cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"];

/// What a pod uses at `now`. One that has ended, or should be gone, is only counted as an object.
pub fn pod_usage(pod: &Pod, now: SimTime) -> Amounts {
    let mut usage = Amounts::from([(crate::name!("count/pods"), Quantity::units(1))]);
    if is_charged(pod, now) {
        add(&mut usage, &compute_usage(&effective(&pod.spec.raw, "requests"), &effective(&pod.spec.raw, "limits")));
    }
    usage
}

/// Whether a pod still counts for compute resources (`QuotaV1Pod`).
pub fn is_charged(pod: &Pod, now: SimTime) -> bool {
    let overdue = pod.meta.deletion.is_some_and(|d| now > d.at + SimDuration::from_secs(d.grace_seconds));
    !pod.status.phase.terminal() && !overdue
}

/// What a quota names that the containers do not state: `cpu for: a; memory for: a,b`
/// (`Constraints`). Nothing, if the pod as a whole says something.
pub fn unstated(spec: &Value, named: &[&Name]) -> Option<String> {
    if ["requests", "limits"].iter().any(|which| amounts(spec, which).keys().any(|name| is_for_whole_pods(name))) {
        return None;
    }
    let mut named: Vec<&str> = named.iter().map(|name| name.as_str()).filter(|name| REQUIRED.contains(name)).collect();
    named.sort_unstable();
    let missing = named.into_iter().filter_map(|resource| {
        let mut lacking: Vec<&str> = ["containers", "initContainers"]
            .iter()
            .flat_map(|list| containers(spec, list))
            .filter(|container| {
                let (requests, limits) = (amounts(container, "requests"), amounts(container, "limits"));
                !compute_usage(&requests, &limits).contains_key(resource)
            })
            .filter_map(|container| container["name"].as_str())
            .collect();
        lacking.sort_unstable();
        lacking.dedup();
        (!lacking.is_empty()).then(|| format!("{resource} for: {}", lacking.join(",")))
    });
    let missing: Vec<String> = missing.collect();
    (!missing.is_empty()).then(|| missing.join("; "))
}

fn containers<'a>(spec: &'a Value, list: &str) -> impl Iterator<Item = &'a Value> {
    spec[list].as_array().into_iter().flatten()
}

/// `resources.requests` or `resources.limits` of a container, or of a pod.
pub fn amounts(holder: &Value, which: &str) -> Amounts {
    list_of(&holder["resources"][which])
}

fn list_of(written: &Value) -> Amounts {
    let parsed = |value: &Value| match value {
        Value::String(text) => parse_quantity(text).ok(),
        other => parse_quantity(&other.to_string()).ok(),
    };
    let entries = written.as_object().into_iter().flatten();
    entries.filter_map(|(name, value)| Some((Name::from(name.as_str()), parsed(value)?))).collect()
}

/// What the pod as a whole requests, or is limited to: containers and sidecars together, or the largest step of
/// initialization, then what is set for the whole pod, and the overhead
/// (`staging/src/k8s.io/component-helpers/resource/helpers.go`, `PodRequests`, `PodLimits`).
pub fn effective(spec: &Value, which: &str) -> Amounts {
    let mut together = totals(spec, which);
    let overhead = list_of(&spec["overhead"]);
    match which {
        "limits" => {
            // Where there is no limit, overhead makes none.
            for (name, amount) in overhead {
                if let Some(limit) = together.get_mut(&name).filter(|limit| limit.nano != 0) {
                    *limit = plus(*limit, amount);
                }
            }
        }
        _ => add(&mut together, &overhead),
    }
    together
}

/// The same without the overhead.
pub fn totals(spec: &Value, which: &str) -> Amounts {
    let mut together = Amounts::new();
    containers(spec, "containers").for_each(|container| add(&mut together, &amounts(container, which)));
    let (mut sidecars, mut init) = (Amounts::new(), Amounts::new());
    for container in containers(spec, "initContainers") {
        let own = amounts(container, which);
        let step = if container["restartPolicy"] == "Always" {
            add(&mut together, &own);
            add(&mut sidecars, &own);
            sidecars.clone()
        } else {
            let mut step = own;
            add(&mut step, &sidecars);
            step
        };
        raise(&mut init, &step);
    }
    raise(&mut together, &init);
    for (name, amount) in amounts(spec, which) {
        if is_for_whole_pods(&name) {
            together.insert(name, amount);
        }
    }
    together
}

/// Requests and limits under the names that quotas use (`podComputeUsageHelper`).
fn compute_usage(requests: &Amounts, limits: &Amounts) -> Amounts {
    let mut usage = Amounts::from([(crate::name!("pods"), Quantity::units(1))]);
    let mut set = |name: String, amount: Quantity| usage.insert(Name::from(name), amount);
    for (name, amount) in requests {
        match name.as_str() {
            "cpu" | "memory" | "ephemeral-storage" => {
                set(name.to_string(), *amount);
                set(format!("requests.{name}"), *amount);
            }
            huge if huge.starts_with("hugepages-") => {
                set(name.to_string(), *amount);
                set(format!("requests.{name}"), *amount);
            }
            other if is_extended(other) => {
                set(format!("requests.{name}"), *amount);
            }
            _ => {}
        }
    }
    for (name, amount) in
        limits.iter().filter(|(name, _)| ["cpu", "memory", "ephemeral-storage"].contains(&name.as_str()))
    {
        set(format!("limits.{name}"), *amount);
    }
    usage
}

/// Resources that can be set for a pod as a whole.
fn is_for_whole_pods(name: &str) -> bool {
    ["cpu", "memory"].contains(&name) || name.starts_with("hugepages-")
}

/// `IsNativeResource` of `pkg/apis/core/v1/helper/helpers.go`.
fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

fn is_extended(name: &str) -> bool {
    !is_native(name) && !name.starts_with("requests.")
}

/// Whether a name in a quota concerns pods (`MatchingResources`).
pub fn concerns_pods(name: &str) -> bool {
    let prefixed = name.starts_with("hugepages-") || name.starts_with("requests.hugepages-");
    POD_RESOURCES.contains(&name) || prefixed || (!is_native(name) && name.starts_with("requests."))
}
