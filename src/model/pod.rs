//! A pod: identity, wish, node, and what its kubelet reports.

use super::pod_spec::VolumeSource;
use super::{Condition, Kind, Meta, Name, PodSpec, Resources, condition};
use crate::time::SimTime;
use std::net::Ipv4Addr;
use std::sync::Arc;

/// A pod.
#[derive(Clone, PartialEq, Debug)]
pub struct Pod {
    /// Metadata.
    pub meta: Meta,
    /// The wish, shared with the other pods of its template.
    pub spec: Arc<PodSpec>,
    /// `spec.nodeName`: where it is bound.
    pub node: Option<Name>,
    /// What is reported of it.
    pub status: PodStatus,
}

/// `status.phase`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Phase {
    /// Not all containers have started.
    #[default]
    Pending,
    /// Bound and at least one container runs.
    Running,
    /// All ended with exit code 0.
    Succeeded,
    /// All ended, at least one badly.
    Failed,
}

impl Phase {
    /// As Kubernetes writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Phase::Pending => "Pending",
            Phase::Running => "Running",
            Phase::Succeeded => "Succeeded",
            Phase::Failed => "Failed",
        }
    }

    /// Succeeded or Failed.
    pub const fn terminal(self) -> bool {
        matches!(self, Phase::Succeeded | Phase::Failed)
    }
}

/// How a container ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Terminated {
    /// 0 is success; 128 + n for signal n.
    pub exit_code: i32,
    /// `Completed`, `Error`, `OOMKilled`, …
    pub reason: Name,
    /// A sentence; may be empty.
    pub message: Name,
    /// When it had started.
    pub started: SimTime,
    /// When it ended.
    pub finished: SimTime,
}

/// What a container is doing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ContainerState {
    /// Not running yet or again.
    Waiting {
        /// `ContainerCreating`, `CrashLoopBackOff`, …
        reason: Name,
        /// A sentence; may be empty.
        message: Name,
    },
    /// Running.
    Running {
        /// Since when.
        started: SimTime,
    },
    /// Ended.
    Terminated(Box<Terminated>),
}

/// The report on one container.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ContainerStatus {
    /// Its name.
    pub name: Name,
    /// What it does now.
    pub state: ContainerState,
    /// How the instance before ended.
    pub last: Option<Box<Terminated>>,
    /// Ready to serve.
    pub ready: bool,
    /// Startup probe passed (or none).
    pub started: bool,
    /// Instances after the first.
    pub restart_count: u32,
    /// Requests and limits that its kubelet has granted, where they are others than it began with.
    pub allocated: Option<Box<(Resources, Resources)>>,
    /// What it uses of cpu (milli) and memory (bytes) while it runs. The simulation's own: metrics-server
    /// would measure it. Zero when not running.
    pub usage: Usage,
}

/// Measured use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// CPU in thousandths of a core.
    pub milli_cpu: i64,
    /// Memory in bytes.
    pub memory: i64,
}

/// A config map or secret in the version that a pod reads. The simulation's own: nobody else can know it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ConfigSeen {
    /// `ConfigMap` or `Secret`.
    pub kind: Kind,
    /// Its name.
    pub name: Name,
    /// Who reads it: a volume, or a container for its environment.
    pub reader: Name,
    /// The object's resource version.
    pub revision: u64,
}

/// `status` of a pod.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct PodStatus {
    /// Phase.
    pub phase: Phase,
    /// Why, in one word; empty usually.
    pub reason: Name,
    /// Why, in a sentence; empty usually.
    pub message: Name,
    /// Conditions in the order written.
    pub conditions: Vec<Condition>,
    /// When the kubelet first handled it.
    pub start_time: Option<SimTime>,
    /// Its address.
    pub pod_ip: Option<Ipv4Addr>,
    /// Its node's address.
    pub host_ip: Option<Ipv4Addr>,
    /// App containers.
    pub containers: Vec<ContainerStatus>,
    /// Init containers.
    pub init_containers: Vec<ContainerStatus>,
    /// Where preemption makes room for it.
    pub nominated_node: Option<Name>,
    /// The generation the kubelet has seen.
    pub observed_generation: i64,
    /// What it reads of config maps and secrets.
    pub config: Vec<ConfigSeen>,
}

/// The annotation of a pod that only mirrors one that a kubelet was given by a file
/// (`pkg/kubelet/types/pod_update.go`, `ConfigMirrorAnnotationKey`).
pub const CONFIG_MIRROR: Name = crate::name!("kubernetes.io/config.mirror");
/// The annotation that says where a kubelet got a pod from.
pub const CONFIG_SOURCE: Name = crate::name!("kubernetes.io/config.source");

impl Pod {
    /// Whether it only mirrors a pod that its kubelet runs by itself.
    pub fn is_mirror(&self) -> bool {
        self.meta.annotations.get(&CONFIG_MIRROR).is_some()
    }

    /// Condition Ready is True.
    pub fn is_ready(&self) -> bool {
        condition::is_true(&self.status.conditions, "Ready")
    }

    /// Not terminal and not being deleted (`pkg/controller/controller_utils.go`, `IsPodActive`).
    pub fn is_active(&self) -> bool {
        !self.status.phase.terminal() && !self.meta.deleting()
    }

    /// Being deleted and not yet terminal.
    pub fn is_terminating(&self) -> bool {
        self.meta.deleting() && !self.status.phase.terminal()
    }

    /// Since when Ready is True, if it is.
    pub fn ready_since(&self) -> Option<SimTime> {
        condition::find(&self.status.conditions, "Ready")
            .filter(|ready| ready.status == super::Truth::True)
            .map(|ready| ready.last_transition)
    }

    /// Ready for at least `min_ready_seconds` at `now`, counted from the whole second that the API keeps
    /// (`pkg/api/v1/pod/util.go`, `IsPodAvailable`).
    pub fn is_available(&self, min_ready_seconds: i32, now: SimTime) -> bool {
        self.ready_since().map(SimTime::truncated).is_some_and(|since| {
            min_ready_seconds == 0 || since + crate::time::SimDuration::from_secs(i64::from(min_ready_seconds)) <= now
        })
    }

    /// Its claims by name, and whether they are made for the pod
    /// (`staging/src/k8s.io/component-helpers/storage/ephemeral/ephemeral.go`).
    pub fn claims(&self) -> impl Iterator<Item = (Name, bool)> {
        self.spec.volumes.iter().filter_map(|volume| match &volume.source {
            VolumeSource::Claim(name) => Some((name.clone(), false)),
            VolumeSource::Ephemeral => Some((Name::from(format!("{}-{}", self.meta.name, volume.name)), true)),
            _ => None,
        })
    }

    /// What it requests of its node.
    pub fn requests(&self) -> &Resources {
        &self.spec.requests
    }

    /// What its containers use now.
    pub fn usage(&self) -> Usage {
        self.status.containers.iter().chain(&self.status.init_containers).fold(Usage::default(), |sum, c| Usage {
            milli_cpu: sum.milli_cpu + c.usage.milli_cpu,
            memory: sum.memory + c.usage.memory,
        })
    }

    /// Restarts of all containers.
    pub fn restarts(&self) -> u32 {
        self.status.containers.iter().chain(&self.status.init_containers).map(|c| c.restart_count).sum()
    }
}
