//! The recorded node of the command line recording: what was done to it between the rows.

use super::api_scenes::node;
use super::bench::Bench;
use super::cli_machines::{bare, guest, running, small};
use super::guests::Guests;
use piton::lab::pve::node::Node;
use piton::lab::pve::state::State;
use piton::lab::pve::storage::{Storage, Volume};
use piton::lab::pve::vm::Vm;
use std::fs;
use std::time::Duration;

/// The time of the first row.
const BEGIN: u64 = 1_795_320_300;

const INTERFACES: &str = "auto lo\niface lo inet loopback\n\niface eno1 inet manual\n\nauto vmbr0\n\
    iface vmbr0 inet static\n\taddress 10.10.10.2/24\n\tgateway 10.10.10.1\n\tbridge-ports eno1\n\tbridge-stp off\n\
    \tbridge-fd 0\n\nsource /etc/network/interfaces.d/*\n";

const FINGERPRINT: &str = "BC:B6:04:7C:5F:36:47:F4:79:8A:8F:35:92:3B:4D:7E:55:15:DE:94:58:18:F7:F3:70:D8:CE:38:4E:4E:\
    77:B0";

/// The node before the first row.
pub fn begin() -> Bench {
    // The recorded kernel has no VLAN-aware bridges.
    let node = Node { vlan_aware: false, fingerprint: FINGERPRINT.into(), booted: BEGIN - 2_018, cpu: 1.0, ..node() };
    let mut state = State { node, ..State::default() };
    state.active_interfaces.extend(["eno1", "vmbr0"].map(str::to_owned));
    let guests = Guests { host_name: Some("guest".into()), ..Guests::default() };
    guests.files.lock().unwrap().insert("/tmp/x".into(), "hello".into());
    let bench = Bench::new(state, INTERFACES, BEGIN, guests);
    fs::write(bench.dir.path().join("id_rsa.pub"), "ssh-rsa AAAAB3NzaC1yc2E-KEY").unwrap();
    bench
}

fn put(bench: &Bench, vmid: u32, vm: Vm) {
    bench.sim.edit(|state| {
        for (_, id) in vm.disks() {
            volume(state, &id, vmid);
        }
        state.vms.insert(vmid, vm);
    });
}

fn volume(state: &mut State, id: &str, vmid: u32) {
    if state.storage.volume(id).is_none() {
        let format = id.rsplit('.').next().unwrap_or("raw");
        state.storage.volumes.push(Volume::image(id, format, 2 << 30, vmid, BEGIN));
    }
}

fn drop_machines(bench: &Bench, vmids: &[u32]) {
    bench.sim.edit(|state| state.vms.retain(|vmid, _| !vmids.contains(vmid)));
}

/// What a disk command of another issue left.
fn disk(bench: &Bench, vmid: u32, key: &str, value: &str, size: u64) {
    bench.set(vmid, key, value);
    bench.sim.edit(|state| {
        let id = value.split(',').next().unwrap();
        volume(state, id, vmid);
        state.storage.volumes.iter_mut().find(|volume| volume.id == id).unwrap().size = size;
    });
}

/// Blocks used and available, in KiB.
fn disk_use(bench: &Bench, used: u64, available: u64) {
    bench.sim.edit(|state| {
        state.node.disk_used = used << 10;
        state.node.disk_available = available << 10;
    });
}

fn uptime(bench: &Bench, seconds: u64, memory: u64) {
    let now = bench.sim.now();
    bench.sim.edit(|state| {
        state.node.booted = now - seconds;
        state.node.memory_used = memory;
    });
}

fn stage(bench: &Bench, more: &str) {
    let text = INTERFACES.replace("source", &format!("{more}source"));
    fs::write(bench.dir.path().join("interfaces"), text).unwrap();
}

async fn api(bench: &Bench, method: &str, path: &str, params: &[(&str, &str)]) {
    let response = bench.call(method, &format!("/nodes/pve1{path}"), params).await;
    assert_eq!(response.status, 200, "{method} {path}: {}", response.reason);
}

fn start_process(bench: &Bench, vmid: u32, pid: u32) {
    let now = bench.sim.now();
    bench.touch(vmid, |vm| vm.run = running(pid, now));
}

fn stop_process(bench: &Bench, vmid: u32) {
    bench.touch(vmid, |vm| vm.run = None);
}

fn unset(bench: &Bench, vmid: u32, keys: &[&str]) {
    bench.touch(vmid, |vm| vm.config.retain(|key, _| !keys.contains(&key.as_str())));
}

