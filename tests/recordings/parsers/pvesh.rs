//! The 109 recorded calls of `pvesh` through the *pvesh* carrier: its exit status 0 is never taken for success.

use super::{Tally, rows, text};
use piton::cmd::{ApiAnswer, ApiCall, Method, Output};
use piton::pve::interfaces;
use piton::pve::{Upid, pvesh};
use serde_json::Value;

fn argv(row: &Value) -> Vec<&str> {
    row["argv"].as_array().unwrap().iter().map(|a| a.as_str().unwrap()).collect()
}

fn output(row: &Value) -> Output {
    let rc = i32::try_from(row["rc"].as_i64().unwrap()).unwrap();
    Output::of(rc, text(row, "stdout"), text(row, "stderr"))
}

/// The call that a command line makes; `None` for what piton never asks `pvesh` for.
fn call(argv: &[&str]) -> Option<ApiCall> {
    let method = match *argv.get(1)? {
        "get" => Method::Get,
        "create" => Method::Post,
        "set" => Method::Put,
        "delete" => Method::Delete,
        _ => return None,
    };
    let mut call = ApiCall::of(method, *argv.get(2)?);
    for pair in argv[3..].chunks(2) {
        match pair {
            ["--output-format", "json"] => {}
            ["--output-format" | "--noborder" | "--noheader", _] => return None,
            [name, value] => call = call.param(name.strip_prefix("--")?, *value),
            _ => return None,
        }
    }
    Some(call)
}

/// Without `--output-format` a GET prints a table: not what piton asks for.
fn is_table(row: &Value, call: &ApiCall) -> bool {
    call.method == Method::Get && !argv(row).contains(&"json") && row["rc"] == 0
}

#[test]
fn every_row_is_read_for_what_it_means() {
    let mut tally = Tally::default();
    for row in rows("pve-8.4.jsonl").iter().filter(|r| argv(r)[0] == "pvesh") {
        tally.add(one(row));
    }
    tally.check(
        "pvesh rows",
        &[
            ("data", 59),
            ("error: 400", 12),
            ("error: 500", 7),
            ("not what piton asks", 11),
            ("task: ask how it ended", 20),
        ],
    );
    assert_eq!(tally.0.values().sum::<usize>(), 109);
}

fn one(row: &Value) -> &'static str {
    let (seq, argv) = (&row["seq"], argv(row));
    let Some(call) = call(&argv).filter(|c| !is_table(row, c)) else {
        return "not what piton asks";
    };
    let mut said = pvesh::cmd("pve1", &call).unwrap().argv;
    said.drain(..said.iter().position(|a| a == "pvesh").unwrap());
    let mut expected: Vec<&str> = argv.clone();
    if let Some(at) = expected.iter().position(|a| *a == "--output-format") {
        expected.drain(at..at + 2);
    }
    expected.extend(["--output-format", "json"]);
    assert_eq!(said, expected, "{seq}");
    let got = pvesh::read(&call, &output(row)).unwrap_or_else(|e| panic!("{seq}: {e}"));
    let stderr = text(row, "stderr");
    if row["rc"] != 0 {
        assert!(!got.ok() && !got.message().is_empty(), "{seq}");
        assert!(stderr.contains(&got.reason), "{seq}: {}", got.reason);
        return match got.status {
            400 => {
                let lines =
                    stderr.lines().filter(|l| !l.starts_with("400 ") && !l.starts_with("pvesh ") && !l.is_empty());
                assert_eq!(got.body["errors"].as_object().unwrap().len(), lines.count(), "{seq}: {}", got.body);
                "error: 400"
            }
            500 => "error: 500",
            other => panic!("{seq}: {other}"),
        };
    }
    if Upid::of(got.data()).is_some() {
        return "task: ask how it ended";
    }
    // Exit 0 without a task and with something on stderr would have to be looked into.
    assert_eq!(stderr, "", "{seq}");
    let stdout = text(row, "stdout").trim();
    let expected = if stdout.is_empty() { Value::Null } else { serde_json::from_str(stdout).unwrap() };
    assert_eq!(got.data(), &expected, "{seq}");
    "data"
}

/// Rows that ended 0 although the task failed.
const FAILED: [u64; 7] = [177, 182, 183, 184, 335, 473, 475];

#[test]
fn failures_that_ended_0_need_the_task_s_status() {
    let rows = rows("pve-8.4.jsonl");
    for seq in FAILED {
        let row = rows.iter().find(|r| r["seq"] == seq).unwrap();
        assert_eq!(row["rc"], 0, "{seq}");
        let call = call(&argv(row)).unwrap();
        let got: ApiAnswer = pvesh::read(&call, &output(row)).unwrap();
        let upid = Upid::of(got.data()).unwrap_or_else(|| panic!("{seq}: taken for done"));
        assert!(text(row, "stdout").contains(&upid.to_string()));
    }
    // And these are all of them: every other worker that ended 0 wrote no error.
    for row in rows.iter().filter(|r| argv(r)[0] == "pvesh" && r["rc"] == 0) {
        let failed = FAILED.contains(&row["seq"].as_u64().unwrap());
        let quiet = text(row, "stderr").is_empty() || text(row, "stderr").contains("trying to acquire lock");
        assert_eq!(quiet, !failed, "{}", row["seq"]);
    }
}

