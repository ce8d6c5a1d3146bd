//! `piton lab serve`: the process that a lab is. It holds the hosts, the simulated Proxmox and the control socket.

use super::control::{Reply, Request};
use super::layout::hosts;
use super::pve::Simulator;
use super::{Hosts, LabError, Layout, Lever, proxmox};
use std::fs::{self, File};
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// Serves a lab until it is told to end (`piton lab down`, SIGTERM, SIGINT). Made to be started by `up`.
///
/// # Errors
/// If the lab does not come up: its directory then is as it was found.
pub async fn serve(layout: Layout) -> Result<(), LabError> {
    // The hosts' files are made here, and their modes must not depend on who starts a lab.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let lock = File::create(layout.file("lock")).map_err(LabError::io("making the lock"))?;
    lock.try_lock().map_err(|_| LabError::Daemon { message: "another daemon serves this lab".into() })?;
    let pid = format!("{}\n", std::process::id());
    fs::write(layout.file("daemon.pid"), pid).map_err(LabError::io("writing daemon.pid"))?;
    fs::create_dir_all(layout.dir().join("api")).map_err(LabError::io("making the API's folder"))?;
    let hosts = Arc::new(Hosts::new(layout.clone())?);
    let up = bring_up(&hosts).await;
    if let Err(e) = up {
        hosts.stop_all().await;
        return Err(e);
    }
    let sim = proxmox::simulator(&hosts)?;
    let mut api = Box::pin(proxmox::serve(Arc::clone(&sim), &hosts));
    let what = "the control socket";
    let _ = fs::remove_file(layout.control());
    let listener = UnixListener::bind(layout.control()).map_err(LabError::io(what))?;
    let (end, mut ended) = mpsc::channel::<()>(1);
    let mut term = signal(SignalKind::terminate()).map_err(LabError::io("watching for SIGTERM"))?;
    let mut int = signal(SignalKind::interrupt()).map_err(LabError::io("watching for SIGINT"))?;
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted.map_err(LabError::io(what))?;
                tokio::spawn(converse(stream, Lab { hosts: Arc::clone(&hosts), sim: Arc::clone(&sim) }, end.clone()));
            }
            ended = &mut api => ended?,
            _ = ended.recv() => return Ok(()),
            _ = term.recv() => break,
            _ = int.recv() => break,
        }
    }
    hosts.stop_all().await;
    Ok(())
}

async fn bring_up(hosts_: &Arc<Hosts>) -> Result<(), LabError> {
    let one = |host: &'static str| {
        let hosts = Arc::clone(hosts_);
        tokio::spawn(async move {
            hosts.install(host).await?;
            hosts.start(host).await?;
            hosts.ready(host).await
        })
    };
    let started: Vec<_> = hosts().map(one).collect();
    for task in started {
        task.await.map_err(|e| LabError::Daemon { message: e.to_string() })??;
    }
    Ok(())
}

/// What a request is answered from.
struct Lab {
    hosts: Arc<Hosts>,
    sim: Arc<Simulator>,
}

async fn converse(mut stream: UnixStream, lab: Lab, end: mpsc::Sender<()>) {
    let hosts = &lab.hosts;
    let mut line = String::new();
    if BufReader::new(&mut stream).read_line(&mut line).await.is_err() {
        return;
    }
    let reply = match serde_json::from_str(&line) {
        Ok(Request::Down) => {
            hosts.stop_all().await;
            // In a user namespace only we may remove what belongs to its other users.
            let trees = clear_trees(hosts).await;
            let reply = trees.map_or_else(|e| Reply::Refused(e.to_string()), |()| Reply::Done);
            say(&mut stream, &reply).await;
            let _ = end.send(()).await;
            return;
        }
        Ok(request) => answer(&lab, request).await.unwrap_or_else(|e| Reply::Refused(e.to_string())),
        Err(e) => Reply::Refused(format!("not a request: {e}")),
    };
    say(&mut stream, &reply).await;
}

async fn clear_trees(hosts: &Hosts) -> Result<(), LabError> {
    let dir = hosts.layout().dir().join("hosts");
    tokio::fs::remove_dir_all(&dir).await.map_err(LabError::io(format!("removing {}", dir.display())))
}

async fn say(stream: &mut UnixStream, reply: &Reply) {
    let mut line = serde_json::to_string(reply).unwrap_or_default();
    line.push('\n');
    let _ = stream.write_all(line.as_bytes()).await;
}

async fn answer(lab: &Lab, request: Request) -> Result<Reply, LabError> {
    let hosts = &lab.hosts;
    match request {
        Request::Status => {
            let running = super::layout::hosts().filter(|h| hosts.is_running(h)).map(String::from);
            return Ok(Reply::Running(running.collect()));
        }
        Request::Down => {}
        Request::Start { host } => {
            hosts.start(&host).await?;
            hosts.ready(&host).await?;
        }
        Request::Stop { host } => hosts.stop(&host).await?,
        Request::Snapshot { host, name } => hosts.snapshot(&host, &name).await?,
        Request::Rollback { host, name } => hosts.rollback(&host, &name).await?,
        Request::Exec { host, argv } => {
            let output = hosts.exec(&host, &argv, b"").await?;
            return Ok(Reply::Ended {
                code: output.status.code(),
                stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
                stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            });
        }
        Request::Lever { lever } => return pull(lab, lever).await,
    }
    Ok(Reply::Done)
}

async fn pull(lab: &Lab, lever: Lever) -> Result<Reply, LabError> {
    let hosts = &lab.hosts;
    if let Some(said) = proxmox::pull(&lab.sim, &lever) {
        return Ok(Reply::Said(said));
    }
    let said = match lever {
        Lever::GuestDeaf { host, on } => {
            hosts.set_deaf(&host, on)?;
            if on { format!("{host} is frozen: ssh and agent get no answer") } else { format!("{host} answers again") }
        }
        Lever::SshDeaf { host, on } => {
            hosts.set_ssh_deaf(&host, on).await?;
            if on { format!("{host} refuses ssh; its agent answers") } else { format!("{host} takes ssh again") }
        }
        Lever::Cut { host } => format!("{} sshd processes of {host} killed", hosts.cut(&host)?),
        Lever::FailTask { .. } | Lever::StorageFull { .. } | Lever::SlowTasks { .. } => {
            return Err(LabError::Daemon { message: "this lever is not connected".into() });
        }
    };
    Ok(Reply::Said(said))
}
