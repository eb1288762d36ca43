//! What a replica set reports (`pkg/controller/replicaset/replica_set_utils.go`).

use super::super::shared;
use crate::model::workload::ReplicaSetStatus;
use crate::model::{Condition, Pod, ReplicaSet, Truth};
use crate::runtime::Requeue;
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

/// When the next ready pod becomes available.
pub(super) fn next_check(set: &ReplicaSet, active: &[&Arc<Pod>], now: SimTime) -> Requeue {
    if set.min_ready_seconds <= 0 {
        return Requeue::Done;
    }
    let times = active.iter().filter_map(|pod| shared::ready_since(pod));
    let waiting = times.map(|since| shared::available_at(since, set.min_ready_seconds)).filter(|at| *at > now);
    waiting.min().map_or(Requeue::Done, |at| Requeue::After(at - now))
}
