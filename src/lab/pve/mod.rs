//! The simulated Proxmox VE node.

pub mod hypervisor;

pub use hypervisor::{Exec, GuestError, GuestOutput, Hypervisor, NullHypervisor};
