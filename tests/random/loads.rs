//! The workloads of a random scenario: their manifests, what belongs to them, and what their containers do.

use super::super::faults::with;
use kubesim::wire::strict::KINDS;
use serde_json::{Value, json};

/// Workloads that can be drawn. The last one is a kind of the scenario's own.
const WORKLOADS: [&str; 9] = [
    "Deployment",
    "Pod",
    "ReplicaSet",
    "StatefulSet",
    "DaemonSet",
    "Job",
    "CronJob",
    "ReplicationController",
    "Gadget",
];

/// One workload: which kind, how many pods, and numbers from which everything else is taken.
#[derive(Clone, Debug)]
pub struct Load {
    pub kind: usize,
    pub replicas: u32,
    pub shape: u32,
    pub behavior: u8,
    pub guards: u8,
}

impl Load {
    pub fn kind(&self) -> &'static str {
        WORKLOADS[self.kind % WORKLOADS.len()]
    }

    fn bit(&self, at: u16) -> bool {
        self.shape >> at & 1 == 1
    }

    /// Half of them live in a namespace of their own.
    pub fn namespace(&self) -> &'static str {
        if self.bit(0) { "apps" } else { "default" }
    }

    pub fn is_custom(&self) -> bool {
        self.kind() == "Gadget"
    }

    /// Has a number of replicas.
    pub fn sized(&self) -> bool {
        matches!(self.kind(), "Deployment" | "ReplicaSet" | "StatefulSet" | "ReplicationController" | "Gadget")
    }

    /// Has a service of its name.
    pub fn is_served(&self) -> bool {
        self.guards & 1 == 1
    }

    /// Makes its pods anew when its template changes.
    pub fn rolled(&self) -> bool {
        matches!(self.kind(), "Deployment" | "StatefulSet" | "DaemonSet")
    }

    /// What its containers do: run, end, fail, hang, never start.
    pub fn behavior(&self, name: &str) -> Value {
        let rule = json!({"match": {"selector": format!("app={name}")}, "startTime": "1s"});
        let more = match self.behavior {
            0 => json!({}),
            1 => json!({"startTime": {"uniform": ["1s", "20s"]}}),
            2 => json!({"runTime": "7s", "exitCode": 1}),
            3 => json!({"runTime": "40s"}),
            4 => json!({"ready": "never"}),
            5 => json!({"imagePull": "fails"}),
            6 => json!({"terminationTime": "50s"}),
            7 => json!({"runTime": "20s", "exitCode": 3, "runs": 2}),
            8 => json!({"cpu": {"absolute": 3}}),
            9 => json!({"cpu": {"absolute": 2}, "runTime": "90s", "probeTime": "200ms"}),
            10 => json!({"memoryGrowth": {"rate": "1Gi/m"}}),
            11 => json!({"disk": "1Gi", "diskGrowth": {"rate": "2Gi/m", "after": "1m"}, "logs": "10Mi/s"}),
            _ => json!({"postStart": {"time": "4s"}, "preStop": {"time": "3s"}, "startTime": "10s"}),
        };
        with(&rule, more)
    }

    fn container(&self, name: &str) -> Value {
        let mut container = json!({"name": "main", "image": "registry.example.com/app:v1",
            "resources": {"requests": {"cpu": format!("{}m", 100 + 300 * (self.shape >> 8 & 7)), "memory": "64Mi"}}});
        if self.bit(1) {
            container["readinessProbe"] = json!({"httpGet": {"path": "/", "port": 80}, "periodSeconds": 3});
        }
        if self.bit(27) {
            container["livenessProbe"] = json!({"httpGet": {"path": "/", "port": 80}, "periodSeconds": 4,
                "initialDelaySeconds": 20});
        }
        if self.behavior == 12 {
            container["lifecycle"] = json!({"postStart": {"exec": {"command": ["a"]}},
                "preStop": {"exec": {"command": ["b"]}}});
        }
        if self.bit(30) {
            container["resources"]["limits"] = json!({"memory": "2Gi"});
        }
        if self.bit(2) {
            container["ports"] = json!([{"containerPort": 80, "hostPort": 8080}]);
        }
        if self.bit(15) {
            container["envFrom"] = json!([{"configMapRef": {"name": name}}]);
        }
        if self.bit(28) {
            container["volumeMounts"] = json!([{"name": "scratch", "mountPath": "/scratch"}]);
        }
        container
    }

    fn pod_spec(&self, name: &str) -> Value {
        let mut spec = json!({"containers": [self.container(name)]});
        if self.bit(3) {
            spec["terminationGracePeriodSeconds"] = json!(5);
        }
        if self.bit(4) {
            let tolerate = |key: &str| {
                json!({"key": key, "operator": "Exists", "effect": "NoExecute",
                "tolerationSeconds": 20})
            };
            spec["tolerations"] =
                json!([tolerate("node.kubernetes.io/unreachable"), tolerate("node.kubernetes.io/not-ready")]);
        }
        if self.bit(5) {
            spec["topologySpreadConstraints"] = json!([{"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone",
                "whenUnsatisfiable": if self.bit(6) { "DoNotSchedule" } else { "ScheduleAnyway" },
                "labelSelector": {"matchLabels": {"tier": "random"}}}]);
        }
        if self.bit(14) {
            spec["priorityClassName"] = json!("high");
        }
        if self.bit(28) {
            spec["volumes"] = json!([{"name": "scratch", "emptyDir": {}}]);
        }
        if self.bit(29) && self.kind() == "DaemonSet" {
            spec["nodeSelector"] = json!({"random": "1"});
        }
        if matches!(self.kind(), "Job" | "CronJob") {
            spec["restartPolicy"] = json!(if self.bit(7) { "OnFailure" } else { "Never" });
        }
        spec
    }

    /// Its own manifest.
    pub fn manifest(&self, name: &str) -> Value {
        let kind = self.kind();
        let mut meta = json!({"name": name, "namespace": self.namespace()});
        let labels = json!({"app": name, "tier": "random"});
        let template = json!({"metadata": {"labels": labels}, "spec": self.pod_spec(name)});
        let selector = json!({"matchLabels": {"app": name}});
        let sized = json!({"replicas": self.replicas, "selector": selector, "template": template});
        let spec = match kind {
            "Pod" => template["spec"].clone(),
            "Deployment" => with(&sized, self.strategy()),
            "StatefulSet" => with(&sized, self.identities(name)),
            "DaemonSet" => json!({"selector": selector, "template": template, "updateStrategy": self.daemon_update()}),
            "ReplicationController" => json!({"replicas": self.replicas, "selector": {"app": name},
                "template": template}),
            "Job" => self.job(template),
            "CronJob" => {
                let policy = ["Allow", "Forbid", "Replace", "Allow"][(self.shape >> 24 & 3) as usize];
                json!({"schedule": "*/2 * * * *", "jobTemplate": {"spec": self.job(template)},
                    "concurrencyPolicy": policy})
            }
            "Gadget" => json!({"replicas": self.replicas, "size": self.behavior}),
            _ => sized,
        };
        if kind == "Pod" {
            meta["labels"] = labels;
        }
        if self.is_custom() && self.bit(16) {
            meta["finalizers"] = json!(["example.com/keep"]);
        }
        let version = KINDS.iter().find(|(_, known)| *known == kind).map_or("example.com/v1", |(version, _)| version);
        json!({"apiVersion": version, "kind": kind, "metadata": meta, "spec": spec})
    }

    fn strategy(&self) -> Value {
        let mut spec = json!({"minReadySeconds": 5 * (self.shape >> 11 & 1), "progressDeadlineSeconds": 60});
        spec["strategy"] = match self.shape >> 12 & 3 {
            0 => json!({"type": "Recreate"}),
            1 => json!({"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}),
            2 => json!({"rollingUpdate": {"maxSurge": "100%", "maxUnavailable": 0}}),
            _ => json!({}),
        };
        spec
    }

    fn identities(&self, name: &str) -> Value {
        let mut spec = json!({"serviceName": name, "minReadySeconds": 5 * (self.shape >> 11 & 1),
            "podManagementPolicy": if self.bit(7) { "Parallel" } else { "OrderedReady" }});
        spec["updateStrategy"] = match self.shape >> 12 & 3 {
            0 => json!({"type": "OnDelete"}),
            1 => json!({"rollingUpdate": {"partition": 2}}),
            _ => json!({}),
        };
        if self.bit(17) {
            spec["volumeClaimTemplates"] = json!([{"metadata": {"name": "data"}, "spec": {"storageClassName": "disk",
                "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}]);
            let when = |bit| if self.bit(bit) { "Delete" } else { "Retain" };
            spec["persistentVolumeClaimRetentionPolicy"] = json!({"whenDeleted": when(18), "whenScaled": when(19)});
        }
        spec
    }

    fn daemon_update(&self) -> Value {
        match self.shape >> 12 & 3 {
            0 => json!({"type": "OnDelete"}),
            // A pod that holds a port of its node cannot have another beside it.
            1 if !self.bit(2) => json!({"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}),
            2 => json!({"rollingUpdate": {"maxUnavailable": "50%"}}),
            _ => json!({}),
        }
    }

    fn job(&self, template: Value) -> Value {
        let mut job = json!({"parallelism": self.replicas, "completions": self.replicas + 1, "backoffLimit": 3,
            "template": template});
        if self.bit(18) {
            job["completionMode"] = json!("Indexed");
        }
        if self.bit(18) && self.bit(13) && !self.bit(7) {
            job["backoffLimitPerIndex"] = json!(1);
        }
        if self.bit(19) {
            job["ttlSecondsAfterFinished"] = json!(30);
        }
        if self.bit(20) {
            job["activeDeadlineSeconds"] = json!(100);
        }
        if self.bit(21) && !self.bit(7) {
            let action = ["Ignore", "FailJob", "Count", "Ignore"][(self.shape >> 22 & 3) as usize];
            let conditions = json!([{"type": "DisruptionTarget"}]);
            job["podFailurePolicy"] = json!({"rules": [{"action": action, "onPodConditions": conditions},
                {"action": "Count", "onExitCodes": {"operator": "In", "values": [3]}}]});
            job["podReplacementPolicy"] = json!("Failed");
        }
        if self.bit(18) && self.bit(26) {
            job["successPolicy"] = json!({"rules": [{"succeededCount": 1}]});
        }
        job
    }

    /// What is created beside it.
    pub fn companions(&self, name: &str) -> Vec<Value> {
        let meta = json!({"name": name, "namespace": self.namespace()});
        let selector = json!({"matchLabels": {"app": name}});
        let mut all = Vec::new();
        if self.is_served() {
            all.push(json!({"apiVersion": "v1", "kind": "Service", "metadata": meta,
                "spec": {"selector": {"app": name}, "ports": [{"port": 80}]}}));
        }
        if self.guards & 2 == 2 {
            let least =
                if self.guards & 4 == 4 { json!({"minAvailable": 1}) } else { json!({"maxUnavailable": "50%"}) };
            let mut spec = with(&least, json!({"selector": selector}));
            if self.guards & 16 == 16 {
                spec["unhealthyPodEvictionPolicy"] = json!("AlwaysAllow");
            }
            all.push(json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": meta, "spec": spec}));
        }
        // Without it the pods wait in CreateContainerConfigError until somebody applies one.
        if self.bit(15) && self.bit(16) {
            all.push(configuration(name, self.namespace(), 0));
        }
        all
    }
}

/// The configuration that containers may ask for.
pub fn configuration(name: &str, namespace: &str, value: u32) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace},
        "data": {"value": value.to_string()}})
}

/// What belongs to no workload: namespace, policies, classes, and the definition of the scenario's own kind.
pub fn surroundings(policies: u8, custom: bool) -> Vec<Value> {
    let on = |bit: u8| policies >> bit & 1 == 1;
    let mut all = vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "apps"}}),
        json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "high"},
            "value": 1000}),
        json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "disk"},
            "provisioner": "disk.example.com", "volumeBindingMode": "WaitForFirstConsumer"}),
    ];
    let meta = json!({"name": "limits", "namespace": "apps"});
    if on(0) {
        all.push(json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": meta,
            "spec": {"hard": {"pods": "6", "requests.cpu": "3", "count/jobs.batch": "2", "services": "1"}}}));
    }
    if on(1) {
        all.push(json!({"apiVersion": "v1", "kind": "LimitRange", "metadata": meta,
            "spec": {"limits": [{"type": "Container", "default": {"cpu": "2"}, "max": {"cpu": "2"}}]}}));
    }
    if on(2) {
        all[0]["metadata"]["labels"] = json!({"pod-security.kubernetes.io/enforce": "baseline"});
    }
    if custom {
        all.push(definition());
    }
    all
}

fn definition() -> Value {
    let properties = json!({
        "spec": {"type": "object", "properties": {"replicas": {"type": "integer", "maximum": 6},
            "size": {"type": "integer", "default": 1}, "image": {"type": "string"}}},
        "status": {"type": "object", "properties": {"replicas": {"type": "integer"}}}});
    let scale = json!({"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"});
    let version = json!({"name": "v1", "served": true, "storage": true, "subresources": {"status": {}, "scale": scale},
        "schema": {"openAPIV3Schema": {"type": "object", "properties": properties}}});
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "gadgets.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "versions": [version],
            "names": {"plural": "gadgets", "singular": "gadget", "kind": "Gadget"}}})
}
