//! A random scenario as small numbers, and the scenario that is written from them.

#[path = "deeds.rs"]
mod deeds;
#[path = "loads.rs"]
mod loads;

use deeds::Deed;
use loads::Load;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

/// How long after the last action the cluster runs on.
const REST: u64 = 900;

/// A scenario in small.
#[derive(Clone, Debug)]
pub struct Plan {
    seed: u64,
    policies: u8,
    nodes: Vec<(u32, u8)>,
    loads: Vec<Load>,
    deeds: Vec<Deed>,
}

/// All plans; they shrink towards one node, one pod, no action.
pub fn plans() -> impl Strategy<Value = Plan> {
    let load = (0usize..64, 0u32..6, any::<u32>(), 0u8..13, 0u8..32)
        .prop_map(|(kind, replicas, shape, behavior, guards)| Load { kind, replicas, shape, behavior, guards });
    let deed = (0u64..600, 0usize..1000, 0usize..8, 0u32..8).prop_map(|(at, what, target, amount)| Deed {
        at,
        what,
        target,
        amount,
    });
    (0u64..1000, 0u8..16, vec((1u32..9, 0u8..3), 1..6), vec(load, 1..5), vec(deed, 0..12))
        .prop_map(|(seed, policies, nodes, loads, deeds)| Plan { seed, policies, nodes, loads, deeds })
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
            let mut pool = json!({"name": format!("p{at}"), "count": 1, "zones": [format!("zone-{zone}")],
                "labels": {"rack": format!("rack-{}", at % 2)},
                "capacity": {"cpu": cpu, "memory": "8Gi", "ephemeralStorage": "20Gi"}});
            if self.has_static_pods() {
                pool["kubelet"] = json!({"staticPods": {"inline": [self.static_pod()]}});
            }
            pool
        };
        let mut objects = loads::surroundings(self.policies, self.loads.iter().any(Load::is_custom));
        let named = || self.loads.iter().enumerate().map(|(at, load)| (Plan::name(at), load));
        for (name, load) in named() {
            objects.push(load.manifest(&name));
            objects.extend(load.companions(&name));
        }
        let behavior: Vec<Value> = named().map(|(name, load)| load.behavior(&name)).collect();
        let mut deeds = self.deeds.clone();
        deeds.sort_by_key(|deed| deed.at);
        let last = deeds.last().map_or(0, |deed| deed.at);
        let mut scenario = json!({
            "name": "random",
            "seed": self.seed,
            "duration": format!("{}s", last + REST),
            "cluster": {"controlPlane": {"replicas": if self.seed.is_multiple_of(5) { 3 } else { 1 }},
                "pools": self.nodes.iter().enumerate().map(pool).collect::<Vec<_>>(),
                "cloud": {"disks": [{"driver": "disk.example.com"}]}},
            "manifests": {"inline": objects},
            "behavior": behavior,
            "faults": self.rules(),
            "timeline": deeds.iter().filter_map(|deed| self.entry(deed)).collect::<Vec<_>>(),
        });
        if self.has_static_pods() || Plan::fills_disks(&scenario) {
            without_surge(&mut scenario);
        }
        scenario
    }

    fn has_static_pods(&self) -> bool {
        self.policies & 8 != 0
    }

    /// Where a node refuses its pods, be it for a static pod that nobody else knows of, a daemon set that surges makes another at once, ten a second as long as it lasts
    /// (`kubernetes/kubernetes#124388`): a case of minutes. `kept/daemon-surge-on-a-full-disk.yaml` has it in small.
    fn fills_disks(scenario: &Value) -> bool {
        let full = |entry: &Value| entry.get("diskFull").is_some();
        let grows = |rule: &Value| rule.get("diskGrowth").is_some();
        let any = |list: &Value, of: &dyn Fn(&Value) -> bool| list.as_array().is_some_and(|list| list.iter().any(of));
        any(&scenario["timeline"], &full) || any(&scenario["behavior"], &grows)
    }

    /// A pod of the node's own that looks like one of the first workload, in one of three namespaces.
    fn static_pod(&self) -> Value {
        let namespace = ["kube-system", "apps", "default"][(self.seed % 3) as usize];
        json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "own", "namespace": namespace, "labels": {"app": "w0", "tier": "random"}},
            "spec": {"containers": [{"name": "main", "image": "registry.example.com/own:v1",
                "resources": {"requests": {"cpu": "200m", "memory": "64Mi"}}}]}})
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

    fn entry(&self, deed: &Deed) -> Option<Value> {
        let at = deed.target % self.loads.len();
        deeds::entry(deed, &self.loads[at], &Plan::name(at), self.nodes.len())
    }
}

/// Daemon sets update without surge, wherever they stand.
fn without_surge(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if let Some(strategy) =
                fields.get_mut("updateStrategy").filter(|one| one.pointer("/rollingUpdate/maxSurge").is_some())
            {
                *strategy = json!({});
            }
            fields.values_mut().for_each(without_surge);
        }
        Value::Array(list) => list.iter_mut().for_each(without_surge),
        _ => {}
    }
}
