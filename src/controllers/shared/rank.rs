//! Which pods go first when a replica set shrinks (`pkg/controller/controller_utils.go`, `ActivePodsWithRanks`).

use crate::model::{Phase, Pod};
use crate::time::SimTime;
use std::cmp::Ordering;

/// What decides about a pod.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// Bound to a node.
    pub assigned: bool,
    /// Pending 0, Unknown 1, Running 2.
    pub phase: u8,
    /// Ready since, if it is.
    pub ready_since: Option<SimTime>,
    /// `controller.kubernetes.io/pod-deletion-cost`.
    pub cost: i32,
    /// Active pods of related replica sets on its node, itself included.
    pub rank: usize,
    /// Most restarts of one container.
    pub restarts: u32,
    /// Most restarts of one sidecar.
    pub sidecar_restarts: u32,
    /// Creation.
    pub created: SimTime,
    /// The uid as a number: the order of its text.
    pub uid: u128,
}

/// The annotation that makes a pod dearer.
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

impl Candidate {
    /// What decides about `pod`, with `rank` related pods on its node.
    pub fn of(pod: &Pod, rank: usize) -> Self {
        let sidecar = |name: &str| pod.spec.init_containers.iter().any(|c| c.sidecar && c.name == name);
        let most = |restarts: &mut dyn Iterator<Item = u32>| restarts.max().unwrap_or(0);
        let init = &pod.status.init_containers;
        Candidate {
            assigned: pod.node.is_some(),
            phase: if pod.status.phase == Phase::Pending { 0 } else { 2 },
            ready_since: super::availability::ready_since(pod),
            cost: pod.meta.annotations.get(DELETION_COST).map_or(0, |text| deletion_cost(text)),
            rank,
            restarts: most(&mut pod.status.containers.iter().map(|c| c.restart_count)),
            sidecar_restarts: most(&mut init.iter().filter(|c| sidecar(&c.name)).map(|c| c.restart_count)),
            created: pod.meta.created.truncated(),
            uid: pod.meta.uid.0,
        }
    }
}

/// Reads the cost; what is no 32-bit integer in its plain form counts as 0
/// (`pkg/apis/core/v1/helper/helpers.go`, `GetDeletionCostFromPodAnnotations`).
pub fn deletion_cost(text: &str) -> i32 {
    let readable = text == "0" || text.starts_with(|first| matches!(first, '-' | '1'..='9'));
    if readable { text.parse().unwrap_or(0) } else { 0 }
}

/// Smaller is deleted first.
pub fn compare(a: &Candidate, b: &Candidate, now: SimTime) -> Ordering {
    let ready = |c: &Candidate| c.ready_since.is_some();
    a.assigned
        .cmp(&b.assigned)
        .then(a.phase.cmp(&b.phase))
        .then(ready(a).cmp(&ready(b)))
        .then(a.cost.cmp(&b.cost))
        .then(b.rank.cmp(&a.rank))
        .then_with(|| match (a.ready_since, b.ready_since) {
            (Some(x), Some(y)) => compare_ages(x, y, a.uid, b.uid, now),
            _ => Ordering::Equal,
        })
        .then(b.restarts.cmp(&a.restarts))
        .then(b.sidecar_restarts.cmp(&a.sidecar_restarts))
        .then_with(|| compare_ages(a.created, b.created, a.uid, b.uid, now))
}

/// Sorts by [`compare`], which is no total order: pods that became ready at one instant go on to restarts and
/// creation, those of different instants in one bucket go by uid (`ActivePodsWithRanks.Less` is so). Go's sort
/// does not mind; the standard library's may panic, so this is a plain merge sort.
pub fn sort<T>(mut pods: Vec<(Candidate, T)>, now: SimTime) -> Vec<(Candidate, T)> {
    if pods.len() < 2 {
        return pods;
    }
    let length = pods.len();
    let later = pods.split_off(length / 2);
    let (mut left, mut right) = (sort(pods, now).into_iter().peekable(), sort(later, now).into_iter().peekable());
    let mut sorted = Vec::with_capacity(length);
    while let (Some((a, _)), Some((b, _))) = (left.peek(), right.peek()) {
        let smaller = if compare(b, a, now) == Ordering::Less { right.next() } else { left.next() };
        sorted.extend(smaller);
    }
    sorted.extend(left.chain(right));
    sorted
}

/// Equal instants are equal; otherwise the younger by powers of two of its age, then by uid.
fn compare_ages(a: SimTime, b: SimTime, a_uid: u128, b_uid: u128, now: SimTime) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    let bucket = |time: SimTime| match (now - time).0 {
        age if age > 0 => i64::from(age.ilog2()),
        _ => -1,
    };
    bucket(a).cmp(&bucket(b)).then(a_uid.cmp(&b_uid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_with_circles_is_sorted_all_the_same() {
        let now = SimTime::from_secs(1000);
        // Three instants of one bucket, and uids and restarts that disagree about them.
        let candidate = |at: u64| Candidate {
            assigned: true,
            phase: 2,
            ready_since: Some(SimTime::from_secs(100 + (at % 3) as i64)),
            cost: 0,
            rank: 0,
            restarts: (at * 7 % 5) as u32,
            sidecar_restarts: 0,
            created: SimTime::from_secs(50),
            uid: u128::from(at * 7919 % 1000),
        };
        let order = |a: u64, b: u64| compare(&candidate(a), &candidate(b), now);
        let circle = (0..100u64).any(|x| {
            (0..100).any(|y| {
                let z = (0..100).any(|z| order(y, z) == Ordering::Less && order(z, x) == Ordering::Less);
                order(x, y) == Ordering::Less && z
            })
        });
        assert!(circle, "this is what the sort must bear");
        let sorted = sort((0..1000).map(|at| (candidate(at), at)).collect(), now);
        let mut all: Vec<u64> = sorted.into_iter().map(|(_, at)| at).collect();
        all.sort_unstable();
        assert_eq!(all, (0..1000).collect::<Vec<_>>());
    }
}
