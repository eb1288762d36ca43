//! What a node would have requested of each scored resource with the pod on it
//! (`pkg/scheduler/framework/plugins/noderesources/resource_allocation.go`).

use super::resources_fit::scalar_of;
use crate::model::Name;
use crate::name;
use crate::scheduler::plugin::NodeId;
use crate::scheduler::pod_info::Amounts;
use crate::scheduler::snapshot::{ResourceId, Snapshot};
use smallvec::SmallVec;

/// A resource that counts, and how much.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResourceWeight {
    /// The resource.
    pub name: Name,
    /// Its weight.
    pub weight: i64,
}

impl ResourceWeight {
    /// The default: both alike.
    pub fn cpu_and_memory() -> Vec<ResourceWeight> {
        [name!("cpu"), name!("memory")].into_iter().map(|name| ResourceWeight { name, weight: 1 }).collect()
    }
}

/// Requested (pod included) and allocatable of one resource on one node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Usage {
    /// Requested with the pod.
    pub requested: i64,
    /// Allocatable, not 0.
    pub capacity: i64,
    /// What of it the pod requests.
    pub by_pod: i64,
}

#[derive(Clone, Copy)]
enum Which {
    Cpu,
    Memory,
    Storage,
    Scalar(ResourceId),
}

/// The resources of a strategy with the pod's requests, ready for many nodes.
pub struct Counted {
    items: SmallVec<[(Which, i64, i64); 4]>,
}

impl Counted {
    /// An extended resource that the pod does not request is left out, as is one that nobody offers.
    pub fn of(resources: &[ResourceWeight], request: &Amounts, snapshot: &Snapshot) -> Self {
        let item = |resource: &ResourceWeight| {
            let (which, amount) = match resource.name.as_str() {
                "cpu" => (Which::Cpu, request.milli_cpu),
                "memory" => (Which::Memory, request.memory),
                "ephemeral-storage" => (Which::Storage, request.ephemeral_storage),
                other => {
                    let id = snapshot.resource_id(other)?;
                    let amount = request.scalar.iter().find(|(known, _)| *known == id)?.1;
                    (Which::Scalar(id), if amount > 0 { amount } else { return None })
                }
            };
            Some((which, amount, resource.weight))
        };
        Counted { items: resources.iter().filter_map(item).collect() }
    }

    /// Whether the pod requests none of them.
    pub fn nothing_requested(&self) -> bool {
        self.items.iter().all(|(_, amount, _)| *amount == 0)
    }

    /// Usage and weight of each resource that the node has; cpu and memory with defaults if `nonzero`.
    pub fn usage(&self, snapshot: &Snapshot, node: NodeId, nonzero: bool) -> impl Iterator<Item = (Usage, i64)> {
        let row = &snapshot.rows[node.at()];
        self.items.iter().filter_map(move |(which, by_pod, weight)| {
            let (capacity, used) = match which {
                Which::Cpu if nonzero => (row.milli_cpu, row.nonzero_milli_cpu),
                Which::Cpu => (row.milli_cpu, row.used_milli_cpu),
                Which::Memory if nonzero => (row.memory, row.nonzero_memory),
                Which::Memory => (row.memory, row.used_memory),
                Which::Storage => (row.ephemeral_storage, row.used_ephemeral_storage),
                Which::Scalar(id) => scalar_of(snapshot, node, *id),
            };
            (capacity != 0).then_some((Usage { requested: used + by_pod, capacity, by_pod: *by_pod }, *weight))
        })
    }
}
