//! Keeps the pods of stateful sets, each with its name and its claims
//! (`pkg/controller/statefulset/stateful_set.go`).
//!
//! A worked example: a set of three makes `db-0`, waits until it is ready, makes `db-1`, and so on; a new image takes
//! them away and brings them back from `db-2` down to `db-0`, one at a time.

pub mod identity;
pub mod status;
pub mod sync;

use super::shared::{self, PodControl, Strays, history};
use crate::model::{
    ControllerRevision, Key, Kind, Labels, Name, Object, PersistentVolumeClaim, Pod, Resource, StatefulSet,
};
use crate::runtime::{Controller, Cx, Requeue, Wake};
use crate::store::{Change, View, Write};
use std::sync::Arc;

const SOURCE: Name = crate::name!("statefulset-controller");

/// The controller.
#[derive(Debug, Default)]
pub struct StatefulSets {
    strays: Strays,
}

impl Controller for StatefulSets {
    fn name(&self) -> &'static str {
        "statefulset-controller"
    }

    fn watches(&self) -> &'static [Kind] {
        &[Kind::StatefulSet, Kind::Pod, Kind::ControllerRevision, Kind::PersistentVolumeClaim]
    }

    fn follows(&self, change: &Change) -> bool {
        match change.key.kind {
            Kind::StatefulSet => change.new.is_some(),
            Kind::PersistentVolumeClaim => change.new.is_none(),
            Kind::Pod => shared::ownership::concerns(change, Kind::StatefulSet) && shared::ownership::matters(change),
            _ => shared::ownership::concerns(change, Kind::StatefulSet),
        }
    }

    fn wake(&mut self, change: &Change, view: View<'_>, wake: &mut Wake<'_>) {
        match change.key.kind {
            Kind::StatefulSet => wake.add(change.key.clone()),
            Kind::Pod => {
                self.strays.follow(change);
                shared::owners_in(change, Kind::StatefulSet).for_each(|key| wake.add(key));
                let waits = |key: &Key| Some(view.fetch_key::<StatefulSet>(key)?.min_ready_seconds);
                shared::availability::became_ready(change, Kind::StatefulSet, waits, wake);
                let wants = |set: &StatefulSet, labels: &Labels| set.selector.matches(labels);
                shared::adopters(change, view, wants).into_iter().for_each(|key| wake.add(key));
            }
            Kind::ControllerRevision => self.strays.follow(change),
            // Upstream does not look again when a claim that held a pod back is gone, and waits for the next resync.
            Kind::PersistentVolumeClaim => {
                let sets = view.list_in::<StatefulSet>(&change.key.namespace);
                let waits = |set: &&Arc<StatefulSet>| set.retention.is_some_and(|policy| policy.delete_when_scaled);
                sets.filter(waits).for_each(|set| wake.add(set.key()));
            }
            _ => {}
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        let Some(set) = cx.view.fetch_key::<StatefulSet>(key).cloned() else { return Requeue::Done };
        // A pod is its own only if its name says so.
        let belongs = |pod: &Pod| identity::ordinal(&set, pod).is_some();
        if self.strays.claim(cx, key, (&set.meta, &set.selector), belongs) {
            return Requeue::Done;
        }
        let view = cx.view;
        let pods: Vec<Arc<Pod>> = view.controlled::<Pod>(set.meta.uid).cloned().collect();
        let revisions = history::revisions_of(view, set.meta.uid);
        let owner = history::Owner { kind: Kind::StatefulSet, meta: &set.meta, template: &set.template };
        let taken = |name: &Name| view.fetch::<ControllerRevision>(&key.namespace, name).cloned();
        let collisions = set.status.collision_count.unwrap_or(0);
        let newest = history::newest(owner, &revisions, collisions, taken);
        let current = revisions.iter().find(|revision| revision.meta.name == set.status.current_revision);
        let current = current.unwrap_or(&newest.revision);
        let control = PodControl::new(&Object::StatefulSet(set.clone()), SOURCE);
        let plan = sync::plan(&sync::Input {
            now: cx.now,
            set: &set,
            pods: &pods,
            current,
            update: &newest.revision,
            collisions: newest.collisions,
            claim: &|name| view.fetch::<PersistentVolumeClaim>(&key.namespace, name).cloned(),
            max_unavailable: false,
            control: &control,
        });
        newest.write.clone().into_iter().for_each(|write| cx.write(write));
        plan.groups.into_iter().for_each(|group| cx.order_all(group));
        let next = status::completed(&set, plan.status);
        let available = next.available;
        if status::differs(&set.status, &next) {
            let mut updated = StatefulSet { status: next, ..StatefulSet::clone(&set) };
            updated.meta.resource_version = 0;
            cx.write_anyway(Write::UpdateStatus(updated.into_object()));
        }
        let live = |revision: &ControllerRevision| {
            let name = &revision.meta.name;
            let used = |pod: &Arc<Pod>| pod.meta.labels.get(&crate::model::sets::keys::REVISION_HASH) == Some(name);
            *name == current.meta.name || *name == newest.revision.meta.name || pods.iter().any(used)
        };
        for write in history::surplus(&revisions, set.revision_history_limit, live) {
            cx.write_anyway(write);
        }
        plan.events.into_iter().for_each(|event| cx.tell(event));
        match plan.failed {
            true => Requeue::Backoff,
            false if available == set.replicas => Requeue::Done,
            false => shared::availability::next_check(set.min_ready_seconds, pods.iter().map(|pod| &**pod), cx.now),
        }
    }
}
