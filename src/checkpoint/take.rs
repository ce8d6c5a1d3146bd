//! Taking a checkpoint, and seeing that it is there.

use super::look::data;
use super::{CheckpointError, GuestLook, GuestRef};
use crate::cmd::{ApiCall, Method};
use crate::pve::{Marker, Snapshot, SnapshotList, coverage};
use crate::transport::api::{NodeApi, OnLog};
use std::time::Duration;

/// How long the task is followed. A freeze of the guest's file systems may take its time; the copying does not.
const FOLLOW: Duration = Duration::from_secs(600);

/// A checkpoint to take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCheckpoint {
    /// Snapshot name, from [`crate::pve::snapshot::name`].
    pub name: String,
    /// Whose it is.
    pub marker: Marker,
}

/// A checkpoint that was seen to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Snapshot name.
    pub name: String,
    /// Copy of the guest's firewall file; `None` if there is none.
    pub firewall: Option<String>,
    /// True if the guest ran.
    pub running: bool,
    /// It was there already, of this same run and section: an earlier try that lost its answer.
    pub found: bool,
    /// Warnings of the task (`WARNINGS: 1`), empty if there were none.
    pub warnings: String,
}

/// Takes a checkpoint of a guest: looks, snapshots, follows the task, and looks again.
///
/// # Errors
/// [`CheckpointError`]; [`CheckpointError::is_unknown`] if the line was lost meanwhile. Taking it again under the same
/// name then finds out.
pub async fn take(
    api: &NodeApi,
    guest: &GuestRef,
    plan: &NewCheckpoint,
    on_log: OnLog<'_>,
) -> Result<Taken, CheckpointError> {
    let before = GuestLook::settled(api, guest, on_log).await?;
    let name = plan.name.clone();
    let taken = |found: bool, warnings: String| Taken {
        name: plan.name.clone(),
        firewall: before.firewall.clone(),
        running: before.running,
        found,
        warnings,
    };
    if let Some(snapshot) = before.list.get(&name) {
        let ours = is_it(snapshot, plan);
        return if ours {
            Ok(taken(true, String::new()))
        } else {
            Err(CheckpointError::NameTaken { guest: guest.name.clone(), name })
        };
    }
    if let Some(why) = coverage::obstacle(&before.config, &before.storages) {
        return Err(CheckpointError::NotPossible { guest: guest.name.clone(), why });
    }
    let call = ApiCall::of(Method::Post, guest.path("/snapshot"))
        .param("snapname", &name)
        .param("description", plan.marker.to_string())
        .follow(FOLLOW);
    let what = || format!("snapshot {name}");
    let answer = api.call(&call, on_log).await;
    let answer = answer.map_err(|e| CheckpointError::api(guest, e))?;
    let failed = |why: String| CheckpointError::Failed { guest: guest.name.clone(), what: what(), why };
    if !answer.ok() {
        // An earlier try of this same checkpoint may still have been on its way, and have come first.
        let earlier = GuestLook::settled(api, guest, on_log).await.ok();
        let there = earlier.is_some_and(|look| look.list.get(&name).is_some_and(|s| is_it(s, plan)));
        return if there { Ok(taken(true, String::new())) } else { Err(failed(answer.message())) };
    }
    let Some(task) = &answer.task else {
        return Err(failed("the node started no task".into()));
    };
    let list = list(api, guest).await?;
    let seen = list.get(&name).is_some_and(|s| is_it(s, plan));
    if !seen {
        let why = "it is not in the guest's list".into();
        return Err(CheckpointError::NotSeen { guest: guest.name.clone(), what: what(), why });
    }
    Ok(taken(false, if task.exitstatus == "OK" { String::new() } else { task.exitstatus.clone() }))
}

/// True for the checkpoint of this plan, whole: the name tells its number, the marker its run.
fn is_it(snapshot: &Snapshot, plan: &NewCheckpoint) -> bool {
    let run = snapshot.ours().map(|marker| marker.run);
    snapshot.name == plan.name && run.as_ref() == Some(&plan.marker.run) && snapshot.state.is_none()
}

/// The guest's snapshots as they are now.
pub(super) async fn list(api: &NodeApi, guest: &GuestRef) -> Result<SnapshotList, CheckpointError> {
    let mut answers = api.gets(&[ApiCall::get(guest.path("/snapshot"))]).await;
    let answer = answers.pop().unwrap_or_else(|| Err(super::look::unanswered()));
    let data = data(guest, answer)?;
    SnapshotList::parse(&data).map_err(|error| CheckpointError::Answer { guest: guest.name.clone(), error })
}
