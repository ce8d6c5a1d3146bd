//! Checkpoints of guests: a VM snapshot of piton's own, with the firewall file that a VM snapshot leaves out.
//!
//! Nothing is claimed unseen: a checkpoint is taken when it stands in the guest's list, a guest is back when its
//! list, its state and its firewall file say so. Only snapshots with piton's name and marker are ever touched.

mod error;
mod firewall;
mod guest;
mod list;
mod look;
mod none;
mod prune;
mod rollback;
mod take;
#[cfg(test)]
mod tests;

pub use error::CheckpointError;
pub use firewall::Firewall;
pub use guest::{Checkpoints, PveCheckpoints};
pub use list::{coverages, lists};
pub use look::GuestLook;
pub use none::NoCheckpoints;
pub use prune::{Fate, doomed, drop_snapshots};
pub use rollback::{Back, GoBack, rollback};
pub use take::{NewCheckpoint, Taken, take};

/// A VM of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestRef {
    /// Inventory name.
    pub name: String,
    /// VMID.
    pub vmid: u32,
}

impl GuestRef {
    /// A VM by inventory name and VMID.
    pub fn new(name: impl Into<String>, vmid: u32) -> Self {
        Self { name: name.into(), vmid }
    }

    /// A path below the VM: `path("/config")`.
    fn path(&self, rest: &str) -> String {
        format!("/nodes/{{node}}/qemu/{}{rest}", self.vmid)
    }
}
