//! What a step leaves for later ones: `out.<register>`.

use crate::cmd::{Ended, Output};
use serde_json::{Map, Value, json};

/// Fields of a task's result. `stdout` and `stderr` lose their last newline, as in Ansible.
pub fn fields(changed: bool, failed: bool, output: Option<&Output>, facts: Map<String, Value>) -> Map<String, Value> {
    let mut out = Map::new();
    out.insert("changed".into(), changed.into());
    out.insert("failed".into(), failed.into());
    out.insert("skipped".into(), false.into());
    if let Some(output) = output {
        let rc = match output.ended {
            Ended::Code(code) => json!(code),
            _ => Value::Null,
        };
        let stdout = output.stdout.text().trim_end_matches('\n').to_string();
        out.insert("rc".into(), rc);
        out.insert("stdout_lines".into(), lines(&stdout));
        out.insert("stdout".into(), stdout.into());
        out.insert("stderr".into(), output.stderr.text().trim_end_matches('\n').into());
        // A condition on half an output must not pass for one on all of it.
        out.insert("cut".into(), (output.stdout.is_cut() || output.stderr.is_cut()).into());
    }
    out.extend(facts);
    out
}

fn lines(stdout: &str) -> Value {
    stdout.lines().map(Value::from).collect::<Vec<_>>().into()
}

/// The result as it is written down: without the lines, which cost many times what the text does.
pub fn written(out: &Value) -> Value {
    let Value::Object(map) = out else { return out.clone() };
    let kept = map.iter().filter(|(name, _)| name.as_str() != "stdout_lines");
    Value::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
}

/// The result as conditions see it, from what was written down.
pub fn read(mut out: Value) -> Value {
    if let Value::Object(map) = &mut out
        && let Some(Value::String(stdout)) = map.get("stdout")
    {
        let lines = lines(stdout);
        map.insert("stdout_lines".into(), lines);
    }
    out
}

/// The result of a step that was not due.
pub fn skipped() -> Value {
    json!({"changed": false, "failed": false, "skipped": true})
}

/// The result of a loop: those of its items, and whether any changed or failed.
pub fn looped(results: Vec<Value>) -> Value {
    let any = |name: &str| results.iter().any(|r| r.get(name) == Some(&Value::Bool(true)));
    json!({"changed": any("changed"), "failed": any("failed"), "skipped": results.is_empty(), "results": results})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_gives_code_texts_and_lines() {
        let output = Output::of(3, "a\nb\n", "oops\n");
        let got = Value::Object(fields(true, true, Some(&output), Map::new()));
        let want = json!({
            "changed": true, "failed": true, "skipped": false, "rc": 3, "stdout_lines": ["a", "b"],
            "stdout": "a\nb", "stderr": "oops", "cut": false,
        });
        assert_eq!(got, want);
        assert_eq!(written(&got).get("stdout_lines"), None);
        assert_eq!(read(written(&got)), want);
    }

    #[test]
    fn a_loop_changed_if_any_item_did() {
        let results = vec![json!({"changed": false, "failed": false}), json!({"changed": true, "failed": false})];
        assert_eq!(looped(results)["changed"], json!(true));
        assert_eq!(looped(vec![])["skipped"], json!(true));
    }
}
