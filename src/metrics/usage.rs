//! How well the machines were used, time-weighted: each figure is an integral over the run divided by another.
//!
//! * **requested** Σ∫requests ÷ Σ∫allocatable; **used** Σ∫use ÷ Σ∫allocatable.
//! * **packing** the same as requested, but only over the time in which a node held a pod at all.
//! * **imbalance** the coefficient of variation of the nodes' requested shares, averaged over time.
//! * **stranded** the share of free capacity that no pod can have because another resource of its node
//!   is exhausted: too little of it is left for the smallest request that was seen.
//!
//! "All" means worker nodes: the control plane takes no pods of users.

use super::record::{Cost, NodeRecord, Record};
use super::series::{share, together};
use crate::model::Name;
use crate::time::SimTime;

/// One line of the table: a node, a pool, or all workers. Pairs are of cpu and memory.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct UsageRow {
    /// Node or pool; empty for all workers.
    pub name: Name,
    /// Nodes in it.
    pub nodes: usize,
    /// Mean number of pods.
    pub pods_mean: f64,
    /// Most pods at a time, summed over its nodes.
    pub pods_max: i64,
    /// Requested share.
    pub requested: [f64; 2],
    /// Used share.
    pub used: [f64; 2],
    /// Requested share of nodes while they hold pods.
    pub packing: [f64; 2],
    /// Share of free capacity that is stranded.
    pub stranded: [f64; 2],
    /// Share of the run its machines were up.
    pub up: f64,
    /// Price in millionths of the currency unit.
    pub cost_micros: i128,
}

/// Utilization of everything.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Usage {
    /// One row a node, in order of registration.
    pub nodes: Vec<UsageRow>,
    /// One row a pool, in order of its first node.
    pub pools: Vec<UsageRow>,
    /// All workers.
    pub all: UsageRow,
    /// Coefficient of variation of the requested shares over workers, time-weighted.
    pub imbalance: [f64; 2],
}

/// Integrals of one node, or sums of them. Pairs are of cpu and memory.
#[derive(Clone, Debug, Default)]
struct Sums {
    allocatable: [i128; 2],
    requested: [i128; 2],
    used: [i128; 2],
    held: [i128; 2],
    held_requested: [i128; 2],
    free: [i128; 2],
    stranded: [i128; 2],
    pods: i128,
    pods_max: i64,
    up: i128,
    cost: Cost,
    nodes: usize,
}

impl Usage {
    /// Of the whole run.
    pub fn of(record: &Record) -> Usage {
        let smallest = smallest_request(record);
        let mut usage = Usage::default();
        let mut pools: Vec<(Name, Sums)> = Vec::new();
        let mut all = Sums::default();
        for node in &record.nodes {
            let sums = Sums::of(node, smallest, record.end);
            usage.nodes.push(sums.row(node.name.clone(), record.end));
            if !node.control_plane {
                all.add(&sums);
            }
            match pools.iter_mut().find(|(name, _)| *name == node.pool) {
                Some((_, pool)) => pool.add(&sums),
                None => pools.push((node.pool.clone(), sums)),
            }
        }
        usage.pools = pools.into_iter().map(|(name, sums)| sums.row(name, record.end)).collect();
        usage.all = all.row(Name::new(), record.end);
        usage.imbalance = [0, 1].map(|at| record.imbalance[at].mean(SimTime::ZERO, record.end) / 1e6);
        usage
    }
}

/// The smallest request of each resource that any pod made; at least one unit.
fn smallest_request(record: &Record) -> [i64; 2] {
    let least = |of: fn(&super::PodRecord) -> i64| record.pods.iter().map(of).filter(|n| *n > 0).min().unwrap_or(1);
    [least(|pod| pod.milli_cpu), least(|pod| pod.memory)]
}

impl Sums {
    fn of(node: &NodeRecord, smallest: [i64; 2], end: SimTime) -> Sums {
        let mut sums = Sums { nodes: 1, ..Sums::default() };
        for (_, length, [cpu, memory, slots, requested_cpu, requested_memory, pods]) in
            together(node.load(), SimTime::ZERO, end)
        {
            let weigh = |value: i64| i128::from(value) * i128::from(length.0);
            let (size, requested) = ([cpu, memory], [requested_cpu, requested_memory]);
            let free = [0, 1].map(|at: usize| (size[at] - requested[at]).max(0));
            for at in 0..2 {
                sums.allocatable[at] += weigh(size[at]);
                sums.requested[at] += weigh(requested[at].min(size[at]));
                if pods > 0 {
                    sums.held[at] += weigh(size[at]);
                    sums.held_requested[at] += weigh(requested[at].min(size[at]));
                }
                sums.free[at] += weigh(free[at]);
                if free[1 - at] < smallest[1 - at] || pods >= slots {
                    sums.stranded[at] += weigh(free[at]);
                }
            }
        }
        let whole = |series: &super::Series| series.integral(SimTime::ZERO, end);
        sums.used = [whole(&node.used_cpu), whole(&node.used_memory)];
        sums.pods = whole(&node.pods);
        sums.pods_max = node.pods.max(SimTime::ZERO, end);
        sums.up = whole(&node.up);
        sums.cost = node.cost(end);
        sums
    }

    fn add(&mut self, other: &Sums) {
        let pairs = [
            (&mut self.allocatable, &other.allocatable),
            (&mut self.requested, &other.requested),
            (&mut self.used, &other.used),
            (&mut self.held, &other.held),
            (&mut self.held_requested, &other.held_requested),
            (&mut self.free, &other.free),
            (&mut self.stranded, &other.stranded),
        ];
        for (mine, theirs) in pairs {
            mine[0] += theirs[0];
            mine[1] += theirs[1];
        }
        self.pods += other.pods;
        self.pods_max += other.pods_max;
        self.up += other.up;
        self.cost += other.cost;
        self.nodes += other.nodes;
    }

    fn row(&self, name: Name, end: SimTime) -> UsageRow {
        let of = |part: [i128; 2], whole: [i128; 2]| [0, 1].map(|at: usize| share(part[at], whole[at]));
        let time = i128::from(end.0);
        UsageRow {
            name,
            nodes: self.nodes,
            pods_mean: share(self.pods, time),
            pods_max: self.pods_max,
            requested: of(self.requested, self.allocatable),
            used: of(self.used, self.allocatable),
            packing: of(self.held_requested, self.held),
            stranded: of(self.stranded, self.free),
            up: share(self.up, time * self.nodes as i128),
            cost_micros: self.cost.micros(),
        }
    }
}
