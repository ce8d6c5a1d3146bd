//! The lines of a run: one connection a host, one API session a node, opened when first needed.

use super::recorder::Recorder;
use super::trouble::Trouble;
use crate::event::Event;
use crate::load::inventory::{Inventory, Transport};
use crate::secret::Vault;
use crate::transport::api::{ApiError, NodeApi};
use crate::transport::{Connect, GUEST_AGENT, HERE, Remote, TransportError};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// One slot a name, so that hosts connect side by side and nobody connects twice.
type Slots<T> = Mutex<BTreeMap<String, Arc<Mutex<Option<T>>>>>;

/// Open connections and API sessions.
pub struct Lines {
    connect: Arc<dyn Connect>,
    inventory: Arc<Inventory>,
    vault: Arc<Vault>,
    recorder: Arc<Recorder>,
    remotes: Slots<Arc<dyn Remote>>,
    nodes: Slots<Arc<NodeApi>>,
}

impl Lines {
    /// None open yet.
    pub fn new(
        connect: Arc<dyn Connect>,
        inventory: Arc<Inventory>,
        vault: Arc<Vault>,
        recorder: Arc<Recorder>,
    ) -> Self {
        Self { connect, inventory, vault, recorder, remotes: Slots::default(), nodes: Slots::default() }
    }

    /// The line to a host.
    ///
    /// # Errors
    /// What the transport says; nothing was done.
    pub async fn remote(&self, host: &str) -> Result<Arc<dyn Remote>, TransportError> {
        let slot = slot(&self.remotes, host).await;
        let mut held = slot.lock().await;
        if let Some(remote) = &*held {
            return Ok(remote.clone());
        }
        let begun = Instant::now();
        let remote = self.connect.connect(host).await?;
        if host != HERE {
            let event =
                Event::Connected { host: host.to_string(), via: remote.via().to_string(), took: begun.elapsed() };
            self.recorder
                .record(event)
                .map_err(|e| TransportError::Local { what: "the journal".into(), why: e.to_string() })?;
            self.say_rung(host, &*remote)?;
        }
        *held = Some(remote.clone());
        Ok(remote)
    }

    /// Says so when a host is not reached in the plain way.
    fn say_rung(&self, host: &str, remote: &dyn Remote) -> Result<(), TransportError> {
        let fixed = self.inventory.host(host).is_some_and(|h| h.transport != Transport::Auto);
        let text = match remote.via() {
            _ if fixed => return Ok(()),
            GUEST_AGENT => format!("{host} does not answer by ssh: going on through its guest agent, which is slower"),
            via if via.starts_with("ssh via ") => format!("{host} does not answer by itself: going on by {via}"),
            _ => return Ok(()),
        };
        self.recorder
            .record(Event::Warning { text })
            .map_err(|e| TransportError::Local { what: "the journal".into(), why: e.to_string() })
    }

    /// The API of a node, by inventory name.
    ///
    /// # Errors
    /// No line, or no way to speak to Proxmox there.
    pub async fn node(&self, node: &str) -> Result<Arc<NodeApi>, Trouble> {
        let slot = slot(&self.nodes, node).await;
        let mut held = slot.lock().await;
        if let Some(api) = &*held {
            return Ok(api.clone());
        }
        let name = self.inventory.api_name(node).unwrap_or(node).to_string();
        let user = self.inventory.host(node).is_some_and(|h| h.r#become).then(|| "root".to_string());
        let remote = self.remote(node).await.map_err(|e| Trouble::looking(&e))?;
        let api = match NodeApi::open(remote, self.vault.clone(), &name, user).await {
            Ok(api) => Arc::new(api),
            Err(error) => {
                if line_broke(&error) {
                    self.lost(node, &error.to_string()).await;
                }
                return Err(Trouble::Failed(error.to_string()));
            }
        };
        *held = Some(api.clone());
        Ok(api)
    }

    /// Forgets a line that broke, and says so; the next use connects anew.
    pub async fn lost(&self, host: &str, why: &str) {
        if self.forget(host).await {
            self.recorder.progress(Event::Disconnected { host: host.to_string(), why: why.to_string() });
        }
    }

    /// Forgets the line to a host that was taken away on purpose; true if there was one.
    pub async fn forget(&self, host: &str) -> bool {
        slot(&self.nodes, host).await.lock().await.take();
        slot(&self.remotes, host).await.lock().await.take().is_some()
    }

    /// Kills what runs on every host.
    pub async fn kill_all(&self, grace: Duration) {
        for remote in self.open().await {
            remote.cancel(grace).await;
        }
    }

    /// Ends all lines in order.
    pub async fn close(&self) {
        self.nodes.lock().await.clear();
        let mut all = tokio::task::JoinSet::new();
        for remote in self.open().await {
            all.spawn(async move { remote.close().await });
        }
        while all.join_next().await.is_some() {}
        self.remotes.lock().await.clear();
    }

    async fn open(&self) -> Vec<Arc<dyn Remote>> {
        let mut out = Vec::new();
        for slot in self.remotes.lock().await.values() {
            // A slot that is locked is still connecting: nothing runs on it.
            if let Ok(held) = slot.try_lock()
                && let Some(remote) = &*held
            {
                out.push(remote.clone());
            }
        }
        out
    }
}

/// True if the error says that the line itself is gone, so that the next use has to connect anew.
pub fn line_broke(error: &ApiError) -> bool {
    match error {
        ApiError::Line { error, .. } => error.is_unknown(),
        ApiError::Unknown { .. } => true,
        _ => false,
    }
}

async fn slot<T>(slots: &Slots<T>, name: &str) -> Arc<Mutex<Option<T>>> {
    slots.lock().await.entry(name.to_string()).or_insert_with(|| Arc::new(Mutex::new(None))).clone()
}
