//! `snapshot`: list, create, describe, roll back, delete.

use super::call::{Call, Outcome};
use super::power::silent_agent;
use super::start::begin;
use crate::lab::pve::answer::{Refusal, Reply};
use crate::lab::pve::conf;
use crate::lab::pve::running::memory_of;
use crate::lab::pve::schema::{Kind, opt, req};
use crate::lab::pve::vm::{Config, Vm, disks_of};
use crate::lab::pve::vmconfig::to_json;
use crate::lab::pve::worker::{Work, Worker};
use serde_json::{Value, json};

/// Keys that a snapshot has for itself and does not give back.
const OF_THE_SNAPSHOT: [&str; 6] = ["snaptime", "vmstate", "runningmachine", "runningcpu", "snapstate", "description"];

/// Bytes that are set aside for the memory of a running machine: twice its memory and 500 MiB.
pub fn state_size(config: &Config) -> u64 {
    memory_of(config) * 2 + (500 << 20)
}

fn unknown(name: &str) -> String {
    format!("snapshot '{name}' does not exist")
}

/// `GET snapshot`, with `current` at the end.
pub fn list(call: &Call, vmid: u32) -> Outcome {
    call.verify(&[])?;
    call.must_exist(vmid)?;
    let list = call.sim.load(vmid, |vm| {
        let mut list: Vec<Value> = vm.snapshots.iter().map(|(name, config)| entry(name, config)).collect();
        let mut current = json!({
            "name": "current", "description": "You are here!", "digest": conf::digest(vm),
            "running": u8::from(vm.is_running()),
        });
        if let Some(parent) = vm.config.get("parent") {
            current["parent"] = json!(parent);
        }
        list.push(current);
        list
    });
    Ok(Reply::data(list.map_err(Refusal::died)?))
}

fn entry(name: &str, config: &Config) -> Value {
    let mut entry = json!({
        "name": name,
        "description": config.get("description").cloned().unwrap_or_default(),
        "snaptime": config.get("snaptime").and_then(|time| time.parse::<u64>().ok()).unwrap_or(0),
        "vmstate": u8::from(config.contains_key("vmstate")),
    });
    if let Some(parent) = config.get("parent") {
        entry["parent"] = json!(parent);
    }
    entry
}

/// `GET snapshot/NAME`.
pub fn index(call: &Call, vmid: u32, name: &str) -> Outcome {
    call.verify(&[])?;
    call.must_exist(vmid)?;
    let _ = name;
    Ok(Reply::data(json!([{"cmd": "rollback"}, {"cmd": "config"}])))
}

/// `GET snapshot/NAME/config`.
pub fn config(call: &Call, vmid: u32, name: &str) -> Outcome {
    call.verify(&[])?;
    call.must_exist(vmid)?;
    let found = call.sim.load(vmid, |vm| vm.snapshots.get(name).map(to_json)).map_err(Refusal::died)?;
    found.map(|map| Reply::data(Value::Object(map))).ok_or_else(|| Refusal::died(unknown(name)))
}

/// `PUT snapshot/NAME/config`.
pub fn describe(call: &Call, vmid: u32, name: &str) -> Outcome {
    call.verify(&[opt("description", Kind::Text)])?;
    call.must_exist(vmid)?;
    let text = call.params.get("description").map(str::to_owned);
    let found = call.sim.change(vmid, |vm| {
        let config = vm.snapshots.get_mut(name)?;
        if let Some(text) = text {
            config.insert("description".into(), text);
        }
        Some(())
    });
    found.map_err(Refusal::died)?.ok_or_else(|| Refusal::died(unknown(name)))?;
    call.changed("snapshot-description");
    Ok(Reply::null())
}

/// `POST snapshot`.
pub fn create(call: &Call, vmid: u32) -> Outcome {
    call.verify(&[req("snapname", Kind::ConfigId), opt("description", Kind::Text), opt("vmstate", Kind::Bool)])?;
    let name = call.params.get("snapname").unwrap_or_default().to_owned();
    if ["current", "pending"].contains(&name.as_str()) {
        return Err(Refusal::died(format!("unable to use snapshot name '{name}' (reserved name)")));
    }
    call.must_exist(vmid)?;
    let description = call.params.get("description").map(str::to_owned);
    let with_memory = call.params.flag("vmstate");
    Ok(Reply::data(call.sim.fork("qmsnapshot", &vmid.to_string(), move |mut worker| async move {
        let (running, agent) = prepare(&mut worker, vmid, &name).await?;
        let result = take(&worker, (vmid, &name), (running, agent), with_memory).await;
        let sim = worker.sim.clone();
        let guard = sim.lock_vm(vmid, &mut worker).await;
        sim.change(vmid, |vm| vm.config.remove("lock"))?;
        let state_volume = result?;
        guard?;
        let now = sim.now();
        sim.change(vmid, |vm| keep(vm, &name, (description, state_volume), now))
    })))
}

