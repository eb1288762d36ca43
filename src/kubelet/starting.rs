//! From nothing to running, and back to running after an end: sandbox, images, start order, restarts
//! (`pkg/kubelet/kuberuntime/kuberuntime_manager.go`, `SyncPod`, `computePodActions`).

use super::config::{self, Environment};
use super::images::{ImageStep, Pull};
use super::instance::{Instance, PullBackoff, Run, State, Wait};
use super::pod_worker::{Doing, Env, PodWorker, Stage, Step};
use super::probes::{self, ProbeKind, Probes};
use super::registry::{PullFailure, error_text};
use super::restart::restarts;
use super::status::never_pull;
use crate::model::{Name, RestartPolicy};
use crate::rng::Delay;
use crate::time::{SimDuration, SimTime};
use std::collections::VecDeque;

/// What a worker waits after a container could not be configured, up to half as much again (`backOffPeriod`).
const CONFIG_RETRY: SimDuration = SimDuration::from_secs(10);

/// What a look at the containers asks for.
#[derive(Default)]
struct Actions {
    /// To start, in order.
    todo: VecDeque<usize>,
    /// An init container is among them.
    init: bool,
    /// Look again then.
    wake: Option<SimTime>,
}

impl Actions {
    fn wake_at(&mut self, at: SimTime) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }
}

impl PodWorker {
    /// Begins with the sandbox.
    pub fn begin_sandbox(&mut self, env: &mut Env<'_>, now: SimTime) {
        let time = env.node.on_disk(env.draw(env.settings.sandbox, "sandbox", "", self.sandboxes));
        self.stage = Stage::Sandbox { until: now + time };
    }

    pub(super) fn sandbox_ready(&mut self, env: &mut Env<'_>, now: SimTime) {
        self.sandbox = true;
        self.sandboxes += 1;
        if !env.pod.spec.host_network {
            self.address = Some(env.node.take_address());
        }
        self.look(env, now);
    }

    /// The worker looks at its pod: reports, then starts what should run.
    pub(super) fn sync(&mut self, env: &mut Env<'_>, now: SimTime) {
        self.publish = true;
        self.look(env, now);
    }

    fn look(&mut self, env: &mut Env<'_>, now: SimTime) {
        if self.over(env) {
            return self.stop(env, now, env.pod.spec.grace_seconds);
        }
        if !self.sandbox {
            env.normal(crate::name!("SandboxChanged"), "Pod sandbox changed, it will be killed and re-created.");
            return self.begin_sandbox(env, now);
        }
        let mut actions = Actions::default();
        self.init_actions(env, &mut actions, now);
        if self.initialized {
            for at in env.pod.spec.init_containers.len()..self.instances.len() {
                self.consider(env, at, &mut actions, now);
            }
        }
        let Actions { todo, init, wake } = actions;
        match todo.is_empty() {
            true => self.stage = Stage::Idle { sync: wake },
            false => self.start_next(env, todo, init, now),
        }
    }

    /// Whether no app container runs or will run again, or an init container failed for good.
    fn over(&self, env: &Env<'_>) -> bool {
        let policy = env.pod.spec.restart_policy;
        let inits = env.pod.spec.init_containers.len();
        let ended_for_good = |at: usize, instance: &Instance| {
            let code = instance.exit().map(|exit| exit.exit_code);
            code.is_some_and(|code| !instance.redefined && !restarts(env.container(at), policy, at < inits, code))
        };
        let init_failed = self.instances[..inits].iter().enumerate().any(|(at, instance)| {
            instance.exit().is_some_and(|exit| exit.exit_code != 0) && ended_for_good(at, instance)
        });
        let apps = &mut self.instances[inits..].iter().enumerate();
        init_failed || apps.all(|(at, instance)| ended_for_good(inits + at, instance))
    }

