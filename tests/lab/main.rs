//! The lab for real: namespaces, sshds, snapshots. Needs root (or user namespaces) and openssh-server; where those are
//! missing the tests fail with what to install, they never pass unseen.

mod canary;
mod checkpoints;
mod confirm;
mod contract;
mod cut;
mod demo;
mod drive;
mod durable;
mod ground;
mod guests;
mod job;
mod kill;
mod ladder;
mod lease;
mod lifecycle;
mod lost;
mod proxmox;
mod systemctl;
