//! What `qm` shows: list, status, config, pending, listsnapshot.

use super::args::Takes;
use super::display::{plain, tabbed};
use super::qm::{checked_vmid, counted, options, usage};
use super::qm_run::{accepted, refused};
use super::{CallError, Caller, Printed};
use crate::lab::pve::clock::Civil;
use crate::lab::pve::params::Params;
use serde_json::Value;
use std::collections::BTreeMap;

const NOTHING: fn(&str) -> Option<Takes> = |_| None;

/// The data of a `GET`, or what is printed instead.
async fn get(
    caller: &dyn Caller,
    path: &str,
    params: &Params,
    usage: &str,
) -> Result<Result<Value, Printed>, CallError> {
    let answer = caller.call("GET", path, params).await?;
    Ok(if accepted(&answer) { Ok(answer.data) } else { Err(refused(&answer, usage)) })
}

/// Reads the line of a command with one VMID.
fn machine(args: &[String], usage: &str, known: impl Fn(&str) -> Option<Takes>) -> Result<(String, Params), Printed> {
    let line = options(args, usage, known)?;
    counted(&line.words, 1, usage)?;
    checked_vmid(&line.words[0], usage)?;
    Ok((line.words[0].clone(), line.options))
}

/// `qm list`: nothing without machines.
pub async fn list(args: &[String], node: &str, caller: &dyn Caller) -> Result<Printed, CallError> {
    let usage = usage("list");
    let line = options(args, &usage, |name| (name == "full").then_some(Takes::MaybeValue));
    if let Err(printed) = line.and_then(|line| counted(&line.words, 0, &usage)) {
        return Ok(printed);
    }
    let data = match get(caller, &format!("/nodes/{node}/qemu"), &Params::default(), &usage).await? {
        Ok(data) => data,
        Err(printed) => return Ok(printed),
    };
    let mut rows: Vec<&Value> = data.as_array().into_iter().flatten().collect();
    rows.sort_by_key(|row| row["vmid"].as_u64());
    let mut text = String::new();
    if !rows.is_empty() {
        text = format!(
            "{:>10} {:<20} {:<10} {:<10} {:>12} {:<10}\n",
            "VMID", "NAME", "STATUS", "MEM(MB)", "BOOTDISK(GB)", "PID"
        );
    }
    for row in rows {
        let number = |key: &str| row[key].as_u64().unwrap_or(0);
        #[expect(clippy::cast_precision_loss)]
        let disk = number("maxdisk") as f64 / f64::from(1 << 30);
        text.push_str(&format!(
            "{:>10} {:<20} {:<10} {:<10} {disk:>12.2} {:<10}\n",
            number("vmid"),
            plain(&row["name"]),
            plain(&row["status"]),
            number("maxmem") >> 20,
            number("pid"),
        ));
    }
    Ok(Printed::out(text))
}

/// `qm status`: a suspended machine is "paused".
pub async fn status(args: &[String], node: &str, caller: &dyn Caller) -> Result<Printed, CallError> {
    let usage = usage("status");
    let known = |name: &str| (name == "verbose").then_some(Takes::MaybeValue);
    let (vmid, options) = match machine(args, &usage, known) {
        Ok(read) => read,
        Err(printed) => return Ok(printed),
    };
    let path = format!("/nodes/{node}/qemu/{vmid}/status/current");
    let mut data = match get(caller, &path, &Params::default(), &usage).await? {
        Ok(data) => data,
        Err(printed) => return Ok(printed),
    };
    if options.flag("verbose") {
        if let Some(map) = data.as_object_mut() {
            // What only the API adds, and what only the API measures.
            for key in ["ha", "agent", "clipboard", "cpu", "spice"] {
                map.remove(key);
            }
        }
        return Ok(Printed::out(tabbed(&data, 0)));
    }
    Ok(Printed::out(format!("status: {}\n", plain(&data["qmpstatus"]))))
}

/// A value on one line: in a description control characters and percent signs are encoded, nothing elsewhere.
fn one_line(key: &str, value: &Value) -> String {
    let text = plain(value);
    if key != "description" {
        return text;
    }
    let encode = |c: char| if c.is_control() || c == '%' { format!("%{:02X}", c as u32) } else { c.to_string() };
    text.chars().map(encode).collect()
}

