//! What the API server itself does to stateful sets, daemon sets and replication controllers
//! (`pkg/registry/apps/statefulset/strategy.go`, `pkg/registry/apps/daemonset/strategy.go`,
//! `pkg/apis/apps/validation/validation.go`).

use crate::model::sets::{StatefulSetUpdate, keys};
use crate::model::{Object, StatefulSet};
use std::sync::Arc;

/// Fields of a stateful set that may change.
const STATEFUL_SET_FIELDS: &str = "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', \
    'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and \
    'minReadySeconds' are forbidden";

/// A new object as it is stored, or (with `old`) one that replaces another.
pub(super) fn prepare(old: Option<&Object>, new: &mut Object) {
    match new {
        Object::StatefulSet(set) => {
            let limit = |set: &StatefulSet| match set.update {
                StatefulSetUpdate::RollingUpdate(Some(rolling)) => rolling.max_unavailable,
                _ => None,
            };
            // Behind the feature gate `MaxUnavailableStatefulSet`, which is off.
            let in_use = old.and_then(Object::as_kind::<StatefulSet>).is_some_and(|old| limit(old).is_some());
            if limit(set).is_some()
                && !in_use
                && let StatefulSetUpdate::RollingUpdate(Some(rolling)) = &mut Arc::make_mut(set).update
            {
                rolling.max_unavailable = None;
            }
        }
        Object::DaemonSet(set) => {
            let generation = match old {
                Some(Object::DaemonSet(old)) => {
                    let before = old.meta.annotations.get(&keys::DAEMON_SET_GENERATION);
                    let before: i64 = before.and_then(|text| text.parse().ok()).unwrap_or(1);
                    before + i64::from(old.template != set.template)
                }
                _ => 1,
            };
            let text = generation.to_string();
            if set.meta.annotations.get(&keys::DAEMON_SET_GENERATION).is_none_or(|have| *have != text) {
                let set = Arc::make_mut(set);
                set.meta.annotations = set.meta.annotations.with(keys::DAEMON_SET_GENERATION, text);
            }
        }
        _ => {}
    }
}

/// Changes that are refused.
pub(super) fn refusals(old: &Object, new: &Object) -> Vec<String> {
    let mut errors = Vec::new();
    match (old, new) {
        (Object::StatefulSet(old), Object::StatefulSet(new)) => {
            let allowed = StatefulSet {
                meta: old.meta.clone(),
                replicas: old.replicas,
                template: old.template.clone(),
                update: old.update,
                revision_history_limit: old.revision_history_limit,
                min_ready_seconds: old.min_ready_seconds,
                retention: old.retention,
                start: old.start,
                status: old.status.clone(),
                raw: old.raw.clone(),
                ..StatefulSet::clone(new)
            };
            if allowed != **old {
                errors.push(STATEFUL_SET_FIELDS.to_string());
            }
        }
        (Object::DaemonSet(old), Object::DaemonSet(new)) if old.selector != new.selector => {
            let selector = new.selector.to_string();
            errors.push(format!("spec.selector: Invalid value: {selector:?}: field is immutable"));
        }
        _ => {}
    }
    let replicas = match new {
        Object::StatefulSet(set) => set.replicas,
        Object::ReplicationController(controller) => controller.replicas,
        _ => 0,
    };
    if replicas < 0 {
        errors.push(format!("spec.replicas: Invalid value: {replicas}: must be greater than or equal to 0"));
    }
    errors
}
