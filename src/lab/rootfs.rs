//! The file system of a host, as mounts in its own mount namespace: own `/etc /opt /srv /var /root /home /usr/local`,
//! fresh `/run` and `/tmp`, the machine's `/usr` read-only, and nothing else of the machine.

use super::{LabError, Layout, faces};
use rustix::mount::{self, MountFlags, UnmountFlags};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

/// Where the lab's own things are in a host.
pub const LAB: &str = "/run/piton-lab";

/// Builds the root of a host on its mount point and makes it the root of this process.
///
/// The caller is process 1 of new mount and process namespaces.
///
/// # Errors
/// [`LabError::Io`] with the mount that failed.
pub fn enter(layout: &Layout, host: &str) -> Result<(), LabError> {
    let root = layout.root(host);
    let at = |path: &str| root.join(path.trim_start_matches('/'));
    tmpfs(&root, "size=64m,mode=755")?;
    machine_root(&root)?;
    for own in super::layout::OWN {
        let to = if *own == "local" { at("usr/local") } else { at(own) };
        bind(&layout.tree(host).join(own), &to)?;
    }
    for dir in ["proc", "sys", "dev", "run", "tmp", "mnt", "media", "boot"] {
        make(&at(dir))?;
    }
    tmpfs(&at("run"), "size=64m,mode=755")?;
    tmpfs(&at("tmp"), "size=512m,mode=1777")?;
    lab_dir(layout, host, &at(LAB))?;
    programs(&root, &at(LAB))?;
    proc_sys(&root)?;
    dev(&root)?;
    let step = |what: &'static str| move |e: rustix::io::Errno| io(what, Path::new("/"), e);
    std::env::set_current_dir(&root).map_err(LabError::io("entering the new root"))?;
    rustix::process::pivot_root(".", ".").map_err(step("pivot_root"))?;
    mount::unmount(".", UnmountFlags::DETACH).map_err(step("leaving the old root"))?;
    std::env::set_current_dir("/").map_err(LabError::io("entering /"))
}

/// `/usr` in pieces, so that `/usr/local` can be the host's own, and the links or folders beside it.
fn machine_root(root: &Path) -> Result<(), LabError> {
    for name in ["bin", "sbin", "lib", "lib32", "lib64", "libx32"] {
        let from = Path::new("/").join(name);
        copy_or_bind(&from, &root.join(name))?;
    }
    make(&root.join("usr"))?;
    for entry in fs::read_dir("/usr").map_err(LabError::io("reading /usr"))?.flatten() {
        let name = entry.file_name();
        if name != "local" && name != "src" {
            copy_or_bind(&entry.path(), &root.join("usr").join(name))?;
        }
    }
    make(&root.join("usr/local"))
}

fn copy_or_bind(from: &Path, to: &Path) -> Result<(), LabError> {
    let Ok(meta) = fs::symlink_metadata(from) else { return Ok(()) };
    if meta.is_symlink() {
        let target = fs::read_link(from).map_err(LabError::io(format!("reading {}", from.display())))?;
        symlink(target, to).map_err(LabError::io(format!("linking {}", to.display())))
    } else if meta.is_dir() {
        bind(from, to)?;
        read_only(to)
    } else {
        Ok(())
    }
}

/// `/run/piton-lab`: the piton binary, the names that it goes by in this host, the API's socket, state of units.
fn lab_dir(layout: &Layout, host: &str, lab: &Path) -> Result<(), LabError> {
    for dir in ["faces", "units", "exit", "log", "api", "machine"] {
        make(&lab.join(dir))?;
    }
    make(&lab.join("../sshd"))?;
    make(&lab.join("../lock"))?;
    let piton = lab.join("piton");
    fs::write(&piton, "").map_err(LabError::io("making room for piton"))?;
    mount::mount_bind(layout.file("piton"), &piton).map_err(|e| io("binding", &piton, e))?;
    for name in faces::of(host) {
        let target = format!("{LAB}/piton");
        symlink(target, lab.join("faces").join(name)).map_err(LabError::io(format!("linking {name}")))?;
    }
    bind(Path::new("/usr/bin"), &lab.join("machine"))?;
    read_only(&lab.join("machine"))?;
    if super::layout::vmid(host).is_none() {
        bind(&layout.dir().join("api"), &lab.join("api"))?;
        symlink("api/pve.sock", lab.join("pve.sock")).map_err(LabError::io("linking the API's socket"))?;
    }
    Ok(())
}

/// Puts the simulated programs over `/usr/bin` and `/usr/sbin`. Where the kernel has no overlay for us they are found
/// by `PATH` in `/usr/local/sbin`, and over programs that the machine has.
fn programs(root: &Path, lab: &Path) -> Result<(), LabError> {
    let faces = lab.join("faces");
    for dir in ["usr/bin", "usr/sbin"] {
        let over = root.join(dir);
        if fs::symlink_metadata(&over).is_ok_and(|m| m.is_symlink()) {
            continue;
        }
        let data = format!("lowerdir={}:{}", faces.display(), over.display());
        let data =
            std::ffi::CString::new(data).map_err(|e| LabError::Io { what: "overlay".into(), source: e.into() })?;
        if mount::mount("overlay", &over, "overlay", MountFlags::RDONLY, data.as_c_str()).is_err() {
            return without_overlay(root, &faces);
        }
    }
    Ok(())
}

