//! Those who watch a run without touching it: metrics, checks, traces, the fingerprint.

use crate::model::Key;
use crate::store::{Change, Store, StoreError};
use crate::time::SimTime;

/// Sees everything at the moment it happens, never writes, never draws a random number.
pub trait Observer {
    /// An actor takes its seat.
    fn seated(&mut self, _actor: &'static str) {}

    /// An actor minds a change: it is to be delivered to it.
    fn addressed(&mut self, _actor: &'static str, _revision: u64) {}

    /// A write was accepted; `store` already holds it.
    fn change(&mut self, change: &Change, store: &Store);

    /// A write of `writer` concerning `key` was refused.
    fn refused(&mut self, _now: SimTime, _writer: &'static str, _key: &Key, _error: &StoreError) {}

    /// An actor's watch was delivered up to `to` (exclusive of nothing), from `from`.
    fn delivered(&mut self, _now: SimTime, _actor: &'static str, _from: u64, _to: u64) {}

    /// An actor's process began anew and has listed what it watches, up to `to`; its watch stood at `from` before.
    fn listed(&mut self, _now: SimTime, _actor: &'static str, _from: u64, _to: u64) {}

    /// A key was reconciled by an actor whose cursor stands at `cursor`.
    fn reconciled(&mut self, _now: SimTime, _actor: &'static str, _key: &Key, _cursor: u64) {}

    /// The writes of a key's reconcile are done, the last at `written`: the key is not to run again before its actor
    /// has seen that.
    fn landed(&mut self, _now: SimTime, _actor: &'static str, _key: &Key, _written: u64) {}

    /// What the plant came to, if there is one: a hash of everything that happened in it.
    fn plant(&mut self, _digest: u64) {}

    /// The run is over.
    fn finish(&mut self, _now: SimTime, _store: &Store) {}
}
