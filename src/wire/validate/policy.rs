//! Resource quotas, limit ranges, roles and bindings (`pkg/apis/core/validation/validation.go`,
//! `pkg/apis/rbac/validation/validation.go`).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{LimitRange, LimitRangeItem, ResourceQuota};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Written;

use super::{FieldError, Findings, Validate};
use crate::model::quantity::{Quantity, parse_quantity};
use crate::wire::names;

const SCOPES: [&str; 6] =
    ["BestEffort", "CrossNamespacePodAffinity", "NotBestEffort", "NotTerminating", "PriorityClass", "Terminating"];
const OPERATORS: [&str; 4] = ["DoesNotExist", "Exists", "In", "NotIn"];
const RBAC: &str = "rbac.authorization.k8s.io";

/// Scopes that no pod can be in at once.
const EXCLUSIVE: [[&str; 2]; 2] = [["BestEffort", "NotBestEffort"], ["NotTerminating", "Terminating"]];
/// Objects that a quota counts by a name of their own (`pkg/apis/core/helper/helpers.go`, `standardQuotaResources`).
const COUNTED: [&str; 9] = [
    "configmaps",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "services",
    "services.loadbalancers",
    "services.nodeports",
];
/// What pods ask for, as a quota names it.
const ASKED: [&str; 9] = [
    "cpu",
    "ephemeral-storage",
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];

impl Findings {
    /// What a quota can limit (`ValidateResourceQuotaResourceName`), and how much of it.
    fn quota_names(&mut self, path: &str, hard: Option<&BTreeMap<String, Written>>) {
        for name in hard.into_iter().flatten().map(|(name, _)| name.as_str()) {
            let path = format!("{path}[{name}]");
            let huge = ["hugepages-", "requests.hugepages-"].iter().any(|prefix| name.starts_with(prefix));
            let known = huge || name == "requests.storage" || COUNTED.contains(&name) || ASKED.contains(&name);
            if !known && !name.contains('/') {
                self.invalid(path.as_str(), name, "must be a standard resource type or fully qualified");
                self.invalid(path, name, "must be a standard resource for quota");
            }
        }
        for (name, amount) in self.quantities(path, hard) {
            if COUNTED.contains(&name.as_str()) && amount.nano % 1_000_000_000 != 0 {
                self.invalid(format!("{path}[{name}]"), &amount.to_string(), "must be an integer");
            }
        }
    }

    fn quantities(&mut self, path: &str, amounts: Option<&BTreeMap<String, Written>>) -> BTreeMap<String, Quantity> {
        let mut read = BTreeMap::new();
        for (name, written) in amounts.into_iter().flatten() {
            let path = format!("{path}[{name}]");
            for detail in names::qualified_name(name.trim_start_matches("count/")) {
                self.invalid(path.as_str(), name, detail);
            }
            match parse_quantity(&written.0) {
                Err(why) => {
                    self.invalid(path, &written.0, why);
                }
                Ok(amount) if amount.nano < 0 => {
                    self.invalid(path, &amount.to_string(), "must be greater than or equal to 0");
                }
                Ok(amount) => {
                    read.insert(name.clone(), amount);
                }
            }
        }
        read
    }

