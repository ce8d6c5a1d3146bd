//! From an inventory's host to a line: `ssh`, `local`, or this machine itself.

use crate::load::inventory::Inventory;
use crate::secret;
use crate::transport::{Boxed, Connect, HERE, LocalRemote, Remote, Settings, SshRemote, SshTarget, TransportError};
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
            let become_password = known.become_password.as_deref().map(secret::mark);
            if known.local {
                let line = LocalRemote::start(host, become_password, self.settings.clone()).await?;
                return Ok(Arc::new(line) as Arc<dyn Remote>);
            }
            let target = SshTarget {
                name: known.name.clone(),
                address: known.address.clone(),
                user: known.user.clone(),
                port: known.port,
                config: self.inventory.ssh_config.clone(),
                become_password,
            };
            Ok(Arc::new(SshRemote::connect(target, self.settings.clone()).await?) as Arc<dyn Remote>)
        })
    }
}
