//! On which nodes a daemon set wants a pod, and what such a pod looks like
//! (`pkg/controller/daemon/daemon_controller.go`, `NodeShouldRunDaemonPod`; `pkg/controller/daemon/util/daemonset_util.go`).
//!
//! A worked example: a cordoned node still gets its pod, since daemon pods tolerate `unschedulable`; a node with a
//! taint of its own gets none, and keeps the one it has unless the taint is `NoExecute`.

use super::super::shared::pod_of_template;
use crate::model::access::untolerated;
use crate::model::sets::keys;
use crate::model::{DaemonSet, Kind, Labels, Name, Node, Pod, PodTemplate, TaintEffect, Toleration};
use std::sync::Arc;

/// Taints that daemon pods tolerate; the last only in the node's network.
const TOLERATED: [(Name, TaintEffect); 7] = [
    (crate::name!("node.kubernetes.io/not-ready"), TaintEffect::NoExecute),
    (crate::name!("node.kubernetes.io/unreachable"), TaintEffect::NoExecute),
    (crate::name!("node.kubernetes.io/disk-pressure"), TaintEffect::NoSchedule),
    (crate::name!("node.kubernetes.io/memory-pressure"), TaintEffect::NoSchedule),
    (crate::name!("node.kubernetes.io/pid-pressure"), TaintEffect::NoSchedule),
    (crate::name!("node.kubernetes.io/unschedulable"), TaintEffect::NoSchedule),
    (crate::name!("node.kubernetes.io/network-unavailable"), TaintEffect::NoSchedule),
];

/// Whether a node should have a pod of a set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fit {
    /// It should.
    Run,
    /// It may keep the one it has.
    Keep,
    /// It should not.
    Leave,
}

fn tolerations(host_network: bool) -> Vec<Toleration> {
    let wanted = TOLERATED.len() - usize::from(!host_network);
    let toleration = |(key, effect): &(Name, TaintEffect)| Toleration {
        key: key.clone(),
        exists: true,
        value: Name::new(),
        effect: Some(*effect),
        seconds: None,
    };
    TOLERATED[..wanted].iter().map(toleration).collect()
}

/// The template as pods have it but for the node: with the tolerations of daemon pods, and the labels of a revision.
pub fn template(set: &DaemonSet, hash: &Name) -> PodTemplate {
    let mut template = PodTemplate::clone(&set.template);
    template.spec = Arc::new(template.spec.with_tolerations(&tolerations(template.spec.host_network)));
    let labels: Labels = template.labels.with(keys::REVISION_HASH, hash.clone());
    template.labels = match generation(set) {
        Some(generation) => labels.with(keys::TEMPLATE_GENERATION, generation.clone()),
        None => labels,
    };
    template
}

/// How often the set's template changed, as its pods carry it.
pub fn generation(set: &DaemonSet) -> Option<&Name> {
    set.meta.annotations.get(&keys::DAEMON_SET_GENERATION)
}

/// The pod of a node.
pub fn pod_for(set: &DaemonSet, template: &PodTemplate, node: &Name) -> Pod {
    let mut pod = pod_of_template(Kind::DaemonSet, &set.meta, template);
    pod.spec = Arc::new(template.spec.for_node(node));
    pod
}

/// Whether `node` should have a pod of this template, which has the tolerations of daemon pods.
pub fn fit(template: &PodTemplate, node: &Node) -> Fit {
    let spec = &template.spec;
    let named = spec.node_name.as_ref().is_none_or(|name| *name == node.meta.name);
    if !named || !spec.wants(node) {
        return Fit::Leave;
    }
    let stopped_by = |effects: &[TaintEffect]| untolerated(&node.taints, &spec.tolerations, effects).is_some();
    if !stopped_by(&[TaintEffect::NoSchedule, TaintEffect::NoExecute]) {
        Fit::Run
    } else if stopped_by(&[TaintEffect::NoExecute]) {
        Fit::Leave
    } else {
        Fit::Keep
    }
}

/// The node that a pod is on, or is meant for (`GetTargetNodeName`).
pub fn node_of(pod: &Pod) -> Option<&Name> {
    pod.node.as_ref().or_else(|| pod.spec.target_node())
}

/// Whether a pod is of the newest template (`IsPodUpdated`).
pub fn is_updated(set: &DaemonSet, hash: &Name, pod: &Pod) -> bool {
    let label = |key: &Name| pod.meta.labels.get(key);
    let same_generation = generation(set).is_some_and(|now| label(&keys::TEMPLATE_GENERATION) == Some(now));
    same_generation || label(&keys::REVISION_HASH) == Some(hash)
}
