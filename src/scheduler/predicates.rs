//! The scheduler's filters for those who try things out: autoscalers ask whether a pod would fit on a node that is not
//! there yet, or elsewhere if its own went (`simulator/clustersnapshot/predicate/plugin_runner.go` of the cluster
//! autoscaler, which runs the scheduler's own framework, too).
//!
//! A worked example: a node of a group is made from its template; pods are placed on it one after the other, until one
//! does not fit any more. What was placed can be taken off again.

use super::cycle::Framework;
use super::nominated::Nominated;
use super::plugin::{NodeId, Point};
use super::profile::Profile;
use super::snapshot::Snapshot;
use crate::model::{Kind, Name, Node, Pod};
use crate::store::View;
use std::sync::Arc;

/// A copy of the cluster with the filters of the default profile.
pub struct Predicates {
    framework: Framework,
    snapshot: Snapshot,
    nobody: Nominated,
}

/// What filters look at beside nodes and pods.
const LISTED: [Kind; 9] = [
    Kind::Namespace,
    Kind::Service,
    Kind::PersistentVolume,
    Kind::PersistentVolumeClaim,
    Kind::StorageClass,
    Kind::CSINode,
    Kind::CSIDriver,
    Kind::VolumeAttachment,
    Kind::ReplicaSet,
];

impl Predicates {
    /// A cluster without nodes, with everything else that filters look at.
    pub fn new(view: View<'_>) -> Self {
        let mut profile = Profile::default();
        profile.disable(Point::PostFilter, "*");
        let mut snapshot = Snapshot::default();
        for object in LISTED.iter().flat_map(|kind| view.objects(*kind)) {
            snapshot.listers.set(object);
        }
        let framework = Framework::new(profile, &mut snapshot);
        Predicates { framework, snapshot, nobody: Nominated::default() }
    }

    /// A node is there.
    pub fn set_node(&mut self, node: &Arc<Node>) {
        self.snapshot.set_node(node);
    }

    /// A node is not there.
    pub fn remove_node(&mut self, name: &Name) {
        self.snapshot.remove_node(name);
    }

    /// A pod is on a node.
    pub fn place(&mut self, pod: &Arc<Pod>, node: &Name) {
        let info = self.snapshot.compile(pod);
        self.snapshot.place(info, node);
    }

    /// A pod is on no node.
    pub fn unplace(&mut self, pod: &Pod) {
        self.snapshot.unplace(&pod.meta.namespace, &pod.meta.name);
    }

    /// The nodes, in the scheduler's order of evaluation.
    pub fn nodes(&mut self) -> Vec<Name> {
        self.snapshot.refresh();
        self.snapshot.order().iter().map(|id| self.snapshot.name(*id).clone()).collect()
    }

    /// What is on a node.
    pub fn pods_on(&self, node: &Name) -> Vec<Arc<Pod>> {
        let pods = self.snapshot.find(node).map(|id| &self.snapshot.pods[id.at()]);
        pods.into_iter().flatten().map(|info| info.pod.clone()).collect()
    }

    /// Whether a pod fits on a node.
    ///
    /// # Errors
    /// What the filters say.
    pub fn fits(&mut self, pod: &Arc<Pod>, node: &Name) -> Result<(), Vec<Name>> {
        let Some(id) = self.snapshot.find(node) else { return Err(vec![crate::name!("node not found")]) };
        match self.search(pod, &[id]) {
            Ok(_) => Ok(()),
            Err(reasons) => Err(reasons),
        }
    }

    /// The first of these nodes on which a pod fits.
    pub fn find<'n>(&mut self, pod: &Arc<Pod>, nodes: impl Iterator<Item = &'n Name>) -> Option<Name> {
        let ids: Vec<NodeId> = nodes.filter_map(|name| self.snapshot.find(name)).collect();
        let found = self.search(pod, &ids).ok()?;
        Some(self.snapshot.name(found).clone())
    }

    fn search(&mut self, pod: &Arc<Pod>, nodes: &[NodeId]) -> Result<NodeId, Vec<Name>> {
        let info = self.snapshot.compile(pod);
        self.framework.first_fit(&mut self.snapshot, &self.nobody, &info, nodes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::builder::{node, pod, spec};
    use crate::rng::Seed;
    use crate::store::Store;

    #[test]
    fn pods_fit_until_the_node_is_full() {
        let store = Store::new(Seed(1), Default::default());
        let mut predicates = Predicates::new(store.live());
        let (small, large) = (crate::name!("small"), crate::name!("large"));
        predicates.set_node(&Arc::new(node("small", 1000, 4 << 30, 110)));
        predicates.set_node(&Arc::new(node("large", 4000, 4 << 30, 110)));
        let web = |index: u32| Arc::new(pod(&format!("web-{index}"), spec("app", 600, 1 << 20)));
        assert_eq!(predicates.fits(&web(0), &small), Ok(()));
        predicates.place(&web(0), &small);
        assert_eq!(predicates.fits(&web(1), &small), Err(vec![crate::name!("Insufficient cpu")]));
        assert_eq!(predicates.find(&web(1), [&small, &large].into_iter()), Some(large.clone()));
        predicates.unplace(&web(0));
        assert_eq!(predicates.fits(&web(1), &small), Ok(()));
        predicates.remove_node(&large);
        assert_eq!(predicates.nodes(), [small]);
    }
}