    fn limit_item(&mut self, path: &str, item: &LimitRangeItem) {
        let lists = [
            ("max", &item.max),
            ("min", &item.min),
            ("default", &item.default),
            ("defaultRequest", &item.default_request),
        ];
        let read: Vec<BTreeMap<String, Quantity>> =
            lists.iter().map(|(field, list)| self.quantities(&format!("{path}.{field}"), list.as_ref())).collect();
        let [max, min, default, request] = read.as_slice() else { return };
        if item.type_ == "Pod" {
            for (field, list) in &lists[2..] {
                if list.is_some() {
                    self.forbidden(format!("{path}.{field}"), "may not be specified when `type` is 'Pod'");
                }
            }
        }
        let keys = max.keys().chain(min.keys()).chain(default.keys()).chain(request.keys());
        let keys: std::collections::BTreeSet<&String> = keys.collect();
        for key in keys {
            let mut ordered = |low: Option<&Quantity>, low_name: &str, high: Option<&Quantity>, high_name: &str| {
                if let (Some(low), Some(high)) = (low, high)
                    && low > high
                {
                    let field = if low_name == "min value" { "min" } else { low_name.split(' ').next().unwrap_or("") };
                    let field =
                        if field == "default" && low_name.contains("request") { "defaultRequest" } else { field };
                    let detail = format!("{low_name} {low} is greater than {high_name} {high}");
                    self.invalid(format!("{path}.{field}[{key}]"), &low.to_string(), detail);
                }
            };
            ordered(min.get(key), "min value", max.get(key), "max value");
            ordered(min.get(key), "min value", request.get(key), "default request value");
            ordered(request.get(key), "default request value", max.get(key), "max value");
            ordered(request.get(key), "default request value", default.get(key), "default limit value");
            ordered(default.get(key), "default value", max.get(key), "max value");
        }
        self.quantities(&format!("{path}.maxLimitRequestRatio"), item.max_limit_request_ratio.as_ref());
    }

    fn rule(&mut self, path: &str, rule: &PolicyRule, namespaced: bool) {
        let empty = |list: &Option<Vec<String>>| list.as_ref().is_none_or(Vec::is_empty);
        if rule.verbs.is_empty() {
            self.required(format!("{path}.verbs"), "verbs must contain at least one value");
        }
        if !empty(&rule.non_resource_urls) {
            if namespaced {
                let detail = "namespaced rules cannot apply to non-resource URLs";
                let urls = rule.non_resource_urls.clone().unwrap_or_default();
                self.invalid_value(format!("{path}.nonResourceURLs"), &urls, detail);
            }
            if !empty(&rule.api_groups) || !empty(&rule.resources) || !empty(&rule.resource_names) {
                let detail = "rules cannot apply to both regular resources and non-resource URLs";
                let urls = rule.non_resource_urls.clone().unwrap_or_default();
                self.invalid_value(format!("{path}.nonResourceURLs"), &urls, detail);
            }
            return;
        }
        if empty(&rule.api_groups) {
            self.required(format!("{path}.apiGroups"), "resource rules must supply at least one api group");
        }
        if empty(&rule.resources) {
            self.required(format!("{path}.resources"), "resource rules must supply at least one resource");
        }
    }

