//! `sim completions SHELL`: a completion script.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, FINE, print};
use crate::error::Result;

/// The arguments of `sim completions`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// For which shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Prints the script.
///
/// # Errors
/// Standard output cannot be written.
pub fn execute(arguments: &Arguments) -> Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "sim", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(FINE)
}
