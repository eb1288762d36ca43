//! Counts what namespaces use of their quotas (`pkg/controller/resourcequota/resource_quota_controller.go`).
//!
//! A worked example: quota `team` is created → its namespace is counted, and its status says what may be used and what
//! is. A pod of the namespace ends → everything that the quota names is counted anew, and what the pod had is free
//! again. What admission charges in between is right until then; every five minutes all quotas are counted in any case.

use crate::model::quota::{Amounts, ResourceQuota};
use crate::model::{Key, Kind, Object, Resource};
use crate::runtime::{ActorSettings, Controller, Cx, Requeue, Wake};
use crate::store::quota::{pods::is_charged, usage};
use crate::store::{Change, View, Write};
use crate::time::SimDuration;
use std::sync::Arc;

/// `--resource-quota-sync-period`.
const SYNC_PERIOD: SimDuration = SimDuration::from_secs(300);

/// The resource quota controller.
#[derive(Debug, Default)]
pub struct ResourceQuotaController;

/// Its machinery: five workers.
pub fn settings() -> ActorSettings {
    ActorSettings { workers: 5, ..ActorSettings::default() }
}

impl Controller for ResourceQuotaController {
    fn name(&self) -> &'static str {
        "resourcequota-controller"
    }

    fn watches(&self) -> &'static [Kind] {
        &[
            Kind::ResourceQuota,
            Kind::Pod,
            Kind::Service,
            Kind::PersistentVolumeClaim,
            Kind::ConfigMap,
            Kind::Secret,
            Kind::ServiceAccount,
            Kind::Deployment,
            Kind::ReplicaSet,
            Kind::StatefulSet,
            Kind::DaemonSet,
            Kind::ReplicationController,
            Kind::Job,
            Kind::CronJob,
        ]
    }

    fn follows(&self, change: &Change) -> bool {
        let hard =
            |object: &Option<Object>| object.as_ref().and_then(ResourceQuota::of).map(|quota| quota.hard.clone());
        match (&change.old, &change.new) {
            (Some(Object::Pod(old)), Some(Object::Pod(new))) => {
                old.status.phase.terminal() != new.status.phase.terminal() || old.meta.deletion != new.meta.deletion
            }
            (old, Some(Object::ResourceQuota(_))) => hard(old) != hard(&change.new),
            (Some(_), Some(new)) => matches!(new, Object::Service(_) | Object::PersistentVolumeClaim(_)),
            (old, _) => old.is_some(),
        }
    }

    fn wake(&mut self, change: &Change, view: View<'_>, wake: &mut Wake<'_>) {
        if let Some(Object::ResourceQuota(_)) = &change.new {
            return wake.add(change.key.clone());
        }
        if !frees(change, wake) {
            return;
        }
        let kind = change.key.kind;
        for quota in view.list_in::<ResourceQuota>(&change.key.namespace) {
            if quota.hard.keys().any(|name| usage::concerns(kind, name)) {
                wake.add(quota.key());
            }
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        let Some(quota) = cx.view.fetch_key::<ResourceQuota>(key).cloned() else { return Requeue::Done };
        let mut used = quota.status.used.clone().unwrap_or_default();
        used.extend(usage::total(cx.view, &quota, cx.now));
        used.retain(|name, _| quota.hard.contains_key(name));
        let (hard, used): (Option<Amounts>, Option<Amounts>) = (Some(quota.hard.clone()), Some(used));
        if quota.status.hard != hard || quota.status.used != used {
            let mut counted = Arc::unwrap_or_clone(quota);
            (counted.status.hard, counted.status.used) = (hard, used);
            cx.write(Write::UpdateStatus(counted.into_object()));
        }
        Requeue::After(SYNC_PERIOD)
    }
}

/// Whether a change gives something back: an object is gone, a pod has ended, a service is of another type.
fn frees(change: &Change, wake: &Wake<'_>) -> bool {
    match (&change.old, &change.new) {
        (Some(_), None) => true,
        (Some(Object::Pod(old)), Some(Object::Pod(new))) => is_charged(old, wake.now()) && !is_charged(new, wake.now()),
        (Some(Object::Service(old)), Some(Object::Service(new))) => old.kind != new.kind,
        (Some(Object::PersistentVolumeClaim(old)), Some(Object::PersistentVolumeClaim(new))) => {
            usage::usage(&Object::PersistentVolumeClaim(old.clone()), wake.now())
                != usage::usage(&Object::PersistentVolumeClaim(new.clone()), wake.now())
        }
        _ => false,
    }
}
