//! The controllers of the controller manager, one file or folder each. They meet only in the store.

pub mod deployment;
pub mod endpoint_slice;
pub mod replica_set;
mod shared;

use crate::runtime::{ActorSettings, Controller};
use crate::time::SimDuration;

/// Every controller of the controller manager with its own machinery
/// (`cmd/kube-controller-manager/app/controllermanager.go`).
pub fn all() -> Vec<(Box<dyn Controller>, ActorSettings)> {
    let own = ActorSettings::default();
    vec![
        (Box::new(deployment::Deployments::default()), ActorSettings { max_retries: 15, ..own }),
        (Box::new(replica_set::ReplicaSets::default()), own),
        (
            Box::new(endpoint_slice::EndpointSliceController::default()),
            ActorSettings { max_retries: 15, backoff_base: SimDuration::from_secs(1), ..own },
        ),
    ]
}
