//! Decisions of the real EndpointSlice reconciler (`tests/golden/controllers/README.md`, `endpointslice`).

use super::{agree, differs, list};
use kubesim::controllers::endpoint_slice::reconcile::{Decisions, MANAGED_BY, reconcile};
use kubesim::model::builder;
use kubesim::model::pod_spec::ContainerPort;
use kubesim::model::service::{Endpoint, EndpointPort, EndpointSlice, Service, ServicePort, TargetPort};
use kubesim::model::{Condition, Deletion, Kind, Labels, Meta, Name, OwnerReference, Phase, Pod, Truth, Uid};
use kubesim::time::SimTime;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

fn text(value: &Value) -> Name {
    Name::from(value.as_str().unwrap_or_default())
}

fn service(case: &Value) -> Service {
    let wish = &case["service"];
    let mut meta = Meta::named("ns", "svc");
    meta.uid = Uid(1);
    let port = |pair: &Value| ServicePort {
        name: text(&pair[0]),
        protocol: Name::from("TCP"),
        app_protocol: Name::new(),
        port: 80,
        target: match &pair[1] {
            Value::String(name) => TargetPort::Name(Name::from(name.as_str())),
            number => TargetPort::Number(u16::try_from(number.as_u64().unwrap()).unwrap()),
        },
        node_port: 0,
    };
    let headless = wish["headless"] == true;
    Service {
        meta,
        selector: Some(Labels::from_iter([("app", "web")])),
        ports: wish["targetPorts"].as_array().unwrap().iter().map(port).collect(),
        headless,
        cluster_ip: (!headless).then(|| [10, 96, 0, 10].into()),
        publish_not_ready: wish["publishNotReadyAddresses"] == true,
        traffic_distribution: text(&wish["trafficDistribution"]),
        ..builder::service("", "")
    }
}

fn pod(wish: &Value) -> Arc<Pod> {
    let mut spec = builder::spec("img", 100, 0);
    spec.containers[0].ports = vec![ContainerPort {
        name: Name::from("web"),
        container_port: wish["web_port"].as_u64().map_or(8080, |port| u16::try_from(port).unwrap()),
        host_port: 0,
        host_ip: Name::new(),
        protocol: Name::from("TCP"),
    }];
    spec.hostname = text(&wish["hostname"]);
    spec.subdomain = text(&wish["subdomain"]);
    let mut pod = builder::pod(wish["name"].as_str().unwrap(), spec).on(wish["node"].as_str().unwrap());
    pod.meta.namespace = Name::from("ns");
    pod.meta.uid = uid_of(&pod.meta.name);
    pod.status.pod_ip = wish["ip"].as_str().filter(|ip| !ip.is_empty()).map(|ip| ip.parse().unwrap());
    pod.status.phase = match wish["phase"].as_str() {
        Some("Failed") => Phase::Failed,
        Some("Succeeded") => Phase::Succeeded,
        _ => Phase::Running,
    };
    let ready = Truth::from(wish["ready"] == "True");
    pod.status.conditions = vec![Condition::new(Name::from("Ready"), ready, Name::new(), "", SimTime::ZERO)];
    if wish["terminating"] == true {
        pod.meta.deletion = Some(Deletion { at: SimTime::from_secs(30), grace_seconds: 30 });
    }
    Arc::new(pod)
}

fn uid_of(pod: &Name) -> Uid {
    Uid(1000 + pod[1..].parse::<u128>().unwrap())
}

/// Slices as the controller wrote them when all their pods were ready and served on 8080. Address and node of
/// a pod are those it has now, or any for one that is gone.
fn existing(case: &Value, service: &Service, pods: &[Arc<Pod>]) -> Vec<Arc<EndpointSlice>> {
    let by_name: BTreeMap<&str, &Arc<Pod>> = pods.iter().map(|pod| (pod.meta.name.as_str(), pod)).collect();
    let port = |port: &ServicePort| EndpointPort {
        name: port.name.clone(),
        protocol: port.protocol.clone(),
        app_protocol: Name::new(),
        port: match &port.target {
            TargetPort::Number(number) => *number,
            TargetPort::Name(_) => 8080,
        },
    };
    let endpoint = |name: &Value| {
        let pod = by_name.get(name.as_str().unwrap());
        let node = pod.map_or_else(|| Name::from("gone"), |pod| pod.node.clone().unwrap());
        let zone = text(&case["node_zones"][node.as_str()]);
        let mut endpoint = Endpoint {
            address: pod.and_then(|pod| pod.status.pod_ip).unwrap_or([10, 255, 0, 1].into()),
            ready: true,
            serving: true,
            terminating: false,
            node: Some(node),
            zone,
            hostname: Name::new(),
            pod: text(name),
            pod_uid: uid_of(&text(name)),
            hint_zones: Vec::new(),
            hint_nodes: Vec::new(),
        };
        // The recorded slices began without hints on nodes that are in no zone.
        if !endpoint.zone.is_empty() {
            kubesim::controllers::endpoint_slice::endpoints::give_hints(&service.traffic_distribution, &mut endpoint);
        }
        endpoint
    };
    let slice = |wish: &Value| {
        let mut meta = Meta::named("ns", wish["name"].as_str().unwrap());
        meta.labels = Labels::from_iter([
            ("kubernetes.io/service-name", "svc"),
            (MANAGED_BY.as_str(), "endpointslice-controller.k8s.io"),
        ]);
        if service.headless {
            meta.labels = meta.labels.with("service.kubernetes.io/headless", "");
        }
        meta.owners = vec![OwnerReference {
            kind: Kind::Service,
            name: Name::from("svc"),
            uid: Uid(1),
            controller: true,
            block_owner_deletion: true,
        }];
        let endpoints = wish["pods"].as_array().map(|pods| pods.iter().map(endpoint).map(Arc::new).collect());
        Arc::new(EndpointSlice {
            meta,
            ports: Arc::new(service.ports.iter().map(port).collect()),
            endpoints: Arc::new(endpoints.unwrap_or_default()),
        })
    };
    case["existing"].as_array().map(|slices| slices.iter().map(slice).collect()).unwrap_or_default()
}

