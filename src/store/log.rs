//! The change log: one entry per accepted write, in revision order.

use super::slots::SlotId;
use crate::model::{Key, Object};
use crate::time::SimTime;
use std::collections::VecDeque;

/// The number of a write; grows by exactly one.
pub type Revision = u64;

/// What a write did to its object.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Verb {
    /// It is new.
    Added,
    /// It changed.
    Modified,
    /// It is gone.
    Deleted,
}

impl Verb {
    /// As a watch names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Verb::Added => "ADDED",
            Verb::Modified => "MODIFIED",
            Verb::Deleted => "DELETED",
        }
    }
}

/// One accepted write.
#[derive(Clone, Debug)]
pub struct Change {
    /// Its number.
    pub revision: Revision,
    /// When it was committed.
    pub time: SimTime,
    /// The object.
    pub key: Key,
    /// What happened.
    pub verb: Verb,
    /// The version before, unless it is new.
    pub old: Option<Object>,
    /// The version after, unless it is gone.
    pub new: Option<Object>,
    /// Who wrote: the name of the actor.
    pub writer: &'static str,
}

impl Change {
    /// The newest version there is: the one after, or for a deletion the one before.
    pub fn object(&self) -> &Object {
        self.new.as_ref().or(self.old.as_ref()).expect("a change has a version before or after")
    }
}

/// The window of the log that some reader has not passed yet.
#[derive(Debug, Default)]
pub struct Log {
    /// Changes, and the slots of their objects.
    entries: VecDeque<(SlotId, Change)>,
    last: Revision,
}

impl Log {
    /// The newest revision.
    pub fn last(&self) -> Revision {
        self.last
    }

    /// Appends an entry; its revision is the next number.
    pub fn push(&mut self, slot: SlotId, change: Change) {
        assert_eq!(change.revision, self.last + 1, "the log is dense");
        self.last = change.revision;
        self.entries.push_back((slot, change));
    }

    /// The entry with `revision`, if it is still kept.
    pub fn get(&self, revision: Revision) -> Option<&Change> {
        let first = self.entries.front()?.1.revision;
        self.entries.get(usize::try_from(revision.checked_sub(first)?).ok()?).map(|(_, change)| change)
    }

    /// The newest revision committed at or before `time`; `floor` if all kept entries are newer.
    pub fn revision_at(&self, time: SimTime, floor: Revision) -> Revision {
        match self.entries.partition_point(|(_, change)| change.time <= time) {
            0 => floor,
            n => self.entries[n - 1].1.revision.max(floor),
        }
    }

    /// Drops the oldest entry if its revision is at most `horizon`: which one it was, and where its object is.
    pub fn trim(&mut self, horizon: Revision) -> Option<(Revision, SlotId)> {
        let (slot, change) = self.entries.pop_front_if(|(_, change)| change.revision <= horizon)?;
        Some((change.revision, slot))
    }

    /// Entries kept.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}
