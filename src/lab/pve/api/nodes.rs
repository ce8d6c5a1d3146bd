//! `/version`, `/nodes` and what stands directly below a node.

use super::call::{Call, Outcome};
use crate::lab::pve::answer::Reply;
use crate::lab::pve::running::{Detail, status as machine_status};
use crate::lab::pve::schema::{Kind, opt};
use serde_json::{Map, Value, json};

/// What stands below a node; the real index has these names, most of them not simulated.
pub const BELOW_A_NODE: [&str; 40] = [
    "aplinfo",
    "apt",
    "capabilities",
    "ceph",
    "certificates",
    "config",
    "disks",
    "dns",
    "firewall",
    "hardware",
    "hosts",
    "journal",
    "lxc",
    "migrateall",
    "netstat",
    "network",
    "qemu",
    "query-url-metadata",
    "replication",
    "report",
    "rrd",
    "rrddata",
    "scan",
    "services",
    "spiceshell",
    "startall",
    "status",
    "stopall",
    "storage",
    "subscription",
    "suspendall",
    "syslog",
    "tasks",
    "termproxy",
    "time",
    "version",
    "vncshell",
    "vzdump",
    "wakeonlan",
    "sdn",
];

fn names(names: &[&str]) -> Reply {
    Reply::data(names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>())
}

/// `GET /`.
pub fn root(call: &Call) -> Outcome {
    call.verify(&[])?;
    let below = ["version", "cluster", "nodes", "storage", "access", "pools"];
    Ok(Reply::data(below.iter().map(|name| json!({"subdir": name})).collect::<Vec<_>>()))
}

/// `GET /version`.
pub fn version(call: &Call) -> Outcome {
    call.verify(&[])?;
    Ok(call.sim.read(|state| {
        let node = &state.node;
        Reply::data(json!({"release": node.release, "repoid": node.repoid, "version": node.version}))
    }))
}

/// `GET /nodes`.
pub fn list(call: &Call) -> Outcome {
    call.verify(&[])?;
    let now = call.sim.now();
    Ok(call.sim.read(|state| {
        let node = &state.node;
        Reply::data(json!([{
            "cpu": node.cpu, "disk": node.disk_used, "id": format!("node/{}", node.name), "level": "",
            "maxcpu": node.cpus, "maxdisk": node.disk, "maxmem": node.memory, "mem": node.memory_used,
            "node": node.name, "ssl_fingerprint": node.fingerprint, "status": "online", "type": "node",
            "uptime": now.saturating_sub(node.booted),
        }]))
    }))
}

/// `GET /nodes/N`.
pub fn index(call: &Call) -> Outcome {
    call.verify(&[])?;
    Ok(names(&BELOW_A_NODE))
}

/// `GET /nodes/N/status`.
pub fn status(call: &Call) -> Outcome {
    call.verify(&[])?;
    let now = call.sim.now();
    Ok(call.sim.read(|state| {
        let node = &state.node;
        let memory = json!({
            "free": node.memory - node.memory_used, "total": node.memory, "used": node.memory_used,
        });
        Reply::data(json!({
            "boot-info": {"mode": "legacy-bios"},
            "cpu": 0,
            "cpuinfo": {
                "cores": node.cpus, "cpus": node.cpus, "flags": "fpu", "hvm": "", "mhz": "2000.000",
                "model": "piton lab", "sockets": 1, "user_hz": 100,
            },
            "current-kernel": {
                "machine": "x86_64", "release": node.kernel, "sysname": "Linux", "version": "#1 SMP piton lab",
            },
            "idle": 0,
            "ksm": {"shared": 0},
            "kversion": format!("Linux {} #1 SMP piton lab", node.kernel),
            "loadavg": ["0.10", "0.10", "0.10"],
            "memory": memory,
            "pveversion": format!("pve-manager/{}/{}", node.version, node.repoid),
            "rootfs": {
                "avail": node.disk_available, "free": node.disk - node.disk_used, "total": node.disk,
                "used": node.disk_used,
            },
            "swap": {"free": 0, "total": 0, "used": 0},
            "uptime": now.saturating_sub(node.booted),
            "wait": 0,
        }))
    }))
}

/// `GET /nodes/N/config`.
pub fn config(call: &Call) -> Outcome {
    call.verify(&[opt("property", Kind::Text)])?;
    let description = call.sim.read(|state| state.node.description.clone());
    let mut map = Map::new();
    if !description.is_empty() {
        map.insert("description".into(), json!(description));
    }
    Ok(Reply::data(Value::Object(map)))
}

/// `PUT /nodes/N/config`.
pub fn set_config(call: &Call) -> Outcome {
    call.verify(&[opt("description", Kind::Text), opt("delete", Kind::Text), opt("digest", Kind::Text)])?;
    if let Some(description) = call.params.get("description") {
        call.sim.edit(|state| description.clone_into(&mut state.node.description));
        call.changed("node-config");
    }
    Ok(Reply::null())
}

/// `GET /nodes/N/qemu`.
pub async fn machines(call: &Call) -> Outcome {
    call.verify(&[opt("full", Kind::Bool)])?;
    let full = call.params.flag("full");
    let now = call.sim.now();
    let mut list = Vec::new();
    for vmid in call.sim.read(|state| state.vms.keys().copied().collect::<Vec<_>>()) {
        let detail = if full { Detail::Full(call.sim.guest_answers(vmid).await) } else { Detail::List };
        let fields = call.sim.read(|state| state.vms.get(&vmid).map(|vm| machine_status(state, vmid, vm, now, detail)));
        list.extend(fields.map(Value::Object));
    }
    Ok(Reply::data(list))
}
