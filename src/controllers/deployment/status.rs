//! What a deployment reports (`pkg/controller/deployment/sync.go`, `pkg/controller/deployment/progress.go`).

use super::math;
use crate::model::workload::DeploymentStatus;
use crate::model::{Condition, Deployment, Name, ReplicaSet, Truth, condition};
use crate::time::{SimDuration, SimTime};
use std::sync::Arc;

/// Condition types and reasons.
pub(super) mod words {
    use crate::model::Name;
    pub const AVAILABLE: Name = crate::name!("Available");
    pub const PROGRESSING: Name = crate::name!("Progressing");
    pub const REPLICA_FAILURE: Name = crate::name!("ReplicaFailure");
    pub const NEW_SET_AVAILABLE: Name = crate::name!("NewReplicaSetAvailable");
    pub const TIMED_OUT: Name = crate::name!("ProgressDeadlineExceeded");
    pub const PAUSED: Name = crate::name!("DeploymentPaused");
    pub const RESUMED: Name = crate::name!("DeploymentResumed");
    pub const SET_UPDATED: Name = crate::name!("ReplicaSetUpdated");
}

/// Seconds without progress that count as failure, if any do (`HasProgressDeadline`).
pub(super) fn deadline(deployment: &Deployment) -> Option<SimDuration> {
    let seconds = deployment.progress_deadline_seconds.filter(|seconds| *seconds != i32::MAX)?;
    Some(SimDuration::from_secs(i64::from(seconds)))
}

/// Sets a condition unless status and reason are the same; a changed one moves to the end
/// (`SetDeploymentCondition`).
pub(super) fn set(conditions: &mut Vec<Condition>, mut new: Condition) {
    if let Some(old) = condition::find(conditions, &new.kind) {
        if old.status == new.status && old.reason == new.reason {
            return;
        }
        if old.status == new.status {
            new.last_transition = old.last_transition;
        }
    }
    remove(conditions, &new.kind);
    conditions.push(new);
}

pub(super) fn remove(conditions: &mut Vec<Condition>, kind: &str) {
    conditions.retain(|condition| condition.kind != kind);
}

/// A progress condition.
pub(super) fn progressing(status: Truth, reason: Name, message: String, now: SimTime) -> Condition {
    Condition::new(words::PROGRESSING, status, reason, message, now)
}

/// Whether the rollout is done (`DeploymentComplete`).
pub(super) fn complete(deployment: &Deployment, status: &DeploymentStatus) -> bool {
    let wished = deployment.replicas;
    status.updated == wished
        && status.replicas == wished
        && status.available == wished
        && status.observed_generation >= deployment.meta.generation
}

/// Whether anything moved since the last status (`DeploymentProgressing`).
fn progressed(old: &DeploymentStatus, new: &DeploymentStatus) -> bool {
    new.updated > old.updated
        || new.replicas - new.updated < old.replicas - old.updated
        || new.ready > old.ready
        || new.available > old.available
}

/// Whether the rollout stands still for too long (`DeploymentTimedOut`).
fn timed_out(deployment: &Deployment, status: &DeploymentStatus, now: SimTime) -> bool {
    let (Some(deadline), Some(current)) =
        (deadline(deployment), condition::find(&status.conditions, &words::PROGRESSING))
    else {
        return false;
    };
    current.reason != words::NEW_SET_AVAILABLE
        && (current.reason == words::TIMED_OUT || current.last_update.truncated() + deadline < now)
}

