//! What a reconcile sees and how it asks for writes.

use crate::model::{Name, Object};
use crate::rng::Seed;
use crate::store::{EventRecord, Store, View, Write};
use crate::time::SimTime;
use std::collections::VecDeque;

/// A reconcile's surroundings.
pub struct Cx<'a> {
    /// The virtual time.
    pub now: SimTime,
    /// The cluster as this actor's watch has shown it.
    pub view: View<'a>,
    /// The run's seed, for named streams.
    pub seed: Seed,
    /// Tick what could be computed when asked (tests only); the outcome must be the same.
    pub eager: bool,
    pub(super) store: &'a Store,
    pub(super) foreground: Batch,
    pub(super) background: Vec<Batch>,
    pub(super) events: Vec<EventRecord>,
}

/// Groups of writes: the groups one after the other, the writes of a group side by side.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The groups.
    pub groups: VecDeque<Vec<Write>>,
}

impl<'a> Cx<'a> {
    /// The cluster as it is now: what a live GET shows. It costs a request that is not counted.
    pub fn live(&self) -> View<'a> {
        self.store.live()
    }

    /// Ask for a write after those asked for before.
    pub fn write(&mut self, write: Write) {
        self.foreground.groups.push_back(vec![write]);
    }

    /// Ask for writes side by side, after those asked for before.
    pub fn write_all(&mut self, writes: Vec<Write>) {
        if !writes.is_empty() {
            self.foreground.groups.push_back(writes);
        }
    }

    /// Ask for writes one after the other without keeping the worker waiting; the outcome goes to
    /// [`super::Controller::settled`].
    pub fn background(&mut self, writes: Vec<Write>) {
        self.background.push(Batch { groups: writes.into_iter().map(|write| vec![write]).collect() });
    }

    /// Record an event about `object`.
    pub fn event(&mut self, object: &Object, warning: bool, source: Name, reason: Name, message: impl Into<Name>) {
        self.events.push(EventRecord {
            regarding: object.key(),
            uid: object.meta().uid,
            warning,
            reason,
            message: message.into(),
            source,
        });
    }

    /// Whether any write has been asked for in this reconcile.
    pub fn has_writes(&self) -> bool {
        !self.foreground.groups.is_empty()
    }
}
