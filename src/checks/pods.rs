//! The life of a pod (invariants 11-14).

use super::{Bounds, Findings};
use crate::model::{Container, ContainerState, ContainerStatus, Machine, Name, Object, Phase, Pod, Uid, condition};
use crate::store::{Change, Store};
use crate::time::{SimDuration, SimTime};
use rustc_hash::FxHashMap;

/// What timestamps of whole seconds may take off a wait.
const ROUNDING: SimDuration = SimDuration::from_secs(1);

/// How often containers came back without having run well in between.
#[derive(Debug, Default)]
pub struct PodChecks {
    crashes: FxHashMap<Uid, Vec<(Name, u32)>>,
}

impl PodChecks {
    /// Looks at a change of a pod.
    pub fn change(&mut self, change: &Change, bounds: &Bounds, store: &Store, findings: &mut Findings) {
        let Some(Object::Pod(old)) = &change.old else { return };
        let Some(Object::Pod(new)) = &change.new else {
            self.crashes.remove(&old.meta.uid);
            return;
        };
        bound_once(change, old, new, findings);
        // Whoever may write a status may write nonsense.
        if change.writer == "kubectl" {
            return;
        }
        let forward = match (old.status.phase, new.status.phase) {
            (before, after) if before == after => true,
            // A kubelet that starts anew runs its own pods anew.
            _ if new.is_mirror() => true,
            (Phase::Pending, _) | (Phase::Running, Phase::Succeeded | Phase::Failed) => true,
            _ => false,
        };
        if !forward {
            let phases = (old.status.phase.as_str(), new.status.phase.as_str());
            findings.violate(12, &[&change.key], format!("{} went from {} to {}", change.key, phases.0, phases.1));
        }
        if old.status != new.status && new.is_ready() && !runs(new) && !given_up(new) {
            findings.violate(13, &[&change.key], format!("{} is Ready while not all of it runs", change.key));
        }
        let apps = (&old.status.containers, &new.status.containers);
        let inits = (&old.status.init_containers, &new.status.init_containers);
        for (before, after) in [apps, inits] {
            for container in after {
                if let Some(was) = before.iter().find(|was| was.name == container.name) {
                    self.restart(change, new, (was, container), bounds, store, findings);
                }
            }
        }
    }

    /// 14. Backoff is the kubelet's memory: it is lost when the machine starts anew, and a run longer than its
    ///     longest wait may clear it (`pkg/kubelet/kubelet.go`, `MaxCrashLoopBackOff` twice, counted from before a pull).
    fn restart(
        &mut self,
        change: &Change,
        pod: &Pod,
        (was, is): (&ContainerStatus, &ContainerStatus),
        bounds: &Bounds,
        store: &Store,
        findings: &mut Findings,
    ) {
        if is.restart_count == was.restart_count {
            return;
        }
        let (name, counts) = (&is.name, (was.restart_count, is.restart_count));
        if counts.1 < counts.0 {
            let message = format!("restarts of {name} in {} fell from {} to {}", change.key, counts.0, counts.1);
            findings.violate(14, &[&change.key], message);
            return;
        }
        // A probe's kill and the new start are one pass of the kubelet, which then counts the wait from the exit before
        // the kill (`kuberuntime_manager.go`, `doBackOff`): such a container may come back at once, again and again.
        if spec(pod, name).is_some_and(|spec| spec.liveness.is_some() || spec.startup.is_some()) {
            return;
        }
        let machine = pod.node.as_ref().and_then(|node| store.live().fetch::<Machine>(&Name::new(), node));
        // The start after a reboot may not have been seen, if there was no API server to tell.
        let known = self::started(&was.state).or(was.last.as_ref().map(|last| last.started));
        let since = known.into_iter().chain(is.last.as_ref().map(|last| last.started)).min();
        let rebooted = since.is_some_and(|since| machine.is_some_and(|machine| machine.up_since > since));
        let crashes = self.crashes.entry(pod.meta.uid).or_default();
        let at = crashes.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
            crashes.push((name.clone(), 0));
            crashes.len() - 1
        });
        if rebooted {
            crashes[at].1 = 1;
            return;
        }
        let (Some(last), Some(started)) = (&is.last, started(&is.state)) else { return };
        if last.finished - last.started >= bounds.crash_max {
            crashes[at].1 = 1;
            return;
        }
        // The first comes back at once, the second after the first wait, then the wait doubles.
        let crash = crashes[at].1 + (counts.1 - counts.0) - 1;
        crashes[at].1 = crash + 1;
        let wait = match crash {
            0 => SimDuration::ZERO,
            n => (bounds.crash_initial * (1i64 << (n - 1).min(20))).min(bounds.crash_max),
        };
        let waited = started - last.finished;
        if waited < wait - ROUNDING {
            let message = format!("{name} in {} came back after {waited} instead of {wait}", change.key);
            findings.violate(14, &[&change.key], message);
        }
    }
}

fn spec<'a>(pod: &'a Pod, name: &Name) -> Option<&'a Container> {
    pod.spec.init_containers.iter().chain(&pod.spec.containers).find(|container| container.name == *name)
}

fn started(state: &ContainerState) -> Option<SimTime> {
    match state {
        ContainerState::Waiting { .. } => None,
        ContainerState::Running { started } => Some(*started),
        ContainerState::Terminated(terminated) => Some(terminated.started),
    }
}

/// 11. A pod that is made with `spec.nodeName` set counts as bound from the start.
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

/// Pod garbage collection calls a pod Failed whose node is gone, and leaves its conditions as they are
/// (`pkg/controller/podgc/gc_controller.go`, `markFailedAndDeletePodWithCondition`).
fn given_up(pod: &Pod) -> bool {
    pod.status.phase == Phase::Failed && condition::is_true(&pod.status.conditions, "DisruptionTarget")
}

fn runs(pod: &Pod) -> bool {
    let running =
        |container: &ContainerStatus| container.ready && matches!(container.state, ContainerState::Running { .. });
    pod.status.phase == Phase::Running
        && pod.status.containers.len() == pod.spec.containers.len()
        && pod.status.containers.iter().all(running)
}
