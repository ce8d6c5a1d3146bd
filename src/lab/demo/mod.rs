//! `piton demo`: the main job from end to end on a lab of its own, as a person would type it.
//!
//! It runs the piton binary, says each command line before, and checks what came of it: a demo that does not do what
//! it says ends with an error.

mod look;
mod project;

use super::{LabError, Layout};
use look::{Guest, Run};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::process::Command;

/// The file that is shown before and after.
const SHOWN: &str = "/opt/extranet/site.conf";

/// How to run the demo.
#[derive(Debug, Clone)]
pub struct DemoOptions {
    /// Where runs are kept: the reports stay there when the lab is gone.
    pub state_dir: PathBuf,
    /// The piton binary; this one by default.
    pub piton: Option<PathBuf>,
    /// Leave the lab up at the end.
    pub keep: bool,
}

/// What the demo left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demo {
    /// Reports of the three runs.
    pub reports: Vec<PathBuf>,
    /// The lab, if it was kept.
    pub lab: Option<PathBuf>,
    /// Wall time in all.
    pub took: Duration,
}

/// Runs the demo; what it says goes line by line to `say`, what the commands say to this terminal.
///
/// # Errors
/// [`LabError::Demo`] with the expectation that was not met. The lab is gone then too, unless it is to be kept.
pub async fn demo(options: DemoOptions, say: &(dyn Fn(&str) + Send + Sync)) -> Result<Demo, LabError> {
    let begun = Instant::now();
    let home = tempfile::Builder::new().prefix("piton-demo-").tempdir().map_err(LabError::io("making a folder"))?;
    let piton = match options.piton {
        Some(piton) => piton,
        None => std::env::current_exe().map_err(LabError::io("finding the piton binary"))?,
    };
    project::write(home.path())?;
    let layout = Layout::new(Some(&home.path().join("lab")))?;
    let state = std::path::absolute(&options.state_dir).map_err(LabError::io("finding the state directory"))?;
    let stage = Stage { piton, home: home.path(), layout, state, say, stopped: watch() };
    let played = stage.play().await;
    if options.keep && played.is_ok() {
        let reports = played?;
        let lab = Some(stage.layout.dir().to_path_buf());
        let _ = home.keep();
        return Ok(Demo { reports, lab, took: begun.elapsed() });
    }
    let ended = stage.end().await;
    let reports = played?;
    ended?;
    Ok(Demo { reports, lab: None, took: begun.elapsed() })
}

/// True from the first Ctrl-C on. The command that runs has got it too and ends by itself; then the lab is taken down.
fn watch() -> Arc<AtomicBool> {
    let stopped = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stopped);
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            flag.store(true, Ordering::Relaxed);
        }
    });
    stopped
}

struct Stage<'a> {
    piton: PathBuf,
    home: &'a Path,
    layout: Layout,
    state: PathBuf,
    say: &'a (dyn Fn(&str) + Send + Sync),
    stopped: Arc<AtomicBool>,
}

impl Stage<'_> {
    async fn play(&self) -> Result<Vec<PathBuf>, LabError> {
        self.title(1, "A practice ground: a simulated Proxmox node and two guests, each with a real sshd");
        (self.say)("");
        (self.say)(&format!("$ cd {}", self.home.display()));
        self.piton("lab up --dir lab", 0).await?;

        self.title(2, "What would change? Nothing is touched");
        self.piton("check -i lab/inventory.yml runbooks/demo.yml", 0).await?;
        self.piton("plan -i lab/inventory.yml runbooks/demo.yml", 0).await?;

        self.title(3, "The run: a snapshot of the guest before its first change");
        self.piton("run -i lab/inventory.yml runbooks/demo.yml", 0).await?;
        let first = self.last_run().await?;
        expect(first.changed > 0, "the first run changed nothing")?;
        expect(first.checkpoints == 1, &format!("the first run took {} checkpoints, not one", first.checkpoints))?;

        self.title(4, "The same again: nothing to do, so no snapshot");
        self.piton("run -i lab/inventory.yml runbooks/demo.yml", 0).await?;
        let second = self.last_run().await?;
        expect(second.changed == 0, &format!("the second run changed {} steps", second.changed))?;
        expect(second.checkpoints == 0, "the second run took a checkpoint")?;

        self.title(5, "A release that goes wrong: the guest comes back as it was");
        let guest = Guest { home: self.home, say: self.say };
        let before = guest.cat(SHOWN).await?;
        self.piton("run -i lab/inventory.yml runbooks/demo.yml --set release=2 --set break=true", 3).await?;
        let third = self.last_run().await?;
        expect(third.changed > 0, "the failing run changed nothing before it failed")?;
        expect(third.rollbacks == 1, "the guest was not rolled back")?;
        let after = guest.cat(SHOWN).await?;
        expect(before == after, &format!("{SHOWN} is not as it was before"))?;
        (self.say)(&format!("{SHOWN} is as it was before the run, and the guest runs again."));

        self.title(6, "What there is to read");
        self.piton("checkpoints list -i lab/inventory.yml", 0).await?;
        self.piton("runs list", 0).await?;
        Ok([first, second, third].map(|run| self.state.join("runs").join(run.id).join("report.md")).into())
    }

    async fn end(&self) -> Result<(), LabError> {
        if self.layout.read().is_err() {
            return Ok(());
        }
        self.title(7, "Down: nothing of the lab is left");
        // Also after Ctrl-C.
        self.stopped.store(false, Ordering::Relaxed);
        self.piton("lab down --dir lab", 0).await?;
        expect(!self.layout.dir().exists(), "the lab's folder is still there")
    }

    fn title(&self, number: u8, text: &str) {
        (self.say)("");
        (self.say)(&format!("### {number}. {text}"));
    }

    /// Runs piton with this terminal; any other exit status than the one expected is an error.
    async fn piton(&self, line: &str, code: i32) -> Result<(), LabError> {
        (self.say)("");
        (self.say)(&format!("$ piton {line}"));
        let status = self.command().args(line.split(' ')).status().await.map_err(LabError::io("starting piton"))?;
        expect(!self.stopped.load(Ordering::Relaxed), "interrupted")?;
        let what = format!("`piton {line}` ended with {status}, not with {code}");
        expect(status.code() == Some(code), &what)
    }

    async fn last_run(&self) -> Result<Run, LabError> {
        let args = ["runs", "show", "--format", "json"];
        let output = self.command().args(args).stderr(Stdio::inherit()).output().await;
        let output = output.map_err(LabError::io("starting piton"))?;
        Run::read(&String::from_utf8_lossy(&output.stdout))
            .ok_or_else(|| LabError::Demo { what: "`piton runs show --format json` gave no run".into() })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.piton);
        command
            .current_dir(self.home)
            .env("PITON_STATE_DIR", &self.state)
            .env_remove("PITON_INVENTORY")
            .stdin(Stdio::null());
        command
    }
}

fn expect(is: bool, otherwise: &str) -> Result<(), LabError> {
    if is { Ok(()) } else { Err(LabError::Demo { what: otherwise.to_string() }) }
}
