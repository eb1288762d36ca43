//! A provisioner in the manner of Karpenter: a catalogue of machines with prices, and pools that draw on it.

use schemars::JsonSchema;
use serde::Deserialize;

use super::units::{Distribution, Duration, Quantity};
use crate::error::Problem;
use crate::wire::places::Places;

/// A provisioner. It works as soon as it has a pool.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Karpenter {
    /// The machines that the provider sells.
    pub instance_types: Vec<InstanceType>,
    /// What is made of them, and how it is kept small.
    pub node_pools: Vec<NodePool>,
    /// How long the provider lets a spot machine live; two minutes before the end it says so. Absent: for ever.
    pub spot_lifetime: Option<Distribution<Duration>>,
}

/// A kind of machine.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InstanceType {
    /// Its name.
    pub name: String,
    /// Processor cores.
    pub cpu: Quantity,
    /// Memory.
    pub memory: Quantity,
    /// What it costs an hour.
    pub price_per_hour: f64,
    /// What it costs as a spot machine, if there are any.
    #[serde(default)]
    pub spot_price_per_hour: Option<f64>,
    /// Its zone, if that matters.
    #[serde(default)]
    pub zone: Option<String>,
}

/// A pool of nodes.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodePool {
    /// Its name; nodes are called `<name>-<number>`.
    pub name: String,
    /// Pools of higher weight are tried first.
    #[serde(default)]
    pub weight: i32,
    /// The types it may use, by name; absent for all.
    #[serde(default)]
    pub instance_types: Option<Vec<String>>,
    /// Whether it may use spot machines.
    #[serde(default)]
    pub spot: bool,
    /// Cores in all, at most.
    #[serde(default)]
    pub cpu_limit: Option<Quantity>,
    /// How long no pod may have come or gone before a node may be consolidated.
    #[serde(default)]
    pub consolidate_after: Duration,
    /// Which nodes may be consolidated.
    #[serde(default)]
    pub consolidation_policy: ConsolidationPolicy,
    /// How much of the pool may be disrupted at a time, in percent, rounded up.
    #[serde(default = "ten")]
    pub budget_percent: u32,
}

/// Which nodes may be consolidated.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
pub enum ConsolidationPolicy {
    /// Those whose pods fit elsewhere, too.
    #[default]
    WhenEmptyOrUnderutilized,
    /// Those without pods.
    WhenEmpty,
}

fn ten() -> u32 {
    10
}

/// What is wrong with it.
pub fn problems(karpenter: &Karpenter, pools: &[super::cluster::Pool], places: &Places) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut add = |path: String, message: String, help: &str| problems.push(places.problem(&path, message, help));
    let types: Vec<&str> = karpenter.instance_types.iter().map(|one| one.name.as_str()).collect();
    for (index, one) in karpenter.instance_types.iter().enumerate() {
        let path = format!("cluster.karpenter.instanceTypes[{index}]");
        if one.cpu.0.nano <= 0 || one.memory.0.nano <= 0 {
            add(format!("{path}.cpu"), "a machine of nothing".into(), "write amounts such as cpu: 4 and memory: 16Gi");
        }
        let prices = [("pricePerHour", Some(one.price_per_hour)), ("spotPricePerHour", one.spot_price_per_hour)];
        for (field, price) in prices {
            if let Some((message, help)) = price.and_then(super::cluster::price_fault) {
                add(format!("{path}.{field}"), message, help);
            }
        }
    }
    for (index, pool) in karpenter.node_pools.iter().enumerate() {
        let path = format!("cluster.karpenter.nodePools[{index}]");
        if types.is_empty() {
            add(path.clone(), "a pool without instance types".into(), "add them under cluster.karpenter.instanceTypes");
        }
        if pools.iter().any(|other| other.name == pool.name) {
            add(format!("{path}.name"), format!("a pool of machines is called {:?}, too", pool.name), "rename one");
        }
        for (at, wanted) in pool.instance_types.iter().flatten().enumerate() {
            if !types.contains(&wanted.as_str()) {
                let near = crate::error::did_you_mean(wanted, types.iter().copied());
                let known = format!("there are {}", types.join(", "));
                let help = near.map_or(known, |near| format!("did you mean `{near}`?"));
                add(format!("{path}.instanceTypes[{at}]"), format!("unknown instance type {wanted:?}"), &help);
            }
        }
    }
    problems
}