    /// Init containers run one at a time; a sidecar lets the next one start once it is started.
    fn init_actions(&mut self, env: &mut Env<'_>, actions: &mut Actions, now: SimTime) {
        let count = env.pod.spec.init_containers.len();
        for at in 0..count {
            let sidecar = env.container(at).sidecar;
            let instance = &self.instances[at];
            let done = match (&instance.state, sidecar) {
                (State::Running { .. }, true) => instance.started(),
                (State::Ended { how, .. }, false) => how.exit_code == 0 && instance.sandbox == self.sandboxes,
                _ => false,
            };
            if self.initialized {
                // Only sidecars are kept running beside the app containers.
                if sidecar && !instance.running() {
                    self.consider(env, at, actions, now);
                }
            } else if !done {
                if !self.instances[at].running() {
                    self.consider(env, at, actions, now);
                    actions.init = !actions.todo.is_empty();
                }
                return;
            }
        }
        self.initialized = true;
    }

    /// Whether one container is to be started now, or when.
    fn consider(&mut self, env: &mut Env<'_>, at: usize, actions: &mut Actions, now: SimTime) {
        if let Some(pull) = self.instances[at].pull
            && !self.instances[at].running()
        {
            return self.consider_pull(env, at, pull, actions, now);
        }
        let inits = env.pod.spec.init_containers.len();
        let instance = &mut self.instances[at];
        let seen = match instance.state {
            State::Running { .. } => return,
            State::Waiting(Wait::CrashLoop) => None,
            State::Waiting(_) if instance.last.is_none() => return actions.todo.push_back(at),
            State::Waiting(_) => None,
            State::Ended { seen, .. } => Some(seen),
        };
        let exit = instance.exit().expect("it has run and does not run");
        let again =
            instance.redefined || restarts(env.container(at), env.pod.spec.restart_policy, at < inits, exit.exit_code);
        let earlier_sandbox = instance.sandbox != self.sandboxes && at < inits;
        if !again && !earlier_sandbox {
            return;
        }
        if let Some(seen) = seen
            && now < seen + env.settings.restart_delay
        {
            return actions.wake_at(seen + env.settings.restart_delay);
        }
        let finished = exit.finished;
        let ended = match std::mem::take(&mut instance.killed_by_probe) {
            // The kill and the new start are one step: the back-off counts from the run before.
            true => instance.last.as_ref().map(|last| last.finished),
            false => Some(finished),
        };
        match ended.map_or(Ok(()), |ended| instance.backoff.try_start(ended, now, env.settings)) {
            Ok(()) => actions.todo.push_back(at),
            Err(retry) => self.wait_for_restart(env, at, seen, retry, actions, now),
        }
    }

    fn wait_for_restart(
        &mut self,
        env: &mut Env<'_>,
        at: usize,
        seen: Option<SimTime>,
        retry: SimTime,
        actions: &mut Actions,
        now: SimTime,
    ) {
        if let Some(shown) = seen.map(|seen| seen + env.settings.crash_loop_shown).filter(|shown| now < *shown) {
            return actions.wake_at(shown);
        }
        let instance = &mut self.instances[at];
        if let State::Ended { how, .. } = std::mem::replace(&mut instance.state, State::Waiting(Wait::CrashLoop)) {
            instance.older = instance.last.replace(how);
        }
        let meta = &env.pod.meta;
        let message = format!(
            "Back-off restarting failed container {} in pod {}_{}({})",
            env.container(at).name,
            meta.name,
            meta.namespace,
            meta.uid
        );
        env.warn(crate::name!("BackOff"), message);
        actions.wake_at(self.later(env, retry, now));
    }

    /// When a worker that waits for `retry` wakes: late by some jitter, and now and then in between.
    fn later(&self, env: &Env<'_>, retry: SimTime, now: SimTime) -> SimTime {
        let wait = (retry - now).min(env.settings.sync_frequency);
        let jitter = env.settings.resync_jitter;
        if jitter <= 0.0 {
            return now + wait;
        }
        let longest = wait + wait.scaled(jitter);
        now + env.draw(Delay::Uniform(wait, longest), "resync", &now.0.to_string(), 0)
    }

