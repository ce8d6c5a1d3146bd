//! `qm guest ...` and `qm agent`: the guest's agent.

use super::args::{Takes, read};
use super::display::json_pretty;
use super::qm::{checked_vmid, counted, options, usage, wrong_line};
use super::qm_run::{accepted, refused};
use super::{CallError, Caller, Printed};
use crate::lab::pve::params::Params;
use crate::lab::pve::schema::{Kind, check};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

const COMMANDS: &[&str] = &[
    "fsfreeze-freeze",
    "fsfreeze-status",
    "fsfreeze-thaw",
    "fstrim",
    "get-fsinfo",
    "get-host-name",
    "get-memory-block-info",
    "get-memory-blocks",
    "get-osinfo",
    "get-time",
    "get-timezone",
    "get-users",
    "get-vcpus",
    "info",
    "network-get-interfaces",
    "ping",
    "shutdown",
    "suspend-disk",
    "suspend-hybrid",
    "suspend-ram",
];

/// How long `qm guest exec` waits if it is not told, in seconds.
const EXEC_SECONDS: u64 = 30;

/// `qm guest cmd` and `qm agent`.
pub async fn command(args: &[String], node: &str, caller: &dyn Caller) -> Result<Printed, CallError> {
    let usage = usage("guest cmd");
    let line = options(args, &usage, |_| None);
    let words = match line.and_then(|line| counted(&line.words, 2, &usage).map(|()| line.words)) {
        Ok(words) => words,
        Err(printed) => return Ok(printed),
    };
    let enumerated = check("command", Kind::Enum(COMMANDS), &words[1]).map_err(|message| {
        Printed::failed(255, format!("400 Parameter verification failed.\ncommand: {message}\n{usage}\n"))
    });
    if let Err(printed) = checked_vmid(&words[0], &usage).and(enumerated) {
        return Ok(printed);
    }
    let reads = ["get-", "info", "network-"].iter().any(|start| words[1].starts_with(start));
    let method = if reads { "GET" } else { "POST" };
    let path = format!("/nodes/{node}/qemu/{}/agent/{}", words[0], words[1]);
    let answer = caller.call(method, &path, &Params::default()).await?;
    if !accepted(&answer) {
        return Ok(refused(&answer, &usage));
    }
    Ok(Printed::out(match &answer.data["result"] {
        Value::Object(map) if map.is_empty() => String::new(),
        Value::String(text) => format!("{text}\n"),
        other => format!("{}\n", json_pretty(other)),
    }))
}

/// `qm guest exec`: ends 0 whatever the guest's program did.
pub async fn exec(args: &[String], stdin: &[u8], node: &str, caller: &dyn Caller) -> Result<Printed, CallError> {
    let usage = usage("guest exec");
    let known = |name: &str| match name {
        "timeout" => Some(Takes::Value),
        "synchronous" | "pass-stdin" => Some(Takes::MaybeValue),
        _ => None,
    };
    let line = match read(args, known) {
        Ok(line) => line,
        Err(why) => return Ok(Printed::failed(255, format!("{why}\n400 unable to parse option\n{usage}\n"))),
    };
    let Some((vmid, more)) = line.words.split_first() else { return Ok(wrong_line("not enough arguments", &usage)) };
    if let Err(printed) = checked_vmid(vmid, &usage) {
        return Ok(printed);
    }
    let mut params = Params::default();
    for word in more.iter().chain(&line.rest) {
        params.push("command", word.clone());
    }
    if line.options.flag("pass-stdin") {
        params.push("input-data", String::from_utf8_lossy(stdin));
    }
    let base = format!("/nodes/{node}/qemu/{vmid}/agent");
    let answer = caller.call("POST", &format!("{base}/exec"), &params).await?;
    if !accepted(&answer) {
        return Ok(refused(&answer, &usage));
    }
    let pid = answer.data["pid"].clone();
    let started = Printed::out(format!("{}\n", json_pretty(&json!({"pid": pid}))));
    if line.options.get("synchronous").is_some() && !line.options.flag("synchronous") {
        return Ok(started);
    }
    let seconds = line.options.number("timeout").unwrap_or(EXEC_SECONDS);
    let end = Instant::now() + Duration::from_secs(seconds);
    let params = Params::from_pairs([("pid", pid.to_string())]);
    loop {
        let answer = caller.call("GET", &format!("{base}/exec-status"), &params).await?;
        if !accepted(&answer) {
            return Ok(refused(&answer, &usage));
        }
        if answer.data["exited"] == 1 {
            return Ok(Printed::out(format!("{}\n", json_pretty(&answer.data))));
        }
        // 0 waits for ever.
        if seconds > 0 && Instant::now() >= end {
            return Ok(Printed { err: "timeout reached, returning pid\n".into(), ..started });
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// `qm guest exec-status`.
pub async fn exec_status(args: &[String], node: &str, caller: &dyn Caller) -> Result<Printed, CallError> {
    let usage = usage("guest exec-status");
    let line = options(args, &usage, |_| None);
    let words = match line.and_then(|line| counted(&line.words, 2, &usage).map(|()| line.words)) {
        Ok(words) => words,
        Err(printed) => return Ok(printed),
    };
    if let Err(printed) = checked_vmid(&words[0], &usage) {
        return Ok(printed);
    }
    let path = format!("/nodes/{node}/qemu/{}/agent/exec-status", words[0]);
    let answer = caller.call("GET", &path, &Params::from_pairs([("pid", words[1].clone())])).await?;
    if !accepted(&answer) {
        return Ok(refused(&answer, &usage));
    }
    Ok(Printed::out(format!("{}\n", json_pretty(&answer.data))))
}
