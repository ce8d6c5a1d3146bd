//! The 727 recorded calls to pvedaemon through the *api* carrier: what `curl` would have printed, and what is read.

use super::{Tally, rows, text};
use piton::cmd::{ApiAnswer, ApiCall, Method, Output, TaskEnd};
use piton::pve::coverage::{Storage, coverage};
use piton::pve::curl::read_many;
use piton::pve::task::Following;
use piton::pve::{SnapshotList, Upid};
use serde_json::{Value, json};

const NONCE: &str = "piton-0123456789abcdef";

fn method(row: &Value) -> Option<Method> {
    match text(row, "method") {
        "GET" => Some(Method::Get),
        "POST" => Some(Method::Post),
        "PUT" => Some(Method::Put),
        "DELETE" => Some(Method::Delete),
        _ => None,
    }
}

/// The call of a row; a method that piton has not is read as a POST.
fn call(row: &Value) -> ApiCall {
    ApiCall::of(method(row).unwrap_or(Method::Post), text(row, "path"))
}

/// What `curl` prints for a row: headers as pvedaemon gives them, body, our line.
fn printed(row: &Value) -> String {
    if row["status"] == 0 {
        return format!("\n{NONCE} 52 210 Empty reply from server\n");
    }
    let body = match &row["body"] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let (status, reason) = (&row["status"], text(row, "reason"));
    let length = body.len();
    format!(
        "HTTP/1.1 {status} {reason}\r\nCache-Control: max-age=0\r\nConnection: close\r\nServer: pve-api-daemon/3.0\r\n\
         Content-Length: {length}\r\nContent-Type: application/json;charset=UTF-8\r\n\r\n{body}\n{NONCE} 0 210 \n"
    )
}

fn read(row: &Value) -> Result<ApiAnswer, piton::pve::PveError> {
    read_many(&[call(row)], &Output::of(0, &printed(row), ""), NONCE).remove(0)
}

fn answer(data: Value) -> ApiAnswer {
    ApiAnswer { status: 200, reason: "OK".into(), body: json!({ "data": data }), task: None }
}

#[test]
fn every_row_is_read_as_it_was_answered_and_classified() {
    let rows = rows("api-8.4.jsonl");
    let storages = rows.iter().find(|r| r["path"] == "/storage").unwrap();
    let storages = Storage::list(&storages["body"]["data"]).unwrap();
    let mut tally = Tally::default();
    for row in &rows {
        tally.add(one(row, &storages));
    }
    tally.check(
        "api rows",
        &[
            ("accepted: a task", 89),
            ("data", 218),
            ("error: 400", 88),
            ("error: 401", 7),
            ("error: 500", 93),
            ("error: 501", 5),
            ("no answer", 3),
            ("snapshot list", 4),
            ("storage list", 1),
            ("task log", 97),
            ("task status", 103),
            ("vm config", 19),
        ],
    );
    assert_eq!(tally.0.values().sum::<usize>(), 727);
}

fn one(row: &Value, storages: &[Storage]) -> &'static str {
    let seq = &row["seq"];
    if row["status"] == 0 {
        let error = read(row).unwrap_err();
        assert!(error.is_unknown(), "{seq}: {error}");
        return "no answer";
    }
    let got = read(row).unwrap_or_else(|e| panic!("{seq}: {e}"));
    assert_eq!(u64::from(got.status), row["status"].as_u64().unwrap(), "{seq}");
    assert_eq!(got.reason, text(row, "reason"), "{seq}");
    let body = if row["body"] == "" { &Value::Null } else { &row["body"] };
    assert_eq!(&got.body, body, "{seq}");
    let data = body.get("data").unwrap_or(&Value::Null);
    assert_eq!(got.data(), data, "{seq}");
    if got.status >= 300 {
        assert!(!got.ok() && !got.message().is_empty(), "{seq}");
        let names = body.get("errors").and_then(Value::as_object).into_iter().flatten();
        names.for_each(|(name, _)| assert!(got.message().contains(name.as_str()), "{seq}: {}", got.message()));
        return match got.status {
            400 => "error: 400",
            401 => "error: 401",
            500 => "error: 500",
            501 => "error: 501",
            other => panic!("{seq}: {other}"),
        };
    }
    assert!(got.ok(), "{seq}");
    let path = text(row, "path");
    let get = method(row) == Some(Method::Get);
    if let Some(upid) = Upid::of(data) {
        assert_eq!(upid.to_string(), data.as_str().unwrap(), "{seq}");
        assert_eq!(upid.node, "pve1", "{seq}");
        return "accepted: a task";
    }
    if get && path.contains("/tasks/UPID") && path.ends_with("/status") {
        task_status(seq, path, &got);
        return "task status";
    }
    if get && path.contains("/tasks/UPID") && path.ends_with("/log") && data.is_array() {
        let look = following(path).look(&answer(json!({"status": "running"})), &got).unwrap();
        let lines: Vec<&str> = data.as_array().unwrap().iter().map(|r| r["t"].as_str().unwrap()).collect();
        assert_eq!(look.lines, lines, "{seq}");
        return "task log";
    }
    if get && path.ends_with("/snapshot") {
        snapshot_list(seq, data);
        return "snapshot list";
    }
    if get && path == "/storage" {
        assert_eq!(Storage::list(data).unwrap().len(), data.as_array().unwrap().len());
        return "storage list";
    }
    if get && path.contains("/qemu/") && path.ends_with("/config") {
        let got = coverage("vm", data, storages, &[]);
        // The node's disks are qcow2 on directories, but for raw ones, which alone make a snapshot impossible.
        let raw = data.as_object().unwrap().iter().any(|(key, value)| {
            let disk = ["scsi", "virtio", "sata", "ide", "efidisk"].iter().any(|bus| key.starts_with(bus));
            disk && value.as_str().is_some_and(|v| v.contains(".raw") && !v.contains("media=cdrom"))
        });
        let template = data["template"] == 1;
        assert_eq!(got.possible, !raw && !template, "{seq}: {got:?}");
        return "vm config";
    }
    "data"
}

