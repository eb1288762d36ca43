//! The Cluster Autoscaler: which pools it scales, and how it decides.

use schemars::JsonSchema;
use serde::Deserialize;

use super::units::{Distribution, Duration, Factor};
use crate::error::Problem;
use crate::wire::places::Places;

/// The bounds of a pool that the Cluster Autoscaler scales.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PoolBounds {
    /// Nodes at least.
    pub min: u32,
    /// Nodes at most.
    pub max: u32,
}

/// How the Cluster Autoscaler decides (`cluster-autoscaler/config/flags/flags.go`). It works as soon as a pool has
/// `autoscale`.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Autoscaler {
    /// From one look to the next (`--scan-interval`).
    pub scan_interval: Duration,
    /// How it chooses among pools that would help; each narrows what the one before left, chance decides what is left.
    pub expander: Vec<Expander>,
    /// For the expander `priority`: the pools it prefers.
    pub priorities: Vec<Priority>,
    /// Nodes in all, at most (`--max-nodes-total`); absent for no limit.
    pub max_nodes_total: Option<u32>,
    /// How long a node may take to register (`--max-node-provision-time`).
    pub max_node_provision_time: Duration,
    /// Pods younger than this are not helped yet (`--new-pod-scale-up-delay`).
    pub new_pod_scale_up_delay: Duration,
    /// Pods of lower priority are neither helped nor heeded (`--expendable-pods-priority-cutoff`).
    pub expendable_pods_priority_cutoff: i32,
    /// Whether new nodes go evenly to pools of equal machines (`--balance-similar-node-groups`).
    pub balance_similar_node_groups: bool,
    /// Whether nodes are taken away at all (`--scale-down-enabled`).
    pub scale_down_enabled: bool,
    /// How long a node must be unneeded (`--scale-down-unneeded-time`).
    pub scale_down_unneeded_time: Duration,
    /// The same for a node that is not ready (`--scale-down-unready-time`).
    pub scale_down_unready_time: Duration,
    /// Nodes with more of their cpu or memory requested are needed (`--scale-down-utilization-threshold`).
    pub scale_down_utilization_threshold: Factor,
    /// How long nothing is taken away after nodes were added (`--scale-down-delay-after-add`).
    pub scale_down_delay_after_add: Duration,
    /// After a node was taken away (`--scale-down-delay-after-delete`).
    pub scale_down_delay_after_delete: Duration,
    /// After that failed (`--scale-down-delay-after-failure`).
    pub scale_down_delay_after_failure: Duration,
    /// Nodes taken away at a time (`--max-scale-down-parallelism`).
    pub max_scale_down_parallelism: u32,
    /// Nodes with pods taken away at a time (`--max-drain-parallelism`).
    pub max_drain_parallelism: u32,
    /// A pod gets no longer grace than this (`--max-graceful-termination-sec`).
    pub max_graceful_termination: Duration,
    /// How long evictions are tried (`--max-pod-eviction-time`).
    pub max_pod_eviction_time: Duration,
    /// From the taint to the first eviction (`--node-delete-delay-after-taint`).
    pub node_delete_delay_after_taint: Duration,
    /// How long a node that could not be taken away is not looked at again (`--unremovable-node-recheck-timeout`).
    pub unremovable_node_recheck_timeout: Duration,
    /// Whether pods of kube-system without a budget keep their node (`--skip-nodes-with-system-pods`).
    pub skip_nodes_with_system_pods: bool,
    /// Whether pods with data on their node keep it (`--skip-nodes-with-local-storage`).
    pub skip_nodes_with_local_storage: bool,
    /// Whether what DaemonSets request does not count as use (`--ignore-daemonsets-utilization`).
    pub ignore_daemonsets_utilization: bool,
    /// How long a pool that could not grow is left alone at first (`--initial-node-group-backoff-duration`).
    pub initial_node_group_backoff: Duration,
    /// And at most (`--max-node-group-backoff-duration`).
    pub max_node_group_backoff: Duration,
    /// After this long without failure it begins anew (`--node-group-backoff-reset-timeout`).
    pub node_group_backoff_reset: Duration,
}

/// A way to choose a pool.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Expander {
    /// By chance.
    Random,
    /// The one that takes most pods.
    MostPods,
    /// The one that needs fewest nodes.
    LeastNodes,
    /// The one that leaves least of its cpu and memory unused.
    LeastWaste,
    /// The cheapest for what it takes.
    Price,
    /// The one of highest priority.
    Priority,
}

/// Pools and how much they are preferred.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Priority {
    /// The higher the better.
    pub priority: i32,
    /// The pools; `*` stands for any text.
    pub pools: Vec<String>,
}

