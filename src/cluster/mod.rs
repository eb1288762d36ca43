//! The composition root: who sits at the table, and a run from beginning to end.

pub mod digest;
pub mod machines;
pub mod steps;

use crate::time::SimTime;

/// When the machines of a cluster come up: a little before the manifests are applied at time zero, so that
/// a scenario begins with a cluster at rest.
pub const BOOT: SimTime = SimTime::from_secs(-20);
