//! Runs pods until enough of them have succeeded (`pkg/controller/job/job_controller.go`).
//!
//! A worked example: a job of 3 completions, 2 at a time: two pods are made → one ends well and is found a second
//! later, when changes of pods are looked at → its uid goes into the status, its finalizer goes, it is counted, and
//! the third pod is made → when all are counted, `SuccessCriteriaMet` and then `Complete` stand in the status.
//!
//! A sync counts ([`count`]), judges ([`verdict`]), makes or removes pods ([`manage`]) and brings the status up to
//! the ended ones ([`track`]).

pub mod backoff;
pub mod count;
pub mod indexes;
pub mod manage;
mod pods;
pub mod policy;
mod sync;
mod track;
mod verdict;

use super::shared::{self, Orphans};
use crate::model::{Job, Key, Kind, Labels, Name, Object, Pod};
use crate::runtime::{ActorSettings, Controller, Cx, Requeue, Wake};
use crate::store::{Change, Patch, Preconditions, StoreError, View, Write, Written};
use crate::time::SimDuration;
use backoff::BackoffRecord;
use count::is_tracked;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Changes of pods and of the status are looked at together (`SyncJobBatchPeriod`).
const BATCH: SimDuration = SimDuration::from_secs(1);
const SOURCE: Name = crate::name!("job-controller");

/// The controller.
#[derive(Debug, Default)]
pub struct Jobs {
    orphans: Orphans,
    backoff: BTreeMap<Key, Backoff>,
    /// Jobs whose last creates or deletes were refused: their status is written before they are tried again.
    refused: BTreeSet<Key>,
}

/// Failures of a job since its last success. The new record counts once the status that names the failed pods has
/// been written.
#[derive(Debug, Default)]
struct Backoff {
    record: BackoffRecord,
    next: Option<(crate::model::batch::JobStatus, BackoffRecord)>,
}

/// Its machinery: failed jobs come back after 1 s to a minute (`DefaultJobApiBackOff`, `MaxJobApiBackOff`).
pub fn settings() -> ActorSettings {
    let (backoff_base, backoff_max) = (SimDuration::from_secs(1), SimDuration::from_secs(60));
    ActorSettings { backoff_base, backoff_max, ..ActorSettings::default() }
}

impl Controller for Jobs {
    fn name(&self) -> &'static str {
        "job-controller"
    }

    fn watches(&self) -> &'static [Kind] {
        &[Kind::Job, Kind::Pod]
    }

    fn follows(&self, change: &Change) -> bool {
        let tracked = || change.new.as_ref().and_then(Object::pod).is_some_and(|pod| is_tracked(pod));
        change.key.kind != Kind::Pod || shared::ownership::concerns(change, Kind::Job) || tracked()
    }

    fn wake(&mut self, change: &Change, view: View<'_>, wake: &mut Wake<'_>) {
        match change.object() {
            Object::Job(job) => self.wake_job(change, job, view, wake),
            Object::Pod(pod) => {
                self.orphans.follow(change);
                shared::owners_in(change, Kind::Job).for_each(|key| wake.add_after(key, BATCH));
                let wants = |job: &Job, labels: &Labels| !job.managed_elsewhere() && job.spec.selector.matches(labels);
                shared::adopters(change, view, wants).into_iter().for_each(|key| wake.add_after(key, BATCH));
                if change.new.is_some() && is_tracked(pod) && (pod.meta.deleting() || pod.meta.controller().is_none()) {
                    wake.add(change.key.clone());
                }
            }
            _ => {}
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        match key.kind {
            Kind::Pod => {
                release_abandoned(key, cx);
                Requeue::Done
            }
            _ => self.sync(key, cx),
        }
    }

    fn settled(&mut self, key: &Key, result: Result<&[Written], &StoreError>, _: &mut Wake<'_>) {
        match result {
            Ok(_) => _ = self.refused.remove(key),
            Err(error) if error.key().is_some_and(|refused| refused.kind == Kind::Pod) => {
                self.refused.insert(key.clone());
            }
            Err(_) => {}
        }
    }
}

impl Jobs {
    /// A change of the wish is looked at at once, one of the status with the pods'.
    fn wake_job(&mut self, change: &Change, job: &Job, view: View<'_>, wake: &mut Wake<'_>) {
        let old = change.old.as_ref().and_then(Object::as_kind::<Job>);
        let over = change.new.is_none();
        if over {
            self.backoff.remove(&change.key);
            self.refused.remove(&change.key);
        }
        match old.filter(|old| old.meta.generation == job.meta.generation && !over) {
            Some(_) => wake.add_after(change.key.clone(), BATCH),
            None => wake.add(change.key.clone()),
        }
        if over || job.finished().is_some() {
            let left = view.controlled::<Pod>(job.meta.uid).filter(|pod| is_tracked(pod));
            left.for_each(|pod| wake.add(Key::new(Kind::Pod, pod.meta.namespace.clone(), pod.meta.name.clone())));
        }
        let deadline = |job: &Job| job.spec.active_deadline_seconds;
        if old.is_some_and(|old| deadline(old) != deadline(job))
            && let Some(left) = verdict::time_left(job, job.status.start_time, wake.now())
        {
            wake.add_after(change.key.clone(), left);
        }
    }

    /// Adopts matching pods and releases what no longer matches; true if anything was asked for.
    fn claim(&self, key: &Key, job: &Arc<Job>, cx: &mut Cx<'_>) -> bool {
        let owner = shared::controller_reference(Kind::Job, &job.meta);
        let (namespace, selector) = (&job.meta.namespace, &job.spec.selector);
        let orphans = match self.orphans.none_in(namespace) {
            true => Vec::new(),
            false => cx.view.pods_selected(namespace, selector),
        };
        let adopt = !job.meta.deleting() && shared::may_adopt(cx, key, job.meta.uid);
        let mut writes = shared::claim::<Pod>(cx.view, &owner, selector, orphans.into_iter().map(|pod| &**pod), adopt);
        // An adopted pod is tracked like one's own.
        let adopted = |write: &Write| match write {
            Write::Patch(pod, Patch::AddOwner(_), preconditions) => {
                let track = Patch::AddFinalizer(crate::model::batch::JOB_TRACKING);
                Some(Write::Patch(pod.clone(), track, *preconditions))
            }
            _ => None,
        };
        let finalizers: Vec<Write> = writes.iter().filter_map(adopted).collect();
        writes.extend(finalizers);
        let any = !writes.is_empty();
        cx.write_all(writes);
        any
    }
}

/// Lets a pod go that waits to be counted by nobody (`syncOrphanPod`).
fn release_abandoned(key: &Key, cx: &mut Cx<'_>) {
    let Some(pod) = cx.view.fetch_key::<Pod>(key).filter(|pod| is_tracked(pod)) else { return };
    if let Some(owner) = pod.meta.controller() {
        let job = cx.view.by_uid(owner.uid).and_then(Object::as_kind::<Job>);
        if owner.kind != Kind::Job || job.is_some_and(|job| job.managed_elsewhere() || job.finished().is_none()) {
            return;
        }
    }
    let patch = Patch::RemoveFinalizer(crate::model::batch::JOB_TRACKING);
    cx.write(Write::Patch(key.clone(), patch, Preconditions::uid(pod.meta.uid)));
}