/// Ports as the recording shows them; their order in a slice has no meaning.
fn ports(slice: &EndpointSlice) -> Value {
    let mut rows: Vec<Value> =
        slice.ports.iter().map(|p| json!([p.name.as_str(), p.port, p.protocol.as_str()])).collect();
    rows.sort_by_key(Value::to_string);
    if rows.is_empty() { Value::Null } else { Value::from(rows) }
}

fn same_ports(value: &Value) -> Value {
    let mut rows = value.as_array().cloned().unwrap_or_default();
    rows.sort_by_key(Value::to_string);
    if rows.is_empty() { Value::Null } else { Value::from(rows) }
}

/// What we decided, in the form of the recording's `out`.
fn outcome(existing: &[Arc<EndpointSlice>], decisions: &Decisions) -> Value {
    let names = |names: &[Name]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
    let mut after: BTreeMap<String, (&EndpointSlice, &str)> = BTreeMap::new();
    for slice in existing.iter().filter(|slice| !decisions.delete.contains(&slice.meta.name)) {
        after.insert(slice.meta.name.to_string(), (slice, ""));
    }
    for slice in &decisions.update {
        after.insert(slice.meta.name.to_string(), (slice, "update"));
    }
    let was = |name: &str| existing.iter().find(|slice| slice.meta.name == name).unwrap();
    let slices: Vec<Value> = after
        .iter()
        .map(|(name, (slice, action))| {
            let before = was(name);
            let stayed = |e: &&Arc<Endpoint>| before.endpoints.iter().any(|old| old.pod == e.pod);
            let mut kept: Vec<&str> = slice.endpoints.iter().filter(stayed).map(|e| e.pod.as_str()).collect();
            kept.sort_unstable();
            json!({"action": action, "kept": kept, "name": name, "ports": ports(slice), "size": slice.endpoints.len()})
        })
        .collect();
    let mut created: Vec<Value> =
        decisions.create.iter().map(|s| json!({"ports": ports(s), "size": s.endpoints.len()})).collect();
    created.sort_by_key(Value::to_string);
    let all = after.values().map(|(slice, _)| *slice).chain(&decisions.create);
    let endpoints: BTreeMap<String, Value> =
        all.flat_map(|slice| slice.endpoints.iter()).map(|e| (e.pod.to_string(), endpoint_row(e))).collect();
    let mut deleted = names(&decisions.delete);
    deleted.sort();
    let err = match decisions.errors.as_slice() {
        [] => Value::Null,
        [one] => json!(one),
        several => json!(format!("[{}]", several.join(", "))),
    };
    json!({"slices": slices, "created": created, "deleted": deleted, "endpoints": endpoints, "err": err})
}

fn endpoint_row(e: &Endpoint) -> Value {
    let list = |names: &[Name]| match names {
        [] => Value::Null,
        names => names.iter().map(|name| name.to_string()).collect(),
    };
    let mut row = vec![json!([e.ready, e.serving, e.terminating]), json!(e.zone.as_str()), json!(e.hostname.as_str())];
    if !e.hint_zones.is_empty() || !e.hint_nodes.is_empty() {
        row.extend([list(&e.hint_zones), list(&e.hint_nodes)]);
    }
    Value::from(row)
}

/// The recording in the same form: absent lists are empty, order without meaning is sorted away.
fn expected(out: &Value) -> Value {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut slices = list(&out["slices"]);
    for slice in &mut slices {
        slice["ports"] = same_ports(&slice["ports"]);
        slice["kept"] = Value::from(list(&slice["kept"]));
    }
    slices.sort_by_key(|slice| slice["name"].as_str().unwrap().to_string());
    let mut created = list(&out["created"]);
    for slice in &mut created {
        slice["ports"] = same_ports(&slice["ports"]);
    }
    created.sort_by_key(Value::to_string);
    let endpoints = out["endpoints"].as_object().cloned().unwrap_or_default();
    json!({"slices": slices, "created": created, "deleted": list(&out["deleted"]), "endpoints": endpoints, "err": out["err"]})
}

#[test]
fn endpointslice() {
    agree("endpointslice", |case| {
        let service = service(case);
        let pods: Vec<Arc<Pod>> = list(&case["pods"]).iter().map(pod).collect();
        let existing = existing(case, &service, &pods);
        let zones = |node: &Name| case["node_zones"].get(node.as_str()).map(text);
        let max = usize::try_from(case["max"].as_u64().unwrap()).unwrap();
        let decisions = reconcile(&service, &existing, &pods.iter().collect::<Vec<_>>(), &zones, max);
        differs(&outcome(&existing, &decisions), &expected(&case["out"]))
    });
}
