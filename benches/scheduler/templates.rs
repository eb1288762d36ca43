//! The objects of upstream's `test/integration/scheduler_perf/templates`, by what they ask for.

use serde_json::{Value, json};

/// The label that upstream's cases spread over.
pub const ZONE: &str = "topology.kubernetes.io/zone";
const HOSTNAME: &str = "kubernetes.io/hostname";

/// `node-default.yaml`: 4 CPUs, 32 GiB, 110 pods. Upstream names the host by a label.
pub fn node(name: &str) -> Value {
    sized_node(name, &json!({"pods": "110", "cpu": "4", "memory": "32Gi"}))
}

/// `node-with-name.yaml`: the one node that all daemon pods want.
pub fn roomy_node(name: &str) -> Value {
    sized_node(name, &json!({"pods": "90000", "cpu": "4", "memory": "32Gi"}))
}

/// `churn/node-default.yaml`: a node on which nothing fits.
pub fn useless_node(name: &str) -> Value {
    sized_node(name, &json!({"pods": "0"}))
}

fn sized_node(name: &str, size: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {HOSTNAME: name}}, "spec": {},
        "status": {"capacity": size, "allocatable": size, "conditions": [{"type": "Ready", "status": "True"}]}
    })
}

/// `service.yaml`: selects the pods of [`labelled`].
pub fn service(name: &str) -> Value {
    any_service(name, "scheduler-perf")
}

/// `churn/service-default.yaml`: selects nobody.
pub fn useless_service(name: &str) -> Value {
    any_service(name, "foo")
}

fn any_service(name: &str, app: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"selector": {"app": app}, "ports": [{"protocol": "TCP", "port": 80, "targetPort": 8000}]}
    })
}

fn container(requests: &Value) -> Value {
    json!([{"name": "pause", "image": "registry.k8s.io/pause:3.10.1", "ports": [{"containerPort": 80}],
            "resources": {"requests": requests}}])
}

/// A pod of that colour (none if empty) and those requests, with these fields in its spec beside.
fn pod(color: &str, cpu: &str, memory: &str, more: Value) -> Value {
    let mut spec = json!({"containers": container(&json!({"cpu": cpu, "memory": memory}))});
    if let (Some(spec), Value::Object(more)) = (spec.as_object_mut(), more) {
        spec.extend(more);
    }
    let labels = if color.is_empty() { json!({}) } else { json!({"color": color}) };
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": labels}, "spec": spec})
}

/// `pod-default.yaml`.
pub fn plain() -> Value {
    pod("", "100m", "500Mi", json!({}))
}

/// `pod-low-priority.yaml`: four of them fill nine tenths of a node.
pub fn low_priority() -> Value {
    pod("", "900m", "500Mi", json!({"terminationGracePeriodSeconds": 0}))
}

/// `pod-high-priority.yaml`: three of the former must go for one of these.
pub fn high_priority() -> Value {
    pod("", "3000m", "500Mi", json!({"priorityClassName": "high"}))
}

/// `pod-high-priority-large-cpu.yaml`: fits on no node.
pub fn too_large() -> Value {
    pod("", "9", "500Mi", json!({"priorityClassName": "high"}))
}

/// `pod-with-label.yaml`: selected by [`service`], without requests.
pub fn labelled() -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": {"app": "scheduler-perf"}},
           "spec": {"containers": [{"name": "pause", "image": "registry.k8s.io/pause:3.10.1"}]}})
}

/// `daemonset-pod.yaml`: wants one node by name, as the pods of daemon sets do.
pub fn daemon() -> Value {
    let field = json!({"key": "metadata.name", "operator": "In", "values": ["scheduler-perf-node"]});
    let terms = json!([{"matchFields": [field]}]);
    let wish = json!({"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}});
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {},
           "spec": {"affinity": {"nodeAffinity": wish},
                    "containers": [{"name": "pause", "image": "registry.k8s.io/pause:3.10.1"}]}})
}

/// `pod-with-node-affinity.yaml`.
pub fn node_affinity() -> Value {
    let zones = json!({"key": ZONE, "operator": "In", "values": ["zone1", "zone2"]});
    let terms = json!([{"matchExpressions": [zones]}]);
    let wish = json!({"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}});
    pod("", "100m", "500Mi", json!({"affinity": {"nodeAffinity": wish}}))
}

fn term(color: &str, topology: &str) -> Value {
    json!({"labelSelector": {"matchLabels": {"color": color}}, "topologyKey": topology,
           "namespaces": ["sched-1", "sched-0"]})
}

fn required(term: &Value) -> Value {
    json!({"requiredDuringSchedulingIgnoredDuringExecution": [term]})
}

fn preferred(term: &Value) -> Value {
    json!({"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": term}]})
}

