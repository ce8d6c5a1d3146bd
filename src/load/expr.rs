//! Expressions of `when`, `until`, `changed_when`, `failed_when`, `loop`: minijinja, strict.
//!
//! An undefined name is an error, a condition must be a boolean, and evaluation has fuel: hostile input ends.

use super::locate;
use super::source::{Diagnostic, Sources, Span};
use minijinja::value::{Serde, ValueKind};
use minijinja::{Environment, ErrorKind, UndefinedBehavior};
use serde_json::Value;
use std::ops::Range;
use std::sync::OnceLock;

/// Longest expression in bytes.
const LONGEST: usize = 16 * 1024;
/// Instructions of one evaluation.
const FUEL: u64 = 200_000;

/// A checked expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expr {
    /// As written.
    pub text: String,
    /// Where.
    pub span: Span,
}

/// Why an expression has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExprError {
    /// One line.
    pub message: String,
}

/// A mistake in an expression before it is evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExprProblem {
    /// One line.
    pub message: String,
    /// Bytes of the text, if known.
    pub range: Option<Range<usize>>,
    /// What to write instead.
    pub hint: Option<String>,
}

impl ExprProblem {
    /// The same at its place in the file; `key` is `when`, `until`, ...
    pub fn diagnostic(self, sources: &Sources, expr: &Expr, key: &str) -> Diagnostic {
        let place = self.range.map_or(expr.span, |r| locate::within(sources, expr.span, &expr.text, r));
        let code = if expr.text.contains("{{") { "P0402" } else { "P0401" };
        let mut error = Diagnostic::error(code, place, format!("`{key}`: {}", self.message));
        error.hint = self.hint;
        error
    }
}

/// A name that an expression uses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NameUse {
    /// `["out", "compose", "changed"]`.
    pub path: Vec<String>,
    /// Bytes of the text.
    pub range: (usize, usize),
    /// True if the expression itself asks whether it is there (`is defined`, `default`).
    pub guarded: bool,
}

fn environment() -> &'static Environment<'static> {
    static ENV: OnceLock<Environment<'static>> = OnceLock::new();
    ENV.get_or_init(|| {
        let mut env = Environment::new();
        env.set_undefined_behavior(UndefinedBehavior::Strict);
        env.set_fuel(Some(FUEL));
        env.set_recursion_limit(64);
        env.remove_global("debug");
        let field = |name: &'static str, want: bool| {
            move |value: minijinja::Value| value.get_attr(name).ok().is_some_and(|v| v.is_true() == want)
        };
        // Ansible's tests of a registered result.
        env.add_test("changed", field("changed", true));
        env.add_test("failed", field("failed", true));
        env.add_test("succeeded", field("failed", false));
        env.add_test("skipped", field("skipped", true));
        env
    })
}

fn describe(error: &minijinja::Error) -> String {
    let detail = error.detail().unwrap_or("");
    match error.kind() {
        ErrorKind::UndefinedError if detail.is_empty() => "a name in it is not defined".to_string(),
        ErrorKind::OutOfFuel => "it takes too long to evaluate".to_string(),
        kind if detail.is_empty() => kind.to_string(),
        ErrorKind::SyntaxError => detail.to_string(),
        kind => format!("{kind}: {detail}"),
    }
}

impl Expr {
    /// Its value in a scope.
    ///
    /// # Errors
    /// Undefined names and type errors.
    pub fn value(&self, scope: &Value) -> Result<Value, ExprError> {
        let value = self.evaluate(scope)?;
        serde_json::to_value(&value)
            .map_err(|e| ExprError { message: format!("`{}` gives no plain value: {e}", self.text) })
    }

