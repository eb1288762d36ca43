//! The updater: pods that request too little or too much are resized or evicted, a few at a time
//! (`vertical-pod-autoscaler/pkg/updater/logic/updater.go`).
//!
//! One thing to know: a resize that the API server refuses is followed by an eviction at the next look, a minute later;
//! upstream evicts in the same look.

use super::priority::{Priority, wanted};
use super::restriction::{Group, InPlace, MIN_REPLICAS, in_place, resizing, stuck};
use super::{next, phase, the_loop};
use crate::model::vertical::{UpdateMode, VerticalPodAutoscaler};
use crate::model::{Key, Kind, Name, Object, Phase, Pod, Resource, Uid};
use crate::rng::Seed;
use crate::runtime::{Controller, Cx, Order, Requeue, Told, Wake};
use crate::store::{Change, DeleteOptions, EventRecord, Preconditions, StoreError, View, Write};
use crate::time::{SimDuration, SimTime};
use crate::wire::encode;
use crate::wire::patch::{Document, Form, Subresource};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const NAME: Name = crate::name!("vpa-updater");

/// The updater.
pub struct Updater {
    phase: SimDuration,
    /// When resizes were first seen under way.
    under_way: BTreeMap<Uid, SimTime>,
    /// Pods whose resize was refused.
    refused: BTreeSet<Key>,
}

/// The pods that one vertical pod autoscaler looks after, by their controllers.
struct Charge {
    key: Option<Key>,
    vertical: VerticalPodAutoscaler,
    groups: BTreeMap<Uid, Group>,
    pods: Vec<Arc<Pod>>,
}

impl Updater {
    /// One that looks at its own time.
    pub fn new(seed: Seed) -> Self {
        Updater { phase: phase(seed, &NAME), under_way: BTreeMap::new(), refused: BTreeSet::new() }
    }

    /// One look (`RunOnce`).
    fn look(&mut self, cx: &mut Cx<'_>) {
        let acts =
            |one: &VerticalPodAutoscaler| matches!(one.mode, UpdateMode::Recreate | UpdateMode::InPlaceOrRecreate);
        let mut live = BTreeSet::new();
        for vertical in cx.view.verticals().into_iter().filter(acts) {
            let Ok((_, selector)) = cx.view.vertical_target(&vertical) else { continue };
            let mine = |pod: &&&Arc<Pod>| {
                let owner = cx.view.vertical_of(pod, acts);
                owner.is_some_and(|owner| owner.meta.uid == vertical.meta.uid)
            };
            let alive = |pod: &&&Arc<Pod>| pod.node.is_some() && pod.is_active();
            let pods = cx.view.pods_selected(&vertical.meta.namespace, &selector);
            let mut pods: Vec<Arc<Pod>> = pods.iter().filter(alive).filter(mine).map(|pod| Arc::clone(pod)).collect();
            pods.sort_by(|a, b| a.meta.name.cmp(&b.meta.name));
            live.extend(pods.iter().map(|pod| pod.meta.uid));
            for pod in pods.iter().filter(|pod| resizing(pod)) {
                self.under_way.entry(pod.meta.uid).or_insert(cx.now);
            }
            self.update(charge(vertical, pods, cx.view), cx);
        }
        self.under_way.retain(|uid, _| live.contains(uid));
    }

    fn update(&mut self, mut charge: Charge, cx: &mut Cx<'_>) {
        let now = cx.now;
        let mut chosen: Vec<(Priority, Arc<Pod>)> = Vec::new();
        let since = |uid: Uid| self.under_way.get(&uid).copied().unwrap_or(now);
        for pod in &charge.pods {
            let Some(group) = group_of(pod, &charge.groups) else { continue };
            let may = match charge.vertical.mode {
                _ if self.refused.contains(&pod.key()) => true,
                UpdateMode::InPlaceOrRecreate => in_place(pod, group, since(pod.meta.uid), now) != InPlace::Deferred,
                _ => may_evict(pod, group, since(pod.meta.uid), now),
            };
            if let Some(priority) = wanted(&charge.vertical, pod, now).filter(|_| may) {
                chosen.push((priority, pod.clone()));
            }
        }
        chosen.sort_by_key(|(priority, _)| priority.order());
        for (_, pod) in chosen {
            let since = self.under_way.get(&pod.meta.uid).copied().unwrap_or(now);
            let Some(group) = pod.meta.controller().and_then(|owner| charge.groups.get_mut(&owner.uid)) else {
                continue;
            };
            let in_place_first =
                charge.vertical.mode == UpdateMode::InPlaceOrRecreate && !self.refused.contains(&pod.key());
            let decision = if in_place_first { in_place(&pod, group, since, now) } else { InPlace::Evict };
            let order = match decision {
                InPlace::Approved => resize(&charge.vertical, &pod),
                InPlace::Evict if may_evict(&pod, group, since, now) => {
                    self.refused.remove(&pod.key());
                    charge.key.as_ref().map(|key| evict(key, charge.vertical.meta.uid, &pod))
                }
                _ => None,
            };
            if let Some(order) = order {
                group.disturbed += i64::from(pod.status.phase != Phase::Pending);
                cx.order_all(vec![order]);
            }
        }
    }
}