fn following(path: &str) -> Following {
    Following::new(&path.split('/').nth(4).unwrap().parse().unwrap())
}

fn task_status(seq: &Value, path: &str, got: &ApiAnswer) {
    let mut task = following(path);
    let upid = task.upid().to_string();
    assert_eq!(got.data()["upid"], upid.as_str(), "{seq}");
    let look = task.look(got, &answer(json!([]))).unwrap();
    let recorded = got.data()["exitstatus"].as_str();
    assert_eq!(look.exitstatus.as_deref(), recorded, "{seq}");
    assert_eq!(look.exitstatus.is_none(), got.data()["status"] == "running", "{seq}");
    if let Some(exitstatus) = look.exitstatus {
        let end: TaskEnd = task.end(exitstatus);
        assert_eq!(end.ok(), recorded == Some("OK"), "{seq}");
        let whole = ApiAnswer { task: Some(end), ..answer(json!(upid)) };
        assert_eq!(whole.ok(), recorded == Some("OK"), "{seq}");
    }
}

fn snapshot_list(seq: &Value, data: &Value) {
    let list = SnapshotList::parse(data).unwrap();
    let rows = data.as_array().unwrap();
    assert_eq!(list.snapshots.len(), rows.len() - 1, "{seq}");
    let current = rows.iter().find(|r| r["name"] == "current").unwrap();
    assert_eq!(list.parent.as_deref(), current["parent"].as_str(), "{seq}");
    assert_eq!(list.running, current["running"] == 1, "{seq}");
    for row in rows.iter().filter(|r| r["name"] != "current") {
        let got = list.get(row["name"].as_str().unwrap()).unwrap();
        assert_eq!((Some(got.taken), got.ram), (row["snaptime"].as_u64(), row["vmstate"] == 1), "{seq}");
        assert_eq!(
            (got.description.as_str(), got.parent.as_deref()),
            (text(row, "description"), row["parent"].as_str())
        );
        assert!(got.ours().is_none(), "{seq}: none of the recorded ones is piton's");
        // Parents come before their children.
        let at = |name: &str| list.snapshots.iter().position(|s| s.name == name);
        assert!(got.parent.as_deref().is_none_or(|p| at(p) < at(&got.name)), "{seq}");
    }
}

#[test]
fn all_gets_in_one_process_are_told_apart() {
    let rows: Vec<Value> = rows("api-8.4.jsonl").into_iter().filter(|r| method(r) == Some(Method::Get)).collect();
    let calls: Vec<ApiCall> = rows.iter().map(call).collect();
    let text: String = rows.iter().map(printed).collect();
    let got = read_many(&calls, &Output::of(0, &text, ""), NONCE);
    assert_eq!(got.len(), rows.len());
    for (row, got) in rows.iter().zip(got) {
        let body = if row["body"] == "" { &Value::Null } else { &row["body"] };
        assert_eq!(&got.unwrap().body, body, "{}", row["seq"]);
    }
    // Cut off in the middle: what came is read, the rest is not made up.
    let cut = &text[..text.len() / 2];
    let half = read_many(&calls, &Output::of(137, cut, ""), NONCE);
    let whole = half.iter().take_while(|r| r.is_ok()).count();
    assert!(whole > 0 && whole < calls.len() && half[whole..].iter().all(Result::is_err));
}
