//! `status/suspend` (in memory or to disk) and `status/resume`.

use super::call::{Call, Outcome};
use super::snapshot::state_size;
use crate::lab::pve::answer::{Refusal, Reply};
use crate::lab::pve::clock::Civil;
use crate::lab::pve::schema::{Kind, opt};
use crate::lab::pve::vm::Vm;
use crate::lab::pve::worker::{Work, Worker};

/// `POST status/suspend`.
pub fn suspend(call: &Call, vmid: u32) -> Outcome {
    call.verify(&[opt("skiplock", Kind::Bool), opt("todisk", Kind::Bool), opt("statestorage", Kind::Text)])?;
    call.must_run(vmid)?;
    let to_disk = call.params.flag("todisk");
    let kind = if to_disk { "qmsuspend" } else { "qmpause" };
    Ok(Reply::data(call.sim.fork(kind, &vmid.to_string(), move |mut worker| async move {
        let sim = worker.sim.clone();
        let _guard = sim.lock_vm(vmid, &mut worker).await?;
        sim.load(vmid, Vm::check_lock)??;
        if to_disk {
            return hibernate(&worker, vmid).await;
        }
        sim.take(sim.pace.other).await;
        sim.change(vmid, |vm| {
            if let Some(run) = &mut vm.run {
                run.paused = true;
            }
        })
    })))
}

async fn hibernate(worker: &Worker, vmid: u32) -> Work {
    let sim = &worker.sim;
    let date = Civil::from_unix(sim.now()).date();
    let (size, disk) = sim.load(vmid, |vm| (state_size(&vm.config), vm.disks().into_iter().next()))?;
    let storage = disk.and_then(|(_, volume)| volume.split_once(':').map(|(storage, _)| storage.to_owned()));
    let storage = storage.unwrap_or_else(|| "local".into());
    let now = sim.now();
    let file = format!("vm-{vmid}-state-suspend-{date}.raw");
    let made = sim.edit(|state| {
        let full = state.levers.full_storages.contains(&storage);
        state.storage.allocate((&storage, vmid, &file), ("raw", size), full, now)
    });
    let made = made.map_err(|(_, refusal)| refusal.to_string())?;
    worker.say(made.printed);
    sim.change(vmid, |vm| {
        vm.config.insert("lock".into(), "suspending".into());
        vm.config.insert("vmstate".into(), made.id);
        vm.config.insert("runningmachine".into(), "pc-i440fx-10.0+pve0".into());
        vm.config.insert("runningcpu".into(), "qemu64".into());
    })?;
    sim.take(sim.pace.snapshot).await;
    worker.say("State saved, quitting");
    sim.hypervisor.stop(vmid).await.map_err(|why| why.to_string())?;
    sim.change(vmid, |vm| {
        vm.config.insert("lock".into(), "suspended".into());
        vm.run = None;
    })
}

/// `POST status/resume`.
pub fn resume(call: &Call, vmid: u32) -> Outcome {
    call.verify(&[opt("skiplock", Kind::Bool), opt("nocheck", Kind::Bool)])?;
    let suspended = call.sim.load(vmid, |vm| vm.lock() == Some("suspended"));
    let suspended = suspended.map_err(|_| Refusal::died_with(2, call.sim.unfound(vmid)))?;
    if !suspended {
        call.must_run(vmid)?;
    }
    Ok(Reply::data(call.sim.fork("qmresume", &vmid.to_string(), move |mut worker| async move {
        let sim = worker.sim.clone();
        let _guard = sim.lock_vm(vmid, &mut worker).await?;
        if suspended {
            return super::start::begin(&mut worker, vmid, false).await;
        }
        sim.take(sim.pace.other).await;
        sim.change(vmid, |vm| {
            if let Some(run) = &mut vm.run {
                run.paused = false;
            }
        })
    })))
}
