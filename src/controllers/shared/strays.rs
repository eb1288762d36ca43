//! Pods and revisions that no controller manages, for controllers of sets with a history
//! (`pkg/controller/daemon/daemon_controller.go`, `pkg/controller/statefulset/stateful_set.go`: `adoptOrphanRevisions`
//! and the pods' `ClaimPods`).

use super::ownership::{Orphans, claim, controller_reference, may_adopt};
use crate::model::{ControllerRevision, Key, Kind, Meta, Pod, Selector};
use crate::runtime::Cx;
use crate::store::Change;

/// What a set might adopt.
#[derive(Debug, Default)]
pub struct Strays {
    pods: Orphans,
    revisions: Orphans,
}

impl Strays {
    /// Follows a change of a pod or a revision.
    pub fn follow(&mut self, change: &Change) {
        match change.key.kind {
            Kind::Pod => self.pods.follow(change),
            _ => self.revisions.follow(change),
        }
    }

    /// Adopts revisions and pods that are the set's own and releases those that no longer match; true if anything was
    /// asked for. A pod is its own only if it `belongs`.
    pub fn claim(
        &self,
        cx: &mut Cx<'_>,
        key: &Key,
        (set, selector): (&Meta, &Selector),
        belongs: impl Fn(&Pod) -> bool,
    ) -> bool {
        let owner = controller_reference(key.kind, set);
        let (view, namespace) = (cx.view, &set.namespace);
        let adopt = !set.deleting() && may_adopt(cx, key, set.uid);
        let pods = self.pods.in_namespace(namespace).filter_map(|name| view.fetch::<Pod>(namespace, name));
        let pods = pods.map(|pod| &**pod).filter(|pod| belongs(pod));
        let mut writes = claim::<Pod>(view, &owner, selector, pods, adopt);
        let revisions = self.revisions.in_namespace(namespace);
        let revisions = revisions.filter_map(|name| view.fetch::<ControllerRevision>(namespace, name));
        let revisions = revisions.map(|revision| &**revision);
        writes.extend(claim::<ControllerRevision>(view, &owner, selector, revisions, adopt));
        let any = !writes.is_empty();
        cx.write_all(writes);
        any
    }
}
