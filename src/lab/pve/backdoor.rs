//! What the lab itself asks the simulator: calls of the command faces, levers, counters. Not part of Proxmox VE.

use crate::lab::pve::answer::{Body, Response};
use crate::lab::pve::api::network::{bring_up, check_syntax};
use crate::lab::pve::conf;
use crate::lab::pve::levers::Levers;
use crate::lab::pve::params::{Params, Request};
use crate::lab::pve::simulator::Simulator;
use crate::lab::pve::worker::Stream;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Why a question of the lab's own was not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("piton lab: {0}")]
pub struct BackdoorError(pub String);

/// An API call as the command faces make it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct FaceCall {
    /// HTTP method.
    pub method: String,
    /// Below `/api2/json`.
    pub path: String,
    /// Parameters in order.
    pub params: Vec<(String, String)>,
}

/// Its answer, with what only a command face sees.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FaceAnswer {
    /// HTTP status.
    pub status: u16,
    /// The value under `data`.
    pub data: Value,
    /// The message of a refusal.
    pub message: String,
    /// The refused parameters.
    pub errors: BTreeMap<String, String>,
    /// Exit status of a refusal.
    pub errno: u8,
    /// What was printed before the answer.
    pub console: Vec<(Stream, String)>,
}

impl From<Response> for FaceAnswer {
    fn from(response: Response) -> Self {
        let data = match &response.body {
            Body::Text(text) => json!(text),
            _ => response.data().clone(),
        };
        // A refusal whose words the HTTP face cannot carry is still a refusal here.
        let status = if response.status == 0 { 500 } else { response.status };
        Self {
            status,
            data,
            message: response.message,
            errors: response.errors,
            errno: response.errno,
            console: response.console,
        }
    }
}

/// How a task ended, for a face that ran it "in the foreground".
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskEnd {
    /// Its log without the last line.
    pub log: Vec<String>,
    /// `OK`, or the error with its line breaks.
    pub exit: String,
}

/// Answers one question. `path` begins with `/lab/`.
///
/// # Errors
/// No such question, or its body is not what it should be.
pub async fn answer(sim: &Arc<Simulator>, path: &str, body: Value) -> Result<Value, BackdoorError> {
    let bad = |why: serde_json::Error| BackdoorError(format!("{path}: {why}"));
    match path {
        "/lab/call" => {
            let call: FaceCall = serde_json::from_value(body).map_err(bad)?;
            let request = Request::new(&call.method, &call.path, Params::from_pairs(call.params));
            serde_json::to_value(FaceAnswer::from(sim.handle(request).await)).map_err(bad)
        }
        "/lab/wait" => {
            let upid = body["upid"].as_str().unwrap_or_default();
            let task = sim.wait(upid).await.ok_or_else(|| BackdoorError(format!("no such task: {upid}")))?;
            let mut log = task.log;
            let mark = log.iter().rposition(|line| line == "TASK OK" || line.starts_with("TASK ERROR: "));
            let mut exit = task.exit.unwrap_or_default();
            if let Some(mark) = mark {
                let last = log.split_off(mark).join("\n");
                if let Some(error) = last.strip_prefix("TASK ERROR: ") {
                    error.clone_into(&mut exit);
                }
            }
            serde_json::to_value(TaskEnd { log, exit }).map_err(bad)
        }
        "/lab/levers" => {
            if !body.is_null() {
                let levers: Levers = serde_json::from_value(body).map_err(bad)?;
                sim.edit(|state| state.levers = levers);
            }
            serde_json::to_value(sim.read(|state| state.levers.clone())).map_err(bad)
        }
        "/lab/changes" => serde_json::to_value(sim.read(|state| state.changes.clone())).map_err(bad),
        "/lab/ticket" => Ok(json!({"ticket": sim.ticket(), "CSRFPreventionToken": format!("{:08X}:lab", sim.now())})),
        "/lab/status" => Ok(sim.read(|state| {
            json!({
                "simulated": true, "node": state.node.name, "machines": state.vms.len(), "tasks": state.tasks.len(),
                "version": state.node.version,
            })
        })),
        "/lab/node" => serde_json::to_value(sim.read(|state| state.node.clone())).map_err(bad),
        "/lab/ifreload" => match if body["syntax"] == true { check_syntax(sim) } else { bring_up(sim) } {
            Ok((printed, failed)) => Ok(json!({"printed": printed, "failed": failed})),
            Err(why) => Err(BackdoorError(why.to_string())),
        },
        "/lab/conf" => {
            let vmid = body["vmid"].as_u64().and_then(|vmid| u32::try_from(vmid).ok()).unwrap_or(0);
            Ok(sim.read(|state| state.vms.get(&vmid).map_or(Value::Null, |vm| json!(conf::render(vm)))))
        }
        "/lab/storage.cfg" => Ok(json!(sim.read(|state| state.storage.render()))),
        "/lab/unlock" => {
            let vmid = body["vmid"].as_u64().and_then(|vmid| u32::try_from(vmid).ok()).unwrap_or(0);
            match sim.change(vmid, |vm| vm.config.remove("lock")) {
                Ok(_) => Ok(json!({})),
                Err(why) => Ok(json!({"error": why})),
            }
        }
        _ => Err(BackdoorError(format!("no such question: {path}"))),
    }
}
