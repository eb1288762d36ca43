//! What was found: violations, each with the story of the objects concerned.

use super::ROWS;
use crate::model::Key;
use crate::store::Change;
use crate::time::{SimDuration, SimTime};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::fmt;

/// A broken invariant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// Which.
    pub number: u8,
    /// When.
    pub time: SimTime,
    /// The newest revision then.
    pub revision: u64,
    /// What is wrong.
    pub message: String,
    /// The last ten changes of the objects concerned, oldest first.
    pub history: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = ROWS.iter().find(|row| row.number == self.number).map_or("", |row| row.name);
        write!(f, "invariant {} ({name}) at {} revision {}: {}", self.number, self.time, self.revision, self.message)?;
        for line in &self.history {
            write!(f, "\n    {line}")?;
        }
        Ok(())
    }
}

/// Changes kept to explain a violation.
const KEPT: usize = 2048;
/// Changes of the objects concerned that a violation shows.
const SHOWN: usize = 10;
/// Violations of one invariant that are kept; the rest would say the same.
const PER_ROW: usize = 10;
/// Violations kept in all.
const IN_ALL: usize = 20;

/// How long before the end a wake-up may be too late to be done with.
const LAST_MOMENTS: SimDuration = SimDuration::from_secs(10);

/// What was found, shared between the checker and whoever asks afterwards.
#[derive(Debug, Default)]
pub struct Findings {
    /// Broken invariants, in order.
    pub violations: Vec<Violation>,
    /// Whether the cluster was at rest at the end.
    pub at_rest: bool,
    pub(super) now: SimTime,
    pub(super) revision: u64,
    recent: VecDeque<Change>,
    /// When each actor last worked on a key.
    pub(super) worked: FxHashMap<&'static str, SimTime>,
}

impl Findings {
    /// Remembers a change, to tell of it if something turns out wrong.
    pub(super) fn remember(&mut self, change: &Change) {
        self.now = self.now.max(change.time);
        self.revision = change.revision;
        if self.recent.len() == KEPT {
            self.recent.pop_front();
        }
        self.recent.push_back(change.clone());
    }

    /// Reports a violation that concerns `keys`.
    pub fn violate(&mut self, number: u8, keys: &[&Key], message: String) {
        let same = self.violations.iter().filter(|violation| violation.number == number).count();
        if same >= PER_ROW || self.violations.len() >= IN_ALL {
            return;
        }
        let about = self.recent.iter().rev().filter(|change| keys.contains(&&change.key)).take(SHOWN);
        let mut history: Vec<String> = about.map(line).collect();
        history.reverse();
        self.violations.push(Violation { number, time: self.now, revision: self.revision, message, history });
    }

    /// 45: the keys that still wait or run at the end ([`crate::runtime::Runtime::busy_keys`]). Wake-ups to come
    /// and events on their way are no work, and a wake-up in the last moments may not be done with.
    pub fn busy_at_end(&mut self, busy: &[(&'static str, Key)]) {
        let stuck = |actor: &str| self.worked.get(actor).is_none_or(|worked| self.now - *worked > LAST_MOMENTS);
        let mut idle = busy.iter().filter(|(actor, _)| self.at_rest && stuck(actor));
        if let Some((actor, key)) = idle.next() {
            let message = format!("{} keys wait or run at rest, the first is {key} of {actor}", 1 + idle.count());
            self.violate(45, &[key], message);
        }
    }
}

fn line(change: &Change) -> String {
    let verb = change.verb.as_str();
    format!("{} revision {}: {verb} {} by {}", change.time, change.revision, change.key, change.writer)
}
