//! Which nodes are unneeded, and which of them go now (`core/scaledown/planner/`, `simulator/cluster.go`).
//!
//! A worked example: a node has 30 % of its cpu requested, by three pods of a Deployment. They all fit on its neighbours, so
//! it is unneeded. If that is still so ten minutes later, and nothing was added within ten minutes, it goes.

use super::drain_rules::{Budgets, Fate, fate};
use super::world::{CANDIDATE, World};
use super::{ClusterAutoscaler, Removals};
use crate::model::{Key, Kind, Name, Node, Pod, Taint, TaintEffect};
use crate::runtime::Cx;
use crate::scenario::autoscaler::Autoscaler;
use crate::store::{Patch, Preconditions, Write};
use crate::time::SimTime;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Nodes with pods that are looked at, at most (`--scale-down-non-empty-candidates-count`).
const NON_EMPTY_MAX: usize = 30;
/// Taints put on or taken off in one look (`--max-bulk-soft-taint-count`).
const SOFT_TAINTS: usize = 10;

/// Why a node stays (`simulator/cluster.go`, `UnremovableReason`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unremovable {
    /// It belongs to no group.
    NotAutoscaled,
    /// Its annotation forbids it.
    ScaleDownDisabledAnnotation,
    /// It could not be removed lately.
    RecentlyUnremovable,
    /// Too much of it is requested.
    NotUnderutilized,
    /// A pod keeps it; which rule.
    BlockedByPod(&'static str),
    /// A pod of it fits nowhere else.
    NoPlaceToMovePods,
    /// Not for long enough.
    NotUnneededLongEnough,
    /// It is not ready, but not for long enough.
    NotUnreadyLongEnough,
    /// Its group is as small as it may be.
    NodeGroupMinSizeReached,
}

/// What it remembers from look to look.
#[derive(Clone, Debug, Default)]
pub struct Unneeded {
    since: BTreeMap<Name, SimTime>,
    /// Nodes that could not be removed, until when they are left alone.
    unremovable: BTreeMap<Name, SimTime>,
    /// Why nodes stayed at the last look.
    pub reasons: BTreeMap<Name, Unremovable>,
    tainted: BTreeSet<Name>,
}

impl Unneeded {
    /// The nodes that nobody needs.
    pub fn candidates(&self) -> impl Iterator<Item = &Name> {
        self.since.keys()
    }
}

/// The larger share of cpu or memory that is requested, in millionths (`simulator/utilization/info.go`). A node with
/// GPUs is judged by those alone.
pub fn utilization(node: &Node, pods: &[Arc<Pod>], settings: &Autoscaler, now: SimTime) -> i128 {
    let counts = |pod: &&Arc<Pod>| {
        let daemon = pod.meta.controller().is_some_and(|owner| owner.kind == Kind::DaemonSet);
        let lingering = pod.meta.deletion.is_some_and(|deletion| deletion.at < now);
        !(lingering || daemon && settings.ignore_daemonsets_utilization)
    };
    let share = |of: &dyn Fn(&crate::model::Resources) -> i64| {
        let wanted: i64 = pods.iter().filter(counts).map(|pod| of(pod.requests())).sum();
        i128::from(wanted) * 1_000_000 / i128::from(of(&node.allocatable).max(1))
    };
    let gpu = |amounts: &crate::model::Resources| amounts.get("nvidia.com/gpu");
    match gpu(&node.allocatable) > 0 {
        true => share(&gpu),
        false => share(&|r| r.milli_cpu).max(share(&|r| r.memory)),
    }
}

/// A node that could go, with the pods that would move.
#[derive(Clone, Debug)]
struct Removable {
    name: Name,
    moving: usize,
}

