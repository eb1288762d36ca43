//! The plugins, one file each. A new one is a file here and a line in a profile.

pub mod balanced_allocation;
pub mod best_fit;
pub mod coscheduling;
pub mod dot_prod;
pub mod fgd;
pub mod first_fit;
pub mod gpu_clustering;
pub mod gpu_packing;
pub mod gpu_share;
pub mod image_locality;
pub mod inter_pod_affinity;
pub mod load_aware;
pub mod node_affinity;
pub mod node_name;
pub mod node_ports;
pub mod node_unschedulable;
pub mod random;
pub mod resource_allocation;
pub mod resources_fit;
pub mod round_robin;
pub mod small;
pub mod taint_toleration;
pub mod topology_spread;
pub mod volume_binding;
pub mod volume_limits;
pub mod volume_restrictions;
pub mod volume_zone;
pub mod worst_fit;

use super::plugin::Plugin;
use super::preemption::DefaultPreemption;
use crate::rng::Seed;
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
        (Arc::new(volume_restrictions::VolumeRestrictions), 0),
        (Arc::new(volume_limits::VolumeLimits), 0),
        (Arc::new(volume_binding::VolumeBinding), 1),
        (Arc::new(volume_zone::VolumeZone), 0),
        (Arc::new(topology_spread::TopologySpread::default()), 2),
        (Arc::new(inter_pod_affinity::InterPodAffinity::default()), 2),
        (Arc::new(small::DynamicResources), 0),
        (Arc::new(DefaultPreemption), 0),
        (Arc::new(balanced_allocation::BalancedAllocation::default()), 1),
        (Arc::new(image_locality::ImageLocality), 1),
        (Arc::new(small::DefaultBinder), 0),
    ]
}

/// The plugins beside upstream's, for one run. A strategy to choose nodes is one of the score plugins alone;
/// [`gpu_share::GpuShare`] makes its profile see shared GPUs.
#[expect(clippy::arc_with_non_send_sync, reason = "plugins are shared within one run, which has one thread")]
pub fn extras(seed: Seed) -> Vec<Arc<dyn Plugin>> {
    vec![
        Arc::new(gpu_share::GpuShare::default()),
        Arc::new(first_fit::FirstFit),
        Arc::new(random::Random { seed }),
        Arc::new(round_robin::RoundRobin::default()),
        Arc::new(best_fit::BestFit::default()),
        Arc::new(worst_fit::WorstFit::default()),
        Arc::new(dot_prod::DotProd::default()),
        Arc::new(gpu_packing::GpuPacking::default()),
        Arc::new(gpu_clustering::GpuClustering::default()),
        Arc::new(fgd::Fgd::default()),
        Arc::new(load_aware::LoadAware),
        Arc::new(coscheduling::Coscheduling::default()),
    ]
}
