//! Hosts without checkpoints: nodes, and machines that no Proxmox is told about. They say so.

use super::{Back, CheckpointError, Checkpoints, GoBack, NewCheckpoint, Taken};
use crate::event::Coverage;
use crate::pve::SnapshotList;
use crate::transport::Boxed;
use crate::transport::api::OnLog;

/// No checkpoints, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoCheckpoints {
    /// Inventory name.
    pub host: String,
    /// Why, for people: `a node is not snapshotted`.
    pub why: String,
}

impl NoCheckpoints {
    fn error<'a, T: Send + 'a>(&self) -> Boxed<'a, Result<T, CheckpointError>> {
        let error = CheckpointError::None { host: self.host.clone(), why: self.why.clone() };
        Box::pin(std::future::ready(Err(error)))
    }
}

impl Checkpoints for NoCheckpoints {
    fn coverage(&self) -> Boxed<'_, Result<Coverage, CheckpointError>> {
        let coverage = Coverage {
            guest: self.host.clone(),
            possible: false,
            protected: Vec::new(),
            unprotected: vec![format!("everything: {}", self.why)],
        };
        Box::pin(std::future::ready(Ok(coverage)))
    }

    fn list(&self) -> Boxed<'_, Result<SnapshotList, CheckpointError>> {
        Box::pin(std::future::ready(Ok(SnapshotList::default())))
    }

    fn take<'a>(&'a self, _: &'a NewCheckpoint, _: OnLog<'a>) -> Boxed<'a, Result<Taken, CheckpointError>> {
        self.error()
    }

    fn rollback<'a>(&'a self, _: &'a GoBack, _: OnLog<'a>) -> Boxed<'a, Result<Back, CheckpointError>> {
        self.error()
    }

    fn drop_these<'a>(&'a self, _: &'a [String], _: OnLog<'a>) -> Boxed<'a, Result<Vec<String>, CheckpointError>> {
        self.error()
    }
}
