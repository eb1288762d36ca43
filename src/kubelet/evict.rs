//! Whom a kubelet evicts when its node runs short, and what it does before that
//! (`pkg/kubelet/eviction/eviction_manager.go`).
//!
//! ```text
//! every 10 s: observe ─▶ conditions ─▶ pods over their own limits of the disk
//!                     └▶ thresholds met ─▶ disk: remove unused images, perhaps that is enough
//!                                       └▶ rank the pods, evict the first, wait until it is gone, look again
//! ```
//!
//! Nothing ticks: the next look is the first tick after the instant at which a threshold will be crossed.

use super::eviction_rank::{Candidate, Measured, compare};
use super::load::Stock;
use super::node::{NodeState, SOURCE};
use super::pressure::{self, Observation, PERIOD};
use super::{Kubelet, Order};
use crate::model::machine::{Signal, Threshold};
use crate::model::pod::CONFIG_SOURCE;
use crate::model::quantity::Quantity;
use crate::model::{Key, Name, Object, Pod};
use crate::runtime::Cx;
use crate::time::{SimDuration, SimTime};
use std::sync::Arc;

/// From this priority on a pod is critical and never evicted (`pkg/apis/scheduling/types.go`).
pub const CRITICAL: i32 = 2_000_000_000;
/// How often it is asked whether an evicted pod is gone.
const CLEANUP_POLL: SimDuration = SimDuration::from_secs(1);
/// How long an evicted pod is waited for: to stop, and to be cleaned up.
const CLEANUP_PATIENCE: SimDuration = SimDuration::from_secs(40);
/// How often images are collected (`ImageGCPeriod`).
const IMAGE_GC_PERIOD: SimDuration = SimDuration::from_secs(300);

/// When a kubelet looks for shortages.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    /// One look; the others are whole periods later. Its start if there was none yet.
    anchor: Option<SimTime>,
    /// Evicted pods that are not gone yet, and since when it waits for them.
    waiting: Option<(Vec<Key>, SimTime)>,
    /// The last look that was made.
    looked: Option<SimTime>,
    /// The last time that images were collected.
    collected: Option<SimTime>,
}

impl Watch {
    /// Of what happens at one instant the look came first, whether or not it had a reason then.
    pub fn has_passed(&mut self, now: SimTime) {
        (self.looked, self.collected) = (Some(now), Some(now));
    }
}

/// A pod is evicted.
#[derive(Clone, Debug)]
pub struct Eviction {
    /// Seconds it gets.
    pub grace_seconds: i64,
    /// Why.
    pub message: Name,
    /// The message of the condition that tells of the disruption, if one does.
    pub disruption: Option<Name>,
}

/// Whether a pod is critical: of a critical priority, or run by the kubelet itself
/// (`pkg/kubelet/types/pod_update.go`, `IsCriticalPod`).
pub fn is_critical(pod: &Pod) -> bool {
    pod.spec.priority >= CRITICAL || is_static(pod)
}

/// Whether a kubelet runs a pod of itself, which the API only mirrors.
pub fn is_static(pod: &Pod) -> bool {
    pod.meta.annotations.get(&CONFIG_SOURCE).is_some() || pod.is_mirror()
}

/// The first tick of a grid at or after `from`.
fn tick(anchor: SimTime, period: SimDuration, from: SimTime) -> SimTime {
    let late = (from - anchor).0.rem_euclid(period.0);
    if late == 0 { from } else { from + SimDuration(period.0 - late) }
}

/// What was done in this instant is not done again in it.
fn not_again(done: Option<SimTime>, now: SimTime) -> SimTime {
    if done == Some(now) { now + SimDuration(1) } else { now }
}

impl NodeState {
    fn look_anchor(&self) -> SimTime {
        self.watch.anchor.unwrap_or(self.since)
    }

    fn below(&self, threshold: &Threshold, now: SimTime) -> i64 {
        threshold.below.of(self.stock(threshold.signal, now).1)
    }

    /// Whether what the containers take can make a difference at all.
    pub fn concerned(&self, now: SimTime) -> bool {
        self.hurried
            || !self.unhurried()
            || !self.pressure.at_rest()
            || self.next_look(now, false).is_some()
            || !self.enough()
    }

