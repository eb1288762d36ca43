//! What holds at rest (invariants 18, 27, 31, 40 and 46): looked at once, at the end, of those objects that have
//! not changed for [`Bounds::rest`]. A fault that still lasts is no excuse: its machine is down, and what follows
//! from that must have followed.

use super::log::LogChecks;
use super::nodes::NodeChecks;
use super::{Bounds, Findings};
use crate::model::batch::{COMPLETION_INDEX, JOB_TRACKING};
use crate::model::core::{Incident, Lease, Namespace};
use crate::model::service::{EndpointSlice, SERVICE_NAME, Service};
use crate::model::workload::keys::REVISION;
use crate::model::{
    Deployment, Effect, Key, Kind, Machine, Name, Node, Object, Pod, ReplicaSet, Resource, Selector, Taint,
    TaintEffect, Truth, Uid, condition,
};
use crate::scenario::cluster::CONTROL_PLANE;
use crate::store::{Store, View};
use crate::time::{SimDuration, SimTime};
use std::collections::BTreeSet;

/// How long controllers may take over what they do now and then (`pkg/controller/podgc/gc_controller.go`: every
/// 20 s, and 40 s until a node that is gone counts as gone).
const NOW_AND_THEN: SimDuration = SimDuration::from_secs(90);

/// The cluster at its end.
#[derive(Clone, Copy)]
pub struct Rest<'a> {
    /// The end.
    pub now: SimTime,
    /// How long things may take.
    pub bounds: &'a Bounds,
    /// What changed when.
    pub log: &'a LogChecks,
    /// Which nodes went when.
    pub nodes: &'a NodeChecks,
    /// What is there.
    pub store: &'a Store,
}

