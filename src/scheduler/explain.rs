//! Everything that was said about one pod at its scheduling moment: every node, every plugin, the winner
//! and why the tie broke so.

use super::plugin::{NodeId, Rejection, Verdicts, Why};
use super::snapshot::Snapshot;
use crate::model::Name;

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
