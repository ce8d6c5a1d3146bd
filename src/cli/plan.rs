//! `piton plan`: what a run would do, asked of the hosts as they are.

use super::parts::{self, How};
use super::program::{self, Runbook, Selection};
use super::{Global, Stop};
use crate::engine;
use crate::engine::clock::{Clock as _, SystemClock};
use crate::event::{Event, FORMAT, RunEnd, Sink as _, Stamped};
use crate::exit::Exit;
use std::collections::BTreeSet;
use std::time::Duration;

/// Show what a run would change, with diffs; the hosts are only asked.
///
/// Ends 0 if a run could go through as far as it can be known, 1 if a step would fail as things are, 7 if a host does
/// not answer.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  piton plan site.yml\n  piton plan site.yml --limit extranet --tags firewall")]
pub struct Args {
    #[command(flatten)]
    runbook: Runbook,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    selection: Selection,
}

/// Plans it.
pub async fn run(global: &Global, args: &Args) -> Result<Exit, Stop> {
    let program = program::load_asking(global, &args.runbook, &args.selection).await?;
    let hosts: BTreeSet<&String> = program.steps().flat_map(|s| &s.hosts).collect();
    let id = SystemClock.run_id();
    let begun = SystemClock.now();
    let mut started = Event::RunStarted {
        format: FORMAT,
        run: id.clone(),
        command: "plan".to_string(),
        runbook: program.name.clone(),
        path: program.path.clone(),
        digest: program.digest.clone(),
        inventory: program.inventory.path.clone(),
        operator: String::new(),
        piton: env!("CARGO_PKG_VERSION").to_string(),
        hosts: program.inventory.hosts.iter().map(|h| h.name.clone()).filter(|h| hosts.contains(h)).collect(),
        vars: serde_json::Value::Null,
        tasks: program.steps().map(|s| s.hosts.len()).sum(),
        lab: program.inventory.lab,
    };
    let (parts, screen, _spill) = parts::parts(global, program, &args.how, false, 0, (id, None)).await?.split();
    if let Event::RunStarted { operator, vars, .. } = &mut started {
        operator.clone_from(&parts.options.operator);
        vars.clone_from(&parts.options.vars);
    }
    screen.event(&Stamped { at: begun, event: started });
    let cancel = parts.cancel.clone();
    let planned = engine::plan(parts).await;
    let at = SystemClock.now();
    let (end, exit) = match planned {
        _ if cancel.is_wanted() => (RunEnd::Interrupted, Exit::Interrupted),
        p if p.unreachable > 0 => (RunEnd::Failed, Exit::Unreachable),
        p if p.failures > 0 => (RunEnd::Failed, Exit::Failed),
        _ => (RunEnd::Done, Exit::Done),
    };
    screen
        .event(&Stamped { at, event: Event::RunEnded { end, took: Duration::from_millis(at.saturating_sub(begun)) } });
    Ok(exit)
}
