//! The *pvesh* carrier: the same paths through Proxmox' own command, where `curl` or pvedaemon cannot be used.
//!
//! Three things differ from HTTP. Everything stands in argv, so a secret cannot be said. A worker runs in the
//! foreground, where a lost line would kill it (pve-recordings 16), and its log lines stand before the quoted UPID. And exit 0 proves nothing: `pvesh` ends 0 when the
//! worker failed, so a UPID means "ask how the task ended", never success. Source: pve-recordings 1, 2 and 9.

use super::encode;
use super::error::PveError;
use super::upid::Upid;
use crate::cmd::{ApiAnswer, ApiCall, Cmd, Ended, Method, Output};
use crate::secret;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Runs its arguments so that neither a hang-up nor a closed pipe reaches them, and gives their outputs afterwards.
const DETACHED: &str = r#"d=$(mktemp -d) || exit 126
setsid --wait "$@" >"$d/out" 2>"$d/err" </dev/null
rc=$?
cat "$d/out"
cat "$d/err" >&2
rm -rf "$d"
exit $rc"#;

/// The command for one call; root on the node.
///
/// # Errors
/// [`PveError::Refused`] for a secret anywhere in the call.
pub fn cmd(node: &str, call: &ApiCall) -> Result<Cmd, PveError> {
    let refused = |why: String| PveError::Refused { call: call.line(), why };
    let path = call.path.replace("{node}", node);
    if secret::has_mark(&path) {
        return Err(refused("a secret in the path".into()));
    }
    let mut argv = vec!["pvesh".to_string(), call.method.pvesh().to_string(), encode::unescape(&path).into_owned()];
    for (name, value) in &call.params {
        if secret::has_mark(value) || secret::has_mark(name) {
            let why = format!("`{name}` holds a secret, and pvesh would show it to every user of the node");
            return Err(refused(format!("{why}; the api carrier (root, curl, pvedaemon) does not")));
        }
        if value.starts_with('-') {
            argv.push(format!("--{name}={value}"));
        } else {
            argv.push(format!("--{name}"));
            argv.push(value.clone());
        }
    }
    argv.push("--output-format".into());
    argv.push("json".into());
    // The worker runs inside of the command, so it may take as long as the task.
    let timeout = match (call.method, call.follow) {
        (Method::Get, _) => Duration::from_secs(60),
        (_, Some(task)) => task + Duration::from_secs(30),
        (_, None) => Duration::from_secs(600),
    };
    // A change goes on when the line is lost: in a session of its own, and with files instead of our pipes.
    let cmd = if call.method == Method::Get { Cmd::new(argv) } else { Cmd::shell_with(DETACHED, argv) };
    Ok(cmd.timeout(timeout))
}

/// Reads what `pvesh` gave. A data of a UPID is an accepted call whose task has to be looked at.
///
/// # Errors
/// [`PveError::NotSent`] where `pvesh` could not be run, [`PveError::NoAnswer`] where it was killed or printed what
/// cannot be its answer.
pub fn read(call: &ApiCall, output: &Output) -> Result<ApiAnswer, PveError> {
    let line = call.line();
    let stderr = output.stderr.text();
    let first = stderr.lines().find(|l| !l.trim().is_empty()).unwrap_or_default();
    match output.ended {
        Ended::NotBegun => Err(PveError::NotSent { call: line, why: "not begun".into() }),
        Ended::TimedOut => Err(PveError::NoAnswer { call: line, why: "pvesh took too long and was killed".into() }),
        Ended::Cancelled => Err(PveError::NoAnswer { call: line, why: "cancelled".into() }),
        Ended::Code(126 | 127) => Err(PveError::NotSent { call: line, why: format!("pvesh cannot be run: {first}") }),
        // HUP, INT, KILL, PIPE, TERM. Other codes above 128 are errno or perl's 255.
        Ended::Code(code @ (129 | 130 | 137 | 141 | 143)) => {
            Err(PveError::NoAnswer { call: line, why: format!("pvesh was killed by signal {}", code - 128) })
        }
        Ended::Code(0) => {
            let data = data(&output.stdout.text())
                .ok_or_else(|| PveError::NoAnswer { call: line, why: "pvesh printed no JSON".into() })?;
            Ok(ApiAnswer { status: 200, reason: "OK".into(), body: json!({ "data": data }), task: None })
        }
        Ended::Code(_) => Ok(failure(&stderr)),
    }
}

/// The data: all of the output, or the last line after a worker's log lines. Nothing printed is `null`.
fn data(stdout: &str) -> Option<Value> {
    let text = stdout.trim();
    if text.is_empty() {
        return Some(Value::Null);
    }
    if let Ok(value) = serde_json::from_str(text) {
        return Some(value);
    }
    let last = text.lines().last().unwrap_or_default().trim();
    if last.parse::<Upid>().is_ok() {
        return Some(Value::String(last.to_string()));
    }
    let value: Value = serde_json::from_str(last).ok()?;
    Upid::of(&value).map(|_| value)
}

