//! One decision: which node for this pod? Top to bottom in the order in which it happens
//! (`pkg/scheduler/schedule_one.go`, `schedulePod`).
//!
//! One thing to know: equal pods share work. Verdicts and raw scores of node-local plugins are kept per
//! spec and node until the node's generation moves; the answer is the same as asking again.

use super::explain::{PluginScore, Record};
use super::fit_error::FitError;
use super::memory::Memory;
use super::nominated::Nominated;
use super::plugin::{
    Candidates, Code, Cycle, NodeId, Plugin, Point, PreFilter, PreScore, Reasons, Rejection, State, Why,
};
use super::pod_info::PodInfo;
use super::preemption::Preemption;
use super::profile::Profile;
use super::snapshot::Snapshot;
use crate::model::Name;
use crate::rng::Stream;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

/// What became of a pod's turn.
pub enum Outcome {
    /// Feasible nodes in order of evaluation with their totals. A single one is not scored (0).
    Fits(Vec<(NodeId, i64)>),
    /// None.
    Unfit(Box<FitError>),
}

/// A decision and how it came about.
pub struct Decision {
    /// The outcome.
    pub outcome: Outcome,
    /// Nodes looked at: feasible ones and recorded rejections.
    pub evaluated: usize,
    /// Everything that was said, if that was asked for.
    pub record: Option<Box<Record>>,
    /// What preemption found for a pod that fits nowhere.
    pub preemption: Option<Box<Preemption>>,
}

impl Decision {
    fn fits(scored: Vec<(NodeId, i64)>, evaluated: usize, record: Option<Box<Record>>) -> Self {
        Decision { outcome: Outcome::Fits(scored), evaluated, record, preemption: None }
    }

    fn unfit(
        fit: FitError,
        preemption: Option<Box<Preemption>>,
        evaluated: usize,
        record: Option<Box<Record>>,
    ) -> Self {
        Decision { outcome: Outcome::Unfit(Box::new(fit)), evaluated, record, preemption }
    }
}

/// How many feasible nodes to look for among `nodes` (`numFeasibleNodesToFind`).
pub fn feasible_nodes_to_find(percentage: i32, nodes: usize) -> usize {
    const FEWEST: usize = 100;
    if nodes < FEWEST || percentage >= 100 {
        return nodes;
    }
    let percentage = match percentage {
        0 => (50 - nodes as i64 / 125).max(5) as usize,
        given => given as usize,
    };
    (nodes * percentage / 100).max(FEWEST)
}

/// The winner among scored nodes: the highest total and, among equals, the one that comes first in
/// pre-order when the list is read as a binary heap. That is what the root is after upstream's heapify,
/// since without extenders its random tie-break number is never drawn (`selectHost`).
pub fn select_host(scored: &[(NodeId, i64)]) -> Option<usize> {
    let best = scored.iter().map(|(_, total)| *total).max()?;
    let ties = scored.iter().enumerate().filter(|(_, (_, total))| *total == best).map(|(at, _)| at);
    ties.reduce(|first, other| if precedes(other, first) { other } else { first })
}

/// Whether position `a` of a heap comes before `b` in pre-order (node, left subtree, right subtree).
fn precedes(a: usize, b: usize) -> bool {
    let (a, b) = (a + 1, b + 1);
    let (depth_a, depth_b) = (a.ilog2(), b.ilog2());
    let common = depth_a.min(depth_b);
    let (top_a, top_b) = (a >> (depth_a - common), b >> (depth_b - common));
    top_a < top_b || (top_a == top_b && depth_a < depth_b)
}

/// A profile at work: with what it remembers between pods.
pub struct Framework {
    /// The profile.
    pub profile: Profile,
    pub(super) memory: Memory,
    pub(super) why: Vec<Why>,
    /// Where the next search begins.
    pub next_start: usize,
    /// Where preemption begins to look; without it, at the first possible node.
    pub offsets: Option<Stream>,
}

/// What PreFilter left: per plugin its state, or that it has nothing to say.
#[derive(Default)]
pub(super) struct Prepared {
    pub(super) states: Vec<State>,
    pub(super) skip: Vec<bool>,
    names: Option<BTreeSet<Name>>,
    absent: Option<Rejection>,
    restricting: Vec<&'static str>,
}

