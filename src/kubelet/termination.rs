//! From running to gone: preStop, SIGTERM, SIGKILL, sidecars last, the final status, removal
//! (`pkg/kubelet/kuberuntime/kuberuntime_container.go`, `killContainer`; `pkg/kubelet/kubelet.go`,
//! `SyncTerminatingPod`, `SyncTerminatedPod`).

use super::evict::Eviction;
use super::instance::{Ending, KILLED, State, Wait, exit_reason};
use super::pod_worker::{Env, PodWorker, Stage, Verdict};
use super::probes::{self, ProbeKind};
use super::restart::restarts;
use crate::model::{Condition, Deletion, Name, Terminated, Truth};
use crate::time::{SimDuration, SimTime};

impl PodWorker {
    /// The API wants the pod gone.
    pub fn deletion(&mut self, env: &mut Env<'_>, deletion: Deletion, now: SimTime) {
        let grace = deletion.grace_seconds.max(1);
        match &mut self.stage {
            Stage::Final { removal } => {
                removal.get_or_insert(now + env.settings.removal_delay);
            }
            Stage::Stopped { .. } => {}
            Stage::Stopping => self.hurry(now + SimDuration::from_secs(grace).max(env.settings.stop_least)),
            Stage::Volumes { .. } | Stage::Sandbox { .. } | Stage::Pass { .. } | Stage::Idle { .. } => {
                self.stop(env, now, grace)
            }
        }
    }

    /// Its node cannot keep it: it is stopped within so many seconds and has failed.
    pub fn evict(&mut self, env: &mut Env<'_>, eviction: &Eviction, now: SimTime) {
        if matches!(self.stage, Stage::Stopped { .. } | Stage::Final { .. }) {
            return;
        }
        env.warn(crate::name!("Evicted"), eviction.message.clone());
        self.end_as(env, crate::name!("Evicted"), eviction, now);
    }

    /// The kubelet ends the pod: reason, message, grace, condition.
    pub(super) fn end_as(&mut self, env: &mut Env<'_>, reason: Name, eviction: &Eviction, now: SimTime) {
        if matches!(self.stage, Stage::Stopped { .. } | Stage::Final { .. }) {
            return;
        }
        self.verdict = Some(Verdict { reason, message: eviction.message.clone() });
        if let Some(message) = &eviction.disruption {
            self.disruption = Some(Condition::new(
                crate::name!("DisruptionTarget"),
                Truth::True,
                crate::name!("TerminationByKubelet"),
                message.clone(),
                now,
            ));
        }
        self.publish = true;
        match self.stage {
            Stage::Stopping => {
                self.hurry(now + SimDuration::from_secs(eviction.grace_seconds.max(1)).max(env.settings.stop_least))
            }
            _ => self.stop(env, now, eviction.grace_seconds),
        }
    }

    /// Stops everything within `grace_seconds`.
    pub fn stop(&mut self, env: &mut Env<'_>, now: SimTime, grace_seconds: i64) {
        let grace = SimDuration::from_secs(grace_seconds.max(1));
        self.stage = Stage::Stopping;
        self.stop_by = now + grace;
        self.publish = true;
        for at in env.pod.spec.init_containers.len()..self.instances.len() {
            self.stop_container(env, at, grace, now);
        }
        // An init container under way stops with the app containers.
        for at in 0..env.pod.spec.init_containers.len() {
            if !env.container(at).sidecar {
                self.stop_container(env, at, grace, now);
            }
        }
        if self.instances.iter().any(|instance| instance.running()) {
            return self.go_on_stopping(env, now);
        }
        let tried = self.instances.iter().any(|instance| instance.starts > 0 || instance.pull.is_some());
        let delay = match (env.pod.meta.deleting(), tried) {
            (false, _) => env.settings.final_status_delay,
            (true, true) => env.settings.stop_waiting,
            (true, false) => env.settings.stop_unstarted,
        };
        self.stage = Stage::Stopped { at: now + delay };
    }

