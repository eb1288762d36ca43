//! Which pod a node under pressure gives up first (`pkg/kubelet/eviction/helpers.go`).
//!
//! A worked example: memory is short. Pods that use more than they requested come first; among them those of low
//! priority; among equals the one that exceeds its request the most. A pod of which the kubelet knows nothing goes
//! before all others.

use crate::model::Pod;
use std::cmp::{Ordering, Reverse};

/// What is short.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pressure {
    /// Memory.
    Memory,
    /// Room on a disk.
    Disk,
    /// Process ids.
    Pid,
    /// Files that a disk can hold.
    Inodes,
}

/// What the kubelet measured of one pod, in bytes and processes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Measured {
    /// Working set.
    pub memory: i64,
    /// Writable layers, logs and local volumes.
    pub disk: i64,
    /// Processes.
    pub processes: u64,
    /// Files in writable layers and local volumes.
    pub inodes: i64,
}

/// One pod.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// Priority.
    pub priority: i32,
    /// What it uses, if that is known.
    pub measured: Option<Measured>,
    /// Memory requested.
    pub memory_request: i64,
    /// Ephemeral storage requested.
    pub disk_request: i64,
}

impl Candidate {
    /// What decides about `pod`. Overhead counts on top of a request, and without one not at all.
    pub fn of(pod: &Pod, measured: Option<Measured>) -> Self {
        let effective = |total: i64, overhead: i64| if total == overhead { 0 } else { total };
        let (requests, overhead) = (pod.requests(), &pod.spec.overhead);
        Candidate {
            priority: pod.spec.priority,
            measured,
            memory_request: effective(requests.memory, overhead.memory),
            disk_request: effective(requests.ephemeral_storage, overhead.ephemeral_storage),
        }
    }
}

/// The order of eviction: who comes first, goes first. Pods that compare equal keep their order.
pub fn compare(pressure: Pressure, a: &Candidate, b: &Candidate) -> Ordering {
    let by_priority = || a.priority.cmp(&b.priority);
    match pressure {
        Pressure::Memory => by_excess(a, b, |pod| pod.measured.map(|m| m.memory - pod.memory_request), by_priority),
        Pressure::Disk => by_excess(a, b, |pod| pod.measured.map(|m| m.disk - pod.disk_request), by_priority),
        // Nobody can request files.
        Pressure::Inodes => by_excess(a, b, |pod| pod.measured.map(|m| m.inodes), by_priority),
        Pressure::Pid => by_priority().then_with(|| {
            let processes = |pod: &Candidate| pod.measured.map(|measured| Reverse(measured.processes));
            // `None` is least: no measurement goes first.
            processes(a).cmp(&processes(b))
        }),
    }
}

/// Beyond the request or not, then priority, then by how much.
fn by_excess(
    a: &Candidate,
    b: &Candidate,
    excess: impl Fn(&Candidate) -> Option<i64>,
    by_priority: impl Fn() -> Ordering,
) -> Ordering {
    match (excess(a), excess(b)) {
        (Some(a), Some(b)) => {
            Reverse(a > 0).cmp(&Reverse(b > 0)).then_with(by_priority).then(Reverse(a).cmp(&Reverse(b)))
        }
        (None, None) => by_priority(),
        (a, _) => Reverse(a.is_none()).cmp(&Reverse(a.is_some())),
    }
}
