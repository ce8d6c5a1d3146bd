//! `/storage` (configuration) and `/nodes/N/storage` (status and content).

use super::call::{Call, Outcome};
use crate::lab::pve::answer::{Refusal, Reply};
use crate::lab::pve::conf::digest_of;
use crate::lab::pve::schema::{Kind, opt, req};
use crate::lab::pve::state::State;
use crate::lab::pve::storage::{Storage, Volume, parse_size};
use crate::lab::pve::worker::Console as _;
use serde_json::{Value, json};
use std::time::Duration;

/// `GET /storage`.
pub fn configs(call: &Call) -> Outcome {
    call.verify(&[opt("type", Kind::Text)])?;
    Ok(call.sim.read(|state| {
        let digest = digest_of(&state.storage.render());
        Reply::data(state.storage.storages.iter().map(|one| config_of(one, &digest)).collect::<Vec<_>>())
    }))
}

/// `GET /storage/NAME`.
pub fn config(call: &Call, name: &str) -> Outcome {
    call.verify(&[])?;
    call.sim.read(|state| {
        let digest = digest_of(&state.storage.render());
        state.storage.get(name).map(|one| Reply::data(config_of(one, &digest)))
    })
}

fn config_of(storage: &Storage, digest: &str) -> Value {
    let mut config = json!({
        "content": storage.content.join(","), "digest": digest, "path": storage.path, "storage": storage.name,
        "type": "dir",
    });
    if let Some(prune) = &storage.prune {
        config["prune-backups"] = json!(prune);
    }
    if storage.builtin {
        config["priority"] = json!(0);
    }
    if storage.disabled {
        config["disable"] = json!(1);
    }
    config
}

/// One storage in `/cluster/resources`.
pub fn resource(state: &State, storage: &Storage) -> Value {
    let node = &state.node;
    json!({
        "content": storage.content.join(","), "disk": node.disk_used, "id": format!("storage/{}/{}", node.name, storage.name),
        "maxdisk": node.disk, "node": node.name, "plugintype": "dir", "shared": 0, "status": "available",
        "storage": storage.name, "type": "storage",
    })
}

fn status_of(state: &State, storage: &Storage) -> Value {
    let node = &state.node;
    let full = state.levers.full_storages.contains(&storage.name);
    let available = if full { 0 } else { node.disk_available };
    json!({
        "active": u8::from(!storage.disabled), "avail": available, "content": storage.content.join(","),
        "enabled": u8::from(!storage.disabled), "shared": 0, "total": node.disk, "type": "dir",
        "used": if full { node.disk } else { node.disk_used },
    })
}

/// `GET /nodes/N/storage`.
pub fn list(call: &Call) -> Outcome {
    call.verify(&[
        opt("content", Kind::Contents),
        opt("storage", Kind::Text),
        opt("enabled", Kind::Bool),
        opt("format", Kind::Bool),
        opt("target", Kind::Text),
    ])?;
    let params = &call.params;
    if let Some(name) = params.get("storage") {
        call.sim.read(|state| state.storage.get(name).map(|_| ()))?;
    }
    Ok(call.sim.read(|state| {
        let wanted = |one: &&Storage| {
            params
                .get("content")
                .is_none_or(|content| content.split(',').any(|word| one.content.iter().any(|have| have == word)))
                && params.get("storage").is_none_or(|name| name == one.name)
        };
        let item = |one: &Storage| {
            let mut item = status_of(state, one);
            item["storage"] = json!(one.name);
            let (used, total) = (item["used"].as_f64().unwrap_or(0.0), item["total"].as_f64().unwrap_or(1.0));
            item["used_fraction"] = json!(used / total);
            item
        };
        Reply::data(state.storage.storages.iter().filter(wanted).map(item).collect::<Vec<_>>())
    }))
}

/// `GET /nodes/N/storage/NAME/status`.
pub fn status(call: &Call, name: &str) -> Outcome {
    call.verify(&[])?;
    call.sim.read(|state| match state.storage.get(name) {
        Ok(one) => Ok(Reply::data(status_of(state, one))),
        Err(_) => Err(Refusal::parameter("storage", "No such storage.")),
    })
}

/// `GET content`: images first, then backups, each by name.
pub fn content(call: &Call, name: &str) -> Outcome {
    call.verify(&[opt("content", Kind::Contents), opt("vmid", Kind::Vmid)])?;
    let params = &call.params;
    call.sim.read(|state| {
        state.storage.get(name).map_err(|refusal| refusal.with_errno(2))?;
        let mut volumes: Vec<&Volume> = state
            .storage
            .volumes
            .iter()
            .filter(|volume| volume.storage() == name)
            .filter(|volume| {
                params.get("content").is_none_or(|content| content.split(',').any(|word| word == volume.content))
            })
            .filter(|volume| {
                params.get("vmid").is_none_or(|vmid| volume.vmid.map(|own| own.to_string()).as_deref() == Some(vmid))
            })
            .collect();
        volumes.sort_by_key(|volume| (volume.content != "images", volume.id.clone()));
        Ok(Reply::data(volumes.into_iter().map(entry).collect::<Vec<_>>()))
    })
}

fn entry(volume: &Volume) -> Value {
    let mut item = json!({
        "content": volume.content, "ctime": volume.ctime, "format": volume.format, "size": volume.size,
        "volid": volume.id,
    });
    if let Some(vmid) = volume.vmid {
        item["vmid"] = json!(vmid);
    }
    if volume.content == "images" {
        item["parent"] = Value::Null;
        item["used"] = json!(volume.used);
    }
    if volume.content == "backup" {
        item["subtype"] = json!("qemu");
        if let Some(notes) = &volume.notes {
            item["notes"] = json!(notes);
        }
        if volume.protected {
            item["protected"] = json!(1);
        }
    }
    item
}

