//! kubesim: a deterministic Kubernetes cluster simulator and scheduling testbed.

pub mod cli;
pub mod engine;
pub mod error;
pub mod model;
pub mod rng;
pub mod runtime;
pub mod scenario;
pub mod scheduler;
pub mod store;
pub mod time;
pub mod wire;
