//! Handlebars, strict: texts in runbooks and template files.
//!
//! Templates fill text, expressions decide. Every name is checked before anything is rendered (see
//! [`super::template_names`]), because `{{#if undefined}}` is silently false even in strict mode. `\{{` stays `{{`:
//! docker's own braces.

use super::node::{Kind, Node};
use super::source::Diagnostic;
use super::{template_helpers, template_names};
use handlebars::template::{Parameter, Template, TemplateElement};
use handlebars::{Context, Handlebars, Path, PathSeg, RenderContext, RenderError, RenderErrorReason, Renderable};
use serde_json::Value;
use std::sync::OnceLock;

/// Deepest nesting of blocks and parentheses.
const DEPTH: usize = 48;

/// Why a text is no template, with line and column from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TemplateProblem {
    /// One line.
    pub message: String,
    /// Line and column in the text, if known.
    pub at: Option<(usize, usize)>,
}

fn registry() -> &'static Handlebars<'static> {
    static REGISTRY: OnceLock<Handlebars<'static>> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let mut registry = Handlebars::new();
        registry.set_strict_mode(true);
        registry.register_escape_fn(handlebars::no_escape);
        template_helpers::register(&mut registry);
        registry
    })
}

/// True if a text has anything to render.
pub fn is_template(text: &str) -> bool {
    text.contains("{{")
}

/// Parses a text.
///
/// # Errors
/// [`TemplateProblem`] for a syntax error, and for nesting that no honest template has.
pub fn parse(text: &str) -> Result<Template, TemplateProblem> {
    let (mut blocks, mut parens) = (0usize, 0usize);
    for (at, c) in text.char_indices() {
        match c {
            '{' if text[at..].starts_with("{{#") || text[at..].starts_with("{{~#") => blocks += 1,
            '{' if text[at..].starts_with("{{/") || text[at..].starts_with("{{~/") => blocks = blocks.saturating_sub(1),
            '(' | '[' => parens += 1,
            ')' | ']' => parens = parens.saturating_sub(1),
            '}' if text[at..].starts_with("}}") => parens = 0,
            _ => {}
        }
        if blocks > DEPTH || (parens > DEPTH && text[..at].contains("{{")) {
            return Err(TemplateProblem { message: format!("nested deeper than {DEPTH} levels"), at: None });
        }
    }
    Template::compile(text).map_err(|error| {
        if let Some(unclosed) = unclosed(text) {
            return unclosed;
        }
        let message = match error.reason() {
            handlebars::TemplateErrorReason::InvalidSyntax(_) => "this template cannot be read".to_string(),
            other => other.to_string().replace('"', "`"),
        };
        TemplateProblem { message, at: error.pos() }
    })
}

/// The likeliest mistakes, which the parser reports at the end of the text only: `{{#if x}}` without `{{/if}}`, `{{` without
/// `}}`.
fn unclosed(text: &str) -> Option<TemplateProblem> {
    let place = |at: usize| {
        let before = &text[..at];
        (before.matches('\n').count() + 1, before.rsplit('\n').next().unwrap_or("").chars().count() + 1)
    };
    let mut open: Vec<(&str, usize)> = Vec::new();
    let mut at = 0;
    while let Some(found) = text[at..].find("{{") {
        let start = at + found;
        at = start + 2;
        if text[..start].ends_with('\\') {
            continue;
        }
        let Some(end) = text[start..].find("}}") else {
            return Some(TemplateProblem { message: "this `{{` is never closed".to_string(), at: Some(place(start)) });
        };
        let inner = text[start + 2..start + end].trim_start_matches('~').trim();
        at = start + end + 2;
        if let Some(block) = inner.strip_prefix('#') {
            open.push((block.split_whitespace().next().unwrap_or(""), start));
        } else if let Some(name) = inner.strip_prefix('/') {
            let name = name.trim_end_matches('~').trim();
            match open.pop() {
                Some((opened, _)) if opened == name => {}
                Some((opened, from)) => {
                    let message = format!("`{{{{#{opened}}}}}` is closed by `{{{{/{name}}}}}`");
                    return Some(TemplateProblem { message, at: Some(place(from)) });
                }
                None => {
                    let message = format!("`{{{{/{name}}}}}` closes nothing");
                    return Some(TemplateProblem { message, at: Some(place(start)) });
                }
            }
        }
    }
    let (name, from) = open.pop()?;
    Some(TemplateProblem { message: format!("`{{{{#{name}}}}}` is never closed"), at: Some(place(from)) })
}

