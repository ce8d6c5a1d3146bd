//! A guest through the QEMU guest agent of its node: no network of the guest is needed, and none of its sshd.
//!
//! The agent only starts programs and tells their end, so a *session* stands for a channel: a folder in the guest
//! (0700, in memory where there is `/run`), in which the shell loop reads numbered pieces of its input and leaves its
//! output, and a task here that carries both. All else, commands and deadlines, files and folders, cancel, other
//! users, is that of any host. What is sent goes as standard input of a program in the guest and of `curl` on the
//! node, never in an argument list. A piece whose answer was lost is sent again: the guest takes it once.
//!
//! Slower than ssh (some 0.1 to 0.3 s a batch), nothing is cut off: output is read by its place in a file. That file
//! needs room in the guest for all that a command prints.

mod port;
mod pump;
mod session;
#[cfg(test)]
mod tests;

pub use port::{Agent, AgentError, ApiAgent};

use super::channel::{Channel, Dial, Settings};
use super::host::Host;
use super::{Boxed, TransportError};
use pump::Pump;
use session::Session;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::duplex;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// A guest behind its agent.
pub type AgentRemote = Host<AgentDial>;

/// Bytes of a stream that wait here to be read.
const BUFFER: usize = 256 * 1024;

/// How long the sessions may take to clear up behind them.
const CLEAR: Duration = Duration::from_secs(15);

/// Opens sessions in one guest.
pub struct AgentDial {
    name: String,
    agent: Arc<dyn Agent>,
    why: Arc<Mutex<String>>,
    pumps: Mutex<JoinSet<()>>,
}

impl AgentRemote {
    /// The guest of this inventory name. The agent must answer.
    ///
    /// # Errors
    /// [`TransportError::Unreachable`] with what the node or the agent said; nothing was done.
    pub async fn connect(name: &str, agent: Arc<dyn Agent>, settings: Settings) -> Result<Self, TransportError> {
        let dial = AgentDial { name: name.into(), agent: agent.clone(), why: Arc::default(), pumps: Mutex::default() };
        let opened = Self::open(dial, settings, None).await;
        if opened.is_err() {
            agent.close().await;
        }
        opened
    }
}

impl AgentDial {
    async fn session(&self, exec: &str, user: Option<&str>) -> Result<Channel, TransportError> {
        let session = Session::start(self.agent.clone(), exec, user).await;
        let session =
            session.map_err(|why| TransportError::Unreachable { host: self.name.clone(), why, hint: None })?;
        let (stdin, input) = duplex(session::PIECE);
        let (out, stdout) = duplex(BUFFER);
        let (err, stderr) = duplex(BUFFER);
        let (keep, dropped) = oneshot::channel::<()>();
        let pump = Pump { session, input, out, err, dropped };
        let why = Arc::clone(&self.why);
        let mut pumps = self.pumps.lock().unwrap_or_else(PoisonError::into_inner);
        while pumps.try_join_next().is_some() {}
        pumps.spawn(async move {
            if let Err(lost) = pump.run().await {
                *why.lock().unwrap_or_else(PoisonError::into_inner) = lost;
            }
        });
        Ok(Channel { stdin: Box::new(stdin), stdout: Box::new(stdout), stderr: Box::new(stderr), keep: Box::new(keep) })
    }
}

impl Dial for AgentDial {
    fn host(&self) -> &str {
        &self.name
    }

    fn via(&self) -> &str {
        super::GUEST_AGENT
    }

    fn dial<'a>(&'a self, exec: &'a str) -> Boxed<'a, Result<Channel, TransportError>> {
        Box::pin(self.session(exec, None))
    }

    fn dial_as<'a>(&'a self, user: &'a str, exec: &'a str) -> Option<Boxed<'a, Result<Channel, TransportError>>> {
        Some(Box::pin(self.session(exec, Some(user))))
    }

    fn why_lost(&self) -> String {
        let why = self.why.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if why.is_empty() { "the session through the guest agent ended".into() } else { why }
    }

    fn hang_up(&self) -> Boxed<'_, ()> {
        Box::pin(async move {
            let mut pumps = std::mem::take(&mut *self.pumps.lock().unwrap_or_else(PoisonError::into_inner));
            let _ = tokio::time::timeout(CLEAR, async { while pumps.join_next().await.is_some() {} }).await;
            self.agent.close().await;
        })
    }
}
