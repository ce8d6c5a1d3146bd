//! What of a lab is there: asked of the daemon, and of every host by ssh.

use super::control::{Reply, Request, ask};
use super::layout::{hosts, vmid};
use super::{LabError, Layout, ssh};
use std::path::PathBuf;

/// A lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Its directory.
    pub dir: PathBuf,
    /// Its inventory.
    pub inventory: PathBuf,
    /// True if it lives in a user namespace.
    pub rootless: bool,
    /// The hosts, the node first.
    pub hosts: Vec<HostStatus>,
}

/// One host of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostStatus {
    /// Name.
    pub name: &'static str,
    /// VMID of a guest.
    pub vmid: Option<u32>,
    /// Port of its sshd on 127.0.0.1.
    pub port: u16,
    /// True if its system runs.
    pub running: bool,
    /// `Ok` if it answers by ssh with its own name and host key; else what was seen. Not asked if it does not run.
    pub answers: Result<(), String>,
}

/// Looks at a lab.
///
/// # Errors
/// [`LabError::NoLab`], [`LabError::Dead`].
pub async fn status(layout: &Layout) -> Result<Status, LabError> {
    let file = layout.read()?;
    let Reply::Running(running) = ask(layout, &Request::Status).await? else {
        return Err(LabError::Daemon { message: "the daemon gave another answer than was asked for".into() });
    };
    let of = |name: &'static str| {
        let port = file.ports.get(name).copied().unwrap_or_default();
        let running = running.iter().any(|r| r == name);
        async move {
            let answers = if running {
                ssh::who_answers(layout, name).await.map_err(|e| e.to_string())
            } else {
                Err("stopped".to_string())
            };
            HostStatus { name, vmid: vmid(name), port, running, answers }
        }
    };
    let mut names = hosts();
    let (Some(a), Some(b), Some(c)) = (names.next(), names.next(), names.next()) else {
        return Err(LabError::NoLab { dir: layout.dir().to_path_buf() });
    };
    let (a, b, c) = tokio::join!(of(a), of(b), of(c));
    Ok(Status {
        dir: layout.dir().to_path_buf(),
        inventory: layout.inventory(),
        rootless: file.rootless,
        hosts: vec![a, b, c],
    })
}
