//! Which display fits: the live one on a terminal, plain lines elsewhere, JSON lines where asked for.

use super::json::Json;
use super::lines::Lines;
use super::progress::Progress;
use super::text::{Options, Verbosity};
use crate::event::{Sink, Stamped};
use std::io::IsTerminal as _;
use std::sync::Arc;

/// What is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One event a line.
    Json,
}

/// The display of a run: takes its events, and can step aside while the operator is asked something.
#[derive(Clone)]
pub enum Screen {
    /// Live.
    Live(Progress),
    /// Plain lines or JSON.
    Plain(Arc<dyn Sink>),
}

impl Screen {
    /// The display for standard output as it is.
    pub fn open(format: Format, options: Options) -> Self {
        let out = std::io::stdout();
        if format == Format::Json {
            return Self::Plain(Arc::new(Json::new(Box::new(out))));
        }
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb" || term.is_empty());
        let live = out.is_terminal() && !dumb && options.verbosity > Verbosity::Quiet;
        match rows() {
            Some(rows) if live && rows >= 4 => Self::Live(Progress::new(options, rows)),
            _ => Self::Plain(Arc::new(Lines::new(options, Box::new(out)))),
        }
    }

    /// Steps aside; prompts can be written to the terminal now.
    pub fn pause(&self) {
        if let Self::Live(progress) = self {
            progress.pause();
        }
    }

    /// Comes back.
    pub fn resume(&self) {
        if let Self::Live(progress) = self {
            progress.resume();
        }
    }
}

impl Sink for Screen {
    fn event(&self, event: &Stamped) {
        match self {
            Self::Live(progress) => progress.event(event),
            Self::Plain(sink) => sink.event(event),
        }
    }
}

fn rows() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    Some(usize::from(size.ws_row))
}
