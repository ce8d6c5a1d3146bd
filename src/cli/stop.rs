//! Why a subcommand ends without doing what it was asked.

use crate::exit::Exit;
use crate::journal::JournalError;
use crate::report::clean;
use std::fmt;

/// An error for the operator, with the exit code that it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// How the program ends.
    pub exit: Exit,
    /// What is wrong, without `error:`.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Stop {
    /// With this exit code.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None }
    }

    /// Bad input: nothing was contacted.
    pub fn input(message: impl Into<String>) -> Self {
        Self::new(Exit::BadInput, message)
    }

    /// With everything said already.
    pub fn said(exit: Exit) -> Self {
        Self::new(exit, "")
    }

    /// Something on this machine.
    pub fn local(message: impl Into<String>) -> Self {
        Self::new(Exit::Local, message)
    }

    /// The same with advice.
    #[must_use]
    pub fn hint(mut self, text: impl Into<String>) -> Self {
        self.hint = Some(text.into());
        self
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", clean::text(&self.message))?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "\n  hint: {}", clean::text(hint)))
    }
}

impl From<JournalError> for Stop {
    fn from(error: JournalError) -> Self {
        let message = error.to_string();
        match error {
            JournalError::NoSuchRun { .. } => Self::input(message).hint("`piton runs list` shows the runs there are"),
            JournalError::Ambiguous { .. } => Self::input(message).hint("write the whole id"),
            JournalError::Write { .. } | JournalError::Read { .. } | JournalError::InUse { .. } => Self::local(message),
            JournalError::Damaged { .. } | JournalError::Newer { .. } | JournalError::Illegal(_) => {
                Self::input(message)
            }
        }
    }
}
