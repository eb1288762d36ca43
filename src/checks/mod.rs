//! What must hold: of every run (invariants), and of this one (expectations).
//!
//! A check looks at each change as it happens and never writes, never draws a random number: with checks on
//! or off a run is the same. Each row of [`ROWS`] has a test in which it fires. To add one: a row here, a few
//! lines in the file of its family.

pub mod delivery;
pub mod endpoints;
pub mod expect;
pub mod log;
pub mod nodes;
pub mod pods;
pub mod rest;
pub mod workloads;

#[cfg(test)]
mod tests;

use crate::model::{Key, Kind};
use crate::runtime::Observer;
use crate::store::{Change, Store};
use crate::time::{SimDuration, SimTime};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;

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
    row(
        8,
        "own-writes-seen",
        Delivery,
        false,
        "no key is reconciled before its actor has seen its own last write to it",
    ),
    row(9, "deletion-final", Safety, true, "a deletion mark is never taken back; a finalizer holds its object"),
    row(11, "bound-once", Safety, true, "a pod is bound at most once, and never when it is ending"),
    row(12, "phase-forward", Safety, true, "phases go Pending, Running, Succeeded or Failed"),
    row(13, "ready-runs", Safety, true, "a pod turns Ready only while all its containers run and are ready"),
    row(14, "restarts-count", Safety, true, "restart counts never fall; from the second restart on at least 10 s pass"),
    row(15, "resources-balance", Periodic, false, "what nodes give equals what their pods take"),
    row(16, "no-overcommit", Safety, true, "admitted pods fit into their node's allocatable"),
    row(17, "host-ports", Safety, true, "no host port is used twice on a node"),
    row(
        18,
        "off-lost-nodes",
        Quiescent,
        false,
        "no pod stays on a node that is gone, or past its toleration of NoExecute",
    ),
    row(
        19,
        "taints-respected",
        Safety,
        false,
        "no pod is bound where a taint or cordon it does not tolerate has stood for 30 s",
    ),
    row(27, "status-is-fact", Quiescent, false, "workload statuses equal the facts, and the facts the wish"),
    row(28, "surge-bound", Safety, false, "a rollout never asks for more than replicas + maxSurge"),
    row(29, "available-bound", Safety, false, "a rollout's own deletions keep replicas - maxUnavailable available"),
    row(30, "one-controller", Safety, true, "an object has at most one controlling owner"),
    row(31, "no-orphans", Quiescent, false, "every owner that is named exists"),
    row(40, "endpoints-exist", Safety, false, "endpoints are of pods that exist, or did 30 s ago"),
    row(41, "endpoints-ready", Quiescent, false, "a service's ready endpoints are its selected, ready pods"),
    row(45, "queues-drained", Quiescent, false, "at rest no key waits or runs"),
    row(
        46,
        "lease-and-status",
        Quiescent,
        false,
        "a node is Ready if its machine is up, Unknown and tainted if it is not",
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

/// A broken invariant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// Which.
    pub number: u8,
    /// When.
    pub time: SimTime,
    /// The newest revision then.
    pub revision: u64,
    /// What is wrong.
    pub message: String,
    /// The last ten changes of the objects concerned, oldest first.
    pub history: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = ROWS.iter().find(|row| row.number == self.number).map_or("", |row| row.name);
        write!(f, "invariant {} ({name}) at {} revision {}: {}", self.number, self.time, self.revision, self.message)?;
        for line in &self.history {
            write!(f, "\n    {line}")?;
        }
        Ok(())
    }
}

/// Changes kept to explain a violation.
const KEPT: usize = 2048;
/// Changes of the objects concerned that a violation shows.
const SHOWN: usize = 10;
/// Violations of one invariant that are kept; the rest would say the same.
const PER_ROW: usize = 10;
/// Changes between two sweeps.
const SWEEP: u64 = 1 << 16;
/// How long nothing must have happened for a cluster to count as at rest.
pub const REST: SimDuration = SimDuration::from_secs(30);

/// What was found, shared between the checker and whoever asks afterwards.
#[derive(Debug, Default)]
pub struct Findings {
    /// Broken invariants, in order.
    pub violations: Vec<Violation>,
    /// Whether the cluster was at rest at the end.
    pub at_rest: bool,
    now: SimTime,
    revision: u64,
    recent: VecDeque<Change>,
}

