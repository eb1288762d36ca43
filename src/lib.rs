//! kubesim: a deterministic Kubernetes cluster simulator and scheduling testbed.

pub mod checks;
pub mod cli;
pub mod cluster;
pub mod controllers;
pub mod engine;
pub mod error;
pub mod experiment;
pub mod faults;
pub mod kubelet;
pub mod metrics;
pub mod model;
pub mod outcome;
pub mod report;
pub mod rng;
pub mod runtime;
pub mod scenario;
pub mod scheduler;
pub mod script;
pub mod store;
pub mod time;
pub mod wire;
