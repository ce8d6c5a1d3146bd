//! `piton lab`: the practice ground on this machine.

use super::{Global, Stop, output};
use crate::exit::Exit;
use crate::lab::{self, LabError, Layout, Lever, Options, Status};
use crate::report::clean;
use serde_json::json;
use std::path::PathBuf;

/// A practice ground: a simulated Proxmox node and two guests with real ssh on this machine.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  piton lab up\n  piton lab shell extranet\n  piton lab lever fail-task qmsnapshot no space left\n  piton lab down"
)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Bring it up: takes some seconds.
    Up(Dir),
    /// Take it down; nothing is left.
    Down(Dir),
    /// Which hosts run and answer.
    Status(Dir),
    /// A shell on a host, or a command there.
    Shell {
        #[command(flatten)]
        dir: Dir,
        /// pve, intranet or extranet.
        host: String,
        /// Command instead of a shell.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Make it fail: fail-task, storage-full, guest-deaf, ssh-deaf, cut, slow-tasks.
    #[command(
        after_help = "Levers:\n  fail-task TYPE TEXT    the next task of this type fails (qmsnapshot, any)\n  storage-full on|off    no room for snapshots\n  guest-deaf HOST on|off neither ssh nor agent answer\n  ssh-deaf HOST on|off   no sshd listens; its agent answers\n  cut HOST               all its connections are lost now\n  slow-tasks MS          every task takes this much longer"
    )]
    Lever {
        #[command(flatten)]
        dir: Dir,
        /// Which, and its words.
        #[arg(required = true)]
        words: Vec<String>,
    },
    /// Its daemon; started by `up`.
    #[command(hide = true)]
    Serve(Dir),
}

#[derive(Debug, clap::Args)]
struct Dir {
    /// Where it lives [default: ~/.local/state/piton/lab].
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Does it.
pub async fn run(global: &Global, args: &Args) -> Result<Exit, Stop> {
    match &args.command {
        Command::Up(dir) => {
            let say = |what: &str| {
                if !global.quiet {
                    output::complain(&format!("  {what}"));
                }
            };
            let up = lab::up(Options { dir: dir.dir.clone(), piton: None }, &say).await.map_err(stop)?;
            let word = if up.already { "is up already" } else { "is up" };
            show(global, &up.status, word);
        }
        Command::Down(dir) => {
            lab::down(&layout(dir)?).await.map_err(stop)?;
            if !global.quiet {
                output::print("the lab is down, and nothing of it is left\n");
            }
        }
        Command::Status(dir) => {
            let status = lab::status(&layout(dir)?).await.map_err(stop)?;
            show(global, &status, "is up");
            if status.hosts.iter().any(|h| h.answers.is_err()) {
                return Ok(Exit::Failed);
            }
        }
        Command::Shell { dir, host, command } => {
            let code = lab::shell(&layout(dir)?, host, command).await.map_err(stop)?;
            // The command's own exit code, as ssh gives it.
            std::process::exit(code);
        }
        Command::Lever { dir, words } => {
            let lever = Lever::parse(words).map_err(stop)?;
            let said = lab::lever(&layout(dir)?, lever).await.map_err(stop)?;
            output::print(&(clean::text(&said) + "\n"));
        }
        Command::Serve(dir) => lab::serve(layout(dir)?).await.map_err(stop)?,
    }
    Ok(Exit::Done)
}

fn layout(dir: &Dir) -> Result<Layout, Stop> {
    Layout::new(dir.dir.as_deref()).map_err(stop)
}

fn stop(error: LabError) -> Stop {
    let exit = match error {
        LabError::UnknownHost { .. }
        | LabError::Usage { .. }
        | LabError::LongPath { .. }
        | LabError::Foreign { .. } => Exit::BadInput,
        _ => Exit::Local,
    };
    Stop::new(exit, error.to_string())
}

fn show(global: &Global, status: &Status, word: &str) {
    if global.json() {
        let hosts: Vec<_> = status
            .hosts
            .iter()
            .map(|h| json!({"name": h.name, "vmid": h.vmid, "port": h.port, "running": h.running, "answers": h.answers.is_ok()}))
            .collect();
        output::print(&format!("{}\n", json!({"dir": status.dir, "inventory": status.inventory, "hosts": hosts})));
        return;
    }
    if global.quiet {
        return;
    }
    let rows: Vec<Vec<String>> = status
        .hosts
        .iter()
        .map(|host| {
            let kind = host.vmid.map_or_else(|| "simulated Proxmox node".to_string(), |id| format!("guest {id}"));
            let state = match &host.answers {
                Ok(()) => "answers".to_string(),
                Err(why) => clean::line(why),
            };
            vec![format!("  {}", host.name), kind, format!("127.0.0.1:{}", host.port), state]
        })
        .collect();
    let inventory = crate::cmd::quote(&status.inventory.display().to_string());
    output::print(&format!("the lab {word}\n{}  use it with: -i {}\n", output::table(&rows), clean::line(&inventory)));
}
