//! Reading a mapping with known keys: every unknown key and every value of the wrong type is said, none stops the rest.

use super::duration;
use super::node::{Key, Kind, Node, Style};
use super::source::{Diagnostic, Span};
use super::suggest;
use super::yaml_scalar::old_boolean;
use std::time::Duration;

/// What a value is, for messages.
pub fn kind_name(kind: &Kind) -> &'static str {
    match kind {
        Kind::Null => "nothing",
        Kind::Bool(_) => "a boolean",
        Kind::Int(_) | Kind::Float(_) => "a number",
        Kind::Str(..) => "a text",
        Kind::Seq(_) => "a list",
        Kind::Map(_) => "a mapping",
    }
}

fn wrong(node: &Node, key: &str, wanted: &str) -> Diagnostic {
    Diagnostic::error("P0302", node.span, format!("`{key}` must be {wanted}"))
        .label(format!("this is {}", kind_name(&node.kind)))
}

/// The entries of a mapping; says so if it is none. Nothing at all counts as empty.
pub fn entries<'n>(node: &'n Node, what: &str, diagnostics: &mut Vec<Diagnostic>) -> &'n [(Key, Node)] {
    match &node.kind {
        Kind::Map(entries) => entries,
        Kind::Null => &[],
        _ => {
            diagnostics.push(wrong(node, what, "a mapping"));
            &[]
        }
    }
}

/// The items of a list; says so if it is none. Nothing at all counts as empty.
pub fn items<'n>(node: &'n Node, what: &str, diagnostics: &mut Vec<Diagnostic>) -> &'n [Node] {
    match &node.kind {
        Kind::Seq(items) => items,
        Kind::Null => &[],
        _ => {
            diagnostics.push(wrong(node, what, "a list"));
            &[]
        }
    }
}

/// Says every key that is not among the known ones.
pub fn known(entries: &[(Key, Node)], known: &[&str], place: &str, diagnostics: &mut Vec<Diagnostic>) {
    for (key, _) in entries {
        if !known.contains(&key.name.as_str()) {
            diagnostics.push(unknown(key, known, place));
        }
    }
}

/// The error for one key that is not known.
pub fn unknown(key: &Key, known: &[&str], place: &str) -> Diagnostic {
    let mut error =
        Diagnostic::error("P0301", key.span, format!("{place} has no key `{}`", key.name)).label("unknown key");
    error.hint = suggest::hint(&key.name, known.iter().copied(), "known keys");
    error
}

/// A text; numbers and booleans are told to be quoted.
pub fn text(node: &Node, key: &str, diagnostics: &mut Vec<Diagnostic>) -> Option<String> {
    match &node.kind {
        Kind::Str(text, _) => Some(text.clone()),
        other => {
            let error = wrong(node, key, "a text");
            diagnostics.push(match other {
                Kind::Int(n) => error.hint(format!("write \"{n}\"")),
                Kind::Bool(b) => error.hint(format!("write \"{b}\"")),
                Kind::Float(f) => error.hint(format!("write \"{f}\"")),
                _ => error,
            });
            None
        }
    }
}

/// `true` or `false`; `yes`, `on` and the like get their own message.
pub fn boolean(node: &Node, key: &str, diagnostics: &mut Vec<Diagnostic>) -> Option<bool> {
    match &node.kind {
        Kind::Bool(value) => Some(*value),
        Kind::Str(text, style) => {
            diagnostics.push(match old_boolean(text) {
                Some(value) if *style == Style::Plain => not_boolean(node.span, text, value),
                _ => wrong(node, key, "true or false"),
            });
            None
        }
        _ => {
            diagnostics.push(wrong(node, key, "true or false"));
            None
        }
    }
}

/// The error for a `yes` where a boolean is expected.
pub fn not_boolean(span: Span, text: &str, value: bool) -> Diagnostic {
    Diagnostic::error("P0303", span, format!("`{text}` is a text, not a boolean"))
        .label("in YAML 1.2")
        .hint(format!("write {value}"))
}

