//! How a machine's kubelet is set up, and what is wrong with the machine. Both are the simulation's own: nobody sees
//! them but through what the kubelet says and does.
//!
//! Several things may be wrong at a time, each under the name of the incident that brought it, so that one that ends
//! takes nothing of another away: a node slowed to a half by one fault and to a half by another runs at a quarter.

use super::Name;
use crate::time::SimDuration;
use serde_json::Value;
use std::sync::Arc;

/// What a kubelet watches to see whether its node runs short (`pkg/kubelet/eviction/api/types.go`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Signal {
    /// `memory.available`: what the node has beyond the working sets of everything on it.
    MemoryAvailable,
    /// `nodefs.available`: free room on the disk.
    NodeFsAvailable,
    /// `nodefs.inodesFree`: files that the disk can still hold.
    NodeFsInodesFree,
    /// `imagefs.available`: the same disk, since images have none of their own.
    ImageFsAvailable,
    /// `imagefs.inodesFree`: the same.
    ImageFsInodesFree,
    /// `pid.available`: processes that could still be started.
    PidAvailable,
}

impl Signal {
    /// Every signal, in the order of their names.
    pub const ALL: [Signal; 6] = [
        Signal::ImageFsAvailable,
        Signal::ImageFsInodesFree,
        Signal::MemoryAvailable,
        Signal::NodeFsAvailable,
        Signal::NodeFsInodesFree,
        Signal::PidAvailable,
    ];

    /// As Kubernetes writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Signal::MemoryAvailable => "memory.available",
            Signal::NodeFsAvailable => "nodefs.available",
            Signal::NodeFsInodesFree => "nodefs.inodesFree",
            Signal::ImageFsAvailable => "imagefs.available",
            Signal::ImageFsInodesFree => "imagefs.inodesFree",
            Signal::PidAvailable => "pid.available",
        }
    }

    /// What is short, as messages name it.
    pub const fn resource(self) -> &'static str {
        match self {
            Signal::MemoryAvailable => "memory",
            Signal::NodeFsAvailable | Signal::ImageFsAvailable => "ephemeral-storage",
            Signal::NodeFsInodesFree | Signal::ImageFsInodesFree => "inodes",
            Signal::PidAvailable => "pids",
        }
    }

    /// Whether it is about the disk.
    pub const fn of_disk(self) -> bool {
        !matches!(self, Signal::MemoryAvailable | Signal::PidAvailable)
    }
}

/// An amount, or a share of what there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    /// This much.
    Amount(i64),
    /// A share of the capacity: a whole number of units of which `2^shift` are everything.
    Share {
        /// How many.
        units: i64,
        /// How small they are.
        shift: u32,
    },
}

impl Level {
    /// So many hundredths of the capacity. Kubernetes keeps them in single precision, so that 10 % are a little more
    /// than a tenth, and users see that in messages.
    pub fn percent(percent: f32) -> Self {
        let bits = (percent / 100.0).to_bits();
        let exponent = (bits >> 23 & 0xff) as i32;
        Level::Share { units: i64::from(bits & 0x7f_ffff | 0x80_0000), shift: (150 - exponent).clamp(0, 126) as u32 }
    }

    /// The amount where there are `capacity`.
    pub fn of(self, capacity: i64) -> i64 {
        match self {
            Level::Amount(amount) => amount,
            Level::Share { units, shift } => ((i128::from(capacity) * i128::from(units)) >> shift) as i64,
        }
    }
}

/// Less than this and the kubelet acts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Threshold {
    /// What it watches.
    pub signal: Signal,
    /// Less than this.
    pub below: Level,
    /// For this long; none at all makes it a hard threshold.
    pub grace: SimDuration,
    /// Once it acts it frees this much more (`evictionMinimumReclaim`).
    pub reclaim: Option<Level>,
}

/// The configuration of one kubelet, as far as it is a node's own
/// (`pkg/kubelet/apis/config/v1beta1/defaults.go`).
#[derive(Clone, PartialEq, Debug)]
pub struct KubeletSetup {
    /// `evictionHard`, then `evictionSoft`, each by name of the signal.
    pub thresholds: Vec<Threshold>,
    /// `evictionMaxPodGracePeriod`: how long a pod may take to go after a soft threshold.
    pub eviction_grace_seconds: i64,
    /// `evictionPressureTransitionPeriod`: how long a condition stays after the shortage.
    pub pressure_transition: SimDuration,
    /// `imageGCHighThresholdPercent`: above this share of the disk images are removed,
    pub image_gc_high_percent: i64,
    /// `imageGCLowThresholdPercent`: down to this one.
    pub image_gc_low_percent: i64,
    /// `imageMinimumGCAge`.
    pub image_gc_age: SimDuration,
    /// `serializeImagePulls` and `maxParallelImagePulls`: how many pulls at a time; `None` for as many as come, 0 for
    /// what the scenario's timing says.
    pub parallel_pulls: Option<u32>,
    /// `shutdownGracePeriod`; none switches graceful shutdown off.
    pub shutdown_grace: SimDuration,
    /// `shutdownGracePeriodCriticalPods`: the part of it that is kept for critical pods.
    pub shutdown_grace_critical: SimDuration,
    /// What the operating system and the kubelet itself use of the memory.
    pub system_memory: i64,
    /// What they use of the disk.
    pub system_disk: i64,
    /// How many processes there can be.
    pub pids: i64,
    /// How many files the disk can hold; 0 is not known.
    pub inodes: i64,
    /// The manifests in the folder of its `staticPodPath`.
    pub static_pods: Vec<Arc<Value>>,
}

