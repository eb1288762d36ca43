//! The machines of a scenario: control plane, node pools, single nodes, and what they hold.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::autoscaler::{Autoscaler, PoolBounds};
use super::cloud::Cloud;
use super::karpenter::Karpenter;
use super::kubelet::KubeletConfig;
use super::units::{Distribution, Duration, Quantity};
use crate::model::machine::{Level, Signal, Threshold};
use crate::model::{self, TaintEffect, quantity};
use crate::time::SimDuration;

/// The machines of the control plane are called `control-plane-0` and so on; no pool may have this name.
pub const CONTROL_PLANE: &str = "control-plane";

/// The machines: a control plane, pools of equal nodes, and single nodes.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Cluster {
    /// The machines that run API server, controller manager and scheduler.
    pub control_plane: ControlPlane,
    /// Pools of equal nodes. The nodes of pool `small` are called `small-0`, `small-1` and so on.
    pub pools: Vec<Pool>,
    /// Single nodes with names of their own.
    pub nodes: Vec<NodeEntry>,
    /// The provider behind the cluster: its machines and disks.
    pub cloud: Cloud,
    /// How the Cluster Autoscaler decides; it works as soon as a pool has `autoscale`.
    pub autoscaler: Autoscaler,
    /// A provisioner in the manner of Karpenter; it works as soon as it has a pool.
    pub karpenter: Karpenter,
}

/// The highest price of an hour: sums over any cluster and run stay whole numbers.
const PRICE_MAX: f64 = 1_000_000.0;

/// What is wrong with the price of an hour.
pub fn price_fault(price: f64) -> Option<(String, &'static str)> {
    match price {
        0.0..=PRICE_MAX => None,
        price if price > PRICE_MAX => {
            Some(("the price is more than a million an hour".to_string(), "write at most 1000000"))
        }
        price if price < 0.0 => Some((format!("the price {price} is negative"), "write 0 or more")),
        _ => Some(("the price is not a number".to_string(), "write a number, such as 0.10")),
    }
}

/// The control plane.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ControlPlane {
    /// How many machines; an odd number, so that a majority exists. 0 for a managed control plane without a price.
    #[schemars(range(max = 7))]
    pub replicas: u32,
    /// What one of them costs an hour.
    pub price_per_hour: f64,
}

impl Default for ControlPlane {
    fn default() -> Self {
        ControlPlane { replicas: 1, price_per_hour: 0.0 }
    }
}

/// A pool of equal nodes.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pool {
    /// The pool's name; its nodes are called `<name>-<index>`, from 0.
    pub name: String,
    /// How many nodes.
    pub count: u32,
    /// What one machine has.
    #[serde(default)]
    pub capacity: Capacity,
    /// What of it pods cannot have.
    #[serde(default)]
    pub reserved: Reserved,
    /// The zones, dealt round-robin: node i is in zone i modulo the number of zones.
    #[serde(default)]
    pub zones: Vec<String>,
    /// The region, if it matters.
    #[serde(default)]
    pub region: Option<String>,
    /// More labels for every node.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Taints of every node.
    #[serde(default)]
    pub taints: Vec<Taint>,
    /// Images that are on the machine from the start.
    #[serde(default)]
    pub image_cache: Vec<String>,
    /// How its kubelet is configured.
    #[serde(default)]
    pub kubelet: KubeletConfig,
    /// What one node costs an hour, in any one currency.
    #[serde(default)]
    pub price_per_hour: f64,
    /// How long after the start of the run the machine is up and registers.
    #[serde(default)]
    pub start_after: Option<Distribution<Duration>>,
    /// The Cluster Autoscaler adds nodes to this pool and takes them away, between these bounds.
    #[serde(default)]
    pub autoscale: Option<PoolBounds>,
}

/// One node with a name of its own.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodeEntry {
    /// The node's name.
    pub name: String,
    /// What the machine has.
    #[serde(default)]
    pub capacity: Capacity,
    /// What of it pods cannot have.
    #[serde(default)]
    pub reserved: Reserved,
    /// Its zone.
    #[serde(default)]
    pub zone: Option<String>,
    /// The region, if it matters.
    #[serde(default)]
    pub region: Option<String>,
    /// More labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Taints.
    #[serde(default)]
    pub taints: Vec<Taint>,
    /// Images that are on the machine from the start.
    #[serde(default)]
    pub image_cache: Vec<String>,
    /// How its kubelet is configured.
    #[serde(default)]
    pub kubelet: KubeletConfig,
    /// What it costs an hour.
    #[serde(default)]
    pub price_per_hour: f64,
    /// How long after the start of the run the machine is up and registers.
    #[serde(default)]
    pub start_after: Option<Distribution<Duration>>,
}

