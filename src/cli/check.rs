//! `piton check`: everything that can be known without a host.

use super::program::{self, Runbook, Selection};
use super::{Global, Stop, output};
use crate::exit::Exit;
use crate::report::clean;
use std::collections::BTreeSet;

/// Check a runbook and its inventory; no host is contacted.
///
/// All errors are shown at once, each with its place. `-v` lists the steps with the names that --from, --until and
/// --only take.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  piton check site.yml\n  piton check site.yml -i inventory/lab.yml -v")]
pub struct Args {
    #[command(flatten)]
    runbook: Runbook,
    #[command(flatten)]
    selection: Selection,
}

/// Checks it.
pub fn run(global: &Global, args: &Args) -> Result<Exit, Stop> {
    let program = program::load(global, &args.runbook, &args.selection)?;
    if global.verbose {
        let rows: Vec<Vec<String>> = program
            .steps()
            .map(|step| {
                let why = step.left_out.as_ref().map(|why| format!("({why})")).unwrap_or_default();
                let texts = [&step.key.0, step.module.name(), &step.hosts.join(", "), &why];
                texts.iter().map(|t| clean::line(t)).collect()
            })
            .collect();
        output::print(&output::table(&rows));
    }
    if !global.quiet {
        let steps = program.steps().filter(|s| s.left_out.is_none()).count();
        let hosts: BTreeSet<&String> = program.steps().flat_map(|s| &s.hosts).collect();
        output::print(&format!("ok: {} on {}\n", count(steps, "step"), count(hosts.len(), "host")));
    }
    Ok(Exit::Done)
}

fn count(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}
