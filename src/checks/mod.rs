//! What must hold: of every run (invariants), and of this one (expectations).
//!
//! A check looks at each change as it happens and never writes, never draws a random number: with checks on
//! or off a run is the same. Each row of [`ROWS`] has a test in which it fires. To add one: a row here, a few
//! lines in the file of its family. Bounds of time are in [`Bounds`]; a rule that Kubernetes itself breaks on purpose says
//! so in its file.

pub mod checker;
pub mod delivery;
pub mod endpoints;
pub mod expect;
mod expect_jobs;
mod expect_resilience;
mod expect_traffic;
pub mod findings;
pub mod log;
pub mod namespaces;
pub mod nodes;
pub mod pods;
pub mod rest;
pub mod workloads;

#[cfg(test)]
mod mutants;
#[cfg(test)]
mod tests;

pub use checker::{Bounds, Checker};
pub use findings::{Findings, Violation};

/// When a check looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// At every change.
    Safety,
    /// At every delivery.
    Delivery,
    /// Over everything, now and then.
    Periodic,
    /// At the end, if wishes and faults have rested for a while.
    Quiescent,
}

/// One invariant.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its number, as everybody cites it.
    pub number: u8,
    /// Its name.
    pub name: &'static str,
    /// When it is looked at.
    pub class: Class,
    /// Whether it belongs to the cheap ones.
    pub cheap: bool,
    /// What holds.
    pub rule: &'static str,
}

const fn row(number: u8, name: &'static str, class: Class, cheap: bool, rule: &'static str) -> Row {
    Row { number, name, class, cheap, rule }
}

use Class::{Delivery, Periodic, Quiescent, Safety};

/// All invariants.
pub const ROWS: &[Row] = &[
    row(1, "time-forward", Safety, true, "time never goes back"),
    row(2, "revisions-dense", Safety, true, "each accepted write has the next revision"),
    row(3, "names-unique", Safety, false, "one live object per name; a uid never comes back"),
    row(4, "no-lost-update", Safety, false, "a write follows the newest version of its object"),
    row(5, "log-is-store", Periodic, false, "folding the log from empty gives the store"),
    row(7, "watch-in-order", Delivery, false, "a watch goes forward, without gaps, and not beyond what is committed"),
    row(8, "own-writes-seen", Delivery, false, "no key is reconciled before its actor has seen its own write to it"),
    row(
        9,
        "deletion-final",
        Safety,
        true,
        "a deletion mark is never taken back or put off; a finalizer holds its object",
    ),
    row(11, "bound-once", Safety, true, "a pod is bound at most once, and never when it is ending"),
    row(12, "phase-forward", Safety, true, "phases go Pending, Running, Succeeded or Failed"),
    row(13, "ready-runs", Safety, true, "a pod is Ready only while all its containers run and are ready"),
    row(
        14,
        "restarts-wait",
        Safety,
        true,
        "restart counts never fall; waits between crashes double from 10 s to 5 min",
    ),
    row(15, "resources-balance", Periodic, false, "what nodes give equals what their pods take"),
    row(16, "no-overcommit", Safety, true, "admitted pods fit into their node's allocatable"),
    row(17, "host-ports", Safety, true, "no host port is used twice on a node"),
    row(18, "off-lost-nodes", Quiescent, false, "no pod stays 90 s on a node that is gone, or past its toleration"),
    row(19, "taints-respected", Safety, false, "no pod is bound where a bar it does not tolerate has stood for 30 s"),
    row(
        27,
        "status-is-fact",
        Quiescent,
        false,
        "workload statuses equal the facts, and the facts the wish, after 30 s",
    ),
    row(28, "surge-bound", Safety, false, "a rollout never asks for or makes more pods than replicas + maxSurge"),
    row(29, "available-bound", Safety, false, "a rollout's own deletions keep replicas - maxUnavailable available"),
    row(30, "one-controller", Safety, true, "an object has at most one controlling owner"),
    row(31, "no-orphans", Quiescent, false, "every owner that is named exists; what blocks an owner's end goes first"),
    row(38, "namespaces-end", Safety, true, "nothing is made in a namespace that ends, nothing is left in one gone"),
    row(
        40,
        "endpoints-true",
        Safety,
        false,
        "endpoints are of selected pods and as ready as those were 30 s ago or less",
    ),
    row(45, "queues-drained", Quiescent, false, "no key waits or runs when nothing has changed for 30 s"),
    row(
        46,
        "lease-and-status",
        Quiescent,
        false,
        "60 s on, a node is Ready if its machine is up, Unknown if it is not",
    ),
];

/// How much is checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Checks {
    /// Everything: tests.
    All,
    /// What costs little: ordinary runs.
    #[default]
    Cheap,
    /// Nothing.
    Off,
}

/// The table of invariants as text.
pub fn list() -> String {
    let mut text = String::from("  NO  CLASS      NAME               RULE\n");
    for row in ROWS {
        let class = format!("{:?}", row.class).to_lowercase();
        text += &format!("  {:>2}  {class:<9}  {:<17}  {}\n", row.number, row.name, row.rule);
    }
    text
}
