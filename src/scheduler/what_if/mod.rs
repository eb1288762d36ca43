//! What if? The smallest single change that would let an unschedulable pod fit.
//!
//! Worked example: three nodes; two are tainted `dedicated=gpu:NoSchedule`, the third has 500m of CPU left for a
//! pod that asks for 800m. The reasons propose a toleration, the removal of either taint, a request of 500m and
//! one more node of each pool. Each is made in a copy of the cluster, the pod's turn is taken again there, and
//! what lets the pod in is listed, smallest first.
//!
//! One thing to know: candidates come from the reasons that the filters gave ([`pod_changes`], [`node_changes`],
//! [`storage_changes`]), so a change can only be named if a reason points at it; but none is named that was not
//! tried. Sizes are those of [`Class`], in this order; within a class, the smaller number first, then names.

mod node_changes;
mod pod_changes;
mod storage_changes;

use super::cycle::{Framework, Outcome, select_host};
use super::fit_error::FitError;
use super::nominated::Nominated;
use super::plugin::{NodeId, Point, Rejection};
use super::pod_info::PodInfo;
use super::profile::Profile;
use super::snapshot::Snapshot;
use crate::model::{Key, Name, Node, Object, Pod};
use std::sync::Arc;

/// How big a change is, smallest first: words before rules, rules before amounts, what exists before what has to
/// be made.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Class {
    /// A label of the pod or of a node.
    Label,
    /// A toleration of the pod.
    Toleration,
    /// A taint or a cordon that goes.
    Taint,
    /// A rule of the pod that is loosened or dropped: selector, affinity, spread, host port.
    Rule,
    /// A request of the pod that is lowered; the smaller share first.
    Request,
    /// A claim, a volume, a class or the attach limit of a driver.
    Storage,
    /// A node that grows; the smaller share first.
    Capacity,
    /// One more node.
    Node,
}

impl Class {
    /// For output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Class::Label => "label",
            Class::Toleration => "toleration",
            Class::Taint => "taint",
            Class::Rule => "rule",
            Class::Request => "request",
            Class::Storage => "storage",
            Class::Capacity => "capacity",
            Class::Node => "node",
        }
    }
}

/// A change that lets the pod in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// How big it is.
    pub class: Class,
    /// What is changed, as `Kind namespace/name` or `Kind name`.
    pub object: String,
    /// The change, as something to do.
    pub text: String,
    /// Where the pod would go.
    pub node: Name,
}

/// The answer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct WhatIf {
    /// Changes that let the pod in, smallest first; of those that differ only in the node, the first.
    pub changes: Vec<Change>,
    /// How many were tried.
    pub tried: usize,
    /// Whether some were left out because there were too many.
    pub cut: bool,
}

/// New versions of what a change touches.
enum Edit {
    Pod(Box<Pod>),
    Node(Box<Node>),
    Storage(Vec<Object>),
}

/// A change to be tried.
struct Candidate {
    class: Class,
    size: u64,
    object: String,
    text: String,
    /// What it comes to but for the node: of one topic, one that helps is enough.
    topic: String,
    edit: Edit,
}

/// Candidates tried for one pod.
const TRIALS_MAX: usize = 2_000;
/// Changes named.
const CHANGES_MAX: usize = 10;
/// Nodes of one reason that candidates are made of.
const NODES_MAX: usize = 100;

/// What candidates are made from.
struct Situation<'a> {
    snapshot: &'a Snapshot,
    pod: &'a Pod,
    /// Rejected nodes in order of evaluation, with what was said of them.
    rejected: Vec<(NodeId, &'a Rejection)>,
    /// What was said of the pod as a whole, or of nodes that were never looked at.
    of_pod: Vec<&'a Rejection>,
    /// A node of each pool and zone, as it would join.
    pools: &'a [(Name, Arc<Node>)],
}

impl<'a> Situation<'a> {
    /// The nodes that `plugin` rejected for `reason` and nothing else; any reason if it is empty.
    fn rejected_by(&self, plugin: &str, reason: &str) -> impl Iterator<Item = &'a Arc<Node>> {
        let meant = |r: &Rejection| r.plugin == plugin && (reason.is_empty() || r.reasons.iter().all(|r| r == reason));
        let nodes: Vec<&Arc<Node>> =
            self.rejected.iter().filter(|(_, r)| meant(r)).map(|(node, _)| self.snapshot.node(*node)).collect();
        // The control plane's machines are not there for workloads.
        nodes.into_iter().filter(|node| !node.is_control_plane()).take(NODES_MAX)
    }

    /// Whether the plugin said anything at all.
    fn blames(&self, plugin: &str) -> bool {
        self.of_pod.iter().chain(self.rejected.iter().map(|(_, r)| r)).any(|r| r.plugin == plugin)
    }
}

fn pod_object(pod: &Pod) -> String {
    format!("Pod {}/{}", pod.meta.namespace, pod.meta.name)
}