impl ClusterAutoscaler {
    /// Brings the unneeded nodes up to date, and begins to remove some. When a delay passes that could change something.
    pub(super) fn scale_down(&mut self, world: &mut World, cx: &mut Cx<'_>) -> Option<SimTime> {
        self.scale_down.unremovable.retain(|_, until| *until > cx.now);
        let removable = self.unneeded(world, cx);
        let names: BTreeSet<Name> = removable.iter().map(|one| one.name.clone()).collect();
        self.scale_down.since.retain(|name, _| names.contains(name));
        for name in &names {
            self.scale_down.since.entry(name.clone()).or_insert(cx.now);
        }
        self.soft_taints(world, &names, cx);
        let wait = self.cool_down(cx.now);
        let mut next = wait.into_iter().chain(self.scale_down.unremovable.values().copied()).collect::<Vec<_>>();
        let mut sizes: Vec<u32> = world.groups.iter().map(|group| group.target).collect();
        for one in removable {
            match self.due(world, &one, &sizes, cx.now) {
                Err((why, at)) => {
                    self.scale_down.reasons.insert(one.name, why);
                    next.extend(at);
                }
                Ok(group) if wait.is_none() && self.removals.room_for(&self.settings, one.moving > 0) => {
                    sizes[group] -= 1;
                    self.scale_down.since.remove(&one.name);
                    self.begin_removal(&one.name, one.moving, group, cx);
                }
                // The next look after one of those under way is through.
                Ok(_) => {}
            }
        }
        next.into_iter().filter(|at| *at > cx.now).min()
    }

    /// Until when nothing is removed, if that is so (`isScaleDownInCooldown`).
    fn cool_down(&self, now: SimTime) -> Option<SimTime> {
        let settings = &self.settings;
        let delays = [
            (self.last_added, settings.scale_down_delay_after_add),
            (self.last_deleted, settings.scale_down_delay_after_delete),
            (self.last_failed, settings.scale_down_delay_after_failure),
        ];
        let until = delays.into_iter().filter_map(|(at, delay)| Some(at? + delay.0)).max();
        until.filter(|until| *until > now)
    }

    /// Whether an unneeded node goes now: its group, or why not and until when.
    fn due(
        &self,
        world: &World,
        one: &Removable,
        sizes: &[u32],
        now: SimTime,
    ) -> Result<usize, (Unremovable, Option<SimTime>)> {
        let seen = &world.nodes[&one.name];
        let (settings, since) = (&self.settings, self.scale_down.since[&one.name]);
        let (time, why) = match seen.ready {
            true => (settings.scale_down_unneeded_time, Unremovable::NotUnneededLongEnough),
            false => (settings.scale_down_unready_time, Unremovable::NotUnreadyLongEnough),
        };
        if now < since + time.0 {
            return Err((why, Some(since + time.0)));
        }
        let group = seen.group.ok_or((Unremovable::NotAutoscaled, None))?;
        if sizes[group] <= self.groups[group].min {
            return Err((Unremovable::NodeGroupMinSizeReached, None));
        }
        Ok(group)
    }

    /// Nodes that could all go at once, in the order in which they were found.
    fn unneeded(&mut self, world: &mut World, cx: &Cx<'_>) -> Vec<Removable> {
        self.scale_down.reasons.clear();
        let mut candidates: Vec<(bool, bool, Name)> = Vec::new();
        let names: Vec<Name> = world.nodes.keys().cloned().collect();
        for name in names {
            match self.eligible(world, &name, cx.now) {
                Err(why) => _ = self.scale_down.reasons.insert(name, why),
                Ok(()) => {
                    let known = self.scale_down.since.contains_key(&name);
                    let moves = |pod: &Arc<Pod>| pod.meta.controller().is_none_or(|one| one.kind != Kind::DaemonSet);
                    let empty = !world.predicates.pods_on(&name).iter().any(moves);
                    candidates.push((!known, !empty, name));
                }
            }
        }
        candidates.sort();
        let mut budgets = Budgets::new(cx.view);
        let (mut found, mut looked): (Vec<Removable>, usize) = (Vec::new(), 0);
        for (_, occupied, name) in candidates {
            looked += usize::from(occupied);
            if looked > NON_EMPTY_MAX {
                break;
            }
            match self.simulate(world, &name, &mut budgets, cx) {
                Ok(moving) => found.push(Removable { name, moving }),
                Err(why) => {
                    let until = cx.now + self.settings.unremovable_node_recheck_timeout.0;
                    self.scale_down.unremovable.insert(name.clone(), until);
                    self.scale_down.reasons.insert(name, why);
                }
            }
        }
        found
    }

