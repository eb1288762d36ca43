//! A random scenario as small numbers, and the scenario that is written from them.

use super::faults::{self, Length, Place, with};
use kubesim::wire::strict::KINDS;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Workloads that can be drawn, as far as they are served.
const WORKLOADS: [&str; 8] =
    ["Deployment", "Pod", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "CronJob", "ReplicationController"];

/// Actions of people (and a machine that never comes back), beside all faults.
const ACTIONS: usize = 13;

/// How long after the last action the cluster runs on.
const REST: u64 = 900;

/// One workload: which kind, how many pods, and numbers from which everything else is taken.
#[derive(Clone, Debug)]
pub struct Load {
    kind: usize,
    replicas: u32,
    shape: u16,
    behavior: u8,
    guards: u8,
}

/// One action: when, which, and on what.
#[derive(Clone, Debug)]
pub struct Deed {
    at: u64,
    what: usize,
    target: usize,
    amount: u32,
}

/// A scenario in small.
#[derive(Clone, Debug)]
pub struct Plan {
    seed: u64,
    nodes: Vec<(u32, u8)>,
    loads: Vec<Load>,
    deeds: Vec<Deed>,
}

/// All plans; they shrink towards one node, one pod, no action.
pub fn plans() -> impl Strategy<Value = Plan> {
    let load = (0usize..64, 0u32..6, any::<u16>(), 0u8..13, 0u8..16)
        .prop_map(|(kind, replicas, shape, behavior, guards)| Load { kind, replicas, shape, behavior, guards });
    let deed = (0u64..600, 0..ACTIONS + faults::KEYS.len(), 0usize..8, 0u32..8)
        .prop_map(|(at, what, target, amount)| Deed { at, what, target, amount });
    (0u64..1000, vec((1u32..9, 0u8..3), 1..6), vec(load, 1..5), vec(deed, 0..12))
        .prop_map(|(seed, nodes, loads, deeds)| Plan { seed, nodes, loads, deeds })
}

impl Load {
    fn kind(&self) -> &'static str {
        let served: Vec<&str> =
            WORKLOADS.into_iter().filter(|kind| KINDS.iter().any(|(_, known)| known == kind)).collect();
        served[self.kind % served.len()]
    }

    fn bit(&self, at: u16) -> bool {
        self.shape >> at & 1 == 1
    }

    /// Half of them live in a namespace of their own.
    fn namespace(&self) -> &'static str {
        if self.bit(0) { "apps" } else { "default" }
    }

    /// What its containers do: run, end, fail, hang, never start.
    fn behavior(&self, name: &str) -> Value {
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

    fn pod_spec(&self) -> Value {
        let mut container = json!({"name": "main", "image": "registry.example.com/app:v1",
            "resources": {"requests": {"cpu": format!("{}m", 100 + 300 * (self.shape >> 8 & 7)), "memory": "64Mi"}}});
        if self.bit(1) {
            container["readinessProbe"] = json!({"httpGet": {"path": "/", "port": 80}, "periodSeconds": 3});
        }
        if self.bit(14) {
            container["livenessProbe"] = json!({"httpGet": {"path": "/", "port": 80}, "periodSeconds": 4,
                "initialDelaySeconds": 20});
        }
        if self.behavior == 12 {
            container["lifecycle"] = json!({"postStart": {"exec": {"command": ["a"]}},
                "preStop": {"exec": {"command": ["b"]}}});
        }
        if self.bit(15) {
            container["resources"]["limits"] = json!({"memory": "2Gi"});
        }
        if self.bit(2) {
            container["ports"] = json!([{"containerPort": 80, "hostPort": 8080}]);
        }
        let mut spec = json!({"containers": [container]});
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
        spec
    }

    /// Its manifest and what belongs to it.
    fn manifests(&self, name: &str) -> Vec<Value> {
        let labels = json!({"app": name, "tier": "random"});
        let meta = json!({"name": name, "namespace": self.namespace()});
        let selector = json!({"matchLabels": {"app": name}});
        let mut spec = self.pod_spec();
        let kind = self.kind();
        if matches!(kind, "Job" | "CronJob") {
            spec["restartPolicy"] = json!(if self.bit(7) { "OnFailure" } else { "Never" });
        }
        let template = json!({"metadata": {"labels": labels}, "spec": spec});
        let version = KINDS.iter().find(|(_, known)| *known == kind).map_or("v1", |(version, _)| version);
        let sized = json!({"replicas": self.replicas, "selector": selector, "template": template});
        let job = json!({"parallelism": self.replicas, "completions": self.replicas + 1, "backoffLimit": 3,
            "template": template});
        let spec = match kind {
            "Pod" => template["spec"].clone(),
            "Deployment" => with(&sized, self.strategy()),
            "StatefulSet" => with(
                &sized,
                json!({"serviceName": name,
                "podManagementPolicy": if self.bit(7) { "Parallel" } else { "OrderedReady" }}),
            ),
            "DaemonSet" => json!({"selector": selector, "template": template}),
            "ReplicationController" => json!({"replicas": self.replicas, "selector": {"app": name},
                "template": template}),
            "Job" => job,
            "CronJob" => json!({"schedule": "*/2 * * * *", "jobTemplate": {"spec": job}}),
            _ => sized,
        };
        let mut manifest = json!({"apiVersion": version, "kind": kind, "metadata": meta, "spec": spec});
        if kind == "Pod" {
            manifest["metadata"]["labels"] = labels;
        }
        let mut all = vec![manifest];
        if self.guards & 1 == 1 {
            all.push(json!({"apiVersion": "v1", "kind": "Service", "metadata": meta,
                "spec": {"selector": {"app": name}, "ports": [{"port": 80}]}}));
        }
        if self.guards & 2 == 2 {
            let least =
                if self.guards & 4 == 4 { json!({"minAvailable": 1}) } else { json!({"maxUnavailable": "50%"}) };
            all.push(json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": meta,
                "spec": with(&least, json!({"selector": selector}))}));
        }
        all
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
}

