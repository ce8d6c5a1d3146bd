//! What is allowed and probably not meant, and secrets where other people of the host could read them.

use super::{CheckpointMode, Section};
use crate::load::inventory::Inventory;
use crate::load::node::{Kind, Node};
use crate::load::runbook::{RawStep, Runbook};
use crate::load::source::{Diagnostic, Severity};
use crate::load::template_names;
use crate::modules::table;

/// Adds warnings and errors.
pub fn lint(runbook: &Runbook, sections: &[Section], inventory: &Inventory, diagnostics: &mut Vec<Diagnostic>) {
    for (raw, section) in runbook.sections.iter().zip(sections) {
        if section.checkpoint == CheckpointMode::Never {
            let mut guests: Vec<&str> = Vec::new();
            let changing = section
                .steps
                .iter()
                .filter(|s| !matches!(s.module.name(), "assert" | "wait" | "http" | "prompt" | "fetch"));
            for host in changing.flat_map(|s| &s.hosts) {
                if inventory.host(host).is_some_and(|h| h.vmid().is_some()) && !guests.contains(&host.as_str()) {
                    guests.push(host);
                }
            }
            if let (false, Some(span)) = (guests.is_empty(), raw.checkpoint_span) {
                diagnostics.push(warning(
                    Diagnostic::error(
                        "P0701",
                        span,
                        format!("{} may be changed without a checkpoint", guests.join(", ")),
                    )
                    .hint("without one there is no way back by snapshot: leave `checkpoint:` out where you can"),
                ));
            }
        }
        for step in &raw.steps {
            if step.module.name() == "command" || step.module.name() == "script" {
                secret_in_argv(step, diagnostics);
            }
            if step.module.name() == "command" {
                service_by_hand(step, diagnostics);
            }
        }
    }
}

fn warning(mut diagnostic: Diagnostic) -> Diagnostic {
    diagnostic.severity = Severity::Warning;
    diagnostic
}

/// A secret in the words of a command can be read by every user of the host, in `/proc`.
fn secret_in_argv(step: &RawStep, diagnostics: &mut Vec<Diagnostic>) {
    let texts: Vec<&Node> = match &step.params.kind {
        Kind::Map(entries) => {
            entries.iter().filter(|(k, _)| k.name != "env" && k.name != "stdin").map(|(_, v)| v).collect()
        }
        _ => vec![&step.params],
    };
    for node in texts {
        leaves(node, &mut |leaf, text| {
            let Ok(found) = template_names::names(text) else { return };
            if let Some(name) = found.names.iter().find(|n| n.path[0] == "secrets") {
                let name = name.path.get(1).map_or("x", String::as_str);
                diagnostics.push(
                    Diagnostic::error(
                        "P0702",
                        leaf.span,
                        format!("the secret `{name}` would stand in the arguments of a command"),
                    )
                    .label("every user of the host can read this while it runs")
                    .hint(format!(
                        "pass it by `env: {{ {}: \"{{{{ secrets.{name} }}}}\" }}` or by `stdin:`",
                        name.to_uppercase()
                    )),
                );
            }
        });
    }
}

fn leaves(node: &Node, each: &mut dyn FnMut(&Node, &str)) {
    match &node.kind {
        Kind::Str(text, _) => each(node, text),
        Kind::Seq(items) => items.iter().for_each(|n| leaves(n, each)),
        Kind::Map(entries) => entries.iter().for_each(|(_, n)| leaves(n, each)),
        _ => {}
    }
}

/// `systemctl restart x` and the like: the module knows whether there is anything to do.
fn service_by_hand(step: &RawStep, diagnostics: &mut Vec<Diagnostic>) {
    if table::find("service").is_none() {
        return;
    }
    let words: Vec<&str> = match &step.params.kind {
        Kind::Str(text, _) => text.split_whitespace().collect(),
        Kind::Map(_) => match step.params.get("argv").or(step.params.get("cmd")).map(|n| &n.kind) {
            Some(Kind::Seq(items)) => items.iter().filter_map(Node::as_str).collect(),
            Some(Kind::Str(text, _)) => text.split_whitespace().collect(),
            _ => return,
        },
        _ => return,
    };
    if let ["systemctl", verb @ ("start" | "restart" | "stop" | "enable" | "disable" | "reload"), unit] =
        words.as_slice()
    {
        let state = match *verb {
            "start" => "state: started",
            "stop" => "state: stopped",
            "restart" => "state: restarted",
            "reload" => "state: reloaded",
            "enable" => "enabled: true",
            _ => "enabled: false",
        };
        diagnostics.push(warning(
            Diagnostic::error(
                "P0703",
                step.params.span,
                "`service` does this, and knows whether there is anything to do",
            )
            .hint(format!("write `service: {{ name: {unit}, {state} }}`")),
        ));
    }
}
