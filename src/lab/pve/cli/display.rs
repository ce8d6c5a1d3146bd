//! JSON, YAML and plain text as the real tools print them: keys sorted.

use serde_json::Value;

/// Sorted keys, no blanks.
pub fn json(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<_> = map.keys().collect();
            keys.sort();
            let parts: Vec<_> =
                keys.into_iter().map(|key| format!("{}:{}", Value::from(key.as_str()), json(&map[key]))).collect();
            format!("{{{}}}", parts.join(","))
        }
        Value::Array(list) => format!("[{}]", list.iter().map(json).collect::<Vec<_>>().join(",")),
        other => scalar(other),
    }
}

/// A number as Perl prints it: 1, not 1.0.
fn scalar(value: &Value) -> String {
    let text = value.to_string();
    match value {
        Value::Number(number) if number.is_f64() => text.strip_suffix(".0").map_or(text.clone(), str::to_owned),
        _ => text,
    }
}

/// Sorted keys, three blanks a level, ` : ` between key and value.
pub fn json_pretty(value: &Value) -> String {
    pretty(value, 0)
}

fn pretty(value: &Value, depth: usize) -> String {
    let (inner, outer) = ("   ".repeat(depth + 1), "   ".repeat(depth));
    match value {
        Value::Object(map) if map.is_empty() => "{}".into(),
        Value::Array(list) if list.is_empty() => "[]".into(),
        Value::Object(map) => {
            let mut keys: Vec<_> = map.keys().collect();
            keys.sort();
            let parts: Vec<_> = keys
                .into_iter()
                .map(|key| format!("{inner}{} : {}", Value::from(key.as_str()), pretty(&map[key], depth + 1)))
                .collect();
            format!("{{\n{}\n{outer}}}", parts.join(",\n"))
        }
        Value::Array(list) => {
            let parts: Vec<_> = list.iter().map(|item| format!("{inner}{}", pretty(item, depth + 1))).collect();
            format!("[\n{}\n{outer}]", parts.join(",\n"))
        }
        other => scalar(other),
    }
}

/// A scalar without quotes.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Bool(flag) => u8::from(*flag).to_string(),
        other => scalar(other),
    }
}

/// YAML of lists and maps of scalars.
pub fn yaml(value: &Value) -> String {
    match value {
        Value::Object(_) | Value::Array(_) => format!("---\n{}", yaml_block(value, 0)),
        other => format!("--- {}\n", yaml_scalar(other)),
    }
}

fn yaml_scalar(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => "''".into(),
        Value::Null => "~".into(),
        other => plain(other),
    }
}

fn yaml_block(value: &Value, depth: usize) -> String {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(map) => {
            let mut keys: Vec<_> = map.keys().collect();
            keys.sort();
            let line = |key: &String| match &map[key] {
                inner @ (Value::Object(_) | Value::Array(_)) => {
                    format!("{indent}{key}:\n{}", yaml_block(inner, depth + 1))
                }
                scalar => format!("{indent}{key}: {}\n", yaml_scalar(scalar)),
            };
            keys.into_iter().map(line).collect()
        }
        Value::Array(list) => {
            let item = |item: &Value| match item {
                Value::Object(_) => {
                    let block = yaml_block(item, depth + 1);
                    let rest = block.strip_prefix(&"  ".repeat(depth + 1)).unwrap_or(&block);
                    format!("{indent}- {rest}")
                }
                scalar => format!("{indent}- {}\n", yaml_scalar(scalar)),
            };
            list.iter().map(item).collect()
        }
        scalar => format!("{}\n", yaml_scalar(scalar)),
    }
}

/// `qm status --verbose`: one key a line, what is inside a value one tab deeper.
pub fn tabbed(value: &Value, depth: usize) -> String {
    let Value::Object(map) = value else { return String::new() };
    let mut keys: Vec<_> = map.keys().collect();
    keys.sort();
    let tabs = "\t".repeat(depth);
    let line = |key: &String| match &map[key] {
        inner @ Value::Object(_) => format!("{tabs}{key}:\n{}", tabbed(inner, depth + 1)),
        Value::Array(list) if list.is_empty() => format!("{tabs}{key}:\n"),
        scalar => format!("{tabs}{key}: {}\n", plain(scalar)),
    };
    keys.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_formats_are_those_of_the_tools() {
        let value = json!([{"b": "", "a": 1}]);
        assert_eq!(super::json(&value), r#"[{"a":1,"b":""}]"#);
        assert_eq!(json_pretty(&value), "[\n   {\n      \"a\" : 1,\n      \"b\" : \"\"\n   }\n]");
        assert_eq!(yaml(&value), "---\n- a: 1\n  b: ''\n");
        assert_eq!(tabbed(&json!({"a": {"b": true}, "c": []}), 0), "a:\n\tb: 1\nc:\n");
    }
}
