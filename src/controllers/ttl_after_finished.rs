//! Removes finished jobs after their time (`pkg/controller/ttlafterfinished/ttlafterfinished_controller.go`).
//!
//! A worked example: a job with `ttlSecondsAfterFinished: 60` completes at 12:00:00.4 → the API keeps 12:00:00 → at
//! 12:01:00 it is deleted in the foreground: its pods go first.

use crate::model::{Job, Key, Kind, Object};
use crate::runtime::{Controller, Cx, Requeue, Wake};
use crate::store::{Change, DeleteOptions, Preconditions, Propagation, View, Write};
use crate::time::{SimDuration, SimTime};

/// The controller.
#[derive(Debug, Default)]
pub struct TtlAfterFinished;

impl Controller for TtlAfterFinished {
    fn name(&self) -> &'static str {
        "ttl-after-finished-controller"
    }

    fn watches(&self) -> &'static [Kind] {
        &[Kind::Job]
    }

    fn wake(&mut self, change: &Change, _: View<'_>, wake: &mut Wake<'_>) {
        let job = change.new.as_ref().and_then(Object::as_kind::<Job>);
        if let Some(job) = job.filter(|job| !job.meta.deleting())
            && expiry(job).is_some()
        {
            wake.add(change.key.clone());
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        let Some(expires) = cx.view.fetch_key::<Job>(key).and_then(|job| expiry(job)) else { return Requeue::Done };
        if expires > cx.now {
            return Requeue::After(expires - cx.now);
        }
        // The time may have been lengthened a moment ago: the API server is asked before anything is removed.
        let live = cx.live().fetch_key::<Job>(key).filter(|job| !job.meta.deleting());
        if let Some(job) = live.filter(|job| expiry(job).is_some_and(|expires| expires <= cx.now)) {
            let options = DeleteOptions {
                propagation: Some(Propagation::Foreground),
                preconditions: Preconditions::uid(job.meta.uid),
                ..DeleteOptions::default()
            };
            cx.write(Write::Delete(key.clone(), options));
        }
        Requeue::Done
    }
}

/// When the job's time is over, if it has finished and has a time.
fn expiry(job: &Job) -> Option<SimTime> {
    let (_, finished) = job.finished()?;
    Some(finished.truncated() + SimDuration::from_secs(i64::from(job.spec.ttl_seconds_after_finished?)))
}
