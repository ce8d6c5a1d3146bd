//! `piton run`: carries a runbook out.

use super::parts::{self, How};
use super::program::{self, Runbook, Selection};
use super::{Global, Stop, output, report, resume};
use crate::engine::clock::{Clock as _, SystemClock};
use crate::engine::{self, Ending};
use crate::exit::Exit;
use crate::journal::{JournalError, RunDir};
use crate::report::clean;

/// Carry a runbook out, step by step.
///
/// Before the first change of a guest in a section piton takes a snapshot of it. Everything is written to a journal
/// before it is done. Ctrl-C stops after what runs now; a second one kills it.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  piton run site.yml\n  piton run site.yml --only ufw/rules --step\n  piton run site.yml --set port=8080 --yes"
)]
pub struct Args {
    #[command(flatten)]
    runbook: Runbook,
    #[command(flatten)]
    how: How,
    /// Ask before each step.
    #[arg(long)]
    step: bool,
    /// Checkpoints kept of each guest after a run that went well.
    #[arg(long, value_name = "N", default_value_t = 3)]
    keep: usize,
    #[command(flatten)]
    selection: Selection,
}

/// Runs it.
pub async fn run(global: &Global, args: &Args) -> Result<Exit, Stop> {
    let program = program::load_asking(global, &args.runbook, &args.selection).await?;
    let state = global.state()?;
    let id = SystemClock.run_id();
    let dir = state.create(&id)?;
    let parts = match parts::parts(global, program, &args.how, args.step, args.keep, (id, Some(dir.clone()))).await {
        Ok(made) => {
            let mut parts = made.parts;
            let with = resume::started_with(&args.runbook, &args.selection);
            if let (Some(vars), Some(with)) = (parts.options.vars.as_object_mut(), with.as_object()) {
                vars.extend(with.clone());
            }
            parts
        }
        Err(stop) => {
            // Nothing was begun: an empty folder would only be in the way.
            parts::discard(&dir);
            return Err(stop);
        }
    };
    finish(global, &dir, engine::run(parts).await)
}

/// Writes the reports into the run's folder and says where.
pub fn finish(global: &Global, dir: &RunDir, ending: Result<Ending, JournalError>) -> Result<Exit, Stop> {
    let kept = report::keep(dir);
    let ending = ending.map_err(|error| {
        Stop::from(error).hint(
            "no change was begun after that. Make room or mend that place, then see what is left to do: piton plan",
        )
    })?;
    match kept {
        Ok(path) if !global.json() => {
            let html = path.with_extension("html");
            output::print(&format!("  report:  {}\n", clean::line(&html.display().to_string())));
        }
        Ok(_) => {}
        Err(stop) => output::complain(&format!("the reports could not be written: {}", clean::line(&stop.message))),
    }
    Ok(ending.exit)
}
