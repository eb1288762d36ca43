//! What is remembered of a spec: verdicts and raw scores of node-local plugins, by node. Good for as long
//! as the node's generation stands.

use super::plugin::{Candidates, Cycle, NodeId, Point, State, Verdicts, Why};
use super::profile::Profile;
use super::snapshot::Snapshot;
use rustc_hash::FxHashMap;

/// Specs remembered at once; the one used longest ago makes room. Limit of memory, not of correctness.
const SPECS_MAX: usize = 64;

/// What is known of one node.
#[derive(Clone, Copy, Default)]
struct Answer {
    /// The generation of the verdict; 0 is never one.
    judged: u64,
    /// The generation of the scores.
    scored: u64,
    /// The weighted sum of the scores that stand as they are.
    sum: i64,
    why: Why,
}

/// Answers about one spec.
#[derive(Default)]
struct Answers {
    used: u64,
    verdicts: Verdicts,
    /// By node slot.
    by_node: Vec<Answer>,
    /// By local plugin that normalizes (in their order), by node slot: raw scores.
    raw: Vec<Vec<i64>>,
    /// The local score plugins that took part when this was noted.
    running: Vec<usize>,
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
    /// Local score plugins whose scores stand as they are.
    final_scores: Vec<usize>,
    /// The others.
    raw_scores: Vec<usize>,
}

impl Memory {
    /// The spec of which nothing is remembered.
    pub(super) const NOBODY: u32 = 0;

    pub(super) fn new(profile: &Profile) -> Self {
        let filters: Vec<usize> = profile.order.get(&Point::Filter).cloned().unwrap_or_default();
        let local = |at: &usize| profile.plugins[*at].local();
        let split = filters.iter().position(|at| !local(at)).unwrap_or(filters.len());
        let scores = profile.order.get(&Point::Score).cloned().unwrap_or_default();
        let is_final = |at: &usize| profile.plugins[*at].scores_are_final();
        let (final_scores, raw_scores) = scores.into_iter().filter(local).partition(is_final);
        Memory {
            by_spec: FxHashMap::default(),
            current: Answers::default(),
            current_id: 0,
            clock: 0,
            local_filters: filters[..split].to_vec(),
            global_filters: filters[split..].to_vec(),
            final_scores,
            raw_scores,
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
        if answers.by_node.len() != slots {
            answers.by_node.resize(slots, Answer::default());
            answers.raw.resize_with(self.raw_scores.len(), Vec::new);
            answers.raw.iter_mut().for_each(|column| column.resize(slots, 0));
        }
    }

    pub(super) fn verdicts(&self) -> &Verdicts {
        &self.current.verdicts
    }

    pub(super) fn verdicts_mut(&mut self) -> (&[usize], &mut Verdicts) {
        (&self.global_filters, &mut self.current.verdicts)
    }

    /// Whether a filter of which nothing is remembered takes part.
    pub(super) fn has_global_filters(&self, skip: &[bool]) -> bool {
        self.global_filters.iter().any(|at| !skip[*at])
    }

    /// What is remembered of the node, if it is still true.
    pub(super) fn known(&self, snapshot: &Snapshot, node: NodeId) -> Option<Why> {
        let answer = &self.current.by_node[node.at()];
        (answer.judged == snapshot.generation[node.at()]).then_some(answer.why)
    }

    /// Asks the local filters about nodes of which nothing true is remembered, and says of all what they said.
    pub(super) fn judge(
        &mut self,
        profile: &Profile,
        cycle: Cycle<'_>,
        skip: &[bool],
        nodes: &[NodeId],
        why: &mut [Why],
    ) {
        let answers = &mut self.current;
        let mut stale = Vec::new();
        for node in nodes {
            let answer = &answers.by_node[node.at()];
            if answer.judged == cycle.snapshot.generation[node.at()] {
                why[node.at()] = answer.why;
            } else {
                why[node.at()] = Why::FITS;
                stale.push(*node);
            }
        }
        if stale.is_empty() {
            return;
        }
        let mut alive = stale.clone();
        for at in self.local_filters.iter().filter(|at| !skip[**at]) {
            let plugin = &profile.plugins[*at];
            let mut candidates = Candidates::new(&mut alive, why, &mut answers.verdicts, plugin.name());
            plugin.filter(cycle, &None, &mut candidates);
        }
        for node in &stale {
            let answer = &mut answers.by_node[node.at()];
            (answer.judged, answer.why) = (cycle.snapshot.generation[node.at()], why[node.at()]);
        }
    }

    /// Asks the local score plugins about nodes that changed, and gives for each node the weighted sum of the scores
    /// that stand as they are.
    pub(super) fn score(
        &mut self,
        profile: &Profile,
        cycle: Cycle<'_>,
        states: &[(usize, State)],
        nodes: &[NodeId],
    ) -> Vec<i64> {
        let answers = &mut self.current;
        let generation = &cycle.snapshot.generation;
        let running = states.iter().map(|(at, _)| at);
        let running = || running.clone().filter(|at| self.final_scores.contains(at) || self.raw_scores.contains(at));
        if running().ne(&answers.running) {
            answers.by_node.iter_mut().for_each(|answer| answer.scored = 0);
            answers.running = running().copied().collect();
        }
        let is_stale = |node: &&NodeId| answers.by_node[node.at()].scored != generation[node.at()];
        let stale: Vec<NodeId> = nodes.iter().filter(is_stale).copied().collect();
        if !stale.is_empty() {
            let runs = |at: &&usize| answers.running.contains(at);
            let mut scores = vec![0; stale.len()];
            let mut sums = vec![0; stale.len()];
            for at in self.final_scores.iter().filter(runs) {
                scores.fill(0);
                profile.plugins[*at].score(cycle, &None, &stale, &mut scores);
                sums.iter_mut().zip(&scores).for_each(|(sum, score)| *sum += score * profile.weights[*at]);
            }
            for (at, column) in self.raw_scores.iter().zip(&mut answers.raw).filter(|(at, _)| runs(at)) {
                scores.fill(0);
                profile.plugins[*at].score(cycle, &None, &stale, &mut scores);
                stale.iter().zip(&scores).for_each(|(node, score)| column[node.at()] = *score);
            }
            for (node, sum) in stale.iter().zip(sums) {
                let answer = &mut answers.by_node[node.at()];
                (answer.scored, answer.sum) = (generation[node.at()], sum);
            }
        }
        nodes.iter().map(|node| answers.by_node[node.at()].sum).collect()
    }

    /// Whether the plugin's scores are part of the sums of [`Self::score`].
    pub(super) fn in_sums(&self, plugin: usize) -> bool {
        self.final_scores.contains(&plugin)
    }

    /// The raw scores of a local plugin that normalizes; false if it is not one.
    pub(super) fn raw_scores(&self, plugin: usize, nodes: &[NodeId], out: &mut [i64]) -> bool {
        let Some(column) = self.raw_scores.iter().position(|at| *at == plugin) else { return false };
        for (node, score) in nodes.iter().zip(out) {
            *score = self.current.raw[column][node.at()];
        }
        true
    }
}
