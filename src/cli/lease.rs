//! `piton lease`: who has which node, and taking it away from a run that is gone.

use super::program::read_inventory;
use super::{Global, Stop, output, secrets, terminal};
use crate::cmd::Cmd;
use crate::engine::connect::InventoryConnect;
use crate::engine::lease_file::{self, Lease, Note, Reply};
use crate::exit::Exit;
use crate::load::inventory::{HostKind, Inventory};
use crate::report::{clean, clock, json};
use crate::transport::{Batch, Connect as _, Remote, Settings};
use serde_json::json;
use std::sync::Arc;

/// Show who has a node, or break the lease of a run that is gone.
///
/// A run leases its nodes before the first change and gives them back at its end, so that two people never change a node
/// at once. A lease that is not renewed for two minutes is taken over by the next run. Hosts that are no nodes, and no
/// guests of one, are not leased.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  piton lease show\n  piton lease break pve --reason 'her laptop was stolen'")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Who has which node, from where, since when, for which run.
    Show {
        /// Only this node.
        node: Option<String>,
    },
    /// Take the lease away from a run; if it still goes on, it is told why and stops before its next change.
    Break {
        /// The node; may be left out if the inventory has only one.
        node: Option<String>,
        /// Why, for the one who had it.
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Do it without asking.
        #[arg(long, short = 'y')]
        yes: bool,
    },
}

/// The inventory and how its nodes are reached.
struct Nodes {
    inventory: Arc<Inventory>,
    connect: InventoryConnect,
    _spill: tempfile::TempDir,
}

/// Shows or breaks.
pub async fn run(global: &Global, args: &Args) -> Result<Exit, Stop> {
    let nodes = Nodes::open(global).await?;
    match &args.command {
        Command::Show { node } => nodes.show(global, node.as_deref()).await,
        Command::Break { node, reason, yes } => nodes.break_it(node.as_deref(), reason, *yes).await,
    }
}

impl Nodes {
    async fn open(global: &Global) -> Result<Self, Stop> {
        let inventory = Arc::new(read_inventory(global)?);
        let spill = tempfile::tempdir().map_err(|e| Stop::local(format!("a temporary folder: {e}")))?;
        let sudo: Vec<&str> = inventory.hosts.iter().filter_map(|h| h.become_password.as_deref()).collect();
        let vault = Arc::new(secrets::fetch(&inventory.secrets, |name| sudo.contains(&name)).await?);
        let settings = Settings::new(spill.path(), vault);
        let connect = InventoryConnect { inventory: inventory.clone(), settings };
        Ok(Self { inventory, connect, _spill: spill })
    }

    /// The nodes of the inventory, or the one that was named.
    fn named(&self, name: Option<&str>) -> Result<Vec<String>, Stop> {
        let nodes = self.inventory.hosts.iter().filter(|h| matches!(h.kind, HostKind::Node { .. }));
        let nodes: Vec<String> = nodes.map(|h| h.name.clone()).collect();
        match name {
            None => Ok(nodes),
            Some(name) if nodes.iter().any(|n| n == name) => Ok(vec![name.to_string()]),
            Some(name) => Err(Stop::input(format!("`{name}` is no node of the inventory {}", self.inventory.path))),
        }
    }

    async fn line(&self, node: &str) -> Result<Arc<dyn Remote>, Stop> {
        self.connect.connect(node).await.map_err(|e| Stop::new(Exit::Unreachable, e.to_string()))
    }

