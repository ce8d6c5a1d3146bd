//! `inputs:`: what the operator, or the including step, has to give.

use super::fields::{boolean, entries, is_variable, kind_name, known, text, texts, word};
use super::node::{Kind, Node};
use super::runbook::{Input, InputKind};
use super::source::{Diagnostic, Span};
use super::suggest;

const KEYS: &[&str] = &["type", "choices", "default", "prompt", "description", "required", "pattern"];
const TYPES: &[(&str, InputKind)] =
    &[("string", InputKind::String), ("int", InputKind::Int), ("bool", InputKind::Bool), ("choice", InputKind::Choice)];

/// Reads the declarations.
pub fn declared(node: &Node, diagnostics: &mut Vec<Diagnostic>) -> Vec<Input> {
    let mut inputs = Vec::new();
    for (key, value) in entries(node, "inputs", diagnostics) {
        if !is_variable(&key.name) {
            diagnostics.push(
                Diagnostic::error("P0307", key.span, format!("`{}` cannot be the name of an input", key.name))
                    .hint("letters, digits and `_`"),
            );
        }
        let fields = entries(value, &key.name, diagnostics);
        known(fields, KEYS, "an input", diagnostics);
        let choices: Vec<String> = value
            .get("choices")
            .map(|n| texts(n, "choices", diagnostics))
            .unwrap_or_default()
            .into_iter()
            .map(|(t, _)| t)
            .collect();
        let mut kind = value.get("type").and_then(|n| word(n, "type", TYPES, diagnostics));
        if kind.is_none() && !choices.is_empty() {
            kind = Some(InputKind::Choice);
        }
        let kind = kind.unwrap_or(InputKind::String);
        if kind == InputKind::Choice && choices.is_empty() {
            diagnostics.push(
                Diagnostic::error("P0308", key.span, format!("the input `{}` is a choice of nothing", key.name))
                    .hint("write `choices: [a, b]`"),
            );
        }
        let default = value.get("default").cloned();
        let required =
            value.get("required").and_then(|n| boolean(n, "required", diagnostics)).unwrap_or(default.is_none());
        let input = Input {
            name: key.clone(),
            kind,
            choices,
            prompt: value.get("prompt").and_then(|n| text(n, "prompt", diagnostics)),
            description: value.get("description").and_then(|n| text(n, "description", diagnostics)),
            required,
            pattern: value.get("pattern").and_then(|n| text(n, "pattern", diagnostics)),
            default,
        };
        if let Some(default) = &input.default
            && let Err(mut error) = check(&input, default)
        {
            error.message = format!("the default of `{}`: {}", key.name, error.message);
            diagnostics.push(error);
        }
        inputs.push(input);
    }
    inputs
}

/// Checks a value against its declaration.
///
/// # Errors
/// A diagnostic that points at the value.
pub fn check(input: &Input, value: &Node) -> Result<(), Diagnostic> {
    let wrong = |wanted: &str| {
        Diagnostic::error("P0802", value.span, format!("the input `{}` must be {wanted}", input.name.name))
            .label(format!("this is {}", kind_name(&value.kind)))
            .also(input.name.span, "declared here")
    };
    let fits = match (input.kind, &value.kind) {
        (InputKind::String | InputKind::Choice, Kind::Str(..))
        | (InputKind::Int, Kind::Int(_))
        | (InputKind::Bool, Kind::Bool(_)) => true,
        _ => matches!(value.kind, Kind::Null) && !input.required,
    };
    if !fits {
        return Err(wrong(match input.kind {
            InputKind::String => "a text",
            InputKind::Int => "a whole number",
            InputKind::Bool => "true or false",
            InputKind::Choice => "one of its choices",
        }));
    }
    let Kind::Str(given, _) = &value.kind else { return Ok(()) };
    if input.kind == InputKind::Choice && !input.choices.contains(given) {
        let mut error =
            Diagnostic::error("P0802", value.span, format!("the input `{}` cannot be `{given}`", input.name.name))
                .also(input.name.span, "declared here");
        error.hint = suggest::hint(given, input.choices.iter().map(String::as_str), "choices");
        return Err(error);
    }
    if let Some(pattern) = &input.pattern
        && !matches(pattern, given)
    {
        return Err(Diagnostic::error(
            "P0802",
            value.span,
            format!("the input `{}` cannot be `{given}`: it must match `{pattern}`", input.name.name),
        )
        .also(input.name.span, "declared here"));
    }
    Ok(())
}