const PLAIN_BRIDGE: &[(&str, &str)] =
    &[("iface", "vmbr1"), ("type", "bridge"), ("cidr", "10.20.0.1/24"), ("autostart", "1")];

/// What happened just before a row.
pub async fn before(bench: &Bench, seq: u32) {
    match seq {
        6 => uptime(bench, 2_018, 2_208_743_424),
        7 => {
            uptime(bench, 2_028, 2_306_469_888);
            bench.sim.edit(|state| state.node.disk_used = 22_430_711_808);
        }
        28 => disk_use(bench, 22_591_808, 72_694_080),
        29 => disk_use(bench, 22_662_756, 72_623_132),
        31 => disk_use(bench, 22_730_040, 72_555_848),
        // Adding and changing storages: not simulated.
        52 => bench.sim.edit(|state| {
            let contents = "import,rootdir,images,iso,vztmpl,backup,snippets";
            state.storage.storages.push(Storage::dir("vmstore", "/var/lib/vmstore", contents));
            state.storage.storages[0].builtin = false;
        }),
        80..=191 => network(bench, seq).await,
        192..=303 => config(bench, seq).await,
        304..=390 => snapshots_and_locks(bench, seq),
        391..=500 => run(bench, seq).await,
        501..=544 => agent(bench, seq).await,
        545.. => last(bench, seq),
        _ => {}
    }
}

async fn network(bench: &Bench, seq: u32) {
    match seq {
        106 => api(bench, "DELETE", "/network", &[]).await,
        // People edited the file by hand.
        114 => stage(bench, "auto vmbr7\niface vmbr7 inet static\n\taddress 10.70.0.1/24\n\tbridge-ports none\n\n"),
        116 => stage(bench, "auto vmbr8\niface vmbr8 inet static\n\taddress 10.80.0.999/24\n\tbridge-ports none\n\n"),
        // A misspelt option: what is left is no bridge.
        118 => stage(bench, "auto vmbr8\niface vmbr8 inet static\n\taddress 10.80.0.1/24\n\tbridge-prots none\n\n"),
        121 => stage(bench, ""),
        177 => {
            let mut params = PLAIN_BRIDGE.to_vec();
            params.push(("bridge_vlan_aware", "1"));
            api(bench, "POST", "/network", &params).await;
        }
        186 => {
            let _ = bench.call("DELETE", "/nodes/pve1/network/vmbr1", &[]).await;
        }
        188 => api(bench, "POST", "/network", PLAIN_BRIDGE).await,
        _ => {}
    }
}

async fn config(bench: &Bench, seq: u32) {
    let disk_0 = "vmstore:100/vm-100-disk-0.qcow2";
    match seq {
        238 => bench.sim.edit(|state| "7.2.22".clone_into(&mut state.node.qemu)),
        240 => bench.sim.edit(|state| "10.0.2".clone_into(&mut state.node.qemu)),
        // Importing disks: not simulated.
        249 => disk(bench, 100, "scsi0", "vmstore:100/vm-100-disk-0.raw,size=2G", 2 << 30),
        251 => {
            unset(bench, 100, &["scsi0"]);
            disk(bench, 100, "unused0", "vmstore:100/vm-100-disk-0.raw", 2 << 30);
        }
        253 => disk(bench, 100, "scsi0", &format!("{disk_0},size=2G"), 2 << 30),
        256 => {
            bench.set(100, "kvm", "0");
            bench.set(100, "meta", "creation-qemu=10.0.2,ctime=1795322431");
        }
        275 => api(bench, "PUT", "/qemu/100/config", &[("cores", "1")]).await,
        284 => disk(bench, 100, "unused0", "vmstore:100/vm-100-disk-1.qcow2", 2 << 30),
        285 => {
            // Resizing disks: not simulated.
            disk(bench, 100, "scsi0", &format!("{disk_0},size=2560M"), 2_560 << 20);
            bench.sim.edit(|state| state.storage.volumes.retain(|one| !one.id.contains("/vm-99")));
        }
        294 => disk(bench, 100, "unused0", "vmstore:100/vm-100-disk-1.qcow2", 2 << 30),
        295 => {
            put(bench, 110, guest(running(5_921, BEGIN)));
            put(bench, 300, small(running(5_619, BEGIN)));
        }
        _ => {}
    }
}

