//! Why a checkpoint could not be taken, gone back to or dropped.

use super::GuestRef;
use crate::pve::PveError;
use crate::transport::api::ApiError;

/// One error of the checkpoints. Its text says what to do where a person is needed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The node has no such VM.
    #[error("{guest}: {why}")]
    NoGuest {
        /// Inventory name.
        guest: String,
        /// What the node says.
        why: String,
    },
    /// Something else holds the VM, or an earlier task died and left its lock.
    #[error(
        "{guest} is locked ({lock}): wait for the task that holds it; if none runs (`pvesh get /cluster/tasks`), \
         `qm unlock {vmid}` on the node"
    )]
    Locked {
        /// Inventory name.
        guest: String,
        /// VMID.
        vmid: u32,
        /// `backup`, `snapshot`, `rollback`, `migrate`, ...
        lock: String,
    },
    /// This VM cannot be snapshotted.
    #[error("no snapshot of {guest} is possible: {why}")]
    NotPossible {
        /// Inventory name.
        guest: String,
        /// Disk by disk.
        why: String,
    },
    /// There is a snapshot of this name that is not this checkpoint.
    #[error("{guest} has a snapshot `{name}` already, and it is not this run's")]
    NameTaken {
        /// Inventory name.
        guest: String,
        /// Snapshot name.
        name: String,
    },
    /// The checkpoint to go back to is not there, or not whole.
    #[error("{guest} has no usable snapshot `{name}`: {why}")]
    Missing {
        /// Inventory name.
        guest: String,
        /// Snapshot name.
        name: String,
        /// Why.
        why: String,
    },
    /// Newer snapshots stand in the way, and they are not piton's.
    #[error(
        "{guest} cannot go back to `{name}`: storage {storage} goes back to its newest snapshot only, and {} newer and \
         not piton's; delete or keep them by hand", .blockers.join(", ")
    )]
    Blocked {
        /// Inventory name.
        guest: String,
        /// Snapshot name.
        name: String,
        /// Storage with that rule.
        storage: String,
        /// Snapshots in the way.
        blockers: Vec<String>,
    },
    /// Proxmox tried and failed, or refused.
    #[error("{what} of {guest} failed: {why}")]
    Failed {
        /// Inventory name.
        guest: String,
        /// `snapshot piton-1a2b-01`, `rollback to ...`.
        what: String,
        /// Exit status of the task or the API's message.
        why: String,
    },
    /// Proxmox says it is done, and it is not to be seen.
    #[error("{what} of {guest} ended well, but {why}")]
    NotSeen {
        /// Inventory name.
        guest: String,
        /// What was done.
        what: String,
        /// What is missing.
        why: String,
    },
    /// The disks are back, but not everything else is.
    #[error("{guest} is back at `{name}`, but {why}")]
    Incomplete {
        /// Inventory name.
        guest: String,
        /// Snapshot name.
        name: String,
        /// What is not, and what to type.
        why: String,
    },
    /// The host has no checkpoints.
    #[error("{host} has no checkpoints: {why}")]
    None {
        /// Inventory name.
        host: String,
        /// Why.
        why: String,
    },
    /// The node's API.
    #[error("{guest}: {error}")]
    Api {
        /// Inventory name.
        guest: String,
        /// The error.
        error: Box<ApiError>,
    },
    /// An answer that is not understood.
    #[error("{guest}: {error}")]
    Answer {
        /// Inventory name.
        guest: String,
        /// The error.
        error: PveError,
    },
}

impl CheckpointError {
    /// From the API's error about a guest.
    pub(super) fn api(guest: &GuestRef, error: ApiError) -> Self {
        Self::Api { guest: guest.name.clone(), error: Box::new(error) }
    }

    /// The API's error, where it is one.
    pub fn api_error(&self) -> Option<&ApiError> {
        match self {
            Self::Api { error, .. } => Some(error),
            _ => None,
        }
    }

    /// True if nobody knows whether it was done.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Api { error, .. } if error.is_unknown())
    }
}
