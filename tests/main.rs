//! One integration binary: a file per behaviour.

// A panic is how a test fails.
#![allow(clippy::unwrap_used)]

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod bad;
mod chaos;
mod checks;
mod cleanup;
mod cli;
mod cluster_autoscaler;
mod compare;
mod conformance;
mod control_plane;
mod custom_kinds;
mod faults;
mod golden_controllers;
mod golden_fgd;
mod golden_scheduler;
mod golden_timelines;
mod kubectl;
mod kubelet;
mod patches;
mod random;
mod readme;
mod runs;
mod scenarios;
mod scheduler;
mod scheduler_config;
mod scheduler_reference;
mod services;
mod store;
mod support;
mod tidy;
mod validation;
mod vertical_autoscaler;
mod volumes;
mod what_if;
mod wire;
mod yaml;