impl Default for Autoscaler {
    /// The flags of release 1.36.
    fn default() -> Self {
        let minutes = |n: i64| Duration::secs(60 * n);
        Autoscaler {
            scan_interval: Duration::secs(10),
            expander: vec![Expander::LeastWaste],
            priorities: Vec::new(),
            max_nodes_total: None,
            max_node_provision_time: minutes(15),
            new_pod_scale_up_delay: Duration::secs(0),
            expendable_pods_priority_cutoff: -10,
            balance_similar_node_groups: false,
            scale_down_enabled: true,
            scale_down_unneeded_time: minutes(10),
            scale_down_unready_time: minutes(20),
            scale_down_utilization_threshold: Factor(0.5),
            scale_down_delay_after_add: minutes(10),
            scale_down_delay_after_delete: Duration::secs(0),
            scale_down_delay_after_failure: minutes(3),
            max_scale_down_parallelism: 10,
            max_drain_parallelism: 1,
            max_graceful_termination: Duration::secs(600),
            max_pod_eviction_time: minutes(2),
            node_delete_delay_after_taint: Duration::secs(5),
            unremovable_node_recheck_timeout: minutes(5),
            skip_nodes_with_system_pods: true,
            skip_nodes_with_local_storage: true,
            ignore_daemonsets_utilization: false,
            initial_node_group_backoff: minutes(5),
            max_node_group_backoff: minutes(30),
            node_group_backoff_reset: minutes(180),
        }
    }
}

/// The provider's machines: how fast they come and go, and when there are none.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Machines {
    /// From the request until the machine is being started. Default: between 5s and 15s.
    pub create_time: Option<Distribution<Duration>>,
    /// From then until its kubelet works and registers. Default: log-normal with median 45s, 99 % within 2m.
    pub boot_time: Option<Distribution<Duration>>,
    /// From the request until the machine is gone. Default: between 20s and 60s.
    pub delete_time: Option<Distribution<Duration>>,
    /// How likely a new machine never boots, so that it is given up after `maxNodeProvisionTime`.
    pub never_boots: Option<Factor>,
    /// When there are no more machines to be had.
    pub stock_outs: Vec<StockOut>,
}

/// A time without machines.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StockOut {
    /// Of which pool; absent for all.
    #[serde(default)]
    pub pool: Option<String>,
    /// From when.
    pub from: Duration,
    /// Until when; absent for the rest of the run.
    #[serde(default)]
    pub until: Option<Duration>,
}

/// What is wrong with the settings, bounds and machines of a cluster.
pub fn problems(cluster: &super::Cluster, places: &Places) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut add = |path: String, message: String, help: &str| problems.push(places.problem(&path, message, help));
    let pools: Vec<&str> = cluster.pools.iter().map(|pool| pool.name.as_str()).collect();
    for (index, pool) in cluster.pools.iter().enumerate() {
        let Some(bounds) = pool.autoscale else { continue };
        let path = format!("cluster.pools[{index}].autoscale");
        if bounds.min > bounds.max {
            add(path, format!("min {} is above max {}", bounds.min, bounds.max), "write {min: 1, max: 10}");
        } else if pool.count < bounds.min || pool.count > bounds.max {
            let message = format!("the pool begins with {} nodes, outside of its bounds", pool.count);
            add(path, message, "let `count` lie between min and max");
        }
    }
    let settings = &cluster.autoscaler;
    if settings.scan_interval.0.0 <= 0 {
        add("cluster.autoscaler.scanInterval".into(), "the interval must be positive".into(), "write 10s");
    }
    if !(0.0..=1.0).contains(&settings.scale_down_utilization_threshold.0) {
        let path = "cluster.autoscaler.scaleDownUtilizationThreshold".to_string();
        add(path, "a share is between 0 and 1".into(), "write a share such as 0.5");
    }
    if settings.expander.contains(&Expander::Priority) && settings.priorities.is_empty() {
        let help = "add priorities: [{priority: 10, pools: [spot-*]}]";
        add("cluster.autoscaler.expander".into(), "the expander `priority` without priorities".into(), help);
    }
    for (index, out) in cluster.cloud.machines.stock_outs.iter().enumerate() {
        let path = format!("cluster.cloud.machines.stockOuts[{index}]");
        if out.until.is_some_and(|until| until <= out.from) {
            add(format!("{path}.until"), "the time ends before it begins".into(), "write the later time");
        }
        if let Some(pool) = out.pool.as_deref().filter(|pool| !pools.contains(pool)) {
            let near = crate::error::did_you_mean(pool, pools.iter().copied());
            let help = near.map_or(format!("there are {}", pools.join(", ")), |near| format!("did you mean `{near}`?"));
            add(format!("{path}.pool"), format!("unknown pool {pool:?}"), &help);
        }
    }
    problems
}
