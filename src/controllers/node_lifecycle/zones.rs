//! Zones: how badly each is hit, and how fast its nodes may be tainted
//! (`pkg/controller/nodelifecycle/scheduler/rate_limited_queue.go`,
//! `pkg/controller/nodelifecycle/node_lifecycle_controller.go`).

use crate::engine::TokenBucket;
use crate::model::{Name, Node, Truth};
use crate::time::{SimDuration, SimTime};
use std::collections::BTreeSet;

/// How badly a zone is hit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ZoneState {
    /// Not judged yet.
    Initial,
    /// Most nodes are well.
    Normal,
    /// More than two nodes, and at least the threshold's share, are not ready.
    PartialDisruption,
    /// No node is ready.
    FullDisruption,
}

/// How fast nodes are tainted, and when a zone counts as disrupted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EvictionRates {
    /// `--node-eviction-rate` in thousandths of a node a second.
    pub milli_qps: i64,
    /// `--secondary-node-eviction-rate`, for large zones partly disrupted.
    pub secondary_milli_qps: i64,
    /// `--large-cluster-size-threshold` in nodes.
    pub large_zone_nodes: usize,
    /// `--unhealthy-zone-threshold` in thousandths.
    pub unhealthy_thousandths: usize,
}

impl Default for EvictionRates {
    fn default() -> Self {
        EvictionRates { milli_qps: 100, secondary_milli_qps: 10, large_zone_nodes: 50, unhealthy_thousandths: 550 }
    }
}

impl EvictionRates {
    /// Judges a zone by its nodes' Ready conditions; a missing one counts as not ready. Also says how many
    /// are not ready (`ComputeZoneState`).
    pub fn judge(&self, nodes: &[Option<Truth>]) -> (usize, ZoneState) {
        let ready = nodes.iter().filter(|ready| **ready == Some(Truth::True)).count();
        let not_ready = nodes.len() - ready;
        let state = if ready == 0 && not_ready > 0 {
            ZoneState::FullDisruption
        } else if not_ready > 2 && not_ready * 1000 >= self.unhealthy_thousandths * nodes.len() {
            ZoneState::PartialDisruption
        } else {
            ZoneState::Normal
        };
        (not_ready, state)
    }

    /// The rate of a zone of that many nodes in that state, in thousandths a second.
    pub fn rate(&self, nodes: usize, state: ZoneState) -> i64 {
        match state {
            ZoneState::PartialDisruption if nodes > self.large_zone_nodes => self.secondary_milli_qps,
            ZoneState::PartialDisruption => 0,
            _ => self.milli_qps,
        }
    }
}

/// One node at a time. Upstream keeps the rate in single precision, so 0.01 a second is a hair slower than one
/// in 100 s: at 100 s sharp there is no token yet.
fn limiter(milli_qps: i64) -> Option<TokenBucket> {
    let rate = f64::from(milli_qps as f32 / 1000.0);
    (milli_qps > 0).then(|| TokenBucket::every(SimDuration((1e9 / rate).ceil() as i64), 1))
}

/// The zone of a node: region and zone together; empty when it has neither (`GetZoneKey`).
pub fn zone_of(node: &Node) -> Name {
    let label = |key: &str| node.meta.labels.get(key).map(Name::as_str).unwrap_or_default();
    let (region, zone) = (label("topology.kubernetes.io/region"), label("topology.kubernetes.io/zone"));
    if region.is_empty() && zone.is_empty() { Name::new() } else { Name::from(format!("{region}:\0:{zone}")) }
}

/// The nodes of one zone that wait for their `NoExecute` taint. A node that was let through stays known, so
/// that it is not queued twice, until it is taken off.
#[derive(Clone, Debug)]
pub struct TaintQueue {
    waiting: Vec<Name>,
    known: BTreeSet<Name>,
    /// Thousandths a second; 0 stops.
    pub milli_qps: i64,
    limiter: Option<TokenBucket>,
}

impl TaintQueue {
    /// An empty queue at that rate.
    pub fn new(milli_qps: i64) -> Self {
        TaintQueue { waiting: Vec::new(), known: BTreeSet::new(), milli_qps, limiter: limiter(milli_qps) }
    }

    /// Queues a node that is not known yet.
    pub fn add(&mut self, node: &Name) {
        if self.known.insert(node.clone()) {
            self.waiting.push(node.clone());
        }
    }

    /// Takes a node off.
    pub fn remove(&mut self, node: &Name) {
        if self.known.remove(node) {
            self.waiting.retain(|waiting| waiting != node);
        }
    }

    /// The nodes that wait, first come first served.
    pub fn waiting(&self) -> &[Name] {
        &self.waiting
    }

    /// Lets the first node through if the rate allows one now.
    pub fn pop(&mut self, now: SimTime) -> Option<Name> {
        if self.waiting.is_empty() || !self.limiter.as_mut().is_some_and(|limiter| limiter.try_take(now)) {
            return None;
        }
        Some(self.waiting.remove(0))
    }

    /// When the rate allows the next node, if one waits.
    pub fn next_pop(&self, now: SimTime) -> Option<SimTime> {
        let limiter = self.limiter.filter(|_| !self.waiting.is_empty());
        limiter.map(|mut limiter| limiter.take(now))
    }

    /// Changes the rate; a spent token stays spent (`SwapLimiter`).
    pub fn set_rate(&mut self, milli_qps: i64, now: SimTime) {
        if self.milli_qps == milli_qps {
            return;
        }
        let token = self.limiter.as_mut().is_some_and(|limiter| limiter.try_take(now));
        self.milli_qps = milli_qps;
        self.limiter = limiter(milli_qps);
        if let Some(limiter) = self.limiter.as_mut().filter(|_| !token) {
            limiter.take(now);
        }
    }
}
