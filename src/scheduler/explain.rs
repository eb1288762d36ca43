//! Everything that was said about one pod at its scheduling moment: every node, every plugin, the winner
//! and why the tie broke so.

use super::plugin::{NodeId, Rejection, Verdicts, Why};
use super::queue::QueuedPod;
use super::snapshot::Snapshot;
use super::what_if::WhatIf;
use crate::model::Name;
use crate::time::SimTime;
use std::cell::RefCell;
use std::rc::Rc;

/// One score plugin's numbers.
#[derive(Clone, Debug)]
pub struct PluginScore {
    /// The plugin.
    pub plugin: &'static str,
    /// Its weight.
    pub weight: i64,
    /// Raw, normalized and weighted, by feasible node.
    pub scores: Vec<(i64, i64, i64)>,
}

/// What plugins said in one decision.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// The node that was taken because the pod was nominated for it.
    pub nominated: Option<Name>,
    /// Feasible nodes in order of evaluation.
    pub feasible: Vec<Name>,
    /// Rejected nodes in order of evaluation. Nodes that were not looked at are in neither list.
    pub rejected: Vec<(Name, Rejection)>,
    /// Nodes that PreFilter excluded by name share this verdict.
    pub absent: Option<Rejection>,
    /// Scores by plugin.
    pub scores: Vec<PluginScore>,
}

impl Record {
    /// Notes the verdicts.
    pub fn note_filters(
        &mut self,
        snapshot: &Snapshot,
        feasible: &[NodeId],
        rejected: &[(NodeId, Why)],
        verdicts: &Verdicts,
        absent: &Option<Rejection>,
    ) {
        self.feasible = feasible.iter().map(|node| snapshot.name(*node).clone()).collect();
        let each =
            rejected.iter().filter_map(|(node, why)| Some((snapshot.name(*node).clone(), verdicts.get(*why)?.clone())));
        self.rejected = each.collect();
        self.absent = absent.clone();
    }
}

/// One pod's decision, explained.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// Namespace.
    pub namespace: Name,
    /// Name.
    pub name: Name,
    /// When it was decided.
    pub time: SimTime,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// What plugins said.
    pub record: Record,
    /// Totals by feasible node in order of evaluation; empty if the pod fits nowhere.
    pub totals: Vec<(Name, i64)>,
    /// The winner's place in `totals`.
    pub winner: Option<usize>,
    /// Why it fits nowhere; empty if it fits.
    pub message: String,
    /// What would have let it in, if that was asked for.
    pub what_if: Option<WhatIf>,
}

impl Explanation {
    /// Of a pod that found a place.
    pub fn fits(now: SimTime, pod: &QueuedPod, record: Record, totals: Vec<(Name, i64)>, winner: usize) -> Self {
        Explanation { totals, winner: Some(winner), ..Explanation::unfit(now, pod, record, String::new()) }
    }

    /// Of a pod that found none.
    pub fn unfit(now: SimTime, pod: &QueuedPod, record: Record, message: String) -> Self {
        let meta = &pod.info.pod.meta;
        Explanation {
            namespace: meta.namespace.clone(),
            name: meta.name.clone(),
            time: now,
            attempt: pod.attempts,
            record,
            totals: Vec::new(),
            winner: None,
            message,
            what_if: None,
        }
    }

    /// The nodes that share the highest total, in order of evaluation.
    pub fn tied(&self) -> Vec<&Name> {
        let best = self.totals.iter().map(|(_, total)| *total).max();
        self.totals.iter().filter(|(_, total)| Some(*total) == best).map(|(node, _)| node).collect()
    }
}

/// A basket for explanations that its owner keeps while the scheduler fills it.
#[derive(Clone, Debug, Default)]
pub struct Explanations(Rc<RefCell<Vec<Explanation>>>);

impl Explanations {
    /// Most explanations kept; later ones are dropped.
    pub const MAX: usize = 10_000;

    /// Puts one in.
    pub fn add(&self, explanation: Explanation) {
        let mut all = self.0.borrow_mut();
        if all.len() < Self::MAX {
            all.push(explanation);
        }
    }

    /// Takes all out.
    pub fn take(&self) -> Vec<Explanation> {
        self.0.take()
    }
}