    fn consider_pull(&mut self, env: &mut Env<'_>, at: usize, pull: PullBackoff, actions: &mut Actions, now: SimTime) {
        let retry = pull.failed + pull.backoff;
        let shown = pull.failed + env.settings.image_back_off_shown;
        let failed = matches!(self.instances[at].state, State::Waiting(Wait::PullFailed));
        if failed && now >= shown {
            self.instances[at].state = State::Waiting(Wait::PullBackOff);
            let image = env.container(at).image.clone();
            env.normal(crate::name!("BackOff"), format!("Back-off pulling image \"{image}\""));
            env.warn(crate::name!("Failed"), "Error: ImagePullBackOff");
        }
        if now >= retry {
            return actions.todo.push_back(at);
        }
        if failed && now < shown {
            actions.wake_at(self.later(env, shown, now).min(self.later(env, retry, now)));
        } else if pull.backoff < SimDuration::from_secs(86_400) {
            // A longer one is for ever.
            actions.wake_at(self.later(env, retry, now));
        }
    }

    // ---- one pass ----

    fn start_next(&mut self, env: &mut Env<'_>, mut todo: VecDeque<usize>, init: bool, now: SimTime) {
        let Some(at) = todo.pop_front() else { return self.end_pass(env, init, now) };
        let container = env.container(at);
        // What is missing shows when the image is there.
        let environment = config::environment(container, &env.pod.meta.namespace, env.view);
        let variables = environment.as_ref().map_or_else(|_| Environment::new(), |(variables, _)| variables.clone());
        let mut behavior = env.source.resolve(env.pod, container, self.instances[at].starts, &variables, env.seed);
        let extra = super::faults::extra_start(env.slow_starts, env.pod);
        match container.readiness.is_some() || container.startup.is_some() {
            true => behavior.serve_after += extra,
            false => behavior.start_delay += extra,
        }
        self.instances[at].behavior = Some(behavior.clone());
        let image = container.image.clone();
        if !self.images.contains(&image) {
            self.images.push(image.clone());
        }
        let policy = container.pull_policy;
        let step = match env.prepare(&image, policy, &behavior, now) {
            ImageStep::Present => {
                let message =
                    format!("Container image \"{image}\" already present on machine and can be accessed by the pod");
                env.normal(crate::name!("Pulled"), message);
                if !self.configure(env, at, now) {
                    return self.start_next(env, todo, init, now);
                }
                Step { container: at, doing: Doing::Create, until: now + self.creation(env, at, now) }
            }
            ImageStep::Pull(mut pull) => {
                pull.until += behavior.pull_delay;
                env.normal(crate::name!("Pulling"), format!("Pulling image \"{image}\""));
                Step { container: at, doing: Doing::Pull(pull), until: pull.until }
            }
            ImageStep::NeverPull => {
                env.warn(crate::name!("ErrImageNeverPull"), never_pull(&image));
                env.warn(crate::name!("Failed"), "Error: ErrImageNeverPull");
                self.park(at, Wait::NeverPull, env.settings.image_back_off_initial, now);
                return self.start_next(env, todo, init, now);
            }
        };
        self.stage = Stage::Pass { todo, step, init };
    }

    /// How long the runtime takes to create and start a container.
    fn creation(&self, env: &Env<'_>, at: usize, now: SimTime) -> SimDuration {
        let instance = &self.instances[at];
        let container = env.container(at);
        let own = instance.behavior.as_ref().map_or(SimDuration::ZERO, |behavior| {
            let pace = env.node.pace_of_one_more(container, behavior.usage.milli_cpu, now);
            SimDuration((i128::from(behavior.start_delay.0) * 1000 / i128::from(pace)) as i64)
        });
        let creation = env.draw(env.settings.container_start, "container-start", &container.name, instance.starts);
        own + env.node.on_disk(creation)
    }

