//! What an actor is.

use super::context::Cx;
use crate::model::{Key, Kind};
use crate::store::{Change, StoreError, View, Written};
use crate::time::{SimDuration, SimTime};

/// Anything that acts on the cluster: controllers, the scheduler, the kubelets, faults, the scripted user.
pub trait Controller {
    /// Its name, as the change log shows the writer (`deployment-controller`).
    fn name(&self) -> &'static str;

    /// The kinds whose changes it watches. Others are never delivered, nor are those that it does not follow.
    fn watches(&self) -> &'static [Kind];

    /// Whether a change of a watched kind is any business of its, told by the change and by how it was built alone,
    /// so that the answer is the same whenever it is asked. It is not woken for others: most controllers watch all
    /// pods and mind a few, and a delivery that says nothing is the dearest way to say it.
    fn follows(&self, _change: &Change) -> bool {
        true
    }

    /// Called once at the start of the run, before anything is delivered: ask for first timers.
    fn start(&mut self, _wake: &mut Wake<'_>) {}

    /// Which keys must be looked at again because of this change?
    fn wake(&mut self, change: &Change, view: View<'_>, wake: &mut Wake<'_>);

    /// Compare wish and world; ask for writes through `cx`.
    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue;

    /// Which of the actor's clients a key's writes go through: a kubelet has one per node. Lanes have
    /// their own rate limits.
    fn lane(&self, _key: &Key, _view: View<'_>) -> u64 {
        0
    }

    /// Whether its events go one after the other through the client of lane 0, as those of the controller
    /// manager do (`staging/src/k8s.io/client-go/tools/record/event.go`). Others have a client for events alone.
    fn events_share_client(&self) -> bool {
        true
    }

    /// Whether it answers a conflict by reading the object anew: one more request for its client.
    fn reads_after_conflict(&self) -> bool {
        false
    }

    /// A write of a key's batch was refused: each, while [`Self::settled`] tells the first.
    fn refused(&mut self, _key: &Key, _about: &Key, _error: &StoreError, _now: SimTime) {}

    /// How a batch of writes ended: the writes done, or the first refusal (the rest was not tried). A
    /// background batch reports here only; any other refusal also brings the key back with backoff.
    fn settled(&mut self, _key: &Key, _result: Result<&[Written], &StoreError>, _wake: &mut Wake<'_>) {}
}

/// When a key comes back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Requeue {
    /// When something changes.
    Done,
    /// After this long, or when something changes.
    After(SimDuration),
    /// With the rate limiter's backoff: it failed.
    Backoff,
}

/// Where keys are asked for.
pub struct Wake<'a> {
    pub(super) now: SimTime,
    pub(super) added: &'a mut Vec<(Key, SimTime)>,
}

impl Wake<'_> {
    /// The virtual time.
    pub fn now(&self) -> SimTime {
        self.now
    }

    /// Look at `key` as soon as a worker is free.
    pub fn add(&mut self, key: Key) {
        self.added.push((key, self.now));
    }

    /// Look at `key` after `delay`. Of several delays of one key the earliest counts.
    pub fn add_after(&mut self, key: Key, delay: SimDuration) {
        self.added.push((key, self.now + delay.max_zero()));
    }
}

impl SimDuration {
    /// This length, or none at all if it is negative.
    #[must_use]
    pub fn max_zero(self) -> SimDuration {
        self.max(SimDuration::ZERO)
    }
}
