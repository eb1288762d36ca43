//! What a node could give way in: labels, taints, a cordon, its size; and one node more.

use super::pod_changes::millionths;
use super::{Candidate, Class, Edit, NODES_MAX, Situation};
use crate::model::quantity::Quantity;
use crate::model::selector::{Operator, Requirement};
use crate::model::{Labels, Name, Node, PodSpec};
use crate::name;
use crate::scheduler::plugin::NodeId;
use crate::scheduler::plugins::taint_toleration::HARD_EFFECTS;
use crate::scheduler::snapshot::Snapshot;
use std::sync::Arc;

const HOSTNAME: Name = name!("kubernetes.io/hostname");

/// Proposes every change of a node that a reason points at, and one more of each.
pub(super) fn propose(situation: &Situation<'_>, out: &mut Vec<Candidate>) {
    for node in situation.rejected_by("NodeUnschedulable", "") {
        let new = Node { unschedulable: false, ..Node::clone(node) };
        change(Class::Taint, 1, "uncordon", format!("uncordon node {}", node.meta.name), new, out);
    }
    for node in situation.rejected_by("TaintToleration", "") {
        for at in 0..node.taints.len() {
            taint(situation, node, at, out);
        }
    }
    for node in situation.rejected_by("NodeAffinity", "") {
        for wish in wishes(&situation.pod.spec, node) {
            label(node, &wish, out);
        }
    }
    for node in situation.rejected_by(
        "PodTopologySpread",
        "node(s) didn't match pod topology spread constraints (missing required label)",
    ) {
        let keys = situation.pod.spec.spread.iter().filter(|constraint| constraint.hard).map(|c| &c.topology_key);
        missing_domains(situation.snapshot, node, keys, out);
    }
    for node in situation.rejected_by("InterPodAffinity", "node(s) didn't match pod affinity rules") {
        let terms = situation.pod.spec.affinity.iter().flat_map(|affinity| &affinity.pod_required);
        missing_domains(situation.snapshot, node, terms.map(|term| &term.topology_key), out);
    }
    for (node, rejection) in &situation.rejected {
        if let ("NodeResourcesFit", [reason]) = (rejection.plugin, &rejection.reasons[..]) {
            grow(situation, *node, reason, out);
        }
    }
    one_more(situation, out);
}

fn change(class: Class, size: u64, topic: &str, text: String, node: Node, out: &mut Vec<Candidate>) {
    let object = format!("Node {}", node.meta.name);
    let (topic, edit) = (topic.to_string(), Edit::Node(Box::new(node)));
    out.push(Candidate { class, size, object, text, topic, edit });
}

fn taint(situation: &Situation<'_>, node: &Node, at: usize, out: &mut Vec<Candidate>) {
    let taint = &node.taints[at];
    let tolerated = situation.pod.spec.tolerations.iter().any(|toleration| toleration.tolerates(taint));
    if tolerated || !HARD_EFFECTS.contains(&taint.effect) {
        return;
    }
    let value = if taint.value.is_empty() { String::new() } else { format!("={}", taint.value) };
    let shown = format!("{}{value}:{}", taint.key, taint.effect.as_str());
    let mut new = node.clone();
    new.taints.remove(at);
    let text = format!("remove the taint {shown} from node {}", node.meta.name);
    change(Class::Taint, 1, &format!("taint {shown}"), text, new, out);
}