    pub(super) fn step_done(&mut self, env: &mut Env<'_>, now: SimTime) {
        let stage = std::mem::replace(&mut self.stage, Stage::Idle { sync: None });
        let Stage::Pass { todo, step, init } = stage else { return };
        let at = step.container;
        let again = |doing: Doing, until: SimTime, todo: VecDeque<usize>| Stage::Pass {
            todo,
            step: Step { container: at, doing, until },
            init,
        };
        match step.doing {
            Doing::Pull(pull) if pull.failure.is_none() => {
                self.pulled(env, at, pull);
                if !self.configure(env, at, now) {
                    return self.start_next(env, todo, init, now);
                }
                self.stage = again(Doing::Create, now + self.creation(env, at, now), todo);
            }
            Doing::Pull(pull) => {
                self.pull_failed(env, at, pull, now);
                self.start_next(env, todo, init, now);
            }
            Doing::Create => {
                self.started(env, at, now);
                match self.hook_until(env, at, now) {
                    Some(until) => self.stage = again(Doing::PostStart, until, todo),
                    None => self.start_next(env, todo, init, now),
                }
            }
            Doing::PostStart if self.instances[at].behavior.as_ref().is_some_and(|b| b.post_start.fails) => {
                match self.post_start_failed(env, at, now) {
                    Some(until) => self.stage = again(Doing::Kill, until, todo),
                    None => self.start_next(env, todo, init, now),
                }
            }
            Doing::PostStart | Doing::Kill => self.start_next(env, todo, init, now),
        }
    }

    /// When the postStart hook of a container that has just started is over, if it has one.
    fn hook_until(&self, env: &Env<'_>, at: usize, now: SimTime) -> Option<SimTime> {
        let hook = env.container(at).post_start?;
        let run = self.instances[at].behavior.as_ref().map(|behavior| behavior.post_start).unwrap_or_default();
        Some(now + hook.sleep.unwrap_or(run.time))
    }

    /// A container whose postStart hook failed is killed before the next one starts. Says when it is gone.
    fn post_start_failed(&mut self, env: &mut Env<'_>, at: usize, now: SimTime) -> Option<SimTime> {
        env.warn(crate::name!("FailedPostStartHook"), "PostStartHook failed");
        self.instances[at].hook_failed = true;
        self.kill(env, at, env.pod.spec.grace_seconds, crate::name!("FailedPostStartHook"), now);
        self.instances[at].end.as_ref().map(|end| end.at.max(now))
    }

    /// Reads the container's environment; one that lacks something waits and tries again.
    fn configure(&mut self, env: &mut Env<'_>, at: usize, now: SimTime) -> bool {
        let instance = &mut self.instances[at];
        match config::environment(env.container(at), &env.pod.meta.namespace, env.view) {
            Ok((_, seen)) => {
                (instance.environment, instance.config_error) = (seen, None);
                true
            }
            Err(why) => {
                instance.config_error = Some(Name::from(why.as_str()));
                env.warn(crate::name!("Failed"), format!("Error: {why}"));
                self.park(at, Wait::ConfigError, CONFIG_RETRY, now);
                false
            }
        }
    }

    fn pulled(&mut self, env: &mut Env<'_>, at: usize, pull: Pull) {
        self.instances[at].pull = None;
        let milliseconds = |length: SimDuration| SimDuration(length.0 / 1_000_000 * 1_000_000);
        let (own, whole) = (milliseconds(pull.until - pull.began), milliseconds(pull.until - pull.asked));
        let message = format!(
            "Successfully pulled image \"{}\" in {own} ({whole} including waiting). Image size: {} bytes.",
            env.container(at).image,
            pull.size
        );
        env.normal(crate::name!("Pulled"), message);
    }

    fn pull_failed(&mut self, env: &mut Env<'_>, at: usize, pull: Pull, now: SimTime) {
        let image = env.container(at).image.clone();
        let failure = pull.failure.unwrap_or(PullFailure::NotFound);
        let why = error_text(&image, failure);
        env.warn(crate::name!("Failed"), format!("Failed to pull image \"{image}\": {why}"));
        env.warn(crate::name!("Failed"), "Error: ErrImagePull");
        let settings = env.settings;
        let before = self.instances[at].pull.map(|pull| pull.backoff * 2);
        let backoff = before.unwrap_or(settings.image_back_off_initial).min(settings.image_back_off_max);
        self.park(at, Wait::PullFailed, backoff, now);
        self.instances[at].pull.iter_mut().for_each(|pull| pull.failure = failure);
    }

