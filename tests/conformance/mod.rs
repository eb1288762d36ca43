//! Behaviours that Kubernetes' conformance descriptions list, in our words: each a small table over a simulated cluster.

mod api;
mod garbage_collector;
mod namespaces;
mod world;
