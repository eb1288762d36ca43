//! Disruption budgets.

use super::workload::IntOrPercent;
use super::{Condition, Meta, Name, Selector, Truth, condition};
use crate::time::SimTime;

/// The type of a budget's condition.
pub const DISRUPTION_ALLOWED: Name = crate::name!("DisruptionAllowed");
/// The reason of a budget that could not be judged.
pub const SYNC_FAILED: Name = crate::name!("SyncFailed");

/// When a budget lets pods that are not ready be evicted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UnhealthyPodEviction {
    /// Only while the budget is met.
    IfHealthyBudget,
    /// Always.
    AlwaysAllow,
}

impl UnhealthyPodEviction {
    /// Both.
    pub const ALL: [UnhealthyPodEviction; 2] = [Self::IfHealthyBudget, Self::AlwaysAllow];

    /// As Kubernetes writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::IfHealthyBudget => "IfHealthyBudget",
            Self::AlwaysAllow => "AlwaysAllow",
        }
    }
}

/// A pod disruption budget.
#[derive(Clone, PartialEq, Debug)]
pub struct PodDisruptionBudget {
    /// Metadata.
    pub meta: Meta,
    /// Pods that must stay.
    pub min_available: Option<IntOrPercent>,
    /// Pods that may be gone.
    pub max_unavailable: Option<IntOrPercent>,
    /// Which pods; `None` matches nothing, an empty one the whole namespace.
    pub selector: Option<Selector>,
    /// Pods that are not ready; `None` for the default, [`UnhealthyPodEviction::IfHealthyBudget`].
    pub unhealthy: Option<UnhealthyPodEviction>,
    /// What the disruption controller reports.
    pub status: BudgetStatus,
}

/// `status` of a budget.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct BudgetStatus {
    /// Generation last acted on.
    pub observed_generation: i64,
    /// Evictions allowed now.
    pub disruptions_allowed: i32,
    /// Healthy pods.
    pub current_healthy: i32,
    /// Healthy pods that must stay.
    pub desired_healthy: i32,
    /// Pods counted.
    pub expected_pods: i32,
    /// Pods whose eviction is under way, and since when.
    pub disrupted: Vec<(Name, SimTime)>,
    /// DisruptionAllowed.
    pub conditions: Vec<Condition>,
}

/// Sets a condition in the form that later kinds share: only a change of status moves its time
/// (`staging/src/k8s.io/apimachinery/pkg/api/meta/conditions.go`).
pub fn set_standard(conditions: &mut Vec<Condition>, mut new: Condition) {
    if let Some(old) = condition::find(conditions, &new.kind).filter(|old| old.status == new.status) {
        new.last_update = old.last_update;
    }
    condition::set(conditions, new);
}

impl BudgetStatus {
    /// Says in the condition whether disruptions are allowed
    /// (`staging/src/k8s.io/component-helpers/apps/poddisruptionbudget/helpers.go`).
    pub fn set_allowed(&mut self, now: SimTime) {
        let reason = match self.disruptions_allowed > 0 {
            true => crate::name!("SufficientPods"),
            false => crate::name!("InsufficientPods"),
        };
        let allowed = Truth::from(self.disruptions_allowed > 0);
        let new = Condition::new(DISRUPTION_ALLOWED, allowed, reason, Name::new(), now);
        set_standard(&mut self.conditions, new);
    }
}