    /// The next time that the kubelet does something of itself that can come to something.
    pub fn next_look(&self, now: SimTime, eager: bool) -> Option<SimTime> {
        self.next_threshold(now, eager).into_iter().chain(self.next_image_gc(now)).min()
    }

    /// The next look for shortages that can find one.
    fn next_threshold(&self, now: SimTime, eager: bool) -> Option<SimTime> {
        if let Some((_, since)) = &self.watch.waiting {
            return Some((*since + CLEANUP_PATIENCE).max(now));
        }
        let from = not_again(self.watch.looked, now);
        if eager || !self.pressure.at_rest() {
            return Some(tick(self.look_anchor(), PERIOD, from));
        }
        let thresholds = self.setup.thresholds.iter();
        let crossed = thresholds.filter_map(|threshold| {
            self.first_below(threshold.signal, self.below(threshold, now), from).map(|at| at.max(from))
        });
        let limits = self.load.limited().filter_map(|pod| pod.first_over_disk_limit(from));
        crossed.chain(limits).min().map(|at| tick(self.look_anchor(), PERIOD, at))
    }

    /// The next collection of images that can find something: the disk is fuller than it should be.
    fn next_image_gc(&self, now: SimTime) -> Option<SimTime> {
        let from = not_again(self.watch.collected, now);
        let capacity = self.registers.capacity.ephemeral_storage;
        // In whole percent, as they are compared: 85 % are reached where less than 16 % are free.
        let room = (capacity * (101 - self.setup.image_gc_high_percent) + 99) / 100;
        let full =
            self.first_below(Signal::ImageFsAvailable, room, from).filter(|_| self.setup.image_gc_high_percent < 100);
        // Not with the kubelet's first breath: the first is a period later.
        full.map(|at| tick(self.since, IMAGE_GC_PERIOD, at.max(from).max(self.since + SimDuration(1))))
    }

    /// An evicted pod is gone at `now`. Tells whether that lets the kubelet look again.
    pub fn cleaned_up(&mut self, key: &Key, now: SimTime) -> bool {
        let Some((pods, _)) = &mut self.watch.waiting else { return false };
        pods.retain(|pod| pod != key);
        if !pods.is_empty() {
            return false;
        }
        self.watch.waiting = None;
        self.watch.anchor = Some(now + CLEANUP_POLL);
        true
    }
}

/// A pod on the node that could be evicted.
struct Active {
    key: Key,
    pod: Arc<Pod>,
    measured: Option<Measured>,
}

impl Kubelet {
    /// What the kubelet does of itself at `now`: looks for shortages, collects images.
    pub(super) fn housekeeping(&mut self, at: usize, cx: &mut Cx<'_>) {
        let (node, now) = (&mut self.nodes[at], cx.now);
        if node.watch.waiting.as_ref().is_some_and(|(_, since)| *since + CLEANUP_PATIENCE <= now) {
            node.watch.waiting = None;
            node.watch.anchor = Some(now);
        }
        let due = |anchor: SimTime, period| now >= anchor && tick(anchor, period, now) == now;
        if due(node.since, IMAGE_GC_PERIOD) && now > node.since && node.watch.collected != Some(now) {
            node.watch.collected = Some(now);
            self.collect_images(at, cx);
        }
        let node = &mut self.nodes[at];
        if node.watch.waiting.is_none() && due(node.look_anchor(), PERIOD) && node.watch.looked != Some(now) {
            node.watch.looked = Some(now);
            let evicted = self.look(at, cx);
            let node = &mut self.nodes[at];
            if !evicted.is_empty() {
                node.watch.waiting = Some((evicted, now));
            }
            if node.pressure.conditions != node.reported {
                let tick = node.next_status_tick(now - SimDuration(1), &self.settings);
                node.status_due = Some(tick);
                cx.wake(Key::cluster(crate::model::Kind::Machine, node.name.clone()), tick);
            }
        }
    }