fn snapshots_and_locks(bench: &Bench, seq: u32) {
    match seq {
        325 => bench.touch(100, |vm| {
            vm.snapshots.get_mut("base").unwrap().insert("description".into(), "changed".into());
        }),
        354 => {
            put(bench, 110, guest(running(6_610, BEGIN)));
            put(bench, 300, small(None));
            put(bench, 320, small(running(8_819, BEGIN)));
        }
        364 => drop_machines(bench, &[320]),
        _ => {}
    }
}

async fn run(bench: &Bench, seq: u32) {
    match seq {
        391 => {
            // These rows ran earlier than those of 100: it had no disk yet.
            drop_machines(bench, &[110, 100, 320]);
            let pairs =
                [("name", "web1"), ("memory", "512"), ("balloon", "256"), ("tags", "prod;web"), ("serial0", "socket")];
            put(bench, 100, bare(&pairs));
            put(bench, 300, small(None));
        }
        394 | 395 => bench.touch(300, |vm| vm.run.as_mut().unwrap().pid = 5_619),
        397 => {
            disk(bench, 100, "scsi0", "vmstore:100/vm-100-disk-0.qcow2,size=2G", 2 << 30);
            bench.set(100, "boot", "order=scsi0");
        }
        404 => put(bench, 301, bare(&[("name", "copy")])),
        455 => {
            // The hibernation timed out on the overloaded machine.
            stop_process(bench, 300);
            bench.sim.edit(|state| state.storage.volumes.retain(|volume| !volume.id.contains("-state-suspend-")));
            for (key, value) in [
                ("lock", "suspending"),
                ("runningcpu", "qemu64"),
                ("runningmachine", "pc-i440fx-10.0+pve0"),
                ("vmstate", "vmstore:300/vm-300-state-suspend-2026-11-22.raw"),
            ] {
                bench.set(300, key, value);
            }
        }
        460 => unset(bench, 300, &["lock", "runningcpu", "runningmachine", "vmstate"]),
        484 => put(bench, 302, bare(&[("name", "f"), ("net0", "virtio=BC:24:11:00:00:01,bridge=vmbr99")])),
        486 => put(bench, 302, bare(&[("name", "f"), ("ide2", "vmstore:iso/nosuch.iso,media=cdrom")])),
        487 => stop_process(bench, 302),
        492 => bench.sim.edit(|state| {
            state.levers.held_locks.insert(300);
        }),
        497 => bench.sim.edit(|state| state.levers.held_locks.clear()),
        498 => put(bench, 304, bare(&[("name", "t2")])),
        499 => drop_machines(bench, &[304]),
        _ => {}
    }
}

async fn agent(bench: &Bench, seq: u32) {
    match seq {
        501 => put(bench, 110, guest(running(6_610, bench.sim.now()))),
        516 => tokio::time::sleep(Duration::from_secs(4)).await,
        528 => {
            drop_machines(bench, &[304]);
            let mut web = bare(&[("name", "web-1"), ("memory", "512"), ("boot", "order=scsi0")]);
            web.config.insert("scsi0".into(), "vmstore:100/vm-100-disk-0.qcow2,size=2560M".into());
            put(bench, 100, web);
            put(bench, 300, small(None));
            put(bench, 320, small(running(8_819, BEGIN)));
        }
        _ => {}
    }
}

fn last(bench: &Bench, seq: u32) {
    let disk_0 = "vmstore:302/vm-302-disk-0.qcow2";
    match seq {
        // Another snapshot of the same machine is at work.
        584 => {
            start_process(bench, 300, 9_000);
            bench.set(300, "lock", "snapshot");
        }
        585 => unset(bench, 300, &["lock"]),
        589 => put(bench, 302, bare(&[("name", "f"), ("args", "-bogus")])),
        591 => put(bench, 302, bare(&[("name", "f"), ("memory", "99999999")])),
        592 => put(bench, 302, bare(&[("name", "f")])),
        593 => put(bench, 302, bare(&[("name", "f"), ("scsi0", &format!("{disk_0},size=1G"))])),
        601 => start_process(bench, 300, 9_100),
        603 => start_process(bench, 300, 9_200),
        605 => {
            put(bench, 300, small(None));
            start_process(bench, 300, 9_300);
        }
        612 => put(bench, 305, bare(&[("name", "f")])),
        613 => stop_process(bench, 305),
        _ => {}
    }
    if seq == 593 {
        bench.sim.edit(|state| state.storage.volumes.retain(|volume| volume.id != disk_0));
    }
}