/// What a machine has.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Capacity {
    /// Processor cores.
    pub cpu: Quantity,
    /// Memory.
    pub memory: Quantity,
    /// Local disk for images, logs and scratch space.
    pub ephemeral_storage: Quantity,
    /// How many pods the kubelet accepts.
    pub pods: u32,
    /// Extended resources, such as `nvidia.com/gpu: 4`.
    pub extended: BTreeMap<String, Quantity>,
}

impl Default for Capacity {
    /// A middling machine: 4 cores, 16 GiB, 100 GiB of disk; 110 pods is the kubelet's default.
    fn default() -> Self {
        Capacity {
            cpu: Quantity(quantity::Quantity::units(4)),
            memory: Quantity(quantity::Quantity::bytes(16 << 30)),
            ephemeral_storage: Quantity(quantity::Quantity::bytes(100 << 30)),
            pods: 110,
            extended: BTreeMap::new(),
        }
    }
}

/// What of a machine pods cannot have: allocatable = capacity - system - kube - eviction threshold.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Reserved {
    /// For the operating system (`systemReserved` of the kubelet).
    pub system: Resources,
    /// For kubelet and container runtime (`kubeReserved` of the kubelet).
    pub kube: Resources,
    /// The kubelet evicts below this much free memory, unless its `kubelet.evictionHard` says otherwise.
    pub eviction_hard_memory: Quantity,
}

impl Default for Reserved {
    /// The kubelet's defaults: nothing reserved, eviction below 100 MiB.
    fn default() -> Self {
        Reserved {
            system: Resources::default(),
            kube: Resources::default(),
            eviction_hard_memory: Quantity(quantity::Quantity::bytes(100 << 20)),
        }
    }
}

/// An amount of each basic resource.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Resources {
    /// Processor cores.
    pub cpu: Quantity,
    /// Memory.
    pub memory: Quantity,
    /// Local disk.
    pub ephemeral_storage: Quantity,
}

/// A taint: pods stay away unless they tolerate it.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Taint {
    /// Its key.
    pub key: String,
    /// Its value.
    #[serde(default)]
    pub value: String,
    /// What it does to pods that do not tolerate it.
    pub effect: TaintEffect,
}

impl From<&Taint> for model::Taint {
    fn from(written: &Taint) -> Self {
        model::Taint {
            key: written.key.as_str().into(),
            value: written.value.as_str().into(),
            effect: written.effect,
            added: None,
        }
    }
}

/// One node after pools are dealt out.
#[derive(Clone, PartialEq, Debug)]
pub struct NodeSetup {
    /// The node's name.
    pub name: String,
    /// Its pool, if it came from one.
    pub pool: Option<String>,
    /// What the machine has.
    pub capacity: Capacity,
    /// What of it pods cannot have.
    pub reserved: Reserved,
    /// Its zone.
    pub zone: Option<String>,
    /// Its region.
    pub region: Option<String>,
    /// Labels beside those of the kubelet, zone and region.
    pub labels: BTreeMap<String, String>,
    /// Taints.
    pub taints: Vec<Taint>,
    /// Images that are there from the start.
    pub image_cache: Vec<String>,
    /// How its kubelet is configured.
    pub kubelet: KubeletConfig,
    /// What it costs an hour.
    pub price_per_hour: f64,
    /// When the machine comes up.
    pub start_after: Option<Distribution<Duration>>,
}

/// The thresholds of a kubelet; `reserved.evictionHardMemory` stands for one of memory that it does not name.
pub fn thresholds(kubelet: &KubeletConfig, reserved: &Reserved) -> Vec<Threshold> {
    let mut all = kubelet.setup().thresholds;
    if kubelet.eviction_hard.is_none() {
        let below = reserved.eviction_hard_memory.0.whole();
        all.retain_mut(|threshold| {
            let hard = threshold.signal == Signal::MemoryAvailable && threshold.grace == SimDuration::ZERO;
            if hard {
                threshold.below = Level::Amount(below);
            }
            !hard || below > 0
        });
    }
    all
}

impl NodeSetup {
    /// Below which amounts its kubelet evicts pods.
    pub fn thresholds(&self) -> Vec<Threshold> {
        thresholds(&self.kubelet, &self.reserved)
    }
}

impl Capacity {
    /// What pods can have of `resource`: `(cpu milli, memory bytes, disk bytes)`, never negative
    /// (`pkg/kubelet/cm/node_container_manager_linux.go`).
    pub fn allocatable(&self, reserved: &Reserved, thresholds: &[Threshold]) -> (i64, i64, i64) {
        // Only these two are taken off (`pkg/kubelet/eviction/helpers.go`, `hardEvictionReservation`).
        let eviction = |signal: Signal, capacity: i64| {
            let hard = thresholds.iter().find(|have| have.signal == signal && have.grace == SimDuration::ZERO);
            hard.map_or(0, |threshold| threshold.below.of(capacity))
        };
        let left = |have: i64, taken: [i64; 3]| (have - taken.iter().sum::<i64>()).max(0);
        let (system, kube) = (&reserved.system, &reserved.kube);
        (
            left(self.cpu.0.milli(), [system.cpu.0.milli(), kube.cpu.0.milli(), 0]),
            left(
                self.memory.0.whole(),
                [
                    system.memory.0.whole(),
                    kube.memory.0.whole(),
                    eviction(Signal::MemoryAvailable, self.memory.0.whole()),
                ],
            ),
            left(
                self.ephemeral_storage.0.whole(),
                [
                    system.ephemeral_storage.0.whole(),
                    kube.ephemeral_storage.0.whole(),
                    eviction(Signal::NodeFsAvailable, self.ephemeral_storage.0.whole()),
                ],
            ),
        )
    }
}

