//! `pvesh`: the API on the command line. Its worker calls end 0 even if the task failed.

use super::args::{Line, Takes, read};
use super::display::{json, json_pretty, plain, yaml};
use super::pvesh_usage::{line as usage_line, listing, required};
use super::qm_run::{accepted, foreground, refused, upid};
use super::table::{Align, Column, Dress, draw};
use super::usage::PVESH;
use super::{CallError, Caller, Printed};
use crate::lab::pve::params::Params;
use serde_json::Value;

/// Options of `pvesh` itself.
const OWN_VALUES: [&str; 1] = ["output-format"];
const OWN_FLAGS: [&str; 5] = ["noborder", "noheader", "quiet", "human-readable", "noproxy"];

/// Runs `pvesh`.
///
/// # Errors
/// The server cannot be reached.
pub async fn run(args: &[String], caller: &dyn Caller) -> Result<Printed, CallError> {
    let Some((command, rest)) = args.split_first() else {
        return Ok(Printed::failed(255, format!("ERROR: no command specified\n{PVESH}")));
    };
    let method = match command.as_str() {
        "get" => "GET",
        "create" => "POST",
        "set" => "PUT",
        "delete" => "DELETE",
        "ls" | "usage" => "",
        "help" => return Ok(Printed::not_simulated("pvesh help")),
        _ => return Ok(Printed::failed(255, format!("ERROR: unknown command 'pvesh {command}'\n{PVESH}"))),
    };
    // Every option may be a parameter of the call; the server knows which are.
    let known = |name: &str| Some(if OWN_FLAGS.contains(&name) { Takes::MaybeValue } else { takes(name) });
    let line = match read(rest, known) {
        Ok(line) => line,
        Err(why) => return Ok(Printed::failed(255, format!("{why}\n"))),
    };
    let Some(path) = line.words.first() else {
        return Ok(Printed::failed(2, format!("400 not enough arguments\n{}\n", usage_line(command, ""))));
    };
    if line.words.len() > 1 {
        return Ok(Printed::failed(2, format!("400 too many arguments\n{}\n", usage_line(command, ""))));
    }
    match command.as_str() {
        "ls" => {
            let node = caller.node().await?;
            return Ok(match listing(path, &node) {
                Some(list) => Printed::out(
                    list.iter().map(|(rights, name)| format!("{rights}        {name}\n")).collect::<String>(),
                ),
                None => Printed::not_simulated(&format!("pvesh ls {path}")),
            });
        }
        "usage" => return Ok(usage(path, &line)),
        _ => {}
    }
    call(command, method, path, &line, caller).await
}

/// Booleans of the API may stand alone; everything else takes a value.
fn takes(_: &str) -> Takes {
    Takes::MaybeValue
}

fn usage(path: &str, line: &Line) -> Printed {
    let command = line.options.get("command").unwrap_or("get");
    let required = required(command, path);
    if required.is_empty() {
        return Printed::not_simulated(&format!("pvesh usage {path}"));
    }
    Printed::out(format!("USAGE: pvesh {command} {path} {required} [OPTIONS]\n"))
}

async fn call(command: &str, method: &str, path: &str, line: &Line, caller: &dyn Caller) -> Result<Printed, CallError> {
    let own = |name: &str| OWN_VALUES.contains(&name) || OWN_FLAGS.contains(&name);
    let params = Params::from_pairs(line.options.iter().filter(|(name, _)| !own(name)));
    let answer = caller.call(method, path, &params).await?;
    if answer.status == 501 && !answer.message.starts_with("piton lab") {
        return Ok(Printed::failed(255, format!("No '{command}' handler defined for '{path}'\n")));
    }
    if !accepted(&answer) {
        return Ok(refused(&answer, &usage_line(command, path)));
    }
    let mut printed = Printed::default();
    if upid(&answer).is_some() {
        printed = foreground(caller, &answer).await?;
        printed.code = 0;
    }
    let format = line.options.get("output-format").unwrap_or("text");
    printed.out.push_str(&show(path, &answer.data, format, &line.options));
    Ok(printed)
}