impl Findings {
    /// Reports a violation that concerns `keys`.
    pub fn violate(&mut self, number: u8, keys: &[&Key], message: String) {
        if self.violations.iter().filter(|violation| violation.number == number).count() >= PER_ROW {
            return;
        }
        let about = self.recent.iter().rev().filter(|change| keys.contains(&&change.key)).take(SHOWN);
        let mut history: Vec<String> = about.map(line).collect();
        history.reverse();
        self.violations.push(Violation { number, time: self.now, revision: self.revision, message, history });
    }

    /// The keys that still wait or run at the end ([`crate::runtime::Runtime::busy_keys`]).
    pub fn busy_at_end(&mut self, busy: &[(&'static str, Key)]) {
        if let (true, Some((actor, key))) = (self.at_rest, busy.first()) {
            let message = format!("{} keys wait or run at rest, the first is {key} of {actor}", busy.len());
            self.violate(45, &[key], message);
        }
    }
}

fn line(change: &Change) -> String {
    format!(
        "{} revision {}: {} {} by {}",
        change.time,
        change.revision,
        change.verb.as_str(),
        change.key,
        change.writer
    )
}

/// Watches a run for broken invariants.
#[derive(Debug)]
pub struct Checker {
    level: Checks,
    findings: Rc<RefCell<Findings>>,
    last_activity: SimTime,
    log: log::LogChecks,
    delivery: delivery::DeliveryChecks,
    nodes: nodes::NodeChecks,
    workloads: workloads::WorkloadChecks,
    endpoints: endpoints::EndpointChecks,
}

impl Checker {
    /// A checker, and where it leaves what it finds.
    pub fn new(level: Checks) -> (Checker, Rc<RefCell<Findings>>) {
        let findings = Rc::new(RefCell::new(Findings::default()));
        let checker = Checker {
            level,
            findings: findings.clone(),
            last_activity: SimTime(i64::MIN),
            log: Default::default(),
            delivery: Default::default(),
            nodes: Default::default(),
            workloads: Default::default(),
            endpoints: Default::default(),
        };
        (checker, findings)
    }

    fn sweep(&mut self, store: &Store, findings: &mut Findings) {
        self.log.sweep(store, findings);
        self.nodes.sweep(store, findings);
    }
}

impl Observer for Checker {
    fn change(&mut self, change: &Change, store: &Store) {
        if self.level == Checks::Off {
            return;
        }
        let findings = self.findings.clone();
        let findings = &mut *findings.borrow_mut();
        findings.now = findings.now.max(change.time);
        findings.revision = change.revision;
        findings.recent.push_back(change.clone());
        if findings.recent.len() > KEPT {
            findings.recent.pop_front();
        }
        if !matches!(change.key.kind, Kind::Event | Kind::Lease) {
            self.last_activity = change.time;
        }
        self.log.order(change, findings);
        pods::change(change, store, findings);
        self.nodes.admission(change, store, findings);
        workloads::owners(change, findings);
        if self.level == Checks::All {
            self.log.versions(change, findings);
            self.delivery.change(change);
            self.nodes.change(change, store, findings);
            self.workloads.change(change, store, findings);
            self.endpoints.change(change, store, findings);
            if change.revision.is_multiple_of(SWEEP) {
                self.sweep(store, findings);
            }
        }
    }

    fn delivered(&mut self, _: SimTime, actor: &'static str, from: u64, to: u64) {
        if self.level == Checks::All {
            self.delivery.delivered(actor, from, to, &mut self.findings.borrow_mut());
        }
    }

    fn reconciled(&mut self, _: SimTime, actor: &'static str, key: &Key, cursor: u64) {
        if self.level == Checks::All {
            self.delivery.reconciled(actor, key, cursor, &mut self.findings.borrow_mut());
        }
    }

    fn finish(&mut self, now: SimTime, store: &Store) {
        let findings = self.findings.clone();
        let findings = &mut *findings.borrow_mut();
        findings.now = now;
        if self.level != Checks::All {
            return;
        }
        findings.at_rest = now - self.last_activity >= REST;
        self.sweep(store, findings);
        rest::lost_nodes(now, store, findings);
        rest::lease_and_status(now, store, findings);
        if findings.at_rest {
            rest::statuses(store, findings);
            rest::orphans(store, findings);
            rest::ready_endpoints(store, findings);
        }
    }
}
