//! The hosts of a running lab: starting, stopping, running programs in them, keeping and restoring their files.

use super::layout::{LabFile, hosts, known, vmid};
use super::{LabError, Layout, faces, namespace, systemctl, tree};
use rustix::process::Signal;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::{Instant, sleep, timeout};

/// How long a host may take to come up.
const PATIENCE: Duration = Duration::from_secs(20);

/// All hosts of one lab; lives in the daemon.
#[derive(Debug)]
pub struct Hosts {
    layout: Layout,
    file: LabFile,
    running: Mutex<BTreeMap<&'static str, Running>>,
    deaf: Mutex<BTreeSet<&'static str>>,
}

#[derive(Debug)]
struct Running {
    /// The `unshare` program; it ends when the host has ended.
    child: Child,
    /// When this closes, process 1 of the host ends, and with it the host.
    lifeline: ChildStdin,
    /// Process 1 as the daemon sees it.
    init: i32,
}

impl Hosts {
    /// The hosts of the lab that this daemon serves; none is running.
    ///
    /// # Errors
    /// [`LabError::NoLab`].
    pub fn new(layout: Layout) -> Result<Self, LabError> {
        let file = layout.read()?;
        Ok(Self { layout, file, running: Mutex::default(), deaf: Mutex::default() })
    }

    /// What was chosen for this lab.
    pub fn file(&self) -> &LabFile {
        &self.file
    }