/// `pod-with-pod-anti-affinity.yaml`: one to a node.
pub fn pod_anti_affinity() -> Value {
    let wish = required(&term("green", HOSTNAME));
    pod("green", "100m", "500Mi", json!({"affinity": {"podAntiAffinity": wish}}))
}

/// `pod-with-pod-affinity.yaml`: all in one zone.
pub fn pod_affinity() -> Value {
    let wish = required(&term("blue", ZONE));
    pod("blue", "100m", "500Mi", json!({"affinity": {"podAffinity": wish}}))
}

/// `pod-with-preferred-pod-affinity.yaml`.
pub fn preferred_pod_affinity() -> Value {
    let wish = preferred(&term("red", HOSTNAME));
    pod("red", "100m", "500Mi", json!({"affinity": {"podAffinity": wish}}))
}

/// `pod-with-preferred-pod-anti-affinity.yaml`.
pub fn preferred_pod_anti_affinity() -> Value {
    let wish = preferred(&term("yellow", HOSTNAME));
    pod("yellow", "100m", "500Mi", json!({"affinity": {"podAntiAffinity": wish}}))
}

/// `pod-anti-affinity-ns-selector.yaml`: one to a node over all namespaces of a team.
pub fn anti_affinity_over_namespaces() -> Value {
    let term = json!({"labelSelector": {"matchLabels": {"color": "green"}}, "topologyKey": HOSTNAME,
                      "namespaceSelector": {"matchLabels": {"team": "devops"}}});
    pod("green", "100m", "500Mi", json!({"affinity": {"podAntiAffinity": required(&term)}}))
}

fn spread(when_unsatisfiable: &str) -> Value {
    let constraint = json!({"maxSkew": 5, "topologyKey": ZONE, "whenUnsatisfiable": when_unsatisfiable,
                            "labelSelector": {"matchLabels": {"color": "blue"}}});
    pod("blue", "100m", "500Mi", json!({"topologySpreadConstraints": [constraint]}))
}

/// `pod-with-topology-spreading.yaml`.
pub fn hard_spread() -> Value {
    spread("DoNotSchedule")
}

/// `pod-with-preferred-topology-spreading.yaml`.
pub fn soft_spread() -> Value {
    spread("ScheduleAnyway")
}

/// `pod-with-secret-volume.yaml`.
pub fn with_secret() -> Value {
    pod("", "100m", "500Mi", json!({"volumes": [{"name": "secret", "secret": {"secretName": "secret"}}]}))
}

/// The base pod with a claim of its own.
pub fn with_claim(claim: &str) -> Value {
    let volume = json!({"name": "vol", "persistentVolumeClaim": {"claimName": claim}});
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": {"volumes": [volume],
           "containers": [{"name": "pause", "image": "registry.k8s.io/pause:3.10.1"}]}})
}

/// `pv-csi.yaml` or `pv-aws.yaml`, bound to `claim`.
pub fn volume(name: &str, namespace: &str, claim: &str, csi: bool) -> Value {
    let mut spec = json!({"accessModes": ["ReadOnlyMany"], "capacity": {"storage": "1Gi"},
        "persistentVolumeReclaimPolicy": "Retain", "claimRef": {"kind": "PersistentVolumeClaim", "namespace": namespace,
        "name": claim}});
    let (field, source) = match csi {
        true => ("csi", json!({"driver": "ebs.csi.aws.com", "volumeHandle": name})),
        false => ("awsElasticBlockStore", json!({"volumeID": name})),
    };
    spec[field] = source;
    json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec,
           "status": {"phase": "Bound"}})
}

/// `pvc.yaml`, bound to `volume`.
pub fn claim(name: &str, volume: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "annotations": {"pv.kubernetes.io/bind-completed": "true"}},
        "spec": {"accessModes": ["ReadOnlyMany"], "resources": {"requests": {"storage": "1Gi"}}, "volumeName": volume},
        "status": {"phase": "Bound"}})
}

/// What a CSI driver says of a node: at most 39 volumes.
pub fn csi_node(name: &str) -> Value {
    json!({"apiVersion": "storage.k8s.io/v1", "kind": "CSINode", "metadata": {"name": name},
        "spec": {"drivers": [{"name": "ebs.csi.aws.com", "nodeID": name, "allocatable": {"count": 39}}]}})
}

/// The class of the pods of high priority. (Upstream's cases run without the admission plugin and write the number.)
pub fn high() -> Value {
    json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "high"}, "value": 10})
}
