//! The filters of the default profile without volumes, one node at a time.

use super::world::{Verdict, World};
use kubesim::model::pod_spec::{PodAffinityTerm, SpreadConstraint};
use kubesim::model::selector::Operator;
use kubesim::model::{Labels, Name, Node, Pod, Selector, Taint, TaintEffect};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A domain: label and value.
type Domain = (Name, Name);

/// What two of the filters count over the whole cluster before they look at a node.
pub struct Prepared {
    /// For each hard constraint the counted pods by value.
    spread: Vec<BTreeMap<Name, i64>>,
    near: BTreeMap<Domain, usize>,
    far: BTreeSet<Domain>,
    kept_out: BTreeSet<Domain>,
    /// InterPodAffinity has nothing to say: that is settled before any pod is added for trial.
    pub no_inter_pod: bool,
}

/// The names that required node affinity allows, if every term names some.
pub fn names(pod: &Pod) -> Option<BTreeSet<Name>> {
    let required = pod.spec.affinity.as_ref()?.node_required.as_ref()?;
    let mut all = BTreeSet::new();
    for term in &required.terms {
        let mut lists = term.fields.iter().filter(|r| r.key == "metadata.name" && r.operator == Operator::In);
        let first: BTreeSet<Name> = lists.next()?.values.iter().cloned().collect();
        all.extend(lists.fold(first, |names, r| names.into_iter().filter(|name| r.values.contains(name)).collect()));
    }
    Some(all)
}

/// Whether the node satisfies node selector and required node affinity.
pub fn wants_node(pod: &Pod, node: &Node) -> bool {
    let selected = pod.spec.node_selector.iter().all(|(key, value)| node.meta.labels.get(key) == Some(value));
    let required = pod.spec.affinity.as_ref().and_then(|affinity| affinity.node_required.as_ref());
    let term_holds = |term: &kubesim::model::selector::NodeSelectorTerm| {
        let some = !term.expressions.is_empty() || !term.fields.is_empty();
        some && term.expressions.iter().all(|r| r.matches(&node.meta.labels))
            && term.fields.iter().all(|r| r.matches_value(Some(&node.meta.name)))
    };
    selected && required.is_none_or(|required| required.terms.iter().any(term_holds))
}

fn tolerates(pod: &Pod, taint: &Taint) -> bool {
    pod.spec.tolerations.iter().any(|toleration| toleration.tolerates(taint))
}

/// Whether no taint of the node keeps the pod away.
fn welcome(pod: &Pod, node: &Node) -> bool {
    let hard = |taint: &&Taint| taint.effect != TaintEffect::PreferNoSchedule;
    node.taints.iter().filter(hard).all(|taint| tolerates(pod, taint))
}

/// Whether the pods that count in a spread constraint include `other`.
pub fn counted(selector: &Option<Selector>, namespace: &Name, other: &Pod) -> bool {
    let matches = selector.as_ref().is_some_and(|s| !s.requirements.is_empty() && s.matches(&other.meta.labels));
    matches && other.meta.namespace == *namespace && !other.meta.deleting()
}

/// Whether the node takes part in counting for this constraint.
pub fn included(constraint: &SpreadConstraint, pod: &Pod, node: &Node) -> bool {
    (!constraint.honor_affinity || wants_node(pod, node)) && (!constraint.honor_taints || welcome(pod, node))
}

fn hard(pod: &Pod) -> Vec<&SpreadConstraint> {
    pod.spec.spread.iter().filter(|constraint| constraint.hard).collect()
}

/// Whether a term of a pod of `owner_namespace` means `other`.
pub fn means(world: &World, term: &PodAffinityTerm, owner_namespace: &Name, other: &Pod) -> bool {
    let namespace = &other.meta.namespace;
    let none = Labels::EMPTY;
    let labels = world.namespaces.get(namespace).unwrap_or(&none);
    let here = match (&term.namespace_selector, term.namespaces.is_empty()) {
        (None, true) => namespace == owner_namespace,
        (selector, _) => {
            term.namespaces.contains(namespace) || selector.as_ref().is_some_and(|selector| selector.matches(labels))
        }
    };
    here && term.selector.as_ref().is_some_and(|selector| selector.matches(&other.meta.labels))
}

fn required(pod: &Pod) -> &[PodAffinityTerm] {
    pod.spec.affinity.as_ref().map_or(&[], |affinity| &affinity.pod_required)
}

fn anti(pod: &Pod) -> &[PodAffinityTerm] {
    pod.spec.affinity.as_ref().map_or(&[], |affinity| &affinity.anti_required)
}

fn domain(node: &Node, key: &Name) -> Option<Domain> {
    node.meta.labels.get(key).map(|value| (key.clone(), value.clone()))
}

