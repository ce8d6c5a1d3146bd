//! `POST /nodes/N/qemu`: a new machine.

use super::call::{Call, Outcome};
use super::update::{check_storages, make_value};
use crate::lab::pve::answer::{Refusal, Reply};
use crate::lab::pve::schema::{Kind, opt, req, verify};
use crate::lab::pve::vm::{Config, Vm};
use crate::lab::pve::vmconfig::{default_boot, kind_of};
use crate::lab::pve::worker::{Work, Worker};
use std::collections::BTreeMap;

const OWN: [&str; 11] = [
    "vmid",
    "archive",
    "storage",
    "force",
    "unique",
    "bwlimit",
    "pool",
    "start",
    "live-restore",
    "import-working-storage",
    "node",
];

/// `POST /nodes/N/qemu`.
pub fn create(call: &Call) -> Outcome {
    let schema = [
        req("vmid", Kind::Vmid),
        opt("archive", Kind::Text),
        opt("storage", Kind::Text),
        opt("force", Kind::Bool),
        opt("unique", Kind::Bool),
        opt("bwlimit", Kind::Int(0)),
        opt("pool", Kind::Text),
        opt("start", Kind::Bool),
        opt("live-restore", Kind::Bool),
        opt("import-working-storage", Kind::Text),
    ];
    verify(&call.params, &schema, kind_of)?;
    let params = &call.params;
    for name in ["force", "unique", "live-restore"] {
        if params.get(name).is_some() && params.get("archive").is_none() {
            return Err(Refusal::parameter("archive", format!("missing property - '{name}' requires this property")));
        }
    }
    if params.get("archive").is_some() {
        return Err(Refusal::NotSimulated("restoring an archive".into()));
    }
    let vmid = Call::vmid(params.get("vmid").unwrap_or_default())?;
    let set: BTreeMap<_, _> = params
        .iter()
        .filter(|(name, _)| !OWN.contains(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    check_storages(&call.sim, &set)?;
    let taken = call.sim.edit(|state| {
        let taken = state.vms.contains_key(&vmid);
        if !taken {
            // The id is taken from now on; the lock says what for.
            let config = Config::from([("lock".to_owned(), "create".to_owned())]);
            state.vms.insert(vmid, Vm { config, ..Vm::default() });
        }
        taken.then(|| state.node.name.clone())
    });
    if let Some(node) = taken {
        let message = format!("unable to create VM {vmid} - VM {vmid} already exists on node '{node}'");
        return Err(Refusal::died(message));
    }
    let start = params.flag("start");
    Ok(Reply::data(call.sim.fork("qmcreate", &vmid.to_string(), move |mut worker| async move {
        let result = build(&mut worker, vmid, set).await;
        if let Err(why) = result {
            worker.sim.edit(|state| {
                let mine: Vec<_> =
                    state.vms.remove(&vmid).map(|vm| vm.volumes().into_iter().collect()).unwrap_or_default();
                for volume in mine {
                    state.storage.remove(&volume);
                }
            });
            return Err(format!("unable to create VM {vmid} - {why}"));
        }
        if start {
            super::start::begin(&mut worker, vmid, false).await?;
        }
        Ok(())
    })))
}

async fn build(worker: &mut Worker, vmid: u32, set: BTreeMap<String, String>) -> Work {
    let sim = worker.sim.clone();
    let _guard = sim.lock_vm(vmid, worker).await?;
    sim.take(sim.pace.other).await;
    for (key, value) in &set {
        let value = make_value(&sim, vmid, (key, value), worker)?;
        sim.change(vmid, |vm| vm.config.insert(key.clone(), value))?;
    }
    let now = sim.now();
    let (smbios, vmgenid) = (format!("uuid={}", sim.ids.uuid()), sim.ids.uuid());
    let qemu = sim.read(|state| state.node.qemu.clone());
    sim.change(vmid, |vm| {
        let config = &mut vm.config;
        if !set.contains_key("lock") {
            config.remove("lock");
        }
        let boot = default_boot(config);
        config.entry("boot".into()).or_insert(boot);
        config.entry("smbios1".into()).or_insert(smbios);
        config.entry("vmgenid".into()).or_insert(vmgenid);
        config.insert("meta".into(), format!("creation-qemu={qemu},ctime={now}"));
    })
}
