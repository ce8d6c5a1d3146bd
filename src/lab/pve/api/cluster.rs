//! `/cluster`: resources, the next free VMID, the cluster that this single node is.

use super::call::{Call, Outcome};
use super::storage;
use crate::lab::pve::answer::{Refusal, Reply};
use crate::lab::pve::running;
use crate::lab::pve::schema::{Kind, opt};
use crate::lab::pve::state::State;
use serde_json::{Value, json};

/// `GET /cluster/resources`.
pub fn resources(call: &Call) -> Outcome {
    call.verify(&[opt("type", Kind::Enum(&["vm", "storage", "node", "sdn"]))])?;
    let now = call.sim.now();
    let wanted = |kind: &str| call.params.get("type").is_none_or(|asked| asked == kind);
    let mut list = Vec::new();
    call.sim.read(|state| {
        if wanted("vm") {
            list.extend(state.vms.iter().map(|(vmid, vm)| running::resource(state, *vmid, vm, now)));
        }
        if wanted("node") {
            list.push(node(state, now));
        }
        if wanted("storage") {
            list.extend(
                state.storage.storages.iter().filter(|one| !one.disabled).map(|one| storage::resource(state, one)),
            );
        }
        if wanted("sdn") {
            let node = &state.node.name;
            let id = format!("sdn/{node}/localnetwork");
            list.push(json!({"id": id, "node": node, "sdn": "localnetwork", "status": "ok", "type": "sdn"}));
        }
    });
    Ok(Reply::data(list))
}

fn node(state: &State, now: u64) -> Value {
    let node = &state.node;
    json!({
        "cgroup-mode": 2, "cpu": node.cpu, "disk": node.disk_used, "id": format!("node/{}", node.name), "level": "",
        "maxcpu": node.cpus, "maxdisk": node.disk, "maxmem": node.memory, "mem": node.memory_used,
        "node": node.name, "status": "online", "type": "node", "uptime": now.saturating_sub(node.booted),
    })
}

/// `GET /cluster/nextid`. The id is text: recorded so.
pub fn next_id(call: &Call) -> Outcome {
    call.verify(&[opt("vmid", Kind::Vmid)])?;
    let asked = call.params.get("vmid").and_then(|text| text.parse::<u32>().ok());
    match asked {
        Some(vmid) if call.sim.read(|state| state.vms.contains_key(&vmid)) => {
            Err(Refusal::parameter("vmid", format!("VM {vmid} already exists")))
        }
        Some(vmid) => Ok(Reply::data(vmid.to_string())),
        None => Ok(Reply::data(call.sim.read(|state| state.next_vmid().to_string()))),
    }
}

/// `GET /cluster/status`.
pub fn status(call: &Call) -> Outcome {
    call.verify(&[])?;
    Ok(call.sim.read(|state| {
        let node = &state.node;
        Reply::data(json!([{
            "id": format!("node/{}", node.name), "ip": node.address, "level": "", "local": 1, "name": node.name,
            "nodeid": 0, "online": 1, "type": "node",
        }]))
    }))
}
