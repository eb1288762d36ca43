//! The scores of the default profile, plugin by plugin.

use super::filters::{counted, included, means};
use super::world::World;
use kubesim::model::pod_spec::{PodAffinityTerm, SpreadConstraint};
use kubesim::model::{Labels, Name, Node, Pod, Selector, TaintEffect};
use std::collections::BTreeMap;
use std::sync::Arc;

const HOSTNAME: &str = "kubernetes.io/hostname";
const MIB: i64 = 1 << 20;

/// Totals of the feasible nodes: weights as in the default profile.
pub fn totals(world: &World, pod: &Pod, nodes: &[Arc<Node>]) -> Vec<i64> {
    let plugins = [
        (3, taints(pod, nodes)),
        (2, node_affinity(pod, nodes)),
        (2, spread(world, pod, nodes)),
        (2, inter_pod(world, pod, nodes)),
        (1, nodes.iter().map(|node| least_allocated(world, pod, node)).collect()),
        (1, balanced(world, pod, nodes)),
        (1, nodes.iter().map(|node| images(world, pod, node)).collect()),
    ];
    (0..nodes.len()).map(|at| plugins.iter().map(|(weight, scores)| weight * scores[at]).sum()).collect()
}

fn taints(pod: &Pod, nodes: &[Arc<Node>]) -> Vec<i64> {
    let soft = TaintEffect::PreferNoSchedule;
    let raw = |node: &Arc<Node>| {
        let tolerations = pod.spec.tolerations.iter().filter(|t| t.effect.is_none_or(|effect| effect == soft));
        let taints = node.taints.iter().filter(|taint| taint.effect == soft);
        taints.filter(|taint| !tolerations.clone().any(|t| t.tolerates(taint))).count() as i64
    };
    let raw: Vec<i64> = nodes.iter().map(raw).collect();
    match raw.iter().copied().max() {
        Some(max) if max > 0 => raw.iter().map(|raw| 100 - 100 * raw / max).collect(),
        _ => vec![100; raw.len()],
    }
}

fn node_affinity(pod: &Pod, nodes: &[Arc<Node>]) -> Vec<i64> {
    let wishes = pod.spec.affinity.iter().flat_map(|affinity| &affinity.node_preferred);
    let raw = |node: &Arc<Node>| -> i64 {
        wishes.clone().filter(|wish| wish.term.matches(node)).map(|wish| i64::from(wish.weight)).sum()
    };
    let raw: Vec<i64> = nodes.iter().map(raw).collect();
    match raw.iter().copied().max() {
        Some(max) if max > 0 => raw.iter().map(|raw| 100 * raw / max).collect(),
        _ => raw,
    }
}

/// Requests with defaults where a container does not mention a resource.
fn non_zero(pod: &Pod) -> (i64, i64) {
    let sum = |resource: &str, default: i64| -> i64 {
        let one = |c: &kubesim::model::Container| match c.requested.iter().any(|name| name == resource) {
            true => c.requests.get(resource),
            false => default,
        };
        pod.spec.containers.iter().map(one).sum()
    };
    (sum("cpu", 100), sum("memory", 200 * MIB))
}

fn least_allocated(world: &World, pod: &Pod, node: &Node) -> i64 {
    let own = non_zero(pod);
    let used = world.pods_on(&node.meta.name).map(|other| non_zero(other));
    let (cpu, memory) = used.fold(own, |sum, one| (sum.0 + one.0, sum.1 + one.1));
    let left = |capacity: i64, used: i64| if used > capacity { 0 } else { (capacity - used) * 100 / capacity };
    let each = [(node.allocatable.milli_cpu, cpu), (node.allocatable.memory, memory)];
    let scores: Vec<i64> = each.iter().filter(|(capacity, _)| *capacity > 0).map(|(c, u)| left(*c, *u)).collect();
    if scores.is_empty() { 0 } else { scores.iter().sum::<i64>() / scores.len() as i64 }
}

fn balanced(world: &World, pod: &Pod, nodes: &[Arc<Node>]) -> Vec<i64> {
    let wanted = &pod.spec.requests;
    if wanted.milli_cpu == 0 && wanted.memory == 0 {
        return vec![0; nodes.len()];
    }
    let balance = |node: &Node, with: bool| {
        let fraction = |resource: &str| {
            let used: i64 = world.pods_on(&node.meta.name).map(|other| other.spec.requests.get(resource)).sum();
            let used = used + if with { wanted.get(resource) } else { 0 };
            let capacity = node.allocatable.get(resource);
            (capacity > 0).then(|| (used as f64 / capacity as f64).min(1.0))
        };
        let deviation = match (fraction("cpu"), fraction("memory")) {
            (Some(cpu), Some(memory)) => ((cpu - memory) / 2.0).abs(),
            _ => 0.0,
        };
        ((1.0 - deviation) * 100.0) as i64
    };
    nodes.iter().map(|node| 50 + (50 + balance(node, true) - balance(node, false)) / 2).collect()
}

fn images(world: &World, pod: &Pod, node: &Node) -> i64 {
    let size = |node: &Node, image: &str| {
        let mut there = node.images.iter().filter(|known| known.names.iter().any(|name| name == image));
        there.next().map(|known| known.size)
    };
    let mut sum = 0;
    for container in &pod.spec.containers {
        let image = format!("{}:latest", container.image);
        if let Some(size_here) = size(node, &image) {
            let having = world.nodes.values().filter(|node| size(node, &image).is_some()).count();
            sum += (size_here as f64 * (having as f64 / world.nodes.len() as f64)) as i64;
        }
    }
    let most = 1000 * MIB * pod.spec.containers.len() as i64;
    100 * (sum.clamp(23 * MIB, most) - 23 * MIB) / (most - 23 * MIB)
}