fn show(path: &str, data: &Value, format: &str, options: &Params) -> String {
    if data.is_null() || options.flag("quiet") {
        return String::new();
    }
    match format {
        "json" => format!("{}\n", json(data)),
        "json-pretty" => format!("{}\n", json_pretty(data)),
        "yaml" => yaml(data),
        _ => text(path, data, options),
    }
}

fn text(path: &str, data: &Value, options: &Params) -> String {
    let dress = Dress { border: !options.flag("noborder"), header: !options.flag("noheader") };
    match data {
        Value::Array(list) if list.is_empty() => String::new(),
        Value::Array(list) => {
            let columns = columns(path, list);
            let rows: Vec<_> = list
                .iter()
                .map(|item| columns.iter().map(|(column, render)| render(&item[&column.title])).collect())
                .collect();
            let columns: Vec<_> = columns.into_iter().map(|(column, _)| column).collect();
            draw(&columns, &rows, dress)
        }
        Value::Object(map) => {
            let mut keys: Vec<_> = map.keys().collect();
            keys.sort();
            let title = |title: &str| Column { title: title.into(), align: Align::Left };
            let value = |value: &Value| if value.is_object() || value.is_array() { json(value) } else { plain(value) };
            let rows: Vec<_> = keys.into_iter().map(|key| vec![key.clone(), value(&map[key])]).collect();
            draw(&[title("key"), title("value")], &rows, dress)
        }
        scalar => format!("{}\n", plain(scalar)),
    }
}

type Render = fn(&Value) -> String;

/// The columns of a list: those of the real schema where it was recorded, else all keys.
fn columns(path: &str, list: &[Value]) -> Vec<(Column, Render)> {
    let column = |title: &str, align, render: Render| (Column { title: title.to_owned(), align }, render);
    if path.trim_matches('/') == "nodes" {
        return vec![
            column("node", Align::Left, plain),
            column("status", Align::Left, plain),
            column("cpu", Align::Right, percent),
            column("level", Align::Left, plain),
            column("maxcpu", Align::Right, plain),
            column("maxmem", Align::Right, bytes),
            column("mem", Align::Right, bytes),
            column("ssl_fingerprint", Align::Left, plain),
            column("uptime", Align::Right, duration),
        ];
    }
    let mut keys: Vec<&String> = list.iter().filter_map(Value::as_object).flat_map(|map| map.keys()).collect();
    keys.sort();
    keys.dedup();
    keys.into_iter().map(|key| column(key, Align::Left, plain)).collect()
}

fn percent(value: &Value) -> String {
    format!("{:.2}%", value.as_f64().unwrap_or(0.0) * 100.0)
}

/// `23.54 GiB`.
fn bytes(value: &Value) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut number = value.as_f64().unwrap_or(0.0);
    let mut unit = 0;
    while number >= 1024.0 && unit + 1 < units.len() {
        number /= 1024.0;
        unit += 1;
    }
    format!("{number:.2} {}", units[unit])
}

/// `33m 38s`.
fn duration(value: &Value) -> String {
    let seconds = value.as_u64().unwrap_or(0);
    let parts = [
        (seconds / 604_800, "w"),
        (seconds / 86_400 % 7, "d"),
        (seconds / 3_600 % 24, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
    ];
    let parts: Vec<_> =
        parts.into_iter().filter(|(number, _)| *number > 0).map(|(number, unit)| format!("{number}{unit}")).collect();
    if parts.is_empty() { "0s".into() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_are_rendered_for_people() {
        assert_eq!(bytes(&json!(25_276_510_208_u64)), "23.54 GiB");
        assert_eq!(duration(&json!(2_018)), "33m 38s");
        assert_eq!(percent(&json!(1)), "100.00%");
    }
}
