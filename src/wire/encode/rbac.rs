//! Roles and bindings.

use super::meta::{meta, selector, text, texts};
use super::nonzero;
use crate::model::rbac::{
    ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject, SubjectKind,
};
use k8s_openapi::api::rbac::v1 as rbac;

const GROUP: &str = "rbac.authorization.k8s.io";

fn rules(from: &[PolicyRule]) -> Option<Vec<rbac::PolicyRule>> {
    let rule = |rule: &PolicyRule| rbac::PolicyRule {
        verbs: rule.verbs.iter().map(ToString::to_string).collect(),
        api_groups: texts(&rule.groups),
        resources: texts(&rule.resources),
        resource_names: texts(&rule.names),
        non_resource_urls: texts(&rule.urls),
    };
    nonzero(from.iter().map(rule).collect())
}

pub(super) fn role(from: &Role) -> rbac::Role {
    rbac::Role { metadata: meta(&from.meta), rules: rules(&from.rules) }
}

pub(super) fn cluster_role(from: &ClusterRole) -> rbac::ClusterRole {
    let selectors: Vec<_> = from.aggregates.iter().map(selector).collect();
    let aggregation = nonzero(selectors).map(|all| rbac::AggregationRule { cluster_role_selectors: Some(all) });
    rbac::ClusterRole { metadata: meta(&from.meta), rules: rules(&from.rules), aggregation_rule: aggregation }
}

fn subjects(from: &[Subject]) -> Option<Vec<rbac::Subject>> {
    let subject = |subject: &Subject| rbac::Subject {
        kind: subject.kind.as_str().to_string(),
        name: subject.name.to_string(),
        namespace: text(&subject.namespace),
        api_group: (subject.kind != SubjectKind::ServiceAccount).then(|| GROUP.to_string()),
    };
    nonzero(from.iter().map(subject).collect())
}

fn role_ref(from: &RoleRef) -> rbac::RoleRef {
    let kind = if from.cluster { "ClusterRole" } else { "Role" };
    rbac::RoleRef { api_group: Some(GROUP.to_string()), kind: kind.to_string(), name: from.name.to_string() }
}

pub(super) fn role_binding(from: &RoleBinding) -> rbac::RoleBinding {
    rbac::RoleBinding { metadata: meta(&from.meta), subjects: subjects(&from.subjects), role_ref: role_ref(&from.role) }
}

pub(super) fn cluster_role_binding(from: &ClusterRoleBinding) -> rbac::ClusterRoleBinding {
    rbac::ClusterRoleBinding {
        metadata: meta(&from.meta),
        subjects: subjects(&from.subjects),
        role_ref: role_ref(&from.role),
    }
}
