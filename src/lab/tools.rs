//! What the lab needs of this machine, found out before anything is made.

use super::LabError;
use std::path::{Path, PathBuf};
use tokio::process::Command;

/// Programs, and the Debian package of each.
const NEEDED: &[(&str, &str)] = &[
    ("sshd", "openssh-server"),
    ("ssh", "openssh-client"),
    ("ssh-keygen", "openssh-client"),
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
    ("setpriv", "util-linux"),
    ("setsid", "util-linux"),
    ("cp", "coreutils"),
];

/// How a program gets to be root over the hosts: nothing to add for root, a user namespace for everybody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rootless(pub bool);

impl Rootless {
    /// Words to put before a command that has to be root over the lab's files and namespaces.
    ///
    /// What a host could do to the machine that it shares kernel and network with is given up on the way.
    pub fn prefix(self) -> Vec<&'static str> {
        let mut words = Vec::new();
        if self.0 {
            words.extend(["unshare", "--user", "--map-root-user", "--map-auto", "--"]);
        }
        words.extend(["setpriv", "--bounding-set=-net_admin,-sys_module,-sys_boot,-sys_time,-sys_rawio,-mknod", "--"]);
        words
    }
}

/// Checks that all programs are there and that hosts can be made by this user.
///
/// # Errors
/// [`LabError::Missing`] or [`LabError::Rootless`], each with what to do.
pub async fn check() -> Result<Rootless, LabError> {
    missing(NEEDED, &|program| find(program).is_some())?;
    let rootless = Rootless(!rustix::process::geteuid().is_root());
    let mut words = rootless.prefix();
    words.extend(["unshare", "--mount", "--pid", "--fork", "--uts", "--ipc", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]);
    let output = Command::new(words[0]).args(&words[1..]).output().await;
    let output = output.map_err(LabError::io("trying a namespace"))?;
    if output.status.success() {
        return Ok(rootless);
    }
    let mut why = String::from_utf8_lossy(&output.stderr).trim().to_string();
    let restricted = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns";
    if std::fs::read_to_string(restricted).is_ok_and(|on| on.trim() == "1") {
        why.push_str("; AppArmor forbids it: sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0");
    }
    Err(if rootless.0 { LabError::Rootless { why } } else { LabError::Namespaces { why } })
}

/// The path of a program, also where only root's `PATH` looks.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    dirs.map(|dir| dir.join(program)).find(|p| is_program(p))
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

fn missing(needed: &[(&str, &str)], has: &dyn Fn(&str) -> bool) -> Result<(), LabError> {
    let (mut missing, mut packages) = (Vec::new(), Vec::<String>::new());
    for (program, package) in needed {
        if !has(program) {
            missing.push((*program).to_string());
            if !packages.iter().any(|p| p == package) {
                packages.push((*package).to_string());
            }
        }
    }
    if missing.is_empty() { Ok(()) } else { Err(LabError::Missing { missing, packages }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_its_packages() {
        let error = missing(NEEDED, &|p| !p.starts_with("ssh")).unwrap_err().to_string();
        assert_eq!(
            error,
            "the lab needs sshd, ssh, ssh-keygen, which this machine does not have\n  on Debian or Ubuntu: sudo apt-get install openssh-server openssh-client"
        );
        assert!(missing(NEEDED, &|_| true).is_ok());
    }
}
