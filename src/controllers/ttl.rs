//! How long kubelets may keep config maps and secrets before they ask again: an annotation of every node, by the size of
//! the cluster (`pkg/controller/ttl/ttl_controller.go`).
//!
//! A worked example: up to 100 nodes it is 0. The 101st makes it 15 s: that node gets it at once, the others with their
//! next status report. Back below 90 nodes it is 0 again.

use crate::model::{Key, Kind, Name, Node, Object};
use crate::runtime::{ActorSettings, Controller, Cx, Requeue, Wake};
use crate::store::{Change, Patch, Preconditions, View, Write};
use crate::time::{SimDuration, SimTime};
use rustc_hash::FxHashSet;

const ANNOTATION: Name = crate::name!("node.alpha.kubernetes.io/ttl");
/// Sizes of the cluster, from which (while it shrinks) and up to which (while it grows) so many seconds are right.
const BOUNDARIES: [(usize, usize, &str); 5] =
    [(0, 100, "0"), (90, 500, "15"), (450, 1000, "30"), (900, 2000, "60"), (1800, usize::MAX, "300")];
/// How often a kubelet reports a status in which nothing has changed (`nodeStatusReportFrequency`).
const REPORT: SimDuration = SimDuration::from_secs(300);

/// The TTL controller.
#[derive(Debug, Default)]
pub struct TtlController {
    nodes: FxHashSet<Name>,
    step: usize,
}

/// Its machinery.
pub fn settings() -> ActorSettings {
    ActorSettings { workers: 5, ..ActorSettings::default() }
}

impl TtlController {
    /// Goes to the step for so many nodes. Tells whether that is another one.
    fn resize(&mut self) -> bool {
        let (count, before) = (self.nodes.len(), self.step);
        while count > BOUNDARIES[self.step].1 {
            self.step += 1;
        }
        while count < BOUNDARIES[self.step].0 {
            self.step -= 1;
        }
        self.step != before
    }
}

/// The next report of a node that has nothing to say.
fn next_report(node: &Node, now: SimTime) -> SimDuration {
    REPORT - SimDuration((now - node.meta.created).0.rem_euclid(REPORT.0))
}

impl Controller for TtlController {
    fn name(&self) -> &'static str {
        "ttl-controller"
    }

    fn watches(&self) -> &'static [Kind] {
        &[Kind::Node]
    }

    fn wake(&mut self, change: &Change, view: View<'_>, wake: &mut Wake<'_>) {
        match change.new.as_ref().and_then(Object::node) {
            Some(node) => {
                self.nodes.insert(node.meta.name.clone());
                if node.meta.annotations.get(&ANNOTATION).map(Name::as_str) != Some(BOUNDARIES[self.step].2) {
                    wake.add(change.key.clone());
                }
            }
            None => _ = self.nodes.remove(&change.key.name),
        }
        if self.resize() {
            for node in view.list::<Node>() {
                wake.add_after(Key::cluster(Kind::Node, node.meta.name.clone()), next_report(node, wake.now()));
            }
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        let Some(node) = cx.view.fetch_key::<Node>(key) else { return Requeue::Done };
        let wanted = BOUNDARIES[self.step].2;
        if node.meta.annotations.get(&ANNOTATION).map(Name::as_str) != Some(wanted) {
            let patch = Patch::Annotations(vec![(ANNOTATION, Some(Name::from(wanted)))]);
            cx.write(Write::Patch(key.clone(), patch, Preconditions::default()));
        }
        Requeue::Done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Upstream's own cases (`pkg/controller/ttl/ttl_controller_test.go`), in our words: sizes that a cluster goes
    /// through, and the seconds that are right then.
    #[test]
    fn steps_are_left_later_than_they_were_reached() {
        let sizes = [
            (100, "0"),
            (101, "15"),
            (91, "15"),
            (90, "15"),
            (89, "0"),
            (500, "15"),
            (501, "30"),
            (450, "30"),
            (449, "15"),
            (1001, "60"),
            (2000, "60"),
            (2001, "300"),
            (1800, "300"),
            (1799, "60"),
            (3, "0"),
        ];
        let mut controller = TtlController::default();
        for (size, seconds) in sizes {
            controller.nodes = (0..size).map(|at| Name::from(format!("n-{at}"))).collect();
            controller.resize();
            assert_eq!(BOUNDARIES[controller.step].2, seconds, "at {size} nodes");
        }
    }
}