    /// One look of the eviction manager: the pods that it evicts.
    fn look(&mut self, at: usize, cx: &mut Cx<'_>) -> Vec<Key> {
        let (node, now) = (&mut self.nodes[at], cx.now);
        let setup = node.setup.clone();
        let seen = Signal::ALL.map(|signal| node.observe(signal, now));
        let of = |signal: Signal| seen[Signal::ALL.iter().position(|other| *other == signal).unwrap_or(0)];
        let acting = node.pressure.look(&setup.thresholds, &of, setup.pressure_transition, now);
        let over = self.over_their_limits(at, cx);
        if !over.is_empty() {
            return self.evict_all(over, cx);
        }
        let acting: Vec<&Threshold> = acting.into_iter().map(|index| &setup.thresholds[index]).collect();
        let Some(first) = acting.first() else { return Vec::new() };
        let resource = first.signal.resource();
        let node = &self.nodes[at];
        if self.settings.events {
            let object = Object::Node(cx.view.node(&node.name).unwrap_or(&node.registers).clone());
            let message = format!("Attempting to reclaim {resource}");
            cx.event(&object, true, SOURCE, crate::name!("EvictionThresholdMet"), message);
        }
        if first.signal.of_disk() {
            let free = i64::MAX;
            self.remove_images(at, free, now);
            self.report_images(at, cx);
            let node = &self.nodes[at];
            let seen = |signal: Signal| node.observe(signal, now);
            if pressure::PressureState::relieved(&setup.thresholds, &seen) {
                return Vec::new();
            }
        }
        let mut active = self.active(at, cx);
        let kind = pressure::ranking(first.signal);
        let candidate = |one: &Active| Candidate::of(&one.pod, one.measured);
        active.sort_by(|a, b| compare(kind, &candidate(a), &candidate(b)));
        let Some(chosen) = active.into_iter().find(|active| !is_critical(&active.pod)) else { return Vec::new() };
        let message = self.message(at, first, &acting, &of, &chosen, now);
        let hard = first.grace == SimDuration::ZERO;
        let grace_seconds = if hard { 1 } else { setup.eviction_grace_seconds };
        let message = Name::from(message);
        let eviction = Eviction { grace_seconds, disruption: Some(message.clone()), message };
        self.evict_all(vec![(chosen.key, eviction)], cx)
    }

    fn message(
        &self,
        at: usize,
        first: &Threshold,
        acting: &[&Threshold],
        seen: &dyn Fn(Signal) -> Observation,
        chosen: &Active,
        now: SimTime,
    ) -> String {
        let mut message = pressure::low_message(first, acting, &seen);
        let stock = match first.signal {
            Signal::MemoryAvailable => Stock::Memory,
            Signal::NodeFsAvailable | Signal::ImageFsAvailable => Stock::Disk,
            _ => return message,
        };
        let resource = first.signal.resource();
        for share in self.nodes[at].load.pod(&chosen.key).into_iter().flat_map(|pod| &pod.shares) {
            let container = super::pod_worker::container_of(&chosen.pod, share.container);
            let (used, request) = (share.takes(stock, now), container.requests.get(resource));
            if used > request {
                message.push_str(&pressure::container_message(&container.name, used, request, resource));
            }
        }
        message
    }

    /// The pods on a node that have not ended.
    fn active(&self, at: usize, cx: &Cx<'_>) -> Vec<Active> {
        let node = &self.nodes[at];
        let active = |key: &Key| {
            let (pod, worker) = (self.statics.pod(cx.view, key)?.clone(), self.workers.get(key)?);
            let takes = |stock| node.load.pod(key).map_or(0, |pod| pod.takes(stock, cx.now));
            // Before its sandbox is there nothing can be measured of it.
            let measured = worker.sandbox.then(|| Measured {
                memory: takes(Stock::Memory),
                disk: takes(Stock::Disk),
                processes: takes(Stock::Pids).unsigned_abs(),
                inodes: takes(Stock::Inodes),
            });
            (!worker.concluded()).then(|| Active { key: key.clone(), pod, measured })
        };
        node.accepted().filter_map(active).collect()
    }

