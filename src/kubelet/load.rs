//! What the containers of a node take of it: memory, disk, processes, processors, each as a function of time.
//!
//! The kubelet's worker of a pod says what its containers do from now on, ends included as far as they are known. So
//! what a node has left at any instant can be computed, and so can the instant at which it has too little.

use super::instance::{Instance, State};
use super::pod_worker::PodWorker;
use crate::model::cpu::{self, Demand};
use crate::model::curve::{self, Curve};
use crate::model::quantity::parse_quantity;
use crate::model::{Container, Key, Name, Pod, Uid};
use crate::time::{SimDuration, SimTime};
use std::collections::BTreeMap;
use std::sync::Arc;

/// An amount over the time since a container started.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Amount {
    /// Always the same.
    Fixed(i64),
    /// It changes.
    Varying(Arc<Curve>),
}

impl Amount {
    /// Nothing, or what the curve says.
    fn of(curve: Option<&Arc<Curve>>, otherwise: i64) -> Self {
        match curve {
            Some(curve) if !curve.is_constant() => Amount::Varying(curve.clone()),
            Some(curve) => Amount::Fixed(curve.at(SimDuration::ZERO)),
            None => Amount::Fixed(otherwise),
        }
    }

    fn at(&self, age: SimDuration) -> i64 {
        match self {
            Amount::Fixed(amount) => *amount,
            Amount::Varying(curve) => curve.at(age),
        }
    }

    fn most(&self) -> i64 {
        match self {
            Amount::Fixed(amount) => *amount,
            Amount::Varying(curve) => curve.most(),
        }
    }
}

/// What of a node can run short.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stock {
    /// Bytes of memory.
    Memory,
    /// Bytes on the disk, images aside.
    Disk,
    /// Processes.
    Pids,
    /// Files on the disk.
    Inodes,
}

/// What one running container takes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Share {
    /// Which, in the order init containers, app containers.
    pub container: usize,
    /// Since when it runs.
    pub since: SimTime,
    /// When its process ends, if that is known.
    pub until: Option<SimTime>,
    /// Its memory.
    pub memory: Amount,
    /// What it wrote besides its log.
    pub disk: Amount,
    /// The volume that this is in, if it is not its own layer.
    pub volume: Option<Name>,
    /// How many files it wrote.
    pub files: Amount,
    /// Its log.
    pub logs: Amount,
    /// Its processes.
    pub processes: i64,
    /// What it wants of the processors.
    pub demand: Demand,
    /// How fast its work goes, in thousandths of full speed.
    pub pace: i64,
    /// How ready the kernel is to kill it.
    pub oom_score_adj: i64,
}

/// How much a pod may write to the disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DiskLimits {
    /// All of it.
    pub pod: i64,
    /// Single containers, without what they write into volumes: number, name, limit.
    pub containers: Vec<(usize, Name, i64)>,
    /// Single emptyDir volumes: name, `sizeLimit`.
    pub volumes: Vec<(Name, i64)>,
}

/// What one pod takes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PodLoad {
    /// The pod.
    pub uid: Uid,
    /// How much it may write, if that is limited.
    pub disk_limits: Option<DiskLimits>,
    /// Its running containers.
    pub shares: Vec<Share>,
}

/// What all pods of a node take.
#[derive(Clone, Debug, Default)]
pub struct Load {
    pods: BTreeMap<Key, PodLoad>,
    /// What they take at most, now or later: while that is little, nobody needs to look closer.
    most: [i64; 4],
    /// What they want of the processors.
    wanted: i64,
    /// How many may not write as much to the disk as they like.
    limited: usize,
    /// How many are throttled at their limit or run at another pace than the full one.
    slowed: usize,
}

impl Share {
    fn runs(&self, now: SimTime) -> bool {
        self.since <= now && self.until.is_none_or(|until| now < until)
    }

    /// What it has of `stock` at `now`.
    pub fn takes(&self, stock: Stock, now: SimTime) -> i64 {
        if !self.runs(now) {
            return 0;
        }
        let age = now - self.since;
        match stock {
            Stock::Memory => self.memory.at(age),
            Stock::Disk => self.disk.at(age) + self.logs.at(age),
            Stock::Pids => self.processes,
            Stock::Inodes => self.files.at(age),
        }
    }

    fn most(&self, stock: Stock) -> i64 {
        match stock {
            Stock::Memory => self.memory.most(),
            Stock::Disk => self.disk.most().saturating_add(self.logs.most()),
            Stock::Pids => self.processes,
            Stock::Inodes => self.files.most(),
        }
    }

    /// What it has written into its own layer and its log.
    pub fn own_disk(&self, now: SimTime) -> i64 {
        self.takes(Stock::Disk, now) - self.in_volume(now)
    }

    /// What it has written into its volume.
    pub fn in_volume(&self, now: SimTime) -> i64 {
        if self.volume.is_some() && self.runs(now) { self.disk.at(now - self.since) } else { 0 }
    }

