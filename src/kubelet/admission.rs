//! What a kubelet refuses to run (`pkg/kubelet/lifecycle/predicate.go`,
//! `pkg/scheduler/framework/plugins/*/` as far as the kubelet asks them).
//!
//! The device managers would come between pressure and these. A critical pod that lacks nothing but room has others
//! stopped, see [`super::preemption`].

use super::evict::is_critical;
use super::node::NodeState;
use crate::model::access::untolerated;
use crate::model::pod_spec::QosClass;
use crate::model::{Name, Node, Pod, Taint, TaintEffect};

/// Why a pod is refused: it becomes Failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rejection {
    /// `OutOfcpu`, `NodeAffinity`, …
    pub reason: Name,
    /// A sentence.
    pub message: String,
    /// What there is too little of, if that is all that stands against a critical pod.
    pub short: Vec<Shortage>,
}

/// A resource of which there is too little, and how much is missing.
pub type Shortage = (Name, i64);

impl Rejection {
    fn of(reason: Name, message: String) -> Self {
        Rejection { reason, message, short: Vec::new() }
    }

    /// Nobody can make room for a critical pod.
    pub fn no_victims(short: &[Shortage]) -> Self {
        let list: String =
            short.iter().map(|(resource, missing)| format!("(res: {resource}, q: {missing}), ")).collect();
        let message = format!(
            "Unexpected error while attempting to recover from admission failure: preemption: error finding a set of \
             pods to preempt: no set of running pods found to reclaim resources: [{list}]"
        );
        Rejection::of(crate::name!("UnexpectedAdmissionError"), message)
    }
}

/// Whether `pod` may run beside the pods accepted before it.
///
/// # Errors
/// Why not.
pub fn admit(pod: &Pod, state: &NodeState, node: &Node) -> Result<(), Rejection> {
    pressure(pod, state)?;
    let room = fits(pod, state, node);
    match is_critical(pod) {
        // Others are stopped for it only if nothing else stands against it.
        true => elsewhere(pod, state, node).and(room),
        false => room.and_then(|()| elsewhere(pod, state, node)),
    }
}

/// Whether the pod belongs on the node at all.
fn elsewhere(pod: &Pod, state: &NodeState, node: &Node) -> Result<(), Rejection> {
    let failed = |predicate: Name, why: &str| {
        Err(Rejection::of(predicate.clone(), format!("Predicate {predicate} failed: {why}")))
    };
    let required = pod.spec.affinity.as_ref().and_then(|affinity| affinity.node_required.as_ref());
    if !pod.spec.node_selector.subset_of(&node.meta.labels) || required.is_some_and(|terms| !terms.matches(node)) {
        return failed(crate::name!("NodeAffinity"), "node(s) didn't match Pod's node affinity/selector");
    }
    if pod.spec.node_name.as_ref().is_some_and(|wanted| *wanted != node.meta.name) {
        return failed(crate::name!("NodeName"), "node(s) didn't match the requested node name");
    }
    if wanted_ports(pod).any(|port| state.host_ports.iter().any(|held| clashes(&port, held))) {
        return failed(crate::name!("NodePorts"), "node(s) didn't have free ports for the requested pod ports");
    }
    if untolerated(&node.taints, &pod.spec.tolerations, &[TaintEffect::NoExecute]).is_some() {
        return failed(crate::name!("TaintToleration"), "node(s) had taints that the pod didn't tolerate");
    }
    if state.shutting_down() {
        let message = "Pod was rejected as the node is shutting down.".to_string();
        return Err(Rejection::of(crate::name!("NodeShutdown"), message));
    }
    Ok(())
}

/// A node that runs short of memory takes no BestEffort pods that do not tolerate it; one that runs short of something
/// else takes none; critical pods it takes (`pkg/kubelet/eviction/eviction_manager.go`, `Admit`).
fn pressure(pod: &Pod, state: &NodeState) -> Result<(), Rejection> {
    let names = state.pressure.names();
    if names.is_empty() || is_critical(pod) {
        return Ok(());
    }
    if names == ["MemoryPressure"] {
        let taint = Taint {
            key: crate::name!("node.kubernetes.io/memory-pressure"),
            value: Name::new(),
            effect: TaintEffect::NoSchedule,
            added: None,
        };
        let tolerates = untolerated(&[taint], &pod.spec.tolerations, &[TaintEffect::NoSchedule]).is_none();
        if pod.spec.qos() != QosClass::BestEffort || tolerates {
            return Ok(());
        }
    }
    let message = format!("The node had condition: [{}]. ", names.join(" "));
    Err(Rejection::of(crate::name!("Evicted"), message))
}

fn fits(pod: &Pod, state: &NodeState, node: &Node) -> Result<(), Rejection> {
    let room = &node.allocatable;
    let mut refused: Option<Rejection> = None;
    let mut check = |resource: &Name, wanted: i64, used: i64, capacity: i64| {
        if wanted <= 0 || wanted <= capacity - used {
            return;
        }
        let (reason, missing) = (Name::from(format!("OutOf{resource}")), wanted - (capacity - used));
        let message = format!(
            "Node didn't have enough resource: {resource}, requested: {wanted}, used: {used}, capacity: {capacity}"
        );
        // The first one is told.
        let told = refused.get_or_insert_with(|| Rejection::of(reason, message));
        told.short.push((resource.clone(), missing));
    };
    check(&crate::name!("pods"), 1, state.pods, room.pods);
    let requests = pod.requests();
    for resource in [crate::name!("cpu"), crate::name!("memory"), crate::name!("ephemeral-storage")] {
        check(&resource, requests.get(&resource), state.used.get(&resource), room.get(&resource));
    }
    for (name, wanted) in &requests.scalar {
        // A resource that the node does not have at all is not the kubelet's to judge.
        if room.scalar.iter().any(|(have, _)| have == name) {
            check(name, *wanted, state.used.get(name), room.get(name));
        }
    }
    refused.map_or(Ok(()), Err)
}

/// The ports on the node that a pod wants: address, protocol, port.
pub fn wanted_ports(pod: &Pod) -> impl Iterator<Item = (Name, Name, u16)> + '_ {
    let ports = pod.spec.long_running().flat_map(|container| &container.ports);
    ports.filter(|port| port.host_port > 0).map(|port| (port.host_ip.clone(), port.protocol.clone(), port.host_port))
}

fn clashes(a: &(Name, Name, u16), b: &(Name, Name, u16)) -> bool {
    let any = |address: &Name| address.is_empty() || address == "0.0.0.0";
    a.1 == b.1 && a.2 == b.2 && (a.0 == b.0 || any(&a.0) || any(&b.0))
}
