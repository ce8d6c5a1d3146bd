//! `piton explain`: what a code means and what to do.

use super::{Stop, output};
use crate::exit::Exit;
use crate::load::codes;

/// Explain the code of an error, or the exit codes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  piton explain P0101\n  piton explain exit\n  piton explain list")]
pub struct Args {
    /// A code, `exit` for the exit codes, or `list` for all codes.
    code: String,
}

/// Prints it.
pub fn run(args: &Args) -> Result<Exit, Stop> {
    let text = match args.code.as_str() {
        "exit" => lines(Exit::TABLE.iter().map(|(_, code, text)| format!("{code:>3}  {text}"))),
        "list" => lines(codes::TABLE.iter().map(|code| format!("{}  {}", code.code, code.title))),
        name => match codes::find(name) {
            Some(code) => format!("{}: {}\n\n{}", code.code, code.title, output::wrap(code.text, "  ", 80)),
            None => {
                return Err(
                    Stop::input(format!("there is no code `{name}`")).hint("`piton explain list` lists them all")
                );
            }
        },
    };
    output::print(&text);
    Ok(Exit::Done)
}

fn lines(texts: impl Iterator<Item = String>) -> String {
    texts.map(|text| text + "\n").collect()
}
