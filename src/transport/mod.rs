//! The line to a host: one connection, on it one shell loop that takes framed commands in batches.
//!
//! The engine sees [`Remote`] only: `ssh`, `local` and the simulated transport of the tests stand behind it.

pub mod api;
mod capture;
mod channel;
mod file;
mod frame;
pub mod guest_agent;
mod host;
mod line;
mod local;
mod parse;
mod shell;
mod ssh;
mod ssh_config;
mod ssh_error;
mod stream;
mod tree;

pub use channel::Settings;
pub use guest_agent::AgentRemote;
pub use local::LocalRemote;
pub use ssh::{Jump, SshRemote, SshTarget};

use crate::cmd::{Cmd, Output};
use crate::modules::{FetchFile, PutFile, PutTree};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// The name that [`Connect::connect`] takes for the machine that piton runs on.
pub const HERE: &str = "(here)";

/// What [`Remote::via`] says of a guest behind its agent.
pub const GUEST_AGENT: &str = "guest-agent";

/// A future behind a `dyn`.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Which stream a live line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// Where live output goes, line by line, secrets already replaced. Called with the index of the command in its
/// batch. Must not block.
pub type Live = Arc<dyn Fn(usize, Stream, &str) + Send + Sync>;

/// Commands that go out in one write and run one after another.
#[derive(Clone, Default)]
pub struct Batch {
    /// In this order.
    pub cmds: Vec<Cmd>,
    /// Do not begin the rest once one has ended with anything but 0.
    pub stop_at_first_failure: bool,
    /// Live output.
    pub live: Option<Live>,
}

impl Batch {
    /// One command.
    pub fn one(cmd: Cmd) -> Self {
        Self { cmds: vec![cmd], ..Self::default() }
    }

    /// Several that all run, whatever each says.
    pub fn all(cmds: Vec<Cmd>) -> Self {
        Self { cmds, ..Self::default() }
    }
}

/// Why a host did not do, or may not have done, what it was told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// No connection could be made: nothing was done.
    #[error("{host} cannot be reached: {why}")]
    Unreachable {
        /// Inventory name.
        host: String,
        /// What ssh said, one line.
        why: String,
        /// What to do next.
        hint: Option<String>,
    },
    /// The connection ended before the answer: what was in flight may or may not have been done.
    #[error("the connection to {host} was lost: {why}")]
    Lost {
        /// Inventory name.
        host: String,
        /// How it was noticed.
        why: String,
    },
    /// `become` did not work: nothing was done.
    #[error("cannot become {user} on {host}: {why}")]
    Become {
        /// Inventory name.
        host: String,
        /// The user to become.
        user: String,
        /// What sudo said.
        why: String,
    },
    /// Something on this machine: a file that cannot be read, a full disk. Nothing was done on the host.
    #[error("{what}: {why}")]
    Local {
        /// What was tried.
        what: String,
        /// The system's error.
        why: String,
    },
    /// The command cannot be sent as it is (a secret in its arguments, a NUL byte).
    #[error("{why}")]
    Refused {
        /// Why.
        why: String,
    },
    /// A file could not be put or fetched; the old one is still there.
    #[error("{path} on {host}: {why}")]
    File {
        /// Inventory name.
        host: String,
        /// Path on the target.
        path: String,
        /// What the target said.
        why: String,
    },
}

impl TransportError {
    /// True if it is not known whether the host did what it was told.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Lost { .. })
    }

    /// True if the network did not lead to the host: refused, no answer, no route.
    pub fn is_network(&self) -> bool {
        matches!(self, Self::Unreachable { why, .. } if ssh_error::is_network(why))
    }

    /// True if the host is not who it should be, or does not take us for who we say.
    pub fn is_identity(&self) -> bool {
        matches!(self, Self::Unreachable { why, .. } if ssh_error::is_identity(why))
    }
}

/// A host that commands can be sent to.
pub trait Remote: Send + Sync {
    /// Inventory name.
    fn name(&self) -> &str;

    /// How the host is reached: `ssh`, `ssh via pve`, [`GUEST_AGENT`], `local`.
    fn via(&self) -> &str;

    /// Runs the commands of a batch. One result each, in order; after an error the rest are errors too.
    fn run(&self, batch: Batch) -> Boxed<'_, Vec<Result<Output, TransportError>>>;

    /// Writes a file: to a name beside it, with mode and owner, then `mv`.
    fn put<'a>(&'a self, file: &'a PutFile) -> Boxed<'a, Result<(), TransportError>>;

    /// Writes a folder by one `tar`.
    fn put_tree<'a>(&'a self, tree: &'a PutTree) -> Boxed<'a, Result<(), TransportError>>;

    /// Brings a file here.
    fn fetch<'a>(&'a self, file: &'a FetchFile) -> Boxed<'a, Result<(), TransportError>>;

    /// Kills the process groups of everything that this connection runs: TERM, then KILL after `grace`. The
    /// pending [`run`](Self::run) then answers [`crate::cmd::Ended::Cancelled`].
    fn cancel(&self, grace: Duration) -> Boxed<'_, ()>;

    /// Ends the connection in order. Nothing of piton's is left on the host.
    fn close(&self) -> Boxed<'_, ()>;
}

/// Makes connections; the engine asks for each host once a run.
pub trait Connect: Send + Sync {
    /// Opens the line to a host.
    fn connect<'a>(&'a self, host: &'a str) -> Boxed<'a, Result<Arc<dyn Remote>, TransportError>>;
}
