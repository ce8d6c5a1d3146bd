//! `piton checkpoints`: the snapshots that piton took, asked of the nodes.

use super::program::read_inventory;
use super::{Global, Stop, output};
use crate::checkpoint::{self, Fate, GuestRef};
use crate::cli::secrets;
use crate::engine::connect::InventoryConnect;
use crate::event::RunEnd;
use crate::exit::Exit;
use crate::journal::{RunFate, StateDir};
use crate::key::RunId;
use crate::load::inventory::{HostKind, Inventory};
use crate::pve::SnapshotList;
use crate::report::{clean, clock, json};
use crate::secret::Vault;
use crate::transport::api::NodeApi;
use crate::transport::{Connect as _, Settings, TransportError};
use serde_json::json;
use std::sync::Arc;

/// List the checkpoints of all guests, or delete those that retention lets go.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  piton checkpoints list\n  piton checkpoints prune --keep 3")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Checkpoints of each guest, oldest first.
    List,
    /// Delete old checkpoints of runs that went well.
    ///
    /// Only snapshots of piton's own go, and only those of runs that this machine's journals know to have gone well.
    Prune {
        /// Checkpoints kept of each guest.
        #[arg(long, value_name = "N", default_value_t = 3)]
        keep: usize,
        /// Only say which ones.
        #[arg(long)]
        dry_run: bool,
    },
}

/// A node with its guests.
struct Node {
    name: String,
    api: NodeApi,
    guests: Vec<GuestRef>,
}

/// Lists or deletes them.
pub async fn run(global: &Global, args: &Args) -> Result<Exit, Stop> {
    let inventory = Arc::new(read_inventory(global)?);
    let folder = tempfile::tempdir().map_err(|e| Stop::local(format!("a temporary folder: {e}")))?;
    let sudo: Vec<&str> = inventory.hosts.iter().filter_map(|h| h.become_password.as_deref()).collect();
    let vault = Arc::new(secrets::fetch(&inventory.secrets, |name| sudo.contains(&name)).await?);
    let settings = Settings::new(folder.path(), vault.clone());
    let connect = InventoryConnect { inventory: inventory.clone(), settings };
    let state = global.state()?;
    let mut exit = Exit::Done;
    let mut rows = Vec::new();
    for name in nodes(&inventory) {
        let node = match open(&inventory, &connect, &vault, &name).await {
            Ok(node) => node,
            Err(stop) => {
                output::complain(&stop.to_string());
                exit = stop.exit;
                continue;
            }
        };
        let lists = checkpoint::lists(&node.api, &node.guests).await;
        for (guest, list) in node.guests.iter().zip(lists) {
            let done = match (&args.command, list) {
                (_, Err(error)) => Err(error),
                (Command::List, Ok(list)) => {
                    rows.extend(told(&state, &node.name, guest, &list, global.json()));
                    Ok(())
                }
                (Command::Prune { keep, dry_run }, Ok(list)) => {
                    let doomed = checkpoint::doomed(&list, *keep, &|run| fate(&state, run));
                    prune(&node.api, guest, doomed, *dry_run).await
                }
            };
            if let Err(error) = done {
                output::complain(&format!("error: {}: {}", clean::line(&guest.name), clean::line(&error.to_string())));
                exit = Exit::Failed;
            }
        }
    }
    if matches!(args.command, Command::List) {
        show(global, rows);
    }
    Ok(exit)
}

fn show(global: &Global, mut rows: Vec<Vec<String>>) {
    if global.json() {
        output::print(&rows.iter().map(|row| row.concat() + "\n").collect::<String>());
    } else if rows.is_empty() {
        output::complain("no checkpoints of piton's on any guest");
    } else {
        let head = ["guest", "checkpoint", "taken (UTC)", "before", "run", "its end"];
        rows.insert(0, head.iter().map(ToString::to_string).collect());
        output::print(&output::table(&rows));
        output::print("to go back to one: piton rollback GUEST/CHECKPOINT\n");
    }
}

async fn prune(
    api: &NodeApi,
    guest: &GuestRef,
    doomed: Vec<String>,
    dry_run: bool,
) -> Result<(), checkpoint::CheckpointError> {
    let gone = if dry_run { doomed } else { checkpoint::drop_snapshots(api, guest, &doomed, &|_| {}).await? };
    let word = if dry_run { "would go" } else { "deleted" };
    for name in &gone {
        output::print(&format!("{word}: {}/{}\n", clean::line(&guest.name), clean::line(name)));
    }
    if gone.is_empty() {
        output::print(&format!("nothing to delete on {}\n", clean::line(&guest.name)));
    }
    Ok(())
}

/// A row for each checkpoint; with `json` one cell that is an object.
fn told(state: &StateDir, node: &str, guest: &GuestRef, list: &SnapshotList, json: bool) -> Vec<Vec<String>> {
    list.ours()
        .map(|(snapshot, marker)| {
            let end = match state.end_of(&marker.run) {
                RunFate::Ended(end) => super::runs::word(end),
                RunFate::Open => "no end seen",
                RunFate::NotHere => "another machine's",
            };
            if json {
                return vec![json::text(&json!({
                    "guest": guest.name, "vmid": guest.vmid, "node": node, "name": snapshot.name,
                    "at": snapshot.taken * 1000, "section": marker.section, "run": marker.run, "by": marker.by,
                    "end": end,
                }))];
            }
            [&guest.name, &snapshot.name, &clock::utc(snapshot.taken * 1000), &marker.section, &marker.run.0, end]
                .iter()
                .map(|cell| clean::line(cell))
                .collect()
        })
        .collect()
}

fn fate(state: &StateDir, run: &RunId) -> Fate {
    match state.end_of(run) {
        RunFate::Ended(RunEnd::Done) => Fate::Done,
        RunFate::Ended(_) => Fate::Failed,
        RunFate::Open => Fate::Going,
        RunFate::NotHere => Fate::Unknown,
    }
}

/// Nodes that have guests, in the order of the inventory.
fn nodes(inventory: &Inventory) -> Vec<String> {
    let has =
        |name: &str| inventory.hosts.iter().any(|h| matches!(&h.kind, HostKind::Guest { node, .. } if node == name));
    let nodes = inventory.hosts.iter().filter(|h| matches!(h.kind, HostKind::Node { .. }));
    nodes.map(|h| h.name.clone()).filter(|name| has(name)).collect()
}

async fn open(inventory: &Inventory, connect: &InventoryConnect, vault: &Arc<Vault>, name: &str) -> Result<Node, Stop> {
    let remote = connect.connect(name).await.map_err(|error| {
        let stop = Stop::new(Exit::Unreachable, error.to_string());
        match error {
            TransportError::Unreachable { hint: Some(hint), .. } => stop.hint(hint),
            _ => stop,
        }
    })?;
    let node = inventory.api_name(name).unwrap_or(name);
    let user = inventory.host(name).filter(|h| h.r#become).map(|_| "root".to_string());
    let api = NodeApi::open(remote, vault.clone(), node, user).await;
    let api = api.map_err(|e| Stop::new(Exit::Failed, format!("{name}: {e}")))?;
    let guests = inventory.hosts.iter().filter_map(|h| match &h.kind {
        HostKind::Guest { node, vmid } if node == name => Some(GuestRef::new(&h.name, *vmid)),
        _ => None,
    });
    Ok(Node { name: name.to_string(), api, guests: guests.collect() })
}
