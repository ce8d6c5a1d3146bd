//! `piton render`: what a step's parameters and templates come to on a host, without contacting it.

use super::program::{self, Runbook, Selection};
use super::{Global, Stop, output, vars};
use crate::compile::{Program, Step, scope};
use crate::exit::Exit;
use crate::load::template;
use crate::modules::{LocalBody, LocalFile};
use crate::report::{clean, json};
use serde_json::{Map, Value};

/// Show what the parameters and templates of a step come to on a host; secrets stay names.
///
/// Values that are only known while running (`out`) are not there.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  piton render site.yml ufw/compose-file --host extranet")]
pub struct Args {
    #[command(flatten)]
    runbook: Runbook,
    /// Name of the step, or the last part of it; `piton check -v` shows them.
    step: String,
    /// Host; without it the first one of the step.
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
}

/// Shows it.
pub fn run(global: &Global, args: &Args) -> Result<Exit, Stop> {
    let program = program::load(global, &args.runbook, &Selection::default())?;
    let step = find(&program, &args.step)?;
    let host = match &args.host {
        Some(name) => vars::known(&program, name)?,
        None => step.hosts.first().cloned().ok_or_else(|| Stop::input("the step has no host"))?,
    };
    let scope = scope::of_step(&program, step, &host, &Map::new(), None);
    let items = step.items(&scope).map_err(|e| Stop::input(format!("its loop: {e}")))?;
    for (number, item) in items.iter().enumerate() {
        let blank = if number > 0 { "\n" } else { "" };
        let shown = item.as_ref().map(|i| format!(" [{}]", clean::line(&json::text(i)))).unwrap_or_default();
        output::print(&format!("{blank}# {} on {}{shown}\n", clean::line(&step.key.0), clean::line(&host)));
        let scope = scope::of_step(&program, step, &host, &Map::new(), item.as_ref());
        output::print(&one(&program, step, &scope)?);
    }
    Ok(Exit::Done)
}

fn one(program: &Program, step: &Step, scope: &Value) -> Result<String, Stop> {
    let value = template::render(&step.params, scope).map_err(|d| {
        let place = d.span.map(|s| format!("{}: ", program.sources.place(s))).unwrap_or_default();
        Stop::input(format!("{place}{}", d.message)).hint("`out` is only known while running")
    })?;
    let pretty = serde_json::to_string_pretty(&value).unwrap_or_default();
    let mut out = format!("{}: {}\n", step.module.name(), clean::text(&pretty));
    let instance = step.module.parse(value).map_err(|e| Stop::input(e.to_string()))?;
    for want in instance.local_files() {
        let file = program.load_file(&want, scope).map_err(|e| Stop::input(e.to_string()))?;
        out.push_str(&format!("\n# {}\n{}", clean::line(&want.path), body(&file)));
    }
    Ok(out)
}

fn body(file: &LocalFile) -> String {
    match &file.body {
        LocalBody::Inline(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) if text.ends_with('\n') || text.is_empty() => clean::text(text),
            Ok(text) => format!("{}\n", clean::text(text)),
            Err(_) => format!("({} bytes, not a text)\n", bytes.len()),
        },
        LocalBody::Missing => "(no such file)\n".to_string(),
        LocalBody::Large { len, sha256 } => format!("({len} bytes, SHA-256 {sha256})\n"),
        LocalBody::Tree(files) => {
            files.iter().map(|(path, _)| clean::line(&path.display().to_string()) + "\n").collect()
        }
    }
}

fn find<'a>(program: &'a Program, name: &str) -> Result<&'a Step, Stop> {
    if let Some(step) = program.steps().find(|s| s.key.0 == name) {
        return Ok(step);
    }
    let ends: Vec<&Step> = program.steps().filter(|s| s.key.0.rsplit('/').next() == Some(name)).collect();
    match ends[..] {
        [one] => Ok(one),
        [] => {
            Err(Stop::input(format!("there is no step `{name}`")).hint("`piton check -v` shows the names of all steps"))
        }
        _ => {
            let names: Vec<&str> = ends.iter().map(|s| s.key.0.as_str()).collect();
            Err(Stop::input(format!("several steps end in `{name}`")).hint(format!("say which: {}", names.join(", "))))
        }
    }
}
