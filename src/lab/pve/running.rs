//! What the node says about the state of its machines: the fields of `status/current`, the lists and the resources.

use crate::lab::pve::state::State;
use crate::lab::pve::storage::parse_size;
use crate::lab::pve::vm::{Config, Vm, disks_of, property, split_index};
use serde_json::{Map, Value, json};

/// How much is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// The list of machines.
    List,
    /// With what only QEMU itself knows; `true` if the guest's system answers.
    Full(bool),
}

const BLOCK_COUNTERS: [&str; 30] = [
    "account_failed",
    "account_invalid",
    "failed_flush_operations",
    "failed_rd_operations",
    "failed_unmap_operations",
    "failed_wr_operations",
    "failed_zone_append_operations",
    "flush_operations",
    "flush_total_time_ns",
    "invalid_flush_operations",
    "invalid_rd_operations",
    "invalid_unmap_operations",
    "invalid_wr_operations",
    "invalid_zone_append_operations",
    "rd_bytes",
    "rd_merged",
    "rd_operations",
    "rd_total_time_ns",
    "timed_stats",
    "unmap_bytes",
    "unmap_merged",
    "unmap_operations",
    "unmap_total_time_ns",
    "wr_bytes",
    "wr_highest_offset",
    "wr_merged",
    "wr_operations",
    "wr_total_time_ns",
    "zone_append_bytes",
    "zone_append_merged",
];

/// Bytes of memory that the configuration gives.
pub fn memory_of(config: &Config) -> u64 {
    let mib = config.get("memory").map(|value| value.strip_prefix("current=").unwrap_or(value).parse::<u64>());
    mib.and_then(Result::ok).unwrap_or(512) << 20
}

/// Processors that the configuration gives.
pub fn cpus_of(config: &Config) -> u64 {
    let number = |key: &str| config.get(key).and_then(|value| value.parse::<u64>().ok()).unwrap_or(1);
    number("cores") * number("sockets")
}

/// Bytes of the disk that is booted from; 0 without one.
pub fn boot_disk_size(config: &Config) -> u64 {
    let order = config.get("boot").and_then(|boot| property(boot, "order")).unwrap_or_default();
    let disks = disks_of(config);
    let booted = order.split(';').find(|device| disks.iter().any(|(key, _)| key == device));
    let value = booted.and_then(|key| config.get(key));
    value.and_then(|value| property(value, "size")).and_then(|size| parse_size(size, 1)).unwrap_or(0)
}

fn name_of(vmid: u32, config: &Config) -> String {
    config.get("name").cloned().unwrap_or_else(|| format!("VM {vmid}"))
}

/// Seconds since the machine was started.
pub fn uptime(vm: &Vm, now: u64) -> u64 {
    vm.run.as_ref().map_or(0, |run| now.saturating_sub(run.since))
}

