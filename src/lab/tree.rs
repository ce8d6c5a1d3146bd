//! Makes a host's own files: a small Debian's, with what the machine's programs need to work.

use super::layout::{LabFile, OWN};
use super::{LabError, Layout, etc};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use tokio::process::Command;

/// Taken over from the machine, where it has them: without these its programs do not run as they should.
const FROM_THE_MACHINE: &[&str] = &[
    "alternatives",
    "bash.bashrc",
    "ca-certificates",
    "ca-certificates.conf",
    "debian_version",
    "inputrc",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "login.defs",
    "mime.types",
    "nsswitch.conf",
    "os-release",
    "profile",
    "protocols",
    "rpc",
    "services",
    "ssl/certs",
    "ssl/openssl.cnf",
    "terminfo",
];

/// Folders of a fresh system.
const FOLDERS: &[&str] = &[
    "etc/default",
    "etc/network/interfaces.d",
    "etc/perl",
    "etc/profile.d",
    "etc/ssh",
    "etc/systemd/system/multi-user.target.wants",
    "local/bin",
    "local/sbin",
    "local/lib",
    "local/share",
    "root/.ssh",
    "var/backups",
    "var/cache",
    "var/lib",
    "var/log",
    "var/spool",
    "var/tmp",
    "var/www",
];

/// Makes the tree of a host; what was there is gone.
///
/// # Errors
/// [`LabError::Io`].
pub async fn build(layout: &Layout, lab: &LabFile, host: &str) -> Result<(), LabError> {
    let tree = layout.tree(host);
    if tree.exists() {
        fs::remove_dir_all(&tree).map_err(LabError::io(format!("removing {}", tree.display())))?;
    }
    for dir in OWN.iter().chain(FOLDERS) {
        make(&tree.join(dir))?;
    }
    make(&layout.root(host))?;
    let from = FROM_THE_MACHINE.iter().filter(|name| Path::new("/etc").join(name).exists());
    let mut copy = Command::new("cp");
    copy.args(["-a", "--parents", "--"]).args(from).arg(tree.join("etc")).current_dir("/etc");
    let copied = copy.output().await.map_err(LabError::io("copying from /etc"))?;
    if !copied.status.success() {
        // Files that this user may not read are left out: nothing in here needs them.
        let why = String::from_utf8_lossy(&copied.stderr);
        if why.lines().any(|line| !line.ends_with("Permission denied")) {
            return Err(LabError::Io {
                what: "copying from /etc".into(),
                source: std::io::Error::other(why.into_owned()),
            });
        }
    }
    fill(layout, lab, host, &tree)
}

fn fill(layout: &Layout, lab: &LabFile, host: &str, tree: &Path) -> Result<(), LabError> {
    let port = lab.ports.get(host).copied().unwrap_or_default();
    let put = |path: &str, mode: u32, text: &str| write(&tree.join(path), mode, text.as_bytes());
    put("etc/passwd", 0o644, etc::PASSWD)?;
    put("etc/group", 0o644, etc::GROUP)?;
    put("etc/shadow", 0o640, &etc::shadow())?;
    put("etc/hostname", 0o644, &format!("{host}\n"))?;
    put("etc/hosts", 0o644, &etc::hosts_file())?;
    put("etc/machine-id", 0o444, &machine_id(host))?;
    put("etc/resolv.conf", 0o644, &fs::read_to_string("/etc/resolv.conf").unwrap_or_default())?;
    put("etc/shells", 0o644, "/bin/sh\n/bin/bash\n/bin/dash\n")?;
    put("etc/motd", 0o644, &etc::motd(host))?;
    put("etc/piton-lab", 0o444, &etc::marker(host))?;
    put("etc/ssh/sshd_config", 0o644, &etc::sshd_config(port))?;
    put("etc/systemd/system/ssh.service", 0o644, etc::SSH_SERVICE)?;
    enable(tree, "ssh.service")?;
    put("root/.bashrc", 0o644, "PS1='\\u@\\h:\\w# '\n")?;
    put("root/.profile", 0o644, "[ -z \"$BASH\" ] || . ~/.bashrc\n")?;
    let key = |name: &str| fs::read(layout.file(name)).map_err(LabError::io(format!("reading {name}")));
    write(&tree.join("root/.ssh/authorized_keys"), 0o600, &key("key.pub")?)?;
    write(&tree.join("etc/ssh/ssh_host_ed25519_key"), 0o600, &key(&format!("host-{host}"))?)?;
    write(&tree.join("etc/ssh/ssh_host_ed25519_key.pub"), 0o644, &key(&format!("host-{host}.pub"))?)?;
    for (dir, mode) in [("root", 0o700), ("root/.ssh", 0o700), ("var/tmp", 0o1777)] {
        chmod(&tree.join(dir), mode)?;
    }
    symlink("/run", tree.join("var/run")).map_err(LabError::io("linking /var/run"))?;
    symlink("/run/lock", tree.join("var/lock")).map_err(LabError::io("linking /var/lock"))?;
    if etc::is_node(host) {
        put("etc/network/interfaces", 0o644, etc::INTERFACES)?;
        put("etc/perl/PVE/INotify.pm", 0o644, etc::PERL_INOTIFY)?;
        put("etc/perl/PVE/AccessControl.pm", 0o644, etc::PERL_ACCESS_CONTROL)?;
        make(&tree.join("etc/pve/firewall"))?;
        make(&tree.join("var/lib/vz"))?;
    }
    if host == "extranet" {
        put("etc/systemd/system/npm.service", 0o644, &etc::npm_service(lab))?;
        put("srv/npm/index.html", 0o644, "<h1>welcome</h1>\n")?;
        put("opt/extranet/site.conf", 0o644, "# as installed\nserver_name = extranet.example\n")?;
    }
    Ok(())
}

/// Each host is a machine of its own, for whoever reads this file.
fn machine_id(host: &str) -> String {
    let digest = crate::key::digest(format!("piton lab {host}").as_bytes());
    digest[..32].to_string() + "\n"
}

fn enable(tree: &Path, unit: &str) -> Result<(), LabError> {
    let link = tree.join("etc/systemd/system/multi-user.target.wants").join(unit);
    symlink(format!("/etc/systemd/system/{unit}"), link).map_err(LabError::io(format!("enabling {unit}")))
}

fn make(dir: &Path) -> Result<(), LabError> {
    fs::create_dir_all(dir).map_err(LabError::io(format!("making {}", dir.display())))
}

fn write(path: &Path, mode: u32, bytes: &[u8]) -> Result<(), LabError> {
    if let Some(dir) = path.parent() {
        make(dir)?;
    }
    fs::write(path, bytes).map_err(LabError::io(format!("writing {}", path.display())))?;
    chmod(path, mode)
}

fn chmod(path: &Path, mode: u32) -> Result<(), LabError> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .map_err(LabError::io(format!("setting the mode of {}", path.display())))
}
