//! `piton runs`: what the state directory holds.

use super::{Global, Stop, output};
use crate::event::RunEnd;
use crate::exit::Exit;
use crate::journal::{self, RunDir};
use crate::report::diff::span;
use crate::report::text::Text;
use crate::report::view::RunView;
use crate::report::{clean, clock, json};
use serde_json::json;

/// List the runs of the past, or show one.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  piton runs list\n  piton runs show\n  piton runs show 1a2b")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// All runs, the newest last.
    List,
    /// A run as it was shown.
    Show {
        /// Its id or the last four digits of it; the last run without.
        run: Option<String>,
    },
}

/// Lists them or shows one.
pub fn run(global: &Global, args: &Args) -> Result<Exit, Stop> {
    match &args.command {
        Command::List => list(global),
        Command::Show { run } => {
            let dir = global.state()?.find(run.as_deref())?;
            let journaled = journal::read(&dir)?;
            if global.json() {
                output::print(&journaled.events.iter().map(|e| json::line(e) + "\n").collect::<String>());
            } else {
                output::print(&Text::whole(&journaled.events, global.options()));
            }
            note_what_is_missing(&dir, journaled.torn, journaled.state.ended);
            Ok(Exit::Done)
        }
    }
}

/// Says on standard error if the journal is not whole.
pub fn note_what_is_missing(dir: &RunDir, torn: bool, ended: Option<RunEnd>) {
    if torn {
        let path = clean::line(&dir.journal().display().to_string());
        output::complain(&format!("note: the last line of {path} was cut off in the middle and is left out"));
    }
    if ended.is_none() {
        output::complain("note: no end of this run was written: it still runs, or piton was killed in it");
    }
}

fn list(global: &Global) -> Result<Exit, Stop> {
    let state = global.state()?;
    let mut rows = Vec::new();
    let mut lines = String::new();
    for run in state.runs()? {
        let view = match state.find(Some(&run.0)).and_then(|dir| journal::read(&dir)) {
            Ok(journaled) => RunView::of(&journaled.events),
            Err(error) => {
                output::complain(&format!("note: run {}: {}", clean::line(&run.0), clean::line(&error.to_string())));
                continue;
            }
        };
        let Some(start) = &view.start else {
            output::complain(&format!("note: run {} has no first event", clean::line(&run.0)));
            continue;
        };
        let end = view.end.map_or("no end seen", |(end, _)| word(end));
        lines.push_str(&json::text(&json!({
            "run": start.run, "at": start.at, "command": start.command, "runbook": start.runbook, "path": start.path,
            "hosts": start.hosts, "end": view.end.map(|(end, _)| end), "lab": start.lab,
            "checkpoints": view.standing().map(|c| json!({"guest": c.guest, "name": c.name})).collect::<Vec<_>>(),
        })));
        lines.push('\n');
        rows.push(vec![
            clean::line(&start.run.0),
            clock::utc(start.at),
            view.end.map_or(String::new(), |(_, took)| span(took)),
            end.to_string(),
            clean::line(&start.command),
            clean::line(&start.runbook),
        ]);
    }
    if global.json() {
        output::print(&lines);
    } else if rows.is_empty() {
        output::complain(&format!("no runs yet in {}", clean::line(&state.path().display().to_string())));
    } else {
        let head = ["run", "began (UTC)", "took", "end", "command", "runbook"];
        rows.insert(0, head.iter().map(ToString::to_string).collect());
        output::print(&output::table(&rows));
    }
    Ok(Exit::Done)
}

/// The end of a run in one or two words.
pub fn word(end: RunEnd) -> &'static str {
    match end {
        RunEnd::Done => "done",
        RunEnd::Failed => "failed",
        RunEnd::RolledBack => "rolled back",
        RunEnd::RollbackFailed => "ROLLBACK FAILED",
        RunEnd::Unknown => "UNKNOWN",
        RunEnd::Interrupted => "interrupted",
        RunEnd::Reverted => "reverted",
        RunEnd::Refused => "not begun",
    }
}
