//! One container of one pod as its kubelet knows it: what it does, how it ended, what it waits for.

use super::behavior::ContainerBehavior;
use super::node::NodeState;
use super::probes::Probes;
use super::registry::PullFailure;
use super::restart::RestartBackoff;
use super::settings::KubeletSettings;
use crate::model::curve::Curve;
use crate::model::{Container, Name, Terminated};
use crate::time::{SimDuration, SimTime};
use std::sync::Arc;

/// One container.
#[derive(Clone, Debug, Default)]
pub struct Instance {
    /// What it does now.
    pub state: State,
    /// How the run before ended.
    pub last: Option<Box<Terminated>>,
    /// How the one before that ended, while it waits to be started again.
    pub older: Option<Box<Terminated>>,
    /// How often it was started.
    pub starts: u32,
    /// In which sandbox it was last started.
    pub sandbox: u32,
    /// How this run behaves.
    pub behavior: Option<ContainerBehavior>,
    /// How this run goes.
    pub run: Run,
    /// When and how this run ends, as far as is known.
    pub end: Option<Ending>,
    /// When this run gets SIGTERM, if it is to stop.
    pub signalled: Option<SimTime>,
    /// Whether a status has shown this run.
    pub seen: bool,
    /// Its probes, if it has any and runs.
    pub probes: Option<Box<Probes>>,
    /// Its memory of restarts.
    pub backoff: RestartBackoff,
    /// A failed pull that is waited out.
    pub pull: Option<PullBackoff>,
    /// What its environment lacks, if it waits for that.
    pub config_error: Option<Name>,
    /// What its environment was read from when it was last started.
    pub environment: Vec<crate::model::pod::ConfigSeen>,
    /// A probe had it killed: the back-off counts from the run before.
    pub killed_by_probe: bool,
    /// Its postStart hook failed.
    pub hook_failed: bool,
    /// Its preStop hook has failed and that was told.
    pub hook_said: bool,
    /// Its definition changed while it ran: it starts again whatever the restart policy.
    pub redefined: bool,
    /// The image that it was last started from.
    pub image: Name,
    /// Its use of memory is another than the meters know.
    pub remeter: bool,
    /// The run that the meters know of: when it started, and whether they know its end.
    pub metered: Option<(SimTime, bool)>,
}

/// What a container does.
#[derive(Clone, Debug)]
pub enum State {
    /// Not started yet or not again.
    Waiting(Wait),
    /// Running since.
    Running {
        /// When it started.
        started: SimTime,
    },
    /// Ended.
    Ended {
        /// How.
        how: Box<Terminated>,
        /// When the kubelet saw it.
        seen: SimTime,
    },
}

/// What a container waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wait {
    /// Its turn.
    Creating,
    /// Its restart back-off.
    CrashLoop,
    /// A pull that just failed.
    PullFailed,
    /// The back-off of a failed pull.
    PullBackOff,
    /// An image that must not be pulled.
    NeverPull,
    /// A config map or secret that its environment needs.
    ConfigError,
}

/// How a run goes: what of its behaviour changes with what happens to the container and to its node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Run {
    /// How fast its work goes, in thousandths of full speed.
    pub pace: i64,
    /// When it serves.
    pub serves: SimTime,
    /// When it ends by itself.
    pub ends: Option<SimTime>,
    /// When the kernel kills it for using more memory than its limit.
    pub out_of_memory: Option<SimTime>,
    /// Its use of memory since it started, if that changes.
    pub memory: Option<Arc<Curve>>,
    /// It answers nothing and does not end: so many faults hold it.
    pub hung: u32,
    /// Since when.
    pub hung_since: SimTime,
}

/// The exit code of SIGKILL.
pub const KILLED: i32 = 137;

/// What a probe is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// All is well.
    Good,
    /// All is not.
    Bad,
    /// Nothing, until the probe gave up.
    Late,
}

/// How a run ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ending {
    /// When.
    pub at: SimTime,
    /// Exit code.
    pub exit_code: i32,
    /// `Completed`, `Error`, …
    pub reason: Name,
    /// When the kubelet sees it.
    pub observed: SimTime,
    /// Nobody stopped it: it ends by itself, or by its own use of memory.
    pub own: bool,
}

/// A failed pull (`pkg/kubelet/images/image_manager.go`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PullBackoff {
    /// The back-off in force.
    pub backoff: SimDuration,
    /// When the pull failed.
    pub failed: SimTime,
    /// Why.
    pub failure: PullFailure,
}

impl Default for Run {
    fn default() -> Self {
        Run {
            pace: 1000,
            serves: SimTime::ZERO,
            ends: None,
            out_of_memory: None,
            memory: None,
            hung: 0,
            hung_since: SimTime::ZERO,
        }
    }
}