impl Prepared {
    pub fn new(world: &World, pod: &Pod) -> Self {
        let constraints = hard(pod);
        let mut spread = vec![BTreeMap::new(); constraints.len()];
        for node in world.nodes.values() {
            if !constraints.iter().all(|constraint| node.meta.labels.get(&constraint.topology_key).is_some()) {
                continue;
            }
            for (constraint, counts) in constraints.iter().zip(&mut spread) {
                if included(constraint, pod, node) {
                    let pods = world.pods_on(&node.meta.name);
                    let there = pods.filter(|o| counted(&constraint.selector, &pod.meta.namespace, o)).count();
                    let value = node.meta.labels.get(&constraint.topology_key).unwrap();
                    *counts.entry(value.clone()).or_insert(0) += there as i64;
                }
            }
        }
        let (mut near, mut far, mut kept_out) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
        for (other, node) in world.placed() {
            if !required(pod).is_empty() && required(pod).iter().all(|t| means(world, t, &pod.meta.namespace, other)) {
                for domain in required(pod).iter().filter_map(|term| domain(node, &term.topology_key)) {
                    *near.entry(domain).or_insert(0) += 1;
                }
            }
            let own = anti(pod).iter().filter(|term| means(world, term, &pod.meta.namespace, other));
            far.extend(own.filter_map(|term| domain(node, &term.topology_key)));
            let theirs = anti(other).iter().filter(|term| means(world, term, &other.meta.namespace, pod));
            kept_out.extend(theirs.filter_map(|term| domain(node, &term.topology_key)));
        }
        let no_inter_pod = kept_out.is_empty() && required(pod).is_empty() && anti(pod).is_empty();
        Prepared { spread, near, far, kept_out, no_inter_pod }
    }
}

/// All filters in order; the first rejection counts.
pub fn all(world: &World, pod: &Pod, node: &Arc<Node>, prepared: &Prepared) -> Verdict {
    let reject = |plugin, reason: &str| Err((plugin, vec![reason.to_string()]));
    let cordon = Taint {
        key: Name::from("node.kubernetes.io/unschedulable"),
        value: Name::new(),
        effect: TaintEffect::NoSchedule,
        added: None,
    };
    if node.unschedulable && !tolerates(pod, &cordon) {
        return reject("NodeUnschedulable", "node(s) were unschedulable");
    }
    if !welcome(pod, node) {
        return reject("TaintToleration", "node(s) had untolerated taint(s)");
    }
    if !wants_node(pod, node) {
        return reject("NodeAffinity", "node(s) didn't match Pod's node affinity/selector");
    }
    let ports = |pod: &Pod| -> Vec<u16> {
        pod.spec.containers.iter().flat_map(|c| &c.ports).map(|p| p.host_port).filter(|port| *port != 0).collect()
    };
    let taken: Vec<u16> = world.pods_on(&node.meta.name).flat_map(|other| ports(other)).collect();
    if ports(pod).iter().any(|port| taken.contains(port)) {
        return reject("NodePorts", "node(s) didn't have free ports for the requested pod ports");
    }
    let short = shortages(world, pod, node);
    if !short.is_empty() {
        return Err(("NodeResourcesFit", short));
    }
    spread(pod, node, prepared)?;
    inter_pod(world, pod, node, prepared)
}

fn shortages(world: &World, pod: &Pod, node: &Node) -> Vec<String> {
    let mut short = Vec::new();
    if world.pods_on(&node.meta.name).count() as i64 + 1 > node.allocatable.pods {
        short.push("Too many pods".to_string());
    }
    let wanted = &pod.spec.requests;
    let scalars = wanted.scalar.iter().map(|(name, _)| name.as_str());
    for resource in ["cpu", "memory", "ephemeral-storage"].into_iter().chain(scalars) {
        let used: i64 = world.pods_on(&node.meta.name).map(|other| other.spec.requests.get(resource)).sum();
        let request = wanted.get(resource);
        if request > 0 && request > node.allocatable.get(resource) - used {
            short.push(format!("Insufficient {resource}"));
        }
    }
    short
}

fn spread(pod: &Pod, node: &Node, prepared: &Prepared) -> Verdict {
    const TEXT: &str = "node(s) didn't match pod topology spread constraints";
    for (constraint, counts) in hard(pod).iter().zip(&prepared.spread) {
        let Some(value) = node.meta.labels.get(&constraint.topology_key) else {
            return Err(("PodTopologySpread", vec![format!("{TEXT} (missing required label)")]));
        };
        let domains = counts.len() as i64;
        let enough = domains >= i64::from(constraint.min_domains.unwrap_or(1));
        let least = if enough { counts.values().copied().min().unwrap_or(0) } else { 0 };
        let own = constraint.selector.as_ref().is_some_and(|selector| selector.matches(&pod.meta.labels));
        let skew = counts.get(value).copied().unwrap_or(0) + i64::from(own) - least;
        if skew > i64::from(constraint.max_skew) {
            return Err(("PodTopologySpread", vec![TEXT.to_string()]));
        }
    }
    Ok(())
}

fn inter_pod(world: &World, pod: &Pod, node: &Node, prepared: &Prepared) -> Verdict {
    let reject = |reason: &str| Err(("InterPodAffinity", vec![reason.to_string()]));
    if prepared.no_inter_pod {
        return Ok(());
    }
    let first = prepared.near.is_empty() && required(pod).iter().all(|t| means(world, t, &pod.meta.namespace, pod));
    let near = |term: &PodAffinityTerm| {
        domain(node, &term.topology_key).is_some_and(|domain| first || prepared.near.contains_key(&domain))
    };
    if !required(pod).iter().all(near) {
        return reject("node(s) didn't match pod affinity rules");
    }
    let close = |term: &PodAffinityTerm| domain(node, &term.topology_key).is_some_and(|d| prepared.far.contains(&d));
    if anti(pod).iter().any(close) {
        return reject("node(s) didn't match pod anti-affinity rules");
    }
    let labels = node.meta.labels.iter();
    if labels.into_iter().any(|(key, value)| prepared.kept_out.contains(&(key.clone(), value.clone()))) {
        return reject("node(s) didn't satisfy existing pods anti-affinity rules");
    }
    Ok(())
}
