//! `piton rollback`: back to how it was before a run, or to one checkpoint.

use super::parts::{self, How};
use super::program::{inventory_path, read_inventory_at};
use super::run::finish;
use super::{Global, Stop, output};
use crate::compile::Program;
use crate::engine;
use crate::engine::clock::{Clock as _, SystemClock};
use crate::event::{Event, RunEnd};
use crate::exit::Exit;
use crate::journal::{self, StateDir};
use crate::load::inventory::Inventory;
use crate::modules::PromptKind;
use crate::state::RunState;
use serde_json::{Map, json};
use std::path::PathBuf;
use std::sync::Arc;

/// Go back to how it was before a run: guests to their checkpoints, other changes by their undo.
///
/// With GUEST/NAME one guest goes back to one checkpoint (`piton checkpoints list`). What happened on a guest since its
/// checkpoint is lost.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  piton rollback\n  piton rollback 1a2b\n  piton rollback extranet/piton-1a2b-01")]
pub struct Args {
    /// Run (its id or the last four digits) or GUEST/NAME; the last run without.
    #[arg(value_name = "RUN|GUEST/NAME")]
    target: Option<String>,
    #[command(flatten)]
    how: How,
}

enum Target {
    Run(RunState),
    Checkpoint { guest: String, name: String },
}

/// Goes back.
pub async fn run(global: &Global, args: &Args) -> Result<Exit, Stop> {
    let state = global.state()?;
    let (target, inventory, title) = wanted(global, args.target.as_deref())?;
    if let Target::Run(old) = &target
        && let Some(by) = taken_back(&state, old)
    {
        output::print(&format!("there is nothing to take back: run {by} has done it\n"));
        return Ok(Exit::Done);
    }
    let inventory = read_inventory_at(global, &inventory)?;
    if let Target::Checkpoint { guest, .. } = &target
        && inventory.host(guest).is_none_or(|h| h.vmid().is_none())
    {
        return Err(Stop::input(format!("`{guest}` is no guest of the inventory {}", inventory.path)));
    }
    if let Target::Run(old) = &target
        && old.applied.is_empty()
        && !old.checkpoints.iter().any(|c| c.taken && !c.rolled_back)
    {
        if !global.quiet {
            output::print("there is nothing to take back: that run changed nothing, or all of it is back\n");
        }
        return Ok(Exit::Done);
    }
    let question = match &target {
        Target::Checkpoint { guest, name } => format!("{guest} goes back to {name}"),
        Target::Run(old) => question(old),
    };
    let id = SystemClock.run_id();
    let dir = state.create(&id)?;
    let made =
        parts::parts(global, bare(inventory, title), &args.how, false, usize::MAX, (id, Some(dir.clone()))).await;
    let asked = match made {
        Ok(made) => {
            let parts = made.parts;
            let text = format!("{question}.\nWhat happened there since is lost. Go on?");
            match parts.operator.ask("", &PromptKind::Confirm(text)).await {
                Ok(answer) if answer == "yes" => Ok(parts),
                Ok(_) => Err(Stop::new(Exit::Interrupted, "nothing was done")),
                Err(why) => Err(Stop::input(why.to_string())),
            }
        }
        Err(stop) => Err(stop),
    };
    let parts = match asked {
        Ok(parts) => parts,
        Err(stop) => {
            parts::discard(&dir);
            return Err(stop);
        }
    };
    let mut parts = parts;
    if let Target::Run(old) = &target {
        parts.options.vars = json!({ OF: old.run });
    }
    let ending = match target {
        Target::Run(old) => engine::rollback_run(parts, &old).await,
        Target::Checkpoint { guest, name } => engine::rollback_checkpoint(parts, &guest, &name).await,
    };
    finish(global, &dir, ending)
}

/// What is to go back, with which inventory, and how the way back is called.
fn wanted(global: &Global, target: Option<&str>) -> Result<(Target, PathBuf, String), Stop> {
    if let Some((guest, name)) = target.and_then(|t| t.split_once('/')) {
        let target = Target::Checkpoint { guest: guest.to_string(), name: name.to_string() };
        return Ok((target, inventory_path(global)?, format!("{guest} back to {name}")));
    }
    let old = journal::read(&global.state()?.find(target)?)?.state;
    let run = old.run.as_ref().map(ToString::to_string).unwrap_or_default();
    if old.command == "rollback" {
        return Err(Stop::input(format!("run {run} is a way back itself")).hint("name the run to take back"));
    }
    let path = global.inventory.clone().unwrap_or_else(|| PathBuf::from(&old.inventory));
    Ok((Target::Run(old), path, format!("back to before run {run}")))
}

/// In the journal of a way back: the run that it took back.
const OF: &str = "rollback_of";

/// The later run that has taken this one back and ended well.
fn taken_back(state: &StateDir, old: &RunState) -> Option<String> {
    let run = old.run.as_ref()?;
    let later = state.runs().ok()?.into_iter().filter(|r| r > run);
    later.map(|r| r.0).find(|id| {
        let Ok(journaled) = state.find(Some(id)).and_then(|dir| journal::read(&dir)) else { return false };
        let of_it = |event: &Event| matches!(event, Event::RunStarted { vars, .. } if vars[OF] == run.0.as_str());
        journaled.state.ended == Some(RunEnd::Done) && journaled.events.iter().any(|e| of_it(&e.event))
    })
}

/// What goes back, for the operator to confirm.
fn question(old: &RunState) -> String {
    let mut guests: Vec<String> = Vec::new();
    for checkpoint in old.checkpoints.iter().filter(|c| c.taken) {
        if !guests.iter().any(|g| g.starts_with(&format!("{} ", checkpoint.guest))) {
            guests.push(format!("{} goes back to {}", checkpoint.guest, checkpoint.name));
        }
    }
    if !old.applied.is_empty() {
        let changes = if old.applied.len() == 1 { "1 change" } else { &format!("{} changes", old.applied.len()) };
        guests.push(format!("{changes} of that run are gone then"));
    }
    guests.join(", ")
}

/// A program without steps: a way back needs only the inventory.
fn bare(inventory: Inventory, name: String) -> Program {
    Program {
        name,
        path: String::new(),
        project: PathBuf::new(),
        digest: String::new(),
        inventory: Arc::new(inventory),
        sources: Arc::default(),
        vars: Vec::new(),
        sets: Map::new(),
        inputs: Map::new(),
        sections: Vec::new(),
        warnings: Vec::new(),
    }
}
