//! The running simulator: the state behind a lock, the guests, the clock, and who waits for what.

use crate::lab::pve::answer::Response;
use crate::lab::pve::api;
use crate::lab::pve::clock::{Clock, SystemClock};
use crate::lab::pve::hypervisor::{GuestOutput, Hypervisor};
use crate::lab::pve::ids::{Ids, SystemIds};
use crate::lab::pve::params::Request;
use crate::lab::pve::state::State;
use crate::lab::pve::task::Task;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// How long things take. A real idle node: start 1 to 2.5 s, stop 0.6 s, network reload 0.2 to 0.3 s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Starting a machine.
    pub start: Duration,
    /// Stopping a machine.
    pub stop: Duration,
    /// A guest that shuts itself down.
    pub shutdown: Duration,
    /// Snapshot, rollback, deleting a snapshot.
    pub snapshot: Duration,
    /// Everything else that runs as a task.
    pub other: Duration,
    /// How long a contender waits for a lock file.
    pub lock_timeout: Duration,
    /// How long a silent guest is given before it is called silent (unplugging a device, pinging its agent).
    pub unplug_timeout: Duration,
    /// How long a shutdown waits if the caller gives no time.
    pub shutdown_timeout: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        let ms = Duration::from_millis;
        Self {
            start: ms(300),
            stop: ms(150),
            shutdown: ms(300),
            snapshot: ms(150),
            other: ms(80),
            lock_timeout: ms(10_000),
            unplug_timeout: ms(5_000),
            shutdown_timeout: ms(60_000),
        }
    }
}

/// A program that an agent runs or ran in a guest.
#[derive(Debug, Clone)]
pub(crate) enum GuestProcess {
    /// Not ended yet.
    Running,
    /// Ended, not asked for yet.
    Ended(GuestOutput),
}

/// The simulator. Share it in an [`Arc`].
pub struct Simulator {
    state: Mutex<State>,
    file: Option<PathBuf>,
    /// Where `interfaces` and `interfaces.new` lie.
    pub(crate) network_dir: PathBuf,
    pub(crate) hypervisor: Arc<dyn Hypervisor>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn Ids>,
    pub(crate) pace: Pace,
    pub(crate) locks: Mutex<HashMap<u32, Arc<tokio::sync::Mutex<()>>>>,
    pub(crate) workers: Mutex<HashMap<String, AbortHandle>>,
    pub(crate) processes: Mutex<HashMap<(u32, u32), GuestProcess>>,
    pub(crate) ended: Notify,
    ticket: String,
}

impl Simulator {
    /// A simulator with the machine's clock, random ids and the default pace, that keeps nothing on disk.
    /// `network_dir` is the node's `/etc/network`.
    pub fn new(state: State, hypervisor: Arc<dyn Hypervisor>, network_dir: impl Into<PathBuf>) -> Self {
        let ids = SystemIds::default();
        let ticket = format!("PVE:root@pam:{}", ids.uuid());
        Self {
            state: Mutex::new(state),
            file: None,
            network_dir: network_dir.into(),
            hypervisor,
            clock: Arc::new(SystemClock),
            ids: Arc::new(ids),
            pace: Pace::default(),
            locks: Mutex::default(),
            workers: Mutex::default(),
            processes: Mutex::default(),
            ended: Notify::new(),
            ticket,
        }
    }

    /// The same with another clock.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// The same with other ids.
    #[must_use]
    pub fn with_ids(self, ids: Arc<dyn Ids>) -> Self {
        Self { ids, ..self }
    }

    /// The same at another pace.
    #[must_use]
    pub fn with_pace(self, pace: Pace) -> Self {
        Self { pace, ..self }
    }

    /// The same, with the state written to a file after each change.
    #[must_use]
    pub fn with_file(self, path: impl Into<PathBuf>) -> Self {
        Self { file: Some(path.into()), ..self }
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        // A panic while the state is held is a defect; the state itself is whole, so go on with it.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Looks at the state.
    pub fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.locked())
    }

    /// Changes the state and keeps it on disk. A failing disk is said on standard error and does not stop the lab.
    pub fn edit<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.locked();
        let result = change(&mut state);
        if let Some(path) = &self.file
            && let Err(why) = state.save(path)
        {
            eprintln!("piton lab: {}: {why}", path.display());
        }
        result
    }

    /// Seconds since 1970.
    pub fn now(&self) -> u64 {
        self.clock.unix()
    }

    /// The ticket of `root@pam` that this node accepts, as `PVEAuthCookie` wants it.
    pub fn ticket(&self) -> &str {
        &self.ticket
    }

    /// Carries out one API call.
    pub async fn handle(self: &Arc<Self>, request: Request) -> Response {
        api::answer(self, request).await
    }

    /// Waits until a task has ended; none if there is no such task.
    pub async fn wait(&self, upid: &str) -> Option<Task> {
        loop {
            let notified = self.ended.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            let task = self.read(|state| state.task(upid).cloned())?;
            if !task.is_running() {
                return Some(task);
            }
            notified.await;
        }
    }

    /// Waits a while, and longer if the lever for slow tasks is set.
    pub(crate) async fn take(&self, time: Duration) {
        let slow = self.read(|state| state.levers.slow_tasks_ms);
        tokio::time::sleep(time + Duration::from_millis(slow)).await;
    }

    /// True if the guest's agent (and so its ACPI) answers.
    pub(crate) async fn guest_answers(&self, vmid: u32) -> bool {
        let deaf = self.read(|state| state.levers.deaf_guests.contains(&vmid));
        !deaf && self.hypervisor.agent_ping(vmid).await.is_ok()
    }
}
