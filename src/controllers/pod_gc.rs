//! Pods that no kubelet will end (`pkg/controller/podgc/gc_controller.go`).
//!
//! Upstream looks at all pods every 20 s. Here the same instants count, but nobody looks while there is nothing to
//! find: changes are followed, and only a suspicion asks for the next instant.
//!
//! A worked example: a node object is deleted with pods on it → at the next instant the node's name is put in
//! quarantine → at the first instant 40 s later the node is still missing → its pods are marked Failed and deleted.

use crate::model::{Condition, Key, Kind, Name, Node, Object, Pod, Resource, Truth, condition};
use crate::runtime::{ActorSettings, Controller, Cx, Requeue, Wake};
use crate::store::{Change, DeleteOptions, Patch, Preconditions, View, Write};
use crate::time::{SimDuration, SimTime};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// `gcCheckPeriod`.
const PERIOD: SimDuration = SimDuration::from_secs(20);
/// `quarantineTime`: how long a node must be missing.
const QUARANTINE: SimDuration = SimDuration::from_secs(40);
/// `--terminated-pod-gc-threshold`.
const TERMINATED_THRESHOLD: usize = 12_500;
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";

/// The pod garbage collector.
#[derive(Debug)]
pub struct PodGarbageCollector {
    /// One of the instants; drawn when the run begins, since a cluster does not start with the scenario.
    instant: Option<SimTime>,
    /// Ended pods kept before the oldest go.
    terminated_threshold: usize,
    /// Ended pods.
    terminated: BTreeSet<Key>,
    /// Pods being deleted that were never bound.
    unscheduled: BTreeSet<Key>,
    /// Nodes tainted out of service.
    out_of_service: BTreeSet<Name>,
    /// Names of nodes that pods are bound to and that are missing; since which instant in quarantine.
    missing: BTreeMap<Name, Option<SimTime>>,
}

/// Its machinery.
pub fn settings() -> ActorSettings {
    ActorSettings { workers: 1, ..ActorSettings::default() }
}

impl Default for PodGarbageCollector {
    fn default() -> Self {
        PodGarbageCollector {
            instant: None,
            terminated_threshold: TERMINATED_THRESHOLD,
            terminated: BTreeSet::new(),
            unscheduled: BTreeSet::new(),
            out_of_service: BTreeSet::new(),
            missing: BTreeMap::new(),
        }
    }
}

/// The one key: all pods.
fn everything() -> Key {
    Key::cluster(Kind::Pod, Name::new())
}

impl Controller for PodGarbageCollector {
    fn name(&self) -> &'static str {
        "pod-garbage-collector"
    }

    fn watches(&self) -> &'static [Kind] {
        &[Kind::Pod, Kind::Node]
    }

    fn follows(&self, change: &Change) -> bool {
        match change.key.kind {
            Kind::Pod => place(&change.old) != place(&change.new),
            _ => change.new.is_none() || is_out_of_service(&change.old) != is_out_of_service(&change.new),
        }
    }

    fn start(&mut self, wake: &mut Wake<'_>) {
        wake.add(everything());
    }

    fn wake(&mut self, change: &Change, view: View<'_>, wake: &mut Wake<'_>) {
        match change.object() {
            Object::Pod(pod) => self.follow_pod(change, pod, view),
            Object::Node(_) => self.follow_node(change, view),
            _ => return,
        }
        if self.suspicious() {
            wake.add_after(everything(), self.until_next(wake.now()));
        }
    }

    fn reconcile(&mut self, _: &Key, cx: &mut Cx<'_>) -> Requeue {
        if self.instant.is_none() {
            let phase = cx.seed.stream("phase", "pod-garbage-collector").below(PERIOD.0.unsigned_abs());
            self.instant = Some(cx.now + SimDuration(phase as i64));
        }
        if self.until_next(cx.now) == PERIOD {
            self.collect_terminated(cx);
            self.collect_out_of_service(cx);
            self.collect_orphans(cx);
            self.collect_unscheduled(cx);
        }
        match cx.eager || self.suspicious() {
            true => Requeue::After(self.until_next(cx.now)),
            false => Requeue::Done,
        }
    }
}

/// What of a pod decides whether it is collected: whether it has ended, is deleted before it had a node, has a node.
fn place(object: &Option<Object>) -> (bool, bool, bool) {
    object.as_ref().and_then(Object::pod).map_or_else(Default::default, |pod| {
        (pod.status.phase.terminal(), pod.meta.deleting() && pod.node.is_none(), pod.node.is_some())
    })
}

fn is_out_of_service(object: &Option<Object>) -> bool {
    let node = object.as_ref().and_then(Object::node);
    node.is_some_and(|node| node.taints.iter().any(|taint| taint.key == OUT_OF_SERVICE))
}

impl PodGarbageCollector {
    /// Keeps at most this many ended pods.
    #[must_use]
    pub fn keeping(terminated_threshold: usize) -> Self {
        PodGarbageCollector { terminated_threshold, ..PodGarbageCollector::default() }
    }

