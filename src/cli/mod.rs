//! The command line: one file a subcommand, and what they share.

mod check;
mod checkpoints;
mod completions;
mod demo;
mod explain;
mod global;
mod lab;
mod lease;
mod modules;
mod operator;
mod output;
mod parts;
mod plan;
mod program;
mod render;
mod report;
mod resume;
mod rollback;
mod run;
mod runs;
mod screen;
mod secrets;
mod start;
mod stop;
mod terminal;
mod vars;

pub use global::Global;
pub use start::main;
pub use stop::Stop;

use crate::exit::Exit;
use clap::{Parser, Subcommand};
use global::FormatArg;

/// Agentless runbooks for Proxmox VE over SSH: every change has a way back.
///
/// A runbook is a list of steps for some hosts. piton looks first, shows what would change, takes a snapshot of a guest
/// before its first change, does it step by step, and keeps a journal from which you can always go back.
#[derive(Debug, Parser)]
#[command(name = "piton", version, max_term_width = 80, arg_required_else_help = true)]
#[command(after_help = "`piton help COMMAND` says more of a command, `piton explain exit` what exit codes mean.")]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check a runbook; no host is contacted.
    Check(check::Args),
    /// What a run would change; the hosts are only asked.
    Plan(plan::Args),
    /// Carry a runbook out, with checkpoints and a journal.
    Run(run::Args),
    /// Go on with a run that was cut off or stopped.
    Resume(resume::Args),
    /// Go back to how it was before a run, or to a checkpoint.
    Rollback(rollback::Args),
    /// The snapshots that piton took of guests.
    Checkpoints(checkpoints::Args),
    /// Who has which node, and breaking a lease.
    Lease(lease::Args),
    /// The runs of the past.
    Runs(runs::Args),
    /// What a run did, as text, Markdown, HTML or JSON.
    Report(report::Args),
    /// What a step's parameters and templates come to.
    Render(render::Args),
    /// The variables of a host, and where they come from.
    Vars(vars::Args),
    /// The kinds of steps and their parameters.
    Modules(modules::Args),
    /// A practice ground on this machine.
    Lab(lab::Args),
    /// The main job from end to end on a lab of its own.
    Demo(demo::Args),
    /// What a code of an error or an exit means.
    Explain(explain::Args),
    /// A completion script for your shell.
    Completions(completions::Args),
    /// Shows a file of events as a run would.
    #[command(hide = true)]
    Screen(screen::Args),
}

/// Runs one subcommand. Each is a call away from its own file.
async fn dispatch(cli: Cli) -> Result<Exit, Stop> {
    let global = &cli.global;
    if matches!(global.format, FormatArg::Md | FormatArg::Html) && !matches!(cli.command, Command::Report(_)) {
        return Err(Stop::input("only `piton report` writes Markdown and HTML").hint("use --format text or json"));
    }
    match cli.command {
        Command::Check(args) => check::run(global, &args),
        Command::Plan(args) => plan::run(global, &args).await,
        Command::Run(args) => run::run(global, &args).await,
        Command::Resume(args) => resume::run(global, &args).await,
        Command::Rollback(args) => rollback::run(global, &args).await,
        Command::Checkpoints(args) => checkpoints::run(global, &args).await,
        Command::Lease(args) => lease::run(global, &args).await,
        Command::Demo(args) => demo::run(global, &args).await,
        Command::Render(args) => render::run(global, &args),
        Command::Vars(args) => vars::run(global, &args),
        Command::Lab(args) => lab::run(global, &args).await,
        Command::Runs(args) => runs::run(global, &args),
        Command::Report(args) => report::run(global, &args),
        Command::Modules(args) => modules::run(global, &args),
        Command::Explain(args) => explain::run(&args),
        Command::Completions(args) => Ok(completions::run(&args)),
        Command::Screen(args) => screen::run(global, &args).await,
    }
}
