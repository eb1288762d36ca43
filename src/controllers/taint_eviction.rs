//! Evicts pods that do not tolerate their node's `NoExecute` taints (`pkg/controller/tainteviction/taint_eviction.go`).
//!
//! A worked example: a node gets `unreachable:NoExecute`; a pod that tolerates it for 300 s is deleted 300 s
//! later, one that does not at once. When the taint goes first, the deletion is cancelled. A deletion that is refused is
//! tried five times within 50 ms and then given up, until the node's taints change again.

use crate::model::{
    Condition, Key, Kind, Name, Node, Object, Pod, Resource, Taint, TaintEffect, Toleration, Truth, Uid, condition,
};
use crate::runtime::{Controller, Cx, Requeue, Wake};
use crate::store::{Change, DeleteOptions, EventRecord, Patch, Preconditions, StoreError, View, Write, Written};
use crate::time::{SimDuration, SimTime};
use std::collections::BTreeMap;
use std::sync::Arc;

const SOURCE: Name = crate::name!("taint-eviction-controller");

/// How often a deletion is tried, and how long after a refusal it is again.
const TRIES: u32 = 5;
const RETRY: SimDuration = SimDuration::from_millis(10);

/// A pod's planned deletion.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Timer {
    uid: Uid,
    created: SimTime,
    /// `None` once it has fired.
    fires: Option<SimTime>,
    /// How often it was refused.
    refused: u32,
}

/// The controller.
#[derive(Debug, Default)]
pub struct TaintEviction {
    /// Planned deletions by node and pod.
    timers: BTreeMap<Name, BTreeMap<Key, Timer>>,
}

/// What taints mean for a pod.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It may stay.
    Stays,
    /// It must go now.
    Goes,
    /// It may stay this long.
    StaysFor(SimDuration),
}

/// The toleration that each taint is borne by: the first that fits it. Nothing if a taint is not borne
/// (`pkg/apis/core/v1/helper/helpers.go`, `GetMatchingTolerations`).
pub fn used<'a>(tolerations: &'a [Toleration], taints: &[&Taint]) -> Option<Vec<&'a Toleration>> {
    taints.iter().map(|taint| tolerations.iter().find(|toleration| toleration.tolerates(taint))).collect()
}

/// What a node's `NoExecute` taints mean for a pod (`processPodOnNode`).
pub fn verdict(pod: &Pod, taints: &[&Taint]) -> Verdict {
    let Some(used) = used(&pod.spec.tolerations, taints) else { return Verdict::Goes };
    match used.into_iter().filter_map(|toleration| toleration.seconds).min() {
        None => Verdict::Stays,
        Some(seconds) if seconds <= 0 => Verdict::Goes,
        Some(seconds) => Verdict::StaysFor(SimDuration::from_secs(seconds)),
    }
}

