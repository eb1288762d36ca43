//! One sync of a daemon set: which pods are made and which go
//! (`pkg/controller/daemon/daemon_controller.go`, `podsShouldBeOnNode`; `pkg/controller/daemon/update.go`, `rollingUpdate`).
//!
//! A worked example: five nodes, a new image, `maxUnavailable: 1`: one old pod goes, the node gets a new one, and the
//! next old pod goes when that is available. With `maxSurge: 1` the new one comes first.

use super::placement::{self, Fit};
use crate::model::sets::DaemonSetUpdate;
use crate::model::{DaemonSet, Name, Node, Phase, Pod, PodTemplate};
use crate::time::SimTime;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a sync looks at.
pub struct Input<'a> {
    /// The instant.
    pub now: SimTime,
    /// The set.
    pub set: &'a DaemonSet,
    /// The hash of its newest revision.
    pub hash: &'a Name,
    /// Its template as pods have it.
    pub template: &'a PodTemplate,
    /// All nodes.
    pub nodes: &'a [Arc<Node>],
    /// Its pods by node, but for those that are over and on their way out; oldest first.
    pub pods: &'a BTreeMap<Name, Vec<Arc<Pod>>>,
}

/// What a sync wants.
#[derive(Debug, Default)]
pub struct Plan {
    /// Nodes that get a pod.
    pub create: Vec<Name>,
    /// Pods that go.
    pub delete: Vec<Arc<Pod>>,
    /// Pods that failed or ended by themselves, with their nodes: they go too, when their time comes.
    pub over: Vec<(Name, Arc<Pod>)>,
}

impl Plan {
    fn is_empty(&self) -> bool {
        self.create.is_empty() && self.delete.is_empty() && self.over.is_empty()
    }
}

/// By node, those on a node first, then by age (`podByCreationTimestampAndPhase`).
pub fn by_node<'a>(pods: impl Iterator<Item = &'a Arc<Pod>>) -> BTreeMap<Name, Vec<Arc<Pod>>> {
    let mut nodes: BTreeMap<Name, Vec<Arc<Pod>>> = BTreeMap::new();
    for pod in pods.filter(|pod| !(pod.status.phase.terminal() && pod.meta.deleting())) {
        if let Some(node) = placement::node_of(pod) {
            nodes.entry(node.clone()).or_default().push(pod.clone());
        }
    }
    for pods in nodes.values_mut() {
        let place = |pod: &Pod| (pod.node.is_none(), pod.meta.created.truncated());
        pods.sort_by(|a, b| place(a).cmp(&place(b)).then_with(|| a.meta.name.cmp(&b.meta.name)));
    }
    nodes
}

/// One sync: the next step of a rolling update waits until every node has what it should.
pub fn plan(input: &Input<'_>) -> Plan {
    let mut plan = Plan::default();
    for node in input.nodes {
        manage(input, node, &mut plan);
    }
    let known: BTreeSet<&Name> = input.nodes.iter().map(|node| &node.meta.name).collect();
    let lost = input.pods.iter().filter(|(node, _)| !known.contains(node)).flat_map(|(_, pods)| pods);
    plan.delete.extend(lost.filter(|pod| pod.node.is_none()).cloned());
    if plan.is_empty()
        && let DaemonSetUpdate::RollingUpdate { max_unavailable, max_surge } = input.set.update
    {
        let wanted = input.nodes.iter().filter(|node| placement::fit(input.template, node) == Fit::Run).count() as i32;
        let (unavailable, surge) = (max_unavailable.up(wanted), max_surge.up(wanted));
        match surge {
            0 => replace(input, &mut plan, if wanted > 0 { unavailable.max(1) } else { unavailable }),
            _ => surge_over(input, &mut plan, surge, wanted),
        }
    }
    plan
}

fn is_available(input: &Input<'_>, pod: &Pod) -> bool {
    pod.is_available(input.set.min_ready_seconds, input.now)
}

fn allows_surge(set: &DaemonSet) -> bool {
    matches!(set.update, DaemonSetUpdate::RollingUpdate { max_surge, .. } if max_surge.up(100) > 0)
}