    fn bends(&self, stock: Stock, now: SimTime) -> Vec<SimDuration> {
        let amounts: &[&Amount] = match stock {
            Stock::Memory => &[&self.memory],
            Stock::Disk => &[&self.disk, &self.logs],
            Stock::Pids => &[],
            Stock::Inodes => &[&self.files],
        };
        let age = now - self.since;
        let mut bends: Vec<SimDuration> = self.until.map(|until| until - now).into_iter().collect();
        for amount in amounts {
            if let Amount::Varying(curve) = amount {
                bends.extend(curve.bends(age).map(|bend| bend - age));
            }
        }
        bends
    }

    fn slowed(&self) -> bool {
        self.demand.most() < self.demand.wanted
    }
}

impl PodLoad {
    /// What the containers of a pod take as its worker knows them now.
    pub fn of(worker: &PodWorker, pod: &Pod, capacity: i64) -> Self {
        let shares = worker.instances.iter().enumerate();
        let share = |(at, instance): (usize, &Instance)| {
            let container = worker.granted(pod, at);
            share(at, container, instance, super::oom::score_adj(pod, container, capacity))
        };
        let mut running = Vec::with_capacity(worker.instances.len());
        running.extend(shares.filter_map(share));
        PodLoad { uid: worker.uid, disk_limits: disk_limits(pod), shares: running }
    }

    /// The first instant from `now` on at which it has written more than it may.
    pub fn first_over_disk_limit(&self, now: SimTime) -> Option<SimTime> {
        let limits = self.disk_limits.as_ref()?;
        let first = |shares: Vec<&Share>, level: i64, amount: fn(&Share, SimTime) -> i64| {
            let bends = shares.iter().flat_map(|share| share.bends(Stock::Disk, now)).filter(|bend| bend.0 > 0);
            let sum = |after: SimDuration| shares.iter().map(|share| amount(share, now + after)).sum();
            curve::first_above(sum, bends.collect(), SimDuration::ZERO, level).map(|after| now + after)
        };
        let containers = limits.containers.iter().filter_map(|(container, _, limit)| {
            let own = self.shares.iter().filter(|share| share.container == *container).collect();
            first(own, *limit, Share::own_disk)
        });
        let volumes = limits.volumes.iter().filter_map(|(volume, limit)| {
            let users = self.shares.iter().filter(|share| share.volume.as_ref() == Some(volume)).collect();
            first(users, *limit, Share::in_volume)
        });
        let all = first(self.shares.iter().collect(), limits.pod, |share, at| share.takes(Stock::Disk, at));
        containers.chain(volumes).chain(all).min()
    }

    /// What it has of `stock` at `now`.
    pub fn takes(&self, stock: Stock, now: SimTime) -> i64 {
        self.shares.iter().map(|share| share.takes(stock, now)).sum()
    }
}

/// The limits of ephemeral storage: a container's own, their sum for the pod, and those of emptyDir volumes on the disk.
fn disk_limits(pod: &Pod) -> Option<DiskLimits> {
    let containers = pod.spec.init_containers.iter().chain(&pod.spec.containers).enumerate();
    let limited = containers.filter(|(_, container)| container.limits.ephemeral_storage > 0);
    let containers: Vec<_> =
        limited.map(|(at, container)| (at, container.name.clone(), container.limits.ephemeral_storage)).collect();
    let sum = if containers.is_empty() { i64::MAX } else { containers.iter().map(|(.., limit)| limit).sum() };
    let volumes = size_limits(pod);
    (!containers.is_empty() || !volumes.is_empty()).then_some(DiskLimits { pod: sum, containers, volumes })
}

fn size_limits(pod: &Pod) -> Vec<(Name, i64)> {
    let volumes = pod.spec.raw.get("volumes").and_then(serde_json::Value::as_array);
    let limited = |volume: &serde_json::Value| {
        let dir = volume.get("emptyDir").filter(|dir| dir["medium"] != "Memory")?;
        let limit = parse_quantity(dir["sizeLimit"].as_str()?).ok()?.whole();
        Some((Name::from(volume["name"].as_str()?), limit))
    };
    // Few pods have volumes, and fewer a limit.
    volumes.into_iter().flatten().filter_map(limited).collect()
}

fn share(at: usize, container: &Container, instance: &Instance, oom_score_adj: i64) -> Option<Share> {
    let State::Running { started } = instance.state else { return None };
    let behavior = instance.behavior.as_ref()?;
    Some(Share {
        container: at,
        since: started,
        until: instance.end.as_ref().map(|end| end.at),
        memory: Amount::of(instance.run.memory.as_ref(), behavior.usage.memory),
        disk: Amount::of(behavior.disk.as_ref(), 0),
        volume: behavior.disk_volume.clone(),
        files: Amount::of(behavior.files.as_ref(), 0),
        logs: Amount::of(behavior.logs.as_ref(), 0),
        processes: behavior.processes,
        demand: demand(container, behavior.usage.milli_cpu),
        pace: instance.run.pace,
        oom_score_adj,
    })
}

/// What a container that would use `wanted` asks of the processors.
pub fn demand(container: &Container, wanted: i64) -> Demand {
    Demand { wanted, request: container.requests.milli_cpu, limit: container.limits.milli_cpu }
}