    /// Paths of this lab.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Makes the own files of a host as they are after installation.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub async fn install(&self, host: &'static str) -> Result<(), LabError> {
        tree::build(&self.layout, &self.file, host).await
    }

    /// Starts a host; returns when its units are started. Not an error if it runs.
    ///
    /// # Errors
    /// [`LabError::Host`] with what the host said.
    pub async fn start(&self, host: &str) -> Result<(), LabError> {
        let host = known(host)?;
        if self.is_running(host) {
            return Ok(());
        }
        let fail = |why: String| LabError::Host { name: host.into(), why };
        let mut child = Command::new("unshare")
            .args(["--mount", "--pid", "--fork", "--kill-child", "--uts", "--ipc", "--propagation", "private", "--"])
            .arg(self.layout.file("piton"))
            .arg(faces::INIT)
            .arg(self.layout.dir())
            .arg(host)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| fail(format!("unshare: {e}")))?;
        let (Some(lifeline), Some(stdout), Some(mut stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(fail("no pipes".into()));
        };
        let mut line = String::new();
        let read = timeout(PATIENCE, BufReader::new(stdout).read_line(&mut line)).await;
        let Some(init) = line.trim().strip_prefix("ready ").and_then(|pid| pid.parse().ok()) else {
            let mut why = String::new();
            if read.is_err() {
                why.push_str("no answer from its process 1 ");
            }
            drop(lifeline);
            let _ = timeout(Duration::from_secs(1), stderr.read_to_string(&mut why)).await;
            return Err(fail(why.trim().to_string()));
        };
        self.set().insert(host, Running { child, lifeline, init });
        Ok(())
    }

    /// Waits until the host's sshd greets, the sign that it is up.
    ///
    /// # Errors
    /// [`LabError::Host`] after 20 seconds.
    pub async fn ready(&self, host: &str) -> Result<(), LabError> {
        let host = known(host)?;
        let port = self.file.ports.get(host).copied().unwrap_or_default();
        let until = Instant::now() + PATIENCE;
        while !greets(port).await {
            if Instant::now() > until || !self.is_running(host) {
                return Err(LabError::Host {
                    name: host.into(),
                    why: format!("its sshd does not answer on port {port}"),
                });
            }
            sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// Ends a host at once: every process of it is gone when this returns. Not an error if it is not running.
    ///
    /// # Errors
    /// [`LabError::Host`] if it does not end.
    pub async fn stop(&self, host: &str) -> Result<(), LabError> {
        let host = known(host)?;
        let Some(mut running) = self.set().remove(host) else { return Ok(()) };
        self.deaf.lock().unwrap_or_else(PoisonError::into_inner).remove(host);
        drop(running.lifeline);
        if timeout(Duration::from_secs(3), running.child.wait()).await.is_err() {
            let _ = running.child.start_kill();
            let end = timeout(Duration::from_secs(3), running.child.wait()).await;
            end.map_err(|_| LabError::Host { name: host.into(), why: "it does not end".into() })?
                .map_err(LabError::io(format!("stopping {host}")))?;
        }
        Ok(())
    }

    /// True while process 1 of the host lives.
    pub fn is_running(&self, host: &str) -> bool {
        let mut set = self.set();
        let Some((name, running)) = set.iter_mut().find(|(name, _)| **name == host) else { return false };
        if matches!(running.child.try_wait(), Ok(None)) {
            return true;
        }
        let name = *name;
        set.remove(name);
        false
    }

    /// Runs a program in a host, as its guest agent would.
    ///
    /// # Errors
    /// [`LabError::NotRunning`]; [`LabError::Io`] if it could not be begun.
    pub async fn exec(&self, host: &str, argv: &[String], stdin: &[u8]) -> Result<Output, LabError> {
        let init = self.init(host)?;
        let what = || format!("running a program in {host}");
        let mut child = Command::new("nsenter")
            .args(["--target", &init.to_string(), "--mount", "--uts", "--ipc", "--pid", "--"])
            .args(argv)
            .env_clear()
            .env("PATH", systemctl::PATH)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(LabError::io(what()))?;
        let pipe = child.stdin.take();
        let feed = async {
            if let Some(mut pipe) = pipe {
                // A program that does not read its input is no error.
                let _ = pipe.write_all(stdin).await;
            }
        };
        let ((), output) = tokio::join!(feed, child.wait_with_output());
        output.map_err(LabError::io(what()))
    }

    /// Copies a guest's files away under a name.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub async fn snapshot(&self, host: &str, name: &str) -> Result<(), LabError> {
        let snaps = self.layout.snaps(known(host)?);
        tokio::fs::create_dir_all(&snaps).await.map_err(LabError::io("making the folder for snapshots"))?;
        let half = snaps.join(format!(".{name}"));
        copy(&self.layout.tree(host), &half).await?;
        tokio::fs::rename(&half, snaps.join(name)).await.map_err(LabError::io("keeping the snapshot"))
    }

    /// Stops a guest and puts its files back. It stays stopped: a snapshot without RAM.
    ///
    /// # Errors
    /// [`LabError::NoSnapshot`], or [`LabError::Io`].
    pub async fn rollback(&self, host: &str, name: &str) -> Result<(), LabError> {
        let from = self.layout.snaps(known(host)?).join(name);
        if !from.is_dir() {
            return Err(LabError::NoSnapshot { name: host.into(), snapshot: name.into() });
        }
        self.stop(host).await?;
        let tree = self.layout.tree(host);
        let new = tree.with_file_name("tree.new");
        remove(&new).await?;
        copy(&from, &new).await?;
        remove(&tree).await?;
        tokio::fs::rename(&new, &tree).await.map_err(LabError::io("putting the files back"))
    }

    /// Forgets a snapshot.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub async fn delete_snapshot(&self, host: &str, name: &str) -> Result<(), LabError> {
        remove(&self.layout.snaps(known(host)?).join(name)).await
    }

    /// Stops a guest and removes its files and snapshots.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub async fn destroy(&self, host: &str) -> Result<(), LabError> {
        self.stop(host).await?;
        remove(&self.layout.tree(host)).await?;
        remove(&self.layout.snaps(host)).await
    }

    /// A deaf host is frozen: it takes connections and says nothing, and its agent is silent.
    ///
    /// # Errors
    /// [`LabError::NotRunning`].
    pub fn set_deaf(&self, host: &str, deaf: bool) -> Result<(), LabError> {
        let host = known(host)?;
        let members = namespace::members(self.init(host)?);
        let mut set = self.deaf.lock().unwrap_or_else(PoisonError::into_inner);
        if deaf {
            set.insert(host);
        } else {
            set.remove(host);
        }
        namespace::signal(&members, if deaf { Signal::STOP } else { Signal::CONT });
        Ok(())
    }

    /// Stops the sshd of a host with all its connections, or starts it.
    ///
    /// # Errors
    /// [`LabError::NotRunning`], or [`LabError::Host`] with what its systemctl said.
    pub async fn set_ssh_deaf(&self, host: &str, deaf: bool) -> Result<(), LabError> {
        let host = known(host)?;
        let argv = ["systemctl", if deaf { "stop" } else { "start" }, "ssh.service"].map(String::from);
        let output = self.exec(host, &argv, b"").await?;
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr).trim().to_string();
            return Err(LabError::Host { name: host.into(), why });
        }
        if deaf { self.cut(host).map(|_| ()) } else { self.ready(host).await }
    }

    /// True while the lever is on.
    pub fn is_deaf(&self, host: &str) -> bool {
        self.deaf.lock().unwrap_or_else(PoisonError::into_inner).contains(host)
    }

    /// Kills the sshd of every connection to the host; how many processes that were.
    ///
    /// # Errors
    /// [`LabError::NotRunning`].
    pub fn cut(&self, host: &str) -> Result<usize, LabError> {
        let mut members = namespace::members(self.init(known(host)?)?);
        members.retain(|pid| namespace::is_ssh_session(*pid));
        namespace::signal(&members, Signal::KILL);
        Ok(members.len())
    }

    /// Ends every host.
    pub async fn stop_all(&self) {
        for host in hosts() {
            let _ = self.stop(host).await;
        }
    }

    fn init(&self, host: &str) -> Result<i32, LabError> {
        let not = || LabError::NotRunning { name: host.to_string() };
        if !self.is_running(host) {
            return Err(not());
        }
        self.set().get(host).map(|r| r.init).ok_or_else(not)
    }

    fn set(&self) -> MutexGuard<'_, BTreeMap<&'static str, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The guest of this VMID, if it has a system.
pub fn guest(id: u32) -> Option<&'static str> {
    hosts().find(|host| vmid(host) == Some(id))
}

async fn greets(port: u16) -> bool {
    let greeting = async {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok()?;
        let mut start = [0; 4];
        stream.read_exact(&mut start).await.ok()?;
        Some(&start == b"SSH-")
    };
    timeout(Duration::from_secs(1), greeting).await.ok().flatten().unwrap_or(false)
}

/// A whole tree, with owners, modes, times and links; blocks are shared where the file system can.
async fn copy(from: &Path, to: &Path) -> Result<(), LabError> {
    let what = format!("copying {}", from.display());
    let done = Command::new("cp").args(["-a", "--reflink=auto", "--"]).arg(from).arg(to).output().await;
    let done = done.map_err(LabError::io(&what))?;
    if done.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&done.stderr).trim().to_string();
    Err(LabError::Io { what, source: std::io::Error::other(why) })
}

async fn remove(path: &Path) -> Result<(), LabError> {
    match tokio::fs::remove_dir_all(path).await {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(LabError::Io { what: format!("removing {}", path.display()), source: e })
        }
        _ => Ok(()),
    }
}
