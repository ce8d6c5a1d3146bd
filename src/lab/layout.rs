//! Where everything of one lab lies, and which hosts it has.
//!
//! ```text
//! DIR/lab.json  lock  daemon.pid  daemon.log  control.sock  piton
//!     inventory.yml  ssh_config  known_hosts  key  key.pub  secret
//!     api/pve.sock                        the simulated Proxmox API
//!     hosts/NAME/tree/{etc,opt,srv,var,root,home,local}   what a guest owns
//!     hosts/NAME/snaps/SNAPSHOT/          copies of the tree
//!     hosts/NAME/root/                    mount point, empty from outside
//! ```

use super::LabError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Name of the node, in the inventory and in the API.
pub const NODE: &str = "pve";

/// Names and VMIDs of the guests, in the order of VMIDs.
pub const GUESTS: &[(&str, u32)] = &[("extranet", 101), ("intranet", 102)];

/// The parts of a host's file system that are its own.
pub const OWN: &[&str] = &["etc", "opt", "srv", "var", "root", "home", "local"];

/// Longest path of a lab directory, in bytes: a unix socket's path may have 107.
const LONGEST: usize = 80;

/// Paths of one lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    dir: PathBuf,
}

impl Layout {
    /// The lab in this directory, made absolute; by default `$XDG_STATE_HOME/piton/lab` or `~/.local/state/piton/lab`.
    ///
    /// # Errors
    /// If there is neither a directory nor a home, or the path is too long for a socket.
    pub fn new(dir: Option<&Path>) -> Result<Self, LabError> {
        let dir = match dir {
            Some(dir) => std::path::absolute(dir).map_err(LabError::io("finding the lab's directory"))?,
            None => default_dir()?,
        };
        if dir.as_os_str().len() > LONGEST {
            return Err(LabError::LongPath { dir });
        }
        Ok(Self { dir })
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A file of the lab by name.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The inventory that `up` writes.
    pub fn inventory(&self) -> PathBuf {
        self.file("inventory.yml")
    }

    /// The ssh configuration that knows the hosts.
    pub fn ssh_config(&self) -> PathBuf {
        self.file("ssh_config")
    }

    /// The socket of the daemon.
    pub fn control(&self) -> PathBuf {
        self.file("control.sock")
    }

    /// The socket of the simulated API.
    pub fn api(&self) -> PathBuf {
        self.dir.join("api").join("pve.sock")
    }

    /// A host's own files.
    pub fn tree(&self, host: &str) -> PathBuf {
        self.dir.join("hosts").join(host).join("tree")
    }

    /// A guest's snapshots.
    pub fn snaps(&self, host: &str) -> PathBuf {
        self.dir.join("hosts").join(host).join("snaps")
    }

    /// The mount point for a host's root.
    pub fn root(&self, host: &str) -> PathBuf {
        self.dir.join("hosts").join(host).join("root")
    }

    /// What `up` wrote about this lab.
    ///
    /// # Errors
    /// [`LabError::NoLab`] if there is none.
    pub fn read(&self) -> Result<LabFile, LabError> {
        let text = std::fs::read(self.file("lab.json")).map_err(|_| LabError::NoLab { dir: self.dir.clone() })?;
        serde_json::from_slice(&text).map_err(|e| LabError::Io { what: "lab.json".into(), source: e.into() })
    }
}

/// `lab.json`: what was chosen when the lab was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabFile {
    /// Version of piton that made it.
    pub version: String,
    /// Port of each host's sshd on 127.0.0.1.
    pub ports: BTreeMap<String, u16>,
    /// Port for the demonstration service on the guest `extranet`.
    pub npm_port: u16,
    /// True if the hosts live in a user namespace.
    pub rootless: bool,
}

/// All hosts: the node, then the guests.
pub fn hosts() -> impl Iterator<Item = &'static str> {
    std::iter::once(NODE).chain(GUESTS.iter().map(|(name, _)| *name))
}

/// VMID of a guest; `None` for the node.
pub fn vmid(host: &str) -> Option<u32> {
    GUESTS.iter().find(|(name, _)| *name == host).map(|(_, vmid)| *vmid)
}

/// The host of this name.
///
/// # Errors
/// [`LabError::UnknownHost`].
pub fn known(host: &str) -> Result<&'static str, LabError> {
    hosts().find(|h| *h == host).ok_or_else(|| LabError::UnknownHost { name: host.to_string() })
}

fn default_dir() -> Result<PathBuf, LabError> {
    let state = std::env::var_os("XDG_STATE_HOME").filter(|v| !v.is_empty()).map(PathBuf::from);
    let home = || std::env::var_os("HOME").filter(|v| !v.is_empty()).map(|h| PathBuf::from(h).join(".local/state"));
    let base = state
        .or_else(home)
        .ok_or_else(|| LabError::Usage { what: "neither $HOME nor $XDG_STATE_HOME is set: give --dir".into() })?;
    Ok(base.join("piton").join("lab"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_no_socket_can_have_is_refused_early() {
        let long = PathBuf::from("/").join("x".repeat(90));
        assert!(matches!(Layout::new(Some(&long)), Err(LabError::LongPath { .. })));
        assert!(Layout::new(Some(Path::new("/tmp/lab"))).is_ok());
    }

    #[test]
    fn only_the_three_hosts_are_known() {
        assert_eq!(hosts().collect::<Vec<_>>(), ["pve", "extranet", "intranet"]);
        assert_eq!(known("extranet").unwrap(), "extranet");
        assert!(matches!(known("pve2"), Err(LabError::UnknownHost { .. })));
        assert_eq!((vmid("intranet"), vmid("pve")), (Some(102), None));
    }
}
