//! Conditions of pods, nodes and workloads.

use super::Name;
use crate::time::SimTime;

/// The status of a condition.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Truth {
    /// `True`
    True,
    /// `False`
    False,
    /// `Unknown`
    Unknown,
}

impl Truth {
    /// As Kubernetes writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Truth::True => "True",
            Truth::False => "False",
            Truth::Unknown => "Unknown",
        }
    }
}

impl From<bool> for Truth {
    fn from(value: bool) -> Self {
        if value { Truth::True } else { Truth::False }
    }
}

/// One condition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Condition {
    /// `Ready`, `Available`, …
    pub kind: Name,
    /// True, False or Unknown.
    pub status: Truth,
    /// One word of cause.
    pub reason: Name,
    /// A sentence.
    pub message: Name,
    /// When the status last changed.
    pub last_transition: SimTime,
    /// `lastUpdateTime` of Deployments, `lastHeartbeatTime` of nodes, `lastProbeTime` of pods.
    pub last_update: SimTime,
}

impl Condition {
    /// A condition that turned to `status` at `now`.
    pub fn new(kind: Name, status: Truth, reason: Name, message: impl Into<Name>, now: SimTime) -> Self {
        Condition { kind, status, reason, message: message.into(), last_transition: now, last_update: now }
    }
}

/// The condition of that type.
pub fn find<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.kind == kind)
}

/// Whether the condition of that type is True.
pub fn is_true(conditions: &[Condition], kind: &str) -> bool {
    find(conditions, kind).is_some_and(|condition| condition.status == Truth::True)
}

/// Like [`set`], but touches nothing if the condition says what it said.
pub fn say(conditions: &mut Vec<Condition>, new: Condition) {
    let said = |c: &Condition| (c.status, c.reason.clone(), c.message.clone());
    if find(conditions, &new.kind).is_none_or(|old| said(old) != said(&new)) {
        set(conditions, new);
    }
}

/// Puts `new` in the place of the condition of its type, or at the end. The transition time is kept
/// while the status stays the same.
pub fn set(conditions: &mut Vec<Condition>, mut new: Condition) {
    match conditions.iter_mut().find(|condition| condition.kind == new.kind) {
        Some(old) => {
            if old.status == new.status {
                new.last_transition = old.last_transition;
            }
            *old = new;
        }
        None => conditions.push(new),
    }
}
