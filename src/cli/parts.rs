//! What the engine needs from outside, put together for `plan`, `run` and `rollback`.

use super::operator::Asker;
use super::{Global, Stop, output, secrets};
use crate::compile::Program;
use crate::engine::cancel::{Cancel, Level};
use crate::engine::clock::{Clock as _, SystemClock};
use crate::engine::connect::InventoryConnect;
use crate::engine::lease::Terms;
use crate::engine::{Options, Parts};
use crate::event::{Event, Sink, Stamped};
use crate::exit::Exit;
use crate::journal::RunDir;
use crate::key::RunId;
use crate::load::duration;
use crate::load::source::FileId;
use crate::report::clean;
use crate::report::screen::Screen;
use crate::transport::Settings;
use serde_json::json;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// What the command line says of how it is done.
#[derive(Debug, Clone, clap::Args)]
pub struct How {
    /// Hosts of a step that run side by side.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub forks: usize,
    /// Kill a command that runs longer than this, unless its step says otherwise [default: 10m].
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub timeout: Option<Duration>,
    /// Wait so long for a line that is lost in mid-run; the run stops then, to be resumed.
    #[arg(long, value_name = "TIME", value_parser = duration_or_none, default_value = "10m")]
    pub patience: Duration,
    /// Answer confirmations with yes, without asking.
    #[arg(long, short = 'y')]
    pub yes: bool,
}

/// The parts, and what must live as long as they do.
pub struct Made {
    /// For the engine.
    pub parts: Parts,
    /// What the operator sees.
    pub screen: Screen,
    spill: Spill,
}

impl Made {
    /// The parts alone; the folder for long outputs must be held on to.
    pub fn split(self) -> (Parts, Screen, Spill) {
        (self.parts, self.screen, self.spill)
    }
}

/// Where outputs go that are too long for memory.
pub enum Spill {
    /// In the folder of the run.
    Kept(PathBuf),
    /// Nowhere for long: a plan leaves nothing behind.
    Gone(tempfile::TempDir),
}

impl Spill {
    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Gone(folder) => folder.path(),
        }
    }
}

fn time(text: &str) -> Result<Duration, String> {
    duration::parse(text).filter(|t| !t.is_zero()).ok_or_else(|| "write it as 30s, 5m or 1h".to_string())
}

fn duration_or_none(text: &str) -> Result<Duration, String> {
    duration::parse(text).ok_or_else(|| "write it as 30s, 5m or 1h; 0s does not wait".to_string())
}

/// Puts the parts together; fetches the secrets that the program uses.
///
/// # Errors
/// Bad input: nothing was contacted.
pub async fn parts(
    global: &Global,
    program: Program,
    how: &How,
    step: bool,
    keep: usize,
    run: (RunId, Option<RunDir>),
) -> Result<Made, Stop> {
    let used = used_secrets(&program);
    let vault = secrets::fetch(&program.inventory.secrets, |name| used.iter().any(|u| u == name)).await?;
    let screen = Screen::open(global.screen_format(), global.options());
    let (vault, program, (run, dir)) = (Arc::new(vault), Arc::new(program), run);
    let sink: Arc<dyn Sink> = Arc::new(screen.clone());
    let spill = match &dir {
        Some(dir) => {
            let made = std::fs::DirBuilder::new().mode(0o700).create(dir.outputs());
            // A run that goes on has its folder already.
            let made = made.or_else(|e| if e.kind() == std::io::ErrorKind::AlreadyExists { Ok(()) } else { Err(e) });
            made.map_err(|e| Stop::local(format!("{}: {e}", dir.outputs().display())))?;
            Spill::Kept(dir.outputs())
        }
        None => Spill::Gone(tempfile::tempdir().map_err(|e| Stop::local(format!("a temporary folder: {e}")))?),
    };
    let mut settings = Settings::new(spill.path(), vault.clone());
    if let Some(timeout) = how.timeout {
        settings.default_timeout = timeout;
    }
    let connect = InventoryConnect { inventory: program.inventory.clone(), settings };
    let cancel = Cancel::default();
    watch(cancel.clone(), screen.clone(), dir.is_none())?;
    let vars = json!({ "set": program.sets, "inputs": program.inputs });
    let parts = Parts {
        program,
        connect: Arc::new(connect),
        vault,
        operator: Arc::new(Asker::new(how.yes, screen.clone())),
        clock: Arc::new(SystemClock),
        cancel,
        sinks: vec![sink],
        options: Options {
            run,
            dir,
            forks: how.forks,
            step,
            patience: how.patience,
            operator: operator(),
            keep,
            vars,
            state: global.state().ok(),
            lease: Some(Terms::USUAL),
            preflight: true,
        },
    };
    Ok(Made { parts, screen, spill })
}