/// `qm config`.
pub async fn config(args: &[String], node: &str, caller: &dyn Caller) -> Result<Printed, CallError> {
    let usage = usage("config");
    let known = |name: &str| match name {
        "current" => Some(Takes::MaybeValue),
        "snapshot" => Some(Takes::Value),
        _ => None,
    };
    let (vmid, options) = match machine(args, &usage, known) {
        Ok(read) => read,
        Err(printed) => return Ok(printed),
    };
    let data = match get(caller, &format!("/nodes/{node}/qemu/{vmid}/config"), &options, &usage).await? {
        Ok(data) => data,
        Err(printed) => return Ok(printed),
    };
    let sorted: BTreeMap<_, _> = data.as_object().into_iter().flatten().filter(|(key, _)| *key != "digest").collect();
    Ok(Printed::out(
        sorted.into_iter().map(|(key, value)| format!("{key}: {}\n", one_line(key, value))).collect::<String>(),
    ))
}

/// `qm pending`.
pub async fn pending(args: &[String], node: &str, caller: &dyn Caller) -> Result<Printed, CallError> {
    let usage = usage("pending");
    let (vmid, _) = match machine(args, &usage, NOTHING) {
        Ok(read) => read,
        Err(printed) => return Ok(printed),
    };
    let path = format!("/nodes/{node}/qemu/{vmid}/pending");
    let data = match get(caller, &path, &Params::default(), &usage).await? {
        Ok(data) => data,
        Err(printed) => return Ok(printed),
    };
    let mut items: Vec<&Value> = data.as_array().into_iter().flatten().collect();
    items.sort_by_key(|item| item["key"].as_str());
    let mut text = String::new();
    for item in items.into_iter().filter(|item| item["key"] != "digest") {
        let key = plain(&item["key"]);
        let deleted = item.get("delete").is_some();
        if let Some(value) = item.get("value") {
            text.push_str(&format!("{} {key}: {}\n", if deleted { "del" } else { "cur" }, one_line(&key, value)));
        }
        if let Some(value) = item.get("pending") {
            text.push_str(&format!("new {key}: {}\n", one_line(&key, value)));
        }
    }
    Ok(Printed::out(text))
}

/// `qm listsnapshot`: a tree by parents, siblings by time.
pub async fn snapshots(args: &[String], node: &str, caller: &dyn Caller) -> Result<Printed, CallError> {
    let usage = usage("listsnapshot");
    let (vmid, _) = match machine(args, &usage, NOTHING) {
        Ok(read) => read,
        Err(printed) => return Ok(printed),
    };
    let path = format!("/nodes/{node}/qemu/{vmid}/snapshot");
    let data = match get(caller, &path, &Params::default(), &usage).await? {
        Ok(data) => data,
        Err(printed) => return Ok(printed),
    };
    let mut list: Vec<&Value> = data.as_array().into_iter().flatten().collect();
    list.sort_by_key(|one| one["snaptime"].as_u64().unwrap_or(u64::MAX));
    let known: Vec<&str> = list.iter().filter_map(|one| one["name"].as_str()).collect();
    let mut text = String::new();
    for root in list.iter().filter(|one| one["parent"].as_str().is_none_or(|parent| !known.contains(&parent))) {
        branch(root, &list, 0, &mut text);
    }
    Ok(Printed::out(text))
}

fn branch(one: &Value, list: &[&Value], depth: usize, text: &mut String) {
    let prefix = format!("{}`->", " ".repeat(depth));
    let width = 30_usize.saturating_sub(prefix.len());
    let time = one["snaptime"].as_u64().map(|time| Civil::from_unix(time).date_time()).unwrap_or_default();
    let description = plain(&one["description"]);
    let last = description.lines().last().filter(|line| !line.is_empty()).unwrap_or("no-description");
    let name = plain(&one["name"]);
    text.push_str(&format!("{prefix} {name:<width$} {time:<23} {last}\n"));
    // A chain of parents that bites its own tail would never end.
    if depth > list.len() {
        return;
    }
    for child in list.iter().filter(|child| child["parent"] == one["name"]) {
        branch(child, list, depth + 1, text);
    }
}
