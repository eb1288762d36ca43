//! A node that is shut down in an orderly way (`pkg/kubelet/nodeshutdown/nodeshutdown_manager.go`).
//!
//! The kubelet holds the shutdown up for `shutdownGracePeriod`: it says NotReady, refuses pods, and stops its own, first
//! those that are not critical, then for `shutdownGracePeriodCriticalPods` the others. A group that is done early lets
//! the next one begin. Then the power goes. Without a grace period it goes at once.

use super::evict::{CRITICAL, Eviction};
use super::node::{NodeState, SOURCE};
use super::{Kubelet, Order};
use crate::model::machine::Trouble;
use crate::model::{Key, Kind, Name, Object};
use crate::runtime::Cx;
use crate::time::{SimDuration, SimTime};

/// What the pods are told.
const MESSAGE: Name = crate::name!("Pod was terminated in response to imminent node shutdown.");

/// A shutdown under way.
#[derive(Clone, Debug)]
pub struct Shutdown {
    /// The incident that brought it.
    pub incident: Name,
    /// Whose turn it is.
    turn: Turn,
    /// When their time is over.
    until: SimTime,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Turn {
    Ordinary,
    Critical,
    Off,
}

impl Shutdown {
    /// Whether the power goes now.
    pub fn off(&self) -> bool {
        self.turn == Turn::Off
    }
}

impl NodeState {
    /// Whether it is being shut down and takes no pods any more.
    pub fn shutting_down(&self) -> bool {
        self.troubles.has(Trouble::ShuttingDown) && self.setup.shutdown_grace > SimDuration::ZERO
    }
}

impl Kubelet {
    /// One step of a shutdown, if there is one: when the next is due.
    pub(super) fn shut_down(&mut self, at: usize, cx: &mut Cx<'_>) -> Option<SimTime> {
        let (node, now) = (&mut self.nodes[at], cx.now);
        let told = node.troubles.0.iter().find(|(_, trouble)| *trouble == Trouble::ShuttingDown);
        let Some((incident, _)) = told.filter(|_| node.up) else {
            node.shutdown = None;
            return None;
        };
        let (all, critical) = (node.setup.shutdown_grace, node.setup.shutdown_grace_critical);
        if node.shutdown.is_none() {
            let (incident, turn) = (incident.clone(), Turn::Ordinary);
            node.shutdown = Some(Shutdown { incident, turn, until: now + (all - critical) });
            node.status_due = Some(now);
            cx.wake(Key::cluster(Kind::Machine, node.name.clone()), now);
            if node.shutting_down() {
                if self.settings.events {
                    let object = Object::Node(cx.view.node(&node.name).unwrap_or(&node.registers).clone());
                    let message = "Shutdown manager detected shutdown event";
                    cx.event(&object, false, SOURCE, crate::name!("Shutdown"), message);
                }
                self.stop_group(at, Turn::Ordinary, all - critical, cx);
            }
        }
        loop {
            let shutdown = self.nodes[at].shutdown.clone()?;
            let waits = shutdown.turn != Turn::Off && now < shutdown.until && self.any_left(at, shutdown.turn, cx);
            if waits {
                return Some(shutdown.until);
            }
            let (turn, until) = match shutdown.turn {
                Turn::Ordinary => (Turn::Critical, now + critical),
                Turn::Critical => (Turn::Off, SimTime::MAX),
                Turn::Off => return None,
            };
            let node = &mut self.nodes[at];
            node.shutdown = Some(Shutdown { turn, until, ..shutdown });
            match turn {
                Turn::Critical if node.shutting_down() => self.stop_group(at, turn, critical, cx),
                // Its API key writes that the power is gone.
                Turn::Off => cx.wake(Key::cluster(Kind::Machine, node.name.clone()), now),
                _ => {}
            }
        }
    }

    /// The pods of a group that are not over.
    fn group<'a>(&'a self, at: usize, turn: Turn, cx: &'a Cx<'_>) -> impl Iterator<Item = (Key, i64)> {
        let mine = move |key: &Key| {
            let pod = self.statics.pod(cx.view, key)?;
            let over = self.workers.get(key).is_none_or(|worker| worker.concluded());
            let critical = pod.spec.priority >= CRITICAL;
            (!over && critical == (turn == Turn::Critical)).then(|| (key.clone(), pod.spec.grace_seconds))
        };
        self.nodes[at].accepted().filter_map(mine)
    }

    fn any_left(&self, at: usize, turn: Turn, cx: &Cx<'_>) -> bool {
        self.group(at, turn, cx).next().is_some()
    }

    fn stop_group(&mut self, at: usize, turn: Turn, time: SimDuration, cx: &mut Cx<'_>) {
        let most = time.0 / 1_000_000_000;
        for (key, own) in self.group(at, turn, cx).collect::<Vec<_>>() {
            let eviction = Eviction { grace_seconds: own.min(most), message: MESSAGE, disruption: Some(MESSAGE) };
            self.orders.entry(key.clone()).or_default().push((cx.now, Order::ShutDown(eviction)));
            cx.wake(key, cx.now);
        }
    }
}