impl Controller for TaintEviction {
    fn name(&self) -> &'static str {
        "taint-eviction-controller"
    }

    fn watches(&self) -> &'static [Kind] {
        &[Kind::Node, Kind::Pod]
    }

    fn follows(&self, change: &Change) -> bool {
        match (&change.old, &change.new) {
            (Some(Object::Node(old)), Some(Object::Node(new))) => no_execute(old) != no_execute(new),
            (None, Some(Object::Node(new))) => !no_execute(new).is_empty(),
            (Some(Object::Pod(old)), Some(Object::Pod(new))) => {
                old.node != new.node || old.spec.tolerations != new.spec.tolerations
            }
            (Some(Object::Pod(pod)), None) | (None, Some(Object::Pod(pod))) => pod.node.is_some(),
            _ => true,
        }
    }

    fn wake(&mut self, change: &Change, view: View<'_>, wake: &mut Wake<'_>) {
        let node_key = |node: &Name| Key::cluster(Kind::Node, node.clone());
        match (&change.old, &change.new) {
            (_, Some(Object::Node(_))) => {
                // What was given up is planned anew.
                let timers = self.timers.get_mut(&change.key.name);
                timers.into_iter().for_each(|timers| timers.retain(|_, timer| timer.refused < TRIES));
                wake.add(change.key.clone());
            }
            (Some(Object::Node(_)), None) => {
                self.timers.remove(&change.key.name);
            }
            (_, Some(Object::Pod(new))) => {
                let tainted = |node: &&Name| view.node(node).is_some_and(|node| !no_execute(node).is_empty());
                new.node.iter().filter(tainted).for_each(|node| wake.add(node_key(node)));
            }
            (Some(Object::Pod(old)), None) => {
                let node = old.node.as_ref().filter(|node| self.timers.contains_key(*node));
                node.into_iter().for_each(|node| wake.add(node_key(node)));
            }
            _ => {}
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        let Some(node) = cx.view.fetch_key::<Node>(key).cloned() else { return Requeue::Done };
        let taints = no_execute(&node);
        let mut timers = self.timers.remove(&key.name).unwrap_or_default();
        let pods: Vec<Arc<Pod>> = match taints.is_empty() && timers.is_empty() {
            true => Vec::new(),
            false => cx.view.pods_on(&key.name).cloned().collect(),
        };
        let here: BTreeMap<Key, Uid> = pods.iter().map(|pod| (pod.key(), pod.meta.uid)).collect();
        let gone: Vec<Key> =
            timers.iter().filter(|(key, t)| here.get(*key) != Some(&t.uid)).map(|(key, _)| key.clone()).collect();
        for key in gone {
            cancel(&key, &mut timers, cx);
        }
        for pod in &pods {
            plan(pod, &taints, &mut timers, cx);
        }
        let next = timers.values().filter_map(|timer| timer.fires).min();
        if !timers.is_empty() {
            self.timers.insert(key.name.clone(), timers);
        }
        next.map_or(Requeue::Done, |at| Requeue::After(at - cx.now))
    }

    fn refused(&mut self, key: &Key, about: &Key, error: &StoreError, now: SimTime) {
        let Some(timer) = self.timers.get_mut(&key.name).and_then(|timers| timers.get_mut(about)) else { return };
        if timer.fires.is_none() && !matches!(error, StoreError::NotFound(_)) {
            timer.refused += 1;
            timer.fires = (timer.refused < TRIES).then_some(now + RETRY);
        }
    }

    fn settled(&mut self, key: &Key, result: Result<&[Written], &StoreError>, wake: &mut Wake<'_>) {
        if result.is_err() {
            wake.add_after(key.clone(), RETRY);
        }
    }
}

fn no_execute(node: &Node) -> Vec<&Taint> {
    node.taints.iter().filter(|taint| taint.effect == TaintEffect::NoExecute).collect()
}

/// Plans, keeps, cancels or carries out the deletion of one pod.
fn plan(pod: &Arc<Pod>, taints: &[&Taint], timers: &mut BTreeMap<Key, Timer>, cx: &mut Cx<'_>) {
    let key = pod.key();
    let known = timers.get(&key).copied();
    if known.is_some_and(|timer| timer.fires.is_none()) && !taints.is_empty() {
        return;
    }
    if known.is_some_and(|timer| timer.fires.is_some_and(|at| at <= cx.now)) && !taints.is_empty() {
        return evict(pod, timers, cx);
    }
    let verdict = if taints.is_empty() { Verdict::Stays } else { verdict(pod, taints) };
    match (verdict, known) {
        (Verdict::Stays, _) => cancel(&key, timers, cx),
        (Verdict::Goes, _) => {
            cancel(&key, timers, cx);
            evict(pod, timers, cx);
        }
        // A deletion planned earlier stands, unless it was planned at this very instant.
        (Verdict::StaysFor(_), Some(timer)) if timer.created < cx.now => {}
        (Verdict::StaysFor(length), _) => {
            timers.insert(key, Timer { uid: pod.meta.uid, created: cx.now, fires: Some(cx.now + length), refused: 0 });
        }
    }
}