    /// An account without a namespace is one of the binding's own, if the binding has one
    /// (`ValidateRoleBindingSubject`).
    fn binding(&mut self, role: &RoleRef, subjects: Option<&Vec<Subject>>, kinds: &[&'static str], namespaced: bool) {
        self.one_of("roleRef.apiGroup", role.api_group.as_ref(), &[RBAC]);
        self.one_of("roleRef.kind", Some(&role.kind), kinds);
        if role.name.is_empty() {
            self.required("roleRef.name", "");
        }
        for (index, subject) in subjects.into_iter().flatten().enumerate() {
            let path = format!("subjects[{index}]");
            if subject.name.is_empty() {
                self.required(format!("{path}.name"), "");
            }
            self.one_of(format!("{path}.kind"), Some(&subject.kind), &["Group", "ServiceAccount", "User"]);
            let somewhere = namespaced || subject.kind != "ServiceAccount";
            if !somewhere && subject.namespace.as_deref().is_none_or(str::is_empty) {
                self.required(format!("{path}.namespace"), "");
            }
        }
    }
}

/// Names of roles and bindings are path segments.
fn path_segment(name: &str) -> Vec<String> {
    match name {
        "." | ".." => vec![format!("may not be '{name}'")],
        name => ["/", "%"].iter().filter(|c| name.contains(**c)).map(|c| format!("may not contain '{c}'")).collect(),
    }
}

impl Validate for ResourceQuota {
    fn validate(&self) -> Vec<FieldError> {
        let mut findings = Findings::default();
        findings.metadata(&self.metadata, true, names::dns_subdomain);
        let spec = self.spec.clone().unwrap_or_default();
        findings.quota_names("spec.hard", spec.hard.as_ref());
        for (index, scope) in spec.scopes.iter().flatten().enumerate() {
            if !SCOPES.contains(&scope.as_str()) {
                findings.invalid(format!("spec.scopes[{index}]"), scope, "unsupported scope");
            }
        }
        let scopes = spec.scopes.clone().unwrap_or_default();
        for pair in EXCLUSIVE {
            if pair.iter().all(|scope| scopes.iter().any(|one| one == scope)) {
                findings.invalid_value("spec.scopes", &scopes, "conflicting scopes");
            }
        }
        let selector = spec.scope_selector.unwrap_or_default();
        for (index, expression) in selector.match_expressions.iter().flatten().enumerate() {
            let path = format!("spec.scopeSelector.matchExpressions[{index}]");
            if !SCOPES.contains(&expression.scope_name.as_str()) {
                findings.invalid(format!("{path}.scopeName"), &expression.scope_name, "unsupported scope");
            }
            if !OPERATORS.contains(&expression.operator.as_str()) {
                findings.invalid(format!("{path}.operator"), &expression.operator, "not a valid selector operator");
            }
            let none = expression.values.as_ref().is_none_or(Vec::is_empty);
            match expression.operator.as_str() {
                "In" | "NotIn" if none => {
                    let detail = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector";
                    findings.required(format!("{path}.values"), detail);
                }
                "Exists" | "DoesNotExist" if !none => {
                    let detail = "must be no value when `operator` is 'Exists' or 'DoesNotExist' for scope selector";
                    let values = expression.values.clone().unwrap_or_default();
                    findings.invalid_value(format!("{path}.values"), &values, detail);
                }
                _ => {}
            }
        }
        findings.0
    }
}

impl Validate for LimitRange {
    fn validate(&self) -> Vec<FieldError> {
        let mut findings = Findings::default();
        findings.metadata(&self.metadata, true, names::dns_subdomain);
        let mut seen: Vec<&str> = Vec::new();
        for (index, item) in self.spec.iter().flat_map(|spec| &spec.limits).enumerate() {
            let path = format!("spec.limits[{index}]");
            if seen.contains(&item.type_.as_str()) {
                findings.duplicate(format!("{path}.type"), &item.type_);
            }
            seen.push(&item.type_);
            findings.limit_item(&path, item);
        }
        findings.0
    }
}

/// Roles with and without a namespace.
macro_rules! roles {
    ($($kind:ty, $namespaced:literal;)*) => { $(
        impl Validate for $kind {
            fn validate(&self) -> Vec<FieldError> {
                let mut findings = Findings::default();
                findings.metadata(&self.metadata, $namespaced, path_segment);
                for (index, rule) in self.rules.iter().flatten().enumerate() {
                    findings.rule(&format!("rules[{index}]"), rule, $namespaced);
                }
                findings.0
            }
        }
    )* };
}

/// Bindings with and without a namespace.
macro_rules! bindings {
    ($($kind:ty, $namespaced:literal, $roles:expr;)*) => { $(
        impl Validate for $kind {
            fn validate(&self) -> Vec<FieldError> {
                let mut findings = Findings::default();
                findings.metadata(&self.metadata, $namespaced, path_segment);
                findings.binding(&self.role_ref, self.subjects.as_ref(), $roles, $namespaced);
                findings.0
            }
        }
    )* };
}

roles! {
    Role, true;
    ClusterRole, false;
}
bindings! {
    RoleBinding, true, &["ClusterRole", "Role"];
    ClusterRoleBinding, false, &["ClusterRole"];
}