impl Run {
    /// A run that begins at `now` at such a pace, of a container with so much memory at most (0 for no limit).
    pub fn begin(behavior: &ContainerBehavior, limit: i64, pace: i64, now: SimTime) -> Self {
        let mut run = Run {
            pace: 1000,
            serves: now + behavior.serve_after,
            ends: behavior.run_time.map(|time| now + time),
            memory: behavior.memory.clone(),
            ..Run::default()
        };
        run.out_of_memory = run.over_limit(behavior.usage.memory, limit, now, now);
        run.pace_from(pace, now);
        run
    }

    /// When it uses more memory than its limit, from `now` on.
    pub fn over_limit(&self, constant: i64, limit: i64, started: SimTime, now: SimTime) -> Option<SimTime> {
        match &self.memory {
            _ if limit <= 0 => None,
            None => (constant > limit).then_some(now),
            Some(curve) => curve.first_above(now - started, limit).map(|age| started + age),
        }
    }

    /// Its work goes at another pace from `now` on. Tells whether that changes anything.
    pub fn pace_from(&mut self, pace: i64, now: SimTime) -> bool {
        let old = std::mem::replace(&mut self.pace, pace);
        for at in std::iter::once(&mut self.serves).chain(&mut self.ends).filter(|at| **at > now) {
            let left = i128::from((*at - now).0) * i128::from(old) / i128::from(pace.max(1));
            *at = now + SimDuration(i64::try_from(left).unwrap_or(i64::MAX));
        }
        old != pace
    }
}

impl Default for State {
    fn default() -> Self {
        State::Waiting(Wait::Creating)
    }
}

impl Instance {
    /// Whether its process runs, as far as the kubelet knows.
    pub fn running(&self) -> bool {
        matches!(self.state, State::Running { .. })
    }

    /// How its last finished run ended, if it does not run.
    pub fn exit(&self) -> Option<&Terminated> {
        match &self.state {
            State::Ended { how, .. } => Some(how),
            State::Waiting(_) => self.last.as_deref(),
            State::Running { .. } => None,
        }
    }

    /// Whether it is started: running, and its startup probe (if any) has passed.
    pub fn started(&self) -> bool {
        self.running() && self.seen && self.probes.as_ref().is_none_or(|probes| probes.started)
    }

    /// Whether it is ready.
    pub fn ready(&self) -> bool {
        self.started()
            && self.behavior.as_ref().is_none_or(|behavior| behavior.ready)
            && self.probes.as_ref().is_none_or(|probes| probes.ready)
    }

    /// Plans its end anew, unless someone stops it: by itself, or for want of memory, whichever comes first.
    pub fn plan_end(&mut self, node: &NodeState, settings: &KubeletSettings) {
        if self.end.as_ref().is_some_and(|end| !end.own) {
            return;
        }
        let code = self.behavior.as_ref().map_or(0, |behavior| behavior.exit_code);
        let natural = self.run.ends.filter(|_| self.run.hung == 0).map(|at| (at, code, exit_reason(code)));
        let killed = self.run.out_of_memory.map(|at| (at, KILLED, crate::name!("OOMKilled")));
        let first = natural.into_iter().chain(killed).min_by_key(|(at, ..)| *at);
        self.end = first.map(|(at, exit_code, reason)| {
            let observed = node.relist(at, settings);
            Ending { at, exit_code, reason, observed, own: true }
        });
    }

    /// Something happened to it at `at`: its probes may answer otherwise.
    pub fn unsettle(&mut self, container: &Container, at: SimTime) {
        self.probes.iter_mut().for_each(|probes| probes.unsettle(container, at));
    }

    /// Whether it answers a probe well at `now`, and whether in time.
    pub fn answers(&self, readiness: bool, timeout: SimDuration, now: SimTime) -> Answer {
        let Some(behavior) = &self.behavior else { return Answer::Bad };
        let time = SimDuration(behavior.probe_time.0.saturating_mul(1000) / self.run.pace.max(1));
        match () {
            () if (self.run.hung > 0 || time > timeout) && timeout.0 < i64::MAX => Answer::Late,
            () if now < self.run.serves || readiness && !behavior.ready => Answer::Bad,
            () => Answer::Good,
        }
    }

    /// Runs after the first.
    pub fn restart_count(&self) -> u32 {
        // A run that no status has shown does not count yet.
        let shown = self.starts - u32::from(self.running() && !self.seen);
        shown.saturating_sub(1)
    }
}

/// Kubernetes' word for an exit code.
pub fn exit_reason(exit_code: i32) -> Name {
    if exit_code == 0 { crate::name!("Completed") } else { crate::name!("Error") }
}