    async fn ask(&self, node: &str, remote: &Arc<dyn Remote>, mut cmd: Cmd) -> Result<Reply, Stop> {
        cmd.user = self.inventory.host(node).filter(|h| h.r#become).map(|_| "root".to_string());
        let failed = |why: String| Stop::new(Exit::Failed, format!("the lease on {node}: {why}"));
        match remote.run(Batch::one(cmd)).await.into_iter().next() {
            Some(Ok(output)) => Reply::read(&output).map_err(failed),
            Some(Err(error)) => Err(failed(error.to_string())),
            None => Err(failed("no answer".to_string())),
        }
    }

    async fn show(&self, global: &Global, node: Option<&str>) -> Result<Exit, Stop> {
        let head = ["node", "who", "since (UTC)", "runs out in", "run"].map(str::to_string).to_vec();
        let (mut rows, mut exit) = (vec![head], Exit::Done);
        for node in self.named(node)? {
            let reply = match self.line(&node).await {
                Ok(remote) => {
                    let reply = self.ask(&node, &remote, lease_file::show()).await;
                    remote.close().await;
                    reply
                }
                Err(stop) => Err(stop),
            };
            match reply {
                Ok(reply) if global.json() => {
                    let (held, now, lease) = match &reply {
                        Reply::Held(now, lease) => (true, *now, lease.as_ref().map(Lease::value)),
                        Reply::Free(now) => (false, *now, None),
                        _ => (false, 0, None),
                    };
                    let value = json!({ "node": node, "held": held, "now": now, "lease": lease });
                    output::print(&(json::text(&value) + "\n"));
                }
                Ok(Reply::Held(now, Some(lease))) => rows.push(row(&node, now, &lease)),
                Ok(Reply::Held(_, None)) => rows.push(vec![clean::line(&node), "a file that is not to be read".into()]),
                Ok(_) => rows.push(vec![clean::line(&node), "nobody".into()]),
                Err(stop) => {
                    output::complain(&stop.to_string());
                    exit = stop.exit;
                }
            }
        }
        if !global.json() && rows.len() > 1 {
            output::print(&output::table(&rows));
        }
        Ok(exit)
    }

    async fn break_it(&self, node: Option<&str>, reason: &str, yes: bool) -> Result<Exit, Stop> {
        let nodes = self.named(node)?;
        let [node] = &nodes[..] else {
            return Err(Stop::input("the inventory has several nodes, or none: name one"));
        };
        if reason.trim().is_empty() {
            return Err(Stop::input("the reason is empty: the one who had the lease will read it"));
        }
        let remote = self.line(node).await?;
        let done = self.break_on(node, &remote, reason, yes).await;
        remote.close().await;
        done
    }

    async fn break_on(&self, node: &str, remote: &Arc<dyn Remote>, reason: &str, yes: bool) -> Result<Exit, Stop> {
        let who = match self.ask(node, remote, lease_file::show()).await? {
            Reply::Held(_, Some(lease)) => lease,
            Reply::Held(_, None) => Lease {
                nonce: String::new(),
                since: 0,
                expires: 0,
                operator: "(a file that is not to be read)".into(),
                machine: String::new(),
                run: String::new(),
            },
            _ => {
                output::print(&format!("nobody has {}: there is nothing to break\n", clean::line(node)));
                return Ok(Exit::Done);
            }
        };
        let told = if who.nonce.is_empty() { who.operator.clone() } else { who.told() };
        if !yes && !confirmed(node, &told).await? {
            return Err(Stop::new(Exit::Interrupted, "nothing was done"));
        }
        let note = Note { by: super::parts::operator(), reason: clean::line(reason) };
        match self.ask(node, remote, lease_file::break_it(&who.nonce, &note)).await? {
            Reply::Broken(_) => {
                output::print(&clean::line(&format!("broken: the lease on {node} of {told}")));
                output::print("\n");
                Ok(Exit::Done)
            }
            Reply::Free(_) => {
                output::print(&format!("nobody has {} any more\n", clean::line(node)));
                Ok(Exit::Done)
            }
            Reply::Held(_, Some(now)) => Err(Stop::new(
                Exit::Leased,
                format!("somebody else has {node} by now: {}; nothing was done", now.told()),
            )),
            other => Err(Stop::new(Exit::Failed, format!("the lease on {node}: {other:?}"))),
        }
    }
}

fn row(node: &str, now: u64, lease: &Lease) -> Vec<String> {
    let left = match lease.expires.saturating_sub(now) {
        0 => "has run out".to_string(),
        left => format!("{left} s"),
    };
    let since = clock::utc(lease.since.min(253_402_300_799) * 1000);
    [node.to_string(), lease.who(), since, left, lease.run.clone()].iter().map(|cell| clean::line(cell)).collect()
}

async fn confirmed(node: &str, told: &str) -> Result<bool, Stop> {
    if !terminal::is_there() {
        return Err(Stop::input("no terminal to ask at; `--yes` breaks it without asking"));
    }
    let question = clean::text(&format!("{node} is leased to {told}.\nIf that run still goes on, it stops. Break it?"));
    let answer = tokio::task::spawn_blocking(move || terminal::ask(&format!("{question} [yes/no] "))).await;
    let answer = answer.map_err(|e| Stop::input(e.to_string()))?;
    let answer = answer.map_err(|e| Stop::input(format!("the terminal gave no answer: {e}")))?;
    Ok(matches!(answer.to_lowercase().as_str(), "y" | "yes"))
}
