//! The API server: the only mutable truth, and the only place where two actors meet.
//!
//! Every write is a value ([`Write`]); every accepted write appends one [`Change`] to the log and makes a
//! new version of one object. Readers look through a [`View`] at a revision, so an actor whose watch lags
//! sees the past, exactly. Versions that nobody can see any more are dropped as the log is trimmed.

pub mod access;
mod addresses;
pub mod admission;
pub mod apply;
pub mod custom;
pub mod document;
pub mod errors;
pub mod events;
pub mod eviction;
pub mod incident;
pub mod index;
pub mod limit_ranger;
pub mod log;
mod node_restriction;
pub mod patch;
pub mod pod_security;
pub mod quota;
pub mod slots;
mod storage;
pub mod update;
mod vertical;
pub mod view;
mod workloads;
pub mod write;

pub use apply::{FOREGROUND, ORPHAN, Written};
pub use errors::{Refusal, StoreError, UNREACHABLE};
pub use log::{Change, Revision, Verb};
pub use patch::Patch;
pub use slots::{Store, StoreLimits};
pub use view::{Heartbeats, View};
pub use write::{DeleteOptions, EventRecord, Preconditions, Propagation, Write};
