//! Colours, or none.

use crate::event::Outcome;

/// Paints words for a terminal; does nothing where colours are off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paint {
    /// True if colours are wanted.
    pub on: bool,
}

impl Paint {
    /// No colours.
    pub const PLAIN: Self = Self { on: false };

    fn wrap(self, code: &str, text: &str) -> String {
        if self.on && !text.is_empty() { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_string() }
    }

    /// For what is well.
    pub fn green(self, text: &str) -> String {
        self.wrap("32", text)
    }

    /// For what changed.
    pub fn yellow(self, text: &str) -> String {
        self.wrap("33", text)
    }

    /// For what failed.
    pub fn red(self, text: &str) -> String {
        self.wrap("31", text)
    }

    /// For what nobody knows: it must be seen.
    pub fn alarm(self, text: &str) -> String {
        self.wrap("1;37;41", text)
    }

    /// For places and hunks.
    pub fn cyan(self, text: &str) -> String {
        self.wrap("36", text)
    }

    /// For headings.
    pub fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    /// For what matters less.
    pub fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }

    /// A text in the colour of an outcome.
    pub fn outcome(self, outcome: &Outcome, text: &str) -> String {
        match outcome {
            Outcome::Ok => self.green(text),
            Outcome::Changed => self.yellow(text),
            Outcome::Skipped(_) => self.dim(text),
            Outcome::Failed(_) | Outcome::Ignored(_) => self.red(text),
            Outcome::Unknown(_) => self.alarm(text),
        }
    }
}
