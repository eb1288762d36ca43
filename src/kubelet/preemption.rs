//! Whom a kubelet stops to make room for a critical pod (`pkg/kubelet/preemption/preemption.go`).
//!
//! A worked example: a node has 4 cores, of which a BestEffort pod, a Burstable one (1.5) and a Guaranteed one (2) take 3.5.
//! A critical pod of one core comes past the scheduler, and lacks half a core. The BestEffort pod cannot help, the
//! Burstable one suffices: it is stopped, and the critical pod starts once it is gone.

use super::admission::{Rejection, Shortage};
use super::evict::{Eviction, is_critical};
use super::pod_worker::{Env, PodWorker, Stage, Verdict};
use crate::model::pod_spec::QosClass;
use crate::model::{Key, Name, Pod};
use crate::time::SimTime;
use std::cmp::Ordering;
use std::sync::Arc;

/// What the victims are told.
pub const EVENT: Name = crate::name!("Preempting");
/// The message of that event, and of the status.
pub const MESSAGE: Name = crate::name!("Preempted in order to admit critical pod");
/// The message of the condition.
pub const DISRUPTION: Name = crate::name!("Pod was preempted by Kubelet to accommodate a critical pod.");

/// Whether one pod may have another stopped (`pkg/kubelet/types/pod_update.go`, `Preemptable`).
fn preemptable(critical: &Pod, other: &Pod) -> bool {
    is_critical(critical) && !is_critical(other) || critical.spec.priority > other.spec.priority
}

/// The pods that have to go for what is short; `None` if even all of them would not do.
pub fn victims(critical: &Pod, short: &[Shortage], pods: &[(Key, Arc<Pod>)]) -> Option<Vec<Key>> {
    let candidates = || pods.iter().filter(|(_, pod)| preemptable(critical, pod)).collect::<Vec<_>>();
    let of = |class: QosClass| -> Vec<&(Key, Arc<Pod>)> {
        candidates().into_iter().filter(|(_, pod)| pod.spec.qos() == class).collect()
    };
    let (best_effort, burstable, guaranteed) =
        (of(QosClass::BestEffort), of(QosClass::Burstable), of(QosClass::Guaranteed));
    let all = |lists: &[&[&(Key, Arc<Pod>)]]| lists.iter().fold(short.to_vec(), |short, list| left(short, list));
    if !all(&[&best_effort, &burstable, &guaranteed]).is_empty() {
        return None;
    }
    // Of the better classes only what the lesser ones cannot give.
    let guaranteed = nearest(guaranteed, all(&[&best_effort, &burstable]))?;
    let burstable = nearest(burstable, all(&[&best_effort, &guaranteed]))?;
    let best_effort = nearest(best_effort, all(&[&burstable, &guaranteed]))?;
    let chosen = best_effort.into_iter().chain(burstable).chain(guaranteed);
    Some(chosen.map(|(key, _)| key.clone()).collect())
}

fn request(pod: &Pod, resource: &str) -> i64 {
    if resource == "pods" { 1 } else { pod.requests().get(resource) }
}

/// What is short without these pods.
fn left(short: Vec<Shortage>, gone: &[&(Key, Arc<Pod>)]) -> Vec<Shortage> {
    let rest = |(resource, quantity): Shortage| {
        let freed: i64 = gone.iter().map(|(_, pod)| request(pod, &resource)).sum();
        (quantity > freed).then(|| (resource, quantity - freed))
    };
    short.into_iter().filter_map(rest).collect()
}

/// One pod after the other, each the one that leaves the least; of equal ones that which requests less.
fn nearest(mut pods: Vec<&(Key, Arc<Pod>)>, mut short: Vec<Shortage>) -> Option<Vec<&(Key, Arc<Pod>)>> {
    let mut chosen = Vec::new();
    while !short.is_empty() {
        let mut best = 0;
        for at in 1..pods.len() {
            let (one, other) = (&pods[at].1, &pods[best].1);
            let nearer = match compare(&short, one, other) {
                Ordering::Equal => smaller(one, other),
                order => order == Ordering::Less,
            };
            if nearer {
                best = at;
            }
        }
        let pod = (!pods.is_empty()).then(|| pods.swap_remove(best))?;
        short = left(short, &[pod]);
        chosen.push(pod);
    }
    Some(chosen)
}

