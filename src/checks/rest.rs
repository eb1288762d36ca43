//! What holds at rest (invariants 18, 27, 31, 41 and 46): looked at once, at the end.

use super::Findings;
use crate::model::service::{EndpointSlice, SERVICE_NAME, Service};
use crate::model::{
    Deployment, Key, Kind, Machine, Name, Node, Pod, ReplicaSet, Resource, Selector, Taint, TaintEffect,
};
use crate::model::{Truth, Uid};
use crate::store::Store;
use crate::time::{SimDuration, SimTime};
use std::collections::BTreeSet;

/// How long controllers may take over what they do now and then (`pkg/controller/podgc/gc_controller.go`: every
/// 20 s, and 40 s until a node that is gone counts as gone).
const BOUND: SimDuration = SimDuration::from_secs(90);
/// Grace until a silent node is Unknown, and some.
const GRACE: SimDuration = SimDuration::from_secs(60);

/// 18. A pod on a machine that is down may stay there, marked for deletion: nobody confirms its end.
pub fn lost_nodes(now: SimTime, store: &Store, findings: &mut Findings) {
    let view = store.live();
    for pod in view.list::<Pod>().filter(|pod| pod.is_active()) {
        let Some(name) = &pod.node else { continue };
        match view.node(name) {
            None if now - pod.meta.created > BOUND && findings.at_rest => {
                findings.violate(18, &[&pod.key()], format!("{} is on {name}, which is gone", pod.key()));
            }
            None => {}
            Some(node) => {
                for taint in node.taints.iter().filter(|taint| taint.effect == TaintEffect::NoExecute) {
                    if let (Some(added), Some(stays)) = (taint.added, stays(pod, taint))
                        && now - added > stays + BOUND
                    {
                        let message = format!("{} is still on {name}, tainted {} at {added}", pod.key(), taint.key);
                        findings.violate(18, &[&pod.key(), &node.key()], message);
                    }
                }
            }
        }
    }
}

/// How long a pod tolerates a taint; `None` is for ever.
fn stays(pod: &Pod, taint: &Taint) -> Option<SimDuration> {
    let all: Vec<Option<i64>> =
        pod.spec.tolerations.iter().filter(|t| t.tolerates(taint)).map(|toleration| toleration.seconds).collect();
    match all.iter().flatten().min() {
        _ if all.is_empty() => Some(SimDuration::ZERO),
        Some(seconds) => Some(SimDuration::from_secs((*seconds).max(0))),
        None => None,
    }
}

/// 27.
pub fn statuses(store: &Store, findings: &mut Findings) {
    let view = store.live();
    for set in view.list::<ReplicaSet>().filter(|set| !set.meta.deleting()) {
        let pods: Vec<_> = view.controlled::<Pod>(set.meta.uid).filter(|pod| pod.is_active()).collect();
        let ready = pods.iter().filter(|pod| pod.is_ready()).count() as i32;
        let facts = (set.meta.generation, pods.len() as i32, ready);
        let status = (set.status.observed_generation, set.status.replicas, set.status.ready);
        if status != facts {
            let message = format!("{} reports {status:?} (generation, pods, ready), true is {facts:?}", set.key());
            findings.violate(27, &[&set.key()], message);
        }
        if facts.1 != set.replicas {
            findings.violate(
                27,
                &[&set.key()],
                format!("{} has {} pods and wants {}", set.key(), facts.1, set.replicas),
            );
        }
    }
    for deployment in view.list::<Deployment>().filter(|deployment| !deployment.meta.deleting()) {
        let sets: Vec<_> = view.controlled::<ReplicaSet>(deployment.meta.uid).collect();
        let sum = |of: fn(&ReplicaSet) -> i32| sets.iter().map(|set| of(set)).sum::<i32>();
        let facts = [sum(|set| set.status.replicas), sum(|set| set.status.ready), sum(|set| set.status.available)];
        let status = &deployment.status;
        let reported = [status.replicas, status.ready, status.available];
        if reported != facts || status.observed_generation != deployment.meta.generation {
            let seen = (status.observed_generation, deployment.meta.generation);
            let message = format!(
                "{} reports {reported:?} (pods, ready, available) of generation {}, true is {facts:?} of {}",
                deployment.key(),
                seen.0,
                seen.1
            );
            findings.violate(27, &[&deployment.key()], message);
        }
    }
}

/// 31.
pub fn orphans(store: &Store, findings: &mut Findings) {
    let view = store.live();
    for kind in Kind::ALL {
        for object in view.objects(*kind) {
            let meta = object.meta();
            let dangling = meta.owners.iter().find(|owner| view.by_uid(owner.uid).is_none());
            if let (Some(owner), false) = (dangling, meta.deleting()) {
                let message =
                    format!("{} names {} {} as an owner, which is gone", object.key(), owner.kind, owner.name);
                findings.violate(31, &[&object.key()], message);
            }
        }
    }
}

/// 41.
pub fn ready_endpoints(store: &Store, findings: &mut Findings) {
    let view = store.live();
    for service in view.list::<Service>().filter(|service| !service.publish_not_ready && !service.meta.deleting()) {
        let Some(labels) = &service.selector else { continue };
        let pods = view.pods_selected(&service.meta.namespace, &Selector::from_labels(labels));
        let serves = |pod: &Pod| pod.is_active() && pod.is_ready() && pod.status.pod_ip.is_some();
        let facts: BTreeSet<Uid> = pods.iter().filter(|pod| serves(pod)).map(|pod| pod.meta.uid).collect();
        let slices = view.list_in::<EndpointSlice>(&service.meta.namespace);
        let own = slices.filter(|slice| slice.meta.labels.get(&SERVICE_NAME) == Some(&service.meta.name));
        let listed: BTreeSet<Uid> = own
            .flat_map(|slice| slice.endpoints.iter().filter(|endpoint| endpoint.ready).map(|endpoint| endpoint.pod_uid))
            .collect();
        if facts != listed {
            let message =
                format!("{} has {} ready pods and {} ready endpoints", service.key(), facts.len(), listed.len());
            findings.violate(41, &[&service.key()], message);
        }
    }
}

/// 46.
pub fn lease_and_status(now: SimTime, store: &Store, findings: &mut Findings) {
    let view = store.live();
    for machine in view.list::<Machine>() {
        let name = &machine.meta.name;
        let key = Key::cluster(Kind::Node, name.clone());
        let node: Option<&Node> = view.node(name).map(|node| &**node);
        let ready = node.map(Node::ready);
        let unreachable: Name = crate::name!("node.kubernetes.io/unreachable");
        let tainted = node.is_some_and(|node| node.taints.iter().any(|taint| taint.key == unreachable));
        if machine.up && now - machine.up_since > GRACE && (ready != Some(Truth::True) || tainted) {
            let message = format!("the machine {name} is up since {}, its node is {ready:?}", machine.up_since);
            findings.violate(46, &[&key], message);
        }
        if !machine.up
            && now - machine.down_since > GRACE
            && node.is_some()
            && (ready != Some(Truth::Unknown) || !tainted)
        {
            let message = format!("the machine {name} is down since {}, its node is {ready:?}", machine.down_since);
            findings.violate(46, &[&key], message);
        }
    }
}