/// Counts and availability (`calculateStatus`).
pub(super) fn counts(
    deployment: &Deployment,
    all: &[Arc<ReplicaSet>],
    new: Option<&Arc<ReplicaSet>>,
    now: SimTime,
) -> DeploymentStatus {
    let sum = |of: fn(&ReplicaSet) -> i32| all.iter().map(|set| of(set)).sum::<i32>();
    let available = math::available(all);
    let terminating = all
        .iter()
        .filter(|set| set.status.observed_generation != 0 || set.status.terminating.is_some())
        .try_fold(0, |sum, set| Some(sum + set.status.terminating?));
    let mut status = DeploymentStatus {
        observed_generation: deployment.meta.generation,
        replicas: sum(|set| set.status.replicas),
        updated: new.map_or(0, |set| set.status.replicas),
        ready: sum(|set| set.status.ready),
        available,
        unavailable: (math::wished(all) - available).max(0),
        terminating,
        collision_count: deployment.status.collision_count,
        conditions: deployment.status.conditions.clone(),
    };
    let enough = available >= deployment.replicas - math::max_unavailable(deployment);
    let (truth, reason, message) = match enough {
        true => (Truth::True, "MinimumReplicasAvailable", "Deployment has minimum availability."),
        false => (Truth::False, "MinimumReplicasUnavailable", "Deployment does not have minimum availability."),
    };
    set(&mut status.conditions, Condition::new(words::AVAILABLE, truth, Name::from(reason), message, now));
    status
}

/// The status during a rollout: counts, progress, failures of the sets (`syncRolloutStatus`).
pub(super) fn rollout(
    deployment: &Deployment,
    all: &[Arc<ReplicaSet>],
    new: Option<&Arc<ReplicaSet>>,
    now: SimTime,
) -> DeploymentStatus {
    let mut status = counts(deployment, all, new, now);
    let has_deadline = deadline(deployment).is_some();
    if !has_deadline {
        remove(&mut status.conditions, &words::PROGRESSING);
    }
    let current = condition::find(&deployment.status.conditions, &words::PROGRESSING);
    let done =
        status.replicas == status.updated && current.is_some_and(|current| current.reason == words::NEW_SET_AVAILABLE);
    if has_deadline && !done {
        let subject = match new {
            Some(set) => format!("ReplicaSet {:?}", set.meta.name.as_str()),
            None => format!("Deployment {:?}", deployment.meta.name.as_str()),
        };
        if complete(deployment, &status) {
            let message = format!("{subject} has successfully progressed.");
            set(&mut status.conditions, progressing(Truth::True, words::NEW_SET_AVAILABLE, message, now));
        } else if progressed(&deployment.status, &status) {
            let message = format!("{subject} is progressing.");
            let mut next = progressing(Truth::True, words::SET_UPDATED, message, now);
            if let Some(current) = current.filter(|current| current.status == Truth::True) {
                next.last_transition = current.last_transition;
            }
            remove(&mut status.conditions, &words::PROGRESSING);
            status.conditions.push(next);
        } else if timed_out(deployment, &status, now) {
            let message = format!("{subject} has timed out progressing.");
            set(&mut status.conditions, progressing(Truth::False, words::TIMED_OUT, message, now));
        }
    }
    match failure_of(all, new) {
        Some(failure) => set(&mut status.conditions, failure),
        None => remove(&mut status.conditions, &words::REPLICA_FAILURE),
    }
    status
}

/// The failure that a set reports, the new one first (`getReplicaFailures`).
fn failure_of(all: &[Arc<ReplicaSet>], new: Option<&Arc<ReplicaSet>>) -> Option<Condition> {
    let of = |set: &Arc<ReplicaSet>| condition::find(&set.status.conditions, &words::REPLICA_FAILURE).cloned();
    new.and_then(of).or_else(|| all.iter().find_map(of))
}

/// When to look again at a rollout in which nothing moves (`requeueStuckDeployment`).
pub(super) fn stuck_check(deployment: &Deployment, status: &DeploymentStatus, now: SimTime) -> Option<SimDuration> {
    let current = condition::find(&deployment.status.conditions, &words::PROGRESSING)?;
    let deadline = deadline(deployment)?;
    // A rollout that was complete once cannot time out; upstream looks again and again to no effect.
    if complete(deployment, status) || [words::TIMED_OUT, words::NEW_SET_AVAILABLE].contains(&current.reason) {
        return None;
    }
    let left = current.last_update.truncated() + deadline - now;
    // Less than a second before the deadline upstream spins at the retry limit; only the end of it matters.
    let spin = SimDuration::from_millis(5);
    Some(if left < SimDuration::from_secs(1) { left.max_zero() + spin } else { left + SimDuration::from_secs(1) })
}
