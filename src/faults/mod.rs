//! What can go wrong with machines and containers: one file per fault, each an actor that acts in the world
//! and not through the API. What it did stands in the log as an `Incident`.

pub mod crash;
pub mod node_crash;

use crate::runtime::{ActorSettings, Controller};
use crate::scenario::TimelineEntry;

/// The actors for the faults of a timeline.
pub fn all(timeline: &[TimelineEntry]) -> Vec<(Box<dyn Controller>, ActorSettings)> {
    let actors: Vec<Box<dyn Controller>> =
        vec![Box::new(node_crash::NodeCrashes::new(timeline)), Box::new(crash::Crashes::new(timeline))];
    actors.into_iter().map(|actor| (actor, ActorSettings::immediate())).collect()
}
