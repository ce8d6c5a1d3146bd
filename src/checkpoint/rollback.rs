//! Going back to a checkpoint: disks and configuration, the firewall file, and running again if it ran.
//!
//! May be repeated: a rollback to the same snapshot gives the same state, whatever an earlier try came to.

use super::prune::delete;
use super::{CheckpointError, Firewall, GuestLook, GuestRef, firewall};
use crate::cmd::{ApiCall, Method};
use crate::pve::coverage;
use crate::transport::api::{NodeApi, OnLog};
use std::time::Duration;
use tokio::time::sleep;

/// How long the rollback task is followed.
const FOLLOW: Duration = Duration::from_secs(1800);

/// How long the start of the guest is followed.
const START: Duration = Duration::from_secs(300);

/// Looks for `running` after the start task ended well.
const LOOKS: u32 = 10;

/// Where to go back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoBack {
    /// Snapshot name; must be one of piton's own.
    pub name: String,
    /// The firewall file as it was.
    pub firewall: Firewall,
    /// Start the guest afterwards: it ran when the checkpoint was taken. Proxmox leaves it stopped otherwise.
    pub start: bool,
}

/// What was done, and seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Back {
    /// Snapshot name.
    pub name: String,
    /// Newer checkpoints of piton's own that had to go first, newest first.
    pub dropped: Vec<String>,
    /// It was started again.
    pub started: bool,
    /// The firewall file differed and was put back.
    pub firewall_restored: bool,
}

/// Takes a guest back to a checkpoint of piton's own.
///
/// # Errors
/// [`CheckpointError`]: before the rollback itself nothing is changed but newer checkpoints of piton's own;
/// [`CheckpointError::Incomplete`] if the disks are back and something else is not.
pub async fn rollback(
    api: &NodeApi,
    guest: &GuestRef,
    plan: &GoBack,
    on_log: OnLog<'_>,
) -> Result<Back, CheckpointError> {
    let before = GuestLook::settled(api, guest, on_log).await?;
    let name = &plan.name;
    let missing =
        |why: &str| CheckpointError::Missing { guest: guest.name.clone(), name: name.clone(), why: why.to_string() };
    let snapshot = before.list.get(name).ok_or_else(|| missing("it is not in the guest's list"))?;
    if snapshot.ours().is_none() {
        return Err(missing("it is not piton's own"));
    }
    if let Some(state) = &snapshot.state {
        return Err(missing(&format!("it is not whole ({state})")));
    }
    let dropped = clear_the_way(api, guest, &before, name, on_log).await?;
    let call = ApiCall::of(Method::Post, guest.path(&format!("/snapshot/{name}/rollback"))).follow(FOLLOW);
    let what = format!("rollback to {name}");
    let mut went = done(api, guest, &call, &what, on_log).await;
    if matches!(&went, Err(CheckpointError::Failed { why, .. }) if why.starts_with("VM is locked (")) {
        // An earlier try was still on its way and has the lock now: after it comes ours.
        GuestLook::settled(api, guest, on_log).await?;
        went = done(api, guest, &call, &what, on_log).await;
    }
    if let Err(CheckpointError::Failed { guest: of, what, why }) = went {
        return Err(CheckpointError::Failed { guest: of, what, why: format!("{why}{}", left(api, guest).await) });
    }
    went?;

    let incomplete = |why: String| CheckpointError::Incomplete { guest: guest.name.clone(), name: name.clone(), why };
    // The lock that a rollback holds ends with its task, so this is a look at the finished thing.
    let after = GuestLook::at(api, guest).await.map_err(|e| incomplete(format!("it could not be looked at: {e}")))?;
    if after.list.parent.as_ref() != Some(name) {
        return Err(CheckpointError::NotSeen {
            guest: guest.name.clone(),
            what: format!("rollback to {name}"),
            why: format!(
                "the guest's present state comes from {:?}",
                after.list.parent.as_deref().unwrap_or("nothing")
            ),
        });
    }
    let firewall_restored = restore_firewall(api, guest, plan, after.firewall.as_deref()).await.map_err(incomplete)?;
    let mut started = false;
    if plan.start && !after.running {
        let how = format!("start it with `qm start {}` on the node", guest.vmid);
        let call = ApiCall::of(Method::Post, guest.path("/status/start")).follow(START);
        let start = done(api, guest, &call, "start", on_log).await;
        if let Err(e) = start {
            // Someone else may have been quicker: what counts is that it runs.
            if !is_running(api, guest).await {
                return Err(incomplete(format!("it does not run: {e}; {how}")));
            }
        } else {
            wait_running(api, guest).await.map_err(|why| incomplete(format!("{why}; {how}")))?;
        }
        started = true;
    }
    Ok(Back { name: name.clone(), dropped, started, firewall_restored })
}

