//! The practice ground: a simulated Proxmox node and guests with real sshds on this machine.
//!
//! Light depth. Each host is a mount, process, host name and IPC namespace over the machine's own read-only `/usr`,
//! with its own `/etc /opt /srv /var /root /home /usr/local`, and a real OpenSSH server on a port of 127.0.0.1. A
//! daemon ([`serve`]) holds them: its end is their end. What is simulated says so; guests are real, so a rollback
//! really restores their files.
//!
//! [`up`] writes an inventory that needs nobody's `~/.ssh`. [`faces::run`] is the first call of `main`: in a host
//! the piton binary is also `systemctl`, `qm`, `pvesh` and so on.

mod clear;
mod control;
mod curl;
mod daemon;
mod demo;
mod error;
mod etc;
pub mod faces;
mod guests;
mod hosts;
mod httpd;
mod init;
mod inventory;
pub mod layout;
mod levers;
mod namespace;
mod proxmox;
pub mod pve;
mod rootfs;
mod ssh;
mod status;
mod systemctl;
mod tools;
mod tree;
mod up;

pub use clear::down;
pub use control::{Reply, Request, ask};
pub use daemon::serve;
pub use demo::{Demo, DemoOptions, demo};
pub use error::LabError;
pub use guests::Guests;
pub use hosts::Hosts;
pub use layout::Layout;
pub use levers::{Lever, lever};
pub use ssh::shell;
pub use status::{HostStatus, Status, status};
pub use up::{Options, Up, up};
