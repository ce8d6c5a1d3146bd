//! Retention: the newest checkpoints of runs that went well, and all of runs that did not.

use super::rollback::done;
use super::take::list;
use super::{CheckpointError, GuestRef};
use crate::cmd::{ApiCall, Method};
use crate::key::RunId;
use crate::pve::SnapshotList;
use crate::transport::api::{NodeApi, OnLog};
use std::time::Duration;

/// How long one deletion is followed; merging a qcow2 snapshot takes time.
const FOLLOW: Duration = Duration::from_secs(1800);

/// What became of a run, as far as this machine's journals tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It went well.
    Done,
    /// It failed, was stopped, or its outcome is unknown.
    Failed,
    /// It still goes on.
    Going,
    /// There is no journal of it here: another machine's.
    Unknown,
}

/// Names of the snapshots that may go, oldest first: piton's own, of runs that are [`Fate::Done`], but for the newest
/// `keep` of them. What is not known to have gone well stays.
pub fn doomed(list: &SnapshotList, keep: usize, fate: &dyn Fn(&RunId) -> Fate) -> Vec<String> {
    let done: Vec<String> =
        list.ours().filter(|(_, marker)| fate(&marker.run) == Fate::Done).map(|(s, _)| s.name.clone()).collect();
    let go = done.len().saturating_sub(keep);
    done.into_iter().take(go).collect()
}

/// Deletes these snapshots, one after another, and looks that they are gone. A name that is not piton's own, or not
/// there any more, is passed over. Gives the names that were deleted.
///
/// # Errors
/// [`CheckpointError`] at the first that cannot be deleted.
pub async fn drop_snapshots(
    api: &NodeApi,
    guest: &GuestRef,
    names: &[String],
    on_log: OnLog<'_>,
) -> Result<Vec<String>, CheckpointError> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let before = list(api, guest).await?;
    let mut dropped = Vec::new();
    for name in names {
        if before.get(name).and_then(crate::pve::Snapshot::ours).is_some() {
            delete(api, guest, name, on_log).await?;
            dropped.push(name.clone());
        }
    }
    Ok(dropped)
}

/// Deletes one snapshot, which the caller knows to be piton's own.
pub(super) async fn delete(
    api: &NodeApi,
    guest: &GuestRef,
    name: &str,
    on_log: OnLog<'_>,
) -> Result<(), CheckpointError> {
    let call = ApiCall::of(Method::Delete, guest.path(&format!("/snapshot/{name}"))).follow(FOLLOW);
    let what = format!("deletion of snapshot {name}");
    done(api, guest, &call, &what, on_log).await?;
    if list(api, guest).await?.get(name).is_some() {
        let why = "it is still in the guest's list".to_string();
        return Err(CheckpointError::NotSeen { guest: guest.name.clone(), what, why });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pve::{Marker, Snapshot};

    fn snapshot(n: u64, name: &str, run: &str) -> Snapshot {
        let marker = Marker { run: RunId(run.into()), section: "s".into(), by: "a@b".into() };
        Snapshot { name: name.into(), taken: n, parent: None, description: marker.to_string(), ram: false, state: None }
    }

    #[test]
    fn only_old_ones_of_runs_that_went_well_go() {
        let mut snapshots: Vec<Snapshot> =
            (1..=5).map(|n| snapshot(n, &format!("piton-aaa{n}-01"), &format!("20261123-031500-aaa{n}"))).collect();
        snapshots.push(Snapshot { description: "mine".into(), ..snapshot(0, "piton-aaa9-01", "20261123-031500-aaa9") });
        snapshots.push(snapshot(0, "before-upgrade", "20261123-031500-aaa8"));
        let list = SnapshotList { snapshots, parent: None, running: false };
        let names = |fate: &dyn Fn(&RunId) -> Fate, keep| doomed(&list, keep, fate);
        assert_eq!(names(&|_| Fate::Done, 3), ["piton-aaa1-01", "piton-aaa2-01"]);
        assert_eq!(names(&|_| Fate::Done, 9), [""; 0]);
        assert_eq!(names(&|_| Fate::Unknown, 0), [""; 0]);
        assert_eq!(names(&|_| Fate::Failed, 0), [""; 0]);
        let mixed = |run: &RunId| if run.short() == "aaa1" { Fate::Failed } else { Fate::Done };
        assert_eq!(names(&mixed, 3), ["piton-aaa2-01"]);
    }
}
