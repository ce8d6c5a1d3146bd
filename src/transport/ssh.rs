//! Hosts behind ssh: one master connection of the user's own `ssh`, channels on it through its control socket.
//!
//! The master is started here and not by the `openssh` crate, because that fixes `StrictHostKeyChecking`, which is
//! the user's to set, and because the master, its proxy commands included, has to be out of reach of the Ctrl-C
//! that stops piton. `ssh` sets `TCP_NODELAY` for every session that it multiplexes (`ssh_packet_set_interactive`),
//! so nothing has to be done about Nagle.

use super::channel::{Channel, Dial, Settings};
use super::host::Host;
use super::ssh_config;
use super::ssh_error::{Said, why_unreachable};
use super::{Boxed, TransportError};
use openssh::{Session, Stdio};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::sync::Semaphore;

/// A host behind ssh.
pub type SshRemote = Host<SshDial>;

/// Connections that are set up at the same time: sshd drops some beyond ten, and a bastion is shared by all.
static CONNECTS: Semaphore = Semaphore::const_new(8);

/// From start to authenticated, whatever stands between.
const CONNECT: Duration = Duration::from_secs(45);

/// Seconds without a channel after which a master that nobody closed goes away.
const IDLE: u32 = 10;

/// How long a channel that the server refuses is asked for again: all its slots may be taken by transfers.
const REFUSED: Duration = Duration::from_secs(60);

/// Where to connect, and as whom.
#[derive(Debug, Clone, Default)]
pub struct SshTarget {
    /// Inventory name.
    pub name: String,
    /// Name or address, or an alias of the user's ssh configuration.
    pub address: String,
    /// User; ssh's own choice if `None`.
    pub user: Option<String>,
    /// Port; ssh's own choice if `None`.
    pub port: Option<u16>,
    /// An ssh configuration that is read before the user's own.
    pub config: Option<PathBuf>,
    /// Secret mark of the password for sudo.
    pub become_password: Option<String>,
    /// Go through this host.
    pub jump: Option<Jump>,
}

/// A host that the connection goes through. It is reached with the same ssh configuration.
#[derive(Debug, Clone, Default)]
pub struct Jump {
    /// Inventory name.
    pub name: String,
    /// Name, address or alias.
    pub address: String,
    /// User; ssh's own choice if `None`.
    pub user: Option<String>,
    /// Port; ssh's own choice if `None`.
    pub port: Option<u16>,
}

impl Jump {
    /// As the argument of `ssh -J`, where a comma would begin a second jump.
    fn spec(&self) -> Result<String, TransportError> {
        let bad = |w: &str| w.is_empty() || w.starts_with('-') || w.contains([',', '@', '/', ' ']);
        if bad(&self.address) || self.user.as_deref().is_some_and(bad) {
            return Err(TransportError::Refused { why: format!("`{}` is no address to jump through", self.address) });
        }
        let user = self.user.as_ref().map(|u| format!("{u}@")).unwrap_or_default();
        let port = self.port.map(|p| format!(":{p}")).unwrap_or_default();
        let address = if self.address.contains(':') { format!("[{}]", self.address) } else { self.address.clone() };
        Ok(format!("{user}{address}{port}"))
    }
}

/// A master connection.
pub struct SshDial {
    name: String,
    via: String,
    session: Arc<Session>,
    folder: TempDir,
}

impl SshRemote {
    /// Connects. The login shell is opened but not waited for.
    ///
    /// # Errors
    /// [`TransportError::Unreachable`] with what ssh said and what to do, [`TransportError::Local`] if there is no
    /// `ssh` or no place for its control socket.
    pub async fn connect(target: SshTarget, settings: Settings) -> Result<Self, TransportError> {
        let turn = CONNECTS.acquire().await;
        let dial = SshDial::connect(&target).await?;
        drop(turn);
        Self::open(dial, settings, target.become_password).await
    }
}

