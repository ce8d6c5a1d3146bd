//! One folder a run: append-only JSON lines of the run's events, on disk before each change.
//!
//! `<state>/runs/<run id>/journal.jsonl`, folder and file owner-only. A journal that cannot be written stops the run
//! before the next change: it is what makes `resume` and `rollback` safe.

mod dir;
mod read;
pub mod resume;
mod write;

pub use dir::{RunDir, RunFate, StateDir};
pub use read::{Journaled, read};
pub use write::{Journal, is_going};

use std::path::PathBuf;

/// What can go wrong with a journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Cannot be made or written. Nothing is changed after this.
    #[error("the journal {path} cannot be written: {source}")]
    Write {
        /// Which.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// Another piton writes it: the run goes on there.
    #[error("{path} is being written by another piton: that run goes on")]
    InUse {
        /// Which.
        path: PathBuf,
    },
    /// Cannot be read.
    #[error("the journal {path} cannot be read: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A line in the middle is not an event: the file was damaged or edited.
    #[error("{path}:{line}: not an event of a journal: {why}")]
    Damaged {
        /// Which.
        path: PathBuf,
        /// Line from 1.
        line: usize,
        /// What the parser said.
        why: String,
    },
    /// Written by a later version.
    #[error(
        "{path} has format {format}, this piton reads up to {}; use the version that wrote it",
        crate::event::FORMAT
    )]
    Newer {
        /// Which.
        path: PathBuf,
        /// Its format.
        format: u32,
    },
    /// No run of this name.
    #[error("there is no run `{name}` in {path}")]
    NoSuchRun {
        /// As given.
        name: String,
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A short name that fits several runs.
    #[error("`{name}` fits several runs: {found}")]
    Ambiguous {
        /// As given.
        name: String,
        /// Their ids.
        found: String,
    },
    /// An event does not fit the run.
    #[error(transparent)]
    Illegal(#[from] crate::state::Illegal),
}
