//! How far a machine that somebody asked for has come. It is kept among the machine's annotations: whoever asks for a
//! machine creates it in this state, the provider does the rest.

use super::{Machine, Name};

const KEY: Name = crate::name!("sim/provision");

/// A machine on its way in or out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Provision {
    /// There, or there from the start.
    Done,
    /// Asked for.
    Asked,
    /// Not to be had; in the provider's words.
    Failed(Name),
    /// To be given back.
    Leaving,
}

impl Provision {
    /// Of a machine.
    pub fn of(machine: &Machine) -> Provision {
        match machine.meta.annotations.get(&KEY).map(|value| value.as_str()) {
            None => Provision::Done,
            Some("asked") => Provision::Asked,
            Some("leaving") => Provision::Leaving,
            Some(other) => Provision::Failed(Name::from(other.trim_start_matches("failed: "))),
        }
    }

    /// Notes it on a machine.
    pub fn note(&self, machine: &mut Machine) {
        let annotations = &machine.meta.annotations;
        machine.meta.annotations = match self {
            Provision::Done => annotations.without(&KEY),
            Provision::Asked => annotations.with(KEY, "asked"),
            Provision::Leaving => annotations.with(KEY, "leaving"),
            Provision::Failed(why) => annotations.with(KEY, format!("failed: {why}").as_str()),
        };
    }

    /// As it goes into the fingerprint and the trace; empty for [`Provision::Done`].
    pub fn text(machine: &Machine) -> &str {
        machine.meta.annotations.get(&KEY).map_or("", |value| value.as_str())
    }
}