impl Plan {
    fn name(at: usize) -> String {
        format!("w{at}")
    }

    /// The scenario as a file.
    pub fn yaml(&self) -> String {
        serde_yaml::to_string(&self.scenario()).expect("plain data can be written")
    }

    fn scenario(&self) -> Value {
        let pool = |(at, (cpu, zone)): (usize, &(u32, u8))| {
            json!({"name": format!("p{at}"), "count": 1, "zones": [format!("zone-{zone}")],
                "labels": {"rack": format!("rack-{}", at % 2)},
                "capacity": {"cpu": cpu, "memory": "8Gi", "ephemeralStorage": "20Gi"}})
        };
        let mut objects = vec![json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "apps"}})];
        let named = || self.loads.iter().enumerate().map(|(at, load)| (Plan::name(at), load));
        objects.extend(named().flat_map(|(name, load)| load.manifests(&name)));
        let behavior: Vec<Value> = named().map(|(name, load)| load.behavior(&name)).collect();
        let mut deeds = self.deeds.clone();
        deeds.sort_by_key(|deed| deed.at);
        let last = deeds.last().map_or(0, |deed| deed.at);
        json!({
            "name": "random",
            "seed": self.seed,
            "duration": format!("{}s", last + REST),
            "cluster": {"controlPlane": {"replicas": if self.seed.is_multiple_of(5) { 3 } else { 1 }},
                "pools": self.nodes.iter().enumerate().map(pool).collect::<Vec<_>>()},
            "manifests": {"inline": objects},
            "behavior": behavior,
            "faults": self.rules(),
            "timeline": deeds.iter().filter_map(|deed| self.entry(deed)).collect::<Vec<_>>(),
        })
    }

    /// Half of the scenarios have something that goes wrong by chance, too.
    fn rules(&self) -> Value {
        match self.seed % 4 {
            0 => json!([{"every": {"exponential": "5m"}, "each": "node", "for": {"uniform": ["10s", "4m"]},
                "nodeCrash": {"node": "p*", "reboot": self.seed.is_multiple_of(8)}}]),
            1 => json!([{"every": {"weibull": {"scale": "6m", "shape": 0.7}}, "for": "90s", "times": 4,
                "partition": {"share": "50%"}}]),
            _ => json!([]),
        }
    }

    fn node(&self, deed: &Deed) -> Value {
        json!({"node": format!("p{}-0", deed.target % self.nodes.len())})
    }

    /// What a person does to a workload or a node, if it can bear it.
    fn action(&self, deed: &Deed, name: &str, load: &Load) -> Option<(&'static str, Value)> {
        let kind = load.kind();
        let object = json!({"object": format!("{}/{name}", kind.to_lowercase()), "namespace": load.namespace()});
        let sized = matches!(kind, "Deployment" | "ReplicaSet" | "StatefulSet" | "ReplicationController");
        let rolled = kind == "Deployment";
        let node = self.node(deed);
        Some(match deed.what {
            0 if sized => ("scale", with(&object, json!({"replicas": deed.amount}))),
            1 if rolled => {
                let image = format!("registry.example.com/app:v{}", deed.amount);
                ("setImage", with(&object, json!({"image": image})))
            }
            2 if rolled => ("rolloutRestart", object),
            3 if rolled => ("rolloutUndo", object),
            4 if rolled => ("rolloutPause", object),
            5 if rolled => ("rolloutResume", object),
            6 => {
                let cascade = ["background", "foreground", "orphan"][deed.amount as usize % 3];
                ("delete", with(&object, json!({"cascade": cascade})))
            }
            7 => ("nodeCrash", node),
            8 => ("cordon", node),
            9 => ("uncordon", node),
            10 => ("drain", with(&node, json!({"timeout": "60s"}))),
            11 => {
                let effect = ["NoSchedule", "NoExecute", "PreferNoSchedule"][deed.amount as usize % 3];
                ("taint", with(&node, json!({"add": [{"key": "random", "effect": effect}]})))
            }
            12 => ("taint", with(&node, json!({"remove": ["random"]}))),
            _ => return None,
        })
    }

    /// The action as an entry of the timeline, if what it is about can bear it.
    fn entry(&self, deed: &Deed) -> Option<Value> {
        let at = deed.target % self.loads.len();
        let (load, name) = (&self.loads[at], Plan::name(at));
        let kind = load.kind();
        let rolled = kind == "Deployment";
        let node = self.node(deed);
        let (action, content, length) = match deed.what.checked_sub(ACTIONS) {
            Some(fault) => {
                let key = faults::KEYS[fault % faults::KEYS.len()];
                let deployment = rolled.then(|| format!("deployment/{name}"));
                let pods = json!({"selector": format!("app={name}"), "namespace": load.namespace()});
                let service = (load.guards & 1 == 1).then(|| name.clone());
                let place = Place { node, pods, namespace: load.namespace(), deployment, service };
                let (body, length) = faults::body(key, &place, deed.amount)?;
                (key, body, length)
            }
            None => {
                let (action, content) = self.action(deed, &name, load)?;
                (action, content, Length::Own)
            }
        };
        let mut entry = Map::new();
        entry.insert("at".to_string(), json!(format!("{}s", deed.at)));
        entry.insert(action.to_string(), content);
        if length == Length::For {
            entry.insert("for".to_string(), json!(format!("{}s", 10 + 60 * deed.amount)));
        }
        Some(Value::Object(entry))
    }
}
