//! Gates before the API server: what holds requests up or turns them away.
//!
//! A webhook that times out holds the writes that it is asked about for its timeout, and then lets them through or not; an
//! overloaded server answers some requests with an error; a slow disk makes every write wait.

use super::{Kind, Name};
use crate::time::SimDuration;

/// What a write does, as an admission webhook names it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Operation {
    /// `CREATE`
    Create,
    /// `UPDATE`
    Update,
    /// `DELETE`
    Delete,
}

/// Whom a gate concerns, and what becomes of a request. What is empty concerns all.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Gate {
    /// Writers by name.
    pub writers: Vec<Name>,
    /// Kinds.
    pub kinds: Vec<Kind>,
    /// Namespaces.
    pub namespaces: Vec<Name>,
    /// Namespaces that are spared.
    pub except: Vec<Name>,
    /// Operations.
    pub operations: Vec<Operation>,
    /// Whether events, too.
    pub events: bool,
    /// How long it holds a request: something between the two.
    pub delay: (SimDuration, SimDuration),
    /// What it turns some of them away with after that: HTTP status code and message.
    pub refusal: Option<(u16, Name)>,
    /// How many of a thousand it turns away.
    pub permille: u64,
}

impl Gate {
    /// Holds up everything for so long.
    pub fn slow(delay: SimDuration) -> Self {
        Gate { events: true, delay: (delay, delay), ..Gate::default() }
    }

    /// Turns everything away after a while.
    pub fn shut(delay: SimDuration, code: u16, message: Name) -> Self {
        Gate { refusal: Some((code, message)), permille: 1000, ..Gate::slow(delay) }
    }
}
