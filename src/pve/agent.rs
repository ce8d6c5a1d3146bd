//! Programs in a guest through its QEMU guest agent: the two calls, and what their answers mean. Pure.
//!
//! The API starts a program (`agent/exec` answers a process id) and tells its end (`agent/exec-status`), the end once
//! only: asked again, the agent has forgotten it. Recorded in `api-8.4.jsonl`, 740 to 767. Source of the limits and of
//! the encoding: qemu-server `src/PVE/API2/Qemu/Agent.pm` and `src/PVE/QemuServer/Agent.pm`.

use crate::cmd::{ApiAnswer, ApiCall, Method};
use serde_json::Value;

/// Most bytes of `input-data` that the API takes: 64 KiB.
pub const LONGEST_INPUT: usize = 64 * 1024;

/// How a program in a guest ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentEnd {
    /// Exit status; 128 + n for signal n, as a shell says it.
    pub code: i32,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
    /// True if the agent threw a part of either away (it keeps 16 MiB).
    pub cut: bool,
}

/// Starts a program of the guest. `input` becomes its standard input.
pub fn exec_call(vmid: u32, argv: &[String], input: &str) -> ApiCall {
    let mut call = ApiCall::of(Method::Post, format!("/nodes/{{node}}/qemu/{vmid}/agent/exec"));
    for word in argv {
        call = call.param("command", word);
    }
    if input.is_empty() { call } else { call.param("input-data", input) }
}

/// Asks how a program goes. The answer that it has ended comes once.
pub fn status_call(vmid: u32, pid: u64) -> ApiCall {
    ApiCall::get(format!("/nodes/{{node}}/qemu/{vmid}/agent/exec-status")).param("pid", pid.to_string())
}

/// The process id of what [`exec_call`] started.
///
/// # Errors
/// Why the node or the agent did not start it, one line.
pub fn read_pid(answer: &ApiAnswer) -> Result<u64, String> {
    if !answer.ok() {
        return Err(answer.message());
    }
    number(answer.data(), "pid").ok_or_else(|| "the agent gave no process id".to_string())
}

/// The end of a program, `None` while it runs.
///
/// # Errors
/// What the node or the agent says instead, one line.
pub fn read_status(answer: &ApiAnswer) -> Result<Option<AgentEnd>, String> {
    if !answer.ok() {
        return Err(answer.message());
    }
    let data = answer.data();
    if !flag(data, "exited") {
        return Ok(None);
    }
    let code = match (number(data, "exitcode"), number(data, "signal")) {
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        (None, None) => return Err("it ended with neither exit status nor signal".into()),
    };
    Ok(Some(AgentEnd {
        code: i32::try_from(code).unwrap_or(255),
        stdout: bytes(data, "out-data"),
        stderr: bytes(data, "err-data"),
        cut: flag(data, "out-truncated") || flag(data, "err-truncated"),
    }))
}

/// Numbers of Perl come as numbers or as texts.
fn number(data: &Value, name: &str) -> Option<u64> {
    let value = data.get(name)?;
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

fn flag(data: &Value, name: &str) -> bool {
    data.get(name).and_then(Value::as_bool).unwrap_or(false) || number(data, name).is_some_and(|n| n != 0)
}

/// The node puts each byte into the JSON as the character of that number. Where it decoded UTF-8 after all, a
/// character beyond 255 shows it.
fn bytes(data: &Value, name: &str) -> Vec<u8> {
    let text = data.get(name).and_then(Value::as_str).unwrap_or_default();
    let single: Result<Vec<u8>, _> = text.chars().map(|c| u8::try_from(u32::from(c))).collect();
    single.unwrap_or_else(|_| text.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ended(data: Value) -> Result<Option<AgentEnd>, String> {
        read_status(&ApiAnswer { status: 200, reason: "OK".into(), body: json!({ "data": data }), task: None })
    }

    #[test]
    fn what_the_agent_threw_away_is_not_taken_for_a_whole_output() {
        let end = ended(json!({"exited": 1, "exitcode": 0, "out-data": "x", "out-truncated": 1})).unwrap().unwrap();
        assert!(end.cut);
        let end = ended(json!({"exited": true, "exitcode": "0", "err-truncated": true})).unwrap().unwrap();
        assert!(end.cut);
    }

    #[test]
    fn bytes_come_one_a_character() {
        let end = ended(json!({"exited": 1, "exitcode": 0, "out-data": "Ã¼\u{0}", "err-data": "→"})).unwrap().unwrap();
        assert_eq!(end.stdout, "ü\0".as_bytes());
        assert_eq!(end.stderr, "→".as_bytes());
    }

    #[test]
    fn an_end_without_a_code_is_none() {
        assert_eq!(ended(json!({"exited": 1})).unwrap_err(), "it ended with neither exit status nor signal");
    }

    #[test]
    fn the_calls() {
        let call = exec_call(101, &["sh".into(), "-c".into(), "x y".into()], "in");
        assert_eq!(
            call.line(),
            "pvesh create /nodes/{node}/qemu/101/agent/exec --command sh --command -c --command 'x y' --input-data in"
        );
        assert_eq!(exec_call(101, &["id".into()], "").params.len(), 1);
        assert_eq!(status_call(101, 7).line(), "pvesh get /nodes/{node}/qemu/101/agent/exec-status --pid 7");
    }
}
