//! Machines that go away with a warning: for a while (planned maintenance), or for good (a spot machine is reclaimed).
//! What is done about it stands in [`crate::script::operator`].

use super::super::units::Duration;
use super::target::{NodeTarget, on_nodes};
use super::{Checks, Form};
use crate::model::Effect;
use crate::model::fault::{Maintenance as Plan, Reclaim};
use crate::time::SimDuration;

/// The notice that the largest provider gives.
const NOTICE: SimDuration = SimDuration::from_secs(120);
/// Firmware, kernel, and the services before the kubelet.
const REBOOT: SimDuration = SimDuration::from_secs(180);

on_nodes! {
    /// Spot machines are taken back: after a notice they are gone for good.
    pub struct SpotReclaim {
        /// How long before they go it is known. Default 2m; 0s is no notice at all.
        pub notice: Option<Duration>,
        /// Whether anyone acts on the notice: the node is tainted and drained. Default true.
        pub drain: Option<bool>,
        /// New machines of the same kind come so long after the old ones have gone; none if absent.
        pub replacement_after: Option<Duration>,
    }
}

on_nodes! {
    /// Planned maintenance, node after node: cordon, drain, reboot, wait for it, uncordon.
    pub struct Maintenance {
        /// How long a machine is down. Default 3m.
        pub reboot_time: Option<Duration>,
        /// A drain that takes longer is given up: the node is left as it is. Absent: it waits for ever.
        pub drain_timeout: Option<Duration>,
        /// From one node to the next. Default 0s.
        pub pause: Option<Duration>,
        /// How many nodes at a time. Default 1.
        pub at_once: Option<u32>,
    }
}

fn length(written: Option<Duration>, default: SimDuration) -> SimDuration {
    written.map_or(default, |length| length.0)
}

impl Form for SpotReclaim {
    fn kind(&self) -> &'static str {
        "spot-reclaim"
    }
    fn nodes(&self) -> Option<NodeTarget> {
        Some(self.target())
    }
    fn goes_its_own_way(&self) -> bool {
        true
    }
    fn effect(&self) -> Effect {
        Effect::Reclaim(Reclaim {
            notice: length(self.notice, NOTICE),
            drain: self.drain.unwrap_or(true),
            replacement_after: self.replacement_after.map(|after| after.0),
        })
    }
    fn describe(&self, who: &str) -> String {
        match length(self.notice, NOTICE) {
            SimDuration(0) => format!("reclaimed without notice: {who}"),
            notice => format!("reclaimed in {notice}: {who}"),
        }
    }
    fn check(&self, checks: &mut Checks<'_>) {
        not_negative(checks, &[("notice", self.notice), ("replacementAfter", self.replacement_after)]);
    }
}

impl Form for Maintenance {
    fn kind(&self) -> &'static str {
        "maintenance"
    }
    fn nodes(&self) -> Option<NodeTarget> {
        Some(self.target())
    }
    fn goes_its_own_way(&self) -> bool {
        true
    }
    fn effect(&self) -> Effect {
        Effect::Maintenance(Plan {
            reboot_time: length(self.reboot_time, REBOOT),
            drain_timeout: self.drain_timeout.map(|timeout| timeout.0),
            pause: length(self.pause, SimDuration::ZERO),
            at_once: self.at_once.unwrap_or(1),
        })
    }
    fn describe(&self, who: &str) -> String {
        format!("maintenance of {who}")
    }
    fn check(&self, checks: &mut Checks<'_>) {
        not_negative(
            checks,
            &[("rebootTime", self.reboot_time), ("drainTimeout", self.drain_timeout), ("pause", self.pause)],
        );
        if self.at_once == Some(0) {
            checks.add("atOnce", "maintenance of 0 nodes at a time never ends", "write 1 or more");
        }
    }
}

fn not_negative(checks: &mut Checks<'_>, lengths: &[(&str, Option<Duration>)]) {
    for (field, length) in lengths {
        if length.is_some_and(|length| length.0.0 < 0) {
            checks.add(field, "a negative length of time", "write a duration such as 2m");
        }
    }
}
