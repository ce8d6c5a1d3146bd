//! A guest that ssh does not reach: ssh through its node, then its guest agent, then the word how its console is had.
//!
//! Only a network that does not lead there makes it step down. A host key that is not the known one, or a login that
//! is refused, stays an error: another way in would go round what they say.

use super::connect::InventoryConnect;
use crate::load::inventory::{Host, HostKind, Transport};
use crate::transport::api::{ApiError, NodeApi};
use crate::transport::guest_agent::{Agent, ApiAgent};
use crate::transport::{AgentRemote, Remote, TransportError};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// A guest whose agent answers may still be starting: its sshd gets this long before the agent is taken.
const BOOTS: Duration = Duration::from_secs(10);

/// The ways to one guest.
pub struct Ladder<'a> {
    /// Makes the connections.
    pub connect: &'a InventoryConnect,
    /// The guest.
    pub guest: &'a Host,
    /// Its node.
    pub node: &'a Host,
    /// Its VMID.
    pub vmid: u32,
}

impl Ladder<'_> {
    /// The first way that leads there, or the one that the inventory fixed.
    ///
    /// # Errors
    /// [`TransportError::Unreachable`] with what each way said, and how the console is had.
    pub async fn climb(&self) -> Result<Arc<dyn Remote>, TransportError> {
        match self.guest.transport {
            Transport::Ssh => return self.connect.ssh(self.guest, None).await,
            Transport::Jump => return self.jump().await,
            Transport::Agent => return self.agent().await,
            Transport::Auto => {}
        }
        let direct = match self.connect.ssh(self.guest, None).await {
            Err(error) if error.is_network() => error,
            done => return done,
        };
        let through = match self.jump().await {
            Err(error) if !error.is_identity() => error,
            done => return done,
        };
        let agent = match self.agent().await {
            Ok(agent) => return Ok(self.prefer_ssh(agent).await),
            Err(error) => error,
        };
        let ways = [
            ("ssh".to_string(), reason(&direct)),
            (format!("ssh via {}", self.node.name), reason(&through)),
            ("guest agent".to_string(), reason(&agent)),
        ];
        let hint = match direct {
            TransportError::Unreachable { hint: Some(hint), .. } => format!("{hint}; {}", self.console()),
            _ => self.console(),
        };
        Err(TransportError::Unreachable { host: self.guest.name.clone(), why: said(&ways), hint: Some(hint) })
    }

    async fn jump(&self) -> Result<Arc<dyn Remote>, TransportError> {
        if self.node.local {
            let why = format!("{} is this machine, there is nothing to go through", self.node.name);
            return Err(TransportError::Unreachable { host: self.guest.name.clone(), why, hint: None });
        }
        self.connect.ssh(self.guest, Some(self.node)).await
    }

    async fn agent(&self) -> Result<Arc<dyn Remote>, TransportError> {
        let fail = |why: String| {
            let hint = Some(self.console());
            TransportError::Unreachable { host: self.guest.name.clone(), why, hint }
        };
        let line = self.connect.node(self.node).await.map_err(|e| fail(e.to_string()))?;
        let HostKind::Node { node } = &self.node.kind else { return Err(fail("it has no node".into())) };
        let user = self.node.r#become.then(|| "root".to_string());
        let vault = self.connect.settings.vault.clone();
        let opened = NodeApi::open(line.clone(), vault, node, user).await.map_err(|e: ApiError| e.to_string());
        let agent: Arc<dyn Agent> = match opened.and_then(|api| ApiAgent::new(api, self.vmid)) {
            Ok(agent) => Arc::new(agent),
            Err(why) => {
                line.close().await;
                return Err(fail(why));
            }
        };
        match AgentRemote::connect(&self.guest.name, agent, self.connect.settings.clone()).await {
            Ok(remote) => Ok(Arc::new(remote)),
            Err(error) => Err(fail(reason(&error))),
        }
    }

    /// A guest that has just been started runs its agent before its sshd: then it is worth a moment.
    async fn prefer_ssh(&self, agent: Arc<dyn Remote>) -> Arc<dyn Remote> {
        let until = Instant::now() + BOOTS;
        while Instant::now() < until {
            sleep(Duration::from_secs(1)).await;
            if let Ok(remote) = self.connect.ssh(self.guest, None).await {
                agent.close().await;
                return remote;
            }
        }
        agent
    }

    fn console(&self) -> String {
        let (vmid, node) = (self.vmid, &self.node.name);
        format!("its console: `qm terminal {vmid}` on {node} if it has a serial one, or the web console of VM {vmid}")
    }
}

/// Why without who.
fn reason(error: &TransportError) -> String {
    match error {
        TransportError::Unreachable { why, .. } => why.clone(),
        other => other.to_string(),
    }
}

fn said(ways: &[(String, String)]) -> String {
    ways.iter().map(|(way, why)| format!("{way}: {why}")).collect::<Vec<_>>().join("; ")
}
