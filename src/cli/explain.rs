//! `piton explain`: what a code means and what to do.

use super::{Stop, output};
use crate::exit::Exit;

/// Explain the code of an error, or the exit codes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  piton explain exit")]
pub struct Args {
    /// `exit` for the exit codes.
    code: String,
}

/// Prints it.
pub fn run(args: &Args) -> Result<Exit, Stop> {
    if args.code == "exit" {
        output::print(&exit());
        return Ok(Exit::Done);
    }
    Err(Stop::input(format!("there is no code `{}`", args.code)).hint("`piton explain exit` explains exit codes"))
}

fn exit() -> String {
    Exit::TABLE.iter().map(|(_, code, text)| format!("{code:>3}  {text}\n")).collect()
}
