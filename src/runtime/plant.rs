//! What goes on beside the cluster and has its own clockwork: too many events for the runtime's queue.

use crate::time::SimTime;

/// A process of its own beside the cluster: before the runtime handles an event at some instant, the plant has handled
/// everything of its own before it. It sees writes as an observer does, and writes nothing itself.
pub trait Plant {
    /// When something happens next.
    fn next(&self) -> Option<SimTime>;

    /// Handles what happens before `until`, at most `budget` events; whether that was all.
    fn advance(&mut self, until: SimTime, budget: u64) -> bool;

    /// A hash of everything that happened in it.
    fn digest(&self) -> u64;
}