fn evict(pod: &Arc<Pod>, timers: &mut BTreeMap<Key, Timer>, cx: &mut Cx<'_>) {
    let (key, uid) = (pod.key(), pod.meta.uid);
    let refused = timers.get(&key).map_or(0, |timer| timer.refused);
    timers.insert(key.clone(), Timer { uid, created: cx.now, fires: None, refused });
    if refused == 0 {
        let object = Object::Pod(pod.clone());
        let message = format!("Marking for deletion Pod {}/{}", key.namespace, key.name);
        cx.event(&object, false, SOURCE, crate::name!("TaintManagerEviction"), message);
    }
    let target = Condition::new(
        crate::name!("DisruptionTarget"),
        Truth::True,
        crate::name!("DeletionByTaintManager"),
        "Taint manager: deleting due to NoExecute taint",
        cx.now,
    );
    let preconditions = Preconditions::uid(uid);
    // What a try that failed has said already is not said again.
    let known = cx.live().fetch_key::<Pod>(&key).and_then(|pod| condition::find(&pod.status.conditions, &target.kind));
    let said = known.is_some_and(|known| (known.status, &known.reason) == (target.status, &target.reason));
    let patch = (!said).then(|| Write::Patch(key.clone(), Patch::Conditions(vec![target]), preconditions));
    let delete = Write::Delete(key, DeleteOptions { preconditions, ..DeleteOptions::default() });
    cx.background(patch.into_iter().chain([delete]).collect());
}

/// Forgets a planned deletion, and says so if it was still to come.
fn cancel(key: &Key, timers: &mut BTreeMap<Key, Timer>, cx: &mut Cx<'_>) {
    let Some(timer) = timers.remove(key) else { return };
    if timer.fires.is_some() {
        let record = EventRecord {
            regarding: key.clone(),
            uid: timer.uid,
            warning: false,
            reason: crate::name!("TaintManagerEviction"),
            message: Name::from(format!("Cancelling deletion of Pod {}/{}", key.namespace, key.name)),
            source: SOURCE,
        };
        cx.background(vec![Write::Event(record)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::builder;

    #[test]
    fn how_long_a_pod_stays() {
        let taint =
            |key: &str| Taint { key: key.into(), value: Name::new(), effect: TaintEffect::NoExecute, added: None };
        let tolerates = |key: &str, seconds: Option<i64>| Toleration {
            key: key.into(),
            exists: true,
            value: Name::new(),
            effect: Some(TaintEffect::NoExecute),
            seconds,
        };
        let stays_for = |seconds| Verdict::StaysFor(SimDuration::from_secs(seconds));
        // Tolerations, taints, verdict: every taint must be tolerated; of each the first toleration counts, and of all
        // taints the shortest time.
        let table = [
            (vec![], vec!["a"], Verdict::Goes),
            (vec![tolerates("a", None)], vec!["a"], Verdict::Stays),
            (vec![tolerates("a", Some(300))], vec!["a"], stays_for(300)),
            (vec![tolerates("a", Some(0))], vec!["a"], Verdict::Goes),
            (vec![tolerates("a", Some(-1))], vec!["a"], Verdict::Goes),
            (vec![tolerates("a", Some(300)), tolerates("a", Some(30))], vec!["a"], stays_for(300)),
            (vec![tolerates("a", None), tolerates("a", Some(30))], vec!["a"], Verdict::Stays),
            (vec![tolerates("a", None), tolerates("b", Some(30))], vec!["a", "b"], stays_for(30)),
            (vec![tolerates("a", Some(300))], vec!["a", "b"], Verdict::Goes),
        ];
        for (tolerations, taints, expected) in table {
            let mut spec = builder::spec("image", 0, 0);
            spec.tolerations = tolerations.clone();
            let taints: Vec<Taint> = taints.into_iter().map(taint).collect();
            let pod = builder::pod("web", spec);
            assert_eq!(verdict(&pod, &taints.iter().collect::<Vec<_>>()), expected, "{tolerations:?} {taints:?}");
        }
    }
}
