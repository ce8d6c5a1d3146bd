//! `pvesm`: storages and volumes.

use super::args::{Takes, read};
use super::qm_run::{accepted, foreground, refused};
use super::usage::{PVESM, line};
use super::{CallError, Caller, Printed};
use crate::lab::pve::params::Params;
use serde_json::Value;

/// Runs `pvesm`.
///
/// # Errors
/// The server cannot be reached.
pub async fn run(args: &[String], caller: &dyn Caller) -> Result<Printed, CallError> {
    let Some((command, rest)) = args.split_first() else {
        return Ok(Printed::failed(255, format!("ERROR: no command specified\n{PVESM}")));
    };
    let usage = line(PVESM, &format!("pvesm {command}")).unwrap_or_default().to_owned();
    let (words, known): (usize, &[&str]) = match command.as_str() {
        "status" => (0, &["storage", "content", "enabled", "target"]),
        "list" => (1, &["vmid", "content"]),
        "alloc" => (4, &["format"]),
        "free" | "path" => (1, &["delay"]),
        _ if !usage.is_empty() => return Ok(Printed::not_simulated(&format!("pvesm {command}"))),
        _ => return Ok(Printed::failed(255, format!("ERROR: unknown command 'pvesm {command}'\n{PVESM}"))),
    };
    let line = match read(rest, |name| known.contains(&name).then_some(Takes::Value)) {
        Ok(line) => line,
        Err(why) => return Ok(Printed::failed(2, format!("{why}\n400 unable to parse option\n{usage}\n"))),
    };
    let why = match line.words.len().cmp(&words) {
        std::cmp::Ordering::Less => Some("not enough"),
        std::cmp::Ordering::Greater => Some("too many"),
        std::cmp::Ordering::Equal => None,
    };
    if let Some(why) = why {
        return Ok(Printed::failed(2, format!("400 {why} arguments\n{usage}\n")));
    }
    let node = caller.node().await?;
    let base = format!("/nodes/{node}/storage");
    let mut params = line.options.clone();
    let (method, path) = match command.as_str() {
        "status" => ("GET", base),
        "list" => ("GET", format!("{base}/{}/content", line.words[0])),
        "alloc" => {
            for (name, at) in [("vmid", 1), ("filename", 2), ("size", 3)] {
                params.push(name, line.words[at].clone());
            }
            ("POST", format!("{base}/{}/content", line.words[0]))
        }
        "path" => return path_of(&line.words[0], &base, caller).await,
        _ => {
            let storage = line.words[0].split(':').next().unwrap_or_default();
            ("DELETE", format!("{base}/{storage}/content/{}", line.words[0]))
        }
    };
    let answer = caller.call(method, &path, &params).await?;
    if !accepted(&answer) {
        return Ok(refused(&answer, &usage));
    }
    match command.as_str() {
        "status" => Ok(Printed::out(status(&answer.data))),
        "list" => Ok(Printed::out(list(&answer.data))),
        _ => {
            let mut printed = foreground(caller, &answer).await?;
            if command == "alloc" {
                let id = answer.data.as_str().unwrap_or_default();
                printed.out.push_str(&format!("successfully created '{id}'\n"));
            }
            Ok(printed)
        }
    }
}

/// The real tool works the path out without looking whether there is anything.
async fn path_of(id: &str, base: &str, caller: &dyn Caller) -> Result<Printed, CallError> {
    let storage = id.split(':').next().unwrap_or_default();
    let answer = caller.call("GET", &format!("{base}/{storage}/content/{id}"), &Params::default()).await?;
    if accepted(&answer) {
        return Ok(Printed::out(format!("{}\n", answer.data["path"].as_str().unwrap_or_default())));
    }
    Ok(refused(&answer, ""))
}

fn rows(data: &Value) -> Vec<&Value> {
    data.as_array().into_iter().flatten().collect()
}

fn text<'a>(row: &'a Value, key: &str) -> &'a str {
    row[key].as_str().unwrap_or_default()
}

/// Sizes in KiB.
fn status(data: &Value) -> String {
    let mut rows = rows(data);
    rows.sort_by_key(|row| text(row, "storage"));
    // One more than the longest name.
    let width = rows.iter().map(|row| text(row, "storage").len()).max().unwrap_or(4) + 1;
    let mut out = format!(
        "{:<width$} {:>10} {:>10} {:>15} {:>15} {:>15} {:>8}\n",
        "Name", "Type", "Status", "Total", "Used", "Available", "%"
    );
    for row in rows {
        let kib = |key: &str| row[key].as_u64().unwrap_or(0) >> 10;
        let active = if row["active"] == 1 { "active" } else { "disabled" };
        #[expect(clippy::cast_precision_loss)]
        let part = if kib("total") > 0 { kib("used") as f64 * 100.0 / kib("total") as f64 } else { 0.0 };
        out.push_str(&format!(
            "{:<width$} {:>10} {:>10} {:>15} {:>15} {:>15} {:>8}\n",
            text(row, "storage"),
            text(row, "type"),
            active,
            kib("total"),
            kib("used"),
            kib("avail"),
            format!("{part:.2}%"),
        ));
    }
    out
}

fn list(data: &Value) -> String {
    let rows = rows(data);
    let name = rows.iter().map(|row| text(row, "volid").len()).max().unwrap_or(0).max("Volid".len());
    let sizes: Vec<String> = rows.iter().map(|row| row["size"].to_string()).collect();
    let size = sizes.iter().map(String::len).max().unwrap_or(0).max("Size".len());
    let mut out = format!("{:<name$} {:<7} {:<9} {:>size$} {}\n", "Volid", "Format", "Type", "Size", "VMID");
    for (row, bytes) in rows.iter().zip(&sizes) {
        let (id, format, content) = (text(row, "volid"), text(row, "format"), text(row, "content"));
        let vmid = row["vmid"].as_u64().map(|vmid| vmid.to_string()).unwrap_or_default();
        out.push_str(&format!("{id:<name$} {format:<7} {content:<9} {bytes:>size$} {vmid}\n"));
    }
    out
}