impl Rest<'_> {
    /// All of them.
    pub fn check(&self, findings: &mut Findings) {
        self.lost_nodes(findings);
        self.replica_sets(findings);
        self.deployments(findings);
        self.orphans(findings);
        self.ready_endpoints(findings);
        self.lease_and_status(findings);
    }

    /// Since when the control plane has worked without a fault, and time enough has passed for another to take over.
    fn calm(&self) -> SimTime {
        let view = self.store.live();
        let master = |name: &Name| {
            let machine = view.fetch::<Machine>(&Name::new(), name);
            machine.is_some_and(|machine| machine.pool == CONTROL_PLANE)
        };
        let disturbs = |incident: &&std::sync::Arc<Incident>| {
            let of_it = matches!(incident.fault.effect, Effect::Process { .. } | Effect::Hindrance(_));
            of_it || incident.fault.nodes.iter().any(master)
        };
        let ends = view.list::<Incident>().filter(disturbs).map(|one| one.ended.unwrap_or(self.now));
        ends.max().map_or(SimTime::ZERO, |last| last + self.bounds.grace)
    }

    fn rested(&self, key: &Key) -> bool {
        self.log.touched(key).is_some_and(|touched| self.now - touched >= self.bounds.rest)
    }

    /// Rested, and nobody waits to try again.
    fn settled(&self, key: &Key) -> bool {
        self.rested(key) && !self.log.waits(key, self.now)
    }

    fn all_rested<'b, T: Resource + 'b>(&self, objects: impl IntoIterator<Item = &'b std::sync::Arc<T>>) -> bool {
        objects.into_iter().all(|object| self.rested(&object.key()))
    }

    /// 18. On a node that is gone no pod stays; on a machine that is down it may, marked for deletion: nobody
    ///     confirms its end (`pkg/controller/tainteviction/taint_eviction.go` deletes with grace, not by force).
    fn lost_nodes(&self, findings: &mut Findings) {
        let view = self.store.live();
        let calm = self.calm();
        for pod in view.list::<Pod>() {
            let Some(name) = &pod.node else { continue };
            let Some(node) = view.node(name) else {
                let since = self.nodes.gone(name).unwrap_or(pod.meta.created).max(pod.meta.created).max(calm);
                if self.now - since > NOW_AND_THEN && !held(pod) && !last_of_its_index(view, pod) {
                    findings.violate(18, &[&pod.key()], format!("{} is on {name}, which is gone", pod.key()));
                }
                continue;
            };
            for taint in node.taints.iter().filter(|taint| taint.effect == TaintEffect::NoExecute && pod.is_active()) {
                // Bound later than tainted, its time there began when it was bound.
                let bound = condition::find(&pod.status.conditions, "PodScheduled").map(|one| one.last_transition);
                let came = bound.unwrap_or(pod.meta.created);
                if let (Some(added), Some(stays)) = (taint.added, stays(pod, taint))
                    && !self.nodes.given_up(&pod.key())
                    && self.now - added.max(came).max(calm) > stays + NOW_AND_THEN.max(self.bounds.stale)
                {
                    let message = format!("{} is still on {name}, tainted {} at {added}", pod.key(), taint.key);
                    findings.violate(18, &[&pod.key(), &node.key()], message);
                }
            }
        }
    }

    /// 27 of replica sets.
    fn replica_sets(&self, findings: &mut Findings) {
        let view = self.store.live();
        for set in view.list::<ReplicaSet>().filter(|set| !set.meta.deleting() && self.settled(&set.key())) {
            let pods: Vec<_> = view.controlled::<Pod>(set.meta.uid).collect();
            if !self.all_rested(pods.iter().copied()) {
                continue;
            }
            let active = || pods.iter().filter(|pod| pod.is_active());
            let ready = active().filter(|pod| pod.is_ready()).count() as i32;
            let facts = (set.meta.generation, active().count() as i32, ready);
            let status = (set.status.observed_generation, set.status.replicas, set.status.ready);
            if status != facts {
                let message = format!("{} reports {status:?} (generation, pods, ready), true is {facts:?}", set.key());
                findings.violate(27, &[&set.key()], message);
            }
            // A pod may have become available a moment ago.
            let available = |at: SimTime| active().filter(|pod| pod.is_available(set.min_ready_seconds, at)).count();
            let facts = available(self.now - self.bounds.rest)..=available(self.now);
            if !facts.contains(&(set.status.available as usize)) {
                let message = format!("{} reports {} available, true is {facts:?}", set.key(), set.status.available);
                findings.violate(27, &[&set.key()], message);
            }
            let namespace = view.fetch::<Namespace>(&Name::new(), &set.meta.namespace);
            let cannot = condition::is_true(&set.status.conditions, "ReplicaFailure")
                || namespace.is_some_and(|namespace| namespace.terminating);
            if status.1 != set.replicas && !cannot {
                let message = format!("{} has {} pods and wants {}", set.key(), status.1, set.replicas);
                findings.violate(27, &[&set.key()], message);
            }
        }
    }

    /// 27 of deployments.
    fn deployments(&self, findings: &mut Findings) {
        let view = self.store.live();
        for deployment in view.list::<Deployment>().filter(|one| !one.meta.deleting() && self.settled(&one.key())) {
            let sets: Vec<_> = view.controlled::<ReplicaSet>(deployment.meta.uid).collect();
            if !self.all_rested(sets.iter().copied()) {
                continue;
            }
            let sum = |of: fn(&ReplicaSet) -> i32| sets.iter().map(|set| of(set)).sum::<i32>();
            let available = sum(|set| set.status.available);
            let missing = (sum(|set| set.replicas) - available).max(0);
            let mut facts = vec![sum(|set| set.status.replicas), sum(|set| set.status.ready), available, missing];
            let status = &deployment.status;
            let mut reported = vec![status.replicas, status.ready, status.available, status.unavailable];
            // While paused, the newest template may have no set yet.
            let revision =
                |set: &ReplicaSet| set.meta.annotations.get(&REVISION).and_then(|text| text.parse::<i64>().ok());
            if let (false, Some(newest)) = (deployment.paused, sets.iter().max_by_key(|set| revision(set))) {
                facts.push(newest.status.replicas);
                reported.push(status.updated);
            }
            if reported != facts || status.observed_generation != deployment.meta.generation {
                let (seen, is) = (status.observed_generation, deployment.meta.generation);
                let message = format!(
                    "{} reports {reported:?} (pods, ready, available, unavailable, updated) of generation {seen}, \
                     true is {facts:?} of {is}",
                    deployment.key()
                );
                findings.violate(27, &[&deployment.key()], message);
            }
        }
    }

    /// 31.
    fn orphans(&self, findings: &mut Findings) {
        let view = self.store.live();
        let lately = |uid: Uid| self.log.gone(uid).is_some_and(|gone| self.now - gone < self.bounds.rest);
        for object in view.kinds().flat_map(|kind| view.objects(kind)) {
            let (meta, key) = (object.meta(), object.key());
            if meta.owners.is_empty() || meta.deleting() || !self.rested(&key) {
                continue;
            }
            if let Some(owner) = meta.owners.iter().find(|one| view.by_uid(one.uid).is_none() && !lately(one.uid)) {
                let message = format!("{key} names {} {} as an owner, which is gone", owner.kind, owner.name);
                findings.violate(31, &[&key], message);
            }
        }
    }

    /// 40, from the other side: every ready pod of a service is a ready endpoint, and no other.
    fn ready_endpoints(&self, findings: &mut Findings) {
        let view = self.store.live();
        for service in view.list::<Service>().filter(|one| !one.publish_not_ready && !one.meta.deleting()) {
            let Some(labels) = &service.selector else { continue };
            let pods = view.pods_selected(&service.meta.namespace, &Selector::from_labels(labels));
            let slices = view.list_in::<EndpointSlice>(&service.meta.namespace);
            let own = slices.filter(|slice| slice.meta.labels.get(&SERVICE_NAME) == Some(&service.meta.name));
            let own: Vec<_> = own.collect();
            let rested = self.rested(&service.key()) && self.all_rested(pods.iter().copied());
            if !rested || !self.all_rested(own.iter().copied()) {
                continue;
            }
            let serves = |pod: &Pod| pod.is_active() && pod.is_ready() && pod.status.pod_ip.is_some();
            let facts: BTreeSet<Uid> = pods.iter().filter(|pod| serves(pod)).map(|pod| pod.meta.uid).collect();
            let ready = own.iter().flat_map(|slice| slice.endpoints.iter()).filter(|endpoint| endpoint.ready);
            let listed: BTreeSet<Uid> = ready.map(|endpoint| endpoint.pod_uid).collect();
            // A pod that went a moment ago may still be listed.
            let lately = |uid: &Uid| self.log.gone(*uid).is_some_and(|gone| self.now - gone < self.bounds.rest);
            if facts.symmetric_difference(&listed).any(|uid| !lately(uid)) {
                let (key, facts, listed) = (service.key(), facts.len(), listed.len());
                let message = format!("{key} has {facts} ready pods and {listed} ready endpoints, or others");
                findings.violate(40, &[&key], message);
            }
        }
    }

    /// 46. What the API says of a node is true of its machine, and a node that is heard of holds its lease. A node
    ///     that was deleted stays away until its kubelet starts anew.
    fn lease_and_status(&self, findings: &mut Findings) {
        let view = self.store.live();
        let unreachable = crate::name!("node.kubernetes.io/unreachable");
        for machine in view.list::<Machine>() {
            let name = &machine.meta.name;
            let key = Key::cluster(Kind::Node, name.clone());
            let node = view.get(&key).and_then(Object::node);
            let ready = node.map(|node| Node::ready(node));
            let tainted = node.is_some_and(|node| node.taints.iter().any(|taint| taint.key == unreachable));
            let lease = view.fetch::<Lease>(&crate::name!("kube-node-lease"), name);
            let wrong = if machine.up {
                let deleted = node.is_none() && self.nodes.gone(name).is_some_and(|gone| gone >= machine.up_since);
                let fine = ready == Some(Truth::True) && !tainted && lease.is_some_and(|lease| lease.holder == *name);
                self.now - machine.up_since > self.bounds.grace && !deleted && !fine
            } else {
                let fine = node.is_none() || (ready == Some(Truth::Unknown) && tainted);
                self.now - machine.down_since > self.bounds.grace && !fine
            };
            if wrong {
                let (state, since) = if machine.up { ("up", machine.up_since) } else { ("down", machine.down_since) };
                let held = lease.map(|lease| lease.holder.clone());
                let message =
                    format!("the machine {name} is {state} since {since}, its node {ready:?}, its lease {held:?}");
                findings.violate(46, &[&key], message);
            }
        }
    }
}

