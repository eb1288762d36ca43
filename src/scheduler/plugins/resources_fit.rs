//! NodeResourcesFit: enough of everything is left on the node; and how full it may become
//! (`pkg/scheduler/framework/plugins/noderesources/fit.go`).

use super::resource_allocation::{Counted, ResourceWeight, Usage};
use crate::model::{Name, Node, Pod, Resources};
use crate::name;
use crate::scheduler::hint::{Hint, Occasion};
use crate::scheduler::plugin::{Candidates, Code, Cycle, NodeId, Plugin, Point, PreFilter, Reasons, State};
use crate::scheduler::pod_info::{Amounts, PodInfo};
use crate::scheduler::snapshot::{ResourceId, Row, Snapshot};

/// How nodes are compared.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Strategy {
    /// The emptier the better.
    LeastAllocated,
    /// The fuller the better.
    MostAllocated,
    /// By a broken line over utilization: points (utilization 0–100, score 0–10), utilization rising.
    RequestedToCapacityRatio(Vec<(i64, i64)>),
}

/// The plugin with its arguments.
#[derive(Clone, Debug)]
pub struct ResourcesFit {
    /// How nodes are compared.
    pub strategy: Strategy,
    /// By which resources.
    pub resources: Vec<ResourceWeight>,
    /// Extended resources that the filter ignores.
    pub ignored_resources: Vec<Name>,
    /// Groups (`example.com`) of extended resources that the filter ignores.
    pub ignored_groups: Vec<Name>,
}

impl Default for ResourcesFit {
    fn default() -> Self {
        ResourcesFit {
            strategy: Strategy::LeastAllocated,
            resources: ResourceWeight::cpu_and_memory(),
            ignored_resources: Vec::new(),
            ignored_groups: Vec::new(),
        }
    }
}

impl ResourcesFit {
    fn ignores(&self, resource: &Name) -> bool {
        let group = resource.split_once('/').map(|(group, _)| group);
        is_extended(resource)
            && (self.ignored_resources.contains(resource)
                || self.ignored_groups.iter().any(|g| Some(g.as_str()) == group))
    }

    fn one_score(&self, requested: i64, capacity: i64) -> i64 {
        match &self.strategy {
            Strategy::LeastAllocated if requested > capacity => 0,
            Strategy::LeastAllocated => (capacity - requested) * 100 / capacity,
            Strategy::MostAllocated => requested.min(capacity) * 100 / capacity,
            Strategy::RequestedToCapacityRatio(shape) => {
                broken_line(shape, if requested > capacity { 100 } else { requested * 100 / capacity })
            }
        }
    }

    /// The weighted mean over the resources that the node has (capacity not 0).
    fn node_score(&self, usage: impl Iterator<Item = (Usage, i64)>) -> i64 {
        let ratio = matches!(self.strategy, Strategy::RequestedToCapacityRatio(_));
        let (mut sum, mut weights) = (0, 0);
        for (usage, weight) in usage {
            let score = self.one_score(usage.requested, usage.capacity);
            if !ratio || score > 0 {
                sum += score * weight;
                weights += weight;
            }
        }
        match (weights, ratio) {
            (0, _) => 0,
            (_, false) => sum / weights,
            (_, true) => (sum as f64 / weights as f64).round() as i64,
        }
    }
}

/// Whether a resource's name is outside Kubernetes' own (`pkg/apis/core/v1/helper/helpers.go`).
fn is_extended(resource: &str) -> bool {
    resource.contains('/') && !resource.contains("kubernetes.io/") && !resource.starts_with("requests.")
}

/// Interpolates in integers, truncating towards zero; scores 0–10 become 0–100.
fn broken_line(shape: &[(i64, i64)], utilization: i64) -> i64 {
    let Some(at) = shape.iter().position(|point| utilization <= point.0) else {
        return shape.last().map_or(0, |point| point.1 * 10);
    };
    let (x1, y1) = (shape[at].0, shape[at].1 * 10);
    if at == 0 {
        return y1;
    }
    let (x0, y0) = (shape[at - 1].0, shape[at - 1].1 * 10);
    y0 + (y1 - y0) * (utilization - x0) / (x1 - x0)
}

/// What is missing on a node: resource, and whether even the empty node has too little.
fn shortages(
    request: &Amounts,
    row: &Row,
    scalar: impl Fn(ResourceId) -> (i64, i64),
    ignored: &[ResourceId],
    mut found: impl FnMut(Shortage, bool),
) {
    if row.pod_count + 1 > row.pods {
        found(Shortage::Pods, false);
    }
    if request.is_zero() {
        return;
    }
    let mut check = |what, wanted: i64, total: i64, used: i64| {
        if wanted > 0 && wanted > total - used {
            found(what, wanted > total);
        }
    };
    check(Shortage::Cpu, request.milli_cpu, row.milli_cpu, row.used_milli_cpu);
    check(Shortage::Memory, request.memory, row.memory, row.used_memory);
    check(Shortage::Storage, request.ephemeral_storage, row.ephemeral_storage, row.used_ephemeral_storage);
    for (resource, wanted) in &request.scalar {
        if !ignored.contains(resource) {
            let (total, used) = scalar(*resource);
            check(Shortage::Scalar(*resource), *wanted, total, used);
        }
    }
}

