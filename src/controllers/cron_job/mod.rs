//! Makes a job at every tick of a schedule (`pkg/controller/cronjob/cronjob_controllerv2.go`).
//!
//! A worked example: `*/5 * * * *` with `concurrencyPolicy: Forbid`: at 12:05:00.1 the job `report-29449685` is made and
//! stands under `status.active`; at 12:10 it still runs, so nothing is made; it completes at 12:11, is taken off the
//! list, and the run of 12:10, which may still start, starts.

mod children;
pub mod sync;
pub mod times;

use super::shared;
use crate::model::schedule::Schedule;
use crate::model::{CronJob, Job, Key, Kind, Name, Object};
use crate::runtime::{Controller, Cx, Requeue, Wake};
use crate::store::{Change, StoreError, View, Written};
use crate::time::SimTime;
use std::collections::BTreeMap;
use times::History;

const SOURCE: Name = crate::name!("cronjob-controller");

/// The controller.
#[derive(Debug, Default)]
pub struct CronJobs {
    /// Jobs that were asked for and do not stand in the status yet: their names and for which run.
    made: BTreeMap<Key, Made>,
}

/// A job that was asked for.
#[derive(Clone, Debug)]
struct Made {
    job: Name,
    run: SimTime,
    /// Whether the API server has it.
    done: bool,
}

impl Controller for CronJobs {
    fn name(&self) -> &'static str {
        "cronjob-controller"
    }

    fn watches(&self) -> &'static [Kind] {
        &[Kind::CronJob, Kind::Job]
    }

    fn wake(&mut self, change: &Change, _: View<'_>, wake: &mut Wake<'_>) {
        match change.key.kind {
            Kind::Job => shared::owners_in(change, Kind::CronJob).for_each(|key| wake.add(key)),
            _ if change.new.is_none() => _ = self.made.remove(&change.key),
            _ => match new_schedule(change) {
                // A new schedule is looked at when its first run comes.
                Some(Ok((cron, schedule))) => {
                    if let Some(wait) = History::of(cron).until_next(&schedule, wake.now()) {
                        wake.add_after(change.key.clone(), wait);
                    }
                }
                Some(Err(_)) => {}
                None => wake.add(change.key.clone()),
            },
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        let Some(cron) = cx.view.fetch_key::<CronJob>(key) else { return Requeue::Done };
        self.sync(key, cron, cx)
    }

    fn settled(&mut self, key: &Key, result: Result<&[Written], &StoreError>, wake: &mut Wake<'_>) {
        let Some(made) = self.made.get_mut(key).filter(|made| !made.done) else { return };
        let ours = |of: &Key| of.kind == Kind::Job && of.name == made.job;
        match result {
            Ok(written) if written.iter().any(|one| ours(&one.key)) => made.done = true,
            // It was made before, and the status was not written then.
            Err(StoreError::AlreadyExists(job)) if ours(job) => made.done = true,
            _ => {
                self.made.remove(key);
                return;
            }
        }
        wake.add(key.clone());
    }
}

/// The new schedule of a cron job whose schedule or zone was changed.
fn new_schedule(change: &Change) -> Option<Result<(&CronJob, Schedule), String>> {
    let old = change.old.as_ref().and_then(Object::as_kind::<CronJob>)?;
    let new = change.new.as_ref().and_then(Object::as_kind::<CronJob>)?;
    if (&old.schedule, &old.time_zone) == (&new.schedule, &new.time_zone) {
        return None;
    }
    Some(schedule_of(new).map(|schedule| (&**new, schedule)))
}

/// The schedule of a cron job.
fn schedule_of(cron: &CronJob) -> Result<Schedule, String> {
    Schedule::of(&cron.schedule, cron.time_zone.as_deref())
}

/// The jobs that a cron job controls.
fn jobs_of<'a>(cron: &CronJob, view: View<'a>) -> Vec<&'a std::sync::Arc<Job>> {
    view.controlled::<Job>(cron.meta.uid).collect()
}
