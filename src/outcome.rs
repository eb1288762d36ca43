//! What a run comes to: plain data that outlives the cluster.

pub use crate::checks::expect::ExpectationResult;
use crate::metrics::Record;
use crate::time::{SimDuration, SimTime};

/// The result of one run.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Outcome {
    /// The scenario's name.
    pub scenario_name: String,
    /// The scenario's description; may be empty.
    pub description: String,
    /// The seed.
    pub seed: u64,
    /// How long it was to run.
    pub duration: SimDuration,
    /// When it ended: earlier than wished if it was stopped.
    pub end: SimTime,
    /// The fingerprint of everything that happened, in hexadecimal.
    pub fingerprint: String,
    /// What the event loop counted.
    pub stats: RunStats,
    /// What was recorded.
    pub record: Record,
    /// What the scenario expected.
    pub expectations: Vec<ExpectationResult>,
    /// Invariants that were broken: a bug of the simulator.
    pub violations: Vec<String>,
    /// Why it was stopped before its end.
    pub stopped: Option<String>,
}

/// What the event loop counted.
pub type RunStats = crate::runtime::Stats;

impl Outcome {
    /// Whether every expectation held and nothing was broken.
    pub fn passed(&self) -> bool {
        self.violations.is_empty() && self.expectations.iter().all(|expectation| expectation.passed)
    }
}