fn group_of<'a>(pod: &Pod, groups: &'a BTreeMap<Uid, Group>) -> Option<&'a Group> {
    groups.get(&pod.meta.controller()?.uid)
}

/// `CanEvict`.
fn may_evict(pod: &Pod, group: &Group, since: SimTime, now: SimTime) -> bool {
    match () {
        () if pod.status.phase == Phase::Pending => true,
        () if resizing(pod) => stuck(pod, group, since, now),
        () => group.spares_one(),
    }
}

/// Sorts pods by their controllers, as far as there are enough of them (`GetCreatorMaps`).
fn charge(vertical: VerticalPodAutoscaler, pods: Vec<Arc<Pod>>, view: View<'_>) -> Charge {
    let mut by_owner: BTreeMap<Uid, Vec<&Arc<Pod>>> = BTreeMap::new();
    for pod in &pods {
        if let Some(owner) = pod.meta.controller() {
            by_owner.entry(owner.uid).or_default().push(pod);
        }
    }
    let required = vertical.min_replicas.unwrap_or(MIN_REPLICAS);
    let mut groups = BTreeMap::new();
    for (owner, pods) in by_owner {
        if (pods.len() as i64) < i64::from(required) {
            continue;
        }
        let configured = match view.by_uid(owner) {
            Some(Object::ReplicaSet(one)) => one.replicas,
            Some(Object::StatefulSet(one)) => one.replicas,
            Some(Object::ReplicationController(one)) => one.replicas,
            Some(Object::DaemonSet(one)) => one.status.ready,
            Some(Object::Job(_)) => pods.len() as i32,
            _ => 0,
        };
        if configured > 0 {
            let running = pods.iter().filter(|pod| pod.status.phase != Phase::Pending).count() as i64;
            groups.insert(owner, Group { configured: i64::from(configured), running, disturbed: 0 });
        }
    }
    let key = view.by_uid(vertical.meta.uid).map(Object::key);
    Charge { key, vertical, groups, pods }
}

fn event(regarding: Key, uid: Uid, reason: &'static str, message: String) -> EventRecord {
    let (reason, message) = (Name::from(reason), Name::from(message));
    EventRecord { regarding, uid, warning: false, reason, message, source: NAME }
}

/// `uid` is that of `vertical`.
fn evict(vertical: &Key, uid: Uid, pod: &Arc<Pod>) -> Order {
    let options = DeleteOptions { preconditions: Preconditions::uid(pod.meta.uid), ..DeleteOptions::default() };
    let message = "Pod was evicted by VPA Updater to apply resource recommendation.".to_string();
    let to_vertical = format!("VPA Updater evicted Pod {} to apply resource recommendation.", pod.meta.name);
    let done = vec![
        event(pod.key(), pod.meta.uid, "EvictedByVPA", message),
        event(vertical.clone(), uid, "EvictedPod", to_vertical),
    ];
    Order::telling(Write::Evict { pod: pod.key(), options }, Told { done, refused: Vec::new(), quiet: |_| true })
}

/// A resize to what is recommended, if that is anything else.
fn resize(vertical: &VerticalPodAutoscaler, pod: &Arc<Pod>) -> Option<Order> {
    let mut containers = Vec::new();
    for (at, requests, limits) in vertical.resources(&pod.spec) {
        let resources = json!({"requests": encode::amounts(&requests), "limits": encode::amounts(&limits)});
        containers.push(json!({"name": pod.spec.containers[at].name.as_str(), "resources": resources}));
    }
    if containers.is_empty() {
        return None;
    }
    let body: Value = json!({"spec": {"containers": containers}});
    let document = Document { subresource: Subresource::Resize, ..Document::new(Form::Strategic, body, NAME) };
    let write = Write::Document(pod.key(), Arc::new(document), Preconditions::uid(pod.meta.uid));
    let done = event(pod.key(), pod.meta.uid, "InPlaceResizedByVPA", "Pod was resized in place by VPA Updater.".into());
    Some(Order::telling(write, Told { done: vec![done], refused: Vec::new(), quiet: |_| true }))
}

impl Controller for Updater {
    fn name(&self) -> &'static str {
        "vpa-updater"
    }

    fn watches(&self) -> &'static [Kind] {
        &[Kind::ANY_CUSTOM]
    }

    fn wake(&mut self, change: &Change, _: View<'_>, wake: &mut Wake<'_>) {
        if change.old.is_none() {
            wake.add_after(the_loop(NAME), next(wake.now(), self.phase));
        }
    }

    fn reconcile(&mut self, _: &Key, cx: &mut Cx<'_>) -> Requeue {
        if cx.view.verticals().is_empty() {
            return Requeue::Done;
        }
        self.look(cx);
        Requeue::After(next(cx.now, self.phase))
    }

    fn refused(&mut self, _: &Key, about: &Key, error: &StoreError, _: SimTime) {
        // An eviction that a budget forbids is tried again at the next look; a resize is not.
        if error.code() != 429 {
            self.refused.insert(about.clone());
        }
    }
}
