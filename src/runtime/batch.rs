//! A batch of writes on its way.

use super::context::{Batch, Order};
use crate::model::Key;
use crate::store::{StoreError, Written};
use crate::time::SimTime;

/// A batch in flight.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) actor: usize,
    pub(super) key: Key,
    pub(super) lane: u64,
    pub(super) rest: Batch,
    /// Writes of the group under way, each taken when it commits.
    /// With each, when it was sent.
    pub(super) group: Vec<Option<(SimTime, Order)>>,
    pub(super) outstanding: usize,
    pub(super) written: Vec<Written>,
    pub(super) error: Option<StoreError>,
    /// Whether the worker does not wait for it.
    pub(super) background: bool,
    /// Asked for by the reconcile, to be honoured when the writes are done.
    pub(super) requeue: super::Requeue,
    /// When its process ended: what was sent by then arrives, and nobody waits for the answer.
    pub(super) orphaned: Option<SimTime>,
}
