//! What a connection has to offer so that the rest of this folder works over it: channels.

use super::{Boxed, TransportError};
use crate::secret::Vault;
use std::any::Any;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// What is the same for all hosts of a run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Folder (0700) for outputs that are too long to be held in memory.
    pub run_dir: PathBuf,
    /// Values for secret marks.
    pub vault: Arc<Vault>,
    /// Deadline of commands that have none of their own.
    pub default_timeout: Duration,
}

impl Settings {
    /// With a deadline of ten minutes a command.
    pub fn new(run_dir: impl Into<PathBuf>, vault: Arc<Vault>) -> Self {
        Self { run_dir: run_dir.into(), vault, default_timeout: Duration::from_secs(600) }
    }
}

/// The writing end of a channel.
pub type Writer = Box<dyn AsyncWrite + Send + Sync + Unpin>;

/// A reading end of a channel.
pub type Reader = Box<dyn AsyncRead + Send + Sync + Unpin>;

/// One channel with its three streams.
pub struct Channel {
    /// Goes to the standard input of the program.
    pub stdin: Writer,
    /// Its standard output.
    pub stdout: Reader,
    /// Its standard error.
    pub stderr: Reader,
    /// Whatever has to live as long as the channel.
    pub keep: Box<dyn Any + Send + Sync>,
}

/// A connection that opens channels.
pub trait Dial: Send + Sync + 'static {
    /// Inventory name of the host.
    fn host(&self) -> &str;

    /// How it is reached: `ssh`, `ssh via pve`, `guest-agent`, `local`.
    fn via(&self) -> &str;

    /// Opens a channel that runs this line in the login shell.
    fn dial<'a>(&'a self, exec: &'a str) -> Boxed<'a, Result<Channel, TransportError>>;

    /// The same as another user, where the connection needs no sudo for that; `None` where it does.
    fn dial_as<'a>(&'a self, user: &'a str, exec: &'a str) -> Option<Boxed<'a, Result<Channel, TransportError>>> {
        let _ = (user, exec);
        None
    }

    /// What is known of why the connection ended.
    fn why_lost(&self) -> String;

    /// Ends the connection.
    fn hang_up(&self) -> Boxed<'_, ()>;
}
