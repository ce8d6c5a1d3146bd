//! Parameters of modules: what serde and the modules say about them, put at the right place in the file.

use crate::load::fields::not_boolean;
use crate::load::node::{Key, Kind, Node, Style};
use crate::load::runbook::RawStep;
use crate::load::source::{Diagnostic, Span};
use crate::load::suggest;
use crate::load::yaml_scalar::old_boolean;
use crate::modules::{Instance, ParamError};
use serde_json::Value;

/// Checks the keys of the parameters against the module's schema. False if one is unknown.
pub fn keys(raw: &RawStep, diagnostics: &mut Vec<Diagnostic>) -> bool {
    let Kind::Map(entries) = &raw.params.kind else { return true };
    let schema = raw.module.schema();
    let Some(Value::Object(properties)) = schema.get("properties") else { return true };
    let mut fine = true;
    for (key, _) in entries.iter().filter(|(k, _)| !properties.contains_key(&k.name)) {
        diagnostics.push(unknown(raw, key.span, &key.name, properties.keys().map(String::as_str)));
        fine = false;
    }
    fine
}

/// The module's parameters, if they fit.
pub fn parse(raw: &RawStep, value: Value, diagnostics: &mut Vec<Diagnostic>) -> Option<Box<dyn Instance>> {
    let instance = match raw.module.parse(value) {
        Ok(instance) => instance,
        Err(error) => {
            diagnostics.push(explain(raw, &error));
            return None;
        }
    };
    let problems = instance.validate();
    let fine = problems.is_empty();
    for problem in problems {
        let span = if problem.at.is_empty() { raw.module_key.span } else { place(raw, &problem.at) };
        let mut diagnostic = Diagnostic::error("P0504", span, format!("`{}`: {}", raw.module.name(), problem.message));
        diagnostic.hint = problem.hint;
        diagnostics.push(diagnostic);
    }
    fine.then_some(instance)
}

/// The value at a path; the module's key where the path leads to nothing of its own.
fn place(raw: &RawStep, path: &[String]) -> Span {
    let node = raw.params.at(path);
    if std::ptr::eq(node, &raw const raw.params) && matches!(node.kind, Kind::Map(_) | Kind::Null) {
        raw.module_key.span
    } else {
        node.span
    }
}

fn unknown<'a>(raw: &RawStep, span: Span, name: &str, known: impl Iterator<Item = &'a str>) -> Diagnostic {
    let known: Vec<&str> = known.collect();
    let mut error = Diagnostic::error("P0501", span, format!("`{}` has no parameter `{name}`", raw.module.name()))
        .label("unknown parameter");
    error.hint =
        if suggest::nearest(name, known.iter().copied()).is_none() && crate::load::step_file::KEYS.contains(&name) {
            Some(format!("`{name}` belongs to the step: indent it as deep as `{}`", raw.module.name()))
        } else {
            suggest::hint(name, known, "parameters")
        };
    error
}

/// Words in backquotes of a message of serde.
fn quoted(message: &str) -> Vec<&str> {
    message.split('`').skip(1).step_by(2).collect()
}

fn key_at<'n>(node: &'n Node, name: &str) -> Option<&'n Key> {
    let Kind::Map(entries) = &node.kind else { return None };
    entries.iter().find(|(k, _)| k.name == name).map(|(k, _)| k)
}

fn explain(raw: &RawStep, error: &ParamError) -> Diagnostic {
    let module = raw.module.name();
    let words = quoted(&error.message);
    let node = raw.params.at(&error.at);
    if error.message.starts_with("unknown field")
        && let Some((name, known)) = words.split_first()
    {
        // The path may end at the field or at the mapping that holds it.
        let parent = error
            .at
            .split_last()
            .map_or(&raw.params, |(last, rest)| if last == name { raw.params.at(rest) } else { node });
        let span = key_at(parent, name).map_or(node.span, |k| k.span);
        return unknown(raw, span, name, known.iter().copied());
    }
    if error.message.starts_with("missing field")
        && let Some(name) = words.first()
    {
        let span = if error.at.is_empty() { raw.module_key.span } else { place(raw, &error.at) };
        return Diagnostic::error("P0502", span, format!("`{module}` needs `{name}`"))
            .label("not given")
            .hint(format!("add `{name}:`; `piton modules {module}` shows examples"));
    }
    let field = error.at.iter().rev().find(|p| p.parse::<usize>().is_err());
    let what = field.map_or_else(|| format!("`{module}`"), |f| format!("`{module}.{f}`"));
    let span = place(raw, &error.at);
    if let Kind::Str(text, Style::Plain) = &node.kind
        && error.message.contains("expected a boolean")
        && let Some(value) = old_boolean(text)
    {
        return not_boolean(span, text, value);
    }
    let message = humane(&error.message);
    let mut diagnostic = Diagnostic::error("P0503", span, format!("{what}: {message}"));
    diagnostic.hint = if let (Kind::Int(n), Some("mode")) = (&node.kind, field.map(String::as_str)) {
        Some(format!("modes are quoted texts: \"{n:0>4}\""))
    } else if error.message.contains("expected a string") {
        match &node.kind {
            Kind::Int(n) => Some(format!("quote it: \"{n}\"")),
            Kind::Bool(b) => Some(format!("quote it: \"{b}\"")),
            Kind::Float(f) => Some(format!("quote it: \"{f}\"")),
            _ => None,
        }
    } else if error.message.starts_with("unknown variant") {
        words.split_first().and_then(|(written, known)| suggest::hint(written, known.iter().copied(), "it is one of"))
    } else {
        None
    };
    diagnostic
}

/// Serde's words for types as people say them.
fn humane(message: &str) -> String {
    let mut text = message.to_string();
    for (from, to) in [
        ("invalid type: ", "this is "),
        ("invalid value: ", "this is "),
        ("invalid length ", "this has the length "),
        (", expected ", ", it must be "),
        ("integer `", "the number `"),
        ("floating point `", "the number `"),
        ("boolean `", "the boolean `"),
        ("string \"", "the text \""),
        ("a string", "a text"),
        ("a sequence", "a list"),
        ("sequence", "a list"),
        ("a map", "a mapping"),
        ("map,", "a mapping,"),
        ("null,", "nothing,"),
        ("unit value", "nothing"),
    ] {
        text = text.replace(from, to);
    }
    if let Some(at) = text.find("struct ") {
        let end = text[at + 7..].find([' ', ',']).map_or(text.len(), |e| at + 7 + e);
        text.replace_range(at..end, "a mapping of parameters");
    }
    if let Some(rest) = text.strip_prefix("unknown variant ") {
        let word = rest.split(',').next().unwrap_or(rest);
        return format!("it cannot be {word}");
    }
    text
}