/// Status, reason and errors out of what `pvesh` wrote to standard error.
fn failure(stderr: &str) -> ApiAnswer {
    let lines: Vec<&str> = stderr.lines().filter(|l| !l.trim().is_empty() && !is_usage(l)).collect();
    // An exception with a code begins with it: `400 Parameter verification failed.`
    let coded = lines.iter().enumerate().find_map(|(i, line)| {
        let (code, reason) = line.split_once(' ')?;
        let status: u16 = code.parse().ok().filter(|_| code.len() == 3)?;
        (400..600).contains(&status).then(|| (i, status, reason.trim().to_string()))
    });
    let Some((at, status, reason)) = coded else {
        let message = lines.join("\n");
        let reason = lines.first().map_or("pvesh failed without a word", |l| l.trim()).to_string();
        // Source: pve-manager `PVE/CLI/pvesh.pm`, `extract_path_info`.
        let unknown = reason.starts_with("No '") && reason.contains("' handler defined for '");
        let body = json!({ "data": null, "message": message });
        return ApiAnswer { status: if unknown { 501 } else { 500 }, reason, body, task: None };
    };
    let mut errors = Map::new();
    for line in &lines[at + 1..] {
        if let Some((name, why)) = line.split_once(": ")
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
        {
            errors.insert(name.to_string(), Value::String(why.trim().to_string()));
        }
    }
    for line in &lines[..at] {
        if let Some(name) = line.strip_prefix("Unknown option: ") {
            errors.insert(name.trim().to_string(), Value::String("unknown option".into()));
        }
    }
    let mut body = json!({ "data": null, "message": reason });
    if !errors.is_empty() {
        body["errors"] = Value::Object(errors);
    }
    ApiAnswer { status, reason, body, task: None }
}

fn is_usage(line: &str) -> bool {
    line.starts_with("pvesh ") && line.contains("<api_path>")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::mark;

    #[test]
    fn a_call_is_said_as_one_would_type_it() {
        let call =
            ApiCall::of(Method::Put, "/nodes/{node}/qemu/100/config").param("balloon", "-1").param("name", "a b");
        let argv = cmd("pve1", &call).unwrap().argv[4..].to_vec();
        let expected = ["pvesh", "set", "/nodes/pve1/qemu/100/config", "--balloon=-1", "--name", "a b"];
        assert_eq!(argv[..6], expected);
        assert_eq!(argv[6..], ["--output-format", "json"]);
        let call = ApiCall::of(Method::Delete, "/cluster/firewall/ipset/s/10.0.0.0%2F8");
        assert_eq!(cmd("n", &call).unwrap().argv[6], "/cluster/firewall/ipset/s/10.0.0.0/8");
    }

    #[test]
    fn a_secret_is_refused_by_name_and_not_shown() {
        let call = ApiCall::of(Method::Put, "/x").param("cipassword", mark("db"));
        let why = cmd("n", &call).unwrap_err().to_string();
        assert!(why.contains("`cipassword` holds a secret"), "{why}");
    }

    #[test]
    fn log_lines_before_the_upid_are_skipped_and_other_noise_is_no_answer() {
        let upid = "UPID:pve1:00001E59:00075AFC:6B0274F0:qmsnapshot:100:root@pam:";
        let call = ApiCall::of(Method::Post, "/x");
        let got = read(&call, &Output::of(0, &format!("snapshotting 'x'\n\"{upid}\"\n"), "")).unwrap();
        assert_eq!(got.data(), upid);
        assert!(read(&call, &Output::of(0, "half a li", "")).unwrap_err().is_unknown());
        assert!(read(&call, &Output::of(0, "log line\n\"text\"\n", "")).unwrap_err().is_unknown());
        assert!(read(&call, &Output::of(137, "", "Killed")).unwrap_err().is_unknown());
        assert!(!read(&call, &Output::of(127, "", "sh: pvesh: not found")).unwrap_err().is_unknown());
    }

    #[test]
    fn errors_become_status_reason_and_map() {
        let call = ApiCall::get("/x");
        let text =
            "400 Parameter verification failed.\ncidr: invalid format - no network\n\npvesh create <api_path> --x\n";
        let got = read(&call, &Output::of(255, "", text)).unwrap();
        assert_eq!((got.status, got.reason.as_str()), (400, "Parameter verification failed."));
        assert_eq!(got.body["errors"], json!({"cidr": "invalid format - no network"}));
        let got = read(&call, &Output::of(2, "", "Configuration file 'x' does not exist\n")).unwrap();
        assert_eq!((got.status, got.reason.as_str()), (500, "Configuration file 'x' does not exist"));
        let got = read(&call, &Output::of(1, "", "No 'get' handler defined for '/nosuch'\n")).unwrap();
        assert_eq!(got.status, 501);
    }
}
