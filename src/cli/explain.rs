//! `sim explain FILE --pod NAME`: why a pod is on its node.

use clap::Args;

use super::source::Source;
use crate::error::{Error, Result};

/// The arguments of `sim explain`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Which scenario.
    #[command(flatten)]
    pub source: Source,
    /// The pod's name, or a prefix of it
    #[arg(long, value_name = "NAME")]
    pub pod: String,
    /// The pod's namespace
    #[arg(short, long, default_value = "default")]
    pub namespace: String,
}

/// Prints each node with each plugin's verdict and score at the moment the pod was placed.
///
/// # Errors
/// Wrong input, or no such pod.
pub fn execute(arguments: &Arguments) -> Result<u8> {
    let _scenario = arguments.source.load()?;
    Err(Error::input("explaining a placement is not built yet"))
}
