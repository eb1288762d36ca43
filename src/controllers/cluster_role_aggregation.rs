//! Cluster roles that take over the rules of others (`pkg/controller/clusterroleaggregation/clusterroleaggregation_controller.go`).
//!
//! A worked example: `view` aggregates roles labelled `rbac.authorization.k8s.io/aggregate-to-view: "true"`. A new role
//! with that label appears → its rules are appended to those of `view`, in order of the roles' names.

use crate::model::rbac::{ClusterRole, PolicyRule};
use crate::model::{Key, Kind, Resource};
use crate::runtime::{ActorSettings, Controller, Cx, Requeue, Wake};
use crate::store::{Change, View, Write};
use std::sync::Arc;

/// The controller.
#[derive(Debug, Default)]
pub struct ClusterRoleAggregation;

/// Its machinery: five workers.
pub fn settings() -> ActorSettings {
    ActorSettings { workers: 5, ..ActorSettings::default() }
}

impl Controller for ClusterRoleAggregation {
    fn name(&self) -> &'static str {
        "clusterrole-aggregation-controller"
    }

    fn watches(&self) -> &'static [Kind] {
        &[Kind::ClusterRole]
    }

    fn wake(&mut self, _: &Change, view: View<'_>, wake: &mut Wake<'_>) {
        // Any change may concern any role that aggregates.
        for role in view.list::<ClusterRole>().filter(|role| !role.aggregates.is_empty()) {
            wake.add(role.key());
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        let Some(role) = cx.view.fetch_key::<ClusterRole>(key).filter(|role| !role.aggregates.is_empty()) else {
            return Requeue::Done;
        };
        let mut rules: Vec<PolicyRule> = Vec::new();
        for selector in &role.aggregates {
            let selected = cx.view.list::<ClusterRole>().filter(|other| selector.matches(&other.meta.labels));
            let mut selected: Vec<&Arc<ClusterRole>> = selected.filter(|other| other.key() != *key).collect();
            selected.sort_by_key(|other| other.meta.name.clone());
            for rule in selected.iter().flat_map(|other| other.rules.iter()) {
                if !rules.contains(rule) {
                    rules.push(rule.clone());
                }
            }
        }
        if *role.rules != rules {
            let mut role = ClusterRole::clone(role);
            role.rules = Arc::new(rules);
            cx.write(Write::Update(role.into_object()));
        }
        Requeue::Done
    }
}
