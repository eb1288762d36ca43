//! What actors see and when (invariants 7 and 8).

use super::Findings;
use crate::model::Key;
use crate::store::Change;
use rustc_hash::FxHashMap;

/// Where each actor's watch stands, and what it wrote itself.
#[derive(Debug, Default)]
pub struct DeliveryChecks {
    newest: u64,
    cursors: FxHashMap<&'static str, u64>,
    written: FxHashMap<(&'static str, Key), u64>,
}

impl DeliveryChecks {
    /// Notes a change and who made it.
    pub fn change(&mut self, change: &Change) {
        self.newest = change.revision;
        self.written.insert((change.writer, change.key.clone()), change.revision);
    }

    /// 7. A cursor may also move over changes that its actor does not watch, so `from` may lie ahead of the last `to`.
    pub fn delivered(&mut self, actor: &'static str, from: u64, to: u64, findings: &mut Findings) {
        let last = self.cursors.insert(actor, to).unwrap_or(0);
        if from < last || to < from || to > self.newest {
            let message = format!("{actor} saw {from}..{to} after {last}, of {} in all", self.newest);
            findings.violate(7, &[], message);
        }
    }

    /// 8, as far as it shows from outside: for what an actor wrote to the key's own object.
    pub fn reconciled(&mut self, actor: &'static str, key: &Key, cursor: u64, findings: &mut Findings) {
        // Most keys are never written by the actor that reconciles them; the table then stays small.
        if let Some(written) = self.written.get(&(actor, key.clone())).copied()
            && written > cursor
        {
            let message = format!("{actor} works on {key} at {cursor} and wrote it at {written}");
            findings.violate(8, &[key], message);
        }
    }
}
