//! `piton resume`: goes on with a run that was cut off or stopped.

use super::parts::{self, How};
use super::program::{self, Runbook, Selection};
use super::run::finish;
use super::{Global, Stop, output};
use crate::engine::{self, Words};
use crate::exit::Exit;
use crate::journal;
use crate::journal::resume::Word;
use crate::key::StepKey;
use crate::report::clean;
use crate::state::RunState;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Go on with a run that was cut off or stopped, where it was.
///
/// What is done is not done again. A step that may or may not have run, and must not run twice, is named: look at the
/// host, then say --redo or --done.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  piton resume\n  piton resume 1a2b --done site/send-the-mail")]
pub struct Args {
    /// Run (its id or the last four digits); the last run without.
    #[arg(value_name = "RUN")]
    run: Option<String>,
    /// Run this step again, though it may have run.
    #[arg(long, value_name = "STEP", conflicts_with = "done")]
    redo: Vec<String>,
    /// This step was done: I looked.
    #[arg(long, value_name = "STEP")]
    done: Vec<String>,
    #[command(flatten)]
    how: How,
}

/// What a run was started with, as its journal keeps it beside variables and inputs.
pub fn started_with(runbook: &Runbook, selection: &Selection) -> Value {
    json!({
        "cwd": std::env::current_dir().unwrap_or_default(),
        "set": runbook.set,
        "limit": runbook.limit,
        "tags": selection.tags,
        "skip_tags": selection.skip_tags,
        "from": selection.from,
        "until": selection.until,
        "only": selection.only,
    })
}

/// Goes on.
pub async fn run(global: &Global, args: &Args) -> Result<Exit, Stop> {
    let state = global.state()?;
    let dir = state.find(args.run.as_deref())?;
    let before = journal::read(&dir)?.state;
    if before.command != "run" {
        let id = before.run.as_ref().map(ToString::to_string).unwrap_or_default();
        return Err(Stop::input(format!("run {id} is a `{}`", before.command)).hint("it may simply be repeated"));
    }
    let (runbook, selection) = again(&before)?;
    let mut global = global.clone();
    let inventory = global.inventory.take().unwrap_or_else(|| PathBuf::from(&before.inventory));
    global.inventory = Some(inventory);
    let program = program::load(&global, &runbook, &selection)?;
    let mut words = Words::new();
    for (keys, word) in [(&args.redo, Word::Redo), (&args.done, Word::Done)] {
        for key in keys {
            if !program.steps().any(|s| s.key.0 == *key) {
                return Err(Stop::input(format!("there is no step `{key}`")).hint("`piton check -v` shows their names"));
            }
            words.insert(StepKey(key.clone()), word);
        }
    }
    let id = before.run.clone().ok_or_else(|| Stop::input("the journal has no run"))?;
    if !global.json() && !global.quiet {
        output::print(&format!("resume {id}: {}\n", clean::line(&before.runbook)));
    }
    let made = parts::parts(&global, program, &args.how, false, 3, (id, Some(dir.clone()))).await?;
    finish(&global, &dir, engine::resume(made.parts, &dir, words).await)
}

/// The arguments of the run that is resumed; its paths hold in the folder where it was started.
fn again(before: &RunState) -> Result<(Runbook, Selection), Stop> {
    let with = &before.vars;
    let texts = |name: &str| -> Vec<String> {
        let items = with.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
        items.iter().filter_map(Value::as_str).map(str::to_string).collect()
    };
    let text = |name: &str| with.get(name).and_then(Value::as_str).map(str::to_string);
    if let Some(cwd) = text("cwd").filter(|cwd| Path::new(&before.path).is_relative() && !cwd.is_empty()) {
        std::env::set_current_dir(&cwd)
            .map_err(|e| Stop::input(format!("the run was started in {cwd}, which cannot be entered: {e}")))?;
    }
    let pair = |item: &Value| Some((item.get(0)?.as_str()?.to_string(), item.get(1)?.as_str()?.to_string()));
    let mut set: Vec<(String, String)> = with
        .get("set")
        .and_then(Value::as_array)
        .map(|items| items.iter().filter_map(pair).collect())
        .unwrap_or_default();
    // Inputs that were asked for are not asked again. As JSON they are YAML too, with their types.
    if let Some(inputs) = with.get("inputs").and_then(Value::as_object) {
        for (name, value) in inputs {
            if !set.iter().any(|(n, _)| n == name) {
                set.push((name.clone(), value.to_string()));
            }
        }
    }
    let runbook = Runbook { path: PathBuf::from(&before.path), set, limit: texts("limit") };
    let selection = Selection {
        tags: texts("tags"),
        skip_tags: texts("skip_tags"),
        from: text("from"),
        until: text("until"),
        only: texts("only"),
    };
    Ok((runbook, selection))
}
