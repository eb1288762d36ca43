//! The experiment of "Beware of Fragmentation" (USENIX ATC'23): pods arrive one after another on a cluster
//! of shared GPUs, each is placed at once by one policy or dropped, none ever leaves.
//!
//! There is no time in it, so it needs no cluster: the loop below asks the decision functions of the
//! scheduler's plugins. Among nodes of equal score the one that comes first in the given order wins.

pub mod curve;
pub mod trace;

use crate::rng::Stream;
use crate::scheduler::gpu::typical::{TypicalPod, typical};
use crate::scheduler::gpu::{Devices, GpuAsk, GpuNode};
use crate::scheduler::plugins::best_fit::Space;
use crate::scheduler::plugins::fgd::Fragments;
use crate::scheduler::plugins::{best_fit, dot_prod, fgd, gpu_clustering, gpu_packing};
use trace::{TraceNode, TracePod};

/// The largest machine of the trace: 128 CPUs and 8 devices. Memory does not count.
const LARGEST: Space = Space { milli_cpu: 128_000, memory: 0, gpu: 8_000 };

/// Who decides.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Policy {
    /// Any node that fits, each as likely; so with the device.
    Random,
    /// [`dot_prod`].
    DotProd,
    /// [`gpu_clustering`].
    GpuClustering,
    /// [`gpu_packing`].
    GpuPacking,
    /// [`best_fit`].
    BestFit,
    /// [`fgd`].
    Fgd,
}

impl Policy {
    /// Those that draw nothing: the same order of pods and nodes gives the same placements.
    pub const DETERMINISTIC: [Policy; 5] =
        [Policy::DotProd, Policy::GpuClustering, Policy::GpuPacking, Policy::BestFit, Policy::Fgd];

    /// Its name in recordings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Policy::Random => "Random",
            Policy::DotProd => "DotProd",
            Policy::GpuClustering => "GpuClustering",
            Policy::GpuPacking => "GpuPacking",
            Policy::BestFit => "BestFit",
            Policy::Fgd => "FGD",
        }
    }

    /// The raw score of a node that can hold `ask`, and the devices the pod would get there.
    fn score(self, node: &GpuNode, fragments: f64, ask: &GpuAsk, typical: &[TypicalPod]) -> (i64, Devices) {
        let left = Space::left(node);
        let demand = Space::demand(ask, 0);
        let score = match self {
            Policy::Fgd => return fgd::score(node, fragments, ask, typical),
            Policy::Random => 0,
            Policy::DotProd => dot_prod::score(&left, &demand, &LARGEST),
            Policy::GpuClustering => gpu_clustering::score(node, ask, LARGEST.gpu),
            Policy::GpuPacking => gpu_packing::score(node, ask),
            Policy::BestFit => best_fit::raw(&left, &demand, &LARGEST),
        };
        (score, node.best_fit(ask))
    }
}

/// Where a pod went.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Placement {
    /// The node, by its place in the given order.
    pub node: usize,
    /// Its devices.
    pub devices: Devices,
}

/// The cluster after one pod was tried.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Moment {
    /// Thousandths of devices that all pods so far asked for.
    pub arrived: i64,
    /// Thousandths in use.
    pub allocated: i64,
    /// Fragmentation over all nodes, in thousandths of a device.
    pub fragments: f64,
}

/// What an experiment came to.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// Per pod in order of arrival; `None` was dropped.
    pub placements: Vec<Option<Placement>>,
    /// Per pod in order of arrival.
    pub moments: Vec<Moment>,
    /// Thousandths of devices of the whole cluster.
    pub capacity: i64,
}

/// A raw score, good while the node's generation stands; negative where the pod does not fit.
#[derive(Clone, Copy, Default)]
struct Known {
    generation: u32,
    score: i16,
}

/// The cluster during an experiment.
struct Bench<'a> {
    policy: Policy,
    nodes: Vec<GpuNode>,
    typical: Vec<TypicalPod>,
    fragments: Vec<f64>,
    generation: Vec<u32>,
    /// Distinct asks, sorted; scores are kept for each.
    asks: Vec<&'a GpuAsk>,
    known: Vec<Vec<Known>>,
}

