//! One look at one job (`pkg/controller/job/job_controller.go`, `syncJob`).

use super::super::shared::{PodControl, slow_start};
use super::count::Count;
use super::manage::{Step, step};
use super::track::{Tracked, ensure, track};
use super::verdict::{self, End, SUSPENDED};
use super::{BATCH, Jobs, SOURCE, pods};
use crate::model::batch::{JOB_TRACKING, JobStatus};
use crate::model::{Condition, Job, Key, Object, Pod, Resource, Truth};
use crate::runtime::{Cx, Order, Requeue, Told};
use crate::store::{Patch, Preconditions, Write};
use crate::time::SimTime;
use std::sync::Arc;

/// What a sync came to before anything is written.
struct Plan<'a> {
    step: Step<'a>,
    /// Whether the deletes keep the finalizers: the job is over, and its pods are counted on the way out.
    ends: bool,
    /// Why the job is over, if it is.
    end: Option<End>,
    status: JobStatus,
    /// Whether the status differs already.
    flush: bool,
}

impl Jobs {
    pub(super) fn sync(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        let Some(job) = cx.view.fetch_key::<Job>(key).filter(|job| !job.managed_elsewhere()) else {
            return Requeue::Done;
        };
        if job.finished().is_some() {
            self.backoff.remove(key);
            return Requeue::Done;
        }
        if self.claim(key, job, cx) {
            return Requeue::Done;
        }
        let backoff = self.backoff.entry(key.clone()).or_default();
        if let Some((_, next)) = backoff.next.take_if(|(written_over, _)| *written_over != job.status) {
            backoff.record = next;
        }
        let count = Count::of(job, cx.view.controlled::<Pod>(job.meta.uid).collect(), backoff.record);
        let careful = self.refused.contains(key);
        let plan = plan(&count, careful, cx);
        let requeue = requeue(&plan, &count, cx.now);
        let tracked = track(&count, plan.status, plan.end.as_ref(), plan.flush, cx.now);
        if tracked.first.is_some() {
            backoff.next = Some((job.status.clone(), count.backoff));
        }
        // What went wrong is said before it is tried again.
        if careful {
            write_status(job, tracked, plan.end.as_ref(), cx);
            write_pods(&count, &plan.step, plan.ends, cx);
        } else {
            write_pods(&count, &plan.step, plan.ends, cx);
            write_status(job, tracked, plan.end.as_ref(), cx);
        }
        requeue
    }
}

/// Decides. `careful`: the status is written as the pods are, not as they will be.
fn plan<'a>(count: &Count<'a>, careful: bool, cx: &mut Cx<'_>) -> Plan<'a> {
    let (job, now) = (count.job, cx.now);
    let mut status = job.status.clone();
    if status.start_time.is_none() && !job.spec.suspend {
        status.start_time = Some(now);
    }
    let mut end = verdict::end(count, now);
    let ends = end.is_some();
    let step = match (ends, job.meta.deleting()) {
        (true, _) => Step::Delete(count.active.clone()),
        (false, true) => Step::Rest,
        (false, false) => step(count, now),
    };
    let (active, ready, terminating) = match careful {
        true => (count.active.len() as i32, count.ready, count.terminating),
        false => after(count, &step),
    };
    let mut flush = false;
    if !ends {
        let enough = match job.spec.completions {
            None => count.succeeded > 0,
            Some(completions) => count.succeeded >= completions,
        };
        if enough && active == 0 {
            end = Some(End::completed());
        } else if !job.meta.deleting() {
            flush = suspension(count, &mut status, cx);
        }
    }
    flush |= (active, Some(ready), Some(terminating)) != (status.active, status.ready, status.terminating);
    (status.active, status.ready, status.terminating) = (active, Some(ready), Some(terminating));
    Plan { step, ends, end, status, flush }
}

/// Active, ready and terminating pods after a step. While new pods wait, none count as active.
fn after(count: &Count<'_>, step: &Step<'_>) -> (i32, i32, i32) {
    let active = count.active.len() as i32;
    match step {
        Step::Rest => (active, count.ready, count.terminating),
        Step::Wait(_) => (0, count.ready, count.terminating),
        Step::Create(indexes) => (active + indexes.len() as i32, count.ready, count.terminating),
        Step::Delete(pods) => {
            let (gone, ready) = (pods.len() as i32, pods.iter().filter(|pod| pod.is_ready()).count() as i32);
            (active - gone, count.ready - ready, count.terminating + gone)
        }
    }
}

