//! Containers that get other amounts of cpu and memory while they run (`pkg/kubelet/allocation/allocation_manager.go`;
//! `pkg/kubelet/kuberuntime/kuberuntime_manager.go`, `doPodResizeAction`).
//!
//! What a pod wishes and what it was given are two things. A resize that no node of this size could grant is Infeasible;
//! one that does not fit beside the others is Deferred and tried again when a pod leaves; any other is granted at once
//! and in progress until the kubelet has seen it in force. A container whose `resizePolicy` says so starts anew.

use super::node::NodeState;
use super::pod_worker::{Env, PodWorker, container_of};
use crate::model::{Condition, Container, Name, PodSpec, Truth};
use crate::time::SimTime;
use std::sync::Arc;

/// What became of a pod's wishes for other resources.
#[derive(Clone, Debug, Default)]
pub struct Resize {
    /// What was granted instead of the spec that the pod began with.
    pub granted: Option<Arc<PodSpec>>,
    /// Why the last wish was not: reason, message, since.
    pending: Option<(Name, Name, SimTime)>,
    /// Since when and until when a grant is in progress.
    progress: Option<(SimTime, SimTime)>,
}

impl Resize {
    /// When a grant is seen in force.
    pub fn due(&self) -> Option<SimTime> {
        self.progress.map(|(_, until)| until)
    }

    /// Whether a wish waits for room.
    pub fn deferred(&self) -> bool {
        self.pending.as_ref().is_some_and(|(reason, ..)| *reason == "Deferred")
    }

    /// The conditions that tell of it.
    pub fn conditions(&self) -> impl Iterator<Item = Condition> {
        let pending = self.pending.clone().map(|(reason, message, since)| {
            Condition::new(crate::name!("PodResizePending"), Truth::True, reason, message, since)
        });
        let progress = self.progress.map(|(since, _)| {
            Condition::new(crate::name!("PodResizeInProgress"), Truth::True, Name::new(), Name::new(), since)
        });
        pending.into_iter().chain(progress)
    }
}

/// Whether two specs of a container ask for other amounts of `resource`.
fn differs(old: &Container, new: &Container, resource: &str) -> bool {
    old.requests.get(resource) != new.requests.get(resource) || old.limits.get(resource) != new.limits.get(resource)
}

/// Why a node cannot grant a pod's wish, given what the pod holds of it already.
fn refusal(wish: &PodSpec, held: &PodSpec, node: &NodeState) -> Option<(Name, String)> {
    let room = &node.registers.allocatable;
    for resource in ["memory", "cpu"] {
        let (requested, capacity) = (wish.requests.get(resource), room.get(resource));
        if requested > capacity {
            let message = format!("{resource}, requested: {requested}, capacity: {capacity}");
            return Some((crate::name!("Infeasible"), format!("Node didn't have enough capacity: {message}")));
        }
    }
    for resource in ["cpu", "memory"] {
        let (requested, capacity) = (wish.requests.get(resource), room.get(resource));
        let used = node.used.get(resource) - held.requests.get(resource);
        if requested > capacity - used {
            let message = format!("{resource}, requested: {requested}, used: {used}, capacity: {capacity}");
            return Some((crate::name!("Deferred"), format!("Node didn't have enough resource: {message}")));
        }
    }
    None
}

impl PodWorker {
    /// The container as its resources were granted.
    pub fn granted<'a>(&'a self, wish: &'a crate::model::Pod, at: usize) -> &'a Container {
        match &self.held {
            None => container_of(wish, at),
            Some(held) => {
                let (inits, apps) = (&held.spec.init_containers, &held.spec.containers);
                inits.get(at).unwrap_or_else(|| &apps[at - inits.len()])
            }
        }
    }

    /// The pod wishes for other resources, or there is room now for what it wished.
    pub fn resized(&mut self, env: &mut Env<'_>, now: SimTime) {
        let wish = &env.pod.spec;
        let Some(held) = self.held.as_ref().map(|held| held.spec.clone()) else { return };
        let same = held.hash == wish.hash;
        if self.stopping() || same && self.resize.pending.is_none() {
            return;
        }
        let changed: Vec<usize> = (0..self.instances.len())
            .filter(|at| {
                let (old, new) = (self.granted(env.pod, *at), env.container(*at));
                ["cpu", "memory"].iter().any(|resource| differs(old, new, resource))
            })
            .collect();
        let had = self.resize.pending.take();
        if changed.is_empty() {
            self.publish |= had.is_some();
            return;
        }
        if let Some((reason, message)) = refusal(wish, &held, env.node) {
            let since = had.as_ref().filter(|(old, ..)| *old == reason).map_or(now, |(.., since)| *since);
            self.publish |= had.as_ref().is_none_or(|(old, said, _)| (old, said.as_str()) != (&reason, &message));
            self.resize.pending = Some((reason, Name::from(message), since));
            return;
        }
        self.grant(env, &changed, now);
    }

    fn grant(&mut self, env: &mut Env<'_>, changed: &[usize], now: SimTime) {
        let restarts: Vec<bool> = changed
            .iter()
            .map(|at| {
                let (old, new) = (self.granted(env.pod, *at), env.container(*at));
                let policy = new.restart_on_resize;
                policy[0] && differs(old, new, "cpu") || policy[1] && differs(old, new, "memory")
            })
            .collect();
        if let Some(held) = &mut self.held {
            env.node.hold_instead(held, env.pod);
        }
        self.resize.granted = Some(env.pod.spec.clone());
        self.resize.progress = Some((now, env.node.relist(now, env.settings)));
        self.publish = true;
        for (at, restarts) in changed.iter().copied().zip(restarts) {
            if !self.instances[at].running() {
                continue;
            }
            if restarts {
                let why = format!("Container {} resize requires restart", env.container(at).name);
                self.instances[at].redefined = true;
                self.kill(env, at, env.pod.spec.grace_seconds, Name::from(why), now);
                continue;
            }
            let limit = env.container(at).limits.memory;
            let instance = &mut self.instances[at];
            let super::instance::State::Running { started } = instance.state else { continue };
            let used = instance.behavior.as_ref().map_or(0, |behavior| behavior.usage.memory);
            instance.run.out_of_memory = instance.run.over_limit(used, limit, started, now);
            instance.plan_end(env.node, env.settings);
        }
    }

    /// What was granted is seen in force.
    pub(super) fn resize_seen(&mut self) {
        self.resize.progress = None;
        self.publish = true;
    }
}
