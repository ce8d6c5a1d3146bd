//! `piton modules`: the step kinds, from the same types that parse them.

use super::{Stop, output};
use crate::cli::Global;
use crate::exit::Exit;
use crate::modules::{Erased, table};
use serde_json::{Map, Value};

/// List the kinds of steps, or show the parameters and examples of one.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  piton modules\n  piton modules template")]
pub struct Args {
    /// Step kind; without it all are listed.
    name: Option<String>,
}

/// Lists them or shows one.
pub fn run(global: &Global, args: &Args) -> Result<Exit, Stop> {
    let Some(name) = &args.name else {
        let rows: Vec<_> = table::ALL.iter().map(|m| vec![m.name().to_string(), m.summary().to_string()]).collect();
        output::print(&output::table(&rows));
        return Ok(Exit::Done);
    };
    let module = table::find(name).ok_or_else(|| unknown(name))?;
    output::print(&describe(module, |text| global.paint().bold(text)));
    Ok(Exit::Done)
}

fn unknown(name: &str) -> Stop {
    let near = table::names().max_by(|a, b| strsim::jaro(a, name).total_cmp(&strsim::jaro(b, name)));
    let stop = Stop::input(format!("there is no step kind `{name}`"));
    match near.filter(|near| strsim::jaro(near, name) > 0.7) {
        Some(near) => stop.hint(format!("did you mean `{near}`?")),
        None => stop.hint("`piton modules` lists them"),
    }
}

fn describe(module: &dyn Erased, bold: impl Fn(&str) -> String) -> String {
    let mut out = format!("{}: {}\n", bold(module.name()), module.summary());
    let schema = module.schema();
    let parameters = parameters(&schema);
    if parameters.is_empty() {
        out.push_str("\nIt takes no parameters.\n");
    } else {
        out.push_str(&format!("\n{}\n", bold("Parameters:")));
        for parameter in parameters {
            let needed = if parameter.required { ", required" } else { "" };
            let default = parameter.default.map(|d| format!(", default {d}")).unwrap_or_default();
            out.push_str(&format!("  {}  ({}{needed}{default})\n", parameter.name, parameter.kind));
            out.push_str(&output::wrap(&parameter.text, "      ", 80));
        }
    }
    if let Some(field) = module.shorthand() {
        out.push_str(&format!("\nA bare text stands for `{field}`: `{}: text`.\n", module.name()));
    }
    out.push_str(&format!("\n{}\n", bold("Examples:")));
    for example in module.examples() {
        out.push_str(&output::wrap(example.name, "  # ", 80));
        for (number, line) in example.yaml.trim_end().lines().enumerate() {
            let lead = if number == 0 { "  - " } else { "    " };
            out.push_str(format!("{lead}{line}").trim_end());
            out.push('\n');
        }
        out.push('\n');
    }
    out.pop();
    out
}

struct Parameter {
    name: String,
    kind: String,
    required: bool,
    default: Option<String>,
    text: String,
}

/// The fields of the parameters' JSON Schema, in the order of the type.
fn parameters(schema: &Value) -> Vec<Parameter> {
    let empty = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    properties
        .iter()
        .map(|(name, field)| Parameter {
            name: name.clone(),
            kind: kind(schema, field),
            required: required.contains(&name.as_str()),
            default: field.get("default").filter(|d| !d.is_null()).map(ToString::to_string),
            text: description(schema, field),
        })
        .collect()
}

fn description(schema: &Value, field: &Value) -> String {
    let own = field.get("description").and_then(Value::as_str);
    let text = own.or_else(|| resolve(schema, field).get("description").and_then(Value::as_str));
    text.unwrap_or("").replace('\n', " ")
}

fn resolve<'a>(schema: &'a Value, field: &'a Value) -> &'a Value {
    let target = field.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix('#'));
    target.and_then(|pointer| schema.pointer(pointer)).unwrap_or(field)
}

/// The type of a field in words: `text`, `list of integer`, `one of "a", "b"`.
fn kind(schema: &Value, field: &Value) -> String {
    let field = resolve(schema, field);
    if let Some(value) = field.get("const") {
        return value.to_string();
    }
    if let Some(values) = field.get("enum").and_then(Value::as_array) {
        let values: Vec<String> = values.iter().filter(|v| !v.is_null()).map(ToString::to_string).collect();
        return format!("one of {}", values.join(", "));
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(choices) = field.get(key).and_then(Value::as_array) {
            let mut kinds: Vec<String> = Vec::new();
            for choice in choices {
                let kind = kind(schema, choice);
                if kind != "nothing" && !kinds.contains(&kind) {
                    kinds.push(kind);
                }
            }
            return kinds.join(" or ");
        }
    }
    match field.get("type") {
        Some(Value::String(name)) => plain(schema, field, name),
        Some(Value::Array(names)) => {
            let names = names.iter().filter_map(Value::as_str).filter(|n| *n != "null");
            names.map(|n| plain(schema, field, n)).collect::<Vec<_>>().join(" or ")
        }
        _ => "any value".to_string(),
    }
}

fn plain(schema: &Value, field: &Value, name: &str) -> String {
    match name {
        "string" => "text".to_string(),
        "array" => match field.get("items") {
            Some(items) => format!("list of {}", kind(schema, items)),
            None => "list".to_string(),
        },
        "object" => match field.get("additionalProperties") {
            Some(values) if values.is_object() => format!("mapping to {}", kind(schema, values)),
            _ => "mapping".to_string(),
        },
        "boolean" => "true or false".to_string(),
        "null" => "nothing".to_string(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn types_are_words() {
        let schema = json!({
            "$defs": { "State": { "enum": ["up", "down"], "description": "Wanted state." } },
            "properties": {
                "name": { "type": "string", "description": "A\nname." },
                "mode": { "type": ["string", "null"], "default": null },
                "status": { "type": "array", "items": { "type": "integer" }, "default": [200] },
                "env": { "type": "object", "additionalProperties": { "type": "string" } },
                "state": { "$ref": "#/$defs/State" },
                "maybe": { "anyOf": [{ "$ref": "#/$defs/State" }, { "type": "null" }] },
            },
            "required": ["name"],
        });
        let shown: Vec<String> = parameters(&schema)
            .iter()
            .map(|p| format!("{} {} {} {:?} {}", p.name, p.kind, p.required, p.default, p.text))
            .collect();
        assert_eq!(
            shown,
            [
                "name text true None A name.",
                "mode text false None ",
                "status list of integer false Some(\"[200]\") ",
                "env mapping to text false None ",
                "state one of \"up\", \"down\" false None Wanted state.",
                "maybe one of \"up\", \"down\" false None ",
            ]
        );
    }
}
