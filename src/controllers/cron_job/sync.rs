//! One look at one cron job (`pkg/controller/cronjob/cronjob_controllerv2.go`, `sync`, `syncCronJob`).

use super::super::shared::{PodControl, clock, controller_reference};
use super::children::{clean, follow, remove};
use super::times::{History, Missed, at, unix};
use super::{CronJobs, Made, SOURCE, jobs_of, schedule_of};
use crate::model::batch::{Concurrency, CronJobStatus, JobStatus, SCHEDULED_AT};
use crate::model::schedule::Zone;
use crate::model::{CronJob, Job, Key, Kind, Labels, Meta, Name, Object, Resource};
use crate::runtime::{Cx, Order, Requeue, Told};
use crate::store::{EventRecord, StoreError, Write};
use crate::time::SimTime;
use std::sync::Arc;

/// What one look asks for.
struct Look<'a> {
    cron: &'a Arc<CronJob>,
    jobs: Vec<&'a Arc<Job>>,
    control: PodControl,
    status: CronJobStatus,
    events: Vec<EventRecord>,
    orders: Vec<Order>,
    /// The job to make, and for which run.
    make: Option<(Job, SimTime)>,
}

impl CronJobs {
    pub(super) fn sync(&mut self, key: &Key, cron: &Arc<CronJob>, cx: &mut Cx<'_>) -> Requeue {
        let mut look = Look {
            cron,
            jobs: jobs_of(cron, cx.view),
            control: PodControl::new(&Object::CronJob(cron.clone()), SOURCE),
            status: cron.status.clone(),
            events: Vec::new(),
            orders: Vec::new(),
            make: None,
        };
        if let Some(made) = self.made.get(key).filter(|made| made.done) {
            look.enter(made);
            self.made.remove(key);
        }
        look.orders = clean(cron, &look.jobs, &mut look.status, &look.control);
        look.events.extend(follow(cron, &look.jobs, &mut look.status, &look.control, cx));
        let requeue = look.start(cx);
        let Look { status, events, orders, make, control, .. } = look;
        events.into_iter().for_each(|event| {
            cx.event(&Object::CronJob(cron.clone()), event.warning, event.source, event.reason, event.message);
        });
        cx.order_all(orders);
        if status != cron.status {
            let updated = CronJob { status, ..CronJob::clone(cron) };
            cx.write(Write::UpdateStatus(updated.into_object()));
        }
        if let Some((job, run)) = make {
            self.made.insert(key.clone(), Made { job: job.meta.name.clone(), run, done: false });
            let told = Told {
                done: vec![control.event(false, crate::name!("SuccessfulCreate"), crate::name!("Created job {}"))],
                refused: vec![control.event(
                    true,
                    crate::name!("FailedCreate"),
                    crate::name!("Error creating job: {}"),
                )],
                quiet: |error| matches!(error, StoreError::NamespaceTerminating(_) | StoreError::AlreadyExists(_)),
            };
            cx.order_all(vec![Order::telling(Write::Create(job.into_object()), told)]);
        }
        requeue
    }
}

