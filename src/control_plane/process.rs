//! The processes of a control plane: one of each component on every machine, and the supervisor that brings them back.

use crate::rng::Stream;
use crate::runtime::control::Reconnects;
use crate::time::{SimDuration, SimTime};

/// What runs on a machine of the control plane.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Component {
    /// A member of the store.
    Etcd,
    /// An instance of the API server.
    ApiServer,
    /// An instance of the controller manager; one leads.
    ControllerManager,
    /// An instance of the scheduler; one leads.
    Scheduler,
}

/// All of them, in the order in which they come up.
pub const COMPONENTS: [Component; 4] =
    [Component::Etcd, Component::ApiServer, Component::ControllerManager, Component::Scheduler];

impl Component {
    /// The name of its process.
    pub const fn name(self) -> &'static str {
        match self {
            Component::Etcd => "etcd",
            Component::ApiServer => "kube-apiserver",
            Component::ControllerManager => "kube-controller-manager",
            Component::Scheduler => "kube-scheduler",
        }
    }

    /// The component of that name.
    pub fn of(name: &str) -> Option<Component> {
        COMPONENTS.into_iter().find(|component| component.name() == name)
    }

    /// The name under which its events are reported.
    pub const fn reporter(self) -> &'static str {
        if matches!(self, Component::Scheduler) { "default-scheduler" } else { self.name() }
    }

    /// Whether one of its instances leads and the others wait.
    pub const fn elects(self) -> bool {
        matches!(self, Component::ControllerManager | Component::Scheduler)
    }

    /// Whether an instance that is asked to stop gives its lease back. The controller manager does not
    /// (`cmd/kube-controller-manager/app/controllermanager.go`; `cmd/kube-scheduler/app/server.go`).
    pub const fn releases(self) -> bool {
        matches!(self, Component::Scheduler)
    }

    /// From the start of the process until it serves, or looks at the lease. Measured on a quiet machine.
    pub const fn startup(self) -> SimDuration {
        SimDuration::from_millis(match self {
            Component::Etcd => 500,
            Component::ApiServer => 2200,
            Component::ControllerManager => 500,
            Component::Scheduler => 300,
        })
    }

    /// From winning the lease until its controllers have listed what they watch. The scheduler has done so before.
    pub const fn warm_up(self) -> SimDuration {
        SimDuration::from_millis(if matches!(self, Component::ControllerManager) { 1300 } else { 0 })
    }
}

/// Who brings a process back that has ended by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Supervisor {
    /// The kubelet of the machine, for static pods: after a second, then after 10 s, 20 s, up to five minutes
    /// (`pkg/kubelet/kubelet.go`, `MaxContainerBackOff`).
    #[default]
    Kubelet,
    /// Something that waits that long every time.
    Always(SimDuration),
}

impl Supervisor {
    const LONGEST: SimDuration = SimDuration::from_secs(300);

    /// How long a process waits that has failed so often before.
    fn wait(self, failures: u32) -> SimDuration {
        match self {
            Supervisor::Always(wait) => wait,
            Supervisor::Kubelet if failures == 0 => SimDuration::from_secs(1),
            Supervisor::Kubelet => (SimDuration::from_secs(10) * (1i64 << (failures - 1).min(10))).min(Self::LONGEST),
        }
    }
}

/// Where a process is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Nobody brings it back.
    Down,
    /// The supervisor brings it back then.
    Waits(SimTime),
    /// It is being started and ready then; without a time when it waits for an API server.
    Starts(Option<SimTime>),
    /// It runs.
    Runs,
}

/// One process.
#[derive(Clone, Debug)]
pub struct Process {
    /// Where it is in its life.
    pub phase: Phase,
    /// Faults that keep it down.
    pub held: usize,
    /// When it was started last.
    pub began: SimTime,
    failures: u32,
}

impl Process {
    /// One that runs since ever.
    pub fn running() -> Self {
        Process { phase: Phase::Runs, held: 0, began: SimTime(i64::MIN / 2), failures: 0 }
    }

    /// It is started, and ready after a while.
    pub fn start(&mut self, component: Component, now: SimTime) {
        self.began = now;
        self.phase = Phase::Starts(Some(now + component.startup()));
    }

    /// It has ended by itself: the supervisor waits longer each time, and forgets after ten minutes.
    pub fn fail(&mut self, now: SimTime, supervisor: Supervisor) {
        if now - self.began > Supervisor::LONGEST * 2 {
            self.failures = 0;
        }
        self.phase = if self.held > 0 { Phase::Down } else { Phase::Waits(now + supervisor.wait(self.failures)) };
        self.failures += 1;
    }

    /// When something happens to it by itself.
    pub fn due(&self) -> Option<SimTime> {
        match self.phase {
            Phase::Waits(at) | Phase::Starts(Some(at)) => Some(at),
            _ => None,
        }
    }
}

/// Lists that a scheduler must have before it looks at the lease, and how long it looks for its own configuration
/// before it begins with them where there is no API server.
const LISTS: usize = 16;
const LOOKUP: SimDuration = SimDuration::from_secs(10);

/// When a scheduler that was started at `began` without an API server has all its lists, now that there is one: each
/// list waits for its own next attempt (`staging/src/k8s.io/client-go/tools/cache/reflector.go`).
pub fn lists_ready(began: SimTime, now: SimTime, stream: impl Fn(usize) -> Stream) -> SimTime {
    let attempts = (0..LISTS).map(|list| Reconnects::new(stream(list), began + LOOKUP).at(now));
    attempts.max().unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_supervisor_waits_longer_each_time() {
        let mut process = Process::running();
        let mut now = SimTime::ZERO;
        // A second, then 10 s doubled up to five minutes.
        for expected in [1, 10, 20, 40, 80, 160, 300, 300] {
            process.fail(now, Supervisor::Kubelet);
            assert_eq!(process.phase, Phase::Waits(now + SimDuration::from_secs(expected)));
            now += SimDuration::from_secs(expected);
            process.start(Component::ControllerManager, now);
        }
        // After more than ten minutes all is forgotten.
        now += SimDuration::from_secs(601);
        process.fail(now, Supervisor::Kubelet);
        assert_eq!(process.phase, Phase::Waits(now + SimDuration::from_secs(1)));
    }
}
