//! The lab for real: namespaces, sshds, snapshots. Needs root (or user namespaces) and openssh-server; where those are
//! missing the tests fail with what to install, they never pass unseen.

mod checkpoints;
mod contract;
mod demo;
mod drive;
mod ground;
mod guests;
mod job;
mod lifecycle;
mod lost;
mod proxmox;
mod systemctl;