/// Places `arrivals` (which may repeat pods of `workload` under other names) on `nodes`. The workload is what
/// fragmentation is measured against. Only [`Policy::Random`] draws from `stream`.
pub fn run(
    policy: Policy,
    nodes: &[TraceNode],
    workload: &[TracePod],
    arrivals: &[&TracePod],
    stream: &mut Stream,
) -> Run {
    let mut bench = Bench::new(policy, nodes, workload, arrivals);
    let capacity = bench.nodes.iter().map(GpuNode::free_total).sum();
    let mut result = Run { capacity, ..Run::default() };
    let mut total: f64 = bench.fragments.iter().sum();
    let (mut arrived, mut allocated) = (0, 0);
    for pod in arrivals {
        let placement = bench.decide(pod, stream);
        arrived += pod.ask.total();
        if let Some(placement) = &placement {
            allocated += pod.ask.total();
            let before = bench.fragments[placement.node];
            bench.place(pod, placement);
            total += bench.fragments[placement.node] - before;
        }
        result.placements.push(placement);
        result.moments.push(Moment { arrived, allocated, fragments: total });
    }
    result
}

impl<'a> Bench<'a> {
    fn new(policy: Policy, nodes: &[TraceNode], workload: &[TracePod], arrivals: &[&'a TracePod]) -> Self {
        let typical = typical(workload.iter().map(|pod| &pod.ask));
        let nodes: Vec<GpuNode> = nodes.iter().map(TraceNode::idle).collect();
        let mut asks: Vec<&GpuAsk> = arrivals.iter().map(|pod| &pod.ask).collect();
        asks.sort_unstable();
        asks.dedup();
        Bench {
            policy,
            fragments: nodes.iter().map(|node| Fragments::of(node, &typical).total()).collect(),
            generation: vec![1; nodes.len()],
            known: vec![vec![Known::default(); nodes.len()]; asks.len()],
            asks,
            typical,
            nodes,
        }
    }

    fn decide(&mut self, pod: &TracePod, stream: &mut Stream) -> Option<Placement> {
        let at = self.asks.binary_search(&&pod.ask).expect("all asks of the arrivals were collected");
        let (mut feasible, mut scores) = (Vec::new(), Vec::new());
        for (index, node) in self.nodes.iter().enumerate() {
            let known = &mut self.known[at][index];
            if known.generation != self.generation[index] {
                let fits = node.milli_cpu >= pod.ask.milli_cpu && node.holds(&pod.ask);
                let score = match fits {
                    true => self.policy.score(node, self.fragments[index], &pod.ask, &self.typical).0,
                    false => -1,
                };
                let score = i16::try_from(score).expect("raw scores are within 0-133");
                *known = Known { generation: self.generation[index], score };
            }
            if known.score >= 0 && node.memory >= pod.memory {
                feasible.push(index);
                scores.push(i64::from(known.score));
            }
        }
        if feasible.is_empty() {
            return None;
        }
        if self.policy == Policy::Random {
            let node = feasible[stream.below(feasible.len() as u64) as usize];
            return Some(Placement { node, devices: self.nodes[node].any_fit(&pod.ask, stream) });
        }
        if self.policy == Policy::BestFit {
            best_fit::normalize(&mut scores);
        }
        let best = scores.iter().copied().max()?;
        let node = feasible[scores.iter().position(|score| *score == best)?];
        let devices = self.policy.score(&self.nodes[node], self.fragments[node], &pod.ask, &self.typical).1;
        Some(Placement { node, devices })
    }

    fn place(&mut self, pod: &TracePod, placement: &Placement) {
        let node = &mut self.nodes[placement.node];
        node.take(&pod.ask, &placement.devices);
        node.memory -= pod.memory;
        self.fragments[placement.node] = Fragments::of(node, &self.typical).total();
        self.generation[placement.node] += 1;
    }
}
