//! What `check`, `plan`, `run`, `render` and `vars` share: a runbook against an inventory.

use super::{Global, Stop, output, terminal};
use crate::compile::{self, Failed, Options, Program, project};
use crate::exit::Exit;
use crate::load::inventory::Inventory;
use crate::load::source::{Severity, Sources};
use crate::load::{diagnose, inventory_file};
use crate::report::clean;
use std::path::{Path, PathBuf};

/// The runbook and what it is run with.
#[derive(Debug, Clone, clap::Args)]
pub struct Runbook {
    /// The runbook.
    #[arg(value_name = "RUNBOOK")]
    pub path: PathBuf,
    /// Set a variable or an input; wins over all files.
    #[arg(long, value_name = "NAME=VALUE", value_parser = set)]
    pub set: Vec<(String, String)>,
    /// Only these hosts or groups; !NAME leaves one out.
    #[arg(long, value_name = "HOSTS", value_delimiter = ',')]
    pub limit: Vec<String>,
}

/// Which of its steps.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Which steps")]
pub struct Selection {
    /// Only steps with one of these tags.
    #[arg(long, value_name = "TAGS", value_delimiter = ',')]
    pub tags: Vec<String>,
    /// No steps with one of these tags.
    #[arg(long, value_name = "TAGS", value_delimiter = ',')]
    pub skip_tags: Vec<String>,
    /// Begin at this step; `piton check -v` shows their names.
    #[arg(long, value_name = "STEP")]
    pub from: Option<String>,
    /// End with this step.
    #[arg(long, value_name = "STEP")]
    pub until: Option<String>,
    /// Only this step; may be given several times.
    #[arg(long, value_name = "STEP")]
    pub only: Vec<String>,
}

fn set(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_string(), value.to_string())),
        _ => Err("write it as NAME=VALUE".to_string()),
    }
}

/// Reads and checks everything; warnings go to standard error. No host is contacted.
///
/// # Errors
/// Bad input, with all errors already printed.
pub fn load(global: &Global, runbook: &Runbook, selection: &Selection) -> Result<Program, Stop> {
    let options = options(global, runbook, selection);
    let program = compile::program(&options).map_err(|failed| refuse(global, &failed))?;
    if !program.warnings.is_empty() && !global.quiet {
        let text = diagnose::render(&program.warnings, &program.sources, global.paint_errors().on);
        output::complain(text.trim_end());
    }
    Ok(program)
}

/// The same, but inputs that nothing gives are asked for where somebody can answer.
///
/// # Errors
/// As [`load`].
pub async fn load_asking(global: &Global, runbook: &Runbook, selection: &Selection) -> Result<Program, Stop> {
    let wanted = compile::wanted_inputs(&options(global, runbook, selection)).map_err(|f| refuse(global, &f))?;
    if wanted.is_empty() || !terminal::is_there() {
        return load(global, runbook, selection);
    }
    let mut runbook = runbook.clone();
    for input in wanted {
        let choices = if input.choices.is_empty() { String::new() } else { format!(" ({})", input.choices.join(", ")) };
        let question = clean::line(&format!("{}{choices}:", input.question)) + " ";
        let answer = tokio::task::spawn_blocking(move || terminal::ask(&question)).await;
        let answer = answer.map_err(|e| Stop::input(e.to_string()))?;
        let answer = answer.map_err(|e| Stop::input(format!("no answer for the input `{}`: {e}", input.name)))?;
        runbook.set.push((input.name, answer));
    }
    load(global, &runbook, selection)
}

fn options(global: &Global, runbook: &Runbook, selection: &Selection) -> Options {
    Options {
        runbook: runbook.path.clone(),
        inventory: global.inventory.clone(),
        inventory_env: inventory_env(),
        sets: runbook.set.clone(),
        limit: runbook.limit.clone(),
        tags: selection.tags.clone(),
        skip_tags: selection.skip_tags.clone(),
        from: selection.from.clone(),
        until: selection.until.clone(),
        only: selection.only.clone(),
    }
}

fn refuse(global: &Global, failed: &Failed) -> Stop {
    let text = diagnose::render(&failed.diagnostics, &failed.sources, global.paint_errors().on);
    output::complain(text.trim_end());
    Stop::said(Exit::BadInput)
}

/// The inventory without a runbook: `-i`, `PITON_INVENTORY`, or that of the project around this folder.
///
/// # Errors
/// Bad input, with all errors already printed.
pub fn read_inventory(global: &Global) -> Result<Inventory, Stop> {
    read_inventory_at(global, &inventory_path(global)?)
}

/// Where it is.
///
/// # Errors
/// Bad input, if nothing says it.
pub fn inventory_path(global: &Global) -> Result<PathBuf, Stop> {
    if let Some(path) = global.inventory.clone().or_else(inventory_env) {
        return Ok(path);
    }
    let here = std::env::current_dir().map_err(|e| Stop::local(format!("this folder: {e}")))?;
    project::inventory(&project::of(&here.join("runbook.yml"))).map_err(|why| Stop::input(why).hint("give it with -i"))
}

/// The inventory at this path.
///
/// # Errors
/// As [`read_inventory`].
pub fn read_inventory_at(global: &Global, path: &Path) -> Result<Inventory, Stop> {
    let mut sources = Sources::default();
    let mut diagnostics = Vec::new();
    let loaded = inventory_file::load(path, &path.display().to_string(), &mut sources, &mut diagnostics);
    let wrong = diagnostics.iter().any(|d| d.severity == Severity::Error);
    match loaded {
        Some(inventory) if !wrong => Ok(inventory),
        _ => Err(refuse(global, &Failed { diagnostics, sources })),
    }
}

fn inventory_env() -> Option<PathBuf> {
    std::env::var_os("PITON_INVENTORY").filter(|path| !path.is_empty()).map(PathBuf::from)
}
