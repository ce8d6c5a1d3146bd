//! `piton demo`: the main job from end to end on a lab of its own.

use super::{Global, Stop, output};
use crate::exit::Exit;
use crate::lab::{self, DemoOptions};
use crate::report::clean;

/// Show the main job on a practice ground: plan, run, run again, a failure that goes back, reports.
///
/// It brings up a lab in a temporary folder and takes it down at the end. Nothing else on this machine is touched.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Leave the lab up at the end.
    #[arg(long)]
    keep: bool,
}

/// Runs it.
pub async fn run(global: &Global, args: &Args) -> Result<Exit, Stop> {
    let options = DemoOptions { state_dir: global.state()?.path().to_path_buf(), piton: None, keep: args.keep };
    let say = |line: &str| output::print(&format!("{}\n", clean::text(line)));
    let demo = lab::demo(options, &say).await.map_err(|error| Stop::new(Exit::Failed, error.to_string()))?;
    output::print(&format!("\nthe demo took {}\n", crate::report::diff::span(demo.took)));
    for report in &demo.reports {
        output::print(&format!("  report: {}\n", clean::line(&report.display().to_string())));
    }
    if let Some(lab) = &demo.lab {
        let lab = clean::line(&crate::cmd::quote(&lab.display().to_string()));
        output::print(&format!("  the lab is still up: piton lab status --dir {lab}\n"));
    }
    Ok(Exit::Done)
}