/// One machine's fields.
pub fn status(state: &State, vmid: u32, vm: &Vm, now: u64, detail: Detail) -> Map<String, Value> {
    let config = &vm.config;
    let memory = memory_of(config);
    let up = vm.run.is_some();
    let mut fields = Map::from_iter([
        ("cpu".to_owned(), json!(0)),
        ("cpus".to_owned(), json!(cpus_of(config))),
        ("disk".to_owned(), json!(0)),
        ("maxdisk".to_owned(), json!(boot_disk_size(config))),
        ("maxmem".to_owned(), json!(memory)),
        ("mem".to_owned(), json!(if up { memory / 5 } else { 0 })),
        ("name".to_owned(), json!(name_of(vmid, config))),
        ("netin".to_owned(), json!(0)),
        ("netout".to_owned(), json!(0)),
        ("status".to_owned(), json!(if up { "running" } else { "stopped" })),
        ("uptime".to_owned(), json!(uptime(vm, now))),
        ("vmid".to_owned(), json!(vmid)),
    ]);
    let mut put = |key: &str, value: Value| {
        fields.insert(key.to_owned(), value);
    };
    if config.keys().any(|key| split_index(key).0 == "serial") {
        put("serial", json!(1));
    }
    if let Some(tags) = config.get("tags") {
        put("tags", json!(tags));
    }
    if let Some(lock) = vm.lock() {
        put("lock", json!(lock));
    }
    if vm.is_template() {
        put("template", json!(1));
    }
    if let Some(balloon) = config.get("balloon").and_then(|value| value.parse::<u64>().ok()).filter(|mib| *mib > 0) {
        put("balloon_min", json!(balloon << 20));
        put("shares", json!(config.get("shares").and_then(|value| value.parse::<u64>().ok()).unwrap_or(1_000)));
    }
    if let Some(run) = &vm.run {
        put("pid", json!(run.pid));
    }
    let Detail::Full(answers) = detail else { return fields };
    let Some(run) = &vm.run else {
        put("qmpstatus", json!("stopped"));
        return fields;
    };
    put("qmpstatus", json!(if run.paused { "paused" } else { "running" }));
    put("diskread", json!(0));
    put("diskwrite", json!(0));
    put("running-machine", json!("pc-i440fx-10.0+pve0"));
    put("running-qemu", json!(state.node.qemu));
    put("balloon", json!(memory));
    let mut balloon = json!({"actual": memory, "max_mem": memory});
    if answers && let Some(balloon) = balloon.as_object_mut() {
        let free = memory * 7 / 10;
        for (key, value) in [
            ("free_mem", free),
            ("last_update", now),
            ("major_page_faults", 0),
            ("mem_swapped_in", 0),
            ("mem_swapped_out", 0),
            ("minor_page_faults", 0),
            ("total_mem", memory * 9 / 10),
        ] {
            balloon.insert(key.to_owned(), json!(value));
        }
        put("freemem", json!(free));
    }
    put("ballooninfo", balloon);
    let drives = config.keys().filter(|key| crate::lab::pve::vm::is_drive(key));
    put("blockstat", Value::Object(drives.map(|key| (key.clone(), block_statistics())).collect()));
    let cards = config.keys().filter_map(|key| match split_index(key) {
        ("net", Some(index)) => Some(format!("tap{vmid}i{index}")),
        _ => None,
    });
    let cards: Map<_, _> = cards.map(|tap| (tap, json!({"netin": 0, "netout": 0}))).collect();
    if !cards.is_empty() {
        put("nics", Value::Object(cards));
    }
    put(
        "proxmox-support",
        json!({
            "backup-access-api": true, "backup-fleecing": true, "backup-max-workers": true, "pbs-dirty-bitmap": true,
            "pbs-dirty-bitmap-migration": true, "pbs-dirty-bitmap-savevm": true,
            "pbs-library-version": "1.5.1 (stub)", "pbs-masterkey": true, "query-bitmap-info": true,
        }),
    );
    fields
}

fn block_statistics() -> Value {
    let value = |name: &str| match name {
        "account_failed" | "account_invalid" => json!(true),
        "timed_stats" => json!([]),
        _ => json!(0),
    };
    let rest = ["zone_append_operations", "zone_append_total_time_ns"];
    Value::Object(BLOCK_COUNTERS.iter().chain(&rest).map(|name| ((*name).to_owned(), value(name))).collect())
}

/// One machine in `/cluster/resources`.
pub fn resource(state: &State, vmid: u32, vm: &Vm, now: u64) -> Value {
    let status = status(state, vmid, vm, now, Detail::List);
    let mut fields = Map::new();
    for key in ["cpu", "disk", "maxdisk", "maxmem", "mem", "name", "netin", "netout", "status", "uptime", "vmid"] {
        fields.insert(key.to_owned(), status[key].clone());
    }
    for key in ["tags", "lock"] {
        if let Some(value) = status.get(key) {
            fields.insert(key.to_owned(), value.clone());
        }
    }
    fields.insert("maxcpu".to_owned(), status["cpus"].clone());
    fields.insert("diskread".to_owned(), json!(0));
    fields.insert("diskwrite".to_owned(), json!(0));
    fields.insert("id".to_owned(), json!(format!("qemu/{vmid}")));
    fields.insert("node".to_owned(), json!(state.node.name));
    fields.insert("template".to_owned(), json!(u8::from(vm.is_template())));
    fields.insert("type".to_owned(), json!("qemu"));
    Value::Object(fields)
}
