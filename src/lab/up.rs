//! Brings a lab up: keys, ports, inventory, daemon, and the check that the right hosts answer.

use super::clear::{clear, is_locked};
use super::control::{Request, ask};
use super::layout::{LabFile, hosts};
use super::status::{Status, status};
use super::tools::{self, Rootless};
use super::{LabError, Layout, inventory};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

/// How long the daemon may take until all hosts are up.
const PATIENCE: Duration = Duration::from_secs(30);

/// What to bring up.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The lab's directory; see [`Layout::new`] for the default.
    pub dir: Option<PathBuf>,
    /// The piton binary that the hosts get; this one by default.
    pub piton: Option<PathBuf>,
}

/// A lab that is up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Up {
    /// It.
    pub status: Status,
    /// True if it was up before.
    pub already: bool,
}

/// Brings the lab up; tells `progress` what it does, in a few words each.
///
/// # Errors
/// With what is missing on this machine, or what did not come up. Nothing is left behind then.
pub async fn up(options: Options, progress: &(dyn Fn(&str) + Sync)) -> Result<Up, LabError> {
    let layout = Layout::new(options.dir.as_deref())?;
    let rootless = tools::check().await?;
    if ask(&layout, &Request::Status).await.is_ok() {
        return Ok(Up { status: status(&layout).await?, already: true });
    }
    make_room(&layout, progress).await?;
    let made = make(&layout, options.piton, rootless, progress).await;
    if made.is_err() && !is_locked(&layout) {
        clear(&layout, rootless).await?;
    }
    Ok(Up { status: made?, already: false })
}

async fn make(
    layout: &Layout,
    piton: Option<PathBuf>,
    rootless: Rootless,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<Status, LabError> {
    progress("keys, ports, inventory");
    keys(layout).await?;
    write_files(layout, rootless)?;
    let piton = match piton {
        Some(piton) => piton,
        None => std::env::current_exe().map_err(LabError::io("finding the piton binary"))?,
    };
    let own = layout.file("piton");
    if fs::hard_link(&piton, &own).is_err() {
        fs::copy(&piton, &own).map_err(LabError::io("copying the piton binary"))?;
    }
    progress("starting pve, extranet and intranet");
    let mut daemon = start_daemon(layout, rootless)?;
    wait_for(layout, &mut daemon).await?;
    progress("asking each host for its name");
    let status = status(layout).await?;
    for host in &status.hosts {
        if let Err(why) = &host.answers {
            let error = LabError::Host { name: host.name.into(), why: why.clone() };
            super::down(layout).await?;
            return Err(error);
        }
    }
    Ok(status)
}

/// An empty directory, or the remains of a lab whose daemon died: anything else is not ours.
async fn make_room(layout: &Layout, progress: &(dyn Fn(&str) + Sync)) -> Result<(), LabError> {
    if is_locked(layout) {
        return Err(LabError::Daemon {
            message: format!("a lab is just starting or ending in {}", layout.dir().display()),
        });
    }
    match layout.read() {
        Ok(file) => {
            progress("clearing away a lab that had died");
            clear(layout, Rootless(file.rootless)).await?;
        }
        Err(_) if fs::read_dir(layout.dir()).is_ok_and(|mut d| d.next().is_some()) => {
            return Err(LabError::Foreign { dir: layout.dir().to_path_buf() });
        }
        Err(_) => {}
    }
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(layout.dir())
        .map_err(LabError::io(format!("making {}", layout.dir().display())))
}

async fn keys(layout: &Layout) -> Result<(), LabError> {
    let names = std::iter::once("key".to_string()).chain(hosts().map(|h| format!("host-{h}")));
    let made: Vec<_> = names
        .map(|name| {
            let mut command = Command::new("ssh-keygen");
            command.args(["-q", "-t", "ed25519", "-N", "", "-C", "piton-lab", "-f"]).arg(layout.file(&name));
            command.stdin(Stdio::null()).output()
        })
        .collect();
    for output in made {
        let output = output.await.map_err(LabError::io("making keys"))?;
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr).trim().to_string();
            return Err(LabError::Io { what: "making keys".into(), source: std::io::Error::other(why) });
        }
    }
    Ok(())
}

