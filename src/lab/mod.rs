//! The practice ground: hosts with a real sshd each, and a simulated Proxmox VE node.

pub mod pve;
