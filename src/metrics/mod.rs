//! What a run was like, as plain numbers: time series, one row per pod and node, incidents and how the
//! cluster recovered from them. It observes, it never decides.
//!
//! ```text
//! change log ──▶ Recorder ──▶ Record ──▶ usage (time-weighted), recovery (step by step)
//! ```

pub mod fragmentation;
mod headroom;
pub mod jobs;
pub mod meters;
pub mod record;
pub mod recorder;
pub mod recovery;
pub mod resilience;
pub mod scaling;
pub mod scrape;
pub mod series;
pub mod traffic;
pub mod usage;
pub mod workloads;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use fragmentation::fragmentation;
pub use jobs::{JobRecord, JobState};
pub use meters::Meters;
pub use record::{
    Cost, EventRow, IncidentRecord, NodeMark, NodeRecord, PodRecord, Record, Rollout, RolloutState, ServiceRecord,
    WorkloadRecord,
};
pub use recorder::Recorder;
pub use recovery::{Impact, PodRecovery, Recovery};
pub use resilience::{Availability, Objective, Resilience};
pub use scaling::LoadRecord;
pub use scrape::{MetricsApi, MetricsServer};
pub use series::Series;
pub use traffic::TrafficRecord;
pub use usage::{Usage, UsageRow};
