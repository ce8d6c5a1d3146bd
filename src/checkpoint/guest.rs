//! Checkpoints as the engine sees them: one object a host, whatever stands behind it.

use super::{Back, CheckpointError, GoBack, GuestRef, NewCheckpoint, Taken, drop_snapshots, rollback, take};
use crate::event::Coverage;
use crate::pve::SnapshotList;
use crate::transport::Boxed;
use crate::transport::api::{NodeApi, OnLog};
use std::sync::Arc;

/// Checkpoints of one host.
pub trait Checkpoints: Send + Sync {
    /// What one would protect.
    fn coverage(&self) -> Boxed<'_, Result<Coverage, CheckpointError>>;

    /// All snapshots of the host.
    fn list(&self) -> Boxed<'_, Result<SnapshotList, CheckpointError>>;

    /// Takes one; see [`take`].
    fn take<'a>(&'a self, plan: &'a NewCheckpoint, on_log: OnLog<'a>) -> Boxed<'a, Result<Taken, CheckpointError>>;

    /// Goes back to one; see [`rollback`].
    fn rollback<'a>(&'a self, plan: &'a GoBack, on_log: OnLog<'a>) -> Boxed<'a, Result<Back, CheckpointError>>;

    /// Deletes these; see [`drop_snapshots`].
    fn drop_these<'a>(
        &'a self,
        names: &'a [String],
        on_log: OnLog<'a>,
    ) -> Boxed<'a, Result<Vec<String>, CheckpointError>>;
}

/// Checkpoints of a VM by Proxmox snapshots.
pub struct PveCheckpoints {
    /// The API of its node.
    pub api: Arc<NodeApi>,
    /// The VM.
    pub guest: GuestRef,
    /// Datasets of the node that hold its data and that no VM snapshot protects.
    pub datasets: Vec<String>,
}

impl Checkpoints for PveCheckpoints {
    fn coverage(&self) -> Boxed<'_, Result<Coverage, CheckpointError>> {
        Box::pin(async {
            let guests = [(self.guest.clone(), self.datasets.clone())];
            let mut all = super::coverages(&self.api, &guests).await;
            all.pop().unwrap_or_else(|| Err(self.nothing()))
        })
    }

    fn list(&self) -> Boxed<'_, Result<SnapshotList, CheckpointError>> {
        Box::pin(super::take::list(&self.api, &self.guest))
    }

    fn take<'a>(&'a self, plan: &'a NewCheckpoint, on_log: OnLog<'a>) -> Boxed<'a, Result<Taken, CheckpointError>> {
        Box::pin(take(&self.api, &self.guest, plan, on_log))
    }

    fn rollback<'a>(&'a self, plan: &'a GoBack, on_log: OnLog<'a>) -> Boxed<'a, Result<Back, CheckpointError>> {
        Box::pin(rollback(&self.api, &self.guest, plan, on_log))
    }

    fn drop_these<'a>(
        &'a self,
        names: &'a [String],
        on_log: OnLog<'a>,
    ) -> Boxed<'a, Result<Vec<String>, CheckpointError>> {
        Box::pin(drop_snapshots(&self.api, &self.guest, names, on_log))
    }
}

impl PveCheckpoints {
    fn nothing(&self) -> CheckpointError {
        CheckpointError::api(&self.guest, super::look::unanswered())
    }
}
