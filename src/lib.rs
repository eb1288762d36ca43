//! kubesim: a deterministic Kubernetes cluster simulator and scheduling testbed.
//!
//! Everything that acts is a [`runtime::Controller`]; actors meet only in the [`store`]; one log of changes is the
//! trace, the source of metrics, the input of checks and the fingerprint. From the bottom up:
//!
//! * [`error`], [`time`], [`rng`]: what a person can cause, virtual time, named random streams.
//! * [`engine`], [`model`]: an event queue that has never heard of Kubernetes; Kubernetes' nouns as plain data.
//! * [`store`], [`wire`], [`metrics`]: the API server; Kubernetes' JSON and YAML; what the log comes to.
//! * [`runtime`], [`scenario`], [`network`]: from changes to work; the file that a person writes; how packets find
//!   pods.
//! * [`controllers`], [`control_plane`], [`cloud`], [`scheduler`], [`kubelet`], [`workload`], [`faults`], [`script`],
//!   [`traffic`], [`checks`]: those who act, and those who watch; [`autoscaler`], a row above, since it asks the
//!   scheduler's own filters.
//! * [`outcome`], [`cluster`]: what a run comes to; who sits at the table.
//! * [`experiment`], [`report`], [`cli`]: many runs, files and pictures, the program.
//!
//! `ARCHITECTURE.md` tells how it fits together. What always holds, and the test that says so:
//!
//! 1. A run does no input or output, starts no thread, reads no clock, holds no global
//!    (`tests/tidy.rs`, `a_run_touches_nothing_outside`; `clippy.toml`), and imports point down
//!    (`imports_point_down`).
//! 2. Only the store changes the cluster, and only the runtime writes to it
//!    (`tests/tidy.rs`, `only_the_runtime_writes_to_the_store`).
//! 3. Only [`wire`] knows Kubernetes' types and YAML (`tests/tidy.rs`, `only_the_wire_knows_kubernetes_types`).
//! 4. A run is a function of scenario and seed: [`cluster::run`] (`tests/runs.rs`,
//!    `fingerprints_are_the_recorded_ones`, `seeds_make_different_runs`).
//! 5. All order comes from `(time, seq)` (`src/engine/queue.rs`, `order_is_time_then_insertion`); no hash table's order
//!    reaches the log (`tests/runs.rs`, `observers_and_threads_change_nothing`).
//! 6. Every random number comes from a named [`rng::Stream`]; one more stream moves no other
//!    (`src/rng.rs`, `streams_are_independent_and_repeatable`).
//! 7. Every queue, loop and buffer has a named limit (`tests/cli.rs`, `exit_codes_are_as_documented`;
//!    `src/scenario/limits.rs`).
//! 8. Checks and metrics can be off, and what nobody observes is computed instead of ticked, without changing the
//!    fingerprint (`tests/runs.rs`, `observers_and_threads_change_nothing`, `shortcuts_change_nothing`).

pub mod autoscaler;
pub mod checks;
pub mod cli;
pub mod cloud;
pub mod cluster;
pub mod control_plane;
pub mod controllers;
pub mod engine;
pub mod error;
pub mod experiment;
pub mod faults;
pub mod kubelet;
pub mod metrics;
pub mod model;
pub mod network;
pub mod outcome;
pub mod report;
pub mod rng;
pub mod runtime;
pub mod scenario;
pub mod scheduler;
pub mod script;
pub mod store;
pub mod time;
pub mod traffic;
pub mod wire;
pub mod workload;
