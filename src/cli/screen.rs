//! `piton screen` (hidden): plays a file of events on the display of a run, to look at the display alone.

use super::operator::Asker;
use super::{Global, Stop};
use crate::engine::operator::Operator as _;
use crate::event::{Event, Sink as _, Stamped};
use crate::exit::Exit;
use crate::modules::PromptKind;
use crate::report::screen::Screen;
use std::path::PathBuf;
use std::time::Duration;

/// Play a file of events, one JSON object a line, as a run would show them.
///
/// A line `{"host": "pve", "ask": {"confirm": "Go on?"}}` asks the operator.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Journal or output of `--format json`.
    file: PathBuf,
    /// Milliseconds between two events.
    #[arg(long, default_value_t = 0)]
    pace: u64,
    /// Confirm without asking.
    #[arg(long)]
    yes: bool,
}

/// A question among the events.
#[derive(serde::Deserialize)]
struct Question {
    host: String,
    ask: PromptKind,
}

/// Plays it.
pub async fn run(global: &Global, args: &Args) -> Result<Exit, Stop> {
    let name = args.file.display();
    let text = std::fs::read_to_string(&args.file).map_err(|e| Stop::input(format!("{name}: {e}")))?;
    let screen = Screen::open(global.screen_format(), global.options());
    let asker = Asker::new(args.yes, screen.clone());
    for (number, line) in text.lines().enumerate() {
        if let Ok(Question { host, ask }) = serde_json::from_str(line) {
            let answer = asker.ask(&host, &ask).await;
            let text = answer.map_or_else(|e| format!("no answer: {e}"), |answer| format!("answer: {answer}"));
            screen.event(&Stamped { at: 0, event: Event::Warning { text } });
            continue;
        }
        let event: Stamped =
            serde_json::from_str(line).map_err(|e| Stop::input(format!("{name}:{}: {e}", number + 1)))?;
        screen.event(&event);
        tokio::time::sleep(Duration::from_millis(args.pace)).await;
    }
    Ok(Exit::Done)
}