impl Cluster {
    /// The configuration of every kubelet, and where it stands in the scenario.
    pub fn kubelets(&self) -> impl Iterator<Item = (String, &KubeletConfig)> {
        let pools = self.pools.iter().enumerate();
        let nodes = self.nodes.iter().enumerate();
        let pools = pools.map(|(index, pool)| (format!("cluster.pools[{index}].kubelet"), &pool.kubelet));
        pools.chain(nodes.map(|(index, node)| (format!("cluster.nodes[{index}].kubelet"), &node.kubelet)))
    }

    /// The same, to be completed.
    pub(super) fn kubelets_mut(&mut self) -> impl Iterator<Item = (String, &mut KubeletConfig)> {
        let pools = self.pools.iter_mut().enumerate();
        let nodes = self.nodes.iter_mut().enumerate();
        let pools = pools.map(|(index, pool)| (format!("cluster.pools[{index}].kubelet"), &mut pool.kubelet));
        pools.chain(nodes.map(|(index, node)| (format!("cluster.nodes[{index}].kubelet"), &mut node.kubelet)))
    }

    /// How many worker nodes there are at the start.
    pub fn node_count(&self) -> u64 {
        self.pools.iter().map(|pool| u64::from(pool.count)).sum::<u64>() + self.nodes.len() as u64
    }

    /// Every node, pools first, in the order of the file.
    pub fn setups(&self) -> Vec<NodeSetup> {
        let pooled = self.pools.iter().flat_map(|pool| (0..pool.count).map(|index| pool.setup(index)));
        let single = self.nodes.iter().map(|node| NodeSetup {
            name: node.name.clone(),
            pool: None,
            capacity: node.capacity.clone(),
            reserved: node.reserved.clone(),
            zone: node.zone.clone(),
            region: node.region.clone(),
            labels: node.labels.clone(),
            taints: node.taints.clone(),
            image_cache: node.image_cache.clone(),
            kubelet: node.kubelet.clone(),
            price_per_hour: node.price_per_hour,
            start_after: node.start_after,
        });
        pooled.chain(single).collect()
    }

    /// Whether a node of this name exists at the start. The machines of the control plane are nodes, too.
    pub fn has_node(&self, name: &str) -> bool {
        let among = |pool: &str, count: u32| {
            let index = name.strip_prefix(pool).and_then(|rest| rest.strip_prefix('-'));
            index.is_some_and(|i| i.parse::<u32>().is_ok_and(|n| n < count && n.to_string() == i))
        };
        self.nodes.iter().any(|node| node.name == name)
            || self.pools.iter().any(|pool| among(&pool.name, pool.count))
            || among(CONTROL_PLANE, self.control_plane.replicas)
    }

    /// The names of all nodes at the start, the control plane's last.
    pub fn node_names(&self) -> Vec<String> {
        let masters = (0..self.control_plane.replicas).map(|index| format!("{CONTROL_PLANE}-{index}"));
        self.setups().into_iter().map(|node| node.name).chain(masters).collect()
    }

    /// All zones, sorted, each once.
    pub fn zones(&self) -> Vec<&str> {
        let pooled = self.pools.iter().flat_map(|pool| pool.zones.iter());
        let single = self.nodes.iter().filter_map(|node| node.zone.as_ref());
        let mut zones: Vec<&str> = pooled.chain(single).map(String::as_str).collect();
        zones.sort_unstable();
        zones.dedup();
        zones
    }
}

impl Pool {
    /// Its node of this index.
    pub fn setup(&self, index: u32) -> NodeSetup {
        let zone = index.checked_rem(self.zones.len() as u32).map(|i| self.zones[i as usize].clone());
        NodeSetup {
            name: format!("{}-{index}", self.name),
            pool: Some(self.name.clone()),
            capacity: self.capacity.clone(),
            reserved: self.reserved.clone(),
            zone,
            region: self.region.clone(),
            labels: self.labels.clone(),
            taints: self.taints.clone(),
            image_cache: self.image_cache.clone(),
            kubelet: self.kubelet.clone(),
            price_per_hour: self.price_per_hour,
            start_after: self.start_after,
        }
    }
}