impl Prepared {
    /// A copy, for trying things out.
    pub(super) fn duplicate(&self) -> Prepared {
        Prepared {
            states: self.states.iter().map(|state| state.as_deref().map(|state| state.duplicate())).collect(),
            skip: self.skip.clone(),
            names: None,
            absent: None,
            restricting: Vec::new(),
        }
    }
}

impl Framework {
    /// Puts a profile to work on `snapshot`.
    pub fn new(profile: Profile, snapshot: &mut Snapshot) -> Self {
        use super::pod_info::Numbering;
        for key in profile.plugins.iter().flat_map(|plugin| plugin.topology_keys()) {
            snapshot.topology(&key);
        }
        let memory = Memory::new(&profile);
        Framework { profile, memory, why: Vec::new(), next_start: 0, offsets: None }
    }

    /// Decides where `pod` goes. With `explain`, everything that plugins say is kept.
    pub fn decide(&mut self, snapshot: &mut Snapshot, nominated: &Nominated, pod: &PodInfo, explain: bool) -> Decision {
        snapshot.refresh();
        let nodes = snapshot.order().len();
        let mut record = explain.then(|| Box::new(Record::default()));
        if nodes == 0 {
            return Decision::unfit(FitError::default(), None, 0, record);
        }
        // A pod that names its node has answers of its own: they are not those of its spec.
        let spec = if pod.pod.node.is_some() { Memory::NOBODY } else { pod.spec.id };
        self.memory.open(spec, snapshot.nodes.len());
        self.why.resize(snapshot.nodes.len(), Why::FITS);
        let prepared = match self.pre_filter(snapshot, pod) {
            Ok(prepared) => prepared,
            Err(rejection) => {
                let mut fit = FitError { nodes, pre_filter: Some(rejection), ..FitError::default() };
                let preemption = self.post_filter(snapshot, nominated, pod, &Prepared::default(), &mut fit);
                return Decision::unfit(fit, preemption, 0, record);
            }
        };
        if let Some(node) = pod.pod.status.nominated_node.as_ref().and_then(|name| snapshot.find(name))
            && !self.search(snapshot, nominated, pod, &prepared, &[node], 0, 1).0.is_empty()
        {
            if let Some(record) = &mut record {
                record.nominated = Some(snapshot.name(node).clone());
            }
            return Decision::fits(vec![(node, 0)], 1, record);
        }
        let (feasible, rejected) = self.find_feasible(snapshot, nominated, pod, &prepared);
        let evaluated = feasible.len() + rejected.len();
        self.next_start = (self.next_start + evaluated) % nodes;
        if let Some(record) = &mut record {
            record.note_filters(snapshot, &feasible, &rejected, self.memory.verdicts(), &prepared.absent);
        }
        if feasible.is_empty() {
            let (verdicts, absent) = (self.memory.verdicts().clone(), prepared.absent.clone());
            let restricting = prepared.restricting.clone();
            let mut fit = FitError { nodes, rejected, verdicts, absent, restricting, ..FitError::default() };
            let preemption = self.post_filter(snapshot, nominated, pod, &prepared, &mut fit);
            return Decision::unfit(fit, preemption, evaluated, record);
        }
        if feasible.len() == 1 && record.is_none() {
            return Decision::fits(vec![(feasible[0], 0)], evaluated, record);
        }
        let totals = self.score(snapshot, pod, &feasible, record.as_deref_mut());
        Decision::fits(feasible.into_iter().zip(totals).collect(), evaluated, record)
    }

    /// The first of `nodes` that no filter rejects, without a look at scores.
    ///
    /// # Errors
    /// The reasons of the last node's rejection, or of the pod's as a whole.
    pub fn first_fit(
        &mut self,
        snapshot: &mut Snapshot,
        nominated: &Nominated,
        pod: &PodInfo,
        nodes: &[NodeId],
    ) -> Result<NodeId, Vec<Name>> {
        snapshot.refresh();
        let spec = if pod.pod.node.is_some() { Memory::NOBODY } else { pod.spec.id };
        self.memory.open(spec, snapshot.nodes.len());
        self.why.resize(snapshot.nodes.len(), Why::FITS);
        let prepared = self.pre_filter(snapshot, pod).map_err(|rejection| rejection.reasons.to_vec())?;
        let named = |id: &&NodeId| prepared.names.as_ref().is_none_or(|names| names.contains(snapshot.name(**id)));
        let nodes: Vec<NodeId> = nodes.iter().filter(named).copied().collect();
        let (feasible, rejected) = self.search(snapshot, nominated, pod, &prepared, &nodes, 0, 1);
        let why = || {
            let said = rejected.last().and_then(|(_, why)| self.memory.verdicts().get(*why));
            said.or(prepared.absent.as_ref()).map(|rejection| rejection.reasons.to_vec()).unwrap_or_default()
        };
        feasible.first().copied().ok_or_else(why)
    }

