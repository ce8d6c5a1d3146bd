//! Ends a lab and removes everything of it.

use super::control::{Request, ask};
use super::tools::Rootless;
use super::{LabError, Layout};
use rustix::process::{Pid, Signal};
use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

/// Ends the lab: processes, mounts and files. One whose daemon has died is cleared away too.
///
/// # Errors
/// [`LabError::NoLab`] if there is none, [`LabError::Daemon`] if it does not end.
pub async fn down(layout: &Layout) -> Result<(), LabError> {
    let file = layout.read()?;
    match ask(layout, &Request::Down).await {
        Ok(_) | Err(LabError::Dead { .. }) => {}
        Err(e) => return Err(e),
    }
    let until = Instant::now() + Duration::from_secs(10);
    while is_locked(layout) {
        if Instant::now() > until {
            kill_daemon(layout);
        }
        if Instant::now() > until + Duration::from_secs(5) {
            return Err(LabError::Daemon { message: "the lab's daemon does not end, see daemon.log".into() });
        }
        sleep(Duration::from_millis(5)).await;
    }
    clear(layout, Rootless(file.rootless)).await
}

/// Removes the files of a lab that nobody holds. In a user namespace some belong to users that only exist there.
pub async fn clear(layout: &Layout, rootless: Rootless) -> Result<(), LabError> {
    let what = format!("removing {}", layout.dir().display());
    if rootless.0 && layout.dir().join("hosts").exists() {
        let words = rootless.prefix();
        let mut done = Command::new(words[0]);
        done.args(&words[1..]).args(["rm", "-rf", "--"]).arg(layout.dir().join("hosts"));
        done.output().await.map_err(LabError::io(&what))?;
    }
    match fs::remove_dir_all(layout.dir()) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(LabError::Io { what, source: e }),
        _ => Ok(()),
    }
}

/// True while a daemon holds the lab.
pub fn is_locked(layout: &Layout) -> bool {
    File::open(layout.file("lock")).is_ok_and(|f| f.try_lock().is_err())
}

/// Last resort: the process that wrote its number, if it still is this lab's daemon.
fn kill_daemon(layout: &Layout) {
    let Some(pid) = fs::read_to_string(layout.file("daemon.pid")).ok().and_then(|t| t.trim().parse().ok()) else {
        return;
    };
    if is_daemon(pid, layout.dir())
        && let Some(pid) = Pid::from_raw(pid)
    {
        let _ = rustix::process::kill_process(pid, Signal::KILL);
    }
}

fn is_daemon(pid: i32, dir: &Path) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<_> = line.split(|b| *b == 0).map(String::from_utf8_lossy).collect();
    words.iter().any(|w| w == "serve") && words.iter().any(|w| Path::new(w.as_ref()) == dir)
}
