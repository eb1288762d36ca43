//! kubesim: a deterministic Kubernetes cluster simulator and scheduling testbed.

pub mod error;
pub mod model;
pub mod rng;
pub mod time;
