//! What is remembered of a spec: verdicts and raw scores of node-local plugins, by node. Good for as long
//! as the node's generation stands.

use super::plugin::{Candidates, Cycle, NodeId, Point, State, Verdicts, Why};
use super::profile::Profile;
use rustc_hash::FxHashMap;

/// Specs remembered at once; the one used longest ago makes room. Limit of memory, not of correctness.
const SPECS_MAX: usize = 64;

/// Answers about one spec.
#[derive(Default)]
struct Answers {
    used: u64,
    verdicts: Verdicts,
    /// By node slot: generation and verdict.
    why: Vec<(u64, Why)>,
    /// By node slot: generation of the raw scores.
    scored: Vec<u64>,
    /// By local score plugin (in their order), by node slot.
    raw: Vec<Vec<i64>>,
    /// Which local score plugins are filled.
    filled: Vec<bool>,
}

/// Answers about recent specs.
pub(super) struct Memory {
    by_spec: FxHashMap<u32, Answers>,
    current: Answers,
    current_id: u32,
    clock: u64,
    /// The local filters before the first global one.
    local_filters: Vec<usize>,
    global_filters: Vec<usize>,
    local_scores: Vec<usize>,
}

impl Memory {
    /// The spec of which nothing is remembered.
    pub(super) const NOBODY: u32 = 0;

    pub(super) fn new(profile: &Profile) -> Self {
        let filters: Vec<usize> = profile.order.get(&Point::Filter).cloned().unwrap_or_default();
        let local = |at: &usize| profile.plugins[*at].local();
        let split = filters.iter().position(|at| !local(at)).unwrap_or(filters.len());
        let scores = profile.order.get(&Point::Score).cloned().unwrap_or_default();
        Memory {
            by_spec: FxHashMap::default(),
            current: Answers::default(),
            current_id: 0,
            clock: 0,
            local_filters: filters[..split].to_vec(),
            global_filters: filters[split..].to_vec(),
            local_scores: scores.into_iter().filter(local).collect(),
        }
    }

    /// Makes `spec` the current one.
    pub(super) fn open(&mut self, spec: u32, slots: usize) {
        self.clock += 1;
        if spec != self.current_id || spec == Self::NOBODY {
            let before = std::mem::take(&mut self.current);
            if self.current_id != Self::NOBODY {
                self.by_spec.insert(self.current_id, before);
            }
            self.current = self.by_spec.remove(&spec).unwrap_or_default();
            self.current_id = spec;
            if self.by_spec.len() > SPECS_MAX {
                let oldest = self.by_spec.iter().min_by_key(|(_, answers)| answers.used).map(|(id, _)| *id);
                oldest.and_then(|id| self.by_spec.remove(&id));
            }
        }
        let answers = &mut self.current;
        answers.used = self.clock;
        answers.why.resize(slots, (0, Why::FITS));
        answers.scored.resize(slots, 0);
        answers.raw.resize_with(self.local_scores.len(), Vec::new);
        answers.filled.resize(self.local_scores.len(), false);
        answers.raw.iter_mut().for_each(|column| column.resize(slots, 0));
    }

    pub(super) fn verdicts(&self) -> &Verdicts {
        &self.current.verdicts
    }

    pub(super) fn verdicts_mut(&mut self) -> (&[usize], &mut Verdicts) {
        (&self.global_filters, &mut self.current.verdicts)
    }

    pub(super) fn why(&self, node: NodeId) -> Why {
        self.current.why[node.at()].1
    }

    /// Asks the local filters about nodes that changed.
    pub(super) fn refresh_verdicts(
        &mut self,
        profile: &Profile,
        cycle: Cycle<'_>,
        skip: &[bool],
        nodes: &[NodeId],
        why: &mut [Why],
    ) {
        let answers = &mut self.current;
        let generation = |node: &NodeId| cycle.snapshot.generation[node.at()];
        let stale = |node: &&NodeId| answers.why[node.at()].0 != generation(node);
        let stale: Vec<NodeId> = nodes.iter().filter(stale).copied().collect();
        if stale.is_empty() {
            return;
        }
        stale.iter().for_each(|node| why[node.at()] = Why::FITS);
        let mut alive = stale.clone();
        for at in self.local_filters.iter().filter(|at| !skip[**at]) {
            let plugin = &profile.plugins[*at];
            let mut candidates = Candidates::new(&mut alive, why, &mut answers.verdicts, plugin.name());
            plugin.filter(cycle, &None, &mut candidates);
        }
        for node in &stale {
            answers.why[node.at()] = (generation(node), why[node.at()]);
        }
    }

    /// Asks the local score plugins about nodes that changed.
    pub(super) fn refresh_scores(
        &mut self,
        profile: &Profile,
        cycle: Cycle<'_>,
        states: &[(usize, State)],
        nodes: &[NodeId],
    ) {
        let answers = &mut self.current;
        let generation = |node: &NodeId| cycle.snapshot.generation[node.at()];
        let stale: Vec<NodeId> =
            nodes.iter().filter(|node| answers.scored[node.at()] != generation(node)).copied().collect();
        let mut scores = vec![0; stale.len()];
        for (column, at) in self.local_scores.iter().enumerate() {
            answers.filled[column] = states.iter().any(|(running, _)| running == at);
            if !answers.filled[column] {
                continue;
            }
            scores.fill(0);
            profile.plugins[*at].score(cycle, &None, &stale, &mut scores);
            for (node, score) in stale.iter().zip(&scores) {
                answers.raw[column][node.at()] = *score;
            }
        }
        stale.iter().for_each(|node| answers.scored[node.at()] = generation(node));
    }

    /// The raw scores of a local plugin; false if it is not one.
    pub(super) fn raw_scores(&self, plugin: usize, nodes: &[NodeId], out: &mut [i64]) -> bool {
        let Some(column) = self.local_scores.iter().position(|at| *at == plugin) else { return false };
        for (node, score) in nodes.iter().zip(out) {
            *score = self.current.raw[column][node.at()];
        }
        true
    }
}