/// Single requirements on labels that keep the node from matching: the only missing pair of the node selector, or
/// the only one of a term.
fn wishes(spec: &PodSpec, node: &Node) -> Vec<Requirement> {
    let labels = &node.meta.labels;
    let exact = |key: &Name, value: &Name| Requirement {
        key: key.clone(),
        operator: Operator::In,
        values: vec![value.clone()],
    };
    let missing: Vec<Requirement> = spec
        .node_selector
        .iter()
        .map(|(key, value)| exact(key, value))
        .filter(|requirement| !requirement.matches(labels))
        .collect();
    let required = spec.affinity.as_ref().and_then(|affinity| affinity.node_required.as_ref());
    let terms = required.into_iter().flat_map(|required| &required.terms).map(|term| {
        let unmet = term.expressions.iter().filter(|r| !r.matches(labels)).cloned();
        missing.iter().cloned().chain(unmet).collect::<Vec<_>>()
    });
    let mut ways: Vec<Vec<Requirement>> = terms.collect();
    if required.is_none() {
        ways.push(missing);
    }
    // A pair that both ask for is one change.
    ways.iter_mut().for_each(|way| way.dedup_by(|a, b| a.key == b.key));
    ways.into_iter().filter(|way| way.len() == 1).flatten().collect()
}

/// What machines are, rather than what someone says of them: a value that is there is not changed.
fn is_fact(key: &str) -> bool {
    let domain = key.split('/').next().unwrap_or_default();
    ["kubernetes.io", "beta.kubernetes.io", "node.kubernetes.io", "topology.kubernetes.io"].contains(&domain)
        || domain == "failure-domain.beta.kubernetes.io"
}

/// The label that satisfies the requirement, or its removal.
fn label(node: &Node, wish: &Requirement, out: &mut Vec<Candidate>) {
    let (labels, key, name) = (&node.meta.labels, &wish.key, &node.meta.name);
    if labels.get(key).is_some() && is_fact(key) {
        return;
    }
    let number = |step: i64| {
        let bound: Option<i64> = wish.values.first().and_then(|value| value.parse().ok());
        bound.and_then(|bound| bound.checked_add(step)).map(|value| Name::from(value.to_string()))
    };
    let value = match wish.operator {
        Operator::In => wish.values.first().cloned(),
        Operator::Exists => Some(Name::new()),
        Operator::Gt => number(1),
        Operator::Lt => number(-1),
        Operator::NotIn | Operator::DoesNotExist => None,
    };
    let (text, new): (String, Labels) = match value {
        Some(value) => (format!("label node {name} with {key}={value}"), labels.with(key.clone(), value)),
        None => (format!("remove the label {key} from node {name}"), labels.without(key)),
    };
    relabel(node, text, &format!("node label {key}"), new, out);
}

fn relabel(node: &Node, text: String, topic: &str, labels: Labels, out: &mut Vec<Candidate>) {
    let mut new = node.clone();
    new.meta.labels = labels;
    change(Class::Label, 1, topic, text, new, out);
}

/// Puts a node that is in no domain of a key into each domain there is.
fn missing_domains<'a>(
    snapshot: &Snapshot,
    node: &Node,
    keys: impl Iterator<Item = &'a Name>,
    out: &mut Vec<Candidate>,
) {
    for key in keys.filter(|key| node.meta.labels.get(key).is_none()) {
        let domains = snapshot.topology_id(key).map(|id| &snapshot.topology_of(id).values);
        let mut values: Vec<Name> = domains.into_iter().flatten().take(NODES_MAX).cloned().collect();
        if values.is_empty() {
            values.push(node.meta.name.clone());
        }
        for value in values {
            let text = format!("label node {} with {key}={value}", node.meta.name);
            relabel(node, text, &format!("node label {key}"), node.meta.labels.with(key.clone(), value), out);
        }
    }
}

/// What is left of a resource on a node.
pub(super) fn free(snapshot: &Snapshot, node: NodeId, resource: &str) -> i64 {
    let row = &snapshot.rows[node.at()];
    match resource {
        "cpu" => row.milli_cpu - row.used_milli_cpu,
        "memory" => row.memory - row.used_memory,
        "ephemeral-storage" => row.ephemeral_storage - row.used_ephemeral_storage,
        _ => {
            let scalars = snapshot.scalars[node.at()].iter();
            let mut wanted = scalars.filter(|scalar| *snapshot.resource_name(scalar.0) == resource);
            wanted.next().map_or(0, |scalar| scalar.1 - scalar.2)
        }
    }
}