    /// Stops the next sidecar when nothing else runs; when nothing runs at all, the pod is stopped.
    pub(super) fn go_on_stopping(&mut self, env: &mut Env<'_>, now: SimTime) {
        let running: Vec<usize> = (0..self.instances.len()).filter(|at| self.instances[*at].running()).collect();
        if let Some(last) = running.last() {
            if running.iter().all(|at| env.container(*at).sidecar) {
                let left = (self.stop_by - now).max(SimDuration::ZERO);
                self.stop_container(env, *last, left, now);
            }
            return;
        }
        self.stage = Stage::Stopped { at: now + env.settings.final_status_delay };
    }

    /// Sends SIGTERM after the preStop hook, and SIGKILL at the end of the grace period.
    fn stop_container(&mut self, env: &mut Env<'_>, at: usize, grace: SimDuration, now: SimTime) {
        let container = env.container(at);
        let instance = &mut self.instances[at];
        instance.hook_said = false;
        if !instance.running() {
            return;
        }
        let run = instance.behavior.as_ref().map(|behavior| behavior.pre_stop).unwrap_or_default();
        let hook = container.pre_stop.map_or(SimDuration::ZERO, |hook| hook.sleep.unwrap_or(run.time).min(grace));
        let failed = run.fails && container.pre_stop.is_some_and(|hook| hook.sleep.is_none());
        let left = (grace + SimDuration(-hook.0)).max(env.settings.stop_least);
        let behavior = instance.behavior.as_ref().expect("a running container has a behaviour");
        // What hangs does not hear the signal.
        let killed = behavior.termination_time > left || instance.run.hung > 0;
        let exit_code = if killed { KILLED } else { behavior.termination_exit_code };
        let end = now + hook + if killed { left } else { behavior.termination_time };
        instance.signalled = Some(now + hook);
        // It may end by itself before that.
        if let Some(own) = instance.end.as_mut().filter(|own| own.at <= end) {
            own.observed = own.at.max(now);
        } else {
            instance.end =
                Some(Ending { at: end, exit_code, reason: exit_reason(exit_code), observed: end, own: false });
        }
        if let Some(probes) = &mut instance.probes {
            probes.stop();
        }
        instance.hook_said = failed;
        let message = format!("Stopping container {}", container.name);
        if failed {
            env.warn(crate::name!("FailedPreStopHook"), "PreStopHook failed");
        }
        env.normal(crate::name!("Killing"), message);
    }

    /// The grace period became shorter.
    fn hurry(&mut self, by: SimTime) {
        if by >= self.stop_by {
            return;
        }
        self.stop_by = by;
        for instance in self.instances.iter_mut().filter(|instance| instance.running()) {
            if let Some(end) = instance.end.as_mut().filter(|end| end.at > by) {
                *end = Ending { at: by, exit_code: KILLED, reason: exit_reason(KILLED), observed: by, own: false };
            }
        }
    }

    /// A startup or liveness probe failed too often: the container is stopped, and started again if the
    /// policy says so.
    pub(super) fn kill_for_probe(&mut self, env: &mut Env<'_>, at: usize, kind: ProbeKind, now: SimTime) {
        let container = env.container(at);
        let init = at < env.pod.spec.init_containers.len();
        let again = restarts(container, env.pod.spec.restart_policy, init, KILLED);
        let grace = probes::own_grace(container, kind).unwrap_or(env.pod.spec.grace_seconds);
        let probe = if kind == ProbeKind::Startup { "startup" } else { "liveness" };
        let suffix = if again { ", will be restarted" } else { "" };
        let message = format!("Container {} failed {probe} probe{suffix}", container.name);
        self.kill(env, at, grace, Name::from(message), now);
        self.instances[at].killed_by_probe = true;
    }