fn without_overlay(root: &Path, faces: &Path) -> Result<(), LabError> {
    for entry in fs::read_dir(faces).map_err(LabError::io("reading the faces"))?.flatten() {
        let name = entry.file_name();
        let local = root.join("usr/local/sbin").join(&name);
        if fs::symlink_metadata(&local).is_err() {
            let target = format!("{LAB}/piton");
            symlink(target, &local).map_err(LabError::io(format!("linking {}", local.display())))?;
        }
        for dir in ["usr/bin", "usr/sbin"] {
            let there = root.join(dir).join(&name);
            if there.exists() {
                let piton = faces.with_file_name("piton");
                mount::mount_bind(&piton, &there).map_err(|e| io("binding", &there, e))?;
            }
        }
    }
    Ok(())
}

fn proc_sys(root: &Path) -> Result<(), LabError> {
    let (proc, sys) = (root.join("proc"), root.join("sys"));
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount::mount("proc", &proc, "proc", flags, None).map_err(|e| io("mounting", &proc, e))?;
    // The hosts share the machine's kernel and network: nothing in them may set its values.
    for name in ["sys", "sysrq-trigger", "irq", "bus", "fs"] {
        let at = proc.join(name);
        if at.exists() {
            mount::mount_bind(&at, &at).map_err(|e| io("binding", &at, e))?;
            read_only(&at)?;
        }
    }
    bind(Path::new("/sys"), &sys)?;
    read_only(&sys)
}

fn dev(root: &Path) -> Result<(), LabError> {
    let dev = root.join("dev");
    tmpfs(&dev, "size=1m,mode=755")?;
    for name in ["null", "zero", "full", "random", "urandom", "tty"] {
        let to = dev.join(name);
        fs::write(&to, "").map_err(LabError::io(format!("making {}", to.display())))?;
        mount::mount_bind(Path::new("/dev").join(name), &to).map_err(|e| io("binding", &to, e))?;
    }
    make(&dev.join("pts"))?;
    make(&dev.join("shm"))?;
    tmpfs(&dev.join("shm"), "size=64m,mode=1777")?;
    let options = c"newinstance,ptmxmode=0666,mode=620,gid=5";
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
    let pts = dev.join("pts");
    mount::mount("devpts", &pts, "devpts", flags, options).map_err(|e| io("mounting", &pts, e))?;
    let links = [
        ("pts/ptmx", "ptmx"),
        ("/proc/self/fd", "fd"),
        ("/proc/self/fd/0", "stdin"),
        ("/proc/self/fd/1", "stdout"),
        ("/proc/self/fd/2", "stderr"),
    ];
    for (target, name) in links {
        symlink(target, dev.join(name)).map_err(LabError::io(format!("linking /dev/{name}")))?;
    }
    Ok(())
}

fn make(path: &Path) -> Result<(), LabError> {
    fs::create_dir_all(path).map_err(LabError::io(format!("making {}", path.display())))
}

fn tmpfs(at: &Path, options: &str) -> Result<(), LabError> {
    make(at)?;
    let options =
        std::ffi::CString::new(options).map_err(|e| LabError::Io { what: "tmpfs".into(), source: e.into() })?;
    mount::mount("tmpfs", at, "tmpfs", MountFlags::NODEV | MountFlags::NOSUID, options.as_c_str())
        .map_err(|e| io("mounting", at, e))
}

fn bind(from: &Path, to: &Path) -> Result<(), LabError> {
    make(to)?;
    mount::mount_bind_recursive(from, to).map_err(|e| io("binding", to, e))
}

/// Makes a bind mount read-only, keeping the flags that a user namespace may not drop.
fn read_only(at: &Path) -> Result<(), LabError> {
    use rustix::fs::StatVfsMountFlags as Has;
    let has = rustix::fs::statvfs(at).map_err(|e| io("asking for", at, e))?.f_flag;
    let mut flags = MountFlags::BIND | MountFlags::RDONLY;
    let pairs = [
        (Has::NOSUID, MountFlags::NOSUID),
        (Has::NODEV, MountFlags::NODEV),
        (Has::NOEXEC, MountFlags::NOEXEC),
        (Has::NOATIME, MountFlags::NOATIME),
        (Has::NODIRATIME, MountFlags::NODIRATIME),
        (Has::RELATIME, MountFlags::RELATIME),
    ];
    for (flag, keep) in pairs {
        if has.contains(flag) {
            flags |= keep;
        }
    }
    mount::mount_remount(at, flags, "").map_err(|e| io("making read-only", at, e))
}

fn io(what: &str, at: &Path, e: rustix::io::Errno) -> LabError {
    LabError::Io { what: format!("{what} {}", at.display()), source: e.into() }
}