/// Whether somebody who is no part of Kubernetes holds a pod that is to go.
fn held(pod: &Pod) -> bool {
    pod.meta.deleting() && pod.meta.finalizers.iter().any(|finalizer| !finalizer.contains("kubernetes.io/"))
}

/// Whether a pod carries its index's count of failures until there is a successor, which may never come
/// (`pkg/controller/job/job_controller.go`, `podsWithDelayedDeletionPerIndex`).
fn last_of_its_index(view: View<'_>, pod: &Pod) -> bool {
    let index = pod.meta.annotations.get(&COMPLETION_INDEX);
    let Some(Object::Job(job)) = pod.meta.controller().and_then(|owner| view.by_uid(owner.uid)) else { return false };
    if job.spec.backoff_limit_per_index.is_none() || index.is_none() {
        return false;
    }
    let mut others = view.controlled::<Pod>(job.meta.uid).filter(|other| other.meta.uid != pod.meta.uid);
    pod.meta.finalizers.contains(&JOB_TRACKING)
        && others.all(|other| other.meta.annotations.get(&COMPLETION_INDEX) != index)
}

/// How long a pod tolerates a taint; `None` is for ever.
fn stays(pod: &Pod, taint: &Taint) -> Option<SimDuration> {
    let matching = || pod.spec.tolerations.iter().filter(|toleration| toleration.tolerates(taint));
    if matching().next().is_none() {
        return Some(SimDuration::ZERO);
    }
    let seconds = matching().filter_map(|toleration| toleration.seconds).min()?;
    Some(SimDuration::from_secs(seconds.max(0)))
}