impl SshDial {
    async fn connect(target: &SshTarget) -> Result<Self, TransportError> {
        let folder = ssh_config::control_folder().map_err(|e| local("no place for the control socket of ssh", &e))?;
        let config = folder.path().join("config");
        let text = ssh_config::text(target.config.as_deref(), IDLE).map_err(|why| TransportError::Refused { why })?;
        std::fs::write(&config, text).map_err(|e| local("the configuration for ssh cannot be written", &e))?;
        if target.address.is_empty() || target.address.starts_with('-') {
            return Err(TransportError::Refused { why: format!("`{}` is not an address", target.address) });
        }
        let mut ssh = Command::new("ssh");
        ssh.arg("-F").arg(&config).arg("-E").arg(folder.path().join("log"));
        ssh.arg("-S").arg(control(folder.path())).args(["-M", "-f", "-N"]);
        if let Some(user) = &target.user {
            ssh.arg("-l").arg(user);
        }
        if let Some(port) = target.port {
            ssh.arg("-p").arg(port.to_string());
        }
        ssh.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        if let Some(jump) = &target.jump {
            ssh.arg("-J").arg(jump.spec()?);
            // What the ssh to the jump host has to say goes to the standard error of ours.
            let said = std::fs::File::create(folder.path().join("jump"));
            ssh.stderr(said.map_err(|e| local("the log of ssh cannot be written", &e))?);
        }
        ssh.arg("--").arg(&target.address);
        ssh.process_group(0).kill_on_drop(true);
        let ended = match tokio::time::timeout(CONNECT, ssh.status()).await {
            Ok(Ok(status)) => status.success(),
            Ok(Err(e)) => return Err(local("the program ssh cannot be started", &e)),
            Err(_) => false,
        };
        if !ended {
            let Said { why, hint } = why_unreachable(&read_log(folder.path()), &target.address, target.port);
            return Err(TransportError::Unreachable { host: target.name.clone(), why, hint });
        }
        let session = Session::resume_mux(control(folder.path()).into_boxed_path(), None);
        let via = target.jump.as_ref().map_or_else(|| "ssh".to_string(), |jump| format!("ssh via {}", jump.name));
        Ok(Self { name: target.name.clone(), via, session: Arc::new(session), folder })
    }

    /// Opens a channel, again and again while the server has no slot for it.
    async fn channel(&self, exec: &str) -> Result<Channel, TransportError> {
        let begun = tokio::time::Instant::now();
        let mut pause = Duration::from_millis(20);
        loop {
            let mut command = Arc::clone(&self.session).arc_raw_command(exec);
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            match command.spawn().await {
                Ok(mut child) => {
                    return match (child.stdin().take(), child.stdout().take(), child.stderr().take()) {
                        (Some(stdin), Some(stdout), Some(stderr)) => Ok(Channel {
                            stdin: Box::new(stdin),
                            stdout: Box::new(stdout),
                            stderr: Box::new(stderr),
                            keep: Box::new(child),
                        }),
                        _ => Err(local("the streams of a channel are missing", &std::io::Error::other("none"))),
                    };
                }
                Err(error) => {
                    let text = chain(&error);
                    let refused = text.contains("refused by peer") || text.contains("open failed");
                    if !refused {
                        return Err(self.gone(&text));
                    }
                    if begun.elapsed() > REFUSED {
                        return Err(TransportError::Unreachable {
                            host: self.name.clone(),
                            why: format!("the server takes no more sessions on this connection ({text})"),
                            hint: Some("raise MaxSessions in its sshd_config".into()),
                        });
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_millis(500));
                }
            }
        }
    }

    /// A channel that cannot even be asked for: nothing of what it was wanted for was done.
    fn gone(&self, text: &str) -> TransportError {
        let log = last_line(&read_log(self.folder.path()));
        let why = format!("the connection is gone: {}", log.as_deref().unwrap_or(text));
        TransportError::Unreachable { host: self.name.clone(), why, hint: None }
    }
}

impl Dial for SshDial {
    fn host(&self) -> &str {
        &self.name
    }

    fn via(&self) -> &str {
        &self.via
    }

    fn dial<'a>(&'a self, exec: &'a str) -> Boxed<'a, Result<Channel, TransportError>> {
        Box::pin(self.channel(exec))
    }

    fn why_lost(&self) -> String {
        last_line(&read_log(self.folder.path())).unwrap_or_else(|| "the channel was closed".into())
    }

    fn hang_up(&self) -> Boxed<'_, ()> {
        Box::pin(async move {
            let mut ssh = Command::new("ssh");
            ssh.arg("-F").arg("none").arg("-S").arg(control(self.folder.path())).args(["-O", "exit", "--", "host"]);
            ssh.stdin(std::process::Stdio::null())
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null());
            let _ = tokio::time::timeout(Duration::from_secs(3), ssh.status()).await;
            let _ = std::fs::remove_dir_all(self.folder.path());
        })
    }
}

fn control(folder: &Path) -> PathBuf {
    folder.join("s")
}

fn read_log(folder: &Path) -> String {
    let read = |name: &str| {
        std::fs::read(folder.join(name)).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default()
    };
    // The jump's words first: ours only say then that nobody greeted.
    read("jump") + &read("log")
}

fn last_line(log: &str) -> Option<String> {
    log.lines().map(str::trim).rfind(|l| !l.is_empty()).map(String::from)
}

fn local(what: &str, error: &std::io::Error) -> TransportError {
    TransportError::Local { what: what.into(), why: error.to_string() }
}

/// An error with all its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
