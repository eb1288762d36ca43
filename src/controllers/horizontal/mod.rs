//! The horizontal pod autoscaler: as many pods as their load needs (`pkg/controller/podautoscaler/`).
//!
//! ```text
//! mod.rs        the controller: a pass over each autoscaler every 15 seconds
//! target.rs     what is scaled, through its scale subresource
//! sources.rs    what the metrics APIs say about the target's pods
//! judge.rs      one pass: from metrics to a size and a status        (pure)
//! replicas.rs   how many replicas a metric asks for                  (pure)
//! normalize.rs  stabilization, rates, bounds                         (pure)
//! ```
//!
//! A worked example: two pods request 100m each, the target is 50 %. A load of 900m comes: 450 % → nine times too much →
//! 18 wanted, twice as many or four allowed → 4. A quarter of a minute later 8, then 16, then 18.

pub mod judge;
pub mod normalize;
pub mod replicas;
mod sources;
mod target;

use crate::metrics::MetricsApi;
use crate::model::autoscaling::{AutoscalerStatus, HorizontalPodAutoscaler};
use crate::model::{Condition, Key, Kind, Name, Object, Selector, Truth};
use crate::runtime::{ActorSettings, Controller, Cx, Requeue, Wake};
use crate::store::{Change, Patch, Preconditions, StoreError, View, Write, Written};
use crate::time::{SimDuration, SimTime};
use judge::{Judgement, Refusal, Scale};
use normalize::Memory;
use sources::Sources;
use std::collections::BTreeMap;
use std::sync::Arc;
use target::Target;

/// `--horizontal-pod-autoscaler-sync-period`: from one look at an autoscaler to the next, whatever came of it.
const SYNC_PERIOD: SimDuration = SimDuration::from_secs(15);
/// The name that the controller's events carry.
const SOURCE: Name = crate::name!("horizontal-pod-autoscaler");

/// The controller.
pub struct HorizontalAutoscalers {
    api: Box<dyn MetricsApi>,
    memories: BTreeMap<Key, Memory>,
    /// What each autoscaler's pods are selected by, as of its last pass.
    selectors: BTreeMap<Key, Selector>,
    /// New sizes that are on their way to the API server.
    attempts: BTreeMap<Key, Attempt>,
}

/// A new size, and what the API server had against it.
struct Attempt {
    target: Key,
    at: SimTime,
    status: AutoscalerStatus,
    size: i32,
    why: String,
    refused: Option<String>,
}

/// Its machinery: five workers (`--concurrent-horizontal-pod-autoscaler-syncs`), and the sync period for every retry.
pub fn settings() -> ActorSettings {
    ActorSettings { backoff_base: SYNC_PERIOD, backoff_max: SYNC_PERIOD, ..ActorSettings::default() }
}

impl HorizontalAutoscalers {
    /// A controller that asks these metrics APIs.
    pub fn new(api: Box<dyn MetricsApi>) -> Self {
        HorizontalAutoscalers { api, memories: BTreeMap::new(), selectors: BTreeMap::new(), attempts: BTreeMap::new() }
    }

    /// The autoscalers whose pods these are, if there are several (`hpasControllingPodsUnderSelector`).
    fn rivals(&self, key: &Key, view: View<'_>, selector: &Selector) -> Option<String> {
        let in_namespace = |other: &&Key| other.namespace == key.namespace && *other != key;
        let others: Vec<&Key> = self.selectors.keys().filter(in_namespace).collect();
        if others.is_empty() {
            return None;
        }
        let pods = view.pods_selected(&key.namespace, selector);
        let shares = |other: &&&Key| pods.iter().any(|pod| self.selectors[**other].matches(&pod.meta.labels));
        let mut names: Vec<&Key> = others.iter().filter(shares).copied().collect();
        if names.is_empty() {
            return None;
        }
        names.push(key);
        names.sort();
        let listed: Vec<String> = names.iter().map(|one| format!("{{{} {}}}", one.name, one.namespace)).collect();
        Some(format!("pods by selector {selector} are controlled by multiple HPAs: [{}]", listed.join(" ")))
    }

    /// A pass over an autoscaler whose target is there.
    fn pass(&mut self, key: &Key, hpa: &HorizontalPodAutoscaler, target: &Target, cx: &Cx<'_>) -> Judgement {
        self.selectors.insert(key.clone(), target.selector.clone());
        let mut pods: Vec<Arc<crate::model::Pod>> =
            cx.view.pods_selected(&key.namespace, &target.selector).into_iter().cloned().collect();
        pods.sort_by(|a, b| a.meta.name.cmp(&b.meta.name));
        let refusal = match target.selector.is_empty() {
            true => Some(Refusal::NoSelector),
            false => self.rivals(key, cx.view, &target.selector).map(Refusal::Ambiguous),
        };
        let mut sources = Sources::new(&*self.api, cx.view, cx.now, &key.namespace, &pods, refusal);
        let memory = self.memories.entry(key.clone()).or_default();
        let scale = Scale { spec: target.spec, status: target.status, pods: &pods };
        judge::judge(hpa, memory, scale, &mut sources, cx.now)
    }
}

