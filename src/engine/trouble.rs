//! Why a task could not go on.

use crate::journal::JournalError;
use crate::modules::ModuleError;
use crate::transport::TransportError;

/// What stopped a task or a run.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// It did not work; what it came to is known.
    #[error("{0}")]
    Failed(String),
    /// No connection could be made, so nothing was done.
    #[error("{0}")]
    Unreachable(String),
    /// The line was lost with something in flight.
    #[error("{0}")]
    Unknown(String),
    /// The host took the change back by itself, and that was seen; with what is not as before, if anything.
    #[error("reverted: {why}")]
    Reverted {
        /// Why it was not confirmed.
        why: String,
        /// True if everything was seen to be as before.
        whole: bool,
    },
    /// The operator wants to stop.
    #[error("stopped by the operator")]
    Interrupted,
    /// The journal cannot be written: nothing more may be changed.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl Trouble {
    /// From a transport error while only looking: nothing of ours was in flight that could have changed anything.
    pub fn looking(error: &TransportError) -> Self {
        match error {
            TransportError::Unreachable { hint, .. } => {
                Self::Unreachable(with_hint(error.to_string(), hint.as_deref()))
            }
            TransportError::Lost { .. } => Self::Unreachable(format!("{error}; nothing was in flight")),
            other => Self::Failed(other.to_string()),
        }
    }

    /// From a transport error of an action: a lost line leaves its outcome unknown.
    pub fn acting(error: &TransportError, line: &str) -> Self {
        if error.is_unknown() {
            return Self::Unknown(format!("{error}; in flight was: {line}"));
        }
        Self::looking(error)
    }
}

impl From<ModuleError> for Trouble {
    fn from(error: ModuleError) -> Self {
        let hint = match &error {
            ModuleError::Refused { hint, .. } => hint.clone(),
            _ => None,
        };
        Self::Failed(with_hint(error.to_string(), hint.as_deref()))
    }
}

fn with_hint(text: String, hint: Option<&str>) -> String {
    match hint {
        Some(hint) => format!("{text} ({hint})"),
        None => text,
    }
}
