//! Behaviours that Kubernetes' conformance descriptions list, in our words: each a small table over a simulated cluster.

mod api;
mod cluster;
mod cron_jobs;
mod daemon_set;
mod deployment;
mod disruption;
mod garbage_collector;
mod jobs;
mod limit_range;
mod namespaces;
mod quota;
mod rbac;
mod replica_set;
mod replication_controller;
mod security;
mod small_world;
mod stateful_set;
pub mod world;
