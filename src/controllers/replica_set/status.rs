//! What a replica set reports (`pkg/controller/replicaset/replica_set_utils.go`).

use super::tally::Tally;
use crate::model::workload::ReplicaSetStatus;
use crate::model::{Condition, ReplicaSet, Truth};
use crate::time::SimTime;

/// The condition that says that pods cannot be made or removed.
pub(super) fn failure(creating: bool, message: String, now: SimTime) -> Condition {
    let reason = if creating { crate::name!("FailedCreate") } else { crate::name!("FailedDelete") };
    Condition::new(crate::name!("ReplicaFailure"), Truth::True, reason, message, now)
}

/// The status of a set with these pods, `available` of which have been ready for long enough.
pub(super) fn of(set: &ReplicaSet, pods: &Tally, available: i32, failure: Option<Condition>) -> ReplicaSetStatus {
    let mut conditions = set.status.conditions.clone();
    match failure {
        None => conditions.retain(|condition| condition.kind != "ReplicaFailure"),
        Some(new) if conditions.iter().all(|condition| condition.kind != "ReplicaFailure") => conditions.push(new),
        Some(_) => {}
    }
    let total = pods.total();
    ReplicaSetStatus {
        observed_generation: set.meta.generation,
        replicas: total.active,
        fully_labeled: pods.of_labels(|labels| set.template.labels.subset_of(labels)).active,
        ready: total.ready,
        available,
        terminating: Some(total.terminating),
        conditions,
    }
}
