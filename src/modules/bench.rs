//! For tests of modules: runs what they say on this machine, in the current user's `sh`, without an engine.

use super::{
    Action, Answer, Ask, Change, Content, Cx, Decision, Instance, LocalBody, LocalFile, Module, ModuleError, Undo,
    table,
};
use crate::cmd::{ApiAnswer, Captured, Cmd, Ended, Output};
use serde_json::Value;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

/// Runs a command as the transport would.
pub fn run(cmd: &Cmd) -> Output {
    let mut command = Command::new(&cmd.argv[0]);
    command.args(&cmd.argv[1..]).envs(&cmd.env);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(dir) = &cmd.cwd {
        command.current_dir(dir);
    }
    let Ok(mut child) = command.spawn() else { return Output::of(127, "", &format!("{}: not found\n", cmd.argv[0])) };
    let _ = child.stdin.take().unwrap().write_all(cmd.stdin.as_deref().unwrap_or("").as_bytes());
    let done = child.wait_with_output().unwrap();
    let code = done.status.code().unwrap_or_else(|| 128 + done.status.signal().unwrap());
    let captured = |bytes: Vec<u8>| Captured { total: bytes.len() as u64, bytes, spill: None };
    Output {
        ended: Ended::Code(code),
        stdout: captured(done.stdout),
        stderr: captured(done.stderr),
        took: std::time::Duration::ZERO,
    }
}

/// The answer to a command.
pub fn ask(cmd: &Cmd) -> Answer {
    Answer::Cmd(run(cmd))
}

/// Parameters from YAML-like JSON.
pub fn instance(module: &str, params: Value) -> Box<dyn Instance> {
    table::find(module).unwrap().parse(params).unwrap()
}

/// Typed parameters.
pub fn params<M: Module>(value: Value) -> M::Params {
    serde_json::from_value(value).unwrap()
}

/// Messages of what is wrong with parameters, or what serde said.
pub fn problems(module: &str, params: Value) -> Vec<String> {
    match table::find(module).unwrap().parse(params) {
        Ok(instance) => instance.validate().into_iter().map(|p| p.message).collect(),
        Err(error) => vec![error.message],
    }
}

/// Asks this machine and decides.
pub fn decide(instance: &dyn Instance, cx: &Cx) -> Result<Decision, ModuleError> {
    assert_eq!(instance.validate(), []);
    let answers: Vec<_> = instance
        .probe(cx)
        .iter()
        .map(|a| match a {
            Ask::Cmd(cmd) => ask(cmd),
            Ask::Api(call) => panic!("no node here for {}", call.line()),
        })
        .collect();
    instance.decide(cx, &answers)
}

/// Carries actions out on this machine.
pub fn act(actions: &[Action]) -> Result<(), String> {
    for action in actions {
        match action {
            Action::Run(cmd) => {
                let output = run(cmd);
                if !output.ok() {
                    return Err(format!("{}: {:?} {}", cmd.line(), output.ended, output.stderr.text()));
                }
            }
            Action::Write(file) => {
                let path = std::fs::canonicalize(&file.path).unwrap_or_else(|_| file.path.clone().into());
                match &file.content {
                    Content::Text(text) => std::fs::write(&path, text),
                    Content::Bytes(bytes) => std::fs::write(&path, bytes),
                    Content::Local(from) => std::fs::copy(from, &path).map(drop),
                }
                .map_err(|e| e.to_string())?;
                if let Some(mode) = file.mode {
                    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
                }
            }
            Action::Tree(tree) => {
                for file in &tree.files {
                    let to = std::path::Path::new(&tree.dest).join(file);
                    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
                    std::fs::copy(tree.src.join(file), to).unwrap();
                }
            }
            Action::Fetch(file) => {
                std::fs::create_dir_all(file.dest.parent().unwrap()).unwrap();
                std::fs::copy(&file.src, &file.dest).map(drop).map_err(|e| e.to_string())?;
            }
            other => panic!("not on this machine: {}", other.line()),
        }
    }
    Ok(())
}

/// The whole contract on this machine: it changes, is then as wanted, and goes back.
pub fn round_trip(instance: &dyn Instance, cx: &Cx) -> Vec<Change> {
    let changes = decide(instance, cx).unwrap().changes;
    assert_ne!(changes, [], "nothing to change at first");
    for change in &changes {
        act(&change.actions).unwrap();
    }
    assert_eq!(decide(instance, cx).unwrap().changes, [], "did not converge");
    changes
}

/// Takes changes back, last first.
pub fn take_back(changes: &[Change]) {
    for change in changes.iter().rev() {
        match &change.undo {
            Undo::Actions(actions) => act(actions).unwrap(),
            Undo::Nothing => {}
            Undo::Impossible(why) => panic!("{why}"),
        }
    }
}

/// Actions as one would type them.
pub fn lines(actions: &[Action]) -> Vec<String> {
    actions.iter().map(Action::line).collect()
}

/// A small local file.
pub fn local(path: &str, text: &str) -> LocalFile {
    LocalFile { path: path.into(), body: LocalBody::Inline(text.as_bytes().to_vec()), mode: 0o644 }
}

/// An answer recorded on a real node, by the number of its row.
pub fn recorded(seq: u64) -> ApiAnswer {
    let rows = include_str!("../../tests/fixtures/api-8.4.jsonl");
    for row in rows.lines() {
        let row: Value = serde_json::from_str(row).unwrap();
        if row["seq"] == seq {
            return ApiAnswer {
                status: u16::try_from(row["status"].as_u64().unwrap()).unwrap(),
                reason: row["reason"].as_str().unwrap().to_string(),
                body: row["body"].clone(),
                task: None,
            };
        }
    }
    panic!("no row {seq}")
}

/// An answer of the API with this data.
pub fn api(data: Value) -> Answer {
    let body = serde_json::json!({ "data": data });
    Answer::Api(ApiAnswer { status: 200, reason: "OK".into(), body, task: None })
}
