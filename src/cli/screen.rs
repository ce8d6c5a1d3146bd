//! `piton screen` (hidden): plays a file of events on the display of a run, to look at the display alone.

use super::{Global, Stop};
use crate::event::{Sink as _, Stamped};
use crate::exit::Exit;
use crate::report::screen::Screen;
use std::path::PathBuf;
use std::time::Duration;

/// Play a file of events, one JSON object a line, as a run would show them.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Journal or output of `--format json`.
    file: PathBuf,
    /// Milliseconds between two events.
    #[arg(long, default_value_t = 0)]
    pace: u64,
}

/// Plays it.
pub async fn run(global: &Global, args: &Args) -> Result<Exit, Stop> {
    let name = args.file.display();
    let text = std::fs::read_to_string(&args.file).map_err(|e| Stop::input(format!("{name}: {e}")))?;
    let screen = Screen::open(global.screen_format(), global.options());
    for (number, line) in text.lines().enumerate() {
        let event: Stamped =
            serde_json::from_str(line).map_err(|e| Stop::input(format!("{name}:{}: {e}", number + 1)))?;
        screen.event(&event);
        tokio::time::sleep(Duration::from_millis(args.pace)).await;
    }
    Ok(Exit::Done)
}