    /// Tells the plugins where the pod goes; the annotation that its binding writes.
    pub fn assign(&self, snapshot: &Snapshot, pod: &PodInfo, node: NodeId) -> Option<(Name, Name)> {
        let told = self.profile.at(Point::Reserve).map(|(_, plugin)| plugin.assign(Cycle { pod, snapshot }, node));
        told.fold(None, |first, note| first.or(note))
    }

    /// Looks for feasible nodes: among those that PreFilter named, or from where the last search ended.
    fn find_feasible(
        &mut self,
        snapshot: &mut Snapshot,
        nominated: &Nominated,
        pod: &PodInfo,
        prepared: &Prepared,
    ) -> (Vec<NodeId>, Vec<(NodeId, Why)>) {
        let list: Arc<Vec<NodeId>> = match &prepared.names {
            Some(names) => Arc::new(names.iter().filter_map(|name| snapshot.find(name)).collect()),
            None => snapshot.order().clone(),
        };
        let start = self.next_start % list.len().max(1);
        let wanted = feasible_nodes_to_find(self.profile.percentage_of_nodes_to_score, list.len());
        self.search(snapshot, nominated, pod, prepared, &list, start, wanted)
    }

    /// PostFilter: preemption, if the profile has it; and what the others have to say if it finds nothing
    /// (`pkg/scheduler/framework/runtime/framework.go`, `RunPostFilterPlugins`).
    fn post_filter(
        &mut self,
        snapshot: &mut Snapshot,
        nominated: &Nominated,
        pod: &PodInfo,
        prepared: &Prepared,
        fit: &mut FitError,
    ) -> Option<Box<Preemption>> {
        let mut found = None;
        let mut messages: Vec<String> = Vec::new();
        let cut_short = fit.pre_filter.as_ref().is_some_and(|rejection| rejection.code == Code::Unresolvable);
        for at in self.profile.order.get(&Point::PostFilter).cloned().unwrap_or_default() {
            if self.profile.plugins[at].name() == "DefaultPreemption" {
                let preemption = self.preempt(snapshot, nominated, pod, prepared, fit);
                if preemption.chosen.is_some() {
                    return Some(Box::new(preemption));
                }
                messages.push(format!("preemption: {}", preemption.message));
                found = Some(Box::new(preemption));
            } else {
                match self.profile.plugins[at].post_filter(Cycle { pod, snapshot }, cut_short) {
                    Ok(said) => messages.extend(said.map(|message| message.to_string())),
                    Err(message) => {
                        fit.post_filter = message.to_string();
                        return None;
                    }
                }
            }
        }
        fit.post_filter = messages.join(", ");
        found
    }

    /// Runs PreFilter: the first unresolvable rejection ends it, an ordinary one is kept while the others
    /// still run (`pkg/scheduler/framework/runtime/framework.go`, `RunPreFilterPlugins`).
    fn pre_filter(&self, snapshot: &Snapshot, pod: &PodInfo) -> Result<Prepared, Rejection> {
        let cycle = Cycle { pod, snapshot };
        let count = self.profile.plugins.len();
        let mut prepared = Prepared {
            states: (0..count).map(|_| None).collect(),
            skip: vec![false; count],
            names: None,
            absent: None,
            restricting: Vec::new(),
        };
        let mut restricting: Vec<&'static str> = Vec::new();
        let mut rejected: Option<Rejection> = None;
        for (at, plugin) in self.profile.at(Point::PreFilter) {
            match plugin.pre_filter(cycle) {
                PreFilter::Skip => prepared.skip[at] = true,
                PreFilter::Run(state) => prepared.states[at] = state,
                PreFilter::Nodes(state, names) => {
                    prepared.states[at] = state;
                    restricting.push(plugin.name());
                    prepared.names = Some(match prepared.names.take() {
                        Some(before) => before.intersection(&names).cloned().collect(),
                        None => names,
                    });
                    if prepared.names.as_ref().is_some_and(BTreeSet::is_empty) {
                        return Err(no_common_nodes(&restricting));
                    }
                }
                PreFilter::Reject(code, reasons) => {
                    let rejection = Rejection { code, plugin: plugin.name(), reasons };
                    if code == Code::Unresolvable {
                        return Err(rejection);
                    }
                    rejected = Some(rejection);
                }
            }
        }
        if !restricting.is_empty() {
            restricting.sort_unstable();
            let reason = Name::from(format!("node(s) didn't satisfy plugin(s) [{}]", restricting.join(" ")));
            prepared.absent =
                Some(Rejection { code: Code::Unresolvable, plugin: "", reasons: Reasons::from_elem(reason, 1) });
        }
        prepared.restricting = restricting;
        rejected.map_or(Ok(prepared), Err)
    }

