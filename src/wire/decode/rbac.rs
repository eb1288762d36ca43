//! Roles and bindings.

use super::meta::{meta, namespaced};
use super::storage::one;
use super::{Decoded, Within, each, label_selector};
use crate::model::Name;
use crate::model::rbac::{
    ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject, SubjectKind,
};
use k8s_openapi::api::rbac::v1 as rbac;
use std::sync::Arc;

fn rules(from: &Option<Vec<rbac::PolicyRule>>) -> Arc<Vec<PolicyRule>> {
    let list = |texts: &Option<Vec<String>>| texts.iter().flatten().map(|text| Name::from(text.as_str())).collect();
    let rule = |rule: &rbac::PolicyRule| PolicyRule {
        verbs: rule.verbs.iter().map(|verb| Name::from(verb.as_str())).collect(),
        groups: list(&rule.api_groups),
        resources: list(&rule.resources),
        names: list(&rule.resource_names),
        urls: list(&rule.non_resource_urls),
    };
    Arc::new(from.iter().flatten().map(rule).collect())
}

pub(super) fn role(from: rbac::Role) -> Decoded<Role> {
    Ok(Role { meta: namespaced(&from.metadata)?, rules: rules(&from.rules) })
}

pub(super) fn cluster_role(from: rbac::ClusterRole) -> Decoded<ClusterRole> {
    let selectors = from.aggregation_rule.and_then(|rule| rule.cluster_role_selectors);
    let read = |selector: &_| label_selector(Some(selector));
    let aggregates = each(&selectors, "clusterRoleSelectors", read).within("aggregationRule")?;
    Ok(ClusterRole {
        meta: meta(&from.metadata)?,
        rules: rules(&from.rules),
        aggregates: aggregates.into_iter().flatten().collect(),
    })
}

fn subjects(from: &Option<Vec<rbac::Subject>>) -> Decoded<Vec<Subject>> {
    each(from, "subjects", |subject| {
        Ok(Subject {
            kind: one(&SubjectKind::ALL, SubjectKind::as_str, Some(&subject.kind)).within("kind")?,
            name: Name::from(subject.name.as_str()),
            namespace: Name::from(subject.namespace.as_deref().unwrap_or_default()),
        })
    })
}

fn role_ref(from: &rbac::RoleRef) -> RoleRef {
    RoleRef { cluster: from.kind == "ClusterRole", name: Name::from(from.name.as_str()) }
}

pub(super) fn role_binding(from: rbac::RoleBinding) -> Decoded<RoleBinding> {
    let subjects = subjects(&from.subjects)?;
    Ok(RoleBinding { meta: namespaced(&from.metadata)?, subjects, role: role_ref(&from.role_ref) })
}

pub(super) fn cluster_role_binding(from: rbac::ClusterRoleBinding) -> Decoded<ClusterRoleBinding> {
    let subjects = subjects(&from.subjects)?;
    Ok(ClusterRoleBinding { meta: meta(&from.metadata)?, subjects, role: role_ref(&from.role_ref) })
}
