//! What the pod could give way in: labels, tolerations, rules, requests.

use super::{Candidate, Class, Edit, Situation, pod_object};
use crate::model::pod_spec::{Affinity, Container, PodAffinityTerm};
use crate::model::selector::Operator;
use crate::model::{Labels, Name, Node, Pod, PodSpec, Resources, Selector, TaintEffect, Toleration, hash};
use crate::name;
use crate::scheduler::plugins::taint_toleration::HARD_EFFECTS;
use std::sync::Arc;

/// A rule that goes is a bigger change than one that is only loosened.
const DROPPED: u64 = 1_000_000;

/// Proposes every change of the pod that a reason points at.
pub(super) fn propose(situation: &Situation<'_>, out: &mut Vec<Candidate>) {
    let mut pod = Proposals { pod: situation.pod, out };
    if situation.blames("TaintToleration") || situation.blames("NodeUnschedulable") {
        tolerations(situation, &mut pod);
    }
    if situation.blames("NodeAffinity") || situation.of_pod.iter().any(|rejection| rejection.plugin.is_empty()) {
        node_rules(&mut pod);
    }
    if situation.blames("NodePorts") {
        host_ports(&mut pod);
    }
    if situation.blames("PodTopologySpread") {
        spread(&mut pod);
    }
    if situation.blames("InterPodAffinity") {
        pod_terms(&mut pod);
        labels(&mut pod);
    }
    if situation.blames("NodeResourcesFit") {
        requests(situation, &mut pod);
    }
}

/// Where changes of the pod go.
struct Proposals<'a, 'b> {
    pod: &'a Pod,
    out: &'b mut Vec<Candidate>,
}

impl Proposals<'_, '_> {
    /// Proposes what `edit` makes of the pod's spec. Changes of one `topic` are tried until one helps.
    fn spec(&mut self, class: Class, size: u64, topic: &str, text: String, edit: impl FnOnce(&mut PodSpec)) {
        let mut spec = PodSpec::clone(&self.pod.spec);
        edit(&mut spec);
        spec.compute_requests();
        // Equal hashes mean equal specs: this one says what it came from.
        spec.hash = hash::content_hash(&serde_json::json!([self.pod.spec.hash, text.as_str()]));
        let pod = Pod { spec: Arc::new(spec), ..self.pod.clone() };
        self.add(class, size, topic, text, pod);
    }

    fn labels(&mut self, text: String, labels: Labels) {
        let mut pod = self.pod.clone();
        pod.meta.labels = labels;
        self.add(Class::Label, 1, &text.clone(), text, pod);
    }

    fn add(&mut self, class: Class, size: u64, topic: &str, text: String, pod: Pod) {
        let (object, edit) = (pod_object(self.pod), Edit::Pod(Box::new(pod)));
        self.out.push(Candidate { class, size, object, text, topic: topic.to_string(), edit });
    }
}

/// Tolerations of each taint that is in the way, and of all taints.
fn tolerations(situation: &Situation<'_>, pod: &mut Proposals<'_, '_>) {
    let mut taints: Vec<(Name, Name, TaintEffect)> = Vec::new();
    for node in situation.rejected_by("TaintToleration", "") {
        for taint in node.taints.iter().filter(|taint| HARD_EFFECTS.contains(&taint.effect)) {
            let tolerated = pod.pod.spec.tolerations.iter().any(|toleration| toleration.tolerates(taint));
            let taint = (taint.key.clone(), taint.value.clone(), taint.effect);
            if !tolerated && !taints.contains(&taint) {
                taints.push(taint);
            }
        }
    }
    if situation.blames("NodeUnschedulable") {
        taints.push((name!("node.kubernetes.io/unschedulable"), Name::new(), TaintEffect::NoSchedule));
    }
    for (key, value, effect) in taints {
        let shown = if value.is_empty() { key.to_string() } else { format!("{key}={value}") };
        let text = format!("let the pod tolerate {shown}:{}", effect.as_str());
        let exists = value.is_empty();
        let toleration = Toleration { key, exists, value, effect: Some(effect), seconds: None };
        pod.spec(Class::Toleration, 1, &text.clone(), text, |spec| spec.tolerations.push(toleration));
    }
    let several = |node: &Arc<Node>| node.taints.len() + usize::from(node.unschedulable) > 1;
    if !situation.rejected_by("TaintToleration", "").any(several)
        && !situation.rejected_by("NodeUnschedulable", "").any(several)
    {
        return;
    }
    let all = Toleration { key: Name::new(), exists: true, value: Name::new(), effect: None, seconds: None };
    let text = "let the pod tolerate every taint".to_string();
    // Bigger than any single one: it is of use only where a node has several.
    pod.spec(Class::Toleration, 2, "every taint", text, |spec| spec.tolerations.push(all));
}

