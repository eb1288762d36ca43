//! The plugins, one file each. A new one is a file here and a line in a profile.

pub mod balanced_allocation;
pub mod best_fit;
pub mod dot_prod;
pub mod fgd;
pub mod gpu_clustering;
pub mod gpu_packing;
pub mod image_locality;
pub mod inter_pod_affinity;
pub mod node_affinity;
pub mod node_name;
pub mod node_ports;
pub mod node_unschedulable;
pub mod resource_allocation;
pub mod resources_fit;
pub mod small;
pub mod taint_toleration;
pub mod topology_spread;

use super::plugin::Plugin;
use super::preemption::DefaultPreemption;
use std::sync::Arc;

/// The default plugins in upstream's order, with their score weights
/// (`pkg/scheduler/apis/config/v1/default_plugins.go`).
pub fn defaults() -> Vec<(Arc<dyn Plugin>, i64)> {
    vec![
        (Arc::new(small::SchedulingGates), 0),
        (Arc::new(small::PrioritySort), 0),
        (Arc::new(node_unschedulable::NodeUnschedulable), 0),
        (Arc::new(node_name::NodeName), 0),
        (Arc::new(taint_toleration::TaintToleration), 3),
        (Arc::new(node_affinity::NodeAffinity::default()), 2),
        (Arc::new(node_ports::NodePorts), 0),
        (Arc::new(resources_fit::ResourcesFit::default()), 1),
        (Arc::new(topology_spread::TopologySpread::default()), 2),
        (Arc::new(inter_pod_affinity::InterPodAffinity::default()), 2),
        (Arc::new(small::DynamicResources), 0),
        (Arc::new(DefaultPreemption), 0),
        (Arc::new(balanced_allocation::BalancedAllocation::default()), 1),
        (Arc::new(image_locality::ImageLocality), 1),
        (Arc::new(small::DefaultBinder), 0),
    ]
}