    /// A container whose image is not to be had waits.
    fn park(&mut self, at: usize, wait: Wait, backoff: SimDuration, now: SimTime) {
        let instance = &mut self.instances[at];
        if let State::Ended { how, .. } = std::mem::replace(&mut instance.state, State::Waiting(wait)) {
            instance.last = Some(how);
        }
        instance.pull = Some(PullBackoff { backoff, failed: now, failure: PullFailure::NotFound });
    }

    fn started(&mut self, env: &mut Env<'_>, at: usize, now: SimTime) {
        env.normal(crate::name!("Created"), crate::name!("Container created"));
        env.normal(crate::name!("Started"), crate::name!("Container started"));
        let limit = self.granted(env.pod, at).limits.memory;
        let instance = &mut self.instances[at];
        if let State::Ended { how, .. } = std::mem::replace(&mut instance.state, State::Running { started: now }) {
            instance.last = Some(how);
        }
        instance.starts += 1;
        (instance.hook_failed, instance.redefined) = (false, false);
        instance.image = env.container(at).image.clone();
        instance.sandbox = self.sandboxes;
        instance.seen = false;
        instance.signalled = None;
        instance.pull = None;
        let behavior = instance.behavior.as_ref().expect("resolved before the start");
        let pace = env.node.pace_of_one_more(env.container(at), behavior.usage.milli_cpu, now);
        instance.run = Run::begin(behavior, limit, pace, now);
        instance.end = None;
        instance.plan_end(env.node, env.settings);
        self.leak_anew(env, at, now);
    }

    fn end_pass(&mut self, env: &mut Env<'_>, init: bool, now: SimTime) {
        for at in 0..self.instances.len() {
            let State::Running { started } = self.instances[at].state else { continue };
            if std::mem::replace(&mut self.instances[at].seen, true) {
                continue;
            }
            let container = env.container(at);
            if container.startup.is_some() || container.liveness.is_some() || container.readiness.is_some() {
                let anchors = [ProbeKind::Startup, ProbeKind::Liveness].map(|kind| self.anchor(env, at, kind));
                self.instances[at].probes = Some(Box::new(Probes::begin(container, started, now, anchors)));
            }
        }
        self.publish = true;
        match init {
            // The next one follows when this one is seen to run.
            true => self.stage = Stage::Idle { sync: Some(env.node.relist(now, env.settings)) },
            false => self.look(env, now),
        }
    }

    /// Since when a probe's ticker runs: since the kubelet first saw the pod; spread over a period if the
    /// kubelet itself had just started.
    fn anchor(&self, env: &Env<'_>, at: usize, kind: ProbeKind) -> SimTime {
        let container = env.container(at);
        match probes::period(container, kind) {
            Some(period) if self.start_time - env.node.since < period => {
                let spread = Delay::Uniform(SimDuration::ZERO, period);
                self.start_time + env.draw(spread, kind.as_str(), &container.name, 0)
            }
            _ => self.start_time,
        }
    }

    /// The machine came back from a reboot at `now`: every container is gone and so is the sandbox.
    pub fn reboot(&mut self, env: &mut Env<'_>, boot: u32, now: SimTime) {
        self.boot = boot;
        if self.concluded() {
            return;
        }
        for instance in &mut self.instances {
            instance.backoff = Default::default();
            instance.pull = None;
            if let State::Running { started } = instance.state {
                let how = crate::model::Terminated {
                    exit_code: 255,
                    reason: crate::name!("Unknown"),
                    message: crate::model::Name::new(),
                    started,
                    finished: now,
                };
                instance.state = State::Ended { how: Box::new(how), seen: now };
                instance.end = None;
                instance.probes = None;
                instance.seen = true;
            }
        }
        if let Some(address) = self.address.take() {
            env.node.free_address(address);
        }
        self.sandbox = false;
        self.initialized = false;
        self.publish = true;
        match self.stage {
            Stage::Stopping => self.go_on_stopping(env, now),
            Stage::Stopped { .. } | Stage::Final { .. } => {}
            _ if self.sandboxes == 0 => self.begin_volumes(env, now),
            // A pod that never restarts does not get a second sandbox.
            _ if env.pod.spec.restart_policy == RestartPolicy::Never => self.stop(env, now, 1),
            _ => self.stage = Stage::Idle { sync: Some(now) },
        }
    }
}
