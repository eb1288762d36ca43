//! Resource quotas and limit ranges: amounts by name, and what they are bound to.

use super::quantity::Quantity;
use super::{Meta, Name};
use std::collections::BTreeMap;

/// Exact amounts of resources by name (`v1.ResourceList`).
pub type Amounts = BTreeMap<Name, Quantity>;

/// A quota of a namespace.
#[derive(Clone, PartialEq, Debug)]
pub struct ResourceQuota {
    /// Metadata.
    pub meta: Meta,
    /// What may be used.
    pub hard: Amounts,
    /// Which objects count: all of these must match, as must the selector. Those of `spec.scopes` come first.
    pub scopes: Vec<ScopeRequirement>,
    /// How many of the requirements were written as `spec.scopes`.
    pub plain_scopes: usize,
    /// What the controller and admission report.
    pub status: QuotaStatus,
}

/// `status` of a quota.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct QuotaStatus {
    /// The limits as last enforced; none before the first count.
    pub hard: Option<Amounts>,
    /// What is used; none before the first count.
    pub used: Option<Amounts>,
}

/// A requirement on the objects that a quota counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScopeRequirement {
    /// `BestEffort`, `PriorityClass`, …
    pub scope: Name,
    /// How it compares.
    pub operator: ScopeOperator,
    /// With what.
    pub values: Vec<Name>,
}

/// How a scope compares.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ScopeOperator {
    /// Among the values.
    In,
    /// Not among the values.
    NotIn,
    /// Present.
    Exists,
    /// Absent.
    DoesNotExist,
}

impl ScopeOperator {
    /// All of them.
    pub const ALL: [ScopeOperator; 4] = [Self::In, Self::NotIn, Self::Exists, Self::DoesNotExist];

    /// As Kubernetes writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::In => "In",
            Self::NotIn => "NotIn",
            Self::Exists => "Exists",
            Self::DoesNotExist => "DoesNotExist",
        }
    }
}

/// Limits and defaults of a namespace.
#[derive(Clone, PartialEq, Debug)]
pub struct LimitRange {
    /// Metadata.
    pub meta: Meta,
    /// One for each kind of thing that is limited.
    pub limits: Vec<LimitItem>,
}

/// The limits of one kind of thing.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct LimitItem {
    /// `Container`, `Pod` or `PersistentVolumeClaim`.
    pub kind: Name,
    /// Least.
    pub min: Amounts,
    /// Most.
    pub max: Amounts,
    /// Limits of containers that name none.
    pub default: Amounts,
    /// Requests of containers that name none.
    pub default_request: Amounts,
    /// Most that a limit may be of its request.
    pub max_ratio: Amounts,
}

/// Adds amounts name by name. A zero takes on the form of what is added, as
/// `staging/src/k8s.io/apimachinery/pkg/api/resource/quantity.go` has it.
pub fn add(sum: &mut Amounts, other: &Amounts) {
    for (name, amount) in other {
        match sum.get_mut(name) {
            Some(have) => *have = plus(*have, *amount),
            None => {
                sum.insert(name.clone(), *amount);
            }
        }
    }
}

/// The sum of two amounts in the form of the first, unless that is zero.
pub fn plus(a: Quantity, b: Quantity) -> Quantity {
    Quantity { nano: a.nano + b.nano, format: if a.nano == 0 { b.format } else { a.format } }
}

/// Raises amounts name by name to those of `other`.
pub fn raise(most: &mut Amounts, other: &Amounts) {
    for (name, amount) in other {
        match most.get_mut(name) {
            Some(have) if *have >= *amount => {}
            _ => {
                most.insert(name.clone(), *amount);
            }
        }
    }
}

/// Amounts as messages list them: `cpu=1,pods=2`.
pub fn listed(amounts: &Amounts) -> String {
    let parts: Vec<String> = amounts.iter().map(|(name, amount)| format!("{name}={amount}")).collect();
    parts.join(",")
}
