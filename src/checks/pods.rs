//! The life of a pod (invariants 11-14).

use super::Findings;
use crate::model::{ContainerState, ContainerStatus, Object, Phase, Pod, condition};
use crate::store::{Change, Store};
use crate::time::SimDuration;
use std::sync::Arc;

/// First delay of a container that crashes again and again, less a second for timestamps.
const FIRST_BACKOFF: SimDuration = SimDuration::from_secs(9);
/// A run as long as this forgets the crashes before it (`pkg/kubelet/kubelet.go`, `MaxContainerBackOff` twice).
const FORGETS: SimDuration = SimDuration::from_secs(600);

/// Looks at a change of a pod.
pub fn change(change: &Change, store: &Store, findings: &mut Findings) {
    let (Some(old), Some(new)) = (&change.old, &change.new) else { return };
    let (Object::Pod(old), Object::Pod(new)) = (old, new) else { return };
    bound_once(change, old, new, findings);
    let forward = match (old.status.phase, new.status.phase) {
        (before, after) if before == after => true,
        (Phase::Pending, _) | (Phase::Running, Phase::Succeeded | Phase::Failed) => true,
        _ => false,
    };
    if !forward {
        let phases = (old.status.phase.as_str(), new.status.phase.as_str());
        findings.violate(12, &[&change.key], format!("{} went from {} to {}", change.key, phases.0, phases.1));
    }
    if condition::is_true(&new.status.conditions, "Ready") && !old.is_ready() && !runs(new) {
        findings.violate(13, &[&change.key], format!("{} turned Ready while not all of it runs", change.key));
    }
    restarts(change, old, new, store, findings);
}

fn bound_once(change: &Change, old: &Pod, new: &Pod, findings: &mut Findings) {
    match (&old.node, &new.node) {
        (Some(before), after) if after.as_ref() != Some(before) => {
            findings.violate(11, &[&change.key], format!("{} moved from {before} to {after:?}", change.key));
        }
        (None, Some(node)) if new.meta.deleting() || old.status.phase.terminal() => {
            findings.violate(11, &[&change.key], format!("{} is ending and was bound to {node}", change.key));
        }
        _ => {}
    }
}

fn runs(pod: &Pod) -> bool {
    let running = |c: &ContainerStatus| c.ready && matches!(c.state, ContainerState::Running { .. });
    pod.status.phase == Phase::Running
        && pod.status.containers.len() == pod.spec.containers.len()
        && pod.status.containers.iter().all(running)
}

fn restarts(change: &Change, old: &Arc<Pod>, new: &Arc<Pod>, store: &Store, findings: &mut Findings) {
    let all = |pod: &Arc<Pod>| pod.status.init_containers.iter().chain(&pod.status.containers).cloned().collect();
    let (before, after): (Vec<ContainerStatus>, Vec<ContainerStatus>) = (all(old), all(new));
    for container in &after {
        let Some(was) = before.iter().find(|was| was.name == container.name) else { continue };
        if container.restart_count < was.restart_count {
            let counts = (was.restart_count, container.restart_count);
            let message =
                format!("restarts of {} in {} fell from {} to {}", container.name, change.key, counts.0, counts.1);
            findings.violate(14, &[&change.key], message);
        }
        let again = container.restart_count > was.restart_count && container.restart_count >= 2;
        if let (true, ContainerState::Running { started }, Some(last)) = (again, &container.state, &container.last) {
            let machine =
                new.node.as_ref().and_then(|node| store.live().fetch::<crate::model::Machine>(&"".into(), node));
            let rebooted = machine.is_some_and(|machine| machine.up_since > last.started);
            let soon = *started - last.finished < FIRST_BACKOFF && last.finished - last.started < FORGETS;
            if soon && !rebooted {
                let delay = *started - last.finished;
                let message = format!("{} in {} came back after only {delay}", container.name, change.key);
                findings.violate(14, &[&change.key], message);
            }
        }
    }
}
