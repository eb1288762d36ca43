//! Resource quotas and limit ranges.

use super::meta::namespaced;
use super::storage::one;
use super::{Decoded, FieldError, Within, quantity::ResourceList};
use crate::model::Name;
use crate::model::quantity::parse_quantity;
use crate::model::quota::{
    Amounts, LimitItem, LimitRange, QuotaStatus, ResourceQuota, ScopeOperator, ScopeRequirement,
};
use k8s_openapi::api::core::v1 as core;

pub(super) fn resource_quota(from: core::ResourceQuota) -> Decoded<ResourceQuota> {
    let meta = namespaced(&from.metadata)?;
    let (spec, status) = (from.spec.unwrap_or_default(), from.status.unwrap_or_default());
    let plain = spec.scopes.iter().flatten().map(|scope| ScopeRequirement {
        scope: Name::from(scope.as_str()),
        operator: ScopeOperator::Exists,
        values: Vec::new(),
    });
    let mut scopes: Vec<ScopeRequirement> = plain.collect();
    let plain_scopes = scopes.len();
    let selector = spec.scope_selector.unwrap_or_default();
    for expression in selector.match_expressions.iter().flatten() {
        let operator = one(&ScopeOperator::ALL, ScopeOperator::as_str, Some(&expression.operator));
        scopes.push(ScopeRequirement {
            scope: Name::from(expression.scope_name.as_str()),
            operator: operator.within("spec.scopeSelector.matchExpressions")?,
            values: expression.values.iter().flatten().map(|value| Name::from(value.as_str())).collect(),
        });
    }
    let some = |list: Option<ResourceList>, path: &str| list.map(|list| amounts(Some(&list))).transpose().within(path);
    Ok(ResourceQuota {
        meta,
        hard: amounts(spec.hard.as_ref()).within("spec.hard")?,
        scopes,
        plain_scopes,
        status: QuotaStatus { hard: some(status.hard, "status.hard")?, used: some(status.used, "status.used")? },
    })
}

/// Exact amounts, in the form they are written in.
pub(super) fn amounts(list: Option<&ResourceList>) -> Decoded<Amounts> {
    let read = |(name, written): (&String, &k8s_openapi::apimachinery::pkg::api::resource::Quantity)| {
        let amount = parse_quantity(&written.0).map_err(|why| FieldError::new(name.as_str(), why))?;
        Ok((Name::from(name.as_str()), amount))
    };
    list.into_iter().flatten().map(read).collect()
}

/// With the defaults that follow from each other (`pkg/apis/core/v1/defaults.go`, `SetDefaults_LimitRangeItem`).
pub(super) fn limit_range(from: core::LimitRange) -> Decoded<LimitRange> {
    let meta = namespaced(&from.metadata)?;
    let items = from.spec.unwrap_or_default().limits;
    let item = |(at, item): (usize, core::LimitRangeItem)| {
        let path = format!("spec.limits[{at}]");
        let read = |list: &Option<ResourceList>, field: &str| amounts(list.as_ref()).within(&format!("{path}.{field}"));
        let mut limits = LimitItem {
            kind: Name::from(item.type_.as_str()),
            min: read(&item.min, "min")?,
            max: read(&item.max, "max")?,
            default: read(&item.default, "default")?,
            default_request: read(&item.default_request, "defaultRequest")?,
            max_ratio: read(&item.max_limit_request_ratio, "maxLimitRequestRatio")?,
        };
        if limits.kind == "Container" {
            fill(&mut limits.default, &limits.max);
            let default = limits.default.clone();
            fill(&mut limits.default_request, &default);
            fill(&mut limits.default_request, &limits.min);
        }
        Ok(limits)
    };
    Ok(LimitRange { meta, limits: items.into_iter().enumerate().map(item).collect::<Decoded<_>>()? })
}

/// What is missing comes from `other`.
fn fill(amounts: &mut Amounts, other: &Amounts) {
    for (name, amount) in other {
        amounts.entry(name.clone()).or_insert(*amount);
    }
}
