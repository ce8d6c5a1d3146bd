//! `DELETE /nodes/N/qemu/ID`.

use super::call::{Call, Outcome};
use crate::lab::pve::answer::{Refusal, Reply};
use crate::lab::pve::schema::{Kind, opt};
use crate::lab::pve::worker::Console;

/// Removes a stopped machine with its volumes and snapshots.
pub fn destroy(call: &Call, vmid: u32) -> Outcome {
    call.verify(&[
        opt("purge", Kind::Bool),
        opt("skiplock", Kind::Bool),
        opt("destroy-unreferenced-disks", Kind::Bool),
    ])?;
    call.must_exist(vmid)?;
    let checked = call.sim.load(vmid, |vm| {
        if vm.config.get("protection").is_some_and(|value| value == "1") {
            return Err(Refusal::died(format!("can't remove VM {vmid} - protection mode enabled")));
        }
        if vm.is_running() {
            return Err(Refusal::died_with(25, format!("VM {vmid} is running - destroy failed")));
        }
        Ok(())
    });
    checked.map_err(Refusal::died)??;
    let (purge, skip_lock) = (call.params.flag("purge"), call.params.flag("skiplock"));
    Ok(Reply::data(call.sim.fork("qmdestroy", &vmid.to_string(), move |mut worker| async move {
        let sim = worker.sim.clone();
        let _guard = sim.lock_vm(vmid, &mut worker).await?;
        let volumes = sim.load(vmid, |vm| {
            if !skip_lock {
                vm.check_lock()?;
            }
            if vm.is_running() {
                return Err(format!("VM {vmid} is running - destroy failed"));
            }
            Ok(vm.volumes())
        })??;
        if let Some(base) = volumes.iter().find(|volume| {
            volume.contains("/base-")
                && sim.read(|state| {
                    let linked = format!("{}/", volume.split_once(':').map_or("", |(_, name)| name));
                    state.vms.values().any(|vm| vm.volumes().iter().any(|other| other.contains(&linked)))
                })
        }) {
            return Err(format!("base volume '{base}' is still in use by linked cloned"));
        }
        sim.take(sim.pace.other).await;
        sim.hypervisor.destroy(vmid).await.map_err(|why| why.to_string())?;
        for volume in volumes {
            if let Some(line) = sim.edit(|state| state.storage.remove(&volume)) {
                worker.out(line);
            }
        }
        if purge {
            worker.say(format!("purging VM {vmid} from related configurations.."));
        }
        sim.edit(|state| {
            let name = format!("{vmid}");
            state.storage.volumes.retain(|volume| {
                volume.content != "images"
                    || volume.vmid != Some(vmid)
                    || !volume.id.contains(&format!(":{name}/vm-{name}-"))
            });
            state.vms.remove(&vmid);
        });
        Ok(())
    })))
}
