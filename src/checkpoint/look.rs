//! One look at a guest: configuration, state, snapshots, storages and firewall file in one round trip.

use super::{CheckpointError, GuestRef, firewall};
use crate::cmd::{ApiAnswer, ApiCall};
use crate::event::Coverage;
use crate::pve::coverage::{self, Storage};
use crate::pve::{SnapshotList, Upid, config};
use crate::transport::api::{ApiError, NodeApi, OnLog};
use serde_json::Value;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long a lock without a task is looked at again: a task sets and drops it a moment after its own name.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long an earlier task is followed.
const FOLLOW: Duration = Duration::from_secs(1800);

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
    /// Tasks that take, drop or go back to a snapshot of it right now.
    pub tasks: Vec<Upid>,
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
            ApiCall::get("/nodes/{node}/tasks").param("source", "active").param("vmid", guest.vmid.to_string()),
        ];
        let looked = api.gets_and_run(&calls, vec![firewall::read_cmd(guest.vmid)]).await;
        let mut answers = looked.answers.into_iter();
        let mut next = || answers.next().unwrap_or_else(|| Err(unanswered()));
        let config = data(guest, next())?;
        let status = data(guest, next())?;
        let answer = |error| CheckpointError::Answer { guest: guest.name.clone(), error };
        let list = SnapshotList::parse(&data(guest, next())?).map_err(answer)?;
        let storages = Storage::list(&data(guest, next())?).map_err(answer)?;
        let tasks = next().map(|answer| running(answer.data())).unwrap_or_default();
        let failed = |why: String| CheckpointError::Failed {
            guest: guest.name.clone(),
            what: "a look at the firewall file".into(),
            why,
        };
        let file = looked.outputs.into_iter().next().ok_or_else(|| failed("no output".into()))?;
        let file = file.map_err(|e| failed(e.to_string()))?;
        let is_running = match config::text(&status, "status").as_deref() {
            Some("running") => true,
            Some("stopped") => false,
            other => return Err(failed(format!("its status is {other:?}"))),
        };
        Ok(Self {
            lock: config::text(&config, "lock").or_else(|| config::text(&status, "lock")),
            running: is_running,
            list,
            storages,
            firewall: firewall::read(&file).map_err(failed)?,
            config,
            tasks,
        })
    }

    /// What a checkpoint would protect.
    pub fn coverage(&self, guest: &GuestRef, datasets: &[String]) -> Coverage {
        coverage::coverage(&guest.name, &self.config, &self.storages, datasets)
    }

    /// Looks until nothing else works on the guest. A snapshot task that still runs (an earlier try of ours, whose
    /// line was lost) is followed to its end; a lock that nobody holds any more is refused, as any other.
    ///
    /// # Errors
    /// [`CheckpointError::Locked`], and as [`at`](Self::at).
    pub async fn settled(api: &NodeApi, guest: &GuestRef, on_log: OnLog<'_>) -> Result<Self, CheckpointError> {
        let begun = Instant::now();
        loop {
            let look = Self::at(api, guest).await?;
            if let Some(upid) = look.tasks.first() {
                // How it ends is not asked: what there is afterwards is looked at.
                api.follow(upid, FOLLOW, on_log).await.map_err(|e| CheckpointError::api(guest, e))?;
                continue;
            }
            let Some(lock) = look.lock.clone() else { return Ok(look) };
            let passing = matches!(lock.as_str(), "snapshot" | "snapshot-delete" | "rollback");
            if !passing || begun.elapsed() >= PATIENCE {
                return Err(CheckpointError::Locked { guest: guest.name.clone(), vmid: guest.vmid, lock });
            }
            sleep(Duration::from_millis(500)).await;
        }
    }
}

/// Running tasks about snapshots out of a list of active ones.
fn running(list: &Value) -> Vec<Upid> {
    let rows = list.as_array().map(Vec::as_slice).unwrap_or_default();
    rows.iter()
        .filter(|row| row.get("endtime").is_none())
        .filter_map(|row| Upid::of(row.get("upid")?))
        .filter(|upid| matches!(upid.kind.as_str(), "qmsnapshot" | "qmdelsnapshot" | "qmrollback"))
        .collect()
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
