//! What can go wrong with the lab, each with what to do about it.

use std::path::PathBuf;

/// Errors of the lab.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// Programs that the lab needs are not installed.
    #[error("the lab needs {}, which this machine does not have\n  on Debian or Ubuntu: sudo apt-get install {}", .missing.join(", "), .packages.join(" "))]
    Missing {
        /// Programs.
        missing: Vec<String>,
        /// Debian packages that bring them.
        packages: Vec<String>,
    },
    /// Not root, and user namespaces do not work for this user.
    #[error(
        "the lab cannot be started as this user: {why}\n  a sshd needs more than one user id: either\n    sudo apt-get install uidmap && sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 \"$USER\"\n  or run the same command as root (sudo)"
    )]
    Rootless {
        /// What was tried, and its answer.
        why: String,
    },
    /// Root, but without the right to make namespaces.
    #[error("this machine does not allow namespaces even to root (a container without privileges?): {why}")]
    Namespaces {
        /// What was tried, and its answer.
        why: String,
    },
    /// A directory that holds something else.
    #[error("{} is not empty and holds no lab: nothing was touched; give another --dir", .dir.display())]
    Foreign {
        /// It.
        dir: PathBuf,
    },
    /// No lab there.
    #[error("no lab in {}: start one with `piton lab up`", .dir.display())]
    NoLab {
        /// Where it was looked for.
        dir: PathBuf,
    },
    /// The files of a lab are there, its daemon is not.
    #[error("the lab in {} has died (see daemon.log there): `piton lab up` starts a new one, `piton lab down` clears it away", .dir.display())]
    Dead {
        /// Its directory.
        dir: PathBuf,
    },
    /// A path too long for a unix socket.
    #[error("{} is too long a path for the lab's sockets (at most 80 bytes): give a shorter --dir", .dir.display())]
    LongPath {
        /// It.
        dir: PathBuf,
    },
    /// No such host.
    #[error("the lab has no host `{name}`: its hosts are pve, extranet and intranet")]
    UnknownHost {
        /// As given.
        name: String,
    },
    /// A guest that does not run was asked to do something.
    #[error("{name} is not running")]
    NotRunning {
        /// Its name.
        name: String,
    },
    /// A snapshot that does not exist.
    #[error("{name} has no snapshot `{snapshot}`")]
    NoSnapshot {
        /// Guest.
        name: String,
        /// Snapshot.
        snapshot: String,
    },
    /// A host did not come up.
    #[error("{name} did not come up: {why}")]
    Host {
        /// Its name.
        name: String,
        /// What was seen.
        why: String,
    },
    /// Another host answered than the one that was asked.
    #[error("asked for {asked}, but `{answered}` answered")]
    WrongHost {
        /// Host that was connected to.
        asked: String,
        /// What it said its name is.
        answered: String,
    },
    /// The daemon refused or failed.
    #[error("{message}")]
    Daemon {
        /// Its words.
        message: String,
    },
    /// A lever or another word that does not exist.
    #[error("{what}")]
    Usage {
        /// What is wrong, and what would be right.
        what: String,
    },
    /// The operating system said no.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// Why not.
        source: std::io::Error,
    },
    /// An expectation of the demo was not met.
    #[error("the demo did not go as it must: {what}")]
    Demo {
        /// Which.
        what: String,
    },
}

impl LabError {
    /// Wraps an I/O error with what was being done; for `map_err`.
    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