/// The values that an include gives, with the defaults of those that it does not.
pub fn given(
    declared: &[Input],
    node: Option<&Node>,
    from: Span,
    diagnostics: &mut Vec<Diagnostic>,
) -> super::inventory::Vars {
    let values = node.map(|n| entries(n, "inputs", diagnostics)).unwrap_or_default();
    for (key, value) in values {
        match declared.iter().find(|i| i.name.name == key.name) {
            None => {
                let mut error =
                    Diagnostic::error("P0803", key.span, format!("the included file has no input `{}`", key.name));
                error.hint = suggest::hint(&key.name, declared.iter().map(|i| i.name.name.as_str()), "its inputs")
                    .or(Some("it declares none: remove this".to_string()));
                diagnostics.push(error);
            }
            // A template's value is only known later; the module that uses it checks it.
            Some(input) if !value.as_str().is_some_and(super::template::is_template) => {
                diagnostics.extend(check(input, value).err());
            }
            Some(_) => {}
        }
    }
    let mut vars = Vec::new();
    for input in declared {
        let value = values.iter().find(|(k, _)| k.name == input.name.name).map(|(_, v)| v).or(input.default.as_ref());
        if let Some(value) = value {
            vars.push((input.name.clone(), value.clone()));
        } else {
            if input.required {
                diagnostics.push(
                    Diagnostic::error(
                        "P0801",
                        from,
                        format!("the included file needs the input `{}`", input.name.name),
                    )
                    .also(input.name.span, "declared here")
                    .hint(format!("write `inputs: {{ {}: ... }}`", input.name.name)),
                );
            }
            vars.push((input.name.clone(), Node { span: input.name.span, kind: Kind::Null }));
        }
    }
    vars
}

/// True if the whole text matches a shell pattern: `*`, `?`, `[abc]`, `[a-z]`, `[!x]`. Linear in the text for each `*`.
pub fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().take(256).collect();
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    loop {
        if t == text.len() {
            return pattern[p..].iter().all(|c| *c == '*');
        }
        let step = match pattern.get(p) {
            Some('*') => {
                back = Some((p, t));
                p += 1;
                continue;
            }
            Some('[') => class(&pattern[p..], text[t]),
            Some('?') => Some(1),
            Some(c) if *c == text[t] => Some(1),
            _ => None,
        };
        match (step, back) {
            (Some(width), _) => {
                p += width;
                t += 1;
            }
            (None, Some((star, from))) => {
                back = Some((star, from + 1));
                p = star + 1;
                t = from + 1;
            }
            (None, None) => return false,
        }
    }
}

/// Width of a bracket expression that takes the character.
fn class(pattern: &[char], c: char) -> Option<usize> {
    let close = pattern.iter().skip(2).position(|p| *p == ']').map(|i| i + 2);
    let Some(close) = close else { return (c == '[').then_some(1) };
    let not = matches!(pattern[1], '!' | '^');
    let set = &pattern[if not { 2 } else { 1 }..close];
    let mut found = false;
    let mut i = 0;
    while i < set.len() {
        if i + 2 < set.len() && set[i + 1] == '-' {
            found |= (set[i]..=set[i + 2]).contains(&c);
            i += 3;
        } else {
            found |= set[i] == c;
            i += 1;
        }
    }
    (found != not).then_some(close + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shell_patterns() {
        for (pattern, text, want) in [
            ("vmbr[0-9]", "vmbr2", true),
            ("vmbr[0-9]", "vmbr22", false),
            ("*.yml", "a.b.yml", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("[!a]x", "bx", true),
            ("[!a]x", "ax", false),
            ("", "", true),
            ("?", "", false),
            ("[", "[", true),
        ] {
            assert_eq!(matches(pattern, text), want, "{pattern} {text}");
        }
        assert!(!matches(&"*a".repeat(100), &"b".repeat(10_000)));
    }
}
