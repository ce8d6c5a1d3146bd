//! The lines of a run: one connection a host, one API session a node, opened when first needed.
//!
//! A host that cannot be reached at first contact fails at once. One that was connected before is waited for: a lost
//! line is a state, not a failure.

use super::cancel::{Cancel, Level};
use super::patience::Patience;
use super::recorder::Recorder;
use super::trouble::Trouble;
use crate::event::Event;
use crate::load::inventory::{Inventory, Transport};
use crate::secret::Vault;
use crate::transport::api::{ApiError, NodeApi};
use crate::transport::{Connect, GUEST_AGENT, HERE, Remote, TransportError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long the end of an old line is waited for.
const CLOSING: Duration = Duration::from_secs(2);

/// One slot a name, so that hosts connect side by side and nobody connects twice.
type Slots<T> = Mutex<BTreeMap<String, Arc<Mutex<Option<T>>>>>;

/// Open connections and API sessions.
pub struct Lines {
    connect: Arc<dyn Connect>,
    inventory: Arc<Inventory>,
    vault: Arc<Vault>,
    recorder: Arc<Recorder>,
    cancel: Cancel,
    patience: Duration,
    remotes: Slots<Arc<dyn Remote>>,
    nodes: Slots<Arc<NodeApi>>,
    /// Hosts that were connected, and not taken away by piton itself since.
    known: std::sync::Mutex<BTreeSet<String>>,
}

impl Lines {
    /// None open yet. A lost line is waited for as long as `patience`, unless the operator wants to stop.
    pub fn new(
        connect: Arc<dyn Connect>,
        inventory: Arc<Inventory>,
        vault: Arc<Vault>,
        recorder: Arc<Recorder>,
        (cancel, patience): (Cancel, Duration),
    ) -> Self {
        let (remotes, nodes, known) = (Slots::default(), Slots::default(), std::sync::Mutex::default());
        Self { connect, inventory, vault, recorder, cancel, patience, remotes, nodes, known }
    }

    /// The line to a host. One that was there before and is lost is waited for.
    ///
    /// # Errors
    /// [`Trouble`]; nothing was done.
    pub async fn remote(&self, host: &str) -> Result<Arc<dyn Remote>, Trouble> {
        let known = self.known().contains(host);
        self.open_line(host, Patience::new(if known { self.patience } else { Duration::ZERO })).await
    }

    /// The line to a host as it is now, without waiting for one that is lost: for those who wait themselves.
    ///
    /// # Errors
    /// [`Trouble`]; nothing was done.
    pub async fn remote_at_once(&self, host: &str) -> Result<Arc<dyn Remote>, Trouble> {
        self.open_line(host, Patience::new(Duration::ZERO)).await
    }

    async fn open_line(&self, host: &str, mut patience: Patience) -> Result<Arc<dyn Remote>, Trouble> {
        let slot = slot(&self.remotes, host).await;
        let mut held = slot.lock().await;
        if let Some(remote) = &*held {
            return Ok(remote.clone());
        }
        let begun = Instant::now();
        let mut result = self.connect.connect(host).await;
        let remote = loop {
            let error = match result {
                Ok(remote) => break remote,
                Err(error) => error,
            };
            if !is_gone(&error) || !self.again(host, &mut patience, &error.to_string()).await? {
                return Err(Trouble::looking(&error));
            }
            result = tokio::select! {
                result = self.connect.connect(host) => result,
                () = self.cancel.reached(Level::Stop) => return Err(Trouble::Interrupted),
            };
        };
        if host != HERE {
            let event =
                Event::Connected { host: host.to_string(), via: remote.via().to_string(), took: begun.elapsed() };
            self.recorder.record(event)?;
            self.say_rung(host, &*remote)?;
            self.known().insert(host.to_string());
        }
        *held = Some(remote.clone());
        Ok(remote)
    }

    /// The patience for a line that broke in use.
    pub fn after_a_loss(&self) -> Patience {
        Patience::after_a_loss(self.patience)
    }

    /// Waits before the next try, and says so; false once patience is at its end.
    ///
    /// # Errors
    /// [`Trouble::Interrupted`] as soon as the operator wants to stop.
    pub async fn again(&self, host: &str, patience: &mut Patience, why: &str) -> Result<bool, Trouble> {
        let Some(pause) = patience.next() else { return Ok(false) };
        if pause.is_zero() {
            return Ok(true);
        }
        let what = format!("the line is lost; trying again in {} s: {why}", pause.as_secs_f32().ceil());
        self.recorder.progress(Event::Waiting { host: host.to_string(), what });
        tokio::select! {
            () = tokio::time::sleep(pause) => Ok(true),
            () = self.cancel.reached(Level::Stop) => Err(Trouble::Interrupted),
        }
    }

    /// Says so when a host is not reached in the plain way.
    fn say_rung(&self, host: &str, remote: &dyn Remote) -> Result<(), Trouble> {
        let fixed = self.inventory.host(host).is_some_and(|h| h.transport != Transport::Auto);
        let text = match remote.via() {
            _ if fixed => return Ok(()),
            GUEST_AGENT => format!("{host} does not answer by ssh: going on through its guest agent, which is slower"),
            via if via.starts_with("ssh via ") => format!("{host} does not answer by itself: going on by {via}"),
            _ => return Ok(()),
        };
        Ok(self.recorder.record(Event::Warning { text })?)
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
        let mut patience = self.after_a_loss();
        let api = loop {
            let remote = self.remote(node).await?;
            let error = match NodeApi::open(remote.clone(), self.vault.clone(), &name, user.clone()).await {
                Ok(api) => break Arc::new(api),
                Err(error) => error,
            };
            let why = error.to_string();
            if !line_broke(&error) {
                return Err(Trouble::Failed(why));
            }
            self.drop_line(node, &remote, &why).await;
            let useless = matches!(&error, ApiError::Line { error, .. } if !error.is_unknown()) && !patience.is_fresh();
            if useless || !self.again(node, &mut patience, &why).await? {
                return Err(Trouble::Unreachable(why));
            }
        };
        *held = Some(api.clone());
        Ok(api)
    }

    /// Lets go of a line that broke, and says so; the next use connects anew. Nothing happens if another user of it
    /// has done so before.
    pub async fn lost(&self, host: &str, broken: &Arc<dyn Remote>, why: &str) {
        let nodes = slot(&self.nodes, host).await;
        nodes.lock().await.take_if(|api| Arc::ptr_eq(api.remote(), broken));
        self.drop_line(host, broken, why).await;
    }

    async fn drop_line(&self, host: &str, broken: &Arc<dyn Remote>, why: &str) {
        let slot = slot(&self.remotes, host).await;
        if slot.lock().await.take_if(|remote| Arc::ptr_eq(remote, broken)).is_some() {
            self.recorder.progress(Event::Disconnected { host: host.to_string(), why: why.to_string() });
        }
    }

    /// Forgets the line to a host that was taken away on purpose: the next contact is a first one.
    pub async fn forget(&self, host: &str) {
        slot(&self.nodes, host).await.lock().await.take();
        slot(&self.remotes, host).await.lock().await.take();
        self.known().remove(host);
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Is there a line to the host?
    pub async fn has(&self, host: &str) -> bool {
        slot(&self.remotes, host).await.lock().await.is_some()
    }

    /// Ends the line to a host, so that the next use opens a TCP connection of its own. A line that others still use
    /// is only let go.
    pub async fn reopen(&self, host: &str) {
        slot(&self.nodes, host).await.lock().await.take();
        let old = slot(&self.remotes, host).await.lock().await.take();
        if let Some(old) = old.filter(|old| Arc::strong_count(old) == 1) {
            // One that is dead takes its time; nobody waits for that.
            let closing = tokio::spawn(async move { old.close().await });
            let _ = tokio::time::timeout(CLOSING, closing).await;
        }
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
        ApiError::Line { error, .. } => is_gone(error),
        ApiError::Unknown { .. } => true,
        _ => false,
    }
}

/// The same for what is sent without the API.
pub fn is_gone(error: &TransportError) -> bool {
    matches!(error, TransportError::Unreachable { .. } | TransportError::Lost { .. })
}

async fn slot<T>(slots: &Slots<T>, name: &str) -> Arc<Mutex<Option<T>>> {
    slots.lock().await.entry(name.to_string()).or_insert_with(|| Arc::new(Mutex::new(None))).clone()
}
