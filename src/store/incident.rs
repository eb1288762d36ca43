//! Incidents: how faults and the scripted user leave in the log what they did.

use super::write::Write;
use crate::model::core::Incident;
use crate::model::{Fault, Key, Kind, Meta, Name, Object, Resource};
use crate::time::SimTime;

/// The key of the incident that entry `index` of the timeline makes; also the key its actor works on.
pub fn entry_key(index: usize) -> Key {
    Key::cluster(Kind::Incident, format!("incident-{index:04}"))
}

/// The index in a key made by [`entry_key`].
pub fn entry_index(key: &Key) -> usize {
    let digits = key.name.rsplit('-').next().and_then(|digits| digits.parse().ok());
    digits.expect("keys of the timeline end in its index")
}

/// The record of an incident; `ended` is `None` while it lasts.
pub fn begun(key: &Key, fault: Fault, description: String, started: SimTime, ended: Option<SimTime>) -> Write {
    let meta = Meta::named("", key.name.clone());
    let object = Incident { meta, fault, description: Name::from(description), started, ended, output: Vec::new() };
    Write::Create(object.into_object())
}

/// The same incident, over.
pub fn ended(incident: &Incident, now: SimTime) -> Write {
    let mut incident = incident.clone();
    incident.ended = Some(now);
    incident.meta.resource_version = 0;
    Write::Update(Object::from(incident))
}