/// Deletes piton's own newer checkpoints where the storage demands it; a foreign one in the way is an error, and then
/// nothing is deleted.
async fn clear_the_way(
    api: &NodeApi,
    guest: &GuestRef,
    before: &GuestLook,
    name: &str,
    on_log: OnLog<'_>,
) -> Result<Vec<String>, CheckpointError> {
    let Some(storage) = coverage::newest_only(&before.config, &before.storages).into_iter().next() else {
        return Ok(Vec::new());
    };
    let newer = before.list.newer_than(name);
    let blockers: Vec<String> = newer.iter().filter(|s| s.ours().is_none()).map(|s| s.name.clone()).collect();
    if !blockers.is_empty() {
        let (guest, name) = (guest.name.clone(), name.to_string());
        return Err(CheckpointError::Blocked { guest, name, storage, blockers });
    }
    let mut dropped = Vec::new();
    for snapshot in newer {
        delete(api, guest, &snapshot.name, on_log).await?;
        dropped.push(snapshot.name.clone());
    }
    Ok(dropped)
}

/// How a failed rollback left the guest: Proxmox stops it first, and may leave it locked.
async fn left(api: &NodeApi, guest: &GuestRef) -> String {
    match GuestLook::at(api, guest).await {
        Ok(GuestLook { lock: Some(lock), .. }) => {
            format!("; it is left locked ({lock}): `qm unlock {}` on the node", guest.vmid)
        }
        Ok(GuestLook { running: true, .. }) => "; it runs, as it was".into(),
        Ok(_) => "; it is stopped".into(),
        Err(e) => format!("; how it is left is not known: {e}"),
    }
}

/// Makes a call whose task must end well.
pub(super) async fn done(
    api: &NodeApi,
    guest: &GuestRef,
    call: &ApiCall,
    what: &str,
    on_log: OnLog<'_>,
) -> Result<(), CheckpointError> {
    let answer = api.call(call, on_log).await;
    let answer = answer.map_err(|e| CheckpointError::api(guest, e))?;
    if answer.ok() && answer.task.is_some() {
        return Ok(());
    }
    let why = if answer.ok() { "the node started no task".to_string() } else { answer.message() };
    Err(CheckpointError::Failed { guest: guest.name.clone(), what: what.to_string(), why })
}

async fn restore_firewall(api: &NodeApi, guest: &GuestRef, plan: &GoBack, now: Option<&str>) -> Result<bool, String> {
    let wanted = match &plan.firewall {
        Firewall::Leave => return Ok(false),
        Firewall::Absent => None,
        Firewall::File(text) => Some(text.as_str()),
    };
    if wanted == now {
        return Ok(false);
    }
    let path = firewall::path(guest.vmid);
    let not = |why: String| format!("{path} could not be put back: {why}");
    for cmd in [firewall::write_cmd(guest.vmid, wanted), firewall::read_cmd(guest.vmid)] {
        let output = api.run_one(cmd).await.map_err(|e| not(e.to_string()))?;
        if !output.ok() {
            return Err(not(output.stderr.text().lines().next().unwrap_or("no reason given").to_string()));
        }
        if let Ok(seen) = firewall::read(&output)
            && seen.as_deref() == wanted
        {
            return Ok(true);
        }
    }
    Err(not("it does not hold what was written".into()))
}

async fn is_running(api: &NodeApi, guest: &GuestRef) -> bool {
    let answers = api.gets(&[ApiCall::get(guest.path("/status/current"))]).await;
    answers.into_iter().flatten().any(|a| a.status == 200 && a.data().get("status").is_some_and(|s| s == "running"))
}

async fn wait_running(api: &NodeApi, guest: &GuestRef) -> Result<(), String> {
    for look in 0..LOOKS {
        if look > 0 {
            sleep(Duration::from_millis(500)).await;
        }
        if is_running(api, guest).await {
            return Ok(());
        }
    }
    Err("it was started and does not run".into())
}