impl Look<'_> {
    /// A job that was made stands in the status, if it is ours.
    fn enter(&mut self, made: &Made) {
        let Some(job) = self.jobs.iter().find(|job| job.meta.name == made.job) else { return };
        if self.status.active.iter().all(|(_, uid)| *uid != job.meta.uid) {
            self.status.active.push((job.meta.name.clone(), job.meta.uid));
        }
        self.status.last_schedule = Some(made.run);
    }

    fn warn(&mut self, reason: Name, message: String) -> Requeue {
        self.events.push(self.control.event(true, reason, message));
        Requeue::Done
    }

    /// Starts what is due; when to look again.
    fn start(&mut self, cx: &Cx<'_>) -> Requeue {
        let cron = self.cron;
        if cron.meta.deleting() {
            return Requeue::Done;
        }
        if let Some((zone, Err(why))) = cron.time_zone.as_ref().map(|zone| (zone, Zone::load(zone))) {
            return self.warn(crate::name!("UnknownTimeZone"), format!("invalid timeZone: {zone}: {why}"));
        }
        if cron.suspend {
            return Requeue::Done;
        }
        let schedule = match schedule_of(cron) {
            Ok(schedule) => schedule,
            Err(why) => {
                let message = format!("unparseable schedule: {:?} : {why}", cron.schedule.as_str());
                return self.warn(crate::name!("UnparseableSchedule"), message);
            }
        };
        let history = History::of(&CronJob { status: self.status.clone(), ..CronJob::clone(cron) });
        let now = clock::now(cx);
        let runs = history.runs(&schedule, unix(now), true);
        if let Some(why) = runs.error {
            let message = format!("invalid schedule: {} : {why}", cron.schedule);
            return self.warn(crate::name!("InvalidSchedule"), message);
        }
        if let Some(due) = runs.most_recent {
            if runs.missed == Missed::Many {
                let message =
                    "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew";
                self.warn(crate::name!("TooManyMissedTimes"), message.to_string());
            }
            self.run(due, now);
        }
        // A job that is being made is entered with the next look, which finds the time anew.
        history.until_next(&schedule, now).map_or(Requeue::Done, Requeue::After)
    }

    /// Makes the job of a run, unless something stands against it.
    fn run(&mut self, due: i64, now: SimTime) {
        let cron = self.cron;
        let late = |deadline: i64| at(due + deadline) < now;
        if cron.starting_deadline_seconds.is_some_and(late) {
            let message = format!("Missed scheduled time to start a job: {}", rfc1123(due));
            self.warn(crate::name!("MissSchedule"), message);
            return;
        }
        let name = Name::from(job_name(&cron.meta.name, due));
        let active = self.status.active.iter().any(|(job, _)| *job == name);
        if active || self.status.last_schedule.map(unix) == Some(due) {
            return;
        }
        if cron.concurrency == Concurrency::Forbid && !self.status.active.is_empty() {
            let message = "Not starting job because prior execution is running and concurrency policy is Forbid";
            self.events.push(self.control.event(false, crate::name!("JobAlreadyActive"), message));
            return;
        }
        if cron.concurrency == Concurrency::Replace {
            let listed = |job: &&&Arc<Job>| self.status.active.iter().any(|(_, uid)| *uid == job.meta.uid);
            let running: Vec<&Arc<Job>> = self.jobs.iter().filter(listed).copied().collect();
            for job in running {
                self.orders.push(remove(job, &mut self.status, &self.control));
            }
        }
        self.make = Some((new_job(cron, name, due), at(due)));
    }
}

/// The name of a run's job: the same for the same run (`getJobName`).
pub fn job_name(cron: &str, due: i64) -> String {
    format!("{cron}-{}", due.div_euclid(60))
}

/// The job of a run (`getJobFromTemplate2`).
fn new_job(cron: &CronJob, name: Name, due: i64) -> Job {
    let zone = cron.time_zone.as_deref().and_then(|zone| Zone::load(zone).ok()).unwrap_or_else(Zone::utc);
    let template = &cron.template;
    // What a job says nothing of, its pods' template says (`pkg/apis/batch/v1/defaults.go`).
    let labels = match template.labels == Labels::EMPTY {
        true => template.spec.template.labels.clone(),
        false => template.labels.clone(),
    };
    let meta = Meta {
        labels,
        annotations: template.annotations.with(SCHEDULED_AT, zone.rfc3339(due)),
        owners: vec![controller_reference(Kind::CronJob, &cron.meta)],
        ..Meta::named(cron.meta.namespace.clone(), name)
    };
    Job { meta, spec: template.spec.clone(), status: JobStatus::default() }
}

/// `Thu, 01 Jan 2026 00:05:00 +0000`.
fn rfc1123(unix: i64) -> String {
    Zone::utc().rfc1123(unix)
}
