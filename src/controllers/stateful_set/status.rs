//! What a stateful set reports (`pkg/controller/statefulset/stateful_set_control.go`, `computeReplicaStatus`).

use super::sync::{Input, is_running_and_ready};
use crate::model::sets::{StatefulSetStatus, StatefulSetUpdate, keys};
use crate::model::{Pod, StatefulSet};

/// The status with these pods; `deleted` of the current revision have just been deleted.
pub(super) fn of<'a>(input: &Input<'_>, pods: impl Iterator<Item = &'a Pod>, deleted: i32) -> StatefulSetStatus {
    let Input { set, current, update, now, .. } = *input;
    let mut status = StatefulSetStatus {
        observed_generation: set.meta.generation,
        current_revision: current.meta.name.clone(),
        update_revision: update.meta.name.clone(),
        collision_count: Some(input.collisions),
        current: -deleted,
        // What nobody here writes stays out: upstream begins with an empty status too.
        ..StatefulSetStatus::default()
    };
    for pod in pods {
        status.replicas += 1;
        if is_running_and_ready(pod) {
            status.ready += 1;
            status.available += i32::from(pod.is_available(set.min_ready_seconds, now));
        }
        if !pod.meta.deleting() {
            let revision = pod.meta.labels.get(&keys::REVISION_HASH);
            status.current += i32::from(revision == Some(&current.meta.name));
            status.updated += i32::from(revision == Some(&update.meta.name));
        }
    }
    status
}

/// A rolling update that has reached every pod makes the update revision the current one (`completeRollingUpdate`).
pub fn completed(set: &StatefulSet, mut status: StatefulSetStatus) -> StatefulSetStatus {
    let rolling = matches!(set.update, StatefulSetUpdate::RollingUpdate(_));
    if rolling && [status.updated, status.ready, status.replicas] == [set.replicas; 3] {
        status.current = status.updated;
        status.current_revision = status.update_revision.clone();
    }
    status
}

/// Whether the status must be written (`inconsistentStatus`).
pub fn differs(old: &StatefulSetStatus, new: &StatefulSetStatus) -> bool {
    let counts = |s: &StatefulSetStatus| [s.replicas, s.current, s.ready, s.updated, s.available];
    new.observed_generation > old.observed_generation
        || counts(old) != counts(new)
        || old.current_revision != new.current_revision
        || old.update_revision != new.update_revision
}
