//! What is asked of a lab's daemon over its socket: one JSON line there, one JSON line back.

use super::{LabError, Layout, Lever};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

/// A request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Request {
    /// Which hosts run?
    Status,
    /// End all hosts, remove their files, end.
    Down,
    /// Start a host.
    Start {
        /// Its name.
        host: String,
    },
    /// Stop a host at once.
    Stop {
        /// Its name.
        host: String,
    },
    /// Copy a guest's files away.
    Snapshot {
        /// Its name.
        host: String,
        /// Name of the snapshot.
        name: String,
    },
    /// Stop a guest and put its files back.
    Rollback {
        /// Its name.
        host: String,
        /// Name of the snapshot.
        name: String,
    },
    /// Run a program in a host.
    Exec {
        /// Its name.
        host: String,
        /// Program and arguments.
        argv: Vec<String>,
    },
    /// Make something fail.
    Lever {
        /// What.
        lever: Lever,
    },
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// Done.
    Done,
    /// Names of the hosts that run.
    Running(Vec<String>),
    /// How a program ended.
    Ended {
        /// Exit status; `None` for a signal.
        code: Option<i32>,
        /// Its output.
        stdout: String,
        /// Its errors.
        stderr: String,
    },
    /// Done, and this is to be said about it.
    Said(String),
    /// Not done.
    Refused(String),
}

/// Asks the daemon of this lab.
///
/// # Errors
/// [`LabError::NoLab`] or [`LabError::Dead`] if nobody answers, [`LabError::Daemon`] if it refuses.
pub async fn ask(layout: &Layout, request: &Request) -> Result<Reply, LabError> {
    let dir = || layout.dir().to_path_buf();
    let Ok(mut stream) = UnixStream::connect(layout.control()).await else {
        layout.read()?;
        return Err(LabError::Dead { dir: dir() });
    };
    let mut line = serde_json::to_string(request).map_err(|e| LabError::Daemon { message: e.to_string() })?;
    line.push('\n');
    let what = "asking the lab's daemon";
    stream.write_all(line.as_bytes()).await.map_err(LabError::io(what))?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).await.map_err(LabError::io(what))?;
    match serde_json::from_str(&answer) {
        Ok(Reply::Refused(message)) => Err(LabError::Daemon { message }),
        Ok(reply) => Ok(reply),
        Err(_) => Err(LabError::Dead { dir: dir() }),
    }
}