    /// Stops one container for a reason of its own.
    pub(super) fn kill(&mut self, env: &mut Env<'_>, at: usize, grace: i64, why: Name, now: SimTime) {
        let events = env.events.len();
        self.stop_container(env, at, SimDuration::from_secs(grace.max(1)), now);
        // A hook that failed has said so; the usual word gives way.
        env.events.truncate(events + usize::from(self.instances[at].hook_said));
        env.normal(crate::name!("Killing"), why);
    }

    /// The manifest names another image for a container that runs: it is stopped, and starts again from that one
    /// whatever the restart policy (`computePodActions`, `containerChanged`).
    pub(super) fn definitions_changed(&mut self, env: &mut Env<'_>, now: SimTime) {
        if self.stopping() {
            return;
        }
        for at in 0..self.instances.len() {
            let (container, instance) = (env.container(at), &self.instances[at]);
            let stopped = instance.end.as_ref().is_some_and(|end| !end.own);
            if instance.running() && !stopped && instance.image != container.image {
                let message = format!("Container {} definition changed, will be restarted", container.name);
                self.instances[at].redefined = true;
                self.kill(env, at, env.pod.spec.grace_seconds, Name::from(message), now);
            }
        }
    }

    /// The processes of a container, or of all, end at `at` with `exit_code`: a fault.
    pub fn crash(&mut self, env: &mut Env<'_>, container: Option<&Name>, exit_code: i32, at: SimTime) {
        for index in 0..self.instances.len() {
            if container.is_some_and(|name| *name != env.container(index).name) {
                continue;
            }
            let observed = env.node.relist(at, env.settings);
            let instance = &mut self.instances[index];
            if instance.running() && instance.end.as_ref().is_none_or(|end| end.at > at) {
                instance.end = Some(Ending { at, exit_code, reason: exit_reason(exit_code), observed, own: false });
            }
        }
    }

    /// The kernel kills a container at `at` for the memory that its requests take.
    pub fn out_of_memory(&mut self, env: &mut Env<'_>, container: &Name, at: SimTime) {
        let Some(index) = (0..self.instances.len()).find(|index| env.container(*index).name == *container) else {
            return;
        };
        let observed = env.node.relist(at, env.settings);
        let instance = &mut self.instances[index];
        if instance.running() && instance.end.as_ref().is_none_or(|end| end.at > at) {
            instance.run.out_of_memory = Some(at);
            let reason = crate::name!("OOMKilled");
            instance.end = Some(Ending { at, exit_code: KILLED, reason, observed, own: true });
        }
    }

    /// Nothing runs any more: the final status, and the node's resources are free.
    pub(super) fn conclude(&mut self, env: &mut Env<'_>, now: SimTime) {
        // Of containers that never ran nobody can say how they ended.
        let inits = env.pod.spec.init_containers.len();
        for (at, instance) in self.instances.iter_mut().enumerate() {
            let lost = matches!(instance.state, State::Waiting(_)) && instance.last.is_none();
            if lost && (at < inits || self.initialized || inits == 0) {
                let how = Terminated {
                    exit_code: KILLED,
                    reason: crate::name!("ContainerStatusUnknown"),
                    message: crate::name!("The container could not be located when the pod was terminated"),
                    started: now,
                    finished: now,
                };
                instance.state = State::Ended { how: Box::new(how), seen: now };
            } else if let State::Waiting(Wait::CrashLoop) = instance.state
                && let Some(how) = instance.last.take()
            {
                instance.last = instance.older.take();
                instance.state = State::Ended { how, seen: now };
            }
        }
        let removal = env.pod.meta.deletion.map(|_| now + env.settings.removal_delay);
        self.stage = Stage::Final { removal };
        self.publish = true;
        if let Some(held) = self.held.take() {
            env.node.give_back(&held);
        }
        env.node.use_volumes(&std::mem::take(&mut self.mounts.in_use), &[]);
        if let Some(address) = self.address {
            env.node.free_address(address);
        }
    }
}
