//! `pvenode`: the node's tasks and its description.

use super::args::{Takes, read};
use super::display::plain;
use super::qm_run::{accepted, refused};
use super::table::{Align, Column, Dress, draw};
use super::{CallError, Caller, Printed};
use crate::lab::pve::params::Params;
use serde_json::Value;

const DRESS: Dress = Dress { border: true, header: true };

fn column(title: &str, align: Align) -> Column {
    Column { title: title.into(), align }
}

/// Runs `pvenode`.
///
/// # Errors
/// The server cannot be reached.
pub async fn run(args: &[String], caller: &dyn Caller) -> Result<Printed, CallError> {
    let node = caller.node().await?;
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let base = format!("/nodes/{node}");
    match words.as_slice() {
        ["task", "list", ..] => tasks(&args[2..], &base, caller).await,
        ["task", "status", upid] => {
            let usage = "pvenode task status <upid> [FORMAT_OPTIONS]";
            let answer = caller.call("GET", &format!("{base}/tasks/{upid}/status"), &Params::default()).await?;
            if !accepted(&answer) {
                return Ok(refused(&answer, usage));
            }
            let mut rows: Vec<Vec<String>> = answer
                .data
                .as_object()
                .into_iter()
                .flatten()
                .map(|(key, value)| vec![key.clone(), plain(value)])
                .collect();
            rows.sort();
            Ok(Printed::out(draw(&[column("key", Align::Left), column("value", Align::Left)], &rows, DRESS)))
        }
        ["task", "log", upid] => {
            let params = Params::from_pairs([("limit", "1000000")]);
            let answer = caller.call("GET", &format!("{base}/tasks/{upid}/log"), &params).await?;
            if !accepted(&answer) {
                return Ok(refused(&answer, "pvenode task log <upid> [OPTIONS]"));
            }
            let lines = answer.data.as_array().into_iter().flatten();
            Ok(Printed::out(lines.map(|line| format!("{}\n", plain(&line["t"]))).collect::<String>()))
        }
        ["config", "get"] => {
            let answer = caller.call("GET", &format!("{base}/config"), &Params::default()).await?;
            let text = answer.data["description"].as_str().unwrap_or_default();
            Ok(Printed::out(text.lines().map(|line| format!("#{line}\n")).collect::<String>()))
        }
        ["config", "set", "--description", text] => {
            let params = Params::from_pairs([("description", *text)]);
            let answer = caller.call("PUT", &format!("{base}/config"), &params).await?;
            Ok(if accepted(&answer) { Printed::default() } else { refused(&answer, "pvenode config set [OPTIONS]") })
        }
        _ => Ok(Printed::not_simulated(&format!("pvenode {}", words.join(" ")))),
    }
}

/// Oldest first; whatever is not `OK` is `ERROR`.
async fn tasks(args: &[String], base: &str, caller: &dyn Caller) -> Result<Printed, CallError> {
    let known = ["vmid", "limit", "start", "errors", "typefilter", "since", "until", "source"];
    let line = match read(args, |name| known.contains(&name).then_some(Takes::Value)) {
        Ok(line) => line,
        Err(why) => return Ok(Printed::failed(255, format!("{why}\n400 unable to parse option\n"))),
    };
    let answer = caller.call("GET", &format!("{base}/tasks"), &line.options).await?;
    if !accepted(&answer) {
        return Ok(refused(&answer, "pvenode task list [OPTIONS] [FORMAT_OPTIONS]"));
    }
    let columns = [
        column("UPID", Align::Left),
        column("Type", Align::Left),
        column("ID", Align::Left),
        column("User", Align::Left),
        column("Starttime", Align::Right),
        column("Endtime", Align::Right),
        column("Status", Align::Left),
    ];
    let state = |task: &Value| match plain(&task["status"]).as_str() {
        "OK" => "OK".to_owned(),
        "RUNNING" => String::new(),
        _ => "ERROR".to_owned(),
    };
    let rows: Vec<Vec<String>> = answer
        .data
        .as_array()
        .into_iter()
        .flatten()
        .rev()
        .map(|task| {
            let text = |key: &str| plain(&task[key]);
            vec![text("upid"), text("type"), text("id"), text("user"), text("starttime"), text("endtime"), state(task)]
        })
        .collect();
    if rows.is_empty() {
        return Ok(Printed::default());
    }
    Ok(Printed::out(draw(&columns, &rows, DRESS)))
}
