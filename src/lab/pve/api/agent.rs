//! `agent/...`: the guest's own agent, asked through QEMU.

use super::call::{Call, Outcome};
use crate::lab::pve::answer::{Refusal, Reply};
use crate::lab::pve::hypervisor::{Exec, GuestError, GuestOutput};
use crate::lab::pve::schema::{Kind, opt, req};
use crate::lab::pve::simulator::GuestProcess;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// The names below `agent`, in the order of the real index.
pub const COMMANDS: [&str; 25] = [
    "exec",
    "exec-status",
    "file-read",
    "file-write",
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
    "set-user-password",
    "shutdown",
    "suspend-disk",
    "suspend-hybrid",
    "suspend-ram",
];

/// True if a command is called by this method.
pub fn known(method: &str, command: &str) -> bool {
    let reads = command.starts_with("get-")
        || ["exec-status", "file-read", "info", "network-get-interfaces"].contains(&command);
    COMMANDS.contains(&command) && (method == "GET") == reads && (method == "GET" || method == "POST")
}

/// `GET agent`.
pub fn index(call: &Call, _vmid: u32) -> Outcome {
    call.verify(&[])?;
    Ok(Reply::data(COMMANDS.iter().map(|name| json!({"name": name})).collect::<Vec<_>>()))
}

/// `agent/COMMAND`.
pub async fn run(call: &Call, vmid: u32, command: &str) -> Outcome {
    match command {
        "exec" => call.verify(&[req("command", Kind::Text), opt("input-data", Kind::TextUpTo(65_536))])?,
        "exec-status" => call.verify(&[req("pid", Kind::Int(0))])?,
        "file-read" => call.verify(&[req("file", Kind::Text)])?,
        "file-write" => {
            call.verify(&[req("file", Kind::Text), req("content", Kind::Text), opt("encode", Kind::Bool)])?;
        }
        _ => call.verify(&[])?,
    }
    ready(call, vmid).await?;
    let result = |value: Value| Ok(Reply::data(json!({"result": value})));
    match command {
        "ping" => result(json!({})),
        "fsfreeze-status" => result(json!("thawed")),
        "get-host-name" => result(json!({"host-name": host_name(call, vmid)})),
        "network-get-interfaces" => result(interfaces(call, vmid)),
        "get-osinfo" => result(json!({
            "id": "debian", "kernel-release": "6.1.0-56-cloud-amd64",
            "kernel-version": "#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2 (2026-11-16)", "machine": "x86_64",
            "name": "Debian GNU/Linux", "pretty-name": "Debian GNU/Linux 12 (bookworm)",
            "version": "12 (bookworm)", "version-id": "12",
        })),
        "exec" => exec(call, vmid).await,
        "exec-status" => exec_status(call, vmid),
        "file-read" => file_read(call, vmid).await,
        "file-write" => file_write(call, vmid).await,
        other => Err(Refusal::NotSimulated(format!("agent command {other}"))),
    }
}

/// That the agent is configured, the machine runs, and the agent answers, in this order.
async fn ready(call: &Call, vmid: u32) -> Result<(), Refusal> {
    call.must_exist(vmid)?;
    let (configured, running) = call.sim.load(vmid, |vm| (vm.has_agent(), vm.is_running())).map_err(Refusal::died)?;
    if !configured {
        return Err(Refusal::died("No QEMU guest agent configured"));
    }
    if !running {
        return Err(Refusal::died_with(2, format!("VM {vmid} is not running")));
    }
    if call.sim.guest_answers(vmid).await {
        return Ok(());
    }
    tokio::time::sleep(call.sim.pace.unplug_timeout.min(Duration::from_secs(3))).await;
    Err(Refusal::died("QEMU guest agent is not running"))
}

fn host_name(call: &Call, vmid: u32) -> String {
    let named = || call.sim.load(vmid, |vm| vm.config.get("name").cloned()).ok().flatten();
    call.sim.hypervisor.host_name(vmid).or_else(named).unwrap_or_else(|| format!("VM{vmid}"))
}

fn interfaces(call: &Call, vmid: u32) -> Value {
    let statistics = || {
        let names =
            ["rx-bytes", "rx-dropped", "rx-errs", "rx-packets", "tx-bytes", "tx-dropped", "tx-errs", "tx-packets"];
        Value::Object(names.iter().map(|name| ((*name).to_owned(), json!(0))).collect())
    };
    let address = |text: &str| {
        let (address, prefix) = text.split_once('/').unwrap_or((text, "32"));
        let kind = if address.contains(':') { "ipv6" } else { "ipv4" };
        json!({"ip-address": address, "ip-address-type": kind, "prefix": prefix.parse::<u8>().unwrap_or(32)})
    };
    let card = |name: &str, mac: &str, addresses: &[String]| {
        let mut card = json!({"hardware-address": mac, "name": name});
        // A card that has not come up has neither: recorded so.
        if !addresses.is_empty() {
            card["ip-addresses"] = Value::from(addresses.iter().map(|text| address(text)).collect::<Vec<_>>());
            card["statistics"] = statistics();
        }
        card
    };
    let mut list = vec![card("lo", "00:00:00:00:00:00", &["127.0.0.1/8".into(), "::1/128".into()])];
    list.extend(call.sim.hypervisor.addresses(vmid).iter().map(|(name, mac, addresses)| card(name, mac, addresses)));
    Value::Array(list)
}