/// The soft constraints that count for the pod, and whether they are the system's own.
fn soft(world: &World, pod: &Pod) -> (Vec<SpreadConstraint>, bool) {
    if !pod.spec.spread.is_empty() {
        return (pod.spec.spread.iter().filter(|constraint| !constraint.hard).cloned().collect(), false);
    }
    let mut pairs = Labels::EMPTY;
    for (namespace, selector) in &world.services {
        let all = selector.iter().all(|(key, value)| pod.meta.labels.get(key) == Some(value));
        if *namespace == pod.meta.namespace && all {
            pairs = selector.iter().fold(pairs, |pairs, (key, value)| pairs.with(key.clone(), value.clone()));
        }
    }
    if pairs.is_empty() {
        return (Vec::new(), true);
    }
    let selector = Selector::from_labels(&pairs);
    let constraint = |key: &str, max_skew| SpreadConstraint {
        max_skew,
        topology_key: Name::from(key),
        hard: false,
        selector: Some(selector.clone()),
        min_domains: None,
        honor_affinity: true,
        honor_taints: false,
        match_label_keys: Vec::new(),
    };
    (vec![constraint(HOSTNAME, 3), constraint("topology.kubernetes.io/zone", 5)], true)
}

/// Even spreading. Without all of the keys a node is left out, but for the system's own constraints.
fn spread(world: &World, pod: &Pod, nodes: &[Arc<Node>]) -> Vec<i64> {
    let (constraints, system) = soft(world, pod);
    if constraints.is_empty() {
        return vec![0; nodes.len()];
    }
    let has_all = |node: &Node| constraints.iter().all(|c| node.meta.labels.get(&c.topology_key).is_some());
    let takes_part: Vec<bool> = nodes.iter().map(|node| system || has_all(node)).collect();
    let part = || nodes.iter().zip(&takes_part).filter(|(_, part)| **part).map(|(node, _)| node);
    let there = |constraint: &SpreadConstraint, node: &Node| {
        let pods = world.pods_on(&node.meta.name);
        pods.filter(|other| counted(&constraint.selector, &pod.meta.namespace, other)).count() as i64
    };
    let mut raw = vec![0.0; nodes.len()];
    for constraint in &constraints {
        let key = &constraint.topology_key;
        // A missing label is a domain of its own, where it does not leave the node out.
        let value = |node: &Node| node.meta.labels.get(key).cloned().unwrap_or_default();
        let mut counts: BTreeMap<Name, i64> = part().map(|node| (value(node), 0)).collect();
        for node in world.nodes.values().filter(|node| system || has_all(node)) {
            if let Some(count) = counts.get_mut(&value(node)).filter(|_| included(constraint, pod, node)) {
                *count += there(constraint, node);
            }
        }
        let by_node = *key == HOSTNAME;
        let domains = if by_node { part().count() } else { counts.len() };
        let weight = libm::log((domains + 2) as f64);
        for (at, node) in nodes.iter().enumerate().filter(|(at, _)| takes_part[*at]) {
            if node.meta.labels.get(key).is_some() {
                let count = if by_node { there(constraint, node) } else { counts[&value(node)] };
                raw[at] += count as f64 * weight + f64::from(constraint.max_skew - 1);
            }
        }
    }
    let raw: Vec<i64> = raw.iter().map(|raw| raw.round() as i64).collect();
    let counted = || raw.iter().zip(&takes_part).filter(|(_, part)| **part).map(|(raw, _)| *raw);
    let (min, max) = (counted().min().unwrap_or(0), counted().max().unwrap_or(0));
    let score = |(raw, part): (&i64, &bool)| match (part, max) {
        (false, _) => 0,
        (true, 0) => 100,
        (true, max) => 100 * (max + min - raw) / max,
    };
    raw.iter().zip(&takes_part).map(score).collect()
}

fn inter_pod(world: &World, pod: &Pod, nodes: &[Arc<Node>]) -> Vec<i64> {
    let mut by_domain: BTreeMap<(Name, Name), i64> = BTreeMap::new();
    for (other, node) in world.placed() {
        let mut add = |term: &PodAffinityTerm, owner: &Pod, target: &Pod, weight: i64| {
            if let Some(value) = node.meta.labels.get(&term.topology_key)
                && means(world, term, &owner.meta.namespace, target)
            {
                *by_domain.entry((term.topology_key.clone(), value.clone())).or_insert(0) += weight;
            }
        };
        for (owner, target) in [(pod, other.as_ref()), (other.as_ref(), pod)] {
            let Some(affinity) = owner.spec.affinity.as_ref() else { continue };
            affinity.pod_preferred.iter().for_each(|w| add(&w.term, owner, target, i64::from(w.weight)));
            affinity.anti_preferred.iter().for_each(|w| add(&w.term, owner, target, -i64::from(w.weight)));
        }
        // hardPodAffinityWeight is 1.
        let required = other.spec.affinity.iter().flat_map(|affinity| &affinity.pod_required);
        required.for_each(|term| add(term, other, pod, 1));
    }
    let raw = |node: &Arc<Node>| -> i64 {
        let own = |((key, value), _): &(&(Name, Name), &i64)| node.meta.labels.get(key) == Some(value);
        by_domain.iter().filter(own).map(|(_, weight)| *weight).sum()
    };
    let raw: Vec<i64> = nodes.iter().map(raw).collect();
    let (min, max) = (raw.iter().copied().min().unwrap_or(0), raw.iter().copied().max().unwrap_or(0));
    let score = |raw: &i64| match max - min {
        0 => 0,
        range => (100.0 * ((raw - min) as f64 / range as f64)) as i64,
    };
    raw.iter().map(score).collect()
}
