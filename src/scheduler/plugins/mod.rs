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
use std::rc::Rc;

/// The default plugins in upstream's order, with their score weights
/// (`pkg/scheduler/apis/config/v1/default_plugins.go`).
pub fn defaults() -> Vec<(Rc<dyn Plugin>, i64)> {
    vec![
        (Rc::new(small::SchedulingGates), 0),
        (Rc::new(small::PrioritySort), 0),
        (Rc::new(node_unschedulable::NodeUnschedulable), 0),
        (Rc::new(node_name::NodeName), 0),
        (Rc::new(taint_toleration::TaintToleration), 3),
        (Rc::new(node_affinity::NodeAffinity::default()), 2),
        (Rc::new(node_ports::NodePorts), 0),
        (Rc::new(resources_fit::ResourcesFit::default()), 1),
        (Rc::new(volume_restrictions::VolumeRestrictions), 0),
        (Rc::new(volume_limits::VolumeLimits), 0),
        (Rc::new(volume_binding::VolumeBinding::default()), 1),
        (Rc::new(volume_zone::VolumeZone), 0),
        (Rc::new(topology_spread::TopologySpread::default()), 2),
        (Rc::new(inter_pod_affinity::InterPodAffinity::default()), 2),
        (Rc::new(small::DynamicResources), 0),
        (Rc::new(DefaultPreemption), 0),
        (Rc::new(balanced_allocation::BalancedAllocation::default()), 1),
        (Rc::new(image_locality::ImageLocality), 1),
        (Rc::new(small::DefaultBinder), 0),
    ]
}

/// The plugins beside upstream's, for one run. A strategy to choose nodes is one of the score plugins alone;
/// [`gpu_share::GpuShare`] makes its profile see shared GPUs.
pub fn extras(seed: Seed) -> Vec<Rc<dyn Plugin>> {
    vec![
        Rc::new(gpu_share::GpuShare::default()),
        Rc::new(first_fit::FirstFit),
        Rc::new(random::Random { seed }),
        Rc::new(round_robin::RoundRobin::default()),
        Rc::new(best_fit::BestFit::default()),
        Rc::new(worst_fit::WorstFit::default()),
        Rc::new(dot_prod::DotProd::default()),
        Rc::new(gpu_packing::GpuPacking::default()),
        Rc::new(gpu_clustering::GpuClustering::default()),
        Rc::new(fgd::Fgd::default()),
        Rc::new(load_aware::LoadAware::default()),
        Rc::new(coscheduling::Coscheduling::default()),
    ]
}
