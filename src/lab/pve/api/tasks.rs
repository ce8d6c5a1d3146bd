//! `/nodes/N/tasks` and `/cluster/tasks`.

use super::call::{Call, Outcome};
use crate::lab::pve::answer::{Refusal, Reply};
use crate::lab::pve::lines::lines;
use crate::lab::pve::schema::{Kind, opt};
use crate::lab::pve::task::{Task, Upid};
use serde_json::{Value, json};

fn fields(task: &Task) -> Value {
    let upid = &task.upid;
    json!({
        "id": upid.id, "node": upid.node, "pid": upid.pid, "pstart": upid.pstart, "starttime": upid.start,
        "type": upid.kind, "upid": upid.to_string(), "user": upid.user,
    })
}

fn in_list(task: &Task) -> Value {
    let mut item = fields(task);
    if let (Some(exit), Some(end)) = (&task.exit, task.end) {
        item["status"] = json!(exit);
        item["endtime"] = json!(end);
    } else {
        item["status"] = json!("RUNNING");
        item["saved"] = json!("0");
    }
    item
}

/// `GET tasks`: newest first; those that have ended, unless `source` says otherwise.
pub fn list(call: &Call) -> Outcome {
    let numbers = ["start", "limit", "since", "until"].map(|name| opt(name, Kind::Int(0)));
    let mut schema = vec![
        opt("userfilter", Kind::Text),
        opt("typefilter", Kind::Text),
        opt("vmid", Kind::Vmid),
        opt("errors", Kind::Bool),
        opt("source", Kind::Enum(&["archive", "active", "all"])),
        opt("statusfilter", Kind::Text),
    ];
    schema.extend(numbers);
    call.verify(&schema)?;
    let params = &call.params;
    let source = params.get("source").unwrap_or("archive");
    let wanted = |task: &&Task| {
        let by_source = match source {
            "active" => task.is_running(),
            "all" => true,
            _ => !task.is_running(),
        };
        let by_status = params.get("statusfilter").is_none_or(|filter| {
            filter.split(',').any(|word| match word {
                "ok" => task.exit.as_deref() == Some("OK"),
                "warning" => task.exit.as_deref().is_some_and(|exit| exit.starts_with("WARNINGS: ")),
                "error" => task.has_failed(),
                _ => false,
            })
        });
        by_source
            && by_status
            && params.get("vmid").is_none_or(|vmid| task.upid.id == vmid)
            && params.get("typefilter").is_none_or(|kind| task.upid.kind == kind)
            && params.get("userfilter").is_none_or(|user| task.upid.user.contains(user))
            && (!params.flag("errors") || task.has_failed())
            && params.number("since").is_none_or(|since| task.upid.start >= since)
            && params.number("until").is_none_or(|until| task.upid.start <= until)
    };
    let start = usize::try_from(params.number("start").unwrap_or(0)).unwrap_or(usize::MAX);
    let limit = usize::try_from(params.number("limit").unwrap_or(50)).unwrap_or(usize::MAX);
    let all: Vec<Value> = call.sim.read(|state| state.tasks.iter().rev().filter(wanted).map(in_list).collect());
    // The real count is left out when a status filter leaves nothing: recorded so.
    let beside = if all.is_empty() { Vec::new() } else { vec![("total", json!(all.len()))] };
    Ok(Reply::Data(Value::Array(all.into_iter().skip(start).take(limit).collect()), beside))
}

/// `GET /cluster/tasks`: the last 25 or so.
pub fn cluster(call: &Call) -> Outcome {
    call.verify(&[])?;
    let list: Vec<Value> = call.sim.read(|state| {
        let tasks = state.tasks.iter().rev().take(25);
        tasks
            .map(|task| {
                let mut item = in_list(task);
                if let Some(map) = item.as_object_mut() {
                    map.remove("pid");
                    map.remove("pstart");
                    map.insert("saved".into(), json!(if task.is_running() { "0" } else { "1" }));
                }
                item
            })
            .collect()
    });
    Ok(Reply::data(list))
}

fn parse(upid: &str) -> Result<Upid, Refusal> {
    Upid::parse(upid).ok_or_else(|| Refusal::parameter("upid", "unable to parse worker upid"))
}

fn no_such_task() -> Refusal {
    Refusal::parameter("upid", "no such task").with_errno(2)
}

/// `GET tasks/UPID`.
pub fn index(call: &Call, upid: &str) -> Outcome {
    call.verify(&[])?;
    parse(upid)?;
    Ok(Reply::data(json!([{"name": "log"}, {"name": "status"}])))
}

/// `GET tasks/UPID/status`: an unknown task is a 400.
pub fn status(call: &Call, upid: &str) -> Outcome {
    call.verify(&[])?;
    parse(upid)?;
    let found = call.sim.read(|state| {
        state.task(upid).map(|task| {
            let mut item = fields(task);
            item["status"] = json!(if task.is_running() { "running" } else { "stopped" });
            if let Some(exit) = &task.exit {
                item["exitstatus"] = json!(exit);
            }
            item
        })
    });
    found.map(Reply::data).ok_or_else(no_such_task)
}

/// `GET tasks/UPID/log`: an unknown task is a 200.
pub fn log(call: &Call, upid: &str) -> Outcome {
    call.verify(&[opt("start", Kind::Int(0)), opt("limit", Kind::Int(0)), opt("download", Kind::Bool)])?;
    parse(upid)?;
    let Some(log) = call.sim.read(|state| state.task(upid).map(|task| task.log.clone())) else {
        let line = json!({"n": 1, "t": "unable to open file - No such file or directory"});
        return Ok(Reply::Data(line, vec![("total", json!(1))]));
    };
    if call.params.flag("download") {
        return Ok(Reply::Text(lines(log)));
    }
    let start = usize::try_from(call.params.number("start").unwrap_or(0)).unwrap_or(usize::MAX);
    let limit = usize::try_from(call.params.number("limit").unwrap_or(50)).unwrap_or(usize::MAX);
    let numbered = log.iter().enumerate().skip(start).take(limit);
    let lines: Vec<Value> = numbered.map(|(at, text)| json!({"n": at + 1, "t": text})).collect();
    Ok(Reply::Data(Value::Array(lines), vec![("total", json!(log.len()))]))
}

/// `DELETE tasks/UPID`: interrupts it. A task that has ended stays as it is, and that is no error.
pub fn stop(call: &Call, upid: &str) -> Outcome {
    call.verify(&[])?;
    parse(upid)?;
    if call.sim.read(|state| state.task(upid).is_none()) {
        return Err(no_such_task());
    }
    call.sim.interrupt(upid, "interrupted by signal");
    Ok(Reply::null())
}
