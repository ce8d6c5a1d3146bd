//! `/nodes/N/qemu/ID/config` and `pending`: read, change at once (PUT) or as a task (POST).

use super::call::{Call, Outcome};
use super::update::Update;
use crate::lab::pve::answer::{Refusal, Reply};
use crate::lab::pve::conf;
use crate::lab::pve::schema::{Kind, opt};
use crate::lab::pve::vmconfig::{to_json, value_of};
use serde_json::{Value, json};

/// `GET /nodes/N/qemu/ID`.
pub fn index(call: &Call, vmid: u32) -> Outcome {
    call.verify(&[])?;
    call.must_exist(vmid)?;
    let below = ["config", "pending", "status", "snapshot", "agent"];
    Ok(Reply::data(below.iter().map(|name| json!({"subdir": name})).collect::<Vec<_>>()))
}

/// `GET config`: with pending changes, or without (`current`), or of a snapshot.
pub fn get(call: &Call, vmid: u32) -> Outcome {
    call.verify(&[opt("current", Kind::Bool), opt("snapshot", Kind::ConfigId)])?;
    call.must_exist(vmid)?;
    let current = call.params.flag("current");
    let config = call.sim.load(vmid, |vm| {
        if let Some(name) = call.params.get("snapshot") {
            let found = vm.snapshots.get(name);
            return found.map(to_json).ok_or_else(|| Refusal::died(format!("snapshot '{name}' does not exist")));
        }
        let mut map = to_json(&if current { vm.config.clone() } else { vm.effective() });
        map.insert("digest".into(), json!(conf::digest(vm)));
        Ok(map)
    });
    Ok(Reply::data(Value::Object(config.map_err(Refusal::died)??)))
}

/// `GET pending`: each key with its value and what is to become of it.
pub fn pending(call: &Call, vmid: u32) -> Outcome {
    call.verify(&[])?;
    call.must_exist(vmid)?;
    let list = call.sim.load(vmid, |vm| {
        let mut keys: Vec<_> = vm.config.keys().chain(vm.pending.keys()).collect();
        keys.sort();
        keys.dedup();
        let mut list: Vec<Value> = keys
            .into_iter()
            .map(|key| {
                let mut item = json!({"key": key});
                if let Some(value) = vm.config.get(key) {
                    item["value"] = value_of(key, value);
                }
                if let Some(value) = vm.pending.get(key) {
                    item["pending"] = value_of(key, value);
                }
                if vm.pending_delete.contains(key) {
                    item["delete"] = json!(1);
                }
                item
            })
            .collect();
        list.push(json!({"key": "digest", "value": conf::digest(vm)}));
        list
    });
    Ok(Reply::data(list.map_err(Refusal::died)?))
}

/// `PUT config`: done when the answer comes.
pub async fn put(call: &mut Call, vmid: u32) -> Outcome {
    let update = Update::read(&call.sim, vmid, &call.params)?;
    let sim = call.sim.clone();
    let guard = sim.lock_vm(vmid, &mut call.console).await.map_err(|why| Refusal::died_with(4, why))?;
    let result = update.carry_out(&sim, &mut call.console).await;
    drop(guard);
    result?;
    call.changed("config");
    Ok(Reply::null())
}

/// `POST config`: a task.
pub fn post(call: &Call, vmid: u32) -> Outcome {
    let update = Update::read(&call.sim, vmid, &call.params)?;
    Ok(Reply::data(call.sim.fork("qmconfig", &vmid.to_string(), move |mut worker| async move {
        let sim = worker.sim.clone();
        let _guard = sim.lock_vm(vmid, &mut worker).await?;
        update.carry_out(&sim, &mut worker).await.map_err(|refusal| refusal.to_string())
    })))
}

/// `PUT unlink`: the same as deleting the keys.
pub async fn unlink(call: &mut Call, vmid: u32) -> Outcome {
    call.verify(&[crate::lab::pve::schema::req("idlist", Kind::Text), opt("force", Kind::Bool)])?;
    let keys = call.params.remove("idlist").unwrap_or_default();
    call.params.push("delete", keys);
    put(call, vmid).await
}
