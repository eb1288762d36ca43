//! Behaviours that Kubernetes' conformance descriptions list, in our words: each a small table over a simulated cluster.

mod api;
mod cron_jobs;
mod disruption;
mod garbage_collector;
mod jobs;
mod limit_range;
mod namespaces;
mod quota;
mod rbac;
mod security;
mod small_world;
mod world;