fn node_rules(pod: &mut Proposals<'_, '_>) {
    for (key, value) in pod.pod.spec.node_selector.iter() {
        let text = format!("remove {key}={value} from the pod's nodeSelector");
        pod.spec(Class::Rule, DROPPED, &text.clone(), text, |spec| {
            spec.node_selector = spec.node_selector.without(key)
        });
    }
    let Some(required) = pod.pod.spec.affinity.as_ref().and_then(|affinity| affinity.node_required.as_ref()) else {
        return;
    };
    let text = "remove the pod's required node affinity".to_string();
    pod.spec(Class::Rule, DROPPED + 2, "node affinity", text, |spec| affinity(spec).node_required = None);
    for (at, term) in required.terms.iter().enumerate() {
        for (expression, requirement) in term.expressions.iter().enumerate() {
            if term.expressions.len() + term.fields.len() == 1 {
                continue;
            }
            let rule = Selector { requirements: vec![requirement.clone()] };
            let text = format!("remove {rule} from term {at} of the pod's required node affinity");
            pod.spec(Class::Rule, DROPPED + 1, &text.clone(), text, |spec| {
                let required = affinity(spec).node_required.as_mut();
                required.into_iter().for_each(|required| drop(required.terms[at].expressions.remove(expression)));
            });
        }
    }
}

fn affinity(spec: &mut PodSpec) -> &mut Affinity {
    spec.affinity.get_or_insert_with(Box::default)
}

fn containers(spec: &PodSpec) -> impl Iterator<Item = &Container> {
    spec.init_containers.iter().chain(&spec.containers)
}

fn containers_mut(spec: &mut PodSpec) -> impl Iterator<Item = &mut Container> {
    spec.init_containers.iter_mut().chain(&mut spec.containers)
}

fn host_ports(pod: &mut Proposals<'_, '_>) {
    let ports: Vec<u16> = containers(&pod.pod.spec).flat_map(|c| &c.ports).map(|port| port.host_port).collect();
    for port in ports.into_iter().filter(|port| *port != 0) {
        let text = format!("remove the pod's hostPort {port}");
        pod.spec(Class::Rule, DROPPED + 1, &text.clone(), text, |spec| {
            let all = containers_mut(spec).flat_map(|container| &mut container.ports);
            all.filter(|other| other.host_port == port).for_each(|other| other.host_port = 0);
        });
    }
}

/// Larger skews, one at a time and then in larger steps, or no hard rule at all.
fn spread(pod: &mut Proposals<'_, '_>) {
    for (at, constraint) in pod.pod.spec.spread.iter().enumerate().filter(|(_, constraint)| constraint.hard) {
        let (key, skew) = (&constraint.topology_key, constraint.max_skew);
        let steps = (1..=16).chain((5..=14).map(|power| 1i32 << power));
        for more in steps {
            let text = format!("raise maxSkew of the pod's spread over {key} from {skew} to {}", skew + more);
            let topic = format!("skew {at}");
            pod.spec(Class::Rule, u64::from(more.unsigned_abs()), &topic, text, |spec| {
                spec.spread[at].max_skew += more
            });
        }
        let text = format!("make the pod's spread over {key} ScheduleAnyway");
        pod.spec(Class::Rule, DROPPED + 1, &text.clone(), text, |spec| spec.spread[at].hard = false);
    }
}

