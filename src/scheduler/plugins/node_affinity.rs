//! NodeAffinity: node selectors, required and preferred node terms, and those that a profile adds
//! (`pkg/scheduler/framework/plugins/nodeaffinity/node_affinity.go`).

use crate::model::pod_spec::PreferredNode;
use crate::model::selector::{NodeSelectorTerm, Operator};
use crate::model::{Name, Node, NodeSelector, PodSpec};
use crate::name;
use crate::scheduler::hint::{Hint, Occasion};
use crate::scheduler::plugin::{
    Candidates, Code, Cycle, NodeId, Plugin, Point, PreFilter, PreScore, Reasons, State, default_normalize,
};
use crate::scheduler::pod_info::PodInfo;
use std::collections::BTreeSet;

/// The plugin with a profile's `addedAffinity`.
#[derive(Clone, Debug, Default)]
pub struct NodeAffinity {
    /// Required of every pod of the profile.
    pub added_required: Option<NodeSelector>,
    /// Preferred for every pod of the profile.
    pub added_preferred: Vec<PreferredNode>,
}

const MISMATCH: Name = name!("node(s) didn't match Pod's node affinity/selector");
const ENFORCED: Name = name!("node(s) didn't match scheduler-enforced node affinity");

fn required(spec: &PodSpec) -> Option<&NodeSelector> {
    spec.affinity.as_ref().and_then(|affinity| affinity.node_required.as_ref())
}

fn preferred(spec: &PodSpec) -> &[PreferredNode] {
    spec.affinity.as_ref().map_or(&[], |affinity| &affinity.node_preferred)
}

/// Whether the node satisfies the pod's node selector and required node affinity.
pub fn matches(spec: &PodSpec, node: &Node) -> bool {
    spec.wants(node)
}

/// The node names that a term allows, if it names any.
fn names_in(term: &NodeSelectorTerm) -> Option<BTreeSet<Name>> {
    let lists = term.fields.iter().filter(|r| r.key == "metadata.name" && r.operator == Operator::In);
    lists
        .map(|r| r.values.iter().cloned().collect::<BTreeSet<Name>>())
        .reduce(|a, b| a.intersection(&b).cloned().collect())
}

/// The nodes that the required terms allow by name, if every term names some.
fn names_of(selector: &NodeSelector) -> Option<BTreeSet<Name>> {
    let each: Option<Vec<BTreeSet<Name>>> = selector.terms.iter().map(names_in).collect();
    each.filter(|lists| !lists.is_empty()).map(|lists| lists.into_iter().flatten().collect())
}

impl Plugin for NodeAffinity {
    fn name(&self) -> &'static str {
        "NodeAffinity"
    }

    fn points(&self) -> &'static [Point] {
        &[Point::PreFilter, Point::Filter, Point::PreScore, Point::Score]
    }

    fn local(&self) -> bool {
        true
    }

    fn pre_filter(&self, cycle: Cycle<'_>) -> PreFilter {
        let spec = &cycle.pod.spec.spec;
        if self.added_required.is_none() && spec.node_selector.is_empty() && required(spec).is_none() {
            return PreFilter::Skip;
        }
        match required(spec).and_then(names_of) {
            None => PreFilter::Run(None),
            Some(names) if names.is_empty() => {
                let reason = name!("pod affinity terms conflict");
                PreFilter::Reject(Code::Unresolvable, Reasons::from_elem(reason, 1))
            }
            Some(names) => PreFilter::Nodes(None, names),
        }
    }

    fn filter(&self, cycle: Cycle<'_>, _: &State, nodes: &mut Candidates<'_>) {
        if let Some(added) = &self.added_required {
            nodes.retain(Code::Unresolvable, ENFORCED, |node| added.matches(cycle.snapshot.node(node)));
        }
        let spec = &cycle.pod.spec.spec;
        nodes.retain(Code::Unresolvable, MISMATCH, |node| matches(spec, cycle.snapshot.node(node)));
    }

    fn pre_score(&self, cycle: Cycle<'_>, _: &[NodeId]) -> PreScore {
        match preferred(&cycle.pod.spec.spec).is_empty() && self.added_preferred.is_empty() {
            true => PreScore::Skip,
            false => PreScore::Run(None),
        }
    }

    fn score(&self, cycle: Cycle<'_>, _: &State, nodes: &[NodeId], out: &mut [i64]) {
        let wishes = || preferred(&cycle.pod.spec.spec).iter().chain(&self.added_preferred);
        for (node, score) in nodes.iter().zip(out) {
            let node = cycle.snapshot.node(*node);
            *score = wishes().filter(|wish| wish.term.matches(node)).map(|wish| i64::from(wish.weight)).sum();
        }
    }

    fn normalize(&self, _: Cycle<'_>, _: &State, _: &[NodeId], scores: &mut [i64]) {
        default_normalize(false, scores);
    }

    fn helps(&self, pod: &PodInfo, occasion: &Occasion<'_>) -> Hint {
        let fits = |node: &Node| {
            self.added_required.as_ref().is_none_or(|added| added.matches(node)) && matches(&pod.spec.spec, node)
        };
        match occasion {
            Occasion::NodeAdd(node) => Hint::from(fits(node)),
            Occasion::NodeUpdate { old, new, what } if what.labels => Hint::from(!fits(old) && fits(new)),
            _ => Hint::Skip,
        }
    }
}