    /// Whether a node comes into question at all (`core/scaledown/eligibility/eligibility.go`).
    fn eligible(&self, world: &World, name: &Name, now: SimTime) -> Result<(), Unremovable> {
        let seen = &world.nodes[name];
        if seen.group.is_none() || seen.starting {
            return Err(Unremovable::NotAutoscaled);
        }
        let disabled = seen.node.meta.annotations.get("cluster-autoscaler.kubernetes.io/scale-down-disabled");
        if disabled.is_some_and(|value| value == "true") {
            return Err(Unremovable::ScaleDownDisabledAnnotation);
        }
        if self.scale_down.unremovable.contains_key(name) {
            return Err(Unremovable::RecentlyUnremovable);
        }
        let threshold = (self.settings.scale_down_utilization_threshold.0 * 1e6).round() as i128;
        if utilization(&seen.node, &world.predicates.pods_on(name), &self.settings, now) > threshold {
            return Err(Unremovable::NotUnderutilized);
        }
        Ok(())
    }

    /// Takes the node away in the copy of the cluster, if its pods fit elsewhere: how many move. Nodes found before are
    /// no destination any more, and what was moved has its new place.
    fn simulate(
        &self,
        world: &mut World,
        name: &Name,
        budgets: &mut Budgets,
        cx: &Cx<'_>,
    ) -> Result<usize, Unremovable> {
        let pods = world.predicates.pods_on(name);
        let mut moving = Vec::new();
        for pod in &pods {
            match fate(cx.view, pod, budgets, &self.settings, cx.now) {
                Fate::Moves => moving.push(pod.clone()),
                Fate::Stays => {}
                Fate::Blocks(rule) => return Err(Unremovable::BlockedByPod(rule)),
            }
        }
        let node = world.nodes[name].node.clone();
        world.predicates.remove_node(name);
        let nodes = world.predicates.nodes();
        let mut moved: Vec<Arc<Pod>> = Vec::new();
        for pod in &moving {
            world.predicates.unplace(pod);
            // It will be another pod: nothing binds it to its old node.
            let mut homeless = Pod::clone(pod);
            homeless.node = None;
            let homeless = Arc::new(homeless);
            match world.predicates.find(&homeless, nodes.iter()) {
                Some(place) => world.predicates.place(&homeless, &place),
                None => {
                    moved.iter().for_each(|pod| world.predicates.unplace(pod));
                    world.predicates.set_node(&node);
                    moved.iter().chain([pod]).for_each(|pod| world.predicates.place(pod, name));
                    return Err(Unremovable::NoPlaceToMovePods);
                }
            }
            moved.push(pod.clone());
        }
        moving.iter().for_each(|pod| budgets.take(cx.view, pod));
        Ok(moving.len())
    }

    /// Unneeded nodes get a taint that makes the scheduler avoid them.
    fn soft_taints(&mut self, world: &World, unneeded: &BTreeSet<Name>, cx: &mut Cx<'_>) {
        let node = |name: &Name| Key::cluster(Kind::Node, name.clone());
        let (mut wrong, mut budget) = (Vec::new(), SOFT_TAINTS);
        for name in self.scale_down.tainted.iter().filter(|name| !unneeded.contains(*name)).take(budget) {
            wrong.push(name.clone());
            if world.nodes.contains_key(name) {
                let remove = vec![(CANDIDATE, TaintEffect::PreferNoSchedule)];
                let patch = Patch::Taints { add: Vec::new(), remove };
                cx.write(Write::Patch(node(name), patch, Preconditions::default()));
            }
        }
        budget -= wrong.len();
        wrong.iter().for_each(|name| _ = self.scale_down.tainted.remove(name));
        let new: Vec<Name> =
            unneeded.iter().filter(|name| !self.scale_down.tainted.contains(*name)).take(budget).cloned().collect();
        for name in new {
            let value = Name::from(cx.now.whole_seconds().to_string());
            let taint = Taint { key: CANDIDATE, value, effect: TaintEffect::PreferNoSchedule, added: None };
            let patch = Patch::Taints { add: vec![taint], remove: Vec::new() };
            cx.write(Write::Patch(node(&name), patch, Preconditions::default()));
            self.scale_down.tainted.insert(name);
        }
    }
}

impl Removals {
    /// Whether one more node may be removed now.
    pub fn room_for(&self, settings: &Autoscaler, occupied: bool) -> bool {
        let drained = self.occupied();
        self.nodes().len() < settings.max_scale_down_parallelism as usize
            && (!occupied || drained < settings.max_drain_parallelism as usize)
    }
}