/// The path of a template that is one expression and nothing else.
pub(super) fn single(template: &Template) -> Option<&Path> {
    let [TemplateElement::Expression(expression) | TemplateElement::HtmlExpression(expression)] =
        template.elements.as_slice()
    else {
        return None;
    };
    if !expression.params.is_empty() || !expression.hash.is_empty() || expression.block {
        return None;
    }
    match &expression.name {
        Parameter::Path(path) => Some(path),
        _ => None,
    }
}

/// The keys of a path from the top of the scope; `None` for `@index`, `../x` and the like.
pub(super) fn keys(path: &Path) -> Option<Vec<&str>> {
    let Path::Relative((segments, _)) = path else { return None };
    segments
        .iter()
        .map(|segment| match segment {
            PathSeg::Named(name) => Some(name.as_str()),
            _ => None,
        })
        .collect()
}

/// The value at a path of keys.
pub(super) fn lookup<'v>(scope: &'v Value, keys: &[&str]) -> Option<&'v Value> {
    keys.iter().try_fold(scope, |value, key| match value {
        Value::Object(map) => map.get(*key),
        Value::Array(items) => key.parse::<usize>().ok().and_then(|i| items.get(i)),
        _ => None,
    })
}

/// Renders one text: a text that is one path and nothing else becomes the value itself.
///
/// # Errors
/// One line.
pub fn text(text: &str, scope: &Value) -> Result<Value, TemplateProblem> {
    if !is_template(text) {
        return Ok(text.into());
    }
    // White space around it is part of a text: `"{{ key }}\n"` is a line, not the value.
    let template = parse(text)?;
    if let Some(keys) = single(&template).and_then(keys) {
        if let [name] = keys.as_slice()
            && template_helpers::is_helper(name)
        {
            // A helper without parameters: let it complain.
        } else if !keys.is_empty() {
            return lookup(scope, &keys)
                .cloned()
                .ok_or_else(|| TemplateProblem { message: format!("`{}` is not defined", keys.join(".")), at: None });
        }
    }
    // Blanks around an expression are part of a text.
    let outer = if text.len() == text.trim().len() { template } else { parse(text)? };
    whole(&outer, text, scope).map(Value::from)
}

/// Renders a parsed template.
fn whole(template: &Template, text: &str, scope: &Value) -> Result<String, TemplateProblem> {
    let context = Context::wraps(part(text, scope)).map_err(|e| problem(&e))?;
    template.renders(registry(), &context, &mut RenderContext::new(None)).map_err(|e| problem(&e))
}

/// The part of the scope that a template uses: handlebars copies what it is given, and scopes hold every guest.
fn part(text: &str, scope: &Value) -> Value {
    // Names that are computed, or relative to the whole scope.
    if ["@root", "this", "lookup"].iter().any(|word| text.contains(word)) {
        return scope.clone();
    }
    let (Value::Object(map), Ok(found)) = (scope, template_names::names(text)) else { return scope.clone() };
    let used = |name: &String| found.names.iter().any(|n| n.path.first() == Some(name));
    Value::Object(
        map.iter().filter(|(name, _)| used(name)).map(|(name, value)| (name.clone(), value.clone())).collect(),
    )
}

fn problem(error: &RenderError) -> TemplateProblem {
    let message = match error.reason() {
        RenderErrorReason::MissingVariable(Some(name)) => format!("`{name}` is not defined"),
        RenderErrorReason::MissingVariable(None) => "a name in it is not defined".to_string(),
        RenderErrorReason::HelperNotFound(name) => format!("there is no helper `{name}`"),
        other => other.to_string(),
    };
    TemplateProblem { message, at: error.line_no.zip(error.column_no) }
}

/// Renders every string in the tree. A string that is one expression and nothing else (`"{{ port }}"`) becomes the
/// value itself with its type; any other is a text.
///
/// # Errors
/// A diagnostic that points at the string.
pub fn render(node: &Node, scope: &Value) -> Result<Value, Diagnostic> {
    Ok(match &node.kind {
        Kind::Str(written, _) if is_template(written) => text(written, scope).map_err(|problem| {
            let shown: String = written.trim().chars().take(60).collect();
            Diagnostic::error("P0403", node.span, format!("`{shown}` cannot be rendered: {}", problem.message))
        })?,
        Kind::Seq(items) => Value::Array(items.iter().map(|item| render(item, scope)).collect::<Result<_, _>>()?),
        Kind::Map(entries) => Value::Object(
            entries
                .iter()
                .map(|(key, value)| Ok((key.name.clone(), render(value, scope)?)))
                .collect::<Result<_, Diagnostic>>()?,
        ),
        _ => node.to_value(),
    })
}