    /// Looks for `wanted` feasible nodes from `start` on, wrapping around. One more than wanted ends the
    /// search and is not used; what was rejected before it keeps its verdict.
    #[expect(clippy::too_many_arguments, reason = "the inputs of a search, named at its two calls")]
    fn search(
        &mut self,
        snapshot: &mut Snapshot,
        nominated: &Nominated,
        pod: &PodInfo,
        prepared: &Prepared,
        nodes: &[NodeId],
        start: usize,
        wanted: usize,
    ) -> (Vec<NodeId>, Vec<(NodeId, Why)>) {
        const SMALLEST_CHUNK: usize = 32;
        let (mut feasible, mut rejected) = (Vec::with_capacity(wanted.min(nodes.len())), Vec::new());
        let mut crowded: Vec<NodeId> = nominated.nodes().filter_map(|name| snapshot.find(name)).collect();
        crowded.sort_unstable();
        let remembered = crowded.is_empty() && !self.memory.has_global_filters(&prepared.skip);
        let (before, after) = nodes.split_at(start);
        let mut rest = after.iter().chain(before).copied();
        let mut chunk: Vec<NodeId> = Vec::new();
        loop {
            chunk.clear();
            // Where the local filters decide alone, what they said is enough.
            for node in rest.by_ref().take(if remembered { usize::MAX } else { 0 }) {
                match self.memory.known(snapshot, node) {
                    None => {
                        chunk.push(node);
                        break;
                    }
                    Some(why) if !why.fits() => rejected.push((node, why)),
                    Some(_) if feasible.len() == wanted => return (feasible, rejected),
                    Some(_) => feasible.push(node),
                }
            }
            let size = if remembered { SMALLEST_CHUNK } else { (wanted + 1 - feasible.len()).max(SMALLEST_CHUNK) };
            chunk.extend(rest.by_ref().take(size));
            if chunk.is_empty() {
                return (feasible, rejected);
            }
            self.judge(snapshot, nominated, pod, prepared, &chunk, &crowded);
            for node in &chunk {
                let why = self.why[node.at()];
                if !why.fits() {
                    rejected.push((*node, why));
                } else if feasible.len() == wanted {
                    return (feasible, rejected);
                } else {
                    feasible.push(*node);
                }
            }
        }
    }

    /// Filters a chunk of nodes into `self.why`. On `crowded` nodes there are nominated pods.
    fn judge(
        &mut self,
        snapshot: &mut Snapshot,
        nominated: &Nominated,
        pod: &PodInfo,
        prepared: &Prepared,
        chunk: &[NodeId],
        crowded: &[NodeId],
    ) {
        let cycle = Cycle { pod, snapshot };
        self.memory.judge(&self.profile, cycle, &prepared.skip, chunk, &mut self.why);
        if self.memory.has_global_filters(&prepared.skip) {
            let mut alive: Vec<NodeId> = chunk.iter().copied().filter(|node| self.why[node.at()].fits()).collect();
            let (rest, verdicts) = self.memory.verdicts_mut();
            run_filters(&self.profile, rest, cycle, prepared, &mut alive, &mut self.why, verdicts);
        }
        for node in chunk.iter().filter(|node| crowded.binary_search(node).is_ok()) {
            self.judge_with_nominated(snapshot, nominated, pod, prepared, *node);
        }
    }

