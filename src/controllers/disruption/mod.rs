//! The disruption controller: keeps the status of pod disruption budgets (`pkg/controller/disruption/disruption.go`).
//!
//! A worked example: six pods `app=web` are ready and a budget wants five of them → its status says that one may be
//! disrupted. An eviction takes that one and enters the pod among the disrupted ones; when the pod is seen being
//! deleted the entry goes, and with the replacement ready one may be disrupted again. A pod that was entered and is
//! not deleted within two minutes counts as healthy again.

pub mod budget;

use crate::model::{Condition, Key, Kind, Name, Object, Pod, PodDisruptionBudget, Resource, Truth, condition};
use crate::runtime::{ActorSettings, Controller, Cx, Requeue, Wake};
use crate::store::{Change, Patch, Preconditions, View, Write};
use crate::time::{SimDuration, SimTime};
use budget::Target;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The name that the controller's events carry.
const SOURCE: Name = crate::name!("controllermanager");
/// How long a pod that is not terminating may carry a DisruptionTarget condition that is True.
const STALE: SimDuration = SimDuration::from_secs(120);
/// A recheck goes through the rate limiter, whose first delay this is.
const RECHECK_DELAY: SimDuration = SimDuration::from_millis(5);

/// The disruption controller.
#[derive(Debug, Default)]
pub struct DisruptionController {
    /// Pods that changed while several budgets matched them; each is to be told.
    ambiguous: BTreeSet<Key>,
}

/// Its machinery: one worker.
pub fn settings() -> ActorSettings {
    ActorSettings { workers: 1, ..ActorSettings::default() }
}

impl Controller for DisruptionController {
    fn name(&self) -> &'static str {
        "disruption-controller"
    }

    fn watches(&self) -> &'static [Kind] {
        &[Kind::PodDisruptionBudget, Kind::Pod]
    }

    fn wake(&mut self, change: &Change, view: View<'_>, wake: &mut Wake<'_>) {
        let Some(pod) = change.object().pod() else { return wake.add(change.key.clone()) };
        let budgets = budget::matching(view, pod);
        if let [first, others @ ..] = budgets.as_slice() {
            wake.add(first.key());
            if !others.is_empty() {
                self.ambiguous.insert(change.key.clone());
                wake.add(change.key.clone());
            }
        }
        if change.new.is_some()
            && let Some(since) = disruption_announced(pod)
        {
            wake.add_after(change.key.clone(), since + STALE - wake.now());
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        match key.kind {
            Kind::Pod => self.look_at_pod(key, cx),
            _ => sync(key, cx),
        }
    }
}

/// Since when a pod is said to be disrupted although it is not being deleted. What a kubelet says of its own
/// doings is believed.
fn disruption_announced(pod: &Pod) -> Option<SimTime> {
    let said = condition::find(&pod.status.conditions, "DisruptionTarget")?;
    let stale = said.status == Truth::True && said.reason != "TerminationByKubelet" && pod.is_active();
    stale.then(|| said.last_transition.truncated())
}

impl DisruptionController {
    /// Takes back the announcement of a disruption that did not come; says if several budgets match.
    fn look_at_pod(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        let ambiguous = self.ambiguous.remove(key);
        let Some(pod) = cx.view.fetch_key::<Pod>(key).cloned() else { return Requeue::Done };
        if ambiguous && let [first, _, ..] = budget::matching(cx.view, &pod).as_slice() {
            let (namespace, name) = (&key.namespace, &key.name);
            let message = format!(
                "Pod {:?}/{:?} matches multiple PodDisruptionBudgets.  Chose {:?} arbitrarily.",
                namespace.as_str(),
                name.as_str(),
                first.meta.name.as_str()
            );
            let reason = crate::name!("MultiplePodDisruptionBudgets");
            cx.event(&Object::Pod(pod.clone()), true, SOURCE, reason, message);
        }
        let Some(since) = disruption_announced(&pod) else { return Requeue::Done };
        if since + STALE > cx.now {
            return Requeue::After(since + STALE - cx.now);
        }
        let taken_back =
            Condition::new(crate::name!("DisruptionTarget"), Truth::False, Name::new(), Name::new(), cx.now);
        let preconditions =
            Preconditions { resource_version: Some(pod.meta.resource_version), ..Preconditions::default() };
        cx.write(Write::Patch(key.clone(), Patch::Conditions(vec![taken_back]), preconditions));
        Requeue::Done
    }
}

/// Brings one budget's status up to date.
fn sync(key: &Key, cx: &mut Cx<'_>) -> Requeue {
    let Some(budget) = cx.view.fetch_key::<PodDisruptionBudget>(key).cloned() else { return Requeue::Done };
    let verdict = budget::judge(cx.view, &budget, cx.now);
    for remark in verdict.remarks {
        let about = match remark.about {
            Target::Budget => Object::PodDisruptionBudget(budget.clone()),
            Target::Pod(pod) => Object::Pod(pod),
        };
        cx.event(&about, remark.warning, SOURCE, remark.reason, remark.message);
    }
    if let Some(status) = verdict.status {
        let mut updated = Arc::unwrap_or_clone(budget);
        updated.status = status;
        cx.write(Write::UpdateStatus(updated.into_object()));
    }
    match verdict.recheck {
        Some(at) => Requeue::After(at - cx.now + RECHECK_DELAY),
        None => Requeue::Done,
    }
}
