//! `sim man`: the manual page, in roff.

use clap::CommandFactory;

use super::{Cli, FINE, print};
use crate::error::{Error, Result};

/// Prints the page of `sim`, followed by those of its subcommands.
///
/// # Errors
/// Standard output cannot be written.
pub fn execute() -> Result<u8> {
    let mut command = Cli::command();
    command.build();
    let mut page = Vec::new();
    let mut render = |command: clap::Command| {
        let failed = |error: std::io::Error| Error::Io { path: "manual page".to_string(), cause: error.to_string() };
        clap_mangen::Man::new(command).render(&mut page).map_err(failed)
    };
    render(command.clone())?;
    for subcommand in command.get_subcommands() {
        render(subcommand.clone())?;
    }
    print(&String::from_utf8_lossy(&page))?;
    Ok(FINE)
}