    /// On a node with nominated pods of equal or higher priority the pod must fit with them and without
    /// them; the rejection with them is the one reported (`RunFilterPluginsWithNominatedPods`).
    pub(super) fn judge_with_nominated(
        &mut self,
        snapshot: &mut Snapshot,
        nominated: &Nominated,
        pod: &PodInfo,
        prepared: &Prepared,
        node: NodeId,
    ) {
        let others = nominated.rivals(snapshot.name(node), &pod.pod);
        if others.is_empty() {
            return;
        }
        let saved = snapshot.save(node);
        let mut with = prepared.duplicate();
        for other in &others {
            let other = Arc::new(snapshot.compile(other));
            snapshot.add_to_node(node, &other);
            let cycle = Cycle { pod, snapshot };
            for (at, plugin) in self.profile.at(Point::PreFilter).filter(|(at, _)| !prepared.skip[*at]) {
                plugin.add_pod(cycle, &mut with.states[at], &other, node);
            }
        }
        let all: Vec<usize> = self.profile.order.get(&Point::Filter).cloned().unwrap_or_default();
        let cycle = Cycle { pod, snapshot };
        let mut alive = vec![node];
        let without = std::mem::take(&mut self.why[node.at()]);
        let (_, verdicts) = self.memory.verdicts_mut();
        run_filters(&self.profile, &all, cycle, &with, &mut alive, &mut self.why, verdicts);
        if self.why[node.at()].fits() {
            self.why[node.at()] = without;
        }
        snapshot.restore(saved);
    }

    /// Scores the feasible nodes: raw, normalized, weighted, added up.
    fn score(
        &mut self,
        snapshot: &Snapshot,
        pod: &PodInfo,
        feasible: &[NodeId],
        mut record: Option<&mut Record>,
    ) -> Vec<i64> {
        let cycle = Cycle { pod, snapshot };
        let order = self.profile.order.get(&Point::Score).cloned().unwrap_or_default();
        let mut states: Vec<(usize, State)> = Vec::with_capacity(order.len());
        let has_pre_score = |at: &usize| self.profile.order.get(&Point::PreScore).is_some_and(|list| list.contains(at));
        for at in order {
            let plugin = &self.profile.plugins[at];
            match if has_pre_score(&at) { plugin.pre_score(cycle, feasible) } else { PreScore::Run(None) } {
                PreScore::Skip => {}
                PreScore::Run(state) => states.push((at, state)),
            }
        }
        let mut totals = match record {
            None => self.memory.score(&self.profile, cycle, &states, feasible),
            Some(_) => vec![0; feasible.len()],
        };
        let mut scores = vec![0; feasible.len()];
        for (at, state) in &states {
            let plugin = &self.profile.plugins[*at];
            // For a record, each plugin is asked for itself.
            if record.is_none() && self.memory.in_sums(*at) {
                continue;
            }
            if record.is_some() || !self.memory.raw_scores(*at, feasible, &mut scores) {
                scores.fill(0);
                plugin.score(cycle, state, feasible, &mut scores);
            }
            let raw = record.is_some().then(|| scores.clone());
            plugin.normalize(cycle, state, feasible, &mut scores);
            let weight = self.profile.weights[*at];
            for (total, score) in totals.iter_mut().zip(&scores) {
                *total += score * weight;
            }
            if let (Some(record), Some(raw)) = (record.as_deref_mut(), raw) {
                let each = raw.iter().zip(&scores);
                let scores = each.map(|(raw, normalized)| (*raw, *normalized, normalized * weight)).collect();
                record.scores.push(PluginScore { plugin: plugin.name(), weight, scores });
            }
        }
        totals
    }
}

/// Runs filters over nodes that are still alive; rejections go to `why`.
pub(super) fn run_filters(
    profile: &Profile,
    filters: &[usize],
    cycle: Cycle<'_>,
    prepared: &Prepared,
    alive: &mut Vec<NodeId>,
    why: &mut [Why],
    verdicts: &mut super::plugin::Verdicts,
) {
    for at in filters.iter().filter(|at| !prepared.skip[**at]) {
        if alive.is_empty() {
            return;
        }
        let plugin: &Rc<dyn Plugin> = &profile.plugins[*at];
        let mut nodes = Candidates::new(alive, why, verdicts, plugin.name());
        plugin.filter(cycle, &prepared.states[*at], &mut nodes);
    }
}

fn no_common_nodes(plugins: &[&'static str]) -> Rejection {
    let text = match plugins {
        [one] => format!("node(s) didn't satisfy plugin {one}"),
        many => format!("node(s) didn't satisfy plugins [{}] simultaneously", many.join(" ")),
    };
    Rejection { code: Code::Unresolvable, plugin: "", reasons: Reasons::from_elem(Name::from(text), 1) }
}