fn write_files(layout: &Layout, rootless: Rootless) -> Result<(), LabError> {
    let mut ports = free_ports(hosts().count() + 1)?;
    let npm_port = ports.pop().unwrap_or_default();
    let ports: BTreeMap<String, u16> = hosts().map(String::from).zip(ports).collect();
    let lab = LabFile { version: env!("CARGO_PKG_VERSION").into(), ports, npm_port, rootless: rootless.0 };
    let mut public = Vec::new();
    for host in hosts() {
        let key =
            fs::read_to_string(layout.file(&format!("host-{host}.pub"))).map_err(LabError::io("reading a key"))?;
        public.push((host, key));
    }
    let json = serde_json::to_string_pretty(&lab).map_err(|e| LabError::Daemon { message: e.to_string() })?;
    write(&layout.file("known_hosts"), &inventory::known_hosts(&public))?;
    write(&layout.ssh_config(), &inventory::ssh_config(layout, &lab))?;
    write(&layout.file("secret"), &format!("lab-{}\n", random_hex()?))?;
    write(&layout.inventory(), &inventory::inventory(layout, &lab))?;
    write(&layout.file("lab.json"), &json)
}

fn write(path: &Path, text: &str) -> Result<(), LabError> {
    use std::io::Write;
    let what = || format!("writing {}", path.display());
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut f| f.write_all(text.as_bytes())).map_err(LabError::io(what()))
}

fn random_hex() -> Result<String, LabError> {
    use std::io::Read;
    let mut bytes = [0; 12];
    let read = File::open("/dev/urandom").and_then(|mut f| f.read_exact(&mut bytes));
    read.map_err(LabError::io("reading random bytes"))?;
    Ok(crate::key::digest(&bytes)[..24].to_string())
}

/// Ports that nobody has, below those that the kernel gives to outgoing connections: a stopped guest's port must
/// still be free when it starts again.
fn free_ports(count: usize) -> Result<Vec<u16>, LabError> {
    let start = u16::from_str_radix(&random_hex()?[..4], 16).unwrap_or(0) % 10_000;
    let mut held = Vec::new();
    for n in 0..10_000 {
        let port = 21_000 + (start + n) % 10_000;
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            held.push((port, listener));
        }
        if held.len() == count {
            return Ok(held.into_iter().map(|(port, _)| port).collect());
        }
    }
    Err(LabError::Daemon { message: "no free ports between 21000 and 31000".into() })
}

fn start_daemon(layout: &Layout, rootless: Rootless) -> Result<Child, LabError> {
    let log = File::create(layout.file("daemon.log")).map_err(LabError::io("making daemon.log"))?;
    let errors = log.try_clone().map_err(LabError::io("making daemon.log"))?;
    Command::new("setsid")
        .args(rootless.prefix())
        .arg(layout.file("piton"))
        .args(["lab", "serve", "--dir"])
        .arg(layout.dir())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .spawn()
        .map_err(LabError::io("starting the lab's daemon"))
}

async fn wait_for(layout: &Layout, daemon: &mut Child) -> Result<(), LabError> {
    let until = Instant::now() + PATIENCE;
    loop {
        if ask(layout, &Request::Status).await.is_ok() {
            return Ok(());
        }
        let ended = daemon.try_wait().map_err(LabError::io("watching the lab's daemon"))?;
        if ended.is_some() || Instant::now() > until {
            let log = fs::read_to_string(layout.file("daemon.log")).unwrap_or_default();
            let _ = daemon.start_kill();
            let _ = daemon.wait().await;
            return Err(LabError::Daemon { message: format!("the lab did not come up: {}", log.trim()) });
        }
        sleep(Duration::from_millis(10)).await;
    }
}
