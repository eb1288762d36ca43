//! Why a pod fits nowhere, as data and as the sentence that a user sees
//! (`staging/src/k8s.io/kube-scheduler/framework/types.go`, `FitError`).

use super::plugin::{Code, NodeId, Rejection, Verdicts, Why};
use crate::model::Name;
use std::collections::BTreeMap;
use std::fmt;

/// Why a pod fits nowhere.
#[derive(Clone, Debug, Default)]
pub struct FitError {
    /// Nodes in the cluster.
    pub nodes: usize,
    /// What PreFilter said, if it rejected the pod as a whole.
    pub pre_filter: Option<Rejection>,
    /// Nodes that filters rejected, in order of evaluation.
    pub rejected: Vec<(NodeId, Why)>,
    /// What the numbers in `rejected` mean.
    pub verdicts: Verdicts,
    /// What holds for nodes that are not in `rejected`.
    pub absent: Option<Rejection>,
    /// The plugins that restricted the search to named nodes.
    pub restricting: Vec<&'static str>,
    /// What PostFilter adds; may be empty.
    pub post_filter: String,
}

impl FitError {
    /// The plugins to blame: their events may bring the pod back.
    pub fn plugins(&self) -> Vec<&'static str> {
        let mut seen: Vec<Why> = Vec::new();
        let mut names = self.restricting.clone();
        names.extend(self.pre_filter.iter().map(|rejection| rejection.plugin));
        for (_, why) in &self.rejected {
            if !seen.contains(why) {
                seen.push(*why);
                names.extend(self.verdicts.get(*why).map(|rejection| rejection.plugin));
            }
        }
        names.retain(|name| !name.is_empty());
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The code of a node's rejection.
    pub fn code(&self, node: NodeId) -> Code {
        let own =
            self.rejected.iter().find(|(rejected, _)| *rejected == node).and_then(|(_, why)| self.verdicts.get(*why));
        own.or(self.absent.as_ref()).or(self.pre_filter.as_ref()).map_or(Code::Unresolvable, |rejection| rejection.code)
    }

    /// How many nodes give each reason.
    fn histogram(&self) -> BTreeMap<&Name, usize> {
        let mut by_why: Vec<(Why, usize)> = Vec::new();
        for (_, why) in &self.rejected {
            match by_why.iter_mut().find(|(known, _)| known == why) {
                Some((_, count)) => *count += 1,
                None => by_why.push((*why, 1)),
            }
        }
        let mut counts: BTreeMap<&Name, usize> = BTreeMap::new();
        for (why, count) in by_why {
            for reason in self.verdicts.get(why).into_iter().flat_map(|rejection| &rejection.reasons) {
                *counts.entry(reason).or_default() += count;
            }
        }
        let absent = self.nodes - self.rejected.len();
        if absent > 0 {
            for reason in self.absent.iter().flat_map(|rejection| &rejection.reasons) {
                *counts.entry(reason).or_default() += absent;
            }
        }
        counts
    }
}

impl fmt::Display for FitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nodes == 0 {
            return f.write_str("no nodes available to schedule pods");
        }
        write!(f, "0/{} nodes are available:", self.nodes)?;
        match &self.pre_filter {
            Some(rejection) => write!(f, " {}.", rejection.reasons.join(", "))?,
            None => {
                let histogram = self.histogram();
                let mut parts: Vec<String> =
                    histogram.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
                parts.sort_unstable();
                if !parts.is_empty() {
                    write!(f, " {}.", parts.join(", "))?;
                }
            }
        }
        if !self.post_filter.is_empty() {
            write!(f, " {}", self.post_filter)?;
        }
        Ok(())
    }
}