#[test]
fn both_carriers_say_the_same_of_the_same_mistake() {
    let (api, cli) = (rows("api-8.4.jsonl"), rows("pve-8.4.jsonl"));
    for (from_api, from_cli) in [
        (("GET", "/nodes/pve1/qemu/999/config", 500), 226),
        (("GET", "/nodes/pve1/qemu/999/status/current", 500), 227),
        (("GET", "/nodes/other/status", 500), 11),
    ] {
        let (method, path, status) = from_api;
        let row = api.iter().find(|r| r["method"] == method && r["path"] == path && r["status"] == status);
        let row = row.unwrap_or_else(|| panic!("{path}"));
        let cli = cli.iter().find(|r| r["seq"] == from_cli).unwrap();
        let got = pvesh::read(&call(&argv(cli)).unwrap(), &output(cli)).unwrap();
        let plain = |t: &str| t.replace("/100.conf", "/999.conf").replace("nosuch", "other");
        assert_eq!((u64::from(got.status), plain(&got.reason)), (status, plain(text(row, "reason"))), "{path}");
    }
}

#[test]
fn recorded_interfaces_files_are_read() {
    let all = rows("pve-8.4.jsonl");
    let mut read = 0;
    for row in all.iter().filter(|r| argv(r)[0] == "cat" && argv(r)[1].starts_with("/etc/network/interfaces")) {
        let stanzas = interfaces::parse(text(row, "stdout"));
        let bridge = stanzas.iter().find(|i| i.name == "vmbr0").unwrap();
        assert_eq!(bridge.option("bridge-ports"), Some("eno1"), "{}", row["seq"]);
        assert_eq!((bridge.method.as_str(), bridge.auto), ("static", true));
        assert_eq!(bridge.option("address"), Some("10.10.10.2/24"));
        assert!(bridge.comments.is_empty());
        if row["seq"] == 92 {
            let lab = stanzas.iter().find(|i| i.name == "vmbr1").unwrap();
            assert_eq!((lab.option("bridge-ports"), lab.comments.as_slice()), (Some("none"), &["lab".to_string()][..]));
        }
        read += 1;
    }
    println!("interfaces files: {read}");
    assert!(read >= 4, "{read}");
}

/// Runs a change with a `pvesh` of our own in front of the path; `end` says what becomes of the shell meanwhile.
fn with_fake(script: &str, end: impl FnOnce(&std::process::Child)) -> (std::process::Output, tempfile::TempDir) {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    let dir = tempfile::tempdir().unwrap();
    let fake = dir.path().join("pvesh");
    std::fs::write(&fake, format!("#!/bin/sh\n{script}")).unwrap();
    std::fs::set_permissions(&fake, std::fs::Permissions::from_mode(0o755)).unwrap();
    let cmd = pvesh::cmd("n", &ApiCall::of(Method::Post, "/x").param("a", "b c")).unwrap();
    let child = std::process::Command::new(&cmd.argv[0])
        .args(&cmd.argv[1..])
        .env("PATH", format!("{}:{}", dir.path().display(), std::env::var("PATH").unwrap()))
        .env("TMPDIR", dir.path())
        .env("HERE", dir.path())
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    end(&child);
    (child.wait_with_output().unwrap(), dir)
}

fn until(what: &std::path::Path) {
    let begun = std::time::Instant::now();
    while !what.exists() {
        assert!(begun.elapsed() < std::time::Duration::from_secs(20), "no {}", what.display());
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn a_change_outlives_its_shell_and_gives_its_words_back() {
    let (output, dir) = with_fake("echo \"$*\"; echo oops >&2; exit 3", |_| ());
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "create /x --a b c --output-format json\n");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "oops\n");
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["pvesh"]);

    let script =
        "touch \"$HERE/begun\"; until test -e \"$HERE/go\"; do sleep 0.01; done; echo line; touch \"$HERE/done\"";
    let mut place = None;
    let (output, dir) = with_fake(script, |child| {
        // The shell's environment tells where it is.
        let environ = std::fs::read(format!("/proc/{}/environ", child.id())).unwrap();
        let environ = String::from_utf8_lossy(&environ).into_owned();
        let here = environ.split('\0').find_map(|v| v.strip_prefix("HERE=")).map(std::path::PathBuf::from);
        place.clone_from(&here);
        until(&here.unwrap().join("begun"));
        let group = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        rustix::process::kill_process_group(group, rustix::process::Signal::HUP).unwrap();
    });
    assert_eq!(output.status.code(), None);
    assert_eq!(place.as_deref(), Some(dir.path()));
    std::fs::write(dir.path().join("go"), "").unwrap();
    until(&dir.path().join("done"));
}