    /// Whether a look at the next instant could find anything.
    fn suspicious(&self) -> bool {
        self.terminated.len() > self.terminated_threshold
            || !self.unscheduled.is_empty()
            || !self.out_of_service.is_empty()
            || !self.missing.is_empty()
    }

    /// From `now` to the next instant of the period; a whole period at such an instant.
    fn until_next(&self, now: SimTime) -> SimDuration {
        let since = self.instant.map_or(SimDuration::ZERO, |instant| now - instant);
        SimDuration(PERIOD.0 - since.0.rem_euclid(PERIOD.0))
    }

    fn follow_pod(&mut self, change: &Change, pod: &Pod, view: View<'_>) {
        let (ended, unscheduled, bound) = place(&change.new);
        let enter = |set: &mut BTreeSet<Key>, is: bool| match is {
            true => _ = set.insert(change.key.clone()),
            false => _ = set.remove(&change.key),
        };
        enter(&mut self.terminated, ended);
        enter(&mut self.unscheduled, unscheduled);
        if bound
            && !place(&change.old).2
            && let Some(node) = &pod.node
            && view.node(node).is_none()
        {
            self.missing.entry(node.clone()).or_insert(None);
        }
    }

    fn follow_node(&mut self, change: &Change, view: View<'_>) {
        let name = &change.key.name;
        if change.new.is_none() && view.pods_on(name).next().is_some() {
            self.missing.entry(name.clone()).or_insert(None);
        }
        match is_out_of_service(&change.new) {
            true => self.out_of_service.insert(name.clone()),
            false => self.out_of_service.remove(name),
        };
    }

    /// Too many ended pods: the evicted first, then the oldest.
    fn collect_terminated(&self, cx: &mut Cx<'_>) {
        let excess = self.terminated.len().saturating_sub(self.terminated_threshold);
        if excess == 0 {
            return;
        }
        let evicted = |pod: &Pod| pod.status.phase == crate::model::Phase::Failed && pod.status.reason == "Evicted";
        let mut pods: Vec<&Arc<Pod>> = self.terminated.iter().filter_map(|key| cx.view.fetch_key::<Pod>(key)).collect();
        pods.sort_by_key(|pod| (!evicted(pod), pod.meta.created, pod.meta.name.clone()));
        let writes = pods.into_iter().take(excess).map(|pod| delete(pod)).collect();
        cx.write_all(writes);
    }

    /// Pods being deleted on nodes that are declared out of service and are not ready.
    fn collect_out_of_service(&self, cx: &mut Cx<'_>) {
        let ready = |node: &Arc<Node>| condition::is_true(&node.conditions, "Ready");
        for name in &self.out_of_service {
            if cx.view.node(name).is_some_and(|node| !ready(node)) {
                for pod in cx.view.pods_on(name).filter(|pod| pod.is_terminating()) {
                    end(pod, None, cx);
                }
            }
        }
    }

    /// Pods on nodes that are gone, after the quarantine.
    fn collect_orphans(&mut self, cx: &mut Cx<'_>) {
        let (view, live, now) = (cx.view, cx.live(), cx.now);
        self.missing.retain(|name, _| view.node(name).is_none() && view.pods_on(name).next().is_some());
        for (name, since) in &mut self.missing {
            let since = *since.get_or_insert(now);
            if now - since < QUARANTINE || live.node(name).is_some() {
                continue;
            }
            for pod in view.pods_on(name) {
                let reason = crate::name!("DeletionByPodGC");
                let kind = crate::name!("DisruptionTarget");
                let target = Condition::new(kind, Truth::True, reason, "PodGC: node no longer exists", now);
                end(pod, Some(target), cx);
            }
        }
    }

    /// Pods being deleted that no kubelet ever had.
    fn collect_unscheduled(&self, cx: &mut Cx<'_>) {
        let view = cx.view;
        for pod in self.unscheduled.iter().filter_map(|key| view.fetch_key::<Pod>(key)) {
            end(pod, None, cx);
        }
    }
}

/// Marks the pod Failed, unless it has ended, and deletes it at once. A refusal concerns this pod alone; it is
/// looked at again at the next instant.
fn end(pod: &Pod, target: Option<Condition>, cx: &mut Cx<'_>) {
    let conditions = target.into_iter().collect();
    let failed = Patch::PodFailed { reason: Name::new(), message: Name::new(), conditions };
    let mark = Write::Patch(pod.key(), failed, Preconditions::uid(pod.meta.uid));
    let marks = Some(mark).filter(|_| !pod.status.phase.terminal());
    cx.background(marks.into_iter().chain([delete(pod)]).collect());
}

fn delete(pod: &Pod) -> Write {
    let preconditions = Preconditions::uid(pod.meta.uid);
    Write::Delete(pod.key(), DeleteOptions { grace_seconds: Some(0), propagation: None, preconditions })
}
