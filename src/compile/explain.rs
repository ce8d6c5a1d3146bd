//! Where the value of a variable comes from: `piton vars --explain NAME`.

use super::Program;
use super::scope::{self, Layers};
use crate::load::inventory::Vars;
use serde_json::{Map, Value};

/// One place that sets a variable.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// `runbook vars (demo.yml:3:5)`.
    pub place: String,
    /// As written there.
    pub value: Value,
    /// True for the one that counts.
    pub wins: bool,
}

/// Every place that sets `name` for a host, lowest precedence first; the last one wins. Empty if nothing sets it.
pub fn explain(program: &Program, host: &str, name: &str) -> Vec<Origin> {
    let mut origins = Vec::new();
    let mut add = |what: String, vars: &Vars| {
        for (key, node) in vars.iter().filter(|(k, _)| k.name == name) {
            origins.push(Origin {
                place: format!("{what} ({})", program.sources.place(key.span)),
                value: node.to_value(),
                wins: false,
            });
        }
    };
    add("runbook vars".to_string(), &program.vars);
    add("inventory vars".to_string(), &program.inventory.vars);
    for group in program.inventory.groups.iter().filter(|g| g.hosts.iter().any(|h| h == host)) {
        add(format!("group {}", group.name), &group.vars);
    }
    if let Some(found) = program.inventory.host(host) {
        add(format!("host {host}"), &found.vars);
    }
    for section in &program.sections {
        for step in section.steps.iter().filter(|s| s.hosts.iter().any(|h| h == host)) {
            add(format!("step {}, in it only", step.key), &step.vars);
        }
    }
    if let Some(value) = program.sets.get(name) {
        origins.push(Origin { place: "--set".to_string(), value: value.clone(), wins: false });
    }
    if let Some(last) =
        origins.iter_mut().rfind(|o| !o.place.ends_with("in it only") && !o.place.contains("in it only ("))
    {
        last.wins = true;
    }
    origins
}

/// All variables of a host with their values, sorted by name.
pub fn all(program: &Program, host: &str) -> Map<String, Value> {
    let scope = scope::scope(program, host, &Map::new(), None);
    let none = Vec::new();
    let mut names: Vec<&str> = Layers::of(program)
        .merged(host, &none)
        .into_iter()
        .map(|(name, _)| name)
        .chain(program.sets.keys().map(String::as_str))
        .collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter().filter_map(|name| Some((name.to_string(), scope.get(name)?.clone()))).collect()
}