/// What one node needs to have one pod, or two while it surges.
fn manage(input: &Input<'_>, node: &Node, plan: &mut Plan) {
    let name = &node.meta.name;
    let pods = input.pods.get(name).map(Vec::as_slice).unwrap_or_default();
    let fit = placement::fit(input.template, node);
    let staying = || pods.iter().filter(|pod| !pod.meta.deleting());
    if fit == Fit::Leave {
        plan.delete.extend(staying().cloned());
        return;
    }
    if pods.is_empty() {
        plan.create.extend((fit == Fit::Run).then(|| name.clone()));
        return;
    }
    plan.over.extend(staying().filter(|pod| pod.status.phase.terminal()).map(|pod| (name.clone(), pod.clone())));
    let running: Vec<&Arc<Pod>> = staying().filter(|pod| !pod.status.phase.terminal()).collect();
    if !allows_surge(input.set) {
        plan.delete.extend(running.iter().skip(1).map(|pod| Arc::clone(pod)));
        return;
    }
    if running.len() <= 1 {
        plan.create.extend((running.is_empty() && fit == Fit::Run).then(|| name.clone()));
        return;
    }
    // One new and one old may stay side by side: until the new one is available, if the old one is ready.
    let updated = |pod: &&Arc<Pod>| pod.meta.labels.get(&crate::model::sets::keys::REVISION_HASH) == Some(input.hash);
    let (new, old): (Vec<&Arc<Pod>>, Vec<&Arc<Pod>>) = running.into_iter().partition(updated);
    plan.delete.extend(new.iter().skip(1).chain(old.iter().skip(1)).map(|pod| Arc::clone(pod)));
    if let (Some(new), Some(old)) = (new.first(), old.first())
        && (!old.is_ready() || is_available(input, new))
    {
        plan.delete.push(Arc::clone(old));
    }
}

/// The new and the old pod of a node.
type Pair<'a> = (Option<&'a Arc<Pod>>, Option<&'a Arc<Pod>>);

/// Those that are not on their way out; none if there are several of a kind (`findUpdatedPodsOnNode`).
fn pair<'a>(input: &Input<'_>, pods: &'a [Arc<Pod>]) -> Option<Pair<'a>> {
    let staying = pods.iter().filter(|pod| !pod.meta.deleting());
    let (new, old): (Vec<_>, Vec<_>) = staying.partition(|pod| placement::is_updated(input.set, input.hash, pod));
    (new.len() <= 1 && old.len() <= 1).then(|| (new.first().copied(), old.first().copied()))
}

/// The pods of every node that has any, and of every node that should.
fn pods_of_nodes<'a>(input: &Input<'a>) -> BTreeMap<&'a Name, &'a [Arc<Pod>]> {
    let wanted = input.nodes.iter().filter(|node| placement::fit(input.template, node) == Fit::Run);
    let mut all: BTreeMap<&Name, &[Arc<Pod>]> = wanted.map(|node| (&node.meta.name, [].as_slice())).collect();
    all.extend(input.pods.iter().map(|(node, pods)| (node, pods.as_slice())));
    all
}

/// Old pods go, as many as may be away.
fn replace(input: &Input<'_>, plan: &mut Plan, limit: i32) {
    let (mut away, mut candidates) = (0, Vec::new());
    for pods in pods_of_nodes(input).values() {
        match pair(input, pods) {
            None | Some((None, None) | (Some(_), Some(_))) => away += 1,
            Some((Some(new), None)) => away += i32::from(!is_available(input, new)),
            Some((None, Some(old))) if !is_available(input, old) => plan.delete.push(old.clone()),
            Some((None, Some(old))) => candidates.push(old.clone()),
        }
    }
    let room = usize::try_from(limit - away).unwrap_or(0);
    plan.delete.extend(candidates.into_iter().take(room));
}

/// New pods come beside old ones, as many as may be too many; old ones go when their new one is available.
fn surge_over(input: &Input<'_>, plan: &mut Plan, limit: i32, wanted: i32) {
    let (mut surging, mut available) = (0, 0);
    let (mut candidates, mut misplaced) = (Vec::new(), Vec::new());
    let nodes: BTreeMap<&Name, &Arc<Node>> = input.nodes.iter().map(|node| (&node.meta.name, node)).collect();
    for (name, pods) in pods_of_nodes(input) {
        let Some((new, old)) = pair(input, pods) else {
            surging += 1;
            continue;
        };
        available += i32::from(old.or(new).is_some_and(|pod| is_available(input, pod)));
        let Some(old) = old else { continue };
        match new {
            Some(new) if is_available(input, new) => plan.delete.push(old.clone()),
            Some(_) => surging += 1,
            None => match nodes.get(name).map(|node| placement::fit(input.template, node)) {
                Some(Fit::Run) if !is_available(input, old) => plan.create.push(name.clone()),
                Some(Fit::Run) => candidates.push(name.clone()),
                _ => misplaced.push(old.clone()),
            },
        }
    }
    let room = usize::try_from(limit - surging).unwrap_or(0);
    plan.create.extend(candidates.into_iter().take(room));
    // Where no pod should be, old ones go as long as enough others are available.
    for pod in misplaced {
        let spare = is_available(input, &pod);
        if !spare || available > wanted {
            available -= i32::from(spare);
            plan.delete.push(pod);
        }
    }
}

/// Whether a pod ended badly.
pub fn failed(pod: &Pod) -> bool {
    pod.status.phase == Phase::Failed
}
