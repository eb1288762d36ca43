//! FGD: the node, and on it the device, where the pod leaves the least new fragmentation behind
//! (fragmentation gradient descent; "Beware of Fragmentation", USENIX ATC'23,
//! `pkg/simulator/plugin/fgd_score.go` and `pkg/utils/frag.go` of its simulator).
//!
//! A node with 2 CPUs and devices 1000 and 400 free, and a workload of which half asks for 500 of a device
//! and half for a whole one: both kinds fit, the 400 are a fragment for both. A pod of 400 is worth 400 there
//! (the fragment goes), a pod of 500 costs 500 (the rest of the whole device serves only half as many).
//!
//! The formula is in floating point upstream and ties depend on its bits, so the order of sums is kept;
//! the exponential is the portable one.

use crate::model::Name;
use crate::scheduler::gpu::read::{Reader, ask, assignment};
use crate::scheduler::gpu::typical::{TypicalPod, of_counts};
use crate::scheduler::gpu::{Devices, GpuAsk, GpuNode};
use crate::scheduler::plugin::{Cycle, NodeId, Plugin, Point, State};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Free thousandths of a node's devices by what a workload can do with them: averages over the workload.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Fragments {
    /// Neither CPU nor GPU suffices.
    pub lack_both: f64,
    /// GPU does not suffice; also the devices too full for a pod that fits on others.
    pub lack_gpu: f64,
    /// Usable: no fragment.
    pub satisfied: f64,
    /// CPU does not suffice.
    pub lack_cpu: f64,
    /// A pod that wants no GPU fits: all GPU is a fragment for it.
    pub unwanted: f64,
    /// A pod that wants no GPU does not fit.
    pub unwanted_lack_cpu: f64,
    /// The model is not accepted.
    pub no_access: f64,
}

impl Fragments {
    /// Of one node.
    pub fn of(node: &GpuNode, typical: &[TypicalPod]) -> Self {
        let mut sums = Fragments::default();
        let free = node.free_total() as f64;
        for TypicalPod { ask, frequency } in typical {
            let cpu = node.milli_cpu >= ask.milli_cpu;
            if ask.milli == 0 {
                *(if cpu { &mut sums.unwanted } else { &mut sums.unwanted_lack_cpu }) += frequency * free;
                continue;
            }
            if !ask.accepts(&node.model) {
                sums.no_access += frequency * free;
                continue;
            }
            let (mut fitting, mut too_full) = (0, 0);
            for device in &node.free {
                match *device >= ask.milli {
                    true => fitting += 1,
                    false => too_full += device,
                }
            }
            match (fitting >= ask.count, cpu) {
                (true, true) => {
                    sums.lack_gpu += frequency * too_full as f64;
                    sums.satisfied += frequency * (free - too_full as f64);
                }
                (true, false) => sums.lack_cpu += frequency * free,
                (false, true) => sums.lack_gpu += frequency * free,
                (false, false) => sums.lack_both += frequency * free,
            }
        }
        sums
    }

    /// Everything but what is usable, in thousandths of a device.
    pub fn total(&self) -> f64 {
        self.lack_both + self.lack_gpu + self.lack_cpu + self.unwanted + self.unwanted_lack_cpu + self.no_access
    }
}

/// 0–100 for what the fragmentation loses: 50 when it stays. Truncated: small differences are ties.
fn gain(before: f64, after: f64) -> i64 {
    (100.0 * (1.0 / (1.0 + libm::exp(-(before - after) / 1000.0)))) as i64
}

/// The score of a node that can hold `ask`, and the devices to use there. `before` is its fragmentation now.
pub fn score(node: &GpuNode, before: f64, ask: &GpuAsk, typical: &[TypicalPod]) -> (i64, Devices) {
    let after = |devices: &[u8]| {
        let mut with = node.clone();
        with.take(ask, devices);
        gain(before, Fragments::of(&with, typical).total())
    };
    if !ask.is_share() {
        let devices = node.best_fit(ask);
        return (after(&devices), devices);
    }
    let mut best: Option<(i64, u8)> = None;
    for (at, free) in node.free.iter().enumerate() {
        // A device as full as an earlier one scores the same, and the first of the best is taken.
        if *free < ask.milli || node.free[..at].contains(free) {
            continue;
        }
        let score = after(&[at as u8]);
        if best.is_none_or(|(known, _)| score > known) {
            best = Some((score, at as u8));
        }
    }
    best.map_or((0, Devices::new()), |(score, at)| (score, Devices::from_elem(at, 1)))
}

/// The workload as far as it is known.
#[derive(Debug, Default)]
struct Workload {
    counts: BTreeMap<GpuAsk, u64>,
    typical: Arc<Vec<TypicalPod>>,
}

/// The plugin. It learns the workload from the pods it places, so each run needs its own.
#[derive(Debug, Default)]
pub struct Fgd {
    given: Option<Arc<Vec<TypicalPod>>>,
    learned: RefCell<Workload>,
    reader: Reader,
}

impl Fgd {
    /// With a workload that is known from the start; without one, it is what has been placed so far.
    pub fn new(workload: Vec<TypicalPod>) -> Self {
        Fgd { given: Some(Arc::new(workload)), ..Fgd::default() }
    }

    fn typical(&self) -> Arc<Vec<TypicalPod>> {
        let learned = || self.learned.borrow().typical.clone();
        self.given.clone().unwrap_or_else(learned)
    }

    fn learn(&self, ask: &GpuAsk) {
        let mut learned = self.learned.borrow_mut();
        *learned.counts.entry(ask.clone()).or_default() += 1;
        learned.typical = Arc::new(of_counts(learned.counts.iter().map(|(ask, n)| (ask.clone(), *n)).collect()));
    }

    fn judge(&self, cycle: Cycle<'_>, ask: &GpuAsk, node: NodeId, typical: &[TypicalPod]) -> (i64, Devices) {
        let node = self.reader.node(cycle.snapshot, node);
        self::score(&node, Fragments::of(&node, typical).total(), ask, typical)
    }
}

impl Plugin for Fgd {
    fn name(&self) -> &'static str {
        "FGD"
    }

    fn points(&self) -> &'static [Point] {
        &[Point::Score, Point::Reserve]
    }

    fn score(&self, cycle: Cycle<'_>, _: &State, nodes: &[NodeId], out: &mut [i64]) {
        let (ask, typical) = (ask(&cycle.pod.pod), self.typical());
        for (node, score) in nodes.iter().zip(out) {
            *score = self.judge(cycle, &ask, *node, &typical).0;
        }
    }

    fn assign(&self, cycle: Cycle<'_>, node: NodeId) -> Option<(Name, Name)> {
        let ask = ask(&cycle.pod.pod);
        let devices = self.judge(cycle, &ask, node, &self.typical()).1;
        if self.given.is_none() {
            self.learn(&ask);
        }
        assignment(&devices)
    }
}
