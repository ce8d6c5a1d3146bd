//! The helpers of templates: few, and all of them make text.
//!
//! `json x`, `quote x` (for a shell), `indent n x`, `b64 x`, `lower x`, `upper x`, `join list ", "`; beside them
//! Handlebars' own `if unless each with lookup eq ne gt gte lt lte and or not len`. There is no `default`: a name
//! that is not defined is an error, a default belongs into `vars:`.

use base64::Engine as _;
use handlebars::{Context, Handlebars, Helper, HelperResult, Output, RenderContext, RenderErrorReason};
use serde_json::Value;

/// Every helper that a template may use.
pub const NAMES: &[&str] = &[
    "if", "unless", "each", "with", "lookup", "raw", "eq", "ne", "gt", "gte", "lt", "lte", "and", "or", "not", "len",
    "json", "quote", "indent", "b64", "lower", "upper", "join",
];

/// True for a helper's name.
pub fn is_helper(name: &str) -> bool {
    NAMES.contains(&name)
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// A word for `sh`.
fn quote(text: &str) -> String {
    if !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-./:=@%+,".contains(c)) {
        return text.to_string();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn indent(text: &str, columns: usize) -> String {
    let pad = " ".repeat(columns.min(200));
    let mut out = String::new();
    for (i, line) in text.split_inclusive('\n').enumerate() {
        if i > 0 && !line.trim().is_empty() {
            out.push_str(&pad);
        }
        out.push_str(line);
    }
    out
}

type Apply = fn(&[&Value]) -> Result<String, &'static str>;

fn list() -> [(&'static str, usize, Apply); 7] {
    [
        ("json", 1, |v| serde_json::to_string(v[0]).map_err(|_| "the value has no JSON")),
        ("quote", 1, |v| match v[0] {
            Value::Array(items) => Ok(items.iter().map(|i| quote(&plain(i))).collect::<Vec<_>>().join(" ")),
            other => Ok(quote(&plain(other))),
        }),
        ("indent", 2, |v| {
            let columns = v[0]
                .as_u64()
                .and_then(|n| usize::try_from(n).ok())
                .ok_or("its first parameter is a number of spaces")?;
            Ok(indent(&plain(v[1]), columns))
        }),
        ("b64", 1, |v| {
            let text = plain(v[0]);
            if crate::secret::has_mark(&text) {
                return Err("a secret cannot be encoded here: its value is only known on the way to the host");
            }
            Ok(base64::engine::general_purpose::STANDARD.encode(text))
        }),
        ("lower", 1, |v| Ok(plain(v[0]).to_lowercase())),
        ("upper", 1, |v| Ok(plain(v[0]).to_uppercase())),
        ("join", 2, |v| {
            let Value::Array(items) = v[0] else { return Err("its first parameter is a list") };
            Ok(items.iter().map(plain).collect::<Vec<_>>().join(&plain(v[1])))
        }),
    ]
}

/// Adds the helpers.
pub(super) fn register(registry: &mut Handlebars<'static>) {
    registry.unregister_helper("log");
    for (name, count, apply) in list() {
        registry.register_helper(
            name,
            Box::new(
                move |h: &Helper<'_>,
                      _: &Handlebars<'_>,
                      _: &Context,
                      _: &mut RenderContext<'_, '_>,
                      out: &mut dyn Output|
                      -> HelperResult {
                    let values: Vec<&Value> = h.params().iter().map(handlebars::PathAndJson::value).collect();
                    if values.len() != count {
                        return Err(RenderErrorReason::Other(format!(
                            "`{name}` takes {count} parameter(s), here are {}",
                            values.len()
                        ))
                        .into());
                    }
                    if let Some(missing) = h.params().iter().find(|p| p.is_value_missing()) {
                        return Err(RenderErrorReason::MissingVariable(missing.relative_path().cloned()).into());
                    }
                    let text = apply(&values).map_err(|why| RenderErrorReason::Other(format!("`{name}`: {why}")))?;
                    out.write(&text)?;
                    Ok(())
                },
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::template::text;
    use serde_json::json;

    #[test]
    fn each_helper() {
        let scope = json!({"x": "it's", "list": ["a b", "c"], "block": "one\ntwo\n", "name": "Media", "n": {"a": 1}});
        for (template, want) in [
            ("{{ json n }}", r#"{"a":1}"#),
            ("{{ quote x }}", r"'it'\''s'"),
            ("{{ quote list }}", "'a b' c"),
            ("k:\n  {{ indent 2 block }}", "k:\n  one\n  two\n"),
            ("{{ b64 name }}", "TWVkaWE="),
            ("{{ lower name }}{{ upper name }}", "mediaMEDIA"),
            ("{{ join list \", \" }}", "a b, c"),
            ("{{#if (eq name \"Media\")}}y{{else}}n{{/if}}", "y"),
        ] {
            assert_eq!(text(template, &scope), Ok(json!(want)), "{template}");
        }
        assert_eq!(text("{{ quote x name }}", &scope).unwrap_err().message, "`quote` takes 1 parameter(s), here are 2");
        assert!(text("{{ b64 s }}", &json!({"s": crate::secret::mark("db")})).is_err());
    }
}
