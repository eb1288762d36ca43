//! One seat at the table: a controller and its machinery.

use super::control::Cut;
use super::controller::Controller;
use super::queue::WorkQueue;
use super::settings::ActorSettings;
use crate::engine::TokenBucket;
use crate::model::KindSet;
use crate::rng::Stream;
use crate::store::{Change, EventRecord, Revision};
use crate::time::{SimDuration, SimTime};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;

pub(super) struct Actor {
    pub(super) controller: Box<dyn Controller>,
    /// What its controller watches.
    pub(super) watched: KindSet,
    pub(super) settings: ActorSettings,
    pub(super) queue: WorkQueue,
    pub(super) clients: FxHashMap<u64, TokenBucket>,
    pub(super) cursor: Revision,
    /// Up to where it was told, beside its watch, of what is no object of the API.
    pub(super) told: Revision,
    /// How far behind its watch is now; drawn anew for each delivery.
    pub(super) lag: SimDuration,
    /// Lengths of its requests and its work.
    pub(super) stream: Stream,
    /// Delays of its watch: their own, since when they are drawn within an instant can hang on looks that find nothing.
    pub(super) watch_stream: Stream,
    pub(super) deliver_pending: bool,
    pub(super) work_pending: bool,
    pub(super) busy: usize,
    /// Events that wait for their turn at the client, and whether one is on its way.
    pub(super) outbox: VecDeque<EventRecord>,
    pub(super) mailing: bool,
    /// The component that it is a part of; empty for one of its own.
    pub(super) component: &'static str,
    /// Its process does not run.
    pub(super) halted: bool,
    /// Which process it is: what an earlier one began is none of its business.
    pub(super) life: u32,
    /// Its way to the API server is cut.
    pub(super) cut: Option<Cut>,
    /// Its watch is broken until then.
    pub(super) deaf_until: SimTime,
}

impl Actor {
    /// Whether a change is delivered to it.
    pub(super) fn minds(&self, change: &Change) -> bool {
        let known = change.revision <= self.told && !change.key.kind.is_api();
        !known && self.watched.contains(change.key.kind) && self.controller.follows(change)
    }

    /// The client of a lane, with its rate limit.
    pub(super) fn client(&mut self, lane: u64) -> &mut TokenBucket {
        let ActorSettings { milli_qps, burst, .. } = self.settings;
        self.clients.entry(lane).or_insert_with(|| TokenBucket::new(milli_qps, burst))
    }
}

/// Events that wait at most; more are dropped (`staging/src/k8s.io/client-go/tools/record/event.go`).
pub(super) const OUTBOX_MAX: usize = 1000;