/// Takes the folder of a run away that has not begun: it would only be in the way. Never one with a journal.
pub fn discard(dir: &RunDir) {
    let _ = std::fs::remove_dir(dir.outputs());
    let _ = std::fs::remove_dir(dir.path());
}

/// Names of the secrets that the program's texts use, and the sudo passwords of its hosts.
fn used_secrets(program: &Program) -> Vec<String> {
    let texts: Vec<_> = (0..).map_while(|i| program.sources.get(FileId(i))).map(|file| file.text.clone()).collect();
    let hosts = program.inventory.hosts.iter();
    let sudo: Vec<&String> = hosts.filter_map(|h| h.become_password.as_ref()).collect();
    let all = program.inventory.secrets.iter().map(|s| &s.name);
    all.filter(|name| sudo.contains(name) || texts.iter().any(|text| mentions(text, name))).cloned().collect()
}

/// True if the text says `secrets.NAME` or `secrets["NAME"]`.
fn mentions(text: &str, name: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    text.match_indices("secrets").any(|(at, found)| {
        let rest = text[at + found.len()..].trim_start_matches(['.', '[', '"', '\'', ' ']);
        rest.strip_prefix(name).is_some_and(|after| !after.starts_with(word))
    })
}

/// `user@machine`.
pub fn operator() -> String {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let user = set("USER").or_else(|| set("LOGNAME"));
    let user = user.unwrap_or_else(|| format!("uid{}", rustix::process::geteuid().as_raw()));
    let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
    clean::line(&format!("{user}@{machine}"))
}

/// Ctrl-C, SIGTERM and SIGHUP: once stops in order, twice kills what runs, the third time the program leaves. A run
/// says by itself that it heard; a plan has no journal to say it in.
fn watch(cancel: Cancel, screen: Screen, plan: bool) -> Result<(), Stop> {
    let on = |kind| signal(kind).map_err(|e| Stop::local(format!("signals cannot be watched: {e}")));
    let mut int = on(SignalKind::interrupt())?;
    let mut term = on(SignalKind::terminate())?;
    let mut hup = on(SignalKind::hangup())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = int.recv() => {}
                _ = term.recv() => {}
                _ = hup.recv() => {}
            }
            let Some(level) = cancel.raise() else {
                screen.pause();
                output::complain("left at once; what ran on the hosts may still run, and the journal says what it was");
                std::process::exit(i32::from(Exit::Interrupted.code()));
            };
            if plan {
                let count = if level == Level::Stop { 1 } else { 2 };
                screen.event(&Stamped { at: SystemClock.now(), event: Event::Interrupted { count } });
            }
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_found_where_they_are_used() {
        for text in ["{{ secrets.db }}", "x: \"{{secrets.db}}\"", "{{ secrets.[db] }}", "secrets['db'] == 1"] {
            assert!(mentions(text, "db"), "{text}");
        }
        for text in ["secrets:\n  db: { env: X }", "{{ secrets.db_password }}", "{{ vars.db }}"] {
            assert!(!mentions(text, "db"), "{text}");
        }
    }
}
