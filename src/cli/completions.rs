//! `piton completions`.

use super::{Cli, output};
use crate::exit::Exit;
use clap::CommandFactory as _;

/// Print a completion script.
///
/// For bash: piton completions bash > ~/.local/share/bash-completion/completions/piton
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Your shell.
    shell: clap_complete::Shell,
}

/// Prints the script.
pub fn run(args: &Args) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "piton", &mut script);
    output::print(&String::from_utf8_lossy(&script));
    Exit::Done
}