    /// Its value, which must be a boolean: `'false'` is a text, not a condition.
    ///
    /// # Errors
    /// As [`value`](Self::value), and for anything but `true` and `false`.
    pub fn holds(&self, scope: &Value) -> Result<bool, ExprError> {
        let value = self.evaluate(scope)?;
        if value.kind() == ValueKind::Bool {
            return Ok(value.is_true());
        }
        let what = match value.kind() {
            ValueKind::String => "a text",
            ValueKind::Number => "a number",
            ValueKind::Seq => "a list",
            ValueKind::Map => "a mapping",
            ValueKind::None => "nothing",
            ValueKind::Undefined => "undefined",
            _ => "no boolean",
        };
        let shown: String = value.to_string().chars().take(60).collect();
        Err(ExprError {
            message: format!("`{}` gives {what} (`{}`), not true or false", self.text, crate::secret::shown(&shown)),
        })
    }

    fn evaluate(&self, scope: &Value) -> Result<minijinja::Value, ExprError> {
        let fail = |e: minijinja::Error| ExprError { message: format!("`{}`: {}", self.text, describe(&e)) };
        if self.text.len() > LONGEST {
            return Err(ExprError { message: "the expression is too long".to_string() });
        }
        let compiled = environment().compile_expression_owned(self.text.clone()).map_err(fail)?;
        // Only what it uses: scopes hold every guest.
        let names = compiled.undeclared_variables(false);
        let used =
            names.iter().filter_map(|name| Some((name.as_str(), minijinja::Value::from(Serde(scope.get(name)?)))));
        compiled.eval(minijinja::Value::from_pairs(used)).map_err(fail)
    }

    /// Several conditions that must all hold, as one. `None` for none.
    pub fn all(list: &[Expr]) -> Option<Expr> {
        match list {
            [] => None,
            [one] => Some(one.clone()),
            [first, ..] => {
                let text = list.iter().map(|e| format!("({})", e.text)).collect::<Vec<_>>().join(" and ");
                Some(Expr { text, span: first.span })
            }
        }
    }

    /// What is wrong with it as a text; nothing if it can be evaluated.
    pub fn problem(&self) -> Option<ExprProblem> {
        let text = &self.text;
        let find = |needle: &str| text.find(needle).map(|at| at..at + needle.len());
        if text.trim().is_empty() {
            return Some(ExprProblem {
                message: "an empty expression".to_string(),
                range: None,
                hint: Some("write true, false or a comparison".to_string()),
            });
        }
        if text.len() > LONGEST {
            return Some(ExprProblem { message: "the expression is too long".to_string(), range: None, hint: None });
        }
        if let Some(start) = text.find("{{") {
            let end = text[start..].find("}}").map_or(text.len(), |e| start + e + 2);
            let bare = text.replace("{{", "").replace("}}", "");
            let bare = bare.split_whitespace().collect::<Vec<_>>().join(" ");
            return Some(ExprProblem {
                message: "an expression needs no braces".to_string(),
                range: Some(start..end),
                hint: Some(format!("write: {bare}")),
            });
        }
        let error = environment().compile_expression_owned(text.clone()).err()?;
        let mut hint = None;
        let mut range = error.range().filter(|r| r.end <= text.len());
        if let Some(at) = find("&&") {
            (hint, range) = (Some("write `and`".to_string()), Some(at));
        } else if let Some(at) = find("||") {
            (hint, range) = (Some("write `or`".to_string()), Some(at));
        } else if let Some(at) = find(" = ") {
            (hint, range) = (Some("compare with `==`".to_string()), Some(at.start + 1..at.end - 1));
        }
        Some(ExprProblem { message: format!("this expression cannot be read: {}", describe(&error)), range, hint })
    }

    /// The names that it uses, in the order of the text.
    pub fn names(&self) -> Vec<NameUse> {
        let Ok(compiled) = environment().compile_expression_owned(self.text.clone()) else { return Vec::new() };
        let globals: Vec<&str> = environment().globals().map(|(name, _)| name).collect();
        let mut found: Vec<NameUse> = compiled
            .undeclared_variables(true)
            .into_iter()
            .filter(|name| !globals.contains(&name.as_str()))
            .map(|name| {
                let start = position(&self.text, &name).unwrap_or(0);
                let end = (start + name.len()).min(self.text.len());
                NameUse {
                    guarded: guarded(&self.text[end..]),
                    path: name.split('.').map(str::to_string).collect(),
                    range: (start, end),
                }
            })
            .collect();
        found.sort_by_key(|n| n.range);
        found
    }
}

