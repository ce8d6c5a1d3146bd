//! Where runs are kept.

use super::JournalError;
use crate::event::{Event, RunEnd, Stamped};
use crate::key::RunId;
use std::fs::{self, DirBuilder};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// The state directory: `--state-dir`, else `$XDG_STATE_HOME/piton`, else `~/.local/state/piton`.
#[derive(Debug, Clone)]
pub struct StateDir(PathBuf);

/// What the journals here say of a run's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunFate {
    /// It ended so.
    Ended(RunEnd),
    /// It goes on, or was cut off.
    Open,
    /// There is no journal of it.
    NotHere,
}

/// The folder of one run.
#[derive(Debug, Clone)]
pub struct RunDir(PathBuf);

impl StateDir {
    /// At this path; it is made when the first run needs it.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Makes the folder of a new run, owner-only.
    ///
    /// # Errors
    /// [`JournalError::Write`], also if it exists.
    pub fn create(&self, run: &RunId) -> Result<RunDir, JournalError> {
        let path = self.0.join("runs").join(&run.0);
        let fail = |source| JournalError::Write { path: path.clone(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(self.0.join("runs")).map_err(fail)?;
        DirBuilder::new().mode(0o700).create(&path).map_err(fail)?;
        Ok(RunDir(path))
    }

    /// Ids of all runs, oldest first.
    ///
    /// # Errors
    /// [`JournalError::Read`]; a state directory that does not exist has no runs.
    pub fn runs(&self) -> Result<Vec<RunId>, JournalError> {
        let path = self.0.join("runs");
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(JournalError::Read { path, source }),
        };
        let mut out: Vec<RunId> = entries
            .flatten()
            .filter(|e| e.path().join("journal.jsonl").exists())
            .filter_map(|e| e.file_name().into_string().ok())
            .map(RunId)
            .collect();
        out.sort();
        Ok(out)
    }

    /// How a run ended, from the last line of its journal.
    pub fn end_of(&self, run: &RunId) -> RunFate {
        let path = self.0.join("runs").join(&run.0).join("journal.jsonl");
        let Ok(mut file) = fs::File::open(path) else { return RunFate::NotHere };
        // The last event of a run is short.
        let length = file.metadata().map_or(0, |m| m.len());
        let mut tail = Vec::new();
        let read = file.seek(SeekFrom::Start(length.saturating_sub(4096))).and_then(|_| file.read_to_end(&mut tail));
        if read.is_err() || !tail.ends_with(b"\n") {
            return RunFate::Open;
        }
        let last = tail[..tail.len() - 1].rsplit(|b| *b == b'\n').next().unwrap_or(&[]);
        match serde_json::from_slice::<Stamped>(last) {
            Ok(Stamped { event: Event::RunEnded { end, .. }, .. }) => RunFate::Ended(end),
            _ => RunFate::Open,
        }
    }

    /// The run of this id, of these last digits, or the last one for `None`.
    ///
    /// # Errors
    /// [`JournalError::NoSuchRun`], [`JournalError::Ambiguous`].
    pub fn find(&self, name: Option<&str>) -> Result<RunDir, JournalError> {
        let runs = self.runs()?;
        let missing = || JournalError::NoSuchRun {
            name: name.unwrap_or("(the last one)").to_string(),
            path: self.0.join("runs"),
        };
        let run = match name {
            None => runs.last().ok_or_else(missing)?,
            Some(name) => {
                let fits: Vec<&RunId> = runs.iter().filter(|r| r.0 == name || r.short() == name).collect();
                match fits[..] {
                    [] => return Err(missing()),
                    [one] => one,
                    _ => {
                        let found = fits.iter().map(|r| r.0.as_str()).collect::<Vec<_>>().join(", ");
                        return Err(JournalError::Ambiguous { name: name.to_string(), found });
                    }
                }
            }
        };
        Ok(RunDir(self.0.join("runs").join(&run.0)))
    }
}

impl RunDir {
    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The journal in it.
    pub fn journal(&self) -> PathBuf {
        self.0.join("journal.jsonl")
    }

    /// Where outputs that are too long for memory go.
    pub fn outputs(&self) -> PathBuf {
        self.0.join("outputs")
    }
}