impl Default for KubeletSetup {
    fn default() -> Self {
        let hard = |signal, below| Threshold { signal, below, grace: SimDuration::ZERO, reclaim: None };
        KubeletSetup {
            thresholds: vec![
                hard(Signal::ImageFsAvailable, Level::percent(15.0)),
                hard(Signal::ImageFsInodesFree, Level::percent(5.0)),
                hard(Signal::MemoryAvailable, Level::Amount(100 << 20)),
                hard(Signal::NodeFsAvailable, Level::percent(10.0)),
                hard(Signal::NodeFsInodesFree, Level::percent(5.0)),
            ],
            eviction_grace_seconds: 0,
            pressure_transition: SimDuration::from_secs(300),
            image_gc_high_percent: 85,
            image_gc_low_percent: 80,
            image_gc_age: SimDuration::from_secs(120),
            parallel_pulls: Some(0),
            shutdown_grace: SimDuration::ZERO,
            shutdown_grace_critical: SimDuration::ZERO,
            system_memory: 0,
            system_disk: 0,
            pids: 32_768,
            inodes: 0,
            static_pods: Vec::new(),
        }
    }
}

/// What may be wrong with a machine that runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// Its processors do so many thousandths of their work.
    SlowCpu(i64),
    /// Its disk does so many thousandths of its work.
    SlowDisk(i64),
    /// Something that is no pod has taken so many bytes of the disk.
    DiskTaken(i64),
    /// Something that is no pod has taken so many bytes of the memory.
    MemoryTaken(i64),
    /// Its clock is ahead by so much, or behind.
    ClockAhead(SimDuration),
    /// It is being shut down.
    ShuttingDown,
}

/// What may be wrong with the image registry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RegistryFault {
    /// It answers 503.
    Unavailable,
    /// It does not answer.
    Silent,
    /// It answers 429: too many pulls.
    TooMany,
    /// It gives so many thousandths of its bandwidth.
    Slow(i64),
}

/// The troubles of a machine, each under the name of the incident that brought it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Troubles(pub Vec<(Name, Trouble)>);

impl Troubles {
    /// Adds one.
    pub fn add(&mut self, incident: &Name, trouble: Trouble) {
        self.0.push((incident.clone(), trouble));
    }

    /// Takes away what an incident brought.
    pub fn remove(&mut self, incident: &Name) {
        self.0.retain(|(name, _)| name != incident);
    }

    /// How fast the processors are, in thousandths.
    pub fn cpu_speed(&self) -> i64 {
        self.fold(1000, |speed, trouble| match trouble {
            Trouble::SlowCpu(share) => speed * share / 1000,
            _ => speed,
        })
    }

    /// How fast the disk is, in thousandths.
    pub fn disk_speed(&self) -> i64 {
        self.fold(1000, |speed, trouble| match trouble {
            Trouble::SlowDisk(share) => speed * share / 1000,
            _ => speed,
        })
    }

    /// Bytes of the disk that are taken.
    pub fn disk_taken(&self) -> i64 {
        self.fold(0, |sum, trouble| if let Trouble::DiskTaken(bytes) = trouble { sum + bytes } else { sum })
    }

    /// Bytes of the memory that are taken.
    pub fn memory_taken(&self) -> i64 {
        self.fold(0, |sum, trouble| if let Trouble::MemoryTaken(bytes) = trouble { sum + bytes } else { sum })
    }

    /// How much the clock is ahead.
    pub fn clock_ahead(&self) -> SimDuration {
        let ahead = |sum: i64, trouble| if let Trouble::ClockAhead(by) = trouble { sum + by.0 } else { sum };
        SimDuration(self.fold(0, ahead))
    }

    /// Whether there is such a trouble.
    pub fn has(&self, trouble: Trouble) -> bool {
        self.0.iter().any(|(_, have)| *have == trouble)
    }

    fn fold(&self, first: i64, join: impl Fn(i64, Trouble) -> i64) -> i64 {
        self.0.iter().fold(first, |sum, (_, trouble)| join(sum, *trouble))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_in_single_precision() {
        // 0.1 in single precision is 0.100000001490116…: of 100 GiB 160 bytes more than a tenth.
        let table = [(10.0, 100 << 30, 10_737_418_400), (50.0, 1000, 500), (25.0, 1 << 20, 1 << 18)];
        for (percent, capacity, expected) in table {
            assert_eq!(Level::percent(percent).of(capacity), expected, "{percent} % of {capacity}");
        }
    }

    #[test]
    fn troubles_add_up_and_go_one_by_one() {
        let mut troubles = Troubles::default();
        assert_eq!((troubles.cpu_speed(), troubles.disk_speed(), troubles.disk_taken()), (1000, 1000, 0));
        let (first, second) = (crate::name!("incident-1"), crate::name!("incident-2"));
        troubles.add(&first, Trouble::SlowCpu(500));
        troubles.add(&second, Trouble::SlowCpu(500));
        troubles.add(&second, Trouble::DiskTaken(7));
        assert_eq!((troubles.cpu_speed(), troubles.disk_taken()), (250, 7));
        troubles.remove(&second);
        assert_eq!((troubles.cpu_speed(), troubles.disk_taken()), (500, 0));
    }
}
