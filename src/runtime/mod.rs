//! From changes to work: the loop that delivers watches, hands out keys, commits writes and fires timers.
//!
//! Whatever acts on the cluster is a [`Controller`]. The runtime alone knows how long a watch takes, how
//! long a request takes, how many workers a controller has and how fast its client may go.

mod actor;
mod batch;
pub mod context;
pub mod control;
pub mod controller;
mod flights;
mod gate;
mod mail;
pub mod observer;
pub mod plant;
pub mod queue;
pub mod run_loop;
mod server;
pub mod settings;
#[cfg(test)]
mod tests;

pub use context::{Batch, Cx, Group, Order, Told};
pub use control::Command;
pub use controller::{Controller, Requeue, Wake};
pub use observer::Observer;
pub use plant::{Call, Plant};
pub use run_loop::{Runtime, Stop};
pub use server::ServerSettings;
pub use settings::{ActorSettings, RuntimeLimits, Stats};
