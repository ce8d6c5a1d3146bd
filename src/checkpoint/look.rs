//! One look at a guest: configuration, state, snapshots, storages and firewall file in one round trip.

use super::{CheckpointError, GuestRef, firewall};
use crate::cmd::{ApiAnswer, ApiCall};
use crate::event::Coverage;
use crate::pve::coverage::{self, Storage};
use crate::pve::{SnapshotList, config};
use crate::transport::api::{ApiError, NodeApi};
use serde_json::Value;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long a snapshot task (an earlier try of ours, or someone else's) is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

/// What was seen of a guest.
#[derive(Debug, Clone)]
pub struct GuestLook {
    /// Its configuration.
    pub config: Value,
    /// The lock on it.
    pub lock: Option<String>,
    /// True if it runs.
    pub running: bool,
    /// Its snapshots.
    pub list: SnapshotList,
    /// The cluster's storages.
    pub storages: Vec<Storage>,
    /// Its firewall file; `None` if there is none.
    pub firewall: Option<String>,
}

impl GuestLook {
    /// Looks.
    ///
    /// # Errors
    /// [`CheckpointError`]: no such VM, the API, a firewall file that cannot be read.
    pub async fn at(api: &NodeApi, guest: &GuestRef) -> Result<Self, CheckpointError> {
        let calls = [
            ApiCall::get(guest.path("/config")),
            ApiCall::get(guest.path("/status/current")),
            ApiCall::get(guest.path("/snapshot")),
            ApiCall::get("/storage"),
        ];
        let looked = api.gets_and_run(&calls, vec![firewall::read_cmd(guest.vmid)]).await;
        let mut answers = looked.answers.into_iter();
        let mut next = || answers.next().unwrap_or_else(|| Err(unanswered()));
        let config = data(guest, next())?;
        let status = data(guest, next())?;
        let answer = |error| CheckpointError::Answer { guest: guest.name.clone(), error };
        let list = SnapshotList::parse(&data(guest, next())?).map_err(answer)?;
        let storages = Storage::list(&data(guest, next())?).map_err(answer)?;
        let failed = |why: String| CheckpointError::Failed {
            guest: guest.name.clone(),
            what: "a look at the firewall file".into(),
            why,
        };
        let file = looked.outputs.into_iter().next().ok_or_else(|| failed("no output".into()))?;
        let file = file.map_err(|e| failed(e.to_string()))?;
        let running = match config::text(&status, "status").as_deref() {
            Some("running") => true,
            Some("stopped") => false,
            other => return Err(failed(format!("its status is {other:?}"))),
        };
        Ok(Self {
            lock: config::text(&config, "lock").or_else(|| config::text(&status, "lock")),
            running,
            list,
            storages,
            firewall: firewall::read(&file).map_err(failed)?,
            config,
        })
    }

    /// What a checkpoint would protect.
    pub fn coverage(&self, guest: &GuestRef, datasets: &[String]) -> Coverage {
        coverage::coverage(&guest.name, &self.config, &self.storages, datasets)
    }

    /// Looks until the guest is not locked. A snapshot task that still runs (an earlier try of ours, whose line was
    /// lost) is waited for, two minutes at most; any other lock is refused at once.
    ///
    /// # Errors
    /// [`CheckpointError::Locked`], and as [`at`](Self::at).
    pub async fn settled(api: &NodeApi, guest: &GuestRef) -> Result<Self, CheckpointError> {
        let begun = Instant::now();
        loop {
            let look = Self::at(api, guest).await?;
            let Some(lock) = look.lock.clone() else { return Ok(look) };
            let passing = matches!(lock.as_str(), "snapshot" | "snapshot-delete" | "rollback");
            if !passing || begun.elapsed() >= PATIENCE {
                return Err(CheckpointError::Locked { guest: guest.name.clone(), vmid: guest.vmid, lock });
            }
            sleep(Duration::from_secs(1)).await;
        }
    }
}

/// The data of an answer; an error for anything but 200.
pub(super) fn data(guest: &GuestRef, answer: Result<ApiAnswer, ApiError>) -> Result<Value, CheckpointError> {
    let name = || guest.name.clone();
    let answer = answer.map_err(|e| CheckpointError::api(guest, e))?;
    if answer.status != 200 {
        let why = answer.message();
        // An unknown VMID is a 500, never a 404 (pve-recordings, "Errors").
        return Err(if why.contains("does not exist") {
            CheckpointError::NoGuest { guest: name(), why }
        } else {
            CheckpointError::Failed { guest: name(), what: "a look".into(), why }
        });
    }
    Ok(answer.data().clone())
}

pub(super) fn unanswered() -> ApiError {
    ApiError::NoAnswer { what: "a look at the guest".into(), why: "no answer".into() }
}
