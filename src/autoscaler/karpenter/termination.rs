//! The end of a node (`pkg/controllers/node/termination/`): taint, evict as budgets allow, give the machine back. A spot
//! machine that the provider wants back has two minutes, whatever its pods say.

use super::{Karpenter, SOURCE};
use crate::autoscaler::give_back;
use crate::model::{Key, Kind, Machine, Name, Node, Pod, Taint, TaintEffect};
use crate::rng::Delay;
use crate::runtime::{Cx, Requeue};
use crate::store::{DeleteOptions, Patch, Preconditions, Write};
use crate::time::{SimDuration, SimTime};
use std::sync::Arc;

/// A refused eviction is tried again.
const RETRY: SimDuration = SimDuration::from_secs(10);
/// From the warning to the end of a spot machine.
const SPOT_NOTICE: SimDuration = SimDuration::from_secs(120);

/// Why a node ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// It has no pods.
    Empty,
    /// Its pods fit elsewhere, or on something cheaper.
    Underutilized,
    /// The provider wants it back.
    Interrupted,
}

/// A node that ends.
#[derive(Clone, Copy, Debug)]
pub struct Ending {
    /// When it ends even with pods.
    by: Option<SimTime>,
    given_back: bool,
}

impl Karpenter {
    /// Begins the end of a node.
    pub(super) fn end(&mut self, name: &Name, why: Why, cx: &mut Cx<'_>) {
        if self.ending.contains_key(name) {
            return;
        }
        let taint = Taint {
            key: crate::name!("karpenter.sh/disrupted"),
            value: Name::new(),
            effect: TaintEffect::NoSchedule,
            added: None,
        };
        let patch = Patch::Taints { add: vec![taint], remove: Vec::new() };
        cx.write(Write::Patch(Key::cluster(Kind::Node, name.clone()), patch, Preconditions::default()));
        let (warning, reason, message) = match why {
            Why::Empty => (false, "DisruptionTerminating", "Disrupting Node: Empty/Delete"),
            Why::Underutilized => (false, "DisruptionTerminating", "Disrupting Node: Underutilized/Delete"),
            Why::Interrupted => (true, "SpotInterrupted", "Spot interruption warning was detected"),
        };
        if let Some(about) = Self::about(name, cx) {
            cx.event(&about, warning, SOURCE, Name::from(reason), message);
        }
        let by = (why == Why::Interrupted).then(|| cx.now + SPOT_NOTICE);
        self.ending.insert(name.clone(), Ending { by, given_back: false });
        cx.wake(Key::cluster(Kind::Node, name.clone()), cx.now);
    }

    /// Goes on with the end of a node.
    pub(super) fn end_node(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        let name = &key.name;
        let Some(ending) = self.ending.get(name).copied() else { return Requeue::Done };
        let machine = cx.view.fetch::<Machine>(&Name::new(), name).cloned();
        let Some(machine) = machine else {
            self.ending.remove(name);
            self.touched.remove(name);
            return Requeue::Done;
        };
        if ending.given_back {
            return Requeue::After(RETRY);
        }
        let moves = |pod: &&Arc<Pod>| {
            let daemon = pod.meta.controller().is_some_and(|owner| owner.kind == Kind::DaemonSet);
            !daemon && !pod.status.phase.terminal()
        };
        let pods: Vec<Arc<Pod>> = cx.view.pods_on(name).filter(moves).cloned().collect();
        let node: Option<&Arc<Node>> = cx.view.node(name);
        if pods.is_empty() || node.is_none() || ending.by.is_some_and(|by| by <= cx.now) {
            self.ending.insert(name.clone(), Ending { given_back: true, ..ending });
            cx.write(give_back(&machine));
            return Requeue::After(RETRY);
        }
        for pod in pods.iter().filter(|pod| !pod.meta.deleting()) {
            let pod_key = Key::new(Kind::Pod, pod.meta.namespace.clone(), pod.meta.name.clone());
            let options = DeleteOptions { preconditions: Preconditions::uid(pod.meta.uid), ..DeleteOptions::default() };
            cx.background(vec![Write::Evict { pod: pod_key, options }]);
        }
        let next = cx.now + RETRY;
        Requeue::After(ending.by.map_or(next, |by| by.min(next)) - cx.now)
    }

    /// A spot machine lives as long as the provider lets it.
    pub(super) fn spot(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        let Some(lifetime) = self.wish.spot_lifetime else { return Requeue::Done };
        let Some(machine) = cx.view.fetch_key::<Machine>(key).filter(|machine| machine.up) else {
            return Requeue::Done;
        };
        let spot = machine.node.meta.labels.get("karpenter.sh/capacity-type").is_some_and(|value| value == "spot");
        if !spot || self.ending.contains_key(&key.name) {
            return Requeue::Done;
        }
        let life = Delay::from(lifetime).sample(&mut cx.seed.stream("spot-lifetime", &key.name));
        let warning = machine.up_since + (life - SPOT_NOTICE).max_zero();
        if cx.now < warning {
            return Requeue::After(warning - cx.now);
        }
        self.end(&key.name, Why::Interrupted, cx);
        Requeue::Done
    }
}