#[derive(Clone, Copy)]
enum Shortage {
    Pods,
    Cpu,
    Memory,
    Storage,
    Scalar(ResourceId),
}

impl Shortage {
    fn reason(self, snapshot: &Snapshot) -> Name {
        match self {
            Shortage::Pods => name!("Too many pods"),
            Shortage::Cpu => name!("Insufficient cpu"),
            Shortage::Memory => name!("Insufficient memory"),
            Shortage::Storage => name!("Insufficient ephemeral-storage"),
            Shortage::Scalar(id) => Name::from(format!("Insufficient {}", snapshot.resource_name(id))),
        }
    }
}

/// Scalars of a node as the snapshot has them: allocatable and requested.
pub(super) fn scalar_of(snapshot: &Snapshot, node: NodeId, resource: ResourceId) -> (i64, i64) {
    snapshot.scalars[node.at()].iter().find(|s| s.0 == resource).map_or((0, 0), |s| (s.1, s.2))
}

impl Plugin for ResourcesFit {
    fn name(&self) -> &'static str {
        "NodeResourcesFit"
    }

    fn points(&self) -> &'static [Point] {
        &[Point::PreFilter, Point::Filter, Point::PreScore, Point::Score]
    }

    fn local(&self) -> bool {
        true
    }

    fn scores_are_final(&self) -> bool {
        true
    }

    fn ignores(&self, occasion: &Occasion<'_>) -> bool {
        matches!(
            occasion,
            Occasion::PodAdd(_) | Occasion::NodeDelete(_) | Occasion::Storage { .. } | Occasion::Other(_)
        )
    }

    fn pre_filter(&self, _: Cycle<'_>) -> PreFilter {
        PreFilter::Run(None)
    }

    fn filter(&self, cycle: Cycle<'_>, _: &State, nodes: &mut Candidates<'_>) {
        let snapshot = cycle.snapshot;
        let request = &cycle.pod.spec.requests;
        let names = request.scalar.iter().map(|(id, _)| *id);
        let ignored: Vec<ResourceId> = names.filter(|id| self.ignores(snapshot.resource_name(*id))).collect();
        nodes.retain_or(|node| {
            let mut rejection: Option<(Code, Reasons)> = None;
            let scalar = |id| scalar_of(snapshot, node, id);
            shortages(request, &snapshot.rows[node.at()], scalar, &ignored, |what, hopeless| {
                let (code, reasons) = rejection.get_or_insert((Code::Unschedulable, Reasons::new()));
                reasons.push(what.reason(snapshot));
                if hopeless {
                    *code = Code::Unresolvable;
                }
            });
            rejection
        });
    }

    fn score(&self, cycle: Cycle<'_>, _: &State, nodes: &[NodeId], out: &mut [i64]) {
        let counted = Counted::of(&self.resources, &cycle.pod.spec.fit_score, cycle.snapshot);
        for (node, score) in nodes.iter().zip(out) {
            *score = self.node_score(counted.usage(cycle.snapshot, *node, true));
        }
    }

    fn helps(&self, pod: &PodInfo, occasion: &Occasion<'_>) -> Hint {
        let wanted = pod.pod.requests();
        match occasion {
            Occasion::PodDelete(gone) => Hint::from(gone.node.is_some() || gone.status.nominated_node.is_some()),
            Occasion::PodUpdate { old, new, what } if what.scale_down => {
                Hint::from(new.meta.uid == pod.pod.meta.uid || frees(wanted, old, new))
            }
            Occasion::NodeAdd(node) => Hint::from(fits_empty(wanted, node)),
            Occasion::NodeUpdate { old, new, what } if what.allocatable => {
                Hint::from(fits_empty(wanted, new) && grows(wanted, &old.allocatable, &new.allocatable))
            }
            _ => Hint::Skip,
        }
    }
}

/// The resources that `wanted` asks for.
fn asked(wanted: &Resources) -> impl Iterator<Item = (&str, i64)> {
    let own = [("cpu", wanted.milli_cpu), ("memory", wanted.memory), ("ephemeral-storage", wanted.ephemeral_storage)];
    own.into_iter().chain(wanted.scalar.iter().map(|(name, n)| (name.as_str(), *n))).filter(|(_, n)| *n > 0)
}

fn frees(wanted: &Resources, old: &Pod, new: &Pod) -> bool {
    new.node.is_some() && asked(wanted).any(|(name, _)| new.requests().get(name) < old.requests().get(name))
}

fn fits_empty(wanted: &Resources, node: &Node) -> bool {
    node.allocatable.pods >= 1 && asked(wanted).all(|(name, amount)| amount <= node.allocatable.get(name))
}

fn grows(wanted: &Resources, old: &Resources, new: &Resources) -> bool {
    new.pods > old.pods || asked(wanted).any(|(name, _)| new.get(name) > old.get(name))
}
