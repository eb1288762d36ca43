//! What a cron job knows of its jobs: who runs, who has ended, who is kept
//! (`pkg/controller/cronjob/cronjob_controllerv2.go`, `syncCronJob`, `cleanupFinishedJobs`).

use super::super::shared::PodControl;
use crate::model::batch::{CronJobStatus, JobEnd};
use crate::model::{CronJob, Job, Key, Kind, Name, Resource};
use crate::runtime::{Cx, Order, Told};
use crate::store::{DeleteOptions, EventRecord, Preconditions, Propagation, Write};
use std::sync::Arc;

/// Removes what the history does not keep, oldest start first; the status no longer names what goes.
pub fn clean(cron: &CronJob, jobs: &[&Arc<Job>], status: &mut CronJobStatus, control: &PodControl) -> Vec<Order> {
    let mut orders = Vec::new();
    for (end, limit) in [(JobEnd::Complete, cron.successful_limit), (JobEnd::Failed, cron.failed_limit)] {
        let ended = |job: &&&Arc<Job>| job.finished().is_some_and(|(how, _)| how == end);
        let mut ended: Vec<&Arc<Job>> = jobs.iter().filter(ended).copied().collect();
        ended.sort_by_key(|job| (job.status.start_time.is_none(), job.status.start_time, job.meta.name.clone()));
        let excess = ended.len().saturating_sub(usize::try_from(limit).unwrap_or(0));
        orders.extend(ended.into_iter().take(excess).map(|job| remove(job, status, control)));
    }
    orders
}

/// Deletes a job in the background and takes it off the list.
pub fn remove(job: &Job, status: &mut CronJobStatus, control: &PodControl) -> Order {
    status.active.retain(|(_, uid)| *uid != job.meta.uid);
    let options = DeleteOptions {
        propagation: Some(Propagation::Background),
        preconditions: Preconditions::uid(job.meta.uid),
        ..DeleteOptions::default()
    };
    let told = Told {
        done: vec![control.event(false, crate::name!("SuccessfulDelete"), crate::name!("Deleted job {}"))],
        refused: vec![control.event(true, crate::name!("FailedDelete"), crate::name!("Deleted job: {}"))],
        quiet: |_| false,
    };
    Order::telling(Write::Delete(job.key(), options), told)
}

/// Brings the list of running jobs and the time of the last success up to the jobs; the events to tell.
pub fn follow(
    cron: &CronJob,
    jobs: &[&Arc<Job>],
    status: &mut CronJobStatus,
    control: &PodControl,
    cx: &Cx<'_>,
) -> Vec<EventRecord> {
    let mut events = Vec::new();
    for job in jobs {
        let name = &job.meta.name;
        let listed = status.active.iter().any(|(_, uid)| *uid == job.meta.uid);
        match (listed, job.finished()) {
            (false, None) => {
                let message = format!("Saw a job that the controller did not create or forgot: {name}");
                events.push(control.event(true, crate::name!("UnexpectedJob"), message));
            }
            (true, Some((end, _))) => {
                status.active.retain(|(_, uid)| *uid != job.meta.uid);
                let message = format!("Saw completed job: {name}, condition: {}", end.as_str());
                events.push(control.event(false, crate::name!("SawCompletedJob"), message));
            }
            (false, Some((JobEnd::Complete, _))) => {
                status.last_successful = status.last_successful.max(job.status.completion_time);
            }
            _ => {}
        }
    }
    let missing = |(name, uid): &(Name, crate::model::Uid)| {
        let key = Key::new(Kind::Job, cron.meta.namespace.clone(), name.clone());
        jobs.iter().all(|job| job.meta.uid != *uid) && cx.live().get(&key).is_none()
    };
    for gone in status.active.iter().filter(|one| missing(one)).cloned().collect::<Vec<_>>() {
        let message = format!("Active job went missing: {}", gone.0);
        events.push(control.event(false, crate::name!("MissingJob"), message));
        status.active.retain(|one| *one != gone);
    }
    events
}
