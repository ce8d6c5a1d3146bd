//! `piton report`: what a run did, from its journal.

use super::global::FormatArg;
use super::{Global, Stop, output};
use crate::exit::Exit;
use crate::journal::{self, RunDir};
use crate::report::text::{Options, Text, Verbosity};
use crate::report::view::RunView;
use crate::report::{html, json, markdown, paint::Paint};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Say what a run did: what ran where, how it ended, what was changed, what is protected and what is not.
///
/// `--format` is text, md, html or json (the events); without it the ending of the output file decides.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  piton report\n  piton report 1a2b --format html -o report.html\n  piton report -o report.md"
)]
pub struct Args {
    /// Its id or the last four digits of it; the last run without.
    run: Option<String>,
    /// Write to this file; without it to standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Writes the report.
pub fn run(global: &Global, args: &Args) -> Result<Exit, Stop> {
    let dir = global.state()?.find(args.run.as_deref())?;
    let journaled = journal::read(&dir)?;
    let events = &journaled.events;
    let format = match global.format {
        FormatArg::Text => format_of(args.output.as_deref()),
        asked => asked,
    };
    let text = match format {
        FormatArg::Text => {
            let paint = if args.output.is_some() { Paint::PLAIN } else { global.paint() };
            let verbosity = global.verbosity().max(Verbosity::Normal);
            Text::whole(events, Options { verbosity, paint, ..global.options() })
        }
        FormatArg::Md => markdown::page(&RunView::of(events)),
        FormatArg::Html => html::page(&RunView::of(events)),
        FormatArg::Json => events.iter().map(|e| json::line(e) + "\n").collect(),
    };
    super::runs::note_what_is_missing(&dir, journaled.torn, journaled.state.ended);
    match &args.output {
        None => output::print(&text),
        Some(path) => {
            fs::write(path, text).map_err(|e| Stop::local(format!("{}: {e}", path.display())))?;
            output::complain(&format!("written: {}", path.display()));
        }
    }
    Ok(Exit::Done)
}

fn format_of(path: Option<&Path>) -> FormatArg {
    match path.and_then(Path::extension).and_then(|e| e.to_str()) {
        Some("md") => FormatArg::Md,
        Some("html" | "htm") => FormatArg::Html,
        Some("json" | "jsonl") => FormatArg::Json,
        _ => FormatArg::Text,
    }
}

/// Writes `report.md` and `report.html` into the folder of a run that has ended and gives the path of the first.
/// Owner-only, like the journal.
///
/// # Errors
/// [`crate::exit::Exit::Local`] for a full disk and the like; the run itself is not concerned.
pub fn keep(dir: &RunDir) -> Result<PathBuf, Stop> {
    let journaled = journal::read(dir)?;
    let view = RunView::of(&journaled.events);
    let mut first = None;
    for (name, text) in [("report.md", markdown::page(&view)), ("report.html", html::page(&view))] {
        let path = dir.path().join(name);
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let written = options.open(&path).and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(|e| Stop::local(format!("{}: {e}", path.display())))?;
        first.get_or_insert(path);
    }
    Ok(first.unwrap_or_else(|| dir.path().to_path_buf()))
}
