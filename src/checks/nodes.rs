//! What nodes give and pods take (invariants 15-17 and 19).

use super::Findings;
use crate::model::pod_spec::ContainerPort;
use crate::model::{Key, Kind, Name, Node, Object, Pod, Resources, Taint, TaintEffect, access};
use crate::store::{Change, Store};
use crate::time::{SimDuration, SimTime};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Sums kept beside the store.
#[derive(Debug, Default)]
pub struct NodeChecks {
    admitted: FxHashMap<Name, Resources>,
    bound: FxHashMap<Name, Resources>,
    barred_since: FxHashMap<Name, SimTime>,
}

/// How long a bind may be under way: it was decided on what the scheduler saw then.
const UNDER_WAY: SimDuration = SimDuration::from_secs(30);

fn takes(pod: &Pod) -> Resources {
    let mut requests = pod.requests().clone();
    requests.pods = 1;
    requests
}

/// The node that a pod is bound to, while it takes something of it.
fn bound(object: Option<&Object>) -> Option<(&Arc<Pod>, &Name)> {
    let pod = object?.pod()?;
    let node = pod.node.as_ref()?;
    (!pod.status.phase.terminal()).then_some((pod, node))
}

/// The same once its kubelet has taken it.
fn admitted(object: Option<&Object>) -> Option<(&Arc<Pod>, &Name)> {
    bound(object).filter(|(pod, _)| pod.status.start_time.is_some())
}

impl NodeChecks {
    /// 16 and 17. What the scheduler binds too much, the kubelet must refuse; so only what it took counts.
    pub fn admission(&mut self, change: &Change, store: &Store, findings: &mut Findings) {
        if change.key.kind != Kind::Pod {
            return;
        }
        let (before, after) = (admitted(change.old.as_ref()), admitted(change.new.as_ref()));
        if before.is_some() == after.is_some() {
            return;
        }
        if let Some((pod, node)) = before {
            self.admitted.entry(node.clone()).or_default().sub(&takes(pod));
        }
        if let Some((pod, node)) = after {
            let sum = self.admitted.entry(node.clone()).or_default();
            sum.add(&takes(pod));
            if let Some(body) = store.live().node(node)
                && let Some(what) = over(sum, &body.allocatable)
            {
                let message = format!("{} was admitted to {node}, which now gives more {what} than it has", change.key);
                findings.violate(16, &[&change.key, &Key::cluster(Kind::Node, node.clone())], message);
            }
            host_ports(change, pod, node, store, findings);
        }
    }

    /// 15 (the sums) and 19.
    pub fn change(&mut self, change: &Change, store: &Store, findings: &mut Findings) {
        let (old, new) = (change.old.as_ref(), change.new.as_ref());
        match change.object() {
            Object::Pod(_) => {
                let (before, after) = (bound(old), bound(new));
                if let (None, Some((pod, node)), Some(_)) = (before, after, old) {
                    self.binding(change, pod, node, store, findings);
                }
                if before.is_some() != after.is_some() {
                    if let Some((pod, node)) = before {
                        self.bound.entry(node.clone()).or_default().sub(&takes(pod));
                    }
                    if let Some((pod, node)) = after {
                        self.bound.entry(node.clone()).or_default().add(&takes(pod));
                    }
                }
            }
            Object::Node(node) => {
                let bars = |object: Option<&Object>| {
                    object.and_then(Object::node).map(|node| (node.unschedulable, node.taints.clone()))
                };
                if bars(old) != bars(new) {
                    self.barred_since.insert(node.meta.name.clone(), change.time);
                }
            }
            _ => {}
        }
    }

    fn binding(&self, change: &Change, pod: &Pod, node: &Name, store: &Store, findings: &mut Findings) {
        let Some(body) = store.live().node(node) else { return };
        let since = self.barred_since.get(node).copied().unwrap_or(SimTime::ZERO);
        if change.time - since > UNDER_WAY
            && let Some(bar) = bar(body, pod)
        {
            let message = format!("{} was bound to {node} in spite of {bar}", change.key);
            findings.violate(19, &[&change.key, &Key::cluster(Kind::Node, node.clone())], message);
        }
    }

    /// 15.
    pub fn sweep(&self, store: &Store, findings: &mut Findings) {
        let mut facts: FxHashMap<Name, Resources> = FxHashMap::default();
        for object in store.live().objects(Kind::Pod) {
            if let Some((pod, node)) = bound(Some(object)) {
                facts.entry(node.clone()).or_default().add(&takes(pod));
            }
        }
        let mut names: Vec<&Name> = facts.keys().chain(self.bound.keys()).collect();
        names.sort_unstable();
        names.dedup();
        let nothing = Resources::default();
        for name in names {
            let (kept, fact) = (self.bound.get(name).unwrap_or(&nothing), facts.get(name).unwrap_or(&nothing));
            let differs = (kept.milli_cpu, kept.memory, kept.pods) != (fact.milli_cpu, fact.memory, fact.pods);
            if differs {
                let message = format!("by the log {name} gives {kept:?}, by its pods {fact:?}");
                findings.violate(15, &[&Key::cluster(Kind::Node, name.clone())], message);
            }
        }
    }
}

/// The first resource of which more is taken than there is.
fn over(taken: &Resources, has: &Resources) -> Option<Name> {
    let fixed = [crate::name!("cpu"), crate::name!("memory"), crate::name!("ephemeral-storage"), crate::name!("pods")];
    let extended = taken.scalar.iter().map(|(name, _)| name.clone());
    fixed.into_iter().chain(extended).find(|name| taken.get(name) > has.get(name).max(0))
}

/// What keeps a pod from a node.
fn bar(node: &Node, pod: &Pod) -> Option<String> {
    let cordon = Taint {
        key: crate::name!("node.kubernetes.io/unschedulable"),
        value: Name::new(),
        effect: TaintEffect::NoSchedule,
        added: None,
    };
    if node.unschedulable && !pod.spec.tolerations.iter().any(|toleration| toleration.tolerates(&cordon)) {
        return Some("its cordon".to_string());
    }
    let effects = [TaintEffect::NoSchedule, TaintEffect::NoExecute];
    let taint = access::untolerated(&node.taints, &pod.spec.tolerations, &effects)?;
    Some(format!("taint {}:{}", taint.key, taint.effect.as_str()))
}

fn ports(pod: &Pod) -> impl Iterator<Item = &ContainerPort> {
    pod.spec.long_running().flat_map(|container| &container.ports).filter(|port| port.host_port != 0)
}

/// 17.
fn host_ports(change: &Change, pod: &Arc<Pod>, node: &Name, store: &Store, findings: &mut Findings) {
    if ports(pod).next().is_none() {
        return;
    }
    let any = |ip: &Name| ip.is_empty() || ip == "0.0.0.0";
    let clash = |a: &ContainerPort, b: &ContainerPort| {
        (a.host_port, &a.protocol) == (b.host_port, &b.protocol)
            && (a.host_ip == b.host_ip || any(&a.host_ip) || any(&b.host_ip))
    };
    for other in store.live().pods_on(node) {
        let counts =
            other.meta.uid != pod.meta.uid && other.status.start_time.is_some() && !other.status.phase.terminal();
        if counts && ports(pod).any(|a| ports(other).any(|b| clash(a, b))) {
            let message = format!("{} and {} use one host port of {node}", change.key, other.meta.name);
            findings.violate(17, &[&change.key], message);
        }
    }
}
