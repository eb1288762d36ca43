//! `sim trace FILE`: what happened, one line a change.

use clap::Args;
use std::rc::Rc;

use super::run::duration;
use super::source::Source;
use super::verify::stopped;
use super::{FINE, print};
use crate::cluster::digest::Window;
use crate::cluster::{Cluster, Options};
use crate::error::Result;
use crate::scenario::units::{Duration, ObjectRef};

/// The arguments of `sim trace`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Which scenario.
    #[command(flatten)]
    pub source: Source,
    /// Only changes of this object, such as deployment/web
    #[arg(long, value_name = "KIND/NAME", value_parser = ObjectRef::parse)]
    pub object: Option<ObjectRef>,
    /// Only from this virtual time on
    #[arg(long, value_name = "T", value_parser = duration)]
    pub from: Option<Duration>,
    /// Only up to this virtual time
    #[arg(long, value_name = "T", value_parser = duration)]
    pub to: Option<Duration>,
}

/// Prints the changes.
///
/// # Errors
/// Wrong input, or a limit that was reached.
pub fn execute(arguments: &Arguments) -> Result<u8> {
    let scenario = arguments.source.load()?;
    let window = Window::new(0, u64::MAX);
    let lines = Rc::clone(&window.lines);
    let mut cluster = Cluster::new(&scenario, &Options::of(&scenario), vec![Box::new(window)])?;
    cluster.run(&mut |_, _| true).map_err(stopped)?;
    for (_, line) in lines.take() {
        print(&format!("{line}\n"))?;
    }
    Ok(FINE)
}