fn pod_terms(pod: &mut Proposals<'_, '_>) {
    let Some(rules) = pod.pod.spec.affinity.as_deref() else { return };
    let described = |term: &PodAffinityTerm| {
        let who = term.selector.as_ref().map_or("nothing".to_string(), Selector::to_string);
        format!("{who} on {}", term.topology_key)
    };
    for (at, term) in rules.pod_required.iter().enumerate() {
        let text = format!("remove the pod's required affinity to {}", described(term));
        pod.spec(Class::Rule, DROPPED + 2, &text.clone(), text, |spec| drop(affinity(spec).pod_required.remove(at)));
    }
    for (at, term) in rules.anti_required.iter().enumerate() {
        let text = format!("remove the pod's required anti-affinity to {}", described(term));
        pod.spec(Class::Rule, DROPPED + 2, &text.clone(), text, |spec| drop(affinity(spec).anti_required.remove(at)));
    }
}

/// Labels that make the pod the first of those it wants to be with, and labels that others keep away from. The
/// labels of a controlled pod are what its controller knows it by: they stay.
fn labels(pod: &mut Proposals<'_, '_>) {
    let meta = &pod.pod.meta;
    let wanted = pod.pod.spec.affinity.iter().flat_map(|affinity| &affinity.pod_required);
    for selector in wanted.filter_map(|term| term.selector.as_ref()) {
        let missing: Vec<_> = selector.requirements.iter().filter(|r| !r.matches(&meta.labels)).collect();
        if let [only] = missing[..] {
            let value = match only.operator {
                Operator::In => only.values.first().cloned(),
                Operator::Exists => Some(Name::new()),
                _ => None,
            };
            if let Some(value) = value.filter(|_| meta.labels.get(&only.key).is_none()) {
                pod.labels(
                    format!("give the pod the label {}={value}", only.key),
                    meta.labels.with(only.key.clone(), value),
                );
            }
        }
    }
    if meta.controller().is_none() {
        for (key, value) in meta.labels.iter() {
            pod.labels(format!("remove the label {key}={value} from the pod"), meta.labels.without(key));
        }
    }
}

/// What one resource of one container would have to be, for each node that has too little of just that.
fn requests(situation: &Situation<'_>, pod: &mut Proposals<'_, '_>) {
    let wanted = &pod.pod.spec.requests;
    for (node, rejection) in &situation.rejected {
        let [reason] = &rejection.reasons[..] else { continue };
        let Some(resource) = reason.strip_prefix("Insufficient ") else { continue };
        if rejection.plugin != "NodeResourcesFit" {
            continue;
        }
        let resource = Name::from(resource);
        let free = super::node_changes::free(situation.snapshot, *node, &resource);
        let short = wanted.get(&resource) - free.max(0);
        let names: Vec<(Name, i64)> = containers(&pod.pod.spec)
            .map(|container| (container.name.clone(), container.requests.get(&resource)))
            .filter(|(_, amount)| short > 0 && *amount >= short)
            .collect();
        for (container, amount) in names {
            let shown = |amount| super::node_changes::shown(&resource, amount);
            let (from, to) = (shown(amount), shown(amount - short));
            let text = format!("lower the {resource} request of container {container} from {from} to {to}");
            let topic = format!("request {container} {resource}");
            pod.spec(Class::Request, millionths(short, amount), &topic, text, |spec| {
                let mut all = containers_mut(spec).filter(|other| other.name == container);
                all.by_ref().for_each(|container| container.requests.set(&resource, amount - short));
            });
        }
        pod_level(&resource, short, pod);
    }
}

/// The same for a request that the pod makes as a whole.
fn pod_level(resource: &Name, short: i64, pod: &mut Proposals<'_, '_>) {
    let Some(level) = pod.pod.spec.pod_level.as_ref().filter(|level| level.requested.contains(resource)) else {
        return;
    };
    let amount = level.requests.get(resource);
    if short <= 0 || amount < short {
        return;
    }
    let shown = |amount| super::node_changes::shown(resource, amount);
    let text = format!("lower the pod's {resource} request from {} to {}", shown(amount), shown(amount - short));
    pod.spec(Class::Request, millionths(short, amount), &format!("request {resource}"), text, |spec| {
        let lower = |requests: &mut Resources| requests.set(resource, amount - short);
        spec.pod_level.iter_mut().for_each(|level| lower(&mut level.requests));
    });
}

/// `part` of `whole` in millionths, for order.
pub(super) fn millionths(part: i64, whole: i64) -> u64 {
    let share = i128::from(part) * 1_000_000 / i128::from(whole.max(1));
    u64::try_from(share).unwrap_or(u64::MAX)
}
