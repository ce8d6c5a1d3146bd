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

/// The result of a step that was not due.
pub fn skipped() -> Value {
    json!({"changed": false, "failed": false, "skipped": true})
}

/// A result as the journal keeps it. `whole` (of a step that registers it and is not `no_log`): all but the lines,
/// which [`restored`] makes anew. Otherwise only what came of it: nobody asks for more.
pub fn written(out: &Value, whole: bool) -> Value {
    let Value::Object(fields) = out else { return out.clone() };
    let kept = |name: &String| match name.as_str() {
        "stdout_lines" => false,
        "changed" | "failed" | "skipped" | "rc" => true,
        _ => whole,
    };
    Value::Object(fields.iter().filter(|(name, _)| kept(name)).map(|(k, v)| (k.clone(), v.clone())).collect())
}

/// A result that was [`written`].
pub fn restored(mut out: Value) -> Value {
    if let Some(lines) = out.get("stdout").and_then(Value::as_str).map(lines) {
        out["stdout_lines"] = lines;
    }
    out
}

fn lines(stdout: &str) -> Value {
    stdout.lines().map(Value::from).collect::<Vec<_>>().into()
}

/// The result of a loop: those of its items, and whether any changed or failed.
pub fn looped(results: Vec<Value>) -> Value {
    let any = |name: &str| results.iter().any(|r| r.get(name) == Some(&Value::Bool(true)));
    // As in Ansible: of a loop that was not due for any of its items, or has none.
    let skipped = results.iter().all(|r| r.get("skipped") == Some(&Value::Bool(true)));
    json!({"changed": any("changed"), "failed": any("failed"), "skipped": skipped, "results": results})
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
    }

    #[test]
    fn the_journal_keeps_what_was_registered_once() {
        let output = Output::of(0, "a\nb\n", "");
        let whole = Value::Object(fields(true, false, Some(&output), Map::new()));
        let brief = json!({"changed": true, "failed": false, "skipped": false, "rc": 0});
        assert_eq!(written(&whole, false), brief);
        assert_eq!(written(&whole, true)["stdout"], json!("a\nb"));
        assert_eq!(written(&whole, true).get("stdout_lines"), None);
        assert_eq!(restored(written(&whole, true)), whole);
    }

    #[test]
    fn a_loop_changed_if_any_item_did() {
        let results = vec![json!({"changed": false, "failed": false}), json!({"changed": true, "failed": false})];
        assert_eq!(looped(results)["changed"], json!(true));
        assert_eq!(looped(vec![])["skipped"], json!(true));
        assert_eq!(looped(vec![skipped(), skipped()])["skipped"], json!(true));
        assert_eq!(looped(vec![skipped(), json!({"changed": false, "skipped": false})])["skipped"], json!(false));
    }
}
