//! One container of one pod as its kubelet knows it: what it does, how it ended, what it waits for.

use super::behavior::ContainerBehavior;
use super::probes::Probes;
use super::restart::RestartBackoff;
use crate::model::{Name, Terminated};
use crate::time::{SimDuration, SimTime};

/// One container.
#[derive(Clone, Debug, Default)]
pub struct Instance {
    /// What it does now.
    pub state: State,
    /// How the run before ended.
    pub last: Option<Box<Terminated>>,
    /// How often it was started.
    pub starts: u32,
    /// In which sandbox it was last started.
    pub sandbox: u32,
    /// How this run behaves.
    pub behavior: Option<ContainerBehavior>,
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
}

/// A failed pull (`pkg/kubelet/images/image_manager.go`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PullBackoff {
    /// The back-off in force.
    pub backoff: SimDuration,
    /// When the pull failed.
    pub failed: SimTime,
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
            && self.behavior.is_none_or(|behavior| behavior.ready)
            && self.probes.as_ref().is_none_or(|probes| probes.ready)
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
