//! Machines whose processors or disks are slow: everything on them takes longer.
//!
//! ```yaml
//! - at: 2m
//!   for: 10m
//!   slowNode: {node: worker-1, cpu: 25%, disk: 10%}
//! ```
//!
//! Containers start later, jobs run longer, probes that take too long fail; images arrive as slowly as the disk takes
//! them.

use super::target::{NodeTarget, Share, on_nodes};
use super::{Checks, Form};
use crate::model::machine::Trouble;

on_nodes! {
    /// Machines are slow.
    pub struct SlowNode {
        /// The speed that is left to the processors. Default 25%, if nothing is said of the disk.
        pub cpu: Option<Share>,
        /// The speed that is left to the disk.
        pub disk: Option<Share>,
    }
}

/// What is left where nothing is said: a quarter.
const LEFT: Share = Share(250_000);

impl SlowNode {
    fn left(&self) -> Option<Share> {
        self.cpu.or(self.disk.is_none().then_some(LEFT))
    }
}

/// A share in thousandths, one at least.
fn per_mille(share: Share) -> i64 {
    (i64::from(share.0) / 1000).max(1)
}

impl Form for SlowNode {
    fn kind(&self) -> &'static str {
        "slow-node"
    }
    fn nodes(&self) -> Option<NodeTarget> {
        Some(self.target())
    }
    fn troubles(&self) -> Vec<Trouble> {
        let cpu = self.left().map(|share| Trouble::SlowCpu(per_mille(share)));
        let disk = self.disk.map(|share| Trouble::SlowDisk(per_mille(share)));
        cpu.into_iter().chain(disk).collect()
    }
    fn describe(&self, who: &str) -> String {
        let part = |what: &str, share: Option<Share>| {
            share.map(|share| format!("{what} at {} %", f64::from(share.0) / 10_000.0))
        };
        let parts: Vec<String> = part("processors", self.left()).into_iter().chain(part("disk", self.disk)).collect();
        format!("slow {who} ({})", parts.join(", "))
    }
    fn check(&self, _: &mut Checks<'_>) {}
}
