//! `POST status/start`: a task, whatever is wrong.

use super::call::{Call, Outcome};
use crate::lab::pve::answer::Reply;
use crate::lab::pve::running::memory_of;
use crate::lab::pve::schema::{Kind, opt};
use crate::lab::pve::vm::{Run, Vm, property, split_index, volume_of};
use crate::lab::pve::worker::{Work, Worker};

const FAILED: &str = "start failed: QEMU exited with code 1";

/// Starts a machine.
pub fn start(call: &Call, vmid: u32) -> Outcome {
    call.verify(&[
        opt("skiplock", Kind::Bool),
        opt("timeout", Kind::Int(0)),
        opt("machine", Kind::Text),
        opt("force-cpu", Kind::Text),
    ])?;
    let skip_lock = call.params.flag("skiplock");
    Ok(Reply::data(call.sim.fork("qmstart", &vmid.to_string(), move |mut worker| async move {
        worker.sim.load(vmid, |_| ())?;
        let sim = worker.sim.clone();
        let _guard = sim.lock_vm(vmid, &mut worker).await?;
        begin(&mut worker, vmid, skip_lock).await
    })))
}

/// Starts a machine; the caller holds its lock file.
pub async fn begin(worker: &mut Worker, vmid: u32, skip_lock: bool) -> Work {
    let sim = worker.sim.clone();
    let suspended = sim.load(vmid, |vm| {
        if vm.is_template() {
            return Err("you can't start a vm if it's a template".to_owned());
        }
        let suspended = vm.lock() == Some("suspended");
        if !skip_lock && !suspended {
            vm.check_lock()?;
        }
        if vm.is_running() { Err(format!("VM {vmid} already running")) } else { Ok(suspended) }
    })??;
    let state_volume = suspended.then(|| sim.load(vmid, |vm| vm.config.get("vmstate").cloned())).transpose()?.flatten();
    if suspended {
        worker.say("Resuming suspended VM");
    }
    let (cloudinit, refused) = sim.change(vmid, |vm| {
        vm.apply_pending();
        (vm.cloudinit_drive().is_some(), missing_volume(vm))
    })?;
    let gone = refused.into_iter().find(|volume| sim.read(|state| state.storage.volume(volume).is_none()));
    if let Some(volume) = gone {
        return Err(format!("volume '{volume}' does not exist"));
    }
    if cloudinit {
        worker.say("generating cloud-init ISO");
    }
    if let Some(volume) = &state_volume {
        worker.say(format!("activating and using '{volume}' as vmstate"));
    }
    let refusal = sim.read(|state| {
        state
            .vms
            .get(&vmid)
            .and_then(|vm| qemu_refuses(vmid, vm, |bridge| state.active_interfaces.contains(bridge), state.node.memory))
    });
    sim.take(sim.pace.start).await;
    if let Some(lines) = refusal {
        worker.say(lines);
        return Err(FAILED.to_owned());
    }
    sim.hypervisor.start(vmid).await.map_err(|why| why.to_string())?;
    let now = sim.now();
    let pid = sim.edit(super::super::state::State::pid);
    sim.change(vmid, |vm| {
        vm.run = Some(Run { pid, since: now, paused: false });
        if suspended {
            for key in ["lock", "vmstate", "runningmachine", "runningcpu"] {
                vm.config.remove(key);
            }
        }
    })?;
    if let Some(volume) = state_volume {
        worker.say("Resumed VM, removing state");
        sim.edit(|state| state.storage.remove(&volume));
    }
    Ok(())
}

/// The disks, which must all be there.
fn missing_volume(vm: &Vm) -> Vec<String> {
    let disks = vm.disks().into_iter().map(|(_, volume)| volume);
    disks.filter(|volume| volume.contains(':') && volume_of(volume) == volume).collect()
}

/// What QEMU prints when it does not come up with this configuration.
fn qemu_refuses(vmid: u32, vm: &Vm, has_bridge: impl Fn(&str) -> bool, memory: u64) -> Option<String> {
    let cards = vm.config.iter().filter(|(key, _)| split_index(key).0 == "net" && split_index(key).1.is_some());
    for (key, value) in cards {
        if let Some(bridge) = property(value, "bridge").filter(|bridge| !has_bridge(bridge)) {
            let index = split_index(key).1.unwrap_or(0);
            let scripts = "/usr/libexec/qemu-server";
            return Some(format!(
                "bridge '{bridge}' does not exist\nkvm: -netdev type=tap,id={key},ifname=tap{vmid}i{index},\
                 script={scripts}/pve-bridge,downscript={scripts}/pve-bridgedown: network script \
                 {scripts}/pve-bridge failed with status 512"
            ));
        }
    }
    if let Some(bad) = vm.config.get("args").and_then(|args| args.split(' ').find(|word| *word == "-bogus")) {
        return Some(format!("kvm: {bad}: invalid option"));
    }
    (memory_of(&vm.config) > memory)
        .then(|| "kvm: cannot set up guest memory 'pc.ram': Cannot allocate memory".to_owned())
}