/// Checks, and locks the machine for the time of the snapshot.
async fn prepare(worker: &mut Worker, vmid: u32, name: &str) -> Result<(bool, bool), String> {
    let sim = worker.sim.clone();
    let _guard = sim.lock_vm(vmid, worker).await?;
    let formats = |vm: &Vm| {
        let disks = vm.disks();
        sim.read(|state| {
            disks.iter().all(|(_, id)| state.storage.volume(id).is_none_or(|volume| volume.format == "qcow2"))
        })
    };
    let vm = sim.load(vmid, Vm::clone)?;
    vm.check_lock()?;
    if vm.snapshots.contains_key(name) {
        return Err(format!("snapshot name '{name}' already used"));
    }
    if !formats(&vm) {
        return Err("snapshot feature is not available".to_owned());
    }
    sim.change(vmid, |vm| vm.config.insert("lock".into(), "snapshot".into()))?;
    Ok((vm.is_running(), vm.has_agent()))
}

/// Takes the snapshot of memory and disks; the volume that holds the memory, if any.
async fn take(
    worker: &Worker,
    (vmid, name): (u32, &str),
    (running, agent): (bool, bool),
    with_memory: bool,
) -> Result<Option<String>, String> {
    let sim = &worker.sim;
    let (disks, size) = sim.load(vmid, |vm| (vm.disks(), state_size(&vm.config)))?;
    let mut state_volume = None;
    if running && with_memory {
        let storage = disks.first().and_then(|(_, volume)| volume.split_once(':')).map_or("local", |(name, _)| name);
        let file = format!("vm-{vmid}-state-{name}.raw");
        let now = sim.now();
        let made = sim.edit(|state| {
            let full = state.levers.full_storages.contains(storage);
            state.storage.allocate((storage, vmid, &file), ("raw", size), full, now)
        });
        let made = made.map_err(|(_, refusal)| refusal.to_string())?;
        worker.say(made.printed);
        worker.say(format!("saving VM state and RAM using storage '{storage}'"));
        worker.say("232.00 B in 0s");
        sim.take(sim.pace.snapshot).await;
        worker.say("completed saving the VM state in 0s, saved 1.77 MiB");
        state_volume = Some(made.id);
    } else if running && agent && !sim.guest_answers(vmid).await {
        worker.say(silent_agent(vmid));
    }
    for (key, volume) in &disks {
        worker.say(format!("snapshotting 'drive-{key}' ({volume})"));
        let storage = volume.split(':').next().unwrap_or_default();
        if sim.read(|state| state.levers.full_storages.contains(storage)) {
            let path = sim.read(|state| state.storage.path(volume)).map_err(|why| why.to_string())?;
            worker.say(format!("qemu-img: Could not create snapshot '{name}': -28 (No space left on device)"));
            return Err(format!("command '/usr/bin/qemu-img snapshot -c {name} {path}' failed: exit code 1"));
        }
    }
    sim.take(sim.pace.snapshot).await;
    sim.hypervisor.snapshot(vmid, name).await.map_err(|why| why.to_string())?;
    Ok(state_volume)
}

/// Writes the snapshot into the configuration.
fn keep(vm: &mut Vm, name: &str, (description, state_volume): (Option<String>, Option<String>), now: u64) {
    let mut config = vm.config.clone();
    config.retain(|key, _| !key.starts_with("unused") && key != "description");
    config.insert("snaptime".into(), now.to_string());
    if let Some(description) = description {
        config.insert("description".into(), description);
    }
    if let Some(volume) = state_volume {
        config.insert("vmstate".into(), volume);
        config.insert("runningmachine".into(), "pc-i440fx-10.0+pve0".into());
        config.insert("runningcpu".into(), "qemu64".into());
    }
    vm.snapshots.insert(name.to_owned(), config);
    vm.config.insert("parent".into(), name.to_owned());
}