/// Renders every string of a plain value, as [`render`] does.
///
/// # Errors
/// [`TemplateProblem`] of the first string that cannot be rendered.
pub fn render_value(value: &Value, scope: &Value) -> Result<Value, TemplateProblem> {
    Ok(match value {
        Value::String(written) => text(written, scope)?,
        Value::Array(items) => {
            Value::Array(items.iter().map(|item| render_value(item, scope)).collect::<Result<_, _>>()?)
        }
        Value::Object(map) => Value::Object(
            map.iter()
                .map(|(k, v)| Ok((k.clone(), render_value(v, scope)?)))
                .collect::<Result<_, TemplateProblem>>()?,
        ),
        other => other.clone(),
    })
}

/// Renders the content of a template file. Errors name the line and column in that file.
///
/// # Errors
/// One line with `line:col`.
pub fn render_file(name: &str, text: &str, scope: &Value) -> Result<String, String> {
    let fail = |p: TemplateProblem| match p.at {
        Some((line, column)) => format!("{name}:{line}:{column}: {}", p.message),
        None => format!("{name}: {}", p.message),
    };
    if !is_template(text) {
        return Ok(text.to_string());
    }
    let template = parse(text).map_err(fail)?;
    whole(&template, text, scope).map_err(fail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn scope() -> Value {
        json!({"port": 8080, "name": "a", "on": true, "list": [1, 2], "host": {"name": "pve"}, "roles": {"dmz": {"bridge": "vmbr2"}}, "my-host": "x"})
    }

    #[test]
    fn a_single_expression_keeps_its_type() {
        let scope = scope();
        assert_eq!(text("{{ port }}", &scope), Ok(json!(8080)));
        assert_eq!(text("{{on}}", &scope), Ok(json!(true)));
        assert_eq!(text("{{ list }}", &scope), Ok(json!([1, 2])));
        assert_eq!(text("{{ list.1 }}", &scope), Ok(json!(2)));
        assert_eq!(text("{{ roles.dmz.bridge }}", &scope), Ok(json!("vmbr2")));
        assert_eq!(text("p{{ port }}", &scope), Ok(json!("p8080")));
        assert_eq!(text("{{ port }}{{ name }}", &scope), Ok(json!("8080a")));
        assert_eq!(text("plain", &scope), Ok(json!("plain")));
    }

    #[test]
    fn nothing_is_escaped_but_what_says_so() {
        let scope = json!({"x": "<&\"'>"});
        assert_eq!(text("a {{ x }}", &scope), Ok(json!("a <&\"'>")));
        assert_eq!(
            text(r"docker ps --format '\{{.Names}}' {{ x }}", &scope),
            Ok(json!("docker ps --format '{{.Names}}' <&\"'>"))
        );
        assert_eq!(text(r"docker ps --format '\{{.Names}}'", &scope), Ok(json!("docker ps --format '{{.Names}}'")));
    }

    #[test]
    fn undefined_and_broken_are_errors() {
        let scope = scope();
        assert_eq!(text("{{ prot }}", &scope).unwrap_err().message, "`prot` is not defined");
        assert_eq!(text("x {{ prot }}", &scope).unwrap_err().message, "`prot` is not defined");
        assert!(text("x {{ port", &scope).is_err());
        assert!(text("{{#if on}}x", &scope).is_err());
        assert_eq!(text("x {{ nope port }}", &scope).unwrap_err().message, "there is no helper `nope`");
    }

    #[test]
    fn deep_nesting_ends() {
        assert!(parse(&"{{#if a}}".repeat(100_000)).is_err());
        assert!(parse(&format!("{{{{ a {} }}}}", "(".repeat(100_000))).is_err());
        assert!(parse(&format!("{{{{ a {} }}}}", "[".repeat(100_000))).is_err());
    }

    #[test]
    fn files_name_the_line() {
        assert_eq!(
            render_file("x.hbs", "a\n{{ prot }}\n", &scope()),
            Err("x.hbs:2:1: `prot` is not defined".to_string())
        );
        assert_eq!(render_file("x.hbs", "a {{#each list}}{{this}},{{/each}}\n", &scope()), Ok("a 1,2,\n".to_string()));
    }
}
