//! Clocks of machines that are wrong.
//!
//! ```yaml
//! - at: 2m
//!   for: 1h
//!   clockSkew: {node: worker-1, ahead: 5m}
//! ```
//!
//! A kubelet writes its own time into what it says of pods: since when they are Ready, since when they run. Who counts
//! `minReadySeconds` from there waits for longer, or not at all. Deadlines of pods that the kubelet counts itself come
//! early or late. A node's lease may carry any time: the controllers count from when they saw it change, as candidates
//! for leadership do. On a machine of the control plane, CronJobs run by the clock of the machine whose controller
//! manager leads.

use super::super::units::Duration;
use super::target::{NodeTarget, on_nodes};
use super::{Checks, Form};
use crate::model::machine::Trouble;
use crate::time::SimDuration;

on_nodes! {
    /// The clocks of machines are wrong.
    pub struct ClockSkew {
        /// So much ahead.
        pub ahead: Option<Duration>,
        /// So much behind.
        pub behind: Option<Duration>,
    }
}

impl Form for ClockSkew {
    fn kind(&self) -> &'static str {
        "clock-skew"
    }
    fn nodes(&self) -> Option<NodeTarget> {
        Some(self.target())
    }
    fn troubles(&self) -> Vec<Trouble> {
        let nothing = Duration::secs(0);
        let by = self.ahead.unwrap_or(nothing).0.0 - self.behind.unwrap_or(nothing).0.0;
        vec![Trouble::ClockAhead(SimDuration(by))]
    }
    fn describe(&self, who: &str) -> String {
        match (self.ahead, self.behind) {
            (_, Some(behind)) => format!("the clock is {} behind: {who}", behind.0),
            (ahead, None) => format!("the clock is {} ahead: {who}", ahead.unwrap_or(Duration::secs(0)).0),
        }
    }
    fn check(&self, checks: &mut Checks<'_>) {
        match (self.ahead, self.behind) {
            (None, None) => checks.add("", "nothing says how wrong the clock is", "write ahead: 5m or behind: 5m"),
            (Some(_), Some(_)) => checks.add("behind", "a clock is ahead or behind, not both", "remove one of them"),
            _ => {}
        }
        for (field, time) in [("ahead", self.ahead), ("behind", self.behind)] {
            if time.is_some_and(|time| time.0.0 <= 0) {
                checks.add(field, "the time must be positive", format!("write {field}: 5m"));
            }
        }
    }
}