/// `POST snapshot/NAME/rollback`.
pub fn rollback(call: &Call, vmid: u32, name: &str) -> Outcome {
    call.verify(&[opt("start", Kind::Bool)])?;
    let start = call.params.flag("start");
    let name = name.to_owned();
    Ok(Reply::data(call.sim.fork("qmrollback", &vmid.to_string(), move |mut worker| async move {
        let sim = worker.sim.clone();
        let guard = sim.lock_vm(vmid, &mut worker).await?;
        let with_memory = sim.load(vmid, |vm| {
            let snapshot = vm.snapshots.get(&name).ok_or_else(|| unknown(&name))?;
            vm.check_lock()?;
            Ok::<_, String>(snapshot.contains_key("vmstate"))
        })??;
        super::power::pull_plug(&worker, vmid).await?;
        sim.change(vmid, |vm| vm.config.insert("lock".into(), "rollback".into()))?;
        drop(guard);
        sim.take(sim.pace.snapshot).await;
        let put_back = sim.hypervisor.rollback(vmid, &name).await;
        let _guard = sim.lock_vm(vmid, &mut worker).await?;
        if let Err(why) = put_back {
            sim.change(vmid, |vm| vm.config.remove("lock"))?;
            return Err(why.to_string());
        }
        let vmgenid = sim.ids.uuid();
        sim.change(vmid, |vm| go_back(vm, &name, vmgenid))?;
        if with_memory || start { begin(&mut worker, vmid, false).await } else { Ok(()) }
    })))
}

/// Puts the configuration back. The description and the machine's own unused volumes stay.
fn go_back(vm: &mut Vm, name: &str, vmgenid: String) {
    let Some(snapshot) = vm.snapshots.get(name) else { return };
    let mut config = snapshot.clone();
    config.retain(|key, _| !OF_THE_SNAPSHOT.contains(&key.as_str()));
    let wanted: Vec<_> = disks_of(&config).into_iter().map(|(_, volume)| volume).collect();
    let had = disks_of(&vm.config).into_iter().map(|(_, volume)| volume);
    let unused = vm.config.iter().filter(|(key, _)| key.starts_with("unused")).map(|(_, volume)| volume.clone());
    let left: Vec<_> = had.chain(unused).filter(|volume| !wanted.contains(volume)).collect();
    if let Some(description) = vm.config.get("description") {
        config.insert("description".into(), description.clone());
    }
    config.insert("parent".into(), name.to_owned());
    if config.contains_key("vmgenid") {
        config.insert("vmgenid".into(), vmgenid);
    }
    config.remove("lock");
    vm.config = config;
    vm.pending.clear();
    vm.pending_delete.clear();
    for volume in left {
        vm.add_unused(&volume);
    }
}

/// `DELETE snapshot/NAME`.
pub fn delete(call: &Call, vmid: u32, name: &str) -> Outcome {
    call.verify(&[opt("force", Kind::Bool)])?;
    let name = name.to_owned();
    Ok(Reply::data(call.sim.fork("qmdelsnapshot", &vmid.to_string(), move |mut worker| async move {
        forget(&mut worker, vmid, &name).await
    })))
}

async fn forget(worker: &mut Worker, vmid: u32, name: &str) -> Work {
    let sim = worker.sim.clone();
    let guard = sim.lock_vm(vmid, worker).await?;
    sim.change(vmid, |vm| {
        vm.check_lock()?;
        if !vm.snapshots.contains_key(name) {
            return Err(unknown(name));
        }
        vm.config.insert("lock".into(), "snapshot-delete".into());
        Ok(())
    })??;
    drop(guard);
    sim.take(sim.pace.snapshot).await;
    let deleted = sim.hypervisor.delete_snapshot(vmid, name).await;
    let _guard = sim.lock_vm(vmid, worker).await?;
    let removed = sim.change(vmid, |vm| {
        vm.config.remove("lock");
        if deleted.is_err() {
            return None;
        }
        let gone = vm.snapshots.remove(name)?;
        let parent = gone.get("parent");
        for config in std::iter::once(&mut vm.config).chain(vm.snapshots.values_mut()) {
            if config.get("parent").map(String::as_str) != Some(name) {
                continue;
            }
            match parent {
                Some(parent) => config.insert("parent".into(), parent.clone()),
                None => config.remove("parent"),
            };
        }
        gone.get("vmstate").cloned()
    })?;
    if let Some(volume) = removed {
        sim.edit(|state| state.storage.remove(&volume));
    }
    deleted.map_err(|why| why.to_string())
}