/// A whole number within a range.
pub fn integer(
    node: &Node,
    key: &str,
    range: std::ops::RangeInclusive<i64>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<i64> {
    match &node.kind {
        Kind::Int(n) if range.contains(n) => Some(*n),
        Kind::Int(n) => {
            diagnostics.push(Diagnostic::error("P0304", node.span, format!("`{key}` cannot be {n}")).label(format!(
                "from {} to {}",
                range.start(),
                range.end()
            )));
            None
        }
        _ => {
            diagnostics.push(wrong(node, key, "a whole number"));
            None
        }
    }
}

/// A text, or a list of texts, each with its place.
pub fn texts(node: &Node, key: &str, diagnostics: &mut Vec<Diagnostic>) -> Vec<(String, Span)> {
    match &node.kind {
        Kind::Str(text, _) => vec![(text.clone(), node.span)],
        Kind::Seq(items) => items.iter().filter_map(|i| Some((text(i, key, diagnostics)?, i.span))).collect(),
        _ => {
            diagnostics.push(wrong(node, key, "a text or a list of texts"));
            Vec::new()
        }
    }
}

/// A duration: `3s`, `2m`, `1h30m`, `500ms`, or a whole number of seconds.
pub fn time(node: &Node, key: &str, diagnostics: &mut Vec<Diagnostic>) -> Option<Duration> {
    let value = match &node.kind {
        Kind::Int(n) => u64::try_from(*n).ok().map(Duration::from_secs),
        Kind::Str(text, _) => duration::parse(text),
        _ => None,
    };
    if value.is_none() {
        let shown = match &node.kind {
            Kind::Str(text, _) => format!("`{text}` is not a duration"),
            _ => format!("`{key}` must be a duration"),
        };
        diagnostics.push(
            Diagnostic::error("P0305", node.span, shown)
                .hint("write 30s, 2m, 1h30m or 500ms; a bare number counts seconds"),
        );
    }
    value
}

/// One word of a closed list.
pub fn word<T: Copy>(node: &Node, key: &str, words: &[(&str, T)], diagnostics: &mut Vec<Diagnostic>) -> Option<T> {
    let text = text(node, key, diagnostics)?;
    if let Some((_, value)) = words.iter().find(|(w, _)| *w == text) {
        return Some(*value);
    }
    let mut error = Diagnostic::error("P0306", node.span, format!("`{key}` cannot be `{text}`"));
    error.hint = suggest::hint(&text, words.iter().map(|(w, _)| *w), "it is one of");
    diagnostics.push(error);
    None
}

/// A variable's name, which templates and expressions can both say.
pub fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// `[a-z][a-z0-9_-]*`.
pub fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-')
}

/// Names at the top level of a scope that are not variables.
pub const NAMESPACES: &[&str] = &["host", "roles", "guests", "facts", "out", "item", "secrets", "inputs"];

/// The variables of a `vars:` mapping.
pub fn variables(node: &Node, diagnostics: &mut Vec<Diagnostic>) -> Vec<(Key, Node)> {
    let mut vars = Vec::new();
    for (key, value) in entries(node, "vars", diagnostics) {
        if NAMESPACES.contains(&key.name.as_str()) {
            diagnostics.push(
                Diagnostic::error(
                    "P0307",
                    key.span,
                    format!("`{}` is a namespace of its own, not a variable", key.name),
                )
                .hint("choose another name"),
            );
        } else if !is_variable(&key.name) {
            diagnostics.push(
                Diagnostic::error("P0307", key.span, format!("`{}` cannot be the name of a variable", key.name))
                    .hint("letters, digits and `_`, not beginning with a digit: conditions take `-` for minus"),
            );
        } else {
            vars.push((key.clone(), value.clone()));
        }
    }
    vars
}