/// Keeps the condition Suspended; whether it changed. A job that goes on starts anew; one that is stopped has no
/// start (`ensureJobConditionStatus`).
fn suspension(count: &Count<'_>, status: &mut JobStatus, cx: &mut Cx<'_>) -> bool {
    let now = cx.now;
    let (truth, reason, message, event) = match count.job.spec.suspend {
        true => (Truth::True, crate::name!("JobSuspended"), "Job suspended", crate::name!("Suspended")),
        false => (Truth::False, crate::name!("JobResumed"), "Job resumed", crate::name!("Resumed")),
    };
    let changed = ensure(&mut status.conditions, Condition::new(SUSPENDED, truth, reason, message, now));
    if changed {
        status.start_time = (!count.job.spec.suspend).then_some(now);
        cx.event(&Object::Job(count.job.clone()), false, SOURCE, event, message);
    }
    changed
}

/// When to look again: at the end of a wait, and at the deadline.
fn requeue(plan: &Plan<'_>, count: &Count<'_>, now: SimTime) -> Requeue {
    let wait = match plan.step {
        Step::Wait(wait) => Some(wait.max(BATCH)),
        _ => None,
    };
    let deadline = match plan.ends {
        true => None,
        false => verdict::time_left(count.job, count.job.status.start_time.or(Some(now)), now),
    };
    [wait, deadline].into_iter().flatten().min().map_or(Requeue::Done, Requeue::After)
}

fn untrack(pod: &Pod) -> Write {
    Write::Patch(pod.key(), Patch::RemoveFinalizer(JOB_TRACKING), Preconditions::uid(pod.meta.uid))
}

fn write_pods(count: &Count<'_>, step: &Step<'_>, ends: bool, cx: &mut Cx<'_>) {
    let control = PodControl::new(&Object::Job(count.job.clone()), SOURCE);
    match step {
        Step::Rest | Step::Wait(_) => {}
        Step::Create(indexes) => {
            let orders = pods::new_pods(count, indexes).into_iter().map(|pod| control.create(pod)).collect();
            slow_start(orders).into_iter().for_each(|group| cx.order_all(group));
        }
        Step::Delete(doomed) => {
            // A job that goes on does not count the pods that it takes back.
            if !ends {
                cx.write_all(doomed.iter().map(|pod| untrack(pod)).collect());
            }
            cx.order_all(doomed.iter().map(|pod| control.delete(pod)).collect());
        }
    }
}

fn write_status(job: &Arc<Job>, tracked: Tracked<'_>, end: Option<&End>, cx: &mut Cx<'_>) {
    let Tracked { first, remove, last, finished } = tracked;
    let update = |status: JobStatus, unconditional: bool| {
        let mut updated = Job { status, ..Job::clone(job) };
        if unconditional {
            updated.meta.resource_version = 0;
        }
        Write::UpdateStatus(updated.into_object())
    };
    let again = first.is_some();
    if let Some(status) = first {
        cx.write(update(status, false));
    }
    cx.write_all(remove.into_iter().map(|pod| untrack(pod)).collect());
    let Some(status) = last else { return };
    let too_many = job.spec.completions.is_some_and(|completions| status.succeeded > completions);
    let write = update(status, again);
    let control = PodControl::new(&Object::Job(job.clone()), SOURCE);
    let Some(end) = end.filter(|_| finished) else { return cx.write(write) };
    if end.success && too_many {
        let message = "Too many succeeded pods running after completion count reached";
        cx.event(&Object::Job(job.clone()), true, SOURCE, crate::name!("TooManySucceededPods"), message);
    }
    let told = match end.success {
        true => control.event(false, crate::name!("Completed"), "Job completed"),
        false => control.event(true, end.reason.clone(), end.message.clone()),
    };
    cx.order_all(vec![Order::telling(write, Told { done: vec![told], refused: Vec::new(), quiet: |_| true })]);
}
