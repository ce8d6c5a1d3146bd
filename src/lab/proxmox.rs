//! The simulated Proxmox of a lab: its state at the beginning, its sockets, its levers.

use super::layout::{GUESTS, NODE};
use super::levers::Lever;
use super::pve::clock::{Clock, SystemClock};
use super::pve::levers::{FailTask, Levers};
use super::pve::storage::{Storage, Volume};
use super::pve::vm::{Config, Run, Vm};
use super::pve::{Ids, Listeners, Simulator, State, SystemIds, api, http};
use super::{Guests, Hosts, LabError};
use std::sync::Arc;

/// The storage that the guests' disks are on.
const STORAGE: &str = "vmstore";

/// Size of each guest's disk: 8 GiB.
const DISK: u64 = 8 << 30;

/// A simulator over these hosts, with the guests running.
///
/// # Errors
/// [`LabError::Daemon`] if the node's network file cannot be read, [`LabError::Io`] for its ticket.
pub fn simulator(hosts: &Arc<Hosts>) -> Result<Arc<Simulator>, LabError> {
    let layout = hosts.layout();
    let guests = Arc::new(Guests::new(Arc::clone(hosts)));
    let network = layout.tree(NODE).join("etc/network");
    let sim = Simulator::new(state(SystemClock.unix()), guests, network).with_file(layout.file("pve.json"));
    let sim = Arc::new(sim);
    api::network::bring_up(&sim).map_err(|e| LabError::Daemon { message: e.to_string() })?;
    let ticket = layout.dir().join("api").join("ticket");
    std::fs::write(&ticket, format!("{}\n", sim.ticket())).map_err(LabError::io("writing the ticket"))?;
    Ok(sim)
}

/// Answers on the lab's socket until it is dropped.
///
/// # Errors
/// [`LabError::Daemon`] if it cannot listen.
pub async fn serve(sim: Arc<Simulator>, hosts: &Hosts) -> Result<(), LabError> {
    let listeners = Listeners { unix: vec![hosts.layout().api()], ..Listeners::default() };
    http::serve(sim, listeners).await.map_err(|e| LabError::Daemon { message: e.to_string() })
}

/// Sets a lever of the simulator; what there is to say about it. `None`: it is none of the simulator's.
pub fn pull(sim: &Simulator, lever: &Lever) -> Option<String> {
    let edit = |f: &dyn Fn(&mut Levers)| sim.edit(|state| f(&mut state.levers));
    match lever {
        Lever::FailTask { kind, text } => {
            let fail = FailTask { kind: (kind != "any").then(|| kind.clone()), message: text.clone() };
            edit(&|levers| levers.fail_tasks.push(fail.clone()));
            Some(format!("the next task ({kind}) ends with: {text}"))
        }
        Lever::StorageFull { on } => {
            edit(&|levers| {
                if *on {
                    levers.full_storages = ["local", STORAGE].map(String::from).into();
                } else {
                    levers.full_storages.clear();
                }
            });
            Some(if *on { "local and vmstore are full" } else { "the storages have room" }.into())
        }
        Lever::SlowTasks { ms } => {
            edit(&|levers| levers.slow_tasks_ms = *ms);
            Some(format!("every task takes {ms} ms longer"))
        }
        Lever::GuestDeaf { .. } | Lever::SshDeaf { .. } | Lever::Cut { .. } => None,
    }
}

fn state(now: u64) -> State {
    let mut state = State::default();
    state.node.name = NODE.into();
    state.node.booted = now.saturating_sub(3600);
    state.storage.storages.push(Storage::dir(STORAGE, "/srv/vmstore", "images,iso,backup,snippets"));
    for (name, vmid) in GUESTS {
        let disk = format!("{STORAGE}:{vmid}/vm-{vmid}-disk-0.qcow2");
        state.storage.volumes.push(Volume::image(&disk, "qcow2", DISK, *vmid, now));
        let run = Some(Run { pid: state.pid(), since: now, paused: false });
        state.vms.insert(*vmid, Vm { config: config(name, *vmid, &disk, now), run, ..Vm::default() });
    }
    state
}

fn config(name: &str, vmid: u32, disk: &str, now: u64) -> Config {
    let ids = SystemIds::default();
    let pairs = [
        ("agent", "1".to_string()),
        ("boot", "order=scsi0".into()),
        ("cores", "2".into()),
        ("memory", "2048".into()),
        ("meta", format!("creation-qemu=10.0.2,ctime={now}")),
        ("name", name.into()),
        ("net0", format!("virtio=BC:24:11:00:01:{:02X},bridge=vmbr0,firewall=1", vmid % 100)),
        ("onboot", "1".into()),
        ("ostype", "l26".into()),
        ("scsi0", format!("{disk},size=8G")),
        ("scsihw", "virtio-scsi-pci".into()),
        ("smbios1", format!("uuid={}", ids.uuid())),
        ("vmgenid", ids.uuid()),
    ];
    pairs.into_iter().map(|(key, value)| (key.to_string(), value)).collect()
}
