//! One step of a runbook file: exactly one module, and the keys that every step has.

use super::ansible::{self, At};
use super::fields::{self, boolean, integer, is_variable, text, time};
use super::node::{Key, Kind, Node};
use super::runbook::{Inherited, RawStep};
use super::runbook_file::Loader;
use super::source::Diagnostic;
use super::suggest;
use crate::modules::table;

/// The keys of a step beside its module.
pub const KEYS: &[&str] = &[
    "id",
    "name",
    "hosts",
    "when",
    "vars",
    "register",
    "loop",
    "until",
    "retries",
    "delay",
    "become",
    "become_user",
    "tags",
    "ignore_errors",
    "changed_when",
    "failed_when",
    "no_log",
    "run_once",
    "timeout",
    "confirm_within",
    "durable",
];

/// Reads a step; `None` if it has no module.
pub(super) fn step(loader: &mut Loader<'_>, node: &Node, around: &Inherited) -> Option<RawStep> {
    let Kind::Map(entries) = &node.kind else { return None };
    let first = entries.first().map_or(node.span, |(k, _)| k.span);
    let mut module: Option<(&'static dyn crate::modules::Erased, &Key, &Node)> = None;
    let mut strange = false;
    for (key, value) in entries {
        if KEYS.contains(&key.name.as_str()) {
            continue;
        }
        let Some(found) = table::find(&key.name) else {
            strange = true;
            let error = unknown(key, module.is_some());
            loader.diagnostics.push(error);
            continue;
        };
        if let Some((_, other, _)) = module {
            loader.diagnostics.push(
                Diagnostic::error(
                    "P0314",
                    key.span,
                    format!("a step has one module, this one has `{}` and `{}`", other.name, key.name),
                )
                .label("second module")
                .also(other.span, "first module")
                .hint("make two steps of it"),
            );
            continue;
        }
        module = Some((found, key, value));
    }
    let mut inherited = around.clone();
    loader.inherit(node, &mut inherited, At::Step);
    let condition = |loader: &mut Loader<'_>, key: &str| {
        let list = node.get(key).map(|n| loader.conditions(n, key)).unwrap_or_default();
        super::expr::Expr::all(&list)
    };
    let until = condition(loader, "until");
    let changed_when = condition(loader, "changed_when");
    let failed_when = condition(loader, "failed_when");
    let each = node.get("loop").and_then(|n| each(loader, n));
    let d = &mut *loader.diagnostics;
    let flag = |key: &str, d: &mut Vec<Diagnostic>| node.get(key).and_then(|n| boolean(n, key, d)).unwrap_or(false);
    let register = node.get("register").and_then(|n| Some((text(n, "register", d)?, n.span)));
    if let Some((name, span)) = &register
        && !is_variable(name)
    {
        d.push(
            Diagnostic::error("P0307", *span, format!("`{name}` cannot be registered"))
                .hint("letters, digits and `_`: it is read as `out.NAME`"),
        );
    }
    let id = node.get("id").and_then(|n| Some((text(n, "id", d)?, n.span)));
    if let Some((id, span)) = &id
        && (id.is_empty() || !id.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c)))
    {
        d.push(
            Diagnostic::error("P0307", *span, format!("`{id}` cannot be an id"))
                .hint("letters, digits, `-`, `_`, `.` and `/`"),
        );
    }
    let name = node.get("name").filter(|n| text(n, "name", d).is_some()).cloned();
    let retries =
        node.get("retries").and_then(|n| integer(n, "retries", 0..=10_000, d)).and_then(|n| u32::try_from(n).ok());
    let delay = node.get("delay").and_then(|n| time(n, "delay", d));
    let timeout = node.get("timeout").and_then(|n| time(n, "timeout", d));
    let confirm_within = node.get("confirm_within").and_then(|n| super::confirm::read(n, d));
    let (ignore_errors, no_log, run_once) = (flag("ignore_errors", d), flag("no_log", d), flag("run_once", d));
    let durable = flag("durable", d);
    let Some((module, module_key, params)) = module else {
        if !strange {
            let names: Vec<&str> = table::names().collect();
            d.push(
                Diagnostic::error("P0313", first, "this step does nothing")
                    .label("no module")
                    .hint(format!("add one of: {}", names.join(", "))),
            );
        }
        return None;
    };
    if durable && !matches!(module.name(), "command" | "script") {
        let span = node.get("durable").map_or(first, |n| n.span);
        loader.diagnostics.push(
            Diagnostic::error("P0301", span, format!("a `{}` step has no key `durable`", module.name()))
                .label("only `command` and `script` have it")
                .hint("leave it out: tasks of Proxmox run on by themselves, and other steps are short"),
        );
    }
    Some(RawStep {
        span: first,
        id,
        name,
        module,
        module_key: module_key.clone(),
        params: params.clone(),
        inherited,
        register,
        each,
        until,
        retries,
        delay,
        timeout,
        confirm_within,
        ignore_errors,
        changed_when,
        failed_when,
        no_log,
        run_once,
        durable,
    })
}

/// `loop:`: a list, a template that is one expression, or an expression.
fn each(loader: &mut Loader<'_>, node: &Node) -> Option<Node> {
    match &node.kind {
        Kind::Seq(_) => Some(node.clone()),
        Kind::Str(text, _) if super::template::is_template(text) => Some(node.clone()),
        Kind::Str(..) => loader.expression(node, "loop").map(|_| node.clone()),
        _ => {
            loader.diagnostics.push(
                Diagnostic::error("P0315", node.span, "`loop` must be a list")
                    .label(format!("this is {}", fields::kind_name(&node.kind)))
                    .hint("write `loop: [a, b]`, or an expression that gives a list: `loop: out.x.items`"),
            );
            None
        }
    }
}

fn unknown(key: &Key, has_module: bool) -> Diagnostic {
    if let Some(instead) = ansible::instead(&key.name, At::Step) {
        return Diagnostic::error("P0312", key.span, format!("`{}` is Ansible's, a step has no such key", key.name))
            .label("not here")
            .hint(instead);
    }
    if matches!(key.name.as_str(), "section" | "steps" | "checkpoint" | "on_failure") {
        return Diagnostic::error("P0301", key.span, format!("a step has no key `{}`", key.name))
            .label("unknown key")
            .hint("this belongs to a section, under `sections:`");
    }
    let names: Vec<&str> = table::names().chain(KEYS.iter().copied()).chain(["include"]).collect();
    let near = suggest::nearest(&key.name, names.iter().copied());
    let mut error = if has_module || near.is_some_and(|n| KEYS.contains(&n)) {
        Diagnostic::error("P0301", key.span, format!("a step has no key `{}`", key.name)).label("unknown key")
    } else {
        Diagnostic::error("P0316", key.span, format!("there is no module `{}`", key.name)).label("unknown module")
    };
    error.hint = near.map_or_else(
        || {
            Some(if has_module {
                format!("a step has: {}", KEYS.join(", "))
            } else {
                format!("modules: {}", table::names().collect::<Vec<_>>().join(", "))
            })
        },
        |n| Some(format!("did you mean `{n}`?")),
    );
    error
}
