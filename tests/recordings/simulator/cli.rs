//! Every row of the command line recording against the command faces of the simulated node.

use super::bench::{Bench, rows};
use super::cli_scenes::{before, begin};
use super::{masks, uncovered};
use piton::lab::pve::cli::{Caller, DirectCaller, NAMES, Printed, run};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;

/// A recorded command.
#[derive(Deserialize)]
pub struct Row {
    pub seq: u32,
    pub argv: Vec<String>,
    pub rc: i32,
    pub stdout: String,
    pub stderr: String,
    pub note: String,
}

/// Recorded task names and process ids, and ours.
#[derive(Default)]
struct Names(BTreeMap<String, String>);

impl Names {
    fn learn(&mut self, theirs: &str, ours: &str) {
        let upid = |text: &str| {
            let word = text.split(['"', '\n']).find(|word| word.starts_with("UPID:"))?;
            Some(word.to_owned())
        };
        let pid = |text: &str| serde_json::from_str::<Value>(text).ok()?["pid"].as_u64().map(|pid| pid.to_string());
        for (theirs, ours) in [(upid(theirs), upid(ours)), (pid(theirs), pid(ours))] {
            if let (Some(theirs), Some(ours)) = (theirs, ours) {
                self.0.insert(theirs, ours);
            }
        }
    }

    fn replace(&self, argument: &str) -> String {
        if let Some(ours) = self.0.get(argument) {
            return ours.clone();
        }
        let parts = argument.split('/').map(|part| self.0.get(part).map_or(part, String::as_str));
        parts.collect::<Vec<_>>().join("/")
    }
}

/// Files that the node makes itself.
async fn cat(bench: &Bench, caller: &dyn Caller, path: &str) -> Printed {
    let made = match path.strip_prefix("/etc/pve/qemu-server/").and_then(|name| name.strip_suffix(".conf")) {
        Some(vmid) => caller.ask("/lab/conf", json!({"vmid": vmid.parse::<u32>().unwrap()})).await.unwrap(),
        None if path == "/etc/pve/storage.cfg" => caller.ask("/lab/storage.cfg", Value::Null).await.unwrap(),
        None => Value::Null,
    };
    let text = made.as_str().map(str::to_owned).filter(|text| !text.is_empty());
    let file = path.strip_prefix("/etc/network/").and_then(|name| fs::read_to_string(bench.dir.path().join(name)).ok());
    match text.or(file) {
        Some(out) => Printed { out, ..Printed::default() },
        None => Printed { code: 1, err: format!("cat: {path}: No such file or directory\n"), ..Printed::default() },
    }
}

/// A text with what may differ replaced: as JSON if it is JSON, else by lines.
fn masked(argv: &[String], text: &str) -> Value {
    let json: Option<Value> = serde_json::from_str(text).ok().filter(|value: &Value| !value.is_number());
    if let Some(value) = json {
        // The layout counts too: as many lines, and the same first one.
        let first = text.lines().next().filter(|_| text.lines().count() > 1);
        return json!({"json": masks::json(&value), "lines": text.lines().count(), "first": first});
    }
    let verbose = argv.iter().any(|word| word == "--verbose") && argv.first().is_some_and(|name| name == "qm");
    json!(if verbose { masks::tabbed(text) } else { masks::text(text) })
}

async fn replay(bench: &Bench, row: &Row, names: &mut Names) -> Result<(), String> {
    let caller = DirectCaller(bench.sim.clone());
    let Some((name, arguments)) = row.argv.split_first() else { return Err("no command".into()) };
    let keys = bench.dir.path().join("id_rsa.pub").display().to_string();
    let arguments: Vec<String> = arguments
        .iter()
        .map(|argument| if argument == "/root/.ssh/id_rsa.pub" { keys.clone() } else { names.replace(argument) })
        .collect();
    let printed = if NAMES.contains(&name.as_str()) {
        run(name, &arguments, b"hello from stdin\n", &caller).await
    } else if name == "cat" && arguments.len() == 1 {
        cat(bench, &caller, &arguments[0]).await
    } else {
        return Err(format!("{name} is no face of the simulated node"));
    };
    names.learn(&row.stdout, &printed.out);
    let seen =
        |rc: i32, out: &str, err: &str| json!({"rc": rc, "out": masked(&row.argv, out), "err": masks::text(err)});
    let want = seen(row.rc, &row.stdout, &row.stderr);
    let got = seen(i32::from(printed.code), &printed.out, &printed.err);
    if want == got { Ok(()) } else { Err(format!("want {want}\n     got {got}")) }
}

#[tokio::test(start_paused = true)]
async fn every_command_prints_and_ends_as_recorded_or_is_listed() {
    let rows: Vec<Row> = rows("pve-8.4.jsonl");
    let bench = begin();
    let mut names = Names::default();
    let mut results = Vec::new();
    for row in &rows {
        before(&bench, row.seq).await;
        let result = replay(&bench, row, &mut names).await;
        results.push((row.seq, format!("{} ({})", row.argv.join(" "), row.note), result));
    }
    uncovered::hold_to_list("cli", &results);
}
