//! `piton vars`: the variables of a host, and where each comes from.

use super::program::{self, Runbook, Selection};
use super::{Global, Stop, output};
use crate::compile::{Program, explain};
use crate::exit::Exit;
use crate::report::{clean, json};
use serde_json::{Map, Value};

/// Show the variables of a host, or all places that set one of them.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  piton vars site.yml extranet\n  piton vars site.yml extranet --explain ssh_from")]
pub struct Args {
    #[command(flatten)]
    runbook: Runbook,
    /// Host; without it every host of the inventory.
    host: Option<String>,
    /// Every place that sets this variable, lowest precedence first.
    #[arg(long, value_name = "NAME")]
    explain: Option<String>,
}

/// Shows them.
pub fn run(global: &Global, args: &Args) -> Result<Exit, Stop> {
    let program = program::load(global, &args.runbook, &Selection::default())?;
    let hosts = match &args.host {
        Some(name) => vec![known(&program, name)?],
        None => program.inventory.hosts.iter().map(|h| h.name.clone()).collect(),
    };
    let mut all = Map::new();
    let mut found = false;
    for (number, host) in hosts.iter().enumerate() {
        if let Some(name) = &args.explain {
            let origins = explain::explain(&program, host, name);
            found |= !origins.is_empty();
            if origins.is_empty() && hosts.len() > 1 {
                continue;
            }
            let rows = origins
                .iter()
                .map(|o| vec![if o.wins { "  =>" } else { "    " }.to_string(), clean::line(&o.place), text(&o.value)]);
            let table = output::table(&rows.collect::<Vec<_>>());
            output::print(&format!("{} on {}:\n{table}", clean::line(name), clean::line(host)));
            continue;
        }
        found = true;
        let vars = explain::all(&program, host);
        if global.json() {
            all.insert(host.clone(), Value::Object(vars));
            continue;
        }
        let blank = if number > 0 { "\n" } else { "" };
        let rows: Vec<_> = vars.iter().map(|(k, v)| vec![format!("  {}", clean::line(k)), text(v)]).collect();
        output::print(&format!("{blank}{}:\n{}", clean::line(host), output::table(&rows)));
    }
    if global.json() && args.explain.is_none() {
        output::print(&(json::text(&Value::Object(all)) + "\n"));
    }
    match (&args.explain, found) {
        (Some(name), false) => Err(Stop::input(format!("nothing sets the variable `{name}`"))
            .hint("namespaces like `host`, `roles` and `guests` are not variables")),
        _ => Ok(Exit::Done),
    }
}

/// The host of this name, or bad input.
pub fn known(program: &Program, name: &str) -> Result<String, Stop> {
    if let Some(host) = program.inventory.host(name) {
        return Ok(host.name.clone());
    }
    let names: Vec<&str> = program.inventory.hosts.iter().map(|h| h.name.as_str()).collect();
    let hint = format!("there are: {}", names.join(", "));
    Err(Stop::input(format!("there is no host `{name}` in the inventory")).hint(hint))
}

/// A value on one line: texts as they are, the rest as JSON.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => clean::line(text),
        other => clean::line(&json::text(other)),
    }
}
