//! The provider behind the cluster: its disks, and the storage drivers that ask it for them.
//!
//! ```text
//! disks.rs        how fast the provider is, what it has, and where
//! provisioner.rs  makes and deletes volumes        (external-provisioner)
//! attacher.rs     attaches and detaches them       (external-attacher)
//! resizer.rs      makes them larger                (external-resizer)
//! machines.rs     machines that come and go
//! node_lifecycle.rs deletes nodes without machine  (cloud-controller-manager)
//! nodes.rs        tells which drivers a node has   (node-driver-registrar, kubelet)
//! ```
//!
//! A driver is there as soon as something names it: a class, a volume, or a CSIDriver. Its parts act through the
//! API server like everyone else; what only the provider knows, the zones and what is attached where, they ask here.

pub mod attacher;
pub mod disks;
pub mod machines;
pub mod node_lifecycle;
pub mod nodes;
pub mod provisioner;
pub mod resizer;

use crate::model::core::Incident;
use crate::model::{Effect, Object};
use crate::runtime::{ActorSettings, Controller};
use crate::scenario::Cloud;
use crate::store::View;
use crate::time::SimDuration;
use disks::Provider;

/// The parts of the storage drivers, with their own machinery: clients of 5 requests a second
/// (`github.com/kubernetes-csi/external-provisioner`, `cmd/csi-provisioner/csi-provisioner.go`).
///
/// Of the objects that the cluster begins with (`first`), the drivers are there before them.
pub fn all(cloud: &Cloud, first: &[Object]) -> Vec<(Box<dyn Controller>, ActorSettings)> {
    let drivers = first.iter().filter_map(nodes::brings).collect();
    let provider = Provider::new(&cloud.disks);
    let (backoff_base, backoff_max) = (SimDuration::from_secs(1), SimDuration::from_secs(300));
    let client = ActorSettings { milli_qps: 5_000, burst: 10, backoff_base, backoff_max, ..ActorSettings::default() };
    vec![
        (Box::new(nodes::NodeDrivers::new(provider.clone(), drivers)), ActorSettings { workers: 1, ..client }),
        (Box::new(provisioner::Provisioner::new(provider.clone())), ActorSettings { workers: 100, ..client }),
        (Box::new(attacher::Attacher::new(provider.clone())), ActorSettings { workers: 10, ..client }),
        (Box::new(resizer::Resizer::new(provider)), ActorSettings { workers: 10, ..client }),
    ]
}

/// Whether the provider's interface for machines does not answer.
fn unreachable(view: View<'_>) -> bool {
    let cut = |incident: &Incident| {
        incident.ended.is_none() && matches!(incident.fault.effect, Effect::Cloud { machines: true, .. })
    };
    view.list::<Incident>().any(|incident| cut(incident))
}