/// The error of a program that cannot be run, in the agent's words.
fn refused(why: &GuestError) -> Refusal {
    match why {
        GuestError::NoProgram { .. } => {
            Refusal::died_with(29, format!("Agent error: Guest agent command failed, error was '{why}'"))
        }
        other => Refusal::died(other.to_string()),
    }
}

/// Starts the program and answers its process id; the end is asked for with `exec-status`. A program that cannot be
/// run is known within a moment.
async fn exec(call: &Call, vmid: u32) -> Outcome {
    let argv = call.params.all("command");
    let stdin = call.params.get("input-data").unwrap_or_default().as_bytes().to_vec();
    let pid = call.sim.edit(crate::lab::pve::state::State::guest_pid);
    call.sim.processes.lock().expect("never held across a panic").insert((vmid, pid), GuestProcess::Running);
    let sim = call.sim.clone();
    let (tell, told) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let output = sim.hypervisor.exec(vmid, Exec { argv, stdin }).await;
        let mut processes = sim.processes.lock().expect("never held across a panic");
        match output {
            Ok(output) => {
                processes.insert((vmid, pid), GuestProcess::Ended(output));
                let _ = tell.send(Ok(()));
            }
            Err(why) => {
                processes.remove(&(vmid, pid));
                let _ = tell.send(Err(refused(&why)));
            }
        }
    });
    if let Ok(Ok(Err(refusal))) = tokio::time::timeout(Duration::from_millis(50), told).await {
        return Err(refusal);
    }
    Ok(Reply::data(json!({"pid": pid})))
}

/// Answers the end of a program once, then forgets it.
fn exec_status(call: &Call, vmid: u32) -> Outcome {
    let pid = call.params.number("pid").and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0);
    let mut processes = call.sim.processes.lock().expect("never held across a panic");
    match processes.get(&(vmid, pid)) {
        None => Err(Refusal::died_with(29, "Agent error: Invalid parameter 'pid'")),
        Some(GuestProcess::Running) => Ok(Reply::data(json!({"exited": 0}))),
        Some(GuestProcess::Ended(output)) => {
            let reply = ended(output);
            processes.remove(&(vmid, pid));
            Ok(Reply::data(reply))
        }
    }
}

fn ended(output: &GuestOutput) -> Value {
    let mut map = Map::from_iter([("exited".to_owned(), json!(1))]);
    if let Some(signal) = output.signal {
        map.insert("signal".into(), json!(signal));
    } else {
        map.insert("exitcode".into(), json!(output.code.unwrap_or(0)));
    }
    for (name, bytes) in [("out", &output.stdout), ("err", &output.stderr)] {
        if !bytes.is_empty() {
            map.insert(format!("{name}-data"), json!(String::from_utf8_lossy(bytes)));
            map.insert(format!("{name}-truncated"), json!(0));
        }
    }
    Value::Object(map)
}

async fn file_read(call: &Call, vmid: u32) -> Outcome {
    let path = call.params.get("file").unwrap_or_default();
    match call.sim.hypervisor.read_file(vmid, path).await {
        Ok(bytes) => {
            let content = String::from_utf8_lossy(&bytes).into_owned();
            Ok(Reply::data(json!({"bytes-read": bytes.len(), "content": content})))
        }
        Err(GuestError::NoProgram { why, .. }) => {
            Err(Refusal::died_with(29, format!("Agent error: failed to open file '{path}' (mode: 'r'): {why}")))
        }
        Err(why) => Err(Refusal::died(why.to_string())),
    }
}

async fn file_write(call: &Call, vmid: u32) -> Outcome {
    let path = call.params.get("file").unwrap_or_default().to_owned();
    let stdin = call.params.get("content").unwrap_or_default().as_bytes().to_vec();
    let argv = vec!["sh".to_owned(), "-c".to_owned(), "cat > \"$1\"".to_owned(), "sh".to_owned(), path.clone()];
    let output = call.sim.hypervisor.exec(vmid, Exec { argv, stdin }).await.map_err(|why| refused(&why))?;
    if output.code == Some(0) {
        return Ok(Reply::null());
    }
    let why = String::from_utf8_lossy(&output.stderr);
    let why = why.trim_end().rsplit(": ").next().unwrap_or_default();
    Err(Refusal::died_with(29, format!("Agent error: failed to open file '{path}' (mode: 'w+'): {why}")))
}
