//! How many pods each replica set of a deployment gets: pure arithmetic
//! (`pkg/controller/deployment/util/deployment_util.go`, `pkg/controller/deployment/sync.go`).

use crate::model::workload::{Strategy, keys};
use crate::model::{Deployment, ReplicaSet};
use std::sync::Arc;

/// Surge and unavailability in pods: both 0 would stand still, so then one may be unavailable
/// (`ResolveFenceposts`).
pub fn fence_posts(strategy: Strategy, replicas: i32) -> (i32, i32) {
    match strategy {
        Strategy::Recreate => (0, 0),
        Strategy::RollingUpdate { max_surge, max_unavailable } => {
            match (max_surge.up(replicas), max_unavailable.down(replicas)) {
                (0, 0) => (0, 1),
                posts => posts,
            }
        }
    }
}

/// Pods above the wish (`MaxSurge`).
pub fn max_surge(deployment: &Deployment) -> i32 {
    fence_posts(deployment.strategy, deployment.replicas).0
}

/// Pods that may be unavailable (`MaxUnavailable`).
pub fn max_unavailable(deployment: &Deployment) -> i32 {
    match deployment.replicas {
        0 => 0,
        replicas => fence_posts(deployment.strategy, replicas).1.min(replicas),
    }
}

/// Wished pods of all these sets.
pub fn wished(sets: &[Arc<ReplicaSet>]) -> i32 {
    sets.iter().map(|set| set.replicas).sum()
}

/// Available pods of all these sets.
pub fn available(sets: &[Arc<ReplicaSet>]) -> i32 {
    sets.iter().map(|set| set.status.available).sum()
}

/// The size that the new set may have now, when all sets together wish `total` (`NewRSNewReplicas`).
pub fn new_set_size(deployment: &Deployment, total: i32, new: i32) -> i32 {
    match deployment.strategy {
        Strategy::Recreate => deployment.replicas,
        Strategy::RollingUpdate { max_surge, .. } => {
            let limit = deployment.replicas + max_surge.up(deployment.replicas);
            if total >= limit { new } else { new + (limit - total).min(deployment.replicas - new) }
        }
    }
}

/// An annotation that is a number.
pub fn number(set: &ReplicaSet, key: &str) -> Option<i32> {
    set.meta.annotations.get(key).and_then(|text| text.parse().ok())
}

/// New sizes of all active sets when the deployment is scaled while several are active: each gets its
/// share, the largest what is left over. Sets come back in the order in which they are written.
pub fn proportional(deployment: &Deployment, mut active: Vec<Arc<ReplicaSet>>) -> Vec<(Arc<ReplicaSet>, i32)> {
    let allowed = if deployment.replicas > 0 { deployment.replicas + max_surge(deployment) } else { 0 };
    let to_add = allowed - wished(&active);
    let age = |set: &ReplicaSet| (set.meta.created.truncated(), set.meta.name.clone());
    match to_add {
        n if n > 0 => active.sort_by(|a, b| b.replicas.cmp(&a.replicas).then_with(|| age(b).cmp(&age(a)))),
        n if n < 0 => active.sort_by(|a, b| b.replicas.cmp(&a.replicas).then_with(|| age(a).cmp(&age(b)))),
        _ => {}
    }
    let mut added = 0;
    let mut sizes = Vec::with_capacity(active.len());
    for set in &active {
        let share = share(deployment, set, to_add, added);
        added += share;
        sizes.push(set.replicas + share);
    }
    if let Some(first) = sizes.first_mut().filter(|_| to_add != 0) {
        *first = (*first + to_add - added).max(0);
    }
    active.into_iter().zip(sizes).collect()
}

/// What a set may add or must give of `to_add`, of which `added` is given out (`GetReplicaSetProportion`).
fn share(deployment: &Deployment, set: &ReplicaSet, to_add: i32, added: i32) -> i32 {
    if set.replicas == 0 || to_add == 0 || to_add == added {
        return 0;
    }
    let fraction = fraction(deployment, set);
    if to_add > 0 { fraction.min(to_add - added) } else { fraction.max(to_add - added) }
}

fn fraction(deployment: &Deployment, set: &ReplicaSet) -> i32 {
    if deployment.replicas == 0 {
        return -set.replicas;
    }
    let before = match number(set, &keys::MAX_REPLICAS) {
        Some(before) if before != 0 => before,
        _ => deployment.status.replicas,
    };
    if before == 0 {
        return 0;
    }
    let after = i64::from(deployment.replicas + max_surge(deployment));
    round_half_away(i64::from(set.replicas) * after, i64::from(before)) - set.replicas
}

/// `numerator / denominator` to the nearest integer, halves away from zero.
fn round_half_away(numerator: i64, denominator: i64) -> i32 {
    let (n, d) = if denominator < 0 { (-numerator, -denominator) } else { (numerator, denominator) };
    let magnitude = (2 * n.abs() + d) / (2 * d);
    (magnitude * n.signum()) as i32
}
