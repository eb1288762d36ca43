//! Nodes whose machine the provider has no more are deleted: the cloud controller manager's part
//! (`staging/src/k8s.io/cloud-provider/controllers/nodelifecycle/node_lifecycle_controller.go`).
//!
//! It looks at all nodes every five seconds. A node that is not ready and whose machine is gone is deleted; one that
//! still says that it is ready is left alone. Nothing ticks: a node is looked at on the grid of those passes once it
//! may be due.

use crate::model::{Key, Kind, Machine, Name, Node, Object, Truth};
use crate::runtime::{ActorSettings, Controller, Cx, Requeue, Wake};
use crate::store::{Change, DeleteOptions, View, Write};
use crate::time::SimDuration;

/// `--node-monitor-period`.
const PERIOD: SimDuration = SimDuration::from_secs(5);
const SOURCE: Name = crate::name!("cloud-node-lifecycle-controller");

/// The controller.
#[derive(Clone, Copy, Debug, Default)]
pub struct CloudNodeLifecycle;

/// Its machinery: one pass after the other.
pub fn settings() -> ActorSettings {
    ActorSettings { workers: 1, ..ActorSettings::default() }
}

/// Whether the provider has a node's machine no more.
fn gone(view: View<'_>, name: &Name) -> bool {
    view.fetch::<Machine>(&Name::new(), name).is_none()
}

impl Controller for CloudNodeLifecycle {
    fn name(&self) -> &'static str {
        "cloud-node-lifecycle-controller"
    }

    fn watches(&self) -> &'static [Kind] {
        &[Kind::Machine, Kind::Node]
    }

    fn wake(&mut self, change: &Change, view: View<'_>, wake: &mut Wake<'_>) {
        let due = match &change.new {
            Some(Object::Node(node)) => node.ready() != Truth::True && gone(view, &node.meta.name),
            Some(_) => false,
            None => change.key.kind == Kind::Machine,
        };
        if due {
            let rest = (-wake.now().0).rem_euclid(PERIOD.0);
            wake.add_after(Key::cluster(Kind::Node, change.key.name.clone()), SimDuration(rest));
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        let Some(node) = cx.view.fetch_key::<Node>(key).cloned() else { return Requeue::Done };
        // A node of a manifest never had a machine; a ready one is heard of.
        if node.ready() == Truth::True || !gone(cx.live(), &key.name) || node.conditions.is_empty() {
            return Requeue::Done;
        }
        // Nobody can say whether the machine exists.
        if super::unreachable(cx.live()) {
            return Requeue::After(PERIOD);
        }
        let message = format!("Deleting node {} because it does not exist in the cloud provider", key.name);
        cx.event(&Object::Node(node), false, SOURCE, crate::name!("DeletingNode"), message);
        cx.write(Write::Delete(key.clone(), DeleteOptions::default()));
        Requeue::Done
    }
}
