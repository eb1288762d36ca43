//! The scheduler: kube-scheduler's decisions as a controller.

pub mod cycle;
pub mod explain;
pub mod fit_error;
pub mod hint;
pub mod listers;
mod memory;
pub mod node_order;
pub mod nominated;
pub mod plugin;
pub mod plugins;
pub mod pod_info;
pub mod profile;
pub mod snapshot;
