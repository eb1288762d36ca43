//! Disruption budgets.

use super::meta::{condition, namespaced};
use super::storage::one;
use super::workload::int_or_percent;
use super::{Decoded, Within, label_selector};
use crate::model::policy::{BudgetStatus, PodDisruptionBudget, UnhealthyPodEviction};
use crate::model::{Condition, Name};
use k8s_openapi::api::policy::v1 as policy;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition as Written;

pub(super) fn budget(from: policy::PodDisruptionBudget) -> Decoded<PodDisruptionBudget> {
    let meta = namespaced(&from.metadata)?;
    let (spec, status) = (from.spec.unwrap_or_default(), from.status.unwrap_or_default());
    let unhealthy = spec.unhealthy_pod_eviction_policy.as_deref();
    let unhealthy = unhealthy
        .map(|text| one(&UnhealthyPodEviction::ALL, UnhealthyPodEviction::as_str, Some(text)))
        .transpose()
        .within("spec.unhealthyPodEvictionPolicy")?;
    Ok(PodDisruptionBudget {
        meta,
        min_available: spec.min_available.as_ref().map(int_or_percent).transpose().within("spec.minAvailable")?,
        max_unavailable: spec.max_unavailable.as_ref().map(int_or_percent).transpose().within("spec.maxUnavailable")?,
        selector: label_selector(spec.selector.as_ref()).within("spec.selector")?,
        unhealthy,
        status: budget_status(status),
    })
}

fn budget_status(from: policy::PodDisruptionBudgetStatus) -> BudgetStatus {
    let disrupted = from.disrupted_pods.iter().flatten();
    BudgetStatus {
        observed_generation: from.observed_generation.unwrap_or(0),
        disruptions_allowed: from.disruptions_allowed.unwrap_or(0),
        current_healthy: from.current_healthy.unwrap_or(0),
        desired_healthy: from.desired_healthy.unwrap_or(0),
        expected_pods: from.expected_pods.unwrap_or(0),
        disrupted: disrupted.map(|(pod, since)| (Name::from(pod.as_str()), super::meta::instant(since.0))).collect(),
        conditions: from.conditions.iter().flatten().map(standard_condition).collect(),
    }
}

/// A `metav1.Condition`.
fn standard_condition(from: &Written) -> Condition {
    let (reason, message) = (Some(from.reason.clone()), Some(from.message.clone()));
    let transition = Some(from.last_transition_time.clone());
    condition((&from.type_, &from.status), &reason, &message, &transition, &None)
}
