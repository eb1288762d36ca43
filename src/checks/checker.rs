//! The observer that asks every check about every change.

use super::{Checks, Findings, delivery, endpoints, log, namespaces, nodes, pods, rest, workloads};
use crate::model::{Key, Kind};
use crate::runtime::Observer;
use crate::store::{Change, Store, StoreError};
use crate::time::{SimDuration, SimTime};
use std::cell::RefCell;
use std::rc::Rc;

/// Changes between two sweeps.
const SWEEP: u64 = 1 << 16;

/// How long things may take that are right in the end. The defaults fit the default timing of a scenario.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// From what an actor saw to the last write that it decided on then: 500 writes of a replica set in one batch
    /// (`pkg/controller/replicaset/replica_set.go`, `BurstReplicas`) at 20 a second, and some.
    pub stale: SimDuration,
    /// How long nothing must have happened to objects for them to count as at rest.
    pub rest: SimDuration,
    /// From a machine's silence to its node being Unknown, and from its start to its node being Ready.
    pub grace: SimDuration,
    /// The first wait of CrashLoopBackOff.
    pub crash_initial: SimDuration,
    /// Its longest wait.
    pub crash_max: SimDuration,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds {
            stale: SimDuration::from_secs(30),
            rest: SimDuration::from_secs(30),
            grace: SimDuration::from_secs(60),
            crash_initial: SimDuration::from_secs(10),
            crash_max: SimDuration::from_secs(300),
        }
    }
}

/// Watches a run for broken invariants.
#[derive(Debug)]
pub struct Checker {
    level: Checks,
    bounds: Bounds,
    findings: Rc<RefCell<Findings>>,
    last_activity: SimTime,
    log: log::LogChecks,
    delivery: delivery::DeliveryChecks,
    pods: pods::PodChecks,
    nodes: nodes::NodeChecks,
    workloads: workloads::WorkloadChecks,
    endpoints: endpoints::EndpointChecks,
}

impl Checker {
    /// A checker, and where it leaves what it finds.
    pub fn new(level: Checks) -> (Checker, Rc<RefCell<Findings>>) {
        Checker::within(level, Bounds::default())
    }

    /// A checker of a cluster that has its own speed.
    pub fn within(level: Checks, bounds: Bounds) -> (Checker, Rc<RefCell<Findings>>) {
        let findings = Rc::new(RefCell::new(Findings::default()));
        let checker = Checker {
            level,
            bounds,
            findings: findings.clone(),
            last_activity: SimTime(i64::MIN / 2),
            log: Default::default(),
            delivery: Default::default(),
            pods: Default::default(),
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
    fn seated(&mut self, actor: &'static str) {
        self.delivery.seated(actor);
    }

    fn addressed(&mut self, actor: &'static str, revision: u64) {
        if self.level == Checks::All {
            self.delivery.addressed(actor, revision);
        }
    }

    fn change(&mut self, change: &Change, store: &Store) {
        if self.level == Checks::Off {
            return;
        }
        let findings = self.findings.clone();
        let findings = &mut *findings.borrow_mut();
        let bounds = &self.bounds;
        findings.remember(change);
        if !matches!(change.key.kind, Kind::Event | Kind::Lease) {
            self.last_activity = change.time;
        }
        self.log.order(change, findings);
        self.pods.change(change, bounds, store, findings);
        self.nodes.admission(change, store, findings);
        workloads::owners(change, findings);
        namespaces::change(change, store, findings);
        if self.level == Checks::All {
            self.log.versions(change, findings);
            self.log.foreground(change, bounds, store, findings);
            self.delivery.change(change);
            self.nodes.change(change, bounds, store, findings);
            self.workloads.change(change, bounds, store, findings);
            self.endpoints.change(change, bounds, &self.log, store, findings);
            if change.revision.is_multiple_of(SWEEP) {
                self.sweep(store, findings);
            }
        }
    }

    fn refused(&mut self, now: SimTime, writer: &'static str, key: &Key, error: &StoreError) {
        if self.level == Checks::All {
            self.nodes.refused(writer, key);
            // A name that the server makes is known only to its answer.
            self.log.refused(writer, error.key().unwrap_or(key), now);
        }
    }

    fn delivered(&mut self, now: SimTime, actor: &'static str, from: u64, to: u64) {
        if self.level == Checks::All {
            let findings = &mut *self.findings.borrow_mut();
            self.log.time(now, findings);
            self.delivery.delivered(actor, from, to, findings);
        }
    }

    fn listed(&mut self, _: SimTime, actor: &'static str, _: u64, to: u64) {
        if self.level == Checks::All {
            self.delivery.listed(actor, to);
        }
    }

    fn reconciled(&mut self, now: SimTime, actor: &'static str, key: &Key, cursor: u64) {
        if self.level == Checks::All {
            let findings = &mut *self.findings.borrow_mut();
            self.log.time(now, findings);
            self.delivery.reconciled(actor, key, cursor, findings);
            findings.worked.insert(actor, now);
        }
    }

    fn landed(&mut self, _: SimTime, actor: &'static str, key: &Key, written: u64) {
        if self.level == Checks::All {
            self.delivery.landed(actor, key, written);
        }
    }

    fn finish(&mut self, now: SimTime, store: &Store) {
        let findings = self.findings.clone();
        let findings = &mut *findings.borrow_mut();
        findings.now = now;
        if self.level != Checks::All {
            return;
        }
        findings.at_rest = now - self.last_activity >= self.bounds.rest;
        self.sweep(store, findings);
        let rest = rest::Rest { now, bounds: &self.bounds, log: &self.log, nodes: &self.nodes, store };
        rest.check(findings);
    }
}