/// An amount as Kubernetes writes it.
pub(super) fn shown(resource: &str, amount: i64) -> String {
    match resource {
        "cpu" => Quantity::from_milli(amount).to_string(),
        "memory" | "ephemeral-storage" => Quantity::bytes(amount).to_string(),
        _ => Quantity::units(amount).to_string(),
    }
}

/// A node that has just enough.
fn grow(situation: &Situation<'_>, id: NodeId, reason: &str, out: &mut Vec<Candidate>) {
    let node = situation.snapshot.node(id);
    let (name, mut new) = (&node.meta.name, Node::clone(node));
    if reason == "Too many pods" {
        let pods = situation.snapshot.rows[id.at()].pod_count + 1;
        new.allocatable.pods = pods;
        let text = format!("let node {name} take {pods} pods instead of {}", node.allocatable.pods);
        let size = millionths(pods - node.allocatable.pods, node.allocatable.pods);
        return change(Class::Capacity, size, "capacity pods", text, new, out);
    }
    let Some(resource) = reason.strip_prefix("Insufficient ").map(Name::from) else { return };
    let has = node.allocatable.get(&resource);
    let short = situation.pod.spec.requests.get(&resource) - free(situation.snapshot, id, &resource);
    new.allocatable.set(&resource, has + short);
    let (from, to) = (shown(&resource, has), shown(&resource, has + short));
    let text = format!("give node {name} {to} of allocatable {resource} instead of {from}");
    change(Class::Capacity, millionths(short, has), &format!("capacity {resource}"), text, new, out);
}

/// One more node of each pool, in each of its zones; one more of each kind of node that is in no pool.
fn one_more(situation: &Situation<'_>, out: &mut Vec<Candidate>) {
    for (pool, template) in situation.pools {
        let zone = template.zone();
        let place = if zone.is_empty() { String::new() } else { format!(" in zone {zone}") };
        let mut new = Node::clone(template);
        rename(situation.snapshot, &mut new, pool);
        change(Class::Node, 1, &format!("pool {pool}"), format!("add a node to pool {pool}{place}"), new, out);
    }
    let of_pool = |node: &Node| {
        let in_pool =
            |pool: &Name| node.meta.name.strip_prefix(pool.as_str()).is_some_and(|rest| rest.starts_with('-'));
        situation.pools.iter().any(|(pool, _)| in_pool(pool))
    };
    let mut kinds: Vec<&Arc<Node>> = Vec::new();
    let alike = |a: &Node, b: &Node| {
        a.allocatable == b.allocatable
            && a.taints == b.taints
            && a.meta.labels.without(&HOSTNAME) == b.meta.labels.without(&HOSTNAME)
    };
    for id in situation.snapshot.order().iter() {
        let node = situation.snapshot.node(*id);
        let known = kinds.len() >= NODES_MAX || kinds.iter().any(|kind| alike(kind, node));
        if !known && !of_pool(node) && !node.is_control_plane() {
            kinds.push(node);
        }
    }
    for kind in kinds {
        let mut new = Node::clone(kind);
        new.unschedulable = false;
        // Taints of the node's condition are not its kind's.
        new.taints.retain(|taint| !taint.key.starts_with("node.kubernetes.io/"));
        let name = kind.meta.name.clone();
        rename(situation.snapshot, &mut new, &name);
        change(Class::Node, 2, &format!("like {name}"), format!("add a node like {name}"), new, out);
    }
}

/// A name that is free, in the manner of pools.
fn rename(snapshot: &Snapshot, node: &mut Node, stem: &str) {
    let free = (0..).map(|index| format!("{stem}-{index}")).find(|name| snapshot.find(name).is_none());
    let name = Name::from(free.unwrap_or_default());
    if node.meta.labels.get(&HOSTNAME).is_some() {
        node.meta.labels = node.meta.labels.with(HOSTNAME, name.clone());
    }
    node.meta.name = name;
}