/// Which of two leaves less: the sum of squares of the shares that are still missing. Millionths, so that no float decides.
fn compare(short: &[Shortage], one: &Pod, other: &Pod) -> Ordering {
    let distance = |pod: &Pod| -> i128 {
        let missing = |(resource, quantity): &Shortage| {
            let missing = i128::from((quantity - request(pod, resource)).max(0)) * 1_000_000 / i128::from(*quantity);
            missing * missing
        };
        short.iter().map(missing).sum()
    };
    distance(one).cmp(&distance(other))
}

/// Whether one requests less than another: memory first, then processors.
fn smaller(one: &Pod, other: &Pod) -> bool {
    for resource in ["memory", "cpu"] {
        let (one, other) = (request(one, resource), request(other, resource));
        if one != other {
            return one < other;
        }
    }
    true
}

impl PodWorker {
    /// A critical pod lacks room: others have to go, and it waits until they are gone.
    pub(super) fn make_room(&mut self, env: &mut Env<'_>, short: &[Shortage]) {
        if env.node.accepted().any(|key| self.victims.contains(key)) {
            return;
        }
        let there = env.node.accepted().filter_map(|key| Some((key.clone(), env.statics.pod(env.view, key)?.clone())));
        match victims(env.pod, short, &there.collect::<Vec<_>>()) {
            Some(chosen) => {
                self.preempts = chosen.clone();
                self.victims = chosen;
            }
            None => self.refuse(env, &Rejection::no_victims(short)),
        }
    }

    /// The node does not take the pod.
    pub(super) fn refuse(&mut self, env: &mut Env<'_>, rejection: &Rejection) {
        env.warn(rejection.reason.clone(), rejection.message.clone());
        self.instances.clear();
        let message = Name::from(format!("Pod was rejected: {}", rejection.message));
        self.verdict = Some(Verdict { reason: rejection.reason.clone(), message });
        self.stage = Stage::Final { removal: None };
    }

    /// A critical pod needs its room: it is stopped within its grace period and has failed.
    pub(super) fn preempted(&mut self, env: &mut Env<'_>, now: SimTime) {
        env.warn(EVENT, MESSAGE);
        let grace_seconds = env.pod.spec.grace_seconds;
        let eviction = Eviction { grace_seconds, message: MESSAGE, disruption: Some(DISRUPTION) };
        self.end_as(env, EVENT, &eviction, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::builder;

    #[test]
    fn the_fewest_and_the_least() {
        let pod = |name: &str, milli: i64, mib: i64, guaranteed: bool, priority: i32| {
            let mut pod = builder::pod(name, builder::spec("i", milli, mib << 20));
            let spec = Arc::make_mut(&mut pod.spec);
            spec.priority = priority;
            if guaranteed {
                let container = &mut spec.containers[0];
                container.limits = container.requests.clone();
                container.limited = container.requested.clone();
            }
            (Key::new(crate::model::Kind::Pod, "default", name), Arc::new(pod))
        };
        let critical = pod("critical", 1000, 100, false, 2_000_001_000).1;
        let others = [
            pod("idle", 0, 0, false, 0),
            pod("small", 300, 100, false, 0),
            pod("large", 800, 400, false, 0),
            pod("same", 800, 200, false, 0),
            pod("good", 2000, 1000, true, 0),
            pod("dns", 3000, 1000, false, 2_000_001_000),
        ];
        let cpu = |milli: i64| (Name::from("cpu"), milli);
        // (what is short, who goes)
        let table: [(&[Shortage], Option<&[&str]>); 6] = [
            // One that suffices alone; of two the one with less memory.
            (&[cpu(500)], Some(&["same"])),
            (&[cpu(200)], Some(&["small"])),
            // Two Burstable ones before a Guaranteed one.
            (&[cpu(1500)], Some(&["same", "large"])),
            // All Burstable ones give 1900: the Guaranteed one has to go, and nobody else.
            (&[cpu(2000)], Some(&["good"])),
            // Critical pods stay.
            (&[cpu(4000)], None),
            (&[(Name::from("pods"), 1)], Some(&["idle"])),
        ];
        for (short, expected) in table {
            let found = victims(&critical, short, &others);
            let names = found.map(|keys| keys.iter().map(|key| key.name.to_string()).collect::<Vec<_>>());
            assert_eq!(names, expected.map(|names| names.iter().map(|name| name.to_string()).collect()), "{short:?}");
        }
        // Who is not critical goes only by priority.
        let plain = pod("plain", 1000, 100, false, 0).1;
        assert_eq!(victims(&plain, &[cpu(200)], &others), None);
    }
}