/// Where a dotted name stands as a word of its own, outside of quotes.
fn position(text: &str, name: &str) -> Option<usize> {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(name)
        .find(|(at, _)| {
            let before = &text[..*at];
            let after = &text[at + name.len()..];
            let quotes = before.matches('\'').count() % 2 + before.matches('"').count() % 2;
            !before.ends_with(|c: char| word(c) || c == '.') && !after.starts_with(word) && quotes == 0
        })
        .map(|(at, _)| at)
}

/// True if what follows a name asks whether it is there.
fn guarded(after: &str) -> bool {
    let words: Vec<&str> =
        after.split(|c: char| c.is_whitespace() || c == '(' || c == ')').filter(|w| !w.is_empty()).take(3).collect();
    let tested =
        matches!(words.as_slice(), ["is", "defined" | "undefined", ..] | ["is", "not", "defined" | "undefined"]);
    let after = after.trim_start();
    tested || after.strip_prefix('|').is_some_and(|filter| filter.trim_start().starts_with("default"))
}

#[cfg(test)]
mod tests {
    use super::super::source::FileId;
    use super::*;
    use serde_json::json;

    fn expr(text: &str) -> Expr {
        Expr { text: text.to_string(), span: Span { file: FileId(0), start: 0, end: 0 } }
    }

    #[test]
    fn conditions_are_booleans() {
        let scope = json!({"host": {"name": "extranet", "vmid": 101}, "out": {"a": {"changed": true, "rc": 0, "stdout": "ok now"}}, "items": [1, 2]});
        for (text, want) in [
            ("host.name == 'extranet' and out.a.changed", true),
            ("not out.a.changed", false),
            ("out.a.rc in [0, 2]", true),
            ("'ok' in out.a.stdout", true),
            ("out.b is defined", false),
            ("out.a is changed", true),
            ("items | length > 1", true),
            ("host.vmid > 100", true),
        ] {
            assert_eq!(expr(text).holds(&scope), Ok(want), "{text}");
        }
        assert_eq!(
            expr("'false'").holds(&scope).unwrap_err().message,
            "`'false'` gives a text (`false`), not true or false"
        );
        assert!(expr("out.b.changed").holds(&scope).is_err());
        assert!(expr("nowhere == 1").holds(&scope).is_err());
        assert_eq!(expr("items").value(&scope), Ok(json!([1, 2])));
        assert_eq!(expr("range(3)").value(&scope), Ok(json!([0, 1, 2])));
    }

    #[test]
    fn names_have_places() {
        let found = expr(
            "'host.name' == host.name and out.b is defined and guests['x'].vmid > (lim | default(3)) and range(2)",
        )
        .names();
        let shown: Vec<_> = found.iter().map(|n| (n.path.join("."), n.range.0, n.guarded)).collect();
        assert_eq!(
            shown,
            [
                ("host.name".to_string(), 15, false),
                ("out.b".into(), 29, true),
                ("guests".into(), 50, false),
                ("lim".into(), 70, true)
            ]
        );
    }

    #[test]
    fn mistakes_are_pointed_at() {
        let problem = expr("{{ host.name }} == 'x'").problem().unwrap();
        assert_eq!((problem.range, problem.hint.as_deref()), (Some(0..15), Some("write: host.name == 'x'")));
        assert_eq!(expr("a && b").problem().unwrap().hint.as_deref(), Some("write `and`"));
        assert_eq!(expr("a = b").problem().unwrap().range, Some(2..3));
        assert!(expr("a ==").problem().is_some());
        assert_eq!(expr("a == b").problem(), None);
        assert!(expr(&"(".repeat(5000)).problem().is_some());
    }

    #[test]
    fn hostile_input_ends() {
        let many = "(".to_string() + &vec!["range(9999)|list|length"; 500].join(" + ") + ") > 0";
        let _ = expr(&many).holds(&json!({}));
        assert!(expr(&"not ".repeat(3000)).problem().is_some());
    }
}
