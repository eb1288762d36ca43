//! Rolls a Deployment's template out over replica sets (`pkg/controller/deployment/deployment_controller.go`).
//!
//! A worked example: a new image makes a new set of 3 (10 replicas, 25 % surge), the old one shrinks from
//! 10 to 8 in the same pass, and every status of a set brings the deployment back until the old one is empty.

pub mod math;
pub mod revision;
mod status;
pub mod sync;

use super::shared::{self, Orphans};
use crate::model::workload::Strategy;
use crate::model::{Deployment, Key, Kind, Name, Object, Pod, ReplicaSet, Resource, Truth, Uid};
use crate::runtime::{Controller, Cx, Requeue, Wake};
use crate::store::{Change, StoreError, View, Write, Written};
use std::collections::BTreeMap;
use std::sync::Arc;

const SOURCE: Name = crate::name!("deployment-controller");

/// The controller.
#[derive(Debug, Default)]
pub struct Deployments {
    orphans: Orphans,
    /// Why the last create of a replica set was refused.
    refused: BTreeMap<Key, (Name, String)>,
}

impl Controller for Deployments {
    fn name(&self) -> &'static str {
        "deployment-controller"
    }

    fn watches(&self) -> &'static [Kind] {
        &[Kind::Deployment, Kind::ReplicaSet, Kind::Pod]
    }

    fn follows(&self, change: &Change) -> bool {
        change.key.kind != Kind::Pod || change.new.is_none()
    }

    fn wake(&mut self, change: &Change, view: View<'_>, wake: &mut Wake<'_>) {
        match change.key.kind {
            Kind::Deployment if change.new.is_none() => {
                self.refused.remove(&change.key);
            }
            Kind::Deployment => wake.add(change.key.clone()),
            Kind::ReplicaSet => {
                self.orphans.follow(change);
                shared::owners_in(change, Kind::Deployment).for_each(|key| wake.add(key));
                let orphan = change.new.as_ref().filter(|new| new.meta().controller().is_none());
                if let Some(meta) = orphan.map(Object::meta) {
                    let deployments = view.list_in::<Deployment>(&meta.namespace);
                    deployments.filter(|d| d.selector.matches(&meta.labels)).for_each(|d| wake.add(d.key()));
                }
            }
            Kind::Pod => {
                let key = shared::owners_in(change, Kind::ReplicaSet).next().and_then(|set| waiting(&set, view));
                key.into_iter().for_each(|key| wake.add(key));
            }
            _ => {}
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        let Some(deployment) = cx.view.fetch_key::<Deployment>(key).cloned() else { return Requeue::Done };
        if self.claim(key, &deployment, cx) {
            return Requeue::Done;
        }
        let view = cx.view;
        let object = Object::Deployment(deployment.clone());
        let input = sync::Input {
            now: cx.now,
            sets: view.controlled::<ReplicaSet>(deployment.meta.uid).cloned().collect(),
            deployment: deployment.clone(),
            name_taken: &|name| view.fetch::<ReplicaSet>(&key.namespace, name).is_some(),
            has_running_pods: &|set| has_running_pods(view, set),
        };
        let plan = sync::plan(&input);
        self.tell_refusal(key, &deployment, cx);
        plan.writes.into_iter().for_each(|write| cx.write(write));
        for (warning, reason, message) in plan.events {
            cx.event(&object, warning, SOURCE, reason, message);
        }
        plan.again.map_or(Requeue::Done, Requeue::After)
    }

    fn settled(&mut self, key: &Key, result: Result<&[Written], &StoreError>, _wake: &mut Wake<'_>) {
        match result {
            Err(StoreError::Forbidden(set, _) | StoreError::Invalid(set, _)) if set.kind == Kind::ReplicaSet => {
                let text = result.err().map(ToString::to_string).unwrap_or_default();
                self.refused.insert(key.clone(), (set.name.clone(), text));
            }
            _ => {
                self.refused.remove(key);
            }
        }
    }
}

impl Deployments {
    fn claim(&self, key: &Key, deployment: &Arc<Deployment>, cx: &mut Cx<'_>) -> bool {
        let owner = shared::controller_reference(Kind::Deployment, &deployment.meta);
        let view = cx.view;
        let namespace = &deployment.meta.namespace;
        let orphans = self.orphans.in_namespace(namespace).filter_map(|name| view.fetch::<ReplicaSet>(namespace, name));
        let adopt = !deployment.meta.deleting() && shared::may_adopt(cx, key, deployment.meta.uid);
        let writes = shared::claim::<ReplicaSet>(view, &owner, &deployment.selector, orphans.map(|set| &**set), adopt);
        let any = !writes.is_empty();
        cx.write_all(writes);
        any
    }

    /// Says why the new replica set could not be made, before it is tried again.
    fn tell_refusal(&mut self, key: &Key, deployment: &Arc<Deployment>, cx: &mut Cx<'_>) {
        let Some((set, error)) = self.refused.remove(key) else { return };
        let reason = crate::name!("ReplicaSetCreateError");
        let message = format!("Failed to create new replica set {:?}: {error}", set.as_str());
        let mut told = Deployment::clone(deployment);
        if status::deadline(&told).is_some() {
            let next = status::progressing(Truth::False, reason.clone(), message.clone(), cx.now);
            status::set(&mut told.status.conditions, next);
            if told.status != deployment.status {
                told.meta.resource_version = 0;
                cx.write(Write::UpdateStatus(told.into_object()));
            }
        }
        cx.event(&Object::Deployment(deployment.clone()), true, SOURCE, reason, message);
    }
}

fn has_running_pods(view: View<'_>, set: Uid) -> bool {
    view.controlled::<Pod>(set).any(|pod| !pod.status.phase.terminal())
}

/// The Recreate deployment behind a replica set, if its last pod has gone.
fn waiting(set: &Key, view: View<'_>) -> Option<Key> {
    let set = view.fetch_key::<ReplicaSet>(set)?;
    let owner = set.meta.controller().filter(|owner| owner.kind == Kind::Deployment)?;
    let deployment = view.fetch::<Deployment>(&set.meta.namespace, &owner.name)?;
    let recreate = deployment.meta.uid == owner.uid && deployment.strategy == Strategy::Recreate;
    let mut sets = view.controlled::<ReplicaSet>(owner.uid);
    (recreate && sets.all(|set| view.controlled::<Pod>(set.meta.uid).next().is_none())).then(|| deployment.key())
}
