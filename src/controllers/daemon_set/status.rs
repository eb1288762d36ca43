//! What a daemon set reports (`pkg/controller/daemon/daemon_controller.go`, `updateDaemonSetStatus`).

use super::placement::{self, Fit};
use super::sync::Input;
use crate::model::sets::DaemonSetStatus;

/// The status: for each node its oldest pod counts.
pub fn of(input: &Input<'_>, collisions: i32) -> DaemonSetStatus {
    let set = input.set;
    let mut status = DaemonSetStatus {
        observed_generation: set.meta.generation,
        collision_count: (collisions > 0).then_some(collisions).or(set.status.collision_count),
        conditions: set.status.conditions.clone(),
        ..DaemonSetStatus::default()
    };
    for node in input.nodes {
        let oldest = input.pods.get(&node.meta.name).and_then(|pods| pods.first());
        if placement::fit(input.template, node) != Fit::Run {
            status.misscheduled += i32::from(oldest.is_some());
            continue;
        }
        status.desired += 1;
        let Some(pod) = oldest else { continue };
        status.current += 1;
        status.ready += i32::from(pod.is_ready());
        status.available += i32::from(pod.is_available(set.min_ready_seconds, input.now));
        status.updated += i32::from(placement::is_updated(set, input.hash, pod));
    }
    status.unavailable = status.desired - status.available;
    status
}
