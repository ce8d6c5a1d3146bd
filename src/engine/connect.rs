//! From an inventory's host to a line: `ssh`, `local`, or this machine itself. A guest that ssh does not reach is
//! tried by the [`ladder`](super::ladder).

use super::ladder::Ladder;
use crate::load::inventory::{Host, HostKind, Inventory, Transport};
use crate::secret;
use crate::transport::{
    Boxed, Connect, HERE, Jump, LocalRemote, Remote, Settings, SshRemote, SshTarget, TransportError,
};
use std::sync::Arc;

/// Connects to the hosts of an inventory.
pub struct InventoryConnect {
    /// The hosts.
    pub inventory: Arc<Inventory>,
    /// What is the same for all.
    pub settings: Settings,
}

impl Connect for InventoryConnect {
    fn connect<'a>(&'a self, host: &'a str) -> Boxed<'a, Result<Arc<dyn Remote>, TransportError>> {
        Box::pin(async move {
            if host == HERE {
                return Ok(Arc::new(LocalRemote::start(HERE, None, self.settings.clone()).await?) as Arc<dyn Remote>);
            }
            let Some(known) = self.inventory.host(host) else {
                return Err(TransportError::Refused { why: format!("{host} is not in {}", self.inventory.path) });
            };
            if known.local {
                return self.local(known).await;
            }
            match &known.kind {
                HostKind::Guest { node, vmid } if known.transport != Transport::Ssh => {
                    let Some(node) = self.inventory.host(node) else { return self.ssh(known, None).await };
                    Ladder { connect: self, guest: known, node, vmid: *vmid }.climb().await
                }
                _ => self.ssh(known, None).await,
            }
        })
    }
}

impl InventoryConnect {
    async fn local(&self, host: &Host) -> Result<Arc<dyn Remote>, TransportError> {
        let password = host.become_password.as_deref().map(secret::mark);
        Ok(Arc::new(LocalRemote::start(&host.name, password, self.settings.clone()).await?))
    }

    /// By ssh, through another host of the inventory if one is given.
    pub(super) async fn ssh(&self, host: &Host, jump: Option<&Host>) -> Result<Arc<dyn Remote>, TransportError> {
        let target = SshTarget {
            name: host.name.clone(),
            address: host.address.clone(),
            user: host.user.clone(),
            port: host.port,
            config: self.inventory.ssh_config.clone(),
            become_password: host.become_password.as_deref().map(secret::mark),
            jump: jump.map(|node| Jump {
                name: node.name.clone(),
                address: node.address.clone(),
                user: node.user.clone(),
                port: node.port,
            }),
        };
        Ok(Arc::new(SshRemote::connect(target, self.settings.clone()).await?))
    }

    /// A line of its own to a node.
    pub(super) async fn node(&self, node: &Host) -> Result<Arc<dyn Remote>, TransportError> {
        if node.local { self.local(node).await } else { self.ssh(node, None).await }
    }
}
