//! What a reconcile sees and how it asks for writes.

use super::control::Command;
use crate::model::rbac::User;
use crate::model::{Key, Name, Object};
use crate::rng::Seed;
use crate::store::{EventRecord, Store, StoreError, View, Write, Written};
use crate::time::SimTime;
use std::collections::VecDeque;
use std::sync::Arc;

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
    pub(super) wakes: Vec<(Key, SimTime)>,
    pub(super) commands: Vec<Command>,
}

/// A write, and what is told about it.
#[derive(Clone, Debug)]
pub struct Order {
    /// The write.
    pub write: Write,
    /// Events that tell how it ended.
    pub told: Option<Box<Told>>,
}

/// Events that tell how a write ended. In their messages `{}` stands for the object's name, or the refusal.
#[derive(Clone, Debug)]
pub struct Told {
    /// When it is done.
    pub done: Vec<EventRecord>,
    /// When it is refused.
    pub refused: Vec<EventRecord>,
    /// Refusals that are not worth an event.
    pub quiet: fn(&StoreError) -> bool,
}

impl Order {
    /// A write with events about its end.
    pub fn telling(write: Write, told: Told) -> Self {
        Order { write, told: Some(Box::new(told)) }
    }
}

impl From<Write> for Order {
    fn from(write: Write) -> Self {
        Order { write, told: None }
    }
}

impl Told {
    /// What there is to say about this end.
    pub(super) fn about(self, end: &Result<Written, StoreError>) -> Vec<EventRecord> {
        let (records, said) = match end {
            Ok(written) => (self.done, written.key.name.to_string()),
            Err(error) if (self.quiet)(error) => return Vec::new(),
            Err(error) => (self.refused, error.to_string()),
        };
        let fill =
            |record: EventRecord| EventRecord { message: record.message.replacen("{}", &said, 1).into(), ..record };
        records.into_iter().map(fill).collect()
    }
}

/// Writes side by side.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// The writes.
    pub orders: Vec<Order>,
    /// Whether they are tried even if something before them was refused.
    pub anyway: bool,
}

/// Groups of writes: the groups one after the other, the writes of a group side by side.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The groups.
    pub groups: VecDeque<Group>,
}

impl<'a> Cx<'a> {
    /// The cluster as it is now: what a live GET shows. It costs a request that is not counted.
    pub fn live(&self) -> View<'a> {
        self.store.live()
    }

    /// Ask for a write after those asked for before.
    pub fn write(&mut self, write: Write) {
        self.order_all(vec![write.into()]);
    }

    /// Ask for a write after those asked for before, to be tried even if one of them is refused: the status that
    /// upstream's controllers write whatever became of the sync.
    pub fn write_anyway(&mut self, write: Write) {
        self.foreground.groups.push_back(Group { orders: vec![write.into()], anyway: true });
    }

    /// Ask for writes side by side, after those asked for before.
    pub fn write_all(&mut self, writes: Vec<Write>) {
        self.order_all(writes.into_iter().map(Order::from).collect());
    }

    /// Ask for writes side by side with events about their ends, after those asked for before.
    pub fn order_all(&mut self, orders: Vec<Order>) {
        if !orders.is_empty() {
            self.foreground.groups.push_back(Group { orders, anyway: false });
        }
    }

    /// Ask for writes one after the other without keeping the worker waiting; the outcome goes to
    /// [`super::Controller::settled`].
    pub fn background(&mut self, writes: Vec<Write>) {
        let alone = |write: Write| Group { orders: vec![write.into()], anyway: false };
        self.background.push(Batch { groups: writes.into_iter().map(alone).collect() });
    }

    /// What was asked for so far of the API is asked for in the name of `user`.
    pub fn sign(&mut self, user: &Arc<User>) {
        let batches = std::iter::once(&mut self.foreground).chain(&mut self.background);
        for order in batches.flat_map(|batch| &mut batch.groups).flat_map(|group| &mut group.orders) {
            if order.write.key().kind.is_api() && !matches!(order.write, Write::As(..)) {
                order.write = Write::As(user.clone(), Box::new(order.write.clone()));
            }
        }
    }

    /// Record an event about `object`.
    pub fn event(&mut self, object: &Object, warning: bool, source: Name, reason: Name, message: impl Into<Name>) {
        let (regarding, uid, message) = (object.key(), object.meta().uid, message.into());
        self.tell(EventRecord { regarding, uid, warning, reason, message, source });
    }

    /// Record an event.
    pub fn tell(&mut self, event: EventRecord) {
        self.events.push(event);
    }

    /// Look at another key of this actor at `at`, or now if that is past.
    pub fn wake(&mut self, key: Key, at: SimTime) {
        self.wakes.push((key, at));
    }

    /// Do something to the processes of the control plane; for those who act in the world only.
    pub fn command(&mut self, command: Command) {
        self.commands.push(command);
    }

    /// Whether any write has been asked for in this reconcile.
    pub fn has_writes(&self) -> bool {
        !self.foreground.groups.is_empty()
    }
}