/// An autoscaler's status without a look at its target (`FailedGetScale`).
fn without_target(status: &AutoscalerStatus, why: &str, cx: &Cx<'_>) -> AutoscalerStatus {
    let message = format!("the HPA controller was unable to get the target's current scale: {why}");
    let condition = Condition::new(
        crate::name!("AbleToScale"),
        Truth::False,
        crate::name!("FailedGetScale"),
        Name::from(message),
        cx.now,
    );
    let mut status = status.clone();
    match status.conditions.iter_mut().find(|known| known.kind == condition.kind) {
        Some(known) => {
            let since = if known.status == condition.status { known.last_transition } else { cx.now };
            *known = Condition { last_transition: since, ..condition };
        }
        None => status.conditions.push(condition),
    }
    status
}

impl Controller for HorizontalAutoscalers {
    fn name(&self) -> &'static str {
        "horizontal-pod-autoscaler"
    }

    fn watches(&self) -> &'static [Kind] {
        &[Kind::HorizontalPodAutoscaler]
    }

    fn wake(&mut self, change: &Change, _: View<'_>, wake: &mut Wake<'_>) {
        match change.new {
            Some(_) => wake.add_after(change.key.clone(), SYNC_PERIOD),
            None => {
                self.memories.remove(&change.key);
                self.selectors.remove(&change.key);
                self.attempts.remove(&change.key);
            }
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        let Some(hpa) = cx.view.fetch_key::<HorizontalPodAutoscaler>(key).cloned() else { return Requeue::Done };
        let about = Object::HorizontalPodAutoscaler(hpa.clone());
        if let Some(attempt) = self.attempts.remove(key)
            && let Some(error) = &attempt.refused
        {
            let message = format!("New size: {}; reason: {}; error: {error}", attempt.size, attempt.why);
            cx.event(&about, true, SOURCE, crate::name!("FailedRescale"), message);
            let mut status = attempt.status;
            judge::refused(&hpa.status, &mut status, error, attempt.at);
            report(&hpa, status, cx);
            return Requeue::After(SYNC_PERIOD);
        }
        let status = match Target::of(&hpa, cx.live()) {
            Err(why) => {
                cx.event(&about, true, SOURCE, crate::name!("FailedGetScale"), why.clone());
                without_target(&hpa.status, &why, cx)
            }
            Ok(target) => {
                let judgement = self.pass(key, &hpa, &target, cx);
                if let Some((size, why)) = judgement.rescale {
                    let (status, target, at) = (judgement.status.clone(), target.key.clone(), cx.now);
                    let attempt = Attempt { target, at, status, size, why, refused: None };
                    self.attempts.insert(key.clone(), attempt);
                }
                if let Some(attempt) = self.attempts.get(key) {
                    let write = Patch::Replicas(attempt.size);
                    cx.write(Write::Patch(target.key.clone(), write, Preconditions::uid(target.uid)));
                }
                for note in judgement.notes {
                    cx.event(&about, note.warning, SOURCE, Name::from(note.reason), note.message);
                }
                judgement.status
            }
        };
        report(&hpa, status, cx);
        Requeue::After(SYNC_PERIOD)
    }

    fn refused(&mut self, key: &Key, about: &Key, error: &StoreError, _: SimTime) {
        let Some(attempt) = self.attempts.get_mut(key).filter(|attempt| attempt.target == *about) else { return };
        attempt.refused = Some(error.to_string());
        let at = attempt.at;
        if let Some(memory) = self.memories.get_mut(key) {
            memory.not_scaled(at);
        }
    }

    fn settled(&mut self, key: &Key, _: Result<&[Written], &StoreError>, wake: &mut Wake<'_>) {
        match self.attempts.get(key) {
            Some(attempt) if attempt.refused.is_some() => wake.add(key.clone()),
            _ => drop(self.attempts.remove(key)),
        }
    }
}

/// Writes a status if it is another one.
fn report(hpa: &Arc<HorizontalPodAutoscaler>, status: AutoscalerStatus, cx: &mut Cx<'_>) {
    if status != hpa.status {
        let updated = HorizontalPodAutoscaler { status, ..HorizontalPodAutoscaler::clone(hpa) };
        cx.write(Write::UpdateStatus(Object::HorizontalPodAutoscaler(Arc::new(updated))));
    }
}
