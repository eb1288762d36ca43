//! Which pods a quota's scopes mean (`podMatchesScopeFunc` in `pkg/quota/v1/evaluator/core/pods.go`). Nothing but pods
//! has scopes.

use crate::model::pod_spec::QosClass;
use crate::model::quota::{ScopeOperator, ScopeRequirement};
use crate::model::{Object, PodSpec};

/// Whether an object is within all of them.
pub fn within(scopes: &[ScopeRequirement], object: &Object) -> bool {
    match object {
        Object::Pod(pod) => scopes.iter().all(|scope| matches_pod(scope, &pod.spec)),
        _ => scopes.is_empty(),
    }
}

/// Whether a pod is within a scope.
pub fn matches_pod(requirement: &ScopeRequirement, spec: &PodSpec) -> bool {
    let terminating = spec.active_deadline_seconds.is_some_and(|seconds| seconds >= 0);
    let best_effort = || spec.qos() == QosClass::BestEffort;
    match requirement.scope.as_str() {
        "Terminating" => terminating,
        "NotTerminating" => !terminating,
        "BestEffort" => best_effort(),
        "NotBestEffort" => !best_effort(),
        "CrossNamespacePodAffinity" => spec.affinity.as_ref().is_some_and(|affinity| {
            affinity.pod_terms().any(|term| !term.namespaces.is_empty() || term.namespace_selector.is_some())
        }),
        "PriorityClass" => {
            let among = requirement.values.contains(&spec.priority_class);
            let named = !spec.priority_class.is_empty();
            match requirement.operator {
                ScopeOperator::Exists => named,
                ScopeOperator::DoesNotExist => !named,
                ScopeOperator::In => named && among,
                ScopeOperator::NotIn => !named || !among,
            }
        }
        _ => false,
    }
}
