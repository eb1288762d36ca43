//! Machines on which something that is no pod takes the disk or the memory: a log that nobody rotates, a daemon that
//! leaks.
//!
//! ```yaml
//! - at: 2m
//!   for: 10m
//!   diskFull: {node: worker-1, takes: 80Gi}
//! - at: 2m
//!   memoryHog: {pool: worker, count: 1, takes: 4Gi}
//! ```
//!
//! The kubelet sees it at its next look, within ten seconds: it removes images that nobody uses, then evicts pods.

use super::super::units::Quantity;
use super::target::{NodeTarget, on_nodes};
use super::{Checks, Form};
use crate::model::machine::Trouble;

on_nodes! {
    /// Something fills the disks of machines.
    pub struct DiskFull {
        /// So many bytes of each; all of it if absent.
        pub takes: Option<Quantity>,
    }
}

on_nodes! {
    /// Something fills the memory of machines.
    pub struct MemoryHog {
        /// So many bytes of each.
        pub takes: Option<Quantity>,
    }
}

/// More than any disk has.
const EVERYTHING: i64 = 1 << 60;

fn check(takes: Option<Quantity>, checks: &mut Checks<'_>) {
    if takes.is_none_or(|bytes| bytes.0.whole() <= 0) {
        checks.add("takes", "nothing says how much is taken", "write takes: 10Gi");
    }
}

impl Form for DiskFull {
    fn kind(&self) -> &'static str {
        "disk-full"
    }
    fn nodes(&self) -> Option<NodeTarget> {
        Some(self.target())
    }
    fn troubles(&self) -> Vec<Trouble> {
        vec![Trouble::DiskTaken(self.takes.map_or(EVERYTHING, |bytes| bytes.0.whole()))]
    }
    fn describe(&self, who: &str) -> String {
        match self.takes {
            Some(bytes) => format!("{} of the disk are taken: {who}", bytes.0),
            None => format!("the disk is full: {who}"),
        }
    }
    fn check(&self, checks: &mut Checks<'_>) {
        if self.takes.is_some() {
            check(self.takes, checks);
        }
    }
}

impl Form for MemoryHog {
    fn kind(&self) -> &'static str {
        "memory-hog"
    }
    fn nodes(&self) -> Option<NodeTarget> {
        Some(self.target())
    }
    fn troubles(&self) -> Vec<Trouble> {
        vec![Trouble::MemoryTaken(self.takes.map_or(0, |bytes| bytes.0.whole()))]
    }
    fn describe(&self, who: &str) -> String {
        format!("{} of the memory are taken: {who}", self.takes.unwrap_or_default().0)
    }
    fn check(&self, checks: &mut Checks<'_>) {
        check(self.takes, checks);
    }
}
