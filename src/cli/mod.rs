//! The command line: one file per subcommand, and what they share.
//!
//! Results go to standard output, everything else to standard error. A closed pipe is success.

// Row 8: files, the terminal and the environment are this module's business.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod chaos;
pub mod compare;
pub mod completions;
pub mod diagnostics;
pub mod explain;
pub mod files;
pub mod man;
pub mod progress;
pub mod run;
pub mod schema;
pub mod simulate;
pub mod source;
pub mod trace;
pub mod validate;
pub mod verify;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::{Error, Result};

/// Everything went well.
pub const FINE: u8 = 0;
/// The run is complete and an expectation of its scenario failed.
pub const EXPECTATION_FAILED: u8 = 1;
/// The simulator contradicts itself.
pub const BUG: u8 = 101;

const EXIT_CODES: &str = "\
Exit codes:
  0    fine
  1    the run is complete, and an expectation of the scenario failed
  2    the input is wrong: arguments, scenario or manifest
  3    a limit was reached
  4    a file could not be read or written
  101  a bug in the simulator; please report it with the seed
  130  interrupted";

/// Simulates a Kubernetes cluster: what happens, when, and why, the same on every machine.
#[derive(Parser, Debug)]
#[command(name = "sim", version, after_help = EXIT_CODES, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Run a scenario and report what happened.
    Run(run::Arguments),
    /// Run a scenario under several scheduling strategies, on many seeds, and compare.
    Compare(compare::Arguments),
    /// Search for faults that break a scenario, and shrink what is found to the smallest schedule.
    Chaos(chaos::Arguments),
    /// Check scenarios and Kubernetes manifests without running anything.
    Validate(validate::Arguments),
    /// Say why a pod is on its node: each node, each plugin, verdict and score.
    Explain(explain::Arguments),
    /// Print what happened, one line a change.
    Trace(trace::Arguments),
    /// Print the JSON Schema of the scenario file.
    Schema,
    /// Print a completion script for a shell.
    Completions(completions::Arguments),
    /// Print the manual page.
    Man,
}

/// Parses the arguments of the process and does what they say.
pub fn main() -> ExitCode {
    // Wrong usage ends here with exit code 2, `--help` and `--version` with 0.
    let cli = Cli::parse();
    let result = match &cli.command {
        Command::Run(arguments) => run::execute(arguments),
        Command::Compare(arguments) => compare::execute(arguments),
        Command::Chaos(arguments) => chaos::execute(arguments),
        Command::Validate(arguments) => validate::execute(arguments),
        Command::Explain(arguments) => explain::execute(arguments),
        Command::Trace(arguments) => trace::execute(arguments),
        Command::Schema => schema::execute(),
        Command::Completions(arguments) => completions::execute(arguments),
        Command::Man => man::execute(),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            diagnostics::print(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

/// Writes to standard output. When the reader has gone (`sim … | head`) the process ends at once, with success.
///
/// # Errors
/// [`Error::Io`] for any other failure.
pub fn print(text: &str) -> Result<()> {
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(i32::from(FINE)),
        Err(error) => Err(Error::Io { path: "standard output".to_string(), cause: error.to_string() }),
    }
}
