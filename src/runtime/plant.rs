//! What goes on beside the cluster and has its own clockwork: too many events for the runtime's queue.

use crate::model::Key;
use crate::time::SimTime;

/// Something happened in a plant that an actor has to see at that very instant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    /// When.
    pub at: SimTime,
    /// The actor's name.
    pub actor: &'static str,
    /// What it looks at.
    pub key: Key,
}

/// A process of its own beside the cluster: before the runtime handles an event at some instant, the plant has handled
/// everything of its own before it. It sees writes as an observer does, and writes nothing itself.
pub trait Plant {
    /// When something happens next.
    fn next(&self) -> Option<SimTime>;

    /// Handles what happens before `until`, at most `budget` events; whether that was all. It stops early where it
    /// calls an actor.
    fn advance(&mut self, until: SimTime, budget: u64) -> bool;

    /// Whom it calls, one after the other.
    fn call(&mut self) -> Option<Call> {
        None
    }

    /// A hash of everything that happened in it.
    fn digest(&self) -> u64;
}
