//! Appending events, durably.

use super::{JournalError, RunDir};
use crate::event::{Event, Stamped};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// An open journal.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// A new journal in the run's folder.
    ///
    /// # Errors
    /// [`JournalError::Write`].
    pub fn create(dir: &RunDir) -> Result<Self, JournalError> {
        let path = dir.journal();
        let fail = |source| JournalError::Write { path: path.clone(), source };
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path).map_err(fail)?;
        lock(&file, &path)?;
        // The names must survive a power cut too, or the events do not.
        for folder in [dir.path(), dir.path().parent().unwrap_or(dir.path())] {
            File::open(folder).and_then(|f| f.sync_all()).map_err(fail)?;
        }
        Ok(Self { path, file })
    }

    /// Opens the journal of a run that goes on: a torn last line is cut off first.
    ///
    /// # Errors
    /// [`JournalError::Write`], [`JournalError::InUse`] while another piton writes it.
    pub fn reopen(dir: &RunDir) -> Result<Self, JournalError> {
        let path = dir.journal();
        let fail = |source| JournalError::Write { path: path.clone(), source };
        let file = OpenOptions::new().read(true).append(true).open(&path).map_err(fail)?;
        lock(&file, &path)?;
        let bytes = std::fs::read(&path).map_err(fail)?;
        let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        if whole < bytes.len() {
            file.set_len(whole as u64).and_then(|()| file.sync_all()).map_err(fail)?;
        }
        Ok(Self { path, file })
    }

    /// Writes an event; what others must find after a crash is on disk when this returns.
    ///
    /// # Errors
    /// [`JournalError::Write`]: the run must stop before its next change.
    pub fn append(&mut self, event: &Stamped) -> Result<(), JournalError> {
        let fail = |path: &PathBuf, source| JournalError::Write { path: path.clone(), source };
        let mut line = serde_json::to_vec(event).map_err(|e| fail(&self.path, e.into()))?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(|e| fail(&self.path, e))?;
        if must_sync(&event.event) {
            self.file.sync_data().map_err(|e| fail(&self.path, e))?;
        }
        Ok(())
    }
}

/// True if another piton writes the journal in this folder, or if that cannot be told.
pub fn is_going(dir: &RunDir) -> bool {
    let path = dir.journal();
    File::open(&path).map_or(true, |file| lock(&file, &path).is_err())
}

/// Held until the process ends, however it ends.
fn lock(file: &File, path: &Path) -> Result<(), JournalError> {
    rustix::fs::flock(file, rustix::fs::FlockOperation::NonBlockingLockExclusive)
        .map_err(|_| JournalError::InUse { path: path.to_path_buf() })
}

/// Events that a recovery decides by. The others are read back if they made it, and asked again if not.
fn must_sync(event: &Event) -> bool {
    matches!(
        event,
        Event::RunStarted { .. }
            | Event::Resumed { .. }
            | Event::ActionStarted { .. }
            | Event::ActionEnded { .. }
            | Event::CheckpointStarted { .. }
            | Event::CheckpointTaken { .. }
            | Event::Answered { .. }
            | Event::RollbackStarted { .. }
            | Event::RolledBack { .. }
            | Event::RollbackFailed { .. }
            | Event::RunEnded { .. }
    )
}
