//! What a replica set reports (`pkg/controller/replicaset/replica_set_utils.go`).

use crate::model::workload::ReplicaSetStatus;
use crate::model::{Condition, Pod, ReplicaSet, Truth};
use crate::time::SimTime;
use std::sync::Arc;

/// The condition that says that pods cannot be made or removed.
pub(super) fn failure(creating: bool, message: String, now: SimTime) -> Condition {
    let reason = if creating { crate::name!("FailedCreate") } else { crate::name!("FailedDelete") };
    Condition::new(crate::name!("ReplicaFailure"), Truth::True, reason, message, now)
}

/// The status of a set with these active pods.
pub(super) fn of(
    set: &ReplicaSet,
    active: &[&Arc<Pod>],
    terminating: usize,
    failure: Option<Condition>,
    now: SimTime,
) -> ReplicaSetStatus {
    let count = |test: &dyn Fn(&Pod) -> bool| active.iter().filter(|pod| test(pod)).count() as i32;
    let mut conditions = set.status.conditions.clone();
    match failure {
        None => conditions.retain(|condition| condition.kind != "ReplicaFailure"),
        Some(new) if conditions.iter().all(|condition| condition.kind != "ReplicaFailure") => conditions.push(new),
        Some(_) => {}
    }
    ReplicaSetStatus {
        observed_generation: set.meta.generation,
        replicas: active.len() as i32,
        fully_labeled: count(&|pod| set.template.labels.subset_of(&pod.meta.labels)),
        ready: count(&Pod::is_ready),
        available: count(&|pod| pod.is_available(set.min_ready_seconds, now)),
        terminating: Some(terminating as i32),
        conditions,
    }
}
