//! `--set NAME=VALUE`: to inputs and variables, checked.

use crate::load::inputs;
use crate::load::inventory::{Inventory, Vars};
use crate::load::node::{Kind, Node, Style};
use crate::load::read::nowhere;
use crate::load::runbook::{InputKind, Runbook};
use crate::load::source::{Diagnostic, Sources, Span};
use crate::load::{suggest, template, yaml, yaml_scalar};
use serde_json::{Map, Value};

/// What `--set` gave.
#[derive(Debug, Default)]
pub struct Given {
    /// Variables.
    pub vars: Map<String, Value>,
    /// Inputs with their defaults.
    pub inputs: Map<String, Value>,
}

/// Values are read as YAML: `8080` is a number, `true` a boolean, `[a, b]` a list, anything else a text.
fn value(name: &str, text: &str, sources: &mut Sources, diagnostics: &mut Vec<Diagnostic>) -> Option<Node> {
    let id = sources.add(format!("--set {name}"), text);
    let span = Span { file: id, start: 0, end: u32::try_from(text.len()).unwrap_or(u32::MAX) };
    if text.starts_with(['[', '{', '"', '\'']) && !text.starts_with("{{") {
        return yaml::parse(id, text, diagnostics);
    }
    if yaml_scalar::leading_zero(text) {
        return Some(Node { span, kind: Kind::Str(text.to_string(), Style::Quoted) });
    }
    Some(Node { span, kind: yaml_scalar::plain(text) })
}

/// Sorts the settings into variables and inputs. Unknown names and missing inputs are errors.
pub fn apply(
    sets: &[(String, String)],
    runbook: &Runbook,
    inventory: Option<&Inventory>,
    sources: &mut Sources,
    diagnostics: &mut Vec<Diagnostic>,
) -> Given {
    let mut given = Given::default();
    let known = known(runbook, inventory);
    for (name, text) in sets {
        if let Some(input) = runbook.inputs.iter().find(|i| i.name.name == *name) {
            let node = if input.kind == InputKind::String || input.kind == InputKind::Choice {
                let id = sources.add(format!("--set {name}"), text.clone());
                let end = u32::try_from(text.len()).unwrap_or(u32::MAX);
                Some(Node { span: Span { file: id, start: 0, end }, kind: Kind::Str(text.clone(), Style::Quoted) })
            } else {
                value(name, text, sources, diagnostics)
            };
            let Some(node) = node else { continue };
            match inputs::check(input, &node) {
                Ok(()) => {
                    given.inputs.insert(name.clone(), node.to_value());
                }
                Err(error) => {
                    diagnostics.push(error);
                    // So that nobody says besides that it is not there.
                    given.inputs.insert(name.clone(), Value::Null);
                }
            }
        } else if known.iter().any(|k| k == name) {
            if let Some(node) = value(name, text, sources, diagnostics) {
                given.vars.insert(name.clone(), node.to_value());
            }
        } else {
            let mut error = nowhere("P0804", format!("--set {name}: nothing has this name"));
            error.hint = suggest::hint(
                name,
                known.iter().map(String::as_str).chain(runbook.inputs.iter().map(|i| i.name.name.as_str())),
                "inputs and variables",
            )
            .or(Some("declare it under `vars:` or `inputs:` first".to_string()));
            diagnostics.push(error);
        }
    }
    for input in &runbook.inputs {
        let name = &input.name.name;
        if given.inputs.contains_key(name) || sets.iter().any(|(set, _)| set == name) {
            continue;
        }
        match &input.default {
            Some(default) => {
                if default.as_str().is_some_and(template::is_template) {
                    diagnostics.push(
                        Diagnostic::error(
                            "P0308",
                            default.span,
                            format!("the default of `{name}` cannot be a template"),
                        )
                        .hint("compute it under `vars:`, which `--set` can override too"),
                    );
                }
                given.inputs.insert(name.clone(), default.to_value());
            }
            None if input.required => {
                let mut error = Diagnostic::error("P0801", input.name.span, format!("the input `{name}` has no value"))
                    .label("needed");
                error = error.hint(format!("give --set {name}={}", example(input.kind, &input.choices)));
                diagnostics.push(error);
                given.inputs.insert(name.clone(), Value::Null);
            }
            None => {
                given.inputs.insert(name.clone(), Value::Null);
            }
        }
    }
    given
}

fn example(kind: InputKind, choices: &[String]) -> String {
    match kind {
        InputKind::String => "TEXT".to_string(),
        InputKind::Int => "NUMBER".to_string(),
        InputKind::Bool => "true".to_string(),
        InputKind::Choice => choices.join("|"),
    }
}

/// Every variable that anything sets.
fn known(runbook: &Runbook, inventory: Option<&Inventory>) -> Vec<String> {
    let mut names = Vec::new();
    let mut add = |vars: &Vars| names.extend(vars.iter().map(|(k, _)| k.name.clone()));
    add(&runbook.vars);
    if let Some(inventory) = inventory {
        add(&inventory.vars);
        inventory.groups.iter().for_each(|g| add(&g.vars));
        inventory.hosts.iter().for_each(|h| add(&h.vars));
    }
    runbook.sections.iter().flat_map(|s| &s.steps).for_each(|s| add(&s.inherited.vars));
    names.sort();
    names.dedup();
    names
}