/// `POST content`: a new image.
pub fn allocate(call: &mut Call, name: &str) -> Outcome {
    call.verify(&[
        req("vmid", Kind::Vmid),
        req("filename", Kind::Text),
        req("size", Kind::Text),
        opt("format", Kind::Enum(&["raw", "qcow2", "subvol", "vmdk"])),
    ])?;
    let params = &call.params;
    let vmid = Call::vmid(params.get("vmid").unwrap_or_default())?;
    let asked = params.get("filename").unwrap_or_default();
    let by_name = asked.rsplit_once('.').map(|(_, end)| end).filter(|end| ["raw", "qcow2", "vmdk"].contains(end));
    let format = params.get("format").or(by_name).unwrap_or("raw");
    let size = params.get("size").and_then(|size| parse_size(size, 1 << 10)).unwrap_or(0);
    let now = call.sim.now();
    let made = call.sim.edit(|state| {
        state.storage.get(name)?;
        let file = if asked.is_empty() {
            format!("{}.{format}", state.storage.free_disk_name(name, vmid))
        } else {
            asked.to_owned()
        };
        let full = state.levers.full_storages.contains(name);
        let made = state.storage.allocate((name, vmid, &file), (format, size), full, now).map_err(|(_, why)| why)?;
        state.changes.count("allocate");
        Ok::<_, Refusal>(made)
    })?;
    call.console.out(made.printed);
    Ok(Reply::data(made.id))
}

/// The whole id of a volume in a path, which may leave the storage out.
fn whole_id(storage: &str, volume: &str) -> Result<String, Refusal> {
    match volume.split_once(':') {
        Some((named, _)) if named != storage => {
            Err(Refusal::parameter("volume", format!("storage ID mismatch ({named} != {storage})\n")))
        }
        Some(_) => Ok(volume.to_owned()),
        None => Ok(format!("{storage}:{volume}")),
    }
}

/// `GET content/VOLUME`.
pub fn attributes(call: &Call, name: &str, volume: &str) -> Outcome {
    call.verify(&[])?;
    let id = whole_id(name, volume)?;
    call.sim.read(|state| {
        let path = state.storage.path(&id)?;
        let Some(volume) = state.storage.volume(&id) else {
            return Err(Refusal::died(format!("volume_size_info on '{id}' failed - no format")));
        };
        let backup = volume.content == "backup";
        let format = if backup { "raw" } else { volume.format.as_str() };
        let mut item = json!({"format": format, "path": path, "size": volume.size, "used": volume.used});
        if backup {
            item["protected"] = json!(u8::from(volume.protected));
            if let Some(notes) = &volume.notes {
                item["notes"] = json!(notes);
            }
        }
        Ok(Reply::data(item))
    })
}

/// `PUT content/VOLUME`: notes and protection of a backup.
pub fn set_attributes(call: &Call, name: &str, volume: &str) -> Outcome {
    call.verify(&[opt("notes", Kind::Text), opt("protected", Kind::Bool)])?;
    let id = whole_id(name, volume)?;
    let notes = call.params.get("notes").map(str::to_owned);
    let protected = call.params.get("protected").map(|_| call.params.flag("protected"));
    call.sim.edit(|state| {
        let Some(volume) = state.storage.volumes.iter_mut().find(|volume| volume.id == id) else {
            return Err(Refusal::died(format!("volume_size_info on '{id}' failed - no format")));
        };
        volume.notes = notes.or_else(|| volume.notes.take());
        volume.protected = protected.unwrap_or(volume.protected);
        state.changes.count("volume");
        Ok(Reply::null())
    })
}

/// `DELETE content/VOLUME`: a task; with `delay` the answer is null if it ends in time. Deleting what is not there
/// succeeds.
pub async fn delete(call: &Call, name: &str, volume: &str) -> Outcome {
    call.verify(&[opt("delay", Kind::Int(1))])?;
    let id = whole_id(name, volume)?;
    call.sim.read(|state| state.storage.path(&id))?;
    let owner = owner_of(&id).map_or_else(|| name.to_owned(), |vmid| format!("{vmid}@{name}"));
    let delay = call.params.number("delay");
    let upid = call.sim.fork("imgdel", &owner, move |worker| async move {
        let sim = worker.sim.clone();
        if sim.read(|state| state.storage.volume(&id).is_some_and(|volume| volume.protected)) {
            let (storage, name) = id.split_once(':').unwrap_or(("", &id));
            return Err(format!("cannot remove protected volume '{name}' on '{storage}'"));
        }
        sim.take(sim.pace.other).await;
        if let Some(line) = sim.edit(|state| state.storage.remove(&id)) {
            worker.say(line);
        }
        worker.say(format!("Removed volume '{id}'"));
        Ok(())
    });
    if let (Some(delay), Some(name)) = (delay, upid.as_str())
        && let Ok(Some(task)) = tokio::time::timeout(Duration::from_secs(delay), call.sim.wait(name)).await
    {
        return if task.has_failed() { Err(Refusal::died(task.exit.unwrap_or_default())) } else { Ok(Reply::null()) };
    }
    Ok(Reply::data(upid))
}

/// The VMID in an image's folder or in the name of a backup.
fn owner_of(id: &str) -> Option<u32> {
    let name = id.split_once(':')?.1;
    let text = match name.split_once('/')? {
        ("backup", file) => file.strip_prefix("vzdump-qemu-")?.split('-').next()?,
        (folder, _) => folder,
    };
    text.parse().ok()
}
