//! What the API server takes out of an update before it validates it: fields that no longer apply and that the client
//! has not changed (`pkg/registry/core/service/strategy.go`, `dropTypeDependentFields`).
//!
//! A worked example: the type of a service goes from `NodePort` to `ClusterIP`. Its node ports and its
//! `externalTrafficPolicy` go with it; a client that wrote another node port is told that this may not be.

use crate::model::Kind;
use serde_json::{Map, Value};

/// Prepares `new`, which replaces `old`.
pub fn update(kind: Kind, old: &Value, new: &mut Value) {
    if kind == Kind::Service
        && let (Some(old), Some(new)) = (old["spec"].as_object(), new.get_mut("spec").and_then(Value::as_object_mut))
    {
        normalize_addresses(old, new);
        drop_type_dependent(old, new);
    }
}

type Spec = Map<String, Value>;

fn text<'a>(spec: &'a Spec, field: &str) -> &'a str {
    spec.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn is_type(spec: &Spec, types: &[&str]) -> bool {
    let written = text(spec, "type");
    types.contains(&if written.is_empty() { "ClusterIP" } else { written })
}

/// `clusterIPs` follows `clusterIP` where a client wrote only that (`normalizeClusterIPs`).
fn normalize_addresses(old: &Spec, new: &mut Spec) {
    let (had, has) = (text(old, "clusterIP"), text(new, "clusterIP").to_string());
    if had == has || old.get("clusterIPs") != new.get("clusterIPs") {
        return;
    }
    match has.is_empty() {
        true => drop(new.shift_remove("clusterIPs")),
        false => drop(new.insert("clusterIPs".to_string(), vec![has].into())),
    }
}

fn drop_type_dependent(old: &Spec, new: &mut Spec) {
    let balanced = |spec: &Spec| is_type(spec, &["LoadBalancer"]);
    let addressed = |spec: &Spec| !is_type(spec, &["ExternalName"]);
    let local = |spec: &Spec| balanced(spec) && text(spec, "externalTrafficPolicy") == "Local";
    let exposed = |spec: &Spec| {
        let external = spec.get("externalIPs").and_then(Value::as_array).is_some_and(|ips| !ips.is_empty());
        is_type(spec, &["NodePort", "LoadBalancer"]) || (is_type(spec, &["ClusterIP"]) && external)
    };
    let ported = |spec: &Spec| {
        let gives = spec.get("allocateLoadBalancerNodePorts").and_then(Value::as_bool).unwrap_or(true);
        is_type(spec, &["NodePort"]) || (balanced(spec) && gives)
    };
    // (who has such a field, fields that go together)
    type Has<'a> = &'a dyn Fn(&Spec) -> bool;
    let fields: [(Has<'_>, &[&str]); 7] = [
        (&addressed, &["clusterIP", "clusterIPs"]),
        (&addressed, &["ipFamilies"]),
        (&addressed, &["ipFamilyPolicy"]),
        (&local, &["healthCheckNodePort"]),
        (&exposed, &["externalTrafficPolicy"]),
        (&balanced, &["allocateLoadBalancerNodePorts"]),
        (&balanced, &["loadBalancerClass"]),
    ];
    let gone: Vec<&str> = fields
        .into_iter()
        .filter(|(has, _)| has(old) && !has(new))
        .filter(|(_, fields)| fields.iter().all(|field| old.get(*field) == new.get(*field)))
        .flat_map(|(_, fields)| fields.iter().copied())
        .collect();
    if ported(old) && !ported(new) && no_other_ports(old, new) {
        for port in new.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
            port.as_object_mut().map(|fields| fields.shift_remove("nodePort"));
        }
    }
    for field in gone {
        new.shift_remove(field);
    }
}

/// Whether `new` has no node port that `old` has not (`sameNodePorts`).
fn no_other_ports(old: &Spec, new: &Spec) -> bool {
    let ports = |spec: &'_ Spec| -> Vec<i64> {
        let rows = spec.get("ports").and_then(Value::as_array).into_iter().flatten();
        rows.filter_map(|row| row["nodePort"].as_i64()).filter(|port| *port != 0).collect()
    };
    let had = ports(old);
    ports(new).iter().all(|port| had.contains(port))
}