    /// Pods that have written more than they may (`localStorageEviction`).
    fn over_their_limits(&self, at: usize, cx: &Cx<'_>) -> Vec<(Key, Eviction)> {
        let (load, now) = (&self.nodes[at].load, cx.now);
        let over = |key: &Key, pod: &super::load::PodLoad| {
            let limits = pod.disk_limits.as_ref()?;
            let amount = |bytes: i64| Quantity::bytes(bytes).to_string();
            let in_volume = |volume: &Name| -> i64 {
                let users = pod.shares.iter().filter(|share| share.volume.as_ref() == Some(volume));
                users.map(|share| share.in_volume(now)).sum()
            };
            let message =
                if let Some((volume, limit)) = limits.volumes.iter().find(|(one, most)| in_volume(one) > *most) {
                    format!("Usage of EmptyDir volume {volume:?} exceeds the limit {:?}. ", amount(*limit))
                } else if pod.takes(Stock::Disk, now) > limits.pod {
                    let limit = amount(limits.pod);
                    format!("Pod ephemeral local storage usage exceeds the total limit of containers {limit}. ")
                } else {
                    let (name, limit) = limits.containers.iter().find_map(|(container, name, limit)| {
                        let share = pod.shares.iter().find(|share| share.container == *container)?;
                        (share.own_disk(now) > *limit).then_some((name, *limit))
                    })?;
                    format!("Container {name} exceeded its local ephemeral storage limit {:?}. ", amount(limit))
                };
            let object = self.statics.pod(cx.view, key).filter(|pod| !is_critical(pod));
            object.map(|_| (key.clone(), Eviction { grace_seconds: 1, message: message.into(), disruption: None }))
        };
        load.pods().filter_map(|(key, pod)| over(key, pod)).collect()
    }

    fn evict_all(&mut self, evictions: Vec<(Key, Eviction)>, cx: &mut Cx<'_>) -> Vec<Key> {
        let keys = evictions.iter().map(|(key, _)| key.clone()).collect();
        for (key, eviction) in evictions {
            self.orders.entry(key.clone()).or_default().push((cx.now, Order::Evict(eviction)));
            cx.wake(key, cx.now);
        }
        keys
    }

    // ---- images ----

    /// The node says with its next status which images it has no more.
    fn report_images(&mut self, at: usize, cx: &mut Cx<'_>) {
        let node = &mut self.nodes[at];
        if let Some(tick) = node.plan_report(cx.now, &self.settings) {
            cx.wake(Key::cluster(crate::model::Kind::Machine, node.name.clone()), tick);
        }
    }

    /// Images whose removal brings the disk from the high mark down to the low one
    /// (`pkg/kubelet/images/image_gc_manager.go`, `GarbageCollect`).
    fn collect_images(&mut self, at: usize, cx: &mut Cx<'_>) {
        let (node, now) = (&self.nodes[at], cx.now);
        let Observation { available, capacity } = node.observe(Signal::ImageFsAvailable, now);
        if capacity == 0 || 100 - available * 100 / capacity < node.setup.image_gc_high_percent {
            return;
        }
        let wanted = capacity * (100 - node.setup.image_gc_low_percent) / 100 - available;
        let freed = self.remove_images(at, wanted, now);
        // Only now: what is planned at a look that finds nothing would hang on who looks.
        self.report_images(at, cx);
        let node = &self.nodes[at];
        if freed < wanted && self.settings.events {
            let object = Object::Node(cx.view.node(&node.name).unwrap_or(&node.registers).clone());
            let message = format!(
                "Failed to garbage collect required amount of images. Attempted to free {wanted} bytes, but only \
                 found {freed} bytes eligible to free."
            );
            cx.event(&object, true, SOURCE, crate::name!("FreeDiskSpaceFailed"), message);
        }
    }

    /// Removes images that no container uses, the longest unused first, until so much is free.
    fn remove_images(&mut self, at: usize, wanted: i64, now: SimTime) -> i64 {
        let accepted: Vec<Key> = self.nodes[at].accepted().cloned().collect();
        let used: Vec<Name> = accepted
            .iter()
            .filter_map(|key| self.workers.get(key))
            .filter(|worker| !worker.concluded())
            .flat_map(|worker| worker.images.iter().cloned())
            .collect();
        let node = &mut self.nodes[at];
        let age = node.setup.image_gc_age;
        node.images.remove_unused(&used, wanted, age, now)
    }
}
