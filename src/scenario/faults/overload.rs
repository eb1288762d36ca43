//! Machines that die of their load, so that what they carried breaks the next ones.

use super::super::units::Duration;
use super::target::{NodeTarget, Share, on_nodes};
use super::{Checks, Form};
use crate::time::SimDuration;

/// How much of its processors a machine bears.
const LOAD: Share = Share(900_000);
/// For how long it bears more.
const AFTER: SimDuration = SimDuration::from_secs(30);

on_nodes! {
    /// While it is in force, a machine dies whose processors are used beyond a threshold for a time; its pods go
    /// elsewhere and may be too much for the next one.
    pub struct CascadingFailure {
        /// The share of its processors that a machine bears. Default 90%.
        pub load: Option<Share>,
        /// For how long it bears more. Default 30s.
        pub after: Option<Duration>,
        /// A dead machine comes back after this long; never if absent.
        pub recover_after: Option<Duration>,
    }
}

impl CascadingFailure {
    /// The share of its processors that a machine bears.
    pub fn bears(&self) -> Share {
        self.load.unwrap_or(LOAD)
    }

    /// For how long it bears more.
    pub fn patience(&self) -> SimDuration {
        self.after.map_or(AFTER, |after| after.0)
    }
}

impl Form for CascadingFailure {
    fn kind(&self) -> &'static str {
        "cascading-failure"
    }
    fn actor(&self) -> &'static str {
        "fault/cascade"
    }
    fn nodes(&self) -> Option<NodeTarget> {
        Some(self.target())
    }
    fn at_large(&self) -> bool {
        true
    }
    fn describe(&self, _: &str) -> String {
        let share = f64::from(self.bears().0) / 10_000.0;
        format!("machines die when more than {share}% of their processors are used for {}", self.patience())
    }
    fn check(&self, checks: &mut Checks<'_>) {
        if self.patience().0 <= 0 {
            checks.add("after", "the time must be positive", "write a duration such as 30s");
        }
        if self.recover_after.is_some_and(|after| after.0.0 <= 0) {
            checks.add("recoverAfter", "the time until recovery must be positive", "write a duration such as 8m");
        }
    }
}