/// Makes the candidates, smallest first.
fn candidates(situation: &Situation<'_>) -> Vec<Candidate> {
    let mut all = Vec::new();
    pod_changes::propose(situation, &mut all);
    node_changes::propose(situation, &mut all);
    storage_changes::propose(situation, &mut all);
    let key = |c: &Candidate| (c.class, c.size);
    all.sort_by(|a, b| key(a).cmp(&key(b)).then_with(|| (&a.object, &a.text).cmp(&(&b.object, &b.text))));
    all.dedup_by(|a, b| a.object == b.object && a.text == b.text);
    all
}

/// Looks for single changes that let `pod` in, which found no place in `snapshot` because of `fit`. The snapshot
/// is as it was afterwards, but for its numbers.
pub fn explore(
    framework: &Framework,
    snapshot: &mut Snapshot,
    nominated: &Nominated,
    pod: &PodInfo,
    fit: &FitError,
    pools: &[(Name, Arc<Node>)],
) -> WhatIf {
    let verdict = |why| fit.verdicts.get(why);
    let candidates = candidates(&Situation {
        snapshot,
        pod: &pod.pod,
        rejected: fit.rejected.iter().filter_map(|(node, why)| Some((*node, verdict(*why)?))).collect(),
        of_pod: fit.pre_filter.iter().chain(&fit.absent).collect(),
        pools,
    });
    let mut trial = Trial::new(framework, snapshot.clone(), nominated);
    let mut found = WhatIf::default();
    let mut topics: Vec<String> = Vec::new();
    for candidate in candidates {
        if topics.contains(&candidate.topic) {
            continue;
        }
        if found.changes.len() == CHANGES_MAX || found.tried == TRIALS_MAX {
            found.cut = true;
            break;
        }
        found.tried += 1;
        if !trial.admits(&pod.pod, &candidate.edit) {
            continue;
        }
        // Where it goes is asked of an untouched copy: trials leave their marks on the order of nodes.
        snapshot.skip_numbers_of(&trial.snapshot);
        let mut fresh = Trial::new(framework, snapshot.clone(), nominated);
        let node = fresh.change(&pod.pod, &candidate.edit).expect("what fits in a trial fits in a fresh one");
        trial.snapshot.skip_numbers_of(&fresh.snapshot);
        topics.push(candidate.topic);
        found.changes.push(Change { class: candidate.class, object: candidate.object, text: candidate.text, node });
    }
    snapshot.skip_numbers_of(&trial.snapshot);
    found
}

/// A copy of the cluster to try things in, and a scheduler of its own.
struct Trial<'a> {
    framework: Framework,
    snapshot: Snapshot,
    nominated: &'a Nominated,
}

impl<'a> Trial<'a> {
    fn new(original: &Framework, mut snapshot: Snapshot, nominated: &'a Nominated) -> Self {
        let mut profile: Profile = original.profile.clone();
        profile.disable(Point::PostFilter, "*");
        let mut framework = Framework::new(profile, &mut snapshot);
        framework.next_start = original.next_start;
        Trial { framework, snapshot, nominated }
    }

    /// Makes the change and takes the pod's turn: its node, if there is one.
    fn change(&mut self, pod: &Pod, edit: &Edit) -> Option<Name> {
        let mut turn = pod.clone();
        match edit {
            Edit::Pod(new) => turn = Pod::clone(new),
            Edit::Node(new) => self.snapshot.set_node(&Arc::new(Node::clone(new))),
            Edit::Storage(objects) => objects.iter().for_each(|object| self.snapshot.listers.set(object)),
        }
        let info = self.snapshot.compile(&Arc::new(turn));
        match self.framework.decide(&mut self.snapshot, self.nominated, &info, false).outcome {
            Outcome::Unfit(_) => None,
            Outcome::Fits(scored) => {
                let winner = select_host(&scored)?;
                Some(self.snapshot.name(scored[winner].0).clone())
            }
        }
    }

    /// Whether the change lets the pod in; it is undone.
    fn admits(&mut self, pod: &Pod, edit: &Edit) -> bool {
        match edit {
            Edit::Pod(_) => self.change(pod, edit).is_some(),
            Edit::Node(new) => {
                let old = self.snapshot.find(&new.meta.name).map(|id| self.snapshot.node(id).clone());
                let fits = self.change(pod, edit).is_some();
                match old {
                    Some(old) => self.snapshot.set_node(&old),
                    None => self.snapshot.remove_node(&new.meta.name),
                }
                fits
            }
            Edit::Storage(objects) => {
                let old: Vec<(Key, Option<Object>)> = objects
                    .iter()
                    .map(|object| (object.key(), self.snapshot.listers.storage.get(&object.key())))
                    .collect();
                let fits = self.change(pod, edit).is_some();
                for (key, old) in old {
                    match old {
                        Some(old) => self.snapshot.listers.set(&old),
                        None => self.snapshot.listers.forget(&key),
                    }
                }
                fits
            }
        }
    }
}
