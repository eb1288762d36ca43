//! The eviction subresource: a delete that asks the disruption budgets first
//! (`pkg/registry/core/pod/storage/eviction.go`).
//!
//! A worked example: a budget allows one disruption. The eviction of `web-1` takes it: the budget's status then says
//! that none is allowed and that `web-1` is on its way out, the pod gets the condition DisruptionTarget, and it is
//! deleted with its grace period. The eviction of `web-2` right after is refused with 429 until the disruption
//! controller has seen a replacement ready.

use super::apply::Written;
use super::errors::{Refusal, StoreError};
use super::patch::Patch;
use super::slots::Store;
use super::write::{DeleteOptions, Preconditions};
use crate::model::{Condition, Key, Object, Phase, Pod, PodDisruptionBudget, Resource, Truth, condition, policy};
use crate::time::SimTime;
use policy::UnhealthyPodEviction;
use std::sync::Arc;

/// Evictions that the disruption controller may still have to see.
const MAX_DISRUPTED: usize = 2000;
const VIOLATES: &str = "Cannot evict pod as it would violate the pod's disruption budget.";
const SEVERAL_BUDGETS: &str =
    "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";

impl Store {
    /// Evicts a pod, or refuses to.
    pub(super) fn evict(
        &mut self,
        now: SimTime,
        key: Key,
        options: DeleteOptions,
        writer: &'static str,
    ) -> Result<Written, StoreError> {
        let Some((_, Object::Pod(pod))) = self.live_slot(&key) else { return Err(StoreError::NotFound(key)) };
        let pod = pod.clone();
        if !can_ignore_budgets(&pod)
            && let Some(budget) = self.budget_of(&pod)?
            && !unhealthy_may_go(&pod, &budget)
        {
            let taken = take_disruption(&pod, &budget, now)?;
            // A pod that turns out not to be the one that is meant keeps its budget all the same, as upstream.
            self.update(now, taken.into_object(), true, writer)?;
        }
        let target = Condition::new(
            crate::name!("DisruptionTarget"),
            Truth::True,
            crate::name!("EvictionByEvictionAPI"),
            "Eviction API: evicting",
            now,
        );
        self.patch(now, key.clone(), &Patch::Conditions(vec![target]), options.preconditions, writer)?;
        // The condition was written on the version that was meant, so only the pod's identity is still to be checked.
        let preconditions = Preconditions { resource_version: None, ..options.preconditions };
        self.delete(now, key, DeleteOptions { preconditions, ..options }, writer)
    }

    /// The one budget that selects the pod.
    fn budget_of(&self, pod: &Pod) -> Result<Option<Arc<PodDisruptionBudget>>, StoreError> {
        let selects = |budget: &&Arc<PodDisruptionBudget>| {
            budget.selector.as_ref().is_some_and(|selector| selector.matches(&pod.meta.labels))
        };
        let mut budgets = self.live().list_in::<PodDisruptionBudget>(&pod.meta.namespace).filter(selects);
        let first = budgets.next();
        match budgets.next() {
            None => Ok(first.cloned()),
            Some(_) => Err(Refusal::new(500, SEVERAL_BUDGETS).of(pod.key())),
        }
    }
}

/// Nobody is disrupted by the end of a pod that has not begun, has ended, or is ending.
fn can_ignore_budgets(pod: &Pod) -> bool {
    pod.meta.deleting() || pod.status.phase != Phase::Running
}

/// Whether a pod that is not ready may go without counting.
fn unhealthy_may_go(pod: &Pod, budget: &PodDisruptionBudget) -> bool {
    let status = &budget.status;
    let met = status.current_healthy >= status.desired_healthy && status.desired_healthy > 0;
    !pod.is_ready() && (budget.unhealthy == Some(UnhealthyPodEviction::AlwaysAllow) || met)
}

/// The budget with one disruption less, or why it allows none (`checkAndDecrement`).
fn take_disruption(pod: &Pod, budget: &PodDisruptionBudget, now: SimTime) -> Result<PodDisruptionBudget, StoreError> {
    let (name, status) = (&budget.meta.name, &budget.status);
    let forbidden = |why: &str| {
        let message = format!("poddisruptionbudget.policy {:?} is forbidden: {why}", name.as_str());
        Err(Refusal::new(403, &message).of(pod.key()))
    };
    if status.observed_generation < budget.meta.generation {
        let cause = format!("The disruption budget {name} is still being processed by the server.");
        return Err(Refusal::new(429, VIOLATES).because(cause).retry_after(10).of(pod.key()));
    }
    if status.disruptions_allowed < 0 {
        return forbidden("pdb disruptions allowed is negative");
    }
    if status.disrupted.len() > MAX_DISRUPTED {
        return forbidden("DisruptedPods map too big - too many evictions not confirmed by PDB controller");
    }
    if status.disruptions_allowed == 0 {
        return Err(Refusal::new(429, VIOLATES).because(why_none(budget)).retry_after(0).of(pod.key()));
    }
    let mut taken = budget.clone();
    taken.status.disruptions_allowed -= 1;
    if taken.status.disruptions_allowed == 0 {
        taken.status.set_allowed(now);
    }
    taken.status.disrupted.retain(|(have, _)| *have != pod.meta.name);
    taken.status.disrupted.push((pod.meta.name.clone(), now.truncated()));
    taken.status.disrupted.sort();
    Ok(taken)
}

/// Why a budget allows nothing. What a failed sync left behind says nothing about health.
fn why_none(budget: &PodDisruptionBudget) -> String {
    let (name, status) = (&budget.meta.name, &budget.status);
    let said = condition::find(&status.conditions, &policy::DISRUPTION_ALLOWED)
        .filter(|said| said.status == Truth::False && !said.message.is_empty());
    let denies = format!("The disruption budget {name} does not allow evicting pods currently");
    match said {
        Some(said) if said.reason == policy::SYNC_FAILED => {
            format!("{denies} because it failed sync: {}", said.message)
        }
        _ if status.current_healthy <= status.desired_healthy => {
            let (desired, current) = (status.desired_healthy, status.current_healthy);
            format!("The disruption budget {name} needs {desired} healthy pods and has {current} currently")
        }
        Some(said) => format!("{denies} ({}): {}", said.reason, said.message),
        None => denies,
    }
}
