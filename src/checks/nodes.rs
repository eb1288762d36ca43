//! What nodes give and pods take (invariants 15-17 and 19).
//!
//! Known exceptions. A stale scheduler may bind too much: the kubelet then refuses the pod
//! (`pkg/kubelet/lifecycle/predicate.go`), so only what it took counts. Who deletes a pod by force while its machine
//! is silent frees its place in the API before it is free there (`pkg/controller/podgc/gc_controller.go`). Taints are
//! no matter for pods made with `spec.nodeName`, and those of daemons tolerate what bars others
//! (`pkg/controller/daemon/util/daemonset_util.go`).

use super::{Bounds, Findings};
use crate::model::pod_spec::ContainerPort;
use crate::model::{Key, Kind, Name, Node, Object, Pod, Resources, Taint, TaintEffect};
use crate::store::{Change, Store};
use crate::time::{SimDuration, SimTime};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// How often the eviction of a pod is tried (`pkg/controller/tainteviction/taint_eviction.go`, `retries`).
const EVICTION_TRIES: u32 = 5;

/// How long a binding waits for volumes (`pkg/scheduler/apis/config/v1/defaults.go`, `bindTimeoutSeconds`).
const VOLUME_BIND_TIMEOUT: SimDuration = SimDuration::from_secs(600);

/// Sums kept beside the store.
#[derive(Debug, Default)]
pub struct NodeChecks {
    admitted: FxHashMap<Name, Resources>,
    bound: FxHashMap<Name, Resources>,
    /// What keeps pods from a node, and since when.
    bars: FxHashMap<Name, Vec<(Taint, SimTime)>>,
    gone: FxHashMap<Name, SimTime>,
    /// How often the eviction of a pod was refused.
    refused: FxHashMap<Key, u32>,
}

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
            if let (Some((old, node)), Some((new, _))) = (before, after)
                && old.spec.hash != new.spec.hash
            {
                // What a resize gives back is free; what it asks for is the kubelet's to grant or not.
                let (had, wishes) = (takes(old), takes(new));
                let (milli_cpu, memory) = (had.milli_cpu.min(wishes.milli_cpu), had.memory.min(wishes.memory));
                let sum = self.admitted.entry(node.clone()).or_default();
                sum.sub(&had);
                sum.add(&Resources { milli_cpu, memory, ..wishes });
            }
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

    /// A write was refused.
    pub fn refused(&mut self, writer: &str, key: &Key) {
        if writer == "taint-eviction-controller" {
            *self.refused.entry(key.clone()).or_default() += 1;
        }
    }

    /// Whether the eviction of a pod was refused so often that nobody tries it any more.
    pub fn given_up(&self, pod: &Key) -> bool {
        self.refused.get(pod).is_some_and(|refused| *refused >= EVICTION_TRIES)
    }

    /// When a node that is not there went.
    pub fn gone(&self, node: &Name) -> Option<SimTime> {
        self.gone.get(node).copied()
    }

    /// 15 (the sums) and 19.
    pub fn change(&mut self, change: &Change, bounds: &Bounds, store: &Store, findings: &mut Findings) {
        let (old, new) = (change.old.as_ref(), change.new.as_ref());
        match (change.object(), new) {
            (Object::Pod(_), _) => {
                let (before, after) = (bound(old), bound(new));
                if let (None, Some((pod, node)), Some(_)) = (before, after, old) {
                    self.binding(change, pod, node, bounds, store, findings);
                }
                let resized = before.zip(after).is_some_and(|((old, _), (new, _))| old.spec.hash != new.spec.hash);
                if before.is_some() != after.is_some() || resized {
                    if let Some((pod, node)) = before {
                        self.bound.entry(node.clone()).or_default().sub(&takes(pod));
                    }
                    if let Some((pod, node)) = after {
                        self.bound.entry(node.clone()).or_default().add(&takes(pod));
                    }
                }
            }
            (Object::Node(node), None) => {
                self.bars.remove(&node.meta.name);
                self.gone.insert(node.meta.name.clone(), change.time);
            }
            (Object::Node(node), Some(_)) => {
                let known = self.bars.remove(&node.meta.name).unwrap_or_default();
                let stood = |bar: &Taint| {
                    let same = known.iter().find(|(one, _)| (&one.key, one.effect) == (&bar.key, bar.effect));
                    same.map_or(change.time, |(_, since)| *since)
                };
                let bars = bars(node).map(|bar| (bar.clone(), stood(&bar))).collect();
                self.bars.insert(node.meta.name.clone(), bars);
                self.gone.remove(&node.meta.name);
            }
            _ => {}
        }
    }

    /// 19: a bind was decided on what the scheduler saw then.
    fn binding(
        &self,
        change: &Change,
        pod: &Pod,
        node: &Name,
        bounds: &Bounds,
        store: &Store,
        findings: &mut Findings,
    ) {
        if store.live().node(node).is_none() {
            return;
        }
        // Where it is to run is decided before its volumes are made.
        let waited = if pod.claims().next().is_some() { VOLUME_BIND_TIMEOUT } else { SimDuration::ZERO };
        let bars = self.bars.get(node).into_iter().flatten();
        let tolerated = |bar: &Taint| pod.spec.tolerations.iter().any(|toleration| toleration.tolerates(bar));
        for (bar, since) in bars.filter(|(bar, _)| !tolerated(bar)) {
            if change.time - *since > bounds.stale + waited {
                let message = format!("{} was bound to {node}, barred by {} since {since}", change.key, bar.key);
                findings.violate(19, &[&change.key, &Key::cluster(Kind::Node, node.clone())], message);
            }
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

/// The cordon, as the taint that says the same, and the taints that bar pods.
fn bars(node: &Node) -> impl Iterator<Item = Taint> {
    let cordon = node.unschedulable.then(|| Taint {
        key: crate::name!("node.kubernetes.io/unschedulable"),
        value: Name::new(),
        effect: TaintEffect::NoSchedule,
        added: None,
    });
    let taints = node.taints.iter().filter(|taint| taint.effect != TaintEffect::PreferNoSchedule);
    cordon.into_iter().chain(taints.cloned())
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
