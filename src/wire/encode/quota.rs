//! Resource quotas and limit ranges.

use super::meta::{meta, texts};
use super::nonzero;
use crate::model::Name;
use crate::model::quota::{Amounts, LimitRange, ResourceQuota};
use crate::wire::decode::quantity::ResourceList;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

fn list(amounts: &Amounts) -> Option<ResourceList> {
    nonzero(amounts.iter().map(|(name, amount)| (name.to_string(), Quantity(amount.to_string()))).collect())
}

pub(super) fn resource_quota(from: &ResourceQuota) -> core::ResourceQuota {
    let (plain, selected) = from.scopes.split_at(from.plain_scopes.min(from.scopes.len()));
    let expression = |scope: &crate::model::quota::ScopeRequirement| core::ScopedResourceSelectorRequirement {
        scope_name: scope.scope.to_string(),
        operator: scope.operator.as_str().to_string(),
        values: texts(&scope.values),
    };
    let expressions: Vec<_> = selected.iter().map(expression).collect();
    let plain: Vec<Name> = plain.iter().map(|scope| scope.scope.clone()).collect();
    let spec = core::ResourceQuotaSpec {
        hard: list(&from.hard),
        scopes: texts(&plain),
        scope_selector: nonzero(expressions)
            .map(|expressions| core::ScopeSelector { match_expressions: Some(expressions) }),
    };
    let status = core::ResourceQuotaStatus {
        hard: from.status.hard.as_ref().and_then(list),
        used: from.status.used.as_ref().and_then(list),
    };
    core::ResourceQuota { metadata: meta(&from.meta), spec: Some(spec), status: Some(status) }
}

pub(super) fn limit_range(from: &LimitRange) -> core::LimitRange {
    let limits = from.limits.iter().map(|item| core::LimitRangeItem {
        type_: item.kind.to_string(),
        min: list(&item.min),
        max: list(&item.max),
        default: list(&item.default),
        default_request: list(&item.default_request),
        max_limit_request_ratio: list(&item.max_ratio),
    });
    let spec = core::LimitRangeSpec { limits: limits.collect() };
    core::LimitRange { metadata: meta(&from.meta), spec: Some(spec) }
}