const STOCKS: [Stock; 4] = [Stock::Memory, Stock::Disk, Stock::Pids, Stock::Inodes];

impl Load {
    /// What a pod takes from now on. Tells whether that is something new.
    pub fn put(&mut self, key: &Key, load: PodLoad) -> bool {
        if self.pods.get(key).map_or(load.shares.is_empty(), |old| *old == load) {
            return false;
        }
        self.remove(key);
        if !load.shares.is_empty() {
            self.count(&load, 1);
            self.pods.insert(key.clone(), load);
        }
        true
    }

    /// A pod takes nothing any more.
    pub fn remove(&mut self, key: &Key) {
        if let Some(old) = self.pods.remove(key) {
            self.count(&old, -1);
        }
    }

    fn count(&mut self, load: &PodLoad, sign: i64) {
        let limited = load.disk_limits.is_some() && !load.shares.is_empty();
        self.limited = self.limited.wrapping_add_signed(sign as isize * isize::from(limited));
        for share in &load.shares {
            for (most, stock) in self.most.iter_mut().zip(STOCKS) {
                *most += sign * share.most(stock);
            }
            self.wanted += sign * share.demand.most();
            self.slowed = self.slowed.wrapping_add_signed(sign as isize * isize::from(share.slowed()));
        }
    }

    /// The pods, by name.
    pub fn pods(&self) -> impl Iterator<Item = (&Key, &PodLoad)> {
        self.pods.iter()
    }

    /// Those that may not write as much to the disk as they like.
    pub fn limited(&self) -> impl Iterator<Item = &PodLoad> {
        let any = self.limited > 0;
        self.pods.values().filter(move |pod| any && pod.disk_limits.is_some())
    }

    /// One pod.
    pub fn pod(&self, key: &Key) -> Option<&PodLoad> {
        self.pods.get(key)
    }

    /// What is taken of `stock` at `now`.
    pub fn takes(&self, stock: Stock, now: SimTime) -> i64 {
        match self.most[stock as usize] {
            0 => 0,
            _ => self.pods.values().map(|pod| pod.takes(stock, now)).sum(),
        }
    }

    /// Whether never more than `level` of `stock` is taken.
    pub fn never_above(&self, stock: Stock, level: i64) -> bool {
        self.most[stock as usize] <= level
    }

    /// The first instant from `now` on at which more than `level` of `stock` is taken, as far as is known.
    pub fn first_above(&self, stock: Stock, now: SimTime, level: i64) -> Option<SimTime> {
        if self.most[stock as usize] <= level {
            return None;
        }
        let shares = || self.pods.values().flat_map(|pod| &pod.shares);
        let bends = shares().flat_map(|share| share.bends(stock, now)).filter(|bend| bend.0 > 0).collect();
        let amount = |after: SimDuration| shares().map(|share| share.takes(stock, now + after)).sum();
        curve::first_above(amount, bends, SimDuration::ZERO, level).map(|after| now + after)
    }

    /// Whether every container has of `capacity` thousandths of a core whatever it wants.
    pub fn unhurried(&self, capacity: i64) -> bool {
        self.slowed == 0 && self.wanted <= capacity
    }

    /// The running containers whose work goes at another pace from `now` on: pod, container, pace, and what it gets.
    pub fn paces(&self, capacity: i64, speed: i64, now: SimTime) -> Vec<(Key, usize, i64, i64)> {
        let shares = self.pods.iter().flat_map(|(key, pod)| pod.shares.iter().map(move |share| (key, share)));
        let running: Vec<(&Key, &Share)> = shares.filter(|(_, share)| share.runs(now)).collect();
        let demands: Vec<Demand> = running.iter().map(|(_, share)| share.demand).collect();
        let given = cpu::shares(capacity, &demands);
        let new = |((key, share), given): ((&Key, &Share), i64)| {
            let pace = cpu::pace(&share.demand, given, speed);
            (pace != share.pace).then(|| (key.clone(), share.container, pace, given))
        };
        running.into_iter().zip(given).filter_map(new).collect()
    }

    /// How fast the work of one more container would go.
    pub fn pace_of_one_more(&self, demand: Demand, capacity: i64, speed: i64, now: SimTime) -> i64 {
        if speed == 1000 && self.wanted + demand.wanted <= capacity && demand.most() == demand.wanted {
            return 1000;
        }
        let shares = self.pods.values().flat_map(|pod| &pod.shares).filter(|share| share.runs(now));
        let mut demands: Vec<Demand> = shares.map(|share| share.demand).collect();
        demands.push(demand);
        let given = cpu::shares(capacity, &demands).pop().unwrap_or(demand.wanted);
        cpu::pace(&demand, given, speed)
    }

    /// The next instant after `now` at which a container ends by what is known.
    pub fn next_end(&self, now: SimTime) -> Option<SimTime> {
        let ends = self.pods.values().flat_map(|pod| &pod.shares).filter_map(|share| share.until);
        ends.filter(|until| *until > now).min()
    }
}
